"""Patterns of what is built: bricks, tiles, roofs and painted walls.

Courses are level and joints stand out; see `patterns` for the rules.
"""

import torch
from torch import Tensor

from texcsd.embedded.noise import fractal, mix, noise, step, warped_cells
from texcsd.embedded.patterns import (
    Style,
    lattice,
    overlapping,
    planar,
    rgb,
    shaded,
)


def brick(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Courses in running bond with mortar joints; every brick has its own tone."""
    cell = lattice(*planar(points, normals), 0.3, 0.15, shift=0.5)
    joint = torch.minimum((0.5 - cell.x.abs()) * 0.3, (0.5 - cell.y.abs()) * 0.15)
    rough = fractal(points / 0.075, 3)
    mortar = 1 - step(0.014, 0.010, joint + 0.008 * (rough[:, 0] - 0.5))
    tone = 0.70 + 0.50 * cell.random[:, 0]
    color = shaded(style.first, tone * (0.8 + 0.4 * rough[:, 1]))
    return mix(color, shaded(style.second, 0.9 + 0.2 * rough[:, 2]), mortar)


def tiles(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Square tiles of varying tone with joints of the second colour."""
    across, up = planar(points, normals)
    cell = lattice(across, up, 0.3, 0.3)
    edge = 0.5 - torch.maximum(cell.x.abs(), cell.y.abs())
    tone = (0.82 + 0.36 * cell.random[:, 0]) * (0.94 + 0.12 * noise(points / 0.15)[:, 0])
    return mix(style.second, shaded(style.first, tone), step(0.05, 0.04, edge))


def roof(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Overlapping rounded tiles in rows, with dark shadows below their rims."""
    _, depth, tone = overlapping(*planar(points, normals), 0.15, 0.15)
    rough = noise(points / 0.0375)[:, 0]
    shade = 1.05 - 0.30 * depth.clamp(0, 1.3) + 0.5 * (tone - 0.5) + 0.2 * (rough - 0.5)
    return shaded(style.first, shade * (0.30 + 0.70 * step(0.10, 0.12, depth)))


def shingles(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Rectangular slates in shifted rows, with dark shadows below every row."""
    cell = lattice(*planar(points, normals), 0.15, 0.15, shift=0.5)
    rough = fractal(points / 0.075, 2)[:, 0]
    gap = step(0.035, 0.04, 0.5 - cell.x.abs())
    shadow = step(0.13, 0.16, 0.5 - cell.y)
    tone = 0.70 + 0.55 * cell.random[:, 0] + 0.4 * (rough - 0.5)
    return shaded(style.first, tone * (0.35 + 0.65 * gap) * (0.35 + 0.65 * shadow))


def graffiti(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Splashes of many bright paints over a light wall."""
    color = rgb(points, 0.88, 0.87, 0.84).expand(len(points), 3)
    paints = (
        (0.10, 0.08, 0.12),
        (0.90, 0.12, 0.35),
        (0.98, 0.80, 0.08),
        (0.08, 0.55, 0.85),
        (0.15, 0.70, 0.30),
    )
    shapes = torch.cat([noise(points / 0.3), noise(points / 0.15)], -1)
    ragged = fractal(points / 0.075, 2)[:, 0]
    for index, paint in enumerate(paints):
        splash = shapes[:, index] + 0.35 * (ragged - 0.5)
        color = mix(color, rgb(points, *paint), step(0.66, 0.02, splash))
    return color


def mosaic(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Small uneven stones of the first colour, its shades and gold, in pale mortar."""
    stones = warped_cells(points, 0.075)
    area = noise(points / 0.3)[:, 0]
    color = shaded(style.first, 0.55 + 0.9 * stones.random)
    color = mix(color, shaded(style.second, 0.8 + 0.3 * stones.random), step(0.56, 0.03, area))
    gold = rgb(points, 0.86, 0.66, 0.22)
    color = mix(color, gold, (stones.random > 0.86).to(points))
    return mix(rgb(points, 0.84, 0.81, 0.75), color, step(0.12, 0.10, stones.border))


def peeling(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Old paint that has come off in ragged flakes, rust below it, dark cracks around."""
    flake = fractal(points / 0.3, 4, 0.6)
    bare = step(0.56, 0.02, flake[:, 0])
    lifted = step(0.53, 0.02, flake[:, 0]) - bare
    cracks = 1 - step(0.03, 0.04, warped_cells(points, 0.15).border)
    paint = shaded(style.first, 1.0 + 0.25 * (flake[:, 1] - 0.5) + 0.22 * lifted - 0.25 * cracks)
    below = mix(rgb(points, 0.26, 0.13, 0.08), rgb(points, 0.60, 0.32, 0.15), flake[:, 2])
    return mix(paint, below, bare)
