"""The patterns of the materials, as functions of points in space.

Not of texture coordinates: so they wrap any shape without seams. Lengths are in units of the unit
sphere every object is fitted into: a brick course is 0.17 high. Directions mean something: y is up,
so stripes and brick courses run horizontally and wood grain runs upwards, and all views of one
object agree on it.

Every pattern takes points float[n, 3], unit normals float[n, 3] and a style, and returns the sRGB
base colour float[n, 3].
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from texcsd.embedded.noise import cells, fractal, mix, noise, ramp, step


@dataclass(frozen=True)
class Style:
    """One random instance of a material."""

    first: Tensor
    """float[3], main colour, sRGB."""
    second: Tensor
    """float[3], the other colour, sRGB."""
    offset: Tensor
    """float[3], where in the endless noise this instance lies."""
    scale: float
    """Multiplies every length of the pattern."""


def planar(points: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
    """The two coordinates along the surface, by the axis the normal points along most.

    The second one is the height wherever the surface is not horizontal.
    """
    x, y, z = points.unbind(-1)
    axis = normals.abs().argmax(dim=-1)
    across = torch.where(axis == 0, z, x)
    return across, torch.where(axis == 1, z, y)


def _distance_to_line(value: Tensor) -> Tensor:
    """Distance to the nearest integer."""
    return (value - value.round()).abs()


def leather(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Hide cells with dark creases, fine pores, lighter where worn."""
    coarse = points / style.scale + style.offset
    warp = noise(coarse * 6)[:, :3] * 0.5
    grain = cells(coarse * 8.5 + warp)
    fine = cells(coarse * 24 + warp)
    crease = 1 - step(0.08, 0.16, grain.border)
    pore = 1 - step(0.12, 0.2, fine.border)
    worn = fractal(coarse * 2.2, 3)
    shade = 1.05 + 0.55 * (worn[:, 0] - 0.5) - 0.40 * crease - 0.12 * pore
    return (style.first * shade[:, None]).clamp(0, 1)


