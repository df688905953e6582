"""Patterns of the ground and what is dug from it: rocks, gems, earth, water, ice and fire.

Irregular surfaces: cells and fractal noise in space; see `patterns` for the rules.
"""

import torch
from torch import Tensor

from texcsd.embedded.noise import fractal, mix, noise, ramp, step, warped_cells
from texcsd.embedded.patterns import (
    Style,
    bent,
    distance_to_line,
    rgb,
    shaded,
    sheets,
    strands,
    stretch,
    wave,
)


def marble(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Wandering veins, few bold ones and fine threads: dark, but light on the darkest stone."""
    bold, fine = distance_to_line(sheets(points)).unbind(-1)
    fades, (x, y, z) = noise(points / 0.6), normals.abs().unbind(-1)
    vein = (1 - step(0.035, 0.06, bold)) * step(0.40, 0.2, fades[:, 2])
    thread = (1 - step(0.035, 0.06, fine)) * step(0.48, 0.2, fades[:, 3])
    # Where the surface lies along the sheets they would be broad.
    vein, thread = vein * step(1.25, -0.2, x + y), thread * step(1.25, -0.2, z + y)
    amount = torch.maximum(0.9 * vein, 0.55 * thread)
    dark = style.first.mean(-1, keepdim=True) < 0.2
    veins = torch.where(dark, rgb(points, 0.80, 0.79, 0.75), 0.36 * style.first)
    return mix(style.first, veins, amount)


def stone(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Rough stone with cracks."""
    rough = fractal(points / 0.3, 4, 0.65)
    cracks = warped_cells(points, 0.3)
    crack = 1 - step(0.035, 0.04, cracks.border)
    return shaded(style.first, 0.95 + 1.1 * (rough[:, 0] - 0.5) - 0.5 * crack)


def cobble(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Rounded stones with dark gaps."""
    stones = warped_cells(points, 0.15)
    rounded = step(0.14, 0.22, stones.border)
    rough = fractal(points / 0.075, 2)[:, 0]
    tone = 0.55 + 0.6 * stones.random + 0.35 * (rough - 0.5)
    return shaded(style.first, tone * (0.22 + 0.78 * rounded))


def granite(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Grains of varying tone and dark specks."""
    grains = warped_cells(points, 0.075)
    color = shaded(style.first, 0.62 + 0.68 * grains.random)
    speck = noise(points / 0.0375)[:, 0]
    return mix(color, style.second, step(0.70, 0.06, speck))


def concrete(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Clouded grey with pores."""
    cloud = fractal(points / 0.3, 4, 0.55)[:, 0]
    pores = 1 - step(0.16, 0.06, warped_cells(points, 0.075).nearest)
    return shaded(style.first, 0.98 + 0.45 * (cloud - 0.5) - 0.30 * pores)


def terracotta(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Fired clay with fine level marks of the wheel and pale bloom."""
    turned = noise(stretch(points, 1.2, 0.0375, 1.2))
    bloom = fractal(points / 0.3, 3)[:, 0]
    color = shaded(style.first, 0.92 + 0.28 * (turned[:, 0] - 0.5))
    return mix(color, rgb(points, 0.90, 0.74, 0.62), 0.6 * step(0.60, 0.25, bloom))


def sandstone(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Level wavy layers of reds, ochres and cream, as in a canyon, with thin dark beds."""
    _, up = bent(points, normals)
    rough, uneven, grain = noise(points / 0.15), noise(points / 0.6), noise(points / 0.0375)
    layer = 0.5 + 0.22 * wave(up, 0.3) + 0.14 * wave(up + 0.05, 0.15) + 0.6 * (uneven[:, 2] - 0.5)
    color = ramp(
        layer,
        [
            (0.15, (0.62, 0.30, 0.18)),
            (0.42, (0.78, 0.46, 0.27)),
            (0.60, (0.87, 0.64, 0.41)),
            (0.85, (0.94, 0.82, 0.63)),
        ],
    )
    bed = step(0.55, 0.5, wave(up + 0.03 * (rough[:, 0] - 0.5), 0.15))
    return shaded(color, 1.0 - 0.20 * bed + 0.22 * (grain[:, 0] - 0.5) + 0.16 * (rough[:, 1] - 0.5))


def mud(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Dried plates with dark cracks between them."""
    plates = warped_cells(points, 0.3)
    rough = fractal(points / 0.15, 3)[:, 0]
    crack = 1 - step(0.06, 0.05, plates.border)
    tone = 0.92 + 0.22 * (plates.random - 0.5) + 0.5 * (rough - 0.5)
    return shaded(style.first, tone * (1 - 0.78 * crack))


def sand(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Fine grains, drifted into ripples."""
    _, up = bent(points, normals)
    grain, coarse = noise(points / 0.0375)[:, 0], noise(points / 0.075)[:, 1]
    shade = 0.90 + 0.13 * wave(up, 0.15) + 0.30 * (grain - 0.5) + 0.2 * (coarse - 0.5)
    return shaded(style.first, shade)


def lava(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Black crust with thin glowing cracks."""
    crust = fractal(points / 0.15, 3)
    plates = warped_cells(points, 0.3)
    heat = 1.0 - plates.border / 0.15 + 0.6 * (crust[:, 1] - 0.55)
    glow = ramp(
        heat,
        [
            (0.0, (0.0, 0.0, 0.0)),
            (0.35, (0.32, 0.03, 0.0)),
            (0.60, (0.92, 0.20, 0.01)),
            (0.80, (1.0, 0.50, 0.04)),
            (1.0, (1.0, 0.86, 0.32)),
        ],
    )
    rock = rgb(points, 0.13, 0.11, 0.11) * (0.35 + 1.3 * crust[:, :1])
    return torch.maximum(rock.clamp(0, 1), glow)


def fire(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Flames licking upwards: white-yellow cores, orange tongues, dark red gaps."""
    tongue, lick = strands(points, normals, 0.075), strands(points, normals, 0.0375)
    heat = 0.55 * tongue[:, 0] + 0.20 * lick[:, 1] + 0.5 * noise(points / 0.3)[:, 2] - 0.12
    return ramp(
        heat,
        [
            (0.30, (0.12, 0.01, 0.0)),
            (0.42, (0.68, 0.07, 0.0)),
            (0.53, (0.98, 0.42, 0.02)),
            (0.64, (1.0, 0.78, 0.14)),
            (0.78, (1.0, 0.97, 0.72)),
        ],
    )


def water(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Light nets over deep blue."""
    caustic = 1 - step(0.10, 0.22, warped_cells(points, 0.3).border)
    deep = fractal(points / 0.6, 3)[:, 0]
    color = ramp(deep, [(0.3, (0.02, 0.16, 0.38)), (0.7, (0.06, 0.46, 0.68))])
    return mix(color, rgb(points, 0.70, 0.92, 0.97), 0.75 * caustic)


def ice(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Blocks of clear blue, each in its own tone, with white cracks and frost between them."""
    blocks, shards = warped_cells(points, 0.3), warped_cells(points, 0.15)
    frost = fractal(points / 0.3, 3)[:, 0]
    crack = 1 - step(0.05, 0.09, blocks.border)
    hair = 1 - step(0.03, 0.06, shards.border)
    color = ramp(
        blocks.random + 1.2 * (frost - 0.5),
        [(0.05, (0.16, 0.48, 0.74)), (0.5, (0.46, 0.76, 0.90)), (0.95, (0.80, 0.94, 0.98))],
    )
    white = torch.maximum(0.95 * crack, 0.5 * hair * step(0.5, 0.2, frost))
    return mix(color, rgb(points, 0.97, 0.99, 1.0), white)


def snow(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """White grains with faint blue hollows."""
    drift = fractal(points / 0.3, 2)[:, 0]
    color = ramp(drift, [(0.34, (0.84, 0.89, 0.96)), (0.54, (0.94, 0.96, 0.98))])
    return shaded(color, 0.95 + 0.10 * warped_cells(points, 0.0375).random)


def crystal(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Flat facets from dark to nearly white, with bright edges."""
    facets = warped_cells(points, 0.15)
    edge = 1 - step(0.03, 0.05, facets.border)
    color = shaded(style.first, 0.35 + 1.1 * facets.random)
    white = 0.65 * step(0.72, 0.3, facets.random) + 0.5 * edge
    return mix(color, rgb(points, 1.0, 0.97, 1.0), white.clamp(0, 1))


def galaxy(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Stars over dark violet and blue nebulae."""
    cloud = fractal(points / 0.6, 4, 0.55)
    color = ramp(
        cloud[:, 0],
        [
            (0.38, (0.02, 0.02, 0.08)),
            (0.52, (0.14, 0.07, 0.32)),
            (0.62, (0.50, 0.16, 0.52)),
            (0.75, (0.90, 0.50, 0.70)),
        ],
    )
    color = color + rgb(points, 0.0, 0.12, 0.30) * step(0.55, 0.2, cloud[:, 1])[:, None]
    stars = warped_cells(points, 0.15)
    star = 1 - step(0.06, 0.08, stars.nearest - 0.10 * stars.random)
    return mix(color.clamp(0, 1), rgb(points, 1.0, 0.98, 0.92), star)


def sky(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """White heaped clouds on blue."""
    cloud = fractal(points / 0.3, 4, 0.5)
    cover = step(0.52, 0.10, cloud[:, 0])
    white = shaded(rgb(points, 1.0, 1.0, 1.0), 0.86 + 0.3 * (cloud[:, 1] - 0.2))
    return mix(rgb(points, 0.24, 0.50, 0.86), white, cover)


def terrazzo(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Chips of many stones, large and small, polished flat in pale cement."""
    color = style.first.expand(len(points), 3)
    for size in (0.075, 0.15):
        chips = warped_cells(points, size)
        chip = ramp(
            chips.random,
            [
                (0.40, (0.20, 0.20, 0.21)),
                (0.55, (0.62, 0.28, 0.20)),
                (0.70, (0.84, 0.62, 0.36)),
                (0.85, (0.30, 0.44, 0.38)),
                (1.00, (0.98, 0.97, 0.95)),
            ],
        )
        inside = step(0.20, 0.05, chips.border) * step(0.38, 0.05, chips.random)
        color = mix(color, chip, inside)
    return color


def asphalt(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Dark tar full of small grey stones, some of them pale."""
    stones = warped_cells(points, 0.0375)
    stone = step(0.12, 0.2, stones.border)
    worn = noise(points / 0.3)[:, 0]
    tone = 0.55 + 0.7 * stones.random + 0.5 * (worn - 0.5)
    color = shaded(style.first, 0.45 + tone * stone)
    return mix(color, style.second, 0.7 * stone * step(0.90, 0.06, stones.random))


def gravel(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Small broken stones of many greys and browns with dark gaps."""
    stones = warped_cells(points, 0.075)
    warm = rgb(points, 0.62, 0.52, 0.42)
    color = mix(style.first, warm, step(0.5, 0.8, noise(points / 0.15)[:, 0]))
    gap = 1 - step(0.12, 0.2, stones.border)
    return shaded(color, (0.5 + 0.8 * stones.random) * (1 - 0.85 * gap))


def malachite(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Polished green stone, banded light and dark around its kernels."""
    kernels = warped_cells(points, 0.3)
    return ramp(
        kernels.nearest,
        [
            (0.08, (0.01, 0.20, 0.12)),
            (0.22, (0.42, 0.78, 0.58)),
            (0.34, (0.02, 0.30, 0.18)),
            (0.48, (0.30, 0.68, 0.48)),
            (0.62, (0.01, 0.22, 0.13)),
        ],
    )


def jade(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Milky stone clouded dark and pale, with fine veins."""
    cloud = fractal(points / 0.3, 4, 0.55)
    color = mix(0.55 * style.first, style.first, step(0.46, 0.25, cloud[:, 0]))
    color = mix(color, style.second, 0.8 * step(0.58, 0.25, cloud[:, 0]))
    vein = 1 - step(0.012, 0.02, (cloud[:, 1] - 0.5).abs())
    return mix(color, style.second, 0.4 * vein)


def plaster(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Roughcast: a coat of coarse and fine grains, a little uneven."""
    coarse, fine = warped_cells(points, 0.075), warped_cells(points, 0.0375)
    uneven = noise(points / 0.3)[:, 0]
    grains = 0.16 * coarse.nearest + 0.14 * fine.nearest
    return shaded(style.first, 1.03 - grains + 0.06 * (uneven - 0.5))
