"""Patterns of plants: wood in all its forms, grass, leaves and flowers.

Grain, blades and bark run upwards; see `patterns` for the rules.
"""

import torch
from torch import Tensor

from texcsd.embedded.noise import fractal, mix, noise, ramp, step, warped_cells
from texcsd.embedded.patterns import (
    Style,
    bent,
    distance_to_line,
    lattice,
    planar,
    rgb,
    shaded,
    strands,
)


def wood(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Flat-sawn: upright bent growth rings, dark at one edge, of uneven strength; fine fibres."""
    across, _ = bent(points, normals)
    ring = across / 0.15
    ring = ring - ring.floor()
    late = step(0.60, 0.75, ring) * (1 - step(0.94, 0.12, ring))
    uneven = noise(points / 0.3)
    band = late * (0.55 + 0.45 * step(0.45, 0.4, uneven[:, 3]))
    fibre, tone = strands(points, normals, 0.0375)[:, 1], uneven[:, 2]
    shade = 1.06 - 0.12 * band - 0.32 * (fibre - 0.5) + 0.25 * (tone - 0.5)
    return shaded(mix(style.first, style.second, 0.95 * band), shade)


def planks(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Upright boards of varying tone with dark gaps and grain."""
    across, up = planar(points, normals)
    # Boards are upright: the lattice's rows run across.
    cell = lattice(up, across, 1.2, 0.3, shift=0.5)
    away = torch.stack([across / 0.075, up / 0.6, 4 * cell.random[:, 0]], -1)
    grain = torch.sin(14 * fractal(away, 2)[:, 0] + 40 * cell.y)
    edge = torch.minimum((0.5 - cell.x.abs()) * 1.2, (0.5 - cell.y.abs()) * 0.3)
    tone = 0.75 + 0.45 * cell.random[:, 1] + 0.12 * grain
    nail = torch.hypot((0.5 - cell.x.abs()) * 1.2 - 0.06, cell.y * 0.3)
    shade = tone * (0.22 + 0.78 * step(0.012, 0.014, edge)) * (0.4 + 0.6 * step(0.022, 0.01, nail))
    return shaded(style.first, shade)


def bark(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Thick upright ridges with deep dark furrows."""
    ridges = torch.maximum(*strands(points, normals, 0.075)[:, :2].unbind(-1))
    rough = strands(points, normals, 0.0375)[:, 2]
    shade = 0.20 + 0.85 * step(0.52, 0.30, ridges) + 0.8 * (rough - 0.5)
    return shaded(style.first, shade)


def bamboo(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Upright canes side by side with a knot every now and then."""
    across, up = planar(points, normals)
    cell = lattice(up, across, 0.6, 0.15, shift=0.25)
    round_ = (1 - (2 * cell.y) ** 2).clamp(min=0).sqrt()
    joint = (0.5 - cell.x.abs()) * 0.6
    shade = (0.30 + 0.75 * round_) * (0.45 + 0.55 * step(0.014, 0.014, joint))
    shade = shade + 0.22 * (1 - step(0.02, 0.02, (joint - 0.045).abs())) * round_
    return shaded(style.first, shade * (0.85 + 0.3 * cell.random[:, 0]))


def grass(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """A lawn: thin light blades in two layers, brightest at the tips, over dark roots."""
    blades, short = strands(points, normals, 0.0375), noise(points / 0.0375)
    behind = 1 - step(0.06, 0.10, (blades[:, 0] - blades[:, 1]).abs())
    before = 1 - step(0.06, 0.10, (blades[:, 2] - blades[:, 3]).abs())
    tips = 0.3 + 0.7 * step(0.5, 0.3, short)
    ground = mix(
        rgb(points, 0.13, 0.32, 0.04), rgb(points, 0.27, 0.50, 0.08), step(0.5, 0.5, short[:, 3])
    )
    color = mix(ground, rgb(points, 0.40, 0.63, 0.14), behind * tips[:, 0])
    return mix(color, rgb(points, 0.66, 0.80, 0.30), before * tips[:, 1])


def straw(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Dry stalks lying criss-cross."""
    first, other = strands(points, normals, 0.0375), strands(points, normals, 0.075)
    stalk = torch.maximum(first[:, 0], torch.maximum(first[:, 3], other[:, 1]))
    return shaded(style.first, 0.15 + 1.15 * step(0.57, 0.5, stalk))


def moss(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Soft green clumps."""
    clumps = warped_cells(points, 0.15)
    soft = fractal(points / 0.15, 3, 0.6)[:, 0]
    value = 0.65 * soft + 0.45 * (0.75 - clumps.nearest)
    return ramp(
        value,
        [(0.2, (0.07, 0.11, 0.03)), (0.45, (0.25, 0.34, 0.08)), (0.7, (0.52, 0.58, 0.18))],
    )


def _leaf(across: Tensor, up: Tensor, size: float) -> tuple[Tensor, Tensor, Tensor]:
    """Leaves turned at random, one a cell: how far inside (0 at the rim), vein, random number."""
    cell = lattice(across, up, size, size, shift=0.5)
    angle = 6.28 * cell.random[:, 0]
    along = cell.x * torch.cos(angle) + cell.y * torch.sin(angle)
    side = (cell.y * torch.cos(angle) - cell.x * torch.sin(angle)).abs()
    inside = 0.30 * (1 - (2 * along).abs() ** 1.6) - side
    ribs = torch.sin(38 * (along + 0.9 * side))
    vein = torch.maximum(1 - step(0.02, 0.03, side), 0.6 * step(0.8, 0.4, ribs))
    return inside, vein, cell.random[:, 1]


def leaves(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Pointed leaves with light veins, over darker leaves."""
    across, up = planar(points, normals)
    color = shaded(style.first, 0.16 + 0.25 * noise(points / 0.075)[:, 0])
    for layer in range(3):
        inside, vein, tone = _leaf(across + 0.08 * layer, up + (0.0, 0.15, 0.06)[layer], 0.3)
        blade = mix(style.first, style.second, tone)
        blade = blade * (0.55 + 0.25 * layer) + 0.16 * vein[:, None]
        rim = 0.45 + 0.55 * step(0.03, 0.04, inside)
        color = mix(color, shaded(blade, rim), step(0.0, 0.015, inside))
    return color.clamp(0, 1)


def floral(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Five-petalled flowers with yellow hearts and green leaves on a plain ground."""
    across, up = planar(points, normals)
    cell = lattice(across, up, 0.3, 0.3, shift=0.5)
    radius = torch.hypot(cell.x, cell.y)
    angle = torch.atan2(cell.y, cell.x) + 6.28 * cell.random[:, 0]
    petal = step(0.0, 0.04, 0.26 + 0.12 * torch.cos(5 * angle) - radius)
    leaf = step(0.0, 0.04, 0.34 + 0.14 * torch.cos(2 * angle + 1.5) - radius)
    color = mix(style.second, rgb(points, 0.20, 0.48, 0.18), leaf)
    color = mix(color, shaded(style.first, 0.75 + 1.0 * radius), petal)
    return mix(color, rgb(points, 0.98, 0.80, 0.15), 1 - step(0.10, 0.04, radius))


def parquet(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Squares of narrow wooden strips, some laid upright and some level."""
    across, up = planar(points, normals)
    square = lattice(across, up, 0.3, 0.3, shift=0.5)
    upright = square.random[:, 0] > 0.5
    gap = torch.minimum(0.5 - square.x.abs(), 0.5 - square.y.abs()) * 0.3
    strip = distance_to_line(torch.where(upright, across, up) / 0.075) * 0.075
    fibre = strands(points, normals, 0.0375)[:, 0]
    grain = torch.where(upright, fibre, noise(points / 0.075)[:, 1])
    tone = (0.72 + 0.4 * square.random[:, 0]) * (0.8 + 0.4 * grain)
    return shaded(style.first, tone * (0.35 + 0.65 * step(0.007, 0.01, torch.minimum(gap, strip))))


def cork(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Pressed grains of varying tone with dark specks."""
    grains, specks = warped_cells(points, 0.0375), noise(points / 0.0375)
    color = shaded(style.first, 0.74 + 0.5 * grains.random + 0.2 * (specks[:, 1] - 0.5))
    return mix(color, style.second, 0.8 * step(0.68, 0.08, specks[:, 0]))