def brick(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Courses in running bond with mortar joints; every brick has its own tone."""
    length, height, depth = 0.40, 0.17, 0.20
    p = points / style.scale + style.offset
    row = (p[:, 1] / height).floor()
    shifted = p[:, 0] / length + 0.5 * row
    deep = p[:, 2] / depth + 0.5 * row
    # A face that lies in a joint would be all mortar: joints across the normal do not count.
    facing = normals.abs() > 0.75
    joints = torch.stack(
        [
            _distance_to_line(shifted) * length + facing[:, 0],
            _distance_to_line(p[:, 1] / height) * height + facing[:, 1],
            _distance_to_line(deep) * depth + facing[:, 2],
        ]
    ).amin(0)
    rough = fractal(p * 14, 3)
    mortar = 1 - step(0.016, 0.010, joints + 0.010 * (rough[:, 0] - 0.5))
    brick_id = torch.stack([shifted.round(), row, deep.round()], -1) * 1.37 + 0.5
    tone = noise(brick_id)[:, :2]
    color = style.first * (0.72 + 0.5 * tone[:, :1]) * (0.8 + 0.4 * rough[:, 1:2])
    return mix(color, style.second * (0.9 + 0.2 * rough[:, 2:3]), mortar).clamp(0, 1)


def wood(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Growth rings around the upright axis, and fibres along it."""
    p = points / style.scale
    wobble = fractal(p * torch.tensor([1.3, 0.5, 1.3], device=p.device) + style.offset, 3)
    away = p[:, [0, 2]] + style.offset[:2] * 0.08 + 0.16 * (wobble[:, :2] - 0.5)
    radius = away.norm(dim=-1) * 9
    ring = radius - radius.floor()
    band = step(0.65, 0.6, ring) * (1 - step(0.96, 0.08, ring))
    fibre = fractal(p * torch.tensor([34.0, 2.6, 34.0], device=p.device) + style.offset, 3)
    shade = 1.12 - 0.42 * band - 0.55 * (fibre[:, 0] - 0.42)
    return (mix(style.first, style.second, 0.65 * band) * shade[:, None]).clamp(0, 1)


def zebra(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Wavy black and white stripes, mostly level."""
    p = points / style.scale
    warp = fractal(p * 1.5 + style.offset, 3)
    phase = p[:, 0] * 0.8 + p[:, 1] * 3.7 + p[:, 2] * 1.0 + 2.4 * (warp[:, 0] - 0.5)
    wave = torch.sin(2 * torch.pi * phase) + 0.5 * (warp[:, 1] - 0.5)
    return mix(style.second, style.first, step(0.0, 0.35, wave))


def tiger(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Broken dark stripes on fur."""
    p = points / style.scale
    warp = fractal(p * 2.2 + style.offset, 3)
    phase = p[:, 0] * 0.7 + p[:, 1] * 3.1 + p[:, 2] * 0.9 + 2.6 * (warp[:, 0] - 0.5)
    wave = torch.sin(2 * torch.pi * phase) - 1.4 * (warp[:, 1] - 0.30)
    fur = fractal(p * 22 + style.offset, 2)
    coat = style.first * (0.85 + 0.35 * (fur[:, :1] - 0.2))
    return mix(coat, style.second, step(0.25, 0.35, wave)).clamp(0, 1)


def leopard(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Open rosettes on a tan coat."""
    p = points / style.scale + style.offset
    warp = noise(p * 7)[:, :3]
    spots = cells(p * 5.2 + 0.35 * warp, jitter=0.7)
    uneven = noise(p * 11)
    ring = step(0.17, 0.10, spots.nearest) - step(0.36, 0.10, spots.nearest)
    ring = ring * step(0.32, 0.2, uneven[:, 0])
    inside = 1 - step(0.24, 0.12, spots.nearest)
    coat = mix(style.first, style.first * 0.68, inside)
    return mix(coat * (0.88 + 0.24 * uneven[:, 1:2]), style.second, ring).clamp(0, 1)


def giraffe(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Brown patches between light lines."""
    p = points / style.scale + style.offset
    patches = cells(p * 3.6 + 0.25 * noise(p * 5)[:, :3], jitter=0.75)
    inside = step(0.13, 0.07, patches.border)
    tone = 0.78 + 0.35 * patches.random + 0.25 * (fractal(p * 9, 2)[:, 0] - 0.5)
    return mix(style.second, style.first * tone[:, None], inside).clamp(0, 1)


def cow(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Large blotches of two colours."""
    p = points / style.scale + style.offset
    blotch = fractal(p * 2.3, 3)[:, 0]
    fur = 0.93 + 0.12 * noise(p * 25)[:, :1]
    return (mix(style.second, style.first, step(0.52, 0.05, blotch)) * fur).clamp(0, 1)


def metal(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Softly hammered metal with brighter spots."""
    p = points / style.scale + style.offset
    hammered = fractal(p * 5, 3)
    shade = 0.98 + 0.9 * (hammered[:, 0] - 0.5)
    color = style.first * shade[:, None]
    return mix(color, style.second, 0.8 * step(0.66, 0.25, hammered[:, 1])).clamp(0, 1)


def rust(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Flaking browns and oranges with some bare steel."""
    p = points / style.scale + style.offset
    rough = fractal(p * 4, 5, 0.62)
    color = ramp(
        rough[:, 0],
        [
            (0.30, (0.20, 0.10, 0.07)),
            (0.42, (0.42, 0.17, 0.07)),
            (0.52, (0.66, 0.31, 0.10)),
            (0.66, (0.80, 0.46, 0.20)),
        ],
    )
    steel = torch.tensor([0.42, 0.43, 0.45], device=p.device)
    return mix(color, steel, step(0.66, 0.06, rough[:, 1])).clamp(0, 1)


def grass(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Blades, denser and lighter in places."""
    p = points / style.scale
    lean = noise(p * 6 + style.offset)[:, :3]
    blades = fractal(
        p * torch.tensor([26.0, 7.0, 26.0], device=p.device) + 2.5 * lean + style.offset, 2
    )
    field_tone = fractal(p * 2 + style.offset, 2)[:, 0]
    color = ramp(
        blades[:, 0] + 0.35 * (field_tone - 0.5),
        [
            (0.22, (0.03, 0.13, 0.02)),
            (0.45, (0.16, 0.42, 0.07)),
            (0.62, (0.36, 0.64, 0.13)),
            (0.80, (0.66, 0.80, 0.30)),
        ],
    )
    return color.clamp(0, 1)


def moss(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Soft green clumps."""
    p = points / style.scale + style.offset
    clumps = cells(p * 9 + noise(p * 8)[:, :3])
    soft = fractal(p * 5, 4, 0.6)[:, 0]
    value = 0.65 * soft + 0.45 * (0.75 - clumps.nearest)
    return ramp(
        value,
        [(0.2, (0.07, 0.11, 0.03)), (0.45, (0.25, 0.34, 0.08)), (0.7, (0.52, 0.58, 0.18))],
    )


def lava(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Dark plates with glowing cracks between them."""
    p = points / style.scale + style.offset
    warp = fractal(p * 4, 2)[:, :3]
    plates = cells(p * 3.4 + 0.8 * warp)
    crust = fractal(p * 9, 3)
    heat = 1.0 - plates.border * 2.6 + 0.5 * (crust[:, 0] - 0.5)
    return ramp(
        heat,
        [
            (0.10, (0.07, 0.05, 0.05)),
            (0.42, (0.20, 0.06, 0.04)),
            (0.58, (0.78, 0.13, 0.02)),
            (0.74, (1.0, 0.45, 0.03)),
            (0.92, (1.0, 0.86, 0.30)),
        ],
    )


def plaid(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Wide and thin bands crossing at right angles, woven."""
    across, up = planar(points, normals)
    first, second = style.first, style.second
    color = first.expand(len(points), 3)
    for coordinate in (across, up):
        phase = coordinate / (0.46 * style.scale) + style.offset[0]
        phase = phase - phase.floor()
        wide = step(0.30, 0.03, (phase - 0.5).abs())
        thin = 1 - step(0.035, 0.03, (phase - 0.5).abs())
        color = mix(color, second, 0.5 * wide)
        light = torch.ones(3, device=points.device) * 0.92
        color = mix(color, light, 0.6 * thin)
    twill = 0.95 + 0.1 * torch.sin((across + up) * 150 / style.scale)
    return (color * twill[:, None]).clamp(0, 1)


def stripes(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Level bands; on level surfaces they run from left to right."""
    _, up = planar(points, normals)
    wave = torch.sin(2 * torch.pi * (up / (0.36 * style.scale) + style.offset[0]))
    return mix(style.first, style.second, step(0.0, 0.25, wave))


def dots(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Round dots in offset rows; the first colour is the ground."""
    across, up = planar(points, normals)
    size = 0.30 * style.scale
    row = (up / size + style.offset[1]).floor()
    x = across / size + style.offset[0] + 0.5 * row
    y = up / size + style.offset[1]
    distance = torch.hypot(x - x.floor() - 0.5, y - row - 0.5)
    return mix(style.second, style.first, step(0.30, 0.08, distance))


def checker(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Squares in turn of either colour."""
    across, up = planar(points, normals)
    size = 0.22 * style.scale
    odd = ((across / size + style.offset[0]).floor() + (up / size + style.offset[1]).floor()) % 2
    return mix(style.first, style.second, odd)


def tiles(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Square tiles of varying tone with joints of the second colour."""
    across, up = planar(points, normals)
    size = 0.24 * style.scale
    x, y = across / size + style.offset[0], up / size + style.offset[1]
    joint = torch.minimum(_distance_to_line(x), _distance_to_line(y))
    tone = noise(torch.stack([x.floor(), y.floor(), 0 * x], -1) * 1.7 + 0.5)[:, :1]
    glaze = 0.94 + 0.12 * noise(points * 9 + style.offset)[:, :1]
    return mix(
        style.second, style.first * (0.82 + 0.36 * tone) * glaze, step(0.06, 0.04, joint)
    ).clamp(0, 1)


def marble(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Veins and clouds of the second colour."""
    p = points / style.scale + style.offset
    warp = fractal(p * 1.8, 5, 0.6)
    vein = (torch.sin(7 * (p[:, 0] + 0.7 * p[:, 1] + 0.4 * p[:, 2]) + 11 * warp[:, 0])).abs()
    thin = (1 - step(0.10, 0.2, vein)) * step(0.42, 0.3, warp[:, 1])
    cloud = 0.30 * step(0.5, 0.5, warp[:, 2]) * (1 - vein)
    return mix(style.first, style.second, (0.8 * thin + cloud).clamp(0, 1))


def stone(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Rough stone with cracks."""
    p = points / style.scale + style.offset
    rough = fractal(p * 3, 5, 0.65)
    cracks = cells(p * 2.4 + 0.9 * rough[:, :3])
    crack = 1 - step(0.035, 0.04, cracks.border)
    shade = 0.55 + 0.95 * (rough[:, 0] - 0.05) - 0.45 * crack
    return (style.first * shade[:, None]).clamp(0, 1)


def cobble(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Rounded stones with dark gaps."""
    p = points / style.scale + style.offset
    stones = cells(p * 5, jitter=0.65)
    rounded = step(0.14, 0.22, stones.border)
    rough = fractal(p * 12, 3)[:, 0]
    tone = 0.55 + 0.6 * stones.random + 0.35 * (rough - 0.5)
    return (style.first * tone[:, None] * (0.22 + 0.78 * rounded[:, None])).clamp(0, 1)


def granite(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Grains of varying tone and dark specks."""
    p = points / style.scale + style.offset
    grains = cells(p * 19)
    speck = cells(p * 31 + 3.3)
    color = style.first * (0.62 + 0.68 * grains.random[:, None])
    return mix(color, style.second, step(0.78, 0.04, speck.random)).clamp(0, 1)


def concrete(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Clouded grey with pores."""
    p = points / style.scale + style.offset
    cloud = fractal(p * 2.5, 4, 0.55)[:, 0]
    pores = 1 - step(0.16, 0.06, cells(p * 12).nearest)
    shade = 0.98 + 0.45 * (cloud - 0.5) - 0.25 * pores
    return (style.first * shade[:, None]).clamp(0, 1)


def camouflage(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Patches of four muted colours."""
    p = points / style.scale + style.offset
    patch = fractal(p * 2.9, 2)
    color = mix(
        torch.tensor([0.30, 0.35, 0.18], device=p.device),
        torch.tensor([0.62, 0.56, 0.38], device=p.device),
        step(0.55, 0.015, patch[:, 0]),
    )
    color = mix(
        color, torch.tensor([0.29, 0.20, 0.12], device=p.device), step(0.58, 0.015, patch[:, 1])
    )
    return mix(
        color, torch.tensor([0.09, 0.11, 0.08], device=p.device), step(0.63, 0.015, patch[:, 2])
    )


def ice(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Pale blue with white cracks."""
    p = points / style.scale + style.offset
    rough = fractal(p * 2.6, 4, 0.6)
    crack = 1 - step(0.04, 0.06, cells(p * 2.8 + rough[:, :3]).border)
    color = ramp(
        rough[:, 0],
        [(0.3, (0.42, 0.68, 0.86)), (0.5, (0.66, 0.86, 0.95)), (0.7, (0.92, 0.97, 1.0))],
    )
    white = torch.tensor([0.97, 0.99, 1.0], device=p.device)
    return mix(color, white, 0.85 * crack)


def snow(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """White with faint blue drifts."""
    p = points / style.scale + style.offset
    drift = fractal(p * 4, 4)[:, 0]
    color = ramp(drift, [(0.3, (0.80, 0.87, 0.95)), (0.5, (0.94, 0.96, 0.98))])
    return color


def denim(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Twill weave, faded in places."""
    across, up = planar(points, normals)
    faded = fractal(points / style.scale * 3 + style.offset, 3)[:, 0]
    twill = torch.sin((across + up) * 2 * torch.pi / (0.045 * style.scale))
    thread = noise(
        torch.stack([across * 60, up * 14, points[:, 2] * 14], -1) / style.scale + style.offset
    )[:, 0]
    white = torch.tensor([0.72, 0.78, 0.86], device=points.device)
    return mix(
        style.first,
        white,
        (0.20 + 0.16 * twill + 0.5 * (faded - 0.45) + 0.3 * (thread - 0.5)).clamp(0, 1),
    )


def wool(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Columns of knitted stitches."""
    across, up = planar(points, normals)
    size = 0.085 * style.scale
    column = across / size + style.offset[0]
    side = (column - column.floor() - 0.5).abs()
    row = up / (size * 0.8) - 1.1 * side + style.offset[1]
    stitch = (row - row.floor() - 0.5).abs()
    fuzz = noise(points * 40 / style.scale + style.offset)[:, 0]
    shade = 1.12 - 0.95 * step(0.36, 0.25, stitch) * 0.6 - 0.5 * step(0.40, 0.16, side) * 0.7
    shade = shade + 0.35 * (fuzz - 0.5)
    return (style.first * shade[:, None]).clamp(0, 1)


def fur(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Hair hanging down in strands."""
    p = points / style.scale
    lean = noise(p * 2.5 + style.offset)[:, :3] - 0.5
    hair = fractal(
        p * torch.tensor([30.0, 5.0, 30.0], device=p.device) + 7 * lean + style.offset, 3
    )[:, 0]
    patch = noise(p * 3 + style.offset)[:, 1]
    shade = 0.9 + 1.3 * (hair - 0.5) + 0.3 * (patch - 0.5)
    return (style.first * shade[:, None]).clamp(0, 1)


def sand(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Fine grains in faint ripples."""
    p = points / style.scale + style.offset
    warp = fractal(p * 2, 2)
    ripple = torch.sin(p[:, 1] * 26 + p[:, 0] * 5 + 9 * warp[:, 0])
    grain = noise(p * 55)[:, 0]
    shade = 0.92 + 0.10 * ripple + 0.22 * (grain - 0.5)
    return (style.first * shade[:, None]).clamp(0, 1)


def water(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Light nets over deep blue."""
    p = points / style.scale + style.offset
    warp = fractal(p * 3, 2)[:, :3]
    caustic = 1 - step(0.10, 0.22, cells(p * 4 + 1.1 * warp).border)
    deep = fractal(p * 1.8, 3)[:, 0]
    color = ramp(deep, [(0.3, (0.02, 0.16, 0.38)), (0.7, (0.06, 0.46, 0.68))])
    return mix(color, torch.tensor([0.70, 0.92, 0.97], device=p.device), 0.75 * caustic)


def plain(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """One colour, very slightly uneven."""
    faint = noise(points / style.scale * 3 + style.offset)[:, :1]
    return (style.first * (0.97 + 0.06 * faint)).clamp(0, 1)
