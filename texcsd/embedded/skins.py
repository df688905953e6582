"""Patterns of animals: hides, furs, scales and feathers.

Markings of coats are warped waves and cells in space; scales lie in shifted rows on the surface.
"""

import torch
from torch import Tensor

from texcsd.embedded.noise import fractal, mix, noise, ramp, step, warped_cells
from texcsd.embedded.patterns import (
    Style,
    bent,
    lattice,
    overlapping,
    planar,
    rgb,
    shaded,
    strands,
    wave,
)


def leather(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Brown hide: pebbled grain, soft wrinkles between them, a few creases, pale where rubbed."""
    grain, pores = warped_cells(points, 0.0375), warped_cells(points, 0.075)
    folds = warped_cells(points, 0.3)
    patina = fractal(points / 0.3, 2)
    crease = (1 - step(0.04, 0.10, folds.border)) * step(0.56, 0.2, patina[:, 1])
    groove = 1 - step(0.16, 0.3, grain.border)
    wrinkle = 1 - step(0.12, 0.3, pores.border)
    shade = 1.12 + 0.25 * (patina[:, 0] - 0.5) - 0.20 * groove - 0.10 * wrinkle
    color = shaded(style.first, (shade + 0.12 * (grain.random - 0.5)) * (1 - 0.35 * crease))
    rubbed = 0.14 * step(0.62, 0.25, patina[:, 0])
    return mix(color, 0.5 * style.first + rgb(points, 0.47, 0.40, 0.31), rubbed)


def zebra(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Crisp, slightly wavy stripes, mostly level, some thinner than others."""
    # Along the surface, so that level faces are striped and not blotched.
    _, up = bent(points, normals)
    stripe = wave(up, 0.3) + 0.6 * (noise(points / 0.3)[:, 2] - 0.5)
    return mix(style.second, style.first, step(0.05, 0.25, stripe))


def tiger(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Thin broken dark stripes on fur."""
    _, up = bent(points, normals)
    stripe = wave(up, 0.3) - 1.6 * (noise(points / 0.3)[:, 2] - 0.34)
    fur = strands(points, normals, 0.0375)[:, 0]
    coat = shaded(style.first, 0.80 + 0.4 * fur)
    return mix(coat, style.second, step(0.25, 0.3, stripe))


def leopard(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Open rosettes on a tan coat."""
    spots = warped_cells(points, 0.15)
    uneven = noise(points / 0.075)
    # The border alone makes angular rosettes, the distance alone leaves bare places between cells.
    inward = torch.minimum(0.8 * spots.border, 0.8 - 1.1 * spots.nearest)
    ring = step(0.10, 0.08, inward) - step(0.30, 0.10, inward)
    ring = ring * step(0.35, 0.2, uneven[:, 0])
    coat = mix(style.first, style.first * 0.68, step(0.26, 0.12, inward))
    return mix(shaded(coat, 0.88 + 0.24 * uneven[:, 1]), style.second, ring)


def giraffe(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Brown patches between light lines."""
    patches = warped_cells(points, 0.3)
    inside = step(0.09, 0.06, patches.border)
    tone = 0.78 + 0.35 * patches.random + 0.25 * (fractal(points / 0.15, 2)[:, 0] - 0.5)
    return mix(style.second, shaded(style.first, tone), inside)


def cow(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Large blotches of two colours."""
    blotch = fractal(points / 0.6, 3)[:, 0]
    color = mix(style.second, style.first, step(0.52, 0.05, blotch))
    return shaded(color, 0.93 + 0.1 * noise(points / 0.0375)[:, 0])


def dalmatian(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Small uneven dark spots, scattered on white."""
    spots = warped_cells(points, 0.15)
    size = 0.24 + 0.22 * spots.random
    return mix(style.second, style.first, step(0.0, 0.08, spots.nearest - size))


def fur(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Shaggy coat: locks that end at uneven heights, dark below, with dark and pale hairs."""
    hairs = strands(points, normals, 0.0375)
    _, up = bent(points, normals)
    layer = 0.5 + 0.5 * wave(up + 0.3 * (hairs[:, 2] - 0.5), 0.3)
    dark = 1 - step(0.06, 0.12, (hairs[:, 0] - hairs[:, 1]).abs())
    pale = 1 - step(0.06, 0.12, (hairs[:, 1] - hairs[:, 3]).abs())
    color = shaded(style.first, 0.80 + 0.22 * layer - 0.24 * dark)
    return mix(color, 0.5 * style.first + rgb(points, 0.49, 0.46, 0.41), 0.7 * pale)


def scales(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Overlapping rounded scales with light rims, dark where they vanish below the next."""
    _, depth, tone = overlapping(*planar(points, normals), 0.15, 0.15)
    shade = 1.15 - 0.65 * depth.clamp(0, 1.2) + 0.3 * (tone - 0.5)
    color = shaded(style.first, shade)
    return mix(color, style.second, 0.7 * (1 - step(0.10, 0.10, depth)))


def peacock(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Overlapping feathers with an eye each: blue in turquoise in bronze on green."""
    x, depth, _ = overlapping(*planar(points, normals), 0.3, 0.3)
    away = torch.hypot(x, 0.8 * (depth - 0.45))
    barbs = 0.85 + 0.3 * step(0, 1, torch.sin(60 * torch.atan2(x, depth + 0.01)))
    color = ramp(
        away,
        [
            (0.09, (0.05, 0.06, 0.35)),
            (0.12, (0.05, 0.60, 0.70)),
            (0.20, (0.05, 0.55, 0.62)),
            (0.22, (0.62, 0.42, 0.12)),
            (0.31, (0.60, 0.50, 0.14)),
            (0.34, (0.06, 0.42, 0.20)),
            (0.55, (0.03, 0.22, 0.14)),
        ],
    )
    return shaded(color, barbs)


def snake(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Small diamond scales, coloured in large dark-rimmed diamonds."""
    across, up = planar(points, normals)
    # Sums of two cosines: their contours at zero are diamonds.
    scale = 0.5 * (wave(across + 0.0375, 0.15) + wave(up + 0.0375, 0.15)).abs()
    large = 0.5 * (wave(across + 0.15, 0.6) + wave(up + 0.15, 0.6))
    color = ramp(
        large,
        [
            (-0.36, (0.55, 0.38, 0.17)),
            (-0.28, (0.14, 0.09, 0.05)),
            (-0.06, (0.14, 0.09, 0.05)),
            (0.02, (0.84, 0.74, 0.50)),
            (0.80, (0.62, 0.52, 0.30)),
        ],
    )
    tone = 0.9 + 0.4 * (noise(points / 0.075)[:, 0] - 0.5)
    return shaded(color, tone * (0.40 + 0.65 * step(0.16, 0.3, scale)))


def crocodile(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Rows of raised squarish plates with dark gaps."""
    across, up = planar(points, normals)
    warp = noise(points / 0.15)
    cell = lattice(across + 0.05 * warp[:, 0], up + 0.05 * warp[:, 1], 0.15, 0.15, shift=0.5)
    edge = 0.5 - (cell.x.abs() ** 3 + cell.y.abs() ** 3) ** (1 / 3)
    rough = fractal(points / 0.075, 2)[:, 0]
    ridge = 1 - step(0.1, 0.16, cell.x.abs())
    shade = 0.30 + 0.75 * step(0.10, 0.18, edge) + 0.25 * ridge + 0.5 * (rough - 0.5)
    return shaded(style.first, shade * (0.8 + 0.4 * cell.random[:, 0]))


def feathers(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Rows of overlapping rounded feathers: pale shafts and rims, dark where they vanish below."""
    side, depth, tone = overlapping(*planar(points, normals), 0.3, 0.3)
    shaft = 1 - step(0.03, 0.04, side.abs())
    barbs = strands(points, normals, 0.0375)[:, 0]
    shade = 1.05 - 0.60 * step(0.45, 0.9, depth) + 0.5 * (barbs - 0.5) + 0.3 * (tone - 0.5)
    rim = 1 - step(0.10, 0.10, depth)
    return mix(shaded(style.first, shade), style.second, torch.maximum(0.8 * shaft, 0.7 * rim))
