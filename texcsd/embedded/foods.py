"""Patterns of things to eat.

Each has one thing that gives it away: seeds, holes, sprinkles; see `patterns` for the rules.
"""

import torch
from torch import Tensor

from texcsd.embedded.noise import fractal, mix, noise, step, warped_cells
from texcsd.embedded.patterns import Style, lattice, planar, rgb, shaded, wave


def watermelon(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Rind: upright jagged dark green stripes on light green."""
    across, _ = planar(points, normals)
    warp = fractal(points / 0.15, 3)
    stripe = wave(across + 0.16 * (warp[:, 0] - 0.5), 0.3) + 2.2 * (warp[:, 1] - 0.5)
    light = shaded(rgb(points, 0.56, 0.74, 0.32), 0.85 + 0.3 * warp[:, 2])
    return mix(light, rgb(points, 0.06, 0.26, 0.08), step(0.05, 0.5, stripe))


def chocolate(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """A bar: bevelled squares in rows, light above and dark below."""
    across, up = planar(points, normals)
    cell = lattice(across, up, 0.3, 0.3)
    side, height = (0.5 - cell.x.abs()) * 0.3, (0.5 - cell.y.abs()) * 0.3
    bevel = 1 - step(0.045, 0.012, torch.minimum(side, height))
    upright = height < side
    slope = torch.where(upright, cell.y.sign(), 0.6 * cell.x.sign())
    gap = 1 - step(0.008, 0.010, torch.minimum(side, height))
    gloss = noise(points / 0.3)[:, 0]
    return shaded(style.first, 0.90 + 0.25 * gloss + 0.50 * bevel * slope - 0.55 * gap)


def cheese(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Yellow with round holes of many sizes, shaded within."""
    holes = warped_cells(points, 0.3)
    size = 0.22 + 0.24 * holes.random
    inside = 1 - step(0.0, 0.05, holes.nearest - size)
    rim = 1 - step(0.03, 0.05, (holes.nearest - size).abs())
    color = shaded(style.first, 0.94 + 0.10 * noise(points / 0.15)[:, 0])
    hole = mix(style.first * 0.48, style.first * 0.80, (holes.nearest / size).clamp(0, 1))
    return shaded(mix(color, hole, inside), 1 - 0.25 * rim)


def sprinkles(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Sugar pearls of many colours, large and small, strewn on smooth icing."""
    color = style.first.expand(len(points), 3)
    for size, radius in ((0.075, 0.36), (0.15, 0.34)):
        pearls = warped_cells(points, size)
        hue = pearls.random[:, None] + torch.tensor([0.0, 0.33, 0.67], device=points.device)
        pearl = 0.52 + 0.46 * torch.cos(2 * torch.pi * hue)
        pearl = shaded(pearl, 1.15 - 1.0 * pearls.nearest)
        color = mix(color, pearl, 1 - step(radius, 0.06, pearls.nearest))
    return color.clamp(0, 1)


def strawberry(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Red with small yellow seeds in dimples, in shifted rows."""
    across, up = planar(points, normals)
    cell = lattice(across, up, 0.15, 0.15, shift=0.5)
    away = torch.hypot(1.9 * cell.x, cell.y)
    red = shaded(rgb(points, 0.86, 0.08, 0.10), 0.90 + 0.2 * noise(points / 0.3)[:, 0])
    red = shaded(red, 0.58 + 0.42 * step(0.34, 0.25, away))
    return mix(red, rgb(points, 0.96, 0.82, 0.36), 1 - step(0.26, 0.08, away))


def cookie(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Baked dough, cracked and browned in places, with dark chips."""
    dough = fractal(points / 0.15, 3, 0.6)
    chips = warped_cells(points, 0.15)
    crack = 1 - step(0.015, 0.03, (dough[:, 1] - 0.5).abs())
    color = shaded(style.first, 1.0 + 0.8 * (dough[:, 0] - 0.5) - 0.2 * crack)
    chip = (1 - step(0.30, 0.08, chips.nearest)) * step(0.40, 0.05, chips.random)
    return mix(color, shaded(style.second, 0.8 + 0.6 * dough[:, 2]), chip)
