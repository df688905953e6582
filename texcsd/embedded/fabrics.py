"""Patterns of cloth: what is woven, knitted, quilted or plaited.

Threads and checks follow the two coordinates along the surface; see `patterns` for the rules.
"""

import torch
from torch import Tensor

from texcsd.embedded.noise import fractal, mix, noise, step
from texcsd.embedded.patterns import (
    Style,
    bent,
    distance_to_line,
    lattice,
    planar,
    rgb,
    shaded,
    strands,
    stretch,
    wave,
)


def plaid(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Wide and thin bands crossing at right angles."""
    color = style.first.expand(len(points), 3)
    light = rgb(points, 0.92, 0.92, 0.92)
    for coordinate in planar(points, normals):
        away = distance_to_line(coordinate / 0.6)
        color = mix(color, style.second, 0.5 * step(0.28, 0.03, away))
        color = mix(color, light, 0.6 * (1 - step(0.03, 0.025, away)))
    return color.clamp(0, 1)


def gingham(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """White cloth with bands both ways, full colour where they cross."""
    across, up = planar(points, normals)
    bands = step(0.0, 0.3, wave(across, 0.3)) + step(0.0, 0.3, wave(up, 0.3))
    return mix(style.second, style.first, 0.5 * bands)


def denim(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Blue twill: upright uneven threads, slanted fine ribs, washed out in places."""
    across, up = planar(points, normals)
    thread, slub = strands(points, normals, 0.0375)[:, 0], strands(points, normals, 0.075)[:, 1]
    washed = fractal(points / 0.6, 2)[:, 0]
    amount = 0.22 + 0.11 * wave(across + up, 0.075) + 0.6 * (washed - 0.5)
    amount = amount + 0.9 * (thread - 0.5) + 0.4 * (slub - 0.5)
    return mix(style.first, rgb(points, 0.74, 0.80, 0.88), amount.clamp(0, 1))


def wool(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Columns of knitted stitches."""
    across, up = planar(points, normals)
    column = across / 0.15
    side = (column - column.floor() - 0.5).abs()
    row = up / 0.075 - 1.1 * side
    stitch = (row - row.floor() - 0.5).abs()
    fuzz = noise(points / 0.01875)[:, 0]
    shade = 1.12 - 0.55 * step(0.36, 0.25, stitch) - 0.38 * step(0.42, 0.14, side)
    shade = shade - 0.22 * (1 - step(0.05, 0.08, side)) + 0.35 * (fuzz - 0.5)
    return shaded(style.first, shade)


def velvet(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Deep soft cloth whose nap is brushed light and dark in patches."""
    nap = fractal(points / 0.6, 3, 0.6)[:, 0] + 0.08 * normals[:, 1]
    pile = noise(points / 0.0375)[:, 0]
    return shaded(style.first, 0.42 + 0.85 * step(0.54, 0.40, nap) + 0.30 * (pile - 0.5))


def silk(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Smooth folds that flow downwards, with soft light ridges."""
    across, _ = bent(points, normals)
    fold = 0.65 * wave(across, 0.3) + 1.6 * (noise(points / 0.3)[:, 2] - 0.5)
    fold = fold + 0.2 * wave(across, 0.15)
    color = shaded(style.first, 0.80 + 0.30 * fold)
    return mix(color, rgb(points, 1, 1, 1), 0.5 * step(0.75, 0.8, fold))


def burlap(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Coarse threads over and under, with dark holes between them."""
    across, up = planar(points, normals)
    cell = lattice(across, up, 0.075, 0.075)
    over = ((across / 0.075).floor() + (up / 0.075).floor()) % 2
    ridge = torch.where(over > 0, cell.x, cell.y).abs()
    hole = torch.maximum(cell.x.abs(), cell.y.abs())
    slub = strands(points, normals, 0.0375)[:, 0] + noise(points / 0.075)[:, 1]
    shade = 1.20 - 0.5 * ridge - 0.6 * step(0.42, 0.14, hole) + 0.35 * (slub - 1)
    return shaded(style.first, shade)


def quilted(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Puffed diamonds between stitched seams."""
    across, up = planar(points, normals)
    # The sum of two cosines is zero on the two families of slanted lines.
    puff = 0.5 * (wave(across + 0.15, 0.6) + wave(up + 0.15, 0.6)).abs()
    stitch = (1 - step(0.05, 0.05, puff)) * step(0.0, 0.5, wave(up, 0.075))
    color = shaded(style.first, 0.32 + 0.80 * puff.clamp(min=1e-6).sqrt())
    return mix(color, style.second, 0.8 * stitch)


def houndstooth(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Broken checks with teeth: four dark and four light threads in twill."""
    across, up = planar(points, normals)
    warp, weft = (across / 0.0375).floor(), (up / 0.0375).floor()
    thread = torch.where((warp - weft) % 4 < 2, warp, weft)
    return mix(style.first, style.second, (thread % 8 < 4).to(points))


def argyle(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Tall diamonds of two colours with thin light lines across them."""
    across, up = planar(points, normals)
    rising, falling = across / 0.3 + up / 0.6, across / 0.3 - up / 0.6
    odd = (rising.floor() + falling.floor()) % 2
    color = mix(style.first, style.second, odd)
    line = torch.minimum(distance_to_line(rising + 0.5), distance_to_line(falling + 0.5))
    return mix(color, rgb(points, 0.95, 0.95, 0.92), 1 - step(0.04, 0.03, line))


def wicker(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Basket weave: pairs of round canes, in turn upright and level, dark where they dive under."""
    across, up = planar(points, normals)
    cell = lattice(across, up, 0.15, 0.15)
    upright = ((across / 0.15).floor() + (up / 0.15).floor()) % 2 > 0
    along, side = torch.where(upright, cell.y, cell.x), torch.where(upright, cell.x, cell.y)
    cane = side * 2 - (side * 2).floor() - 0.5
    bulge = torch.cos(torch.pi * along).clamp(min=0).sqrt()
    shade = 0.22 + 0.95 * bulge * (1 - (2 * cane) ** 2).clamp(min=0).sqrt()
    return shaded(style.first, shade * (0.85 + 0.3 * cell.random[:, 0]))


def patchwork(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Rows of squares of many colours, some striped or dotted, sewn together."""
    across, up = planar(points, normals)
    cell = lattice(across, up, 0.3, 0.3, shift=0.5)
    hue = cell.random[:, :1] + torch.tensor([0.0, 0.33, 0.67], device=points.device)
    color = 0.58 + 0.22 * torch.cos(2 * torch.pi * hue)
    kind = cell.random[:, 0]
    figure = torch.where(
        kind < 0.4,
        step(0.0, 0.3, wave(across, 0.075)),
        step(0.4, 0.3, wave(across, 0.075) * wave(up, 0.075)),
    )
    color = mix(color, rgb(points, 0.95, 0.92, 0.86), 0.75 * figure * (kind < 0.65))
    seam = (0.5 - torch.maximum(cell.x.abs(), cell.y.abs())) * 0.3
    return shaded(color, 0.45 + 0.55 * step(0.012, 0.016, seam))


def rope(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Level coils of twisted strands."""
    across, up = planar(points, normals)
    y = up / 0.15 - (up / 0.15).floor() - 0.5
    twist = wave(across + 0.09 * y, 0.075)
    round_ = (1 - (2 * y) ** 2).clamp(min=0).sqrt()
    fibre = noise(stretch(points, 0.01875, 0.01875, 0.01875))[:, 0]
    return shaded(style.first, 0.25 + 0.65 * round_ + 0.22 * twist * round_ + 0.25 * (fibre - 0.5))


def corduroy(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Upright rounded ribs of pile with dark furrows."""
    across, _ = planar(points, normals)
    rib = across / 0.075 - (across / 0.075).floor() - 0.5
    pile, brushed = noise(points / 0.01875)[:, 0], noise(points / 0.3)[:, 0]
    shade = 0.30 + 0.85 * torch.cos(torch.pi * rib) + 0.25 * (pile - 0.5) + 0.4 * (brushed - 0.5)
    return shaded(style.first, shade)
