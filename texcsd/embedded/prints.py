"""Patterns that are painted, printed or pressed: figures, glazes and sheets.

See `patterns` for the rules.
"""

import torch
from torch import Tensor

from texcsd.embedded.noise import fractal, mix, noise, ramp, step, warped_cells
from texcsd.embedded.patterns import Style, distance_to_line, lattice, planar, rgb, shaded


def camouflage(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Bold patches with hard edges: tan, brown and black on dark green."""
    broad, patches = fractal(points / 0.6, 2), fractal(points / 0.3, 2)
    tan, brown, black = broad[:, 0], patches[:, 2], patches[:, 0]
    color = rgb(points, 0.23, 0.31, 0.14)
    color = mix(color, rgb(points, 0.70, 0.62, 0.43), step(0.54, 0.04, tan))
    color = mix(color, rgb(points, 0.34, 0.21, 0.11), step(0.57, 0.04, brown))
    return mix(color, rgb(points, 0.06, 0.07, 0.06), step(0.59, 0.04, black))


def rainbow(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Level bands from red over yellow, green and blue to violet."""
    hue = points[:, 1:2] / 1.2
    shift = torch.tensor([0.0, 0.33, 0.67], device=points.device)
    color = 0.5 + 0.6 * torch.cos(2 * torch.pi * (hue + shift))
    return color.clamp(0.06, 0.94)


def hearts(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Hearts in offset rows; the first colour is theirs."""
    cell = lattice(*planar(points, normals), 0.3, 0.3, shift=0.5)
    x, y = 2.9 * cell.x.abs(), 2.9 * cell.y
    shape = x**2 + (1.2 * y + 0.1 - 0.75 * x.sqrt()) ** 2
    return mix(style.first, style.second, step(0.95, 0.25, shape))


def stars(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Five-pointed stars in offset rows; the first colour is theirs."""
    cell = lattice(*planar(points, normals), 0.3, 0.3, shift=0.5)
    radius = torch.hypot(cell.x, cell.y)
    turn = torch.atan2(cell.x, cell.y) / (2 * torch.pi) * 5
    corner = 2 * distance_to_line(turn)
    return mix(style.first, style.second, step(0.0, 0.05, radius - 0.43 + 0.26 * corner.sqrt()))


def porcelain(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Blue painted flowers, tendrils and rings on glossy white."""
    across, up = planar(points, normals)
    cell = lattice(across, up, 0.6, 0.6, shift=0.5)
    radius, angle = torch.hypot(cell.x, cell.y), torch.atan2(cell.y, cell.x)
    petals = (radius - 0.19 - 0.06 * torch.cos(8 * angle)).abs() < 0.022
    heart = (radius < 0.07) | ((radius - 0.115).abs() < 0.015)
    swirl = fractal(points / 0.3, 2)
    tendril = ((swirl[:, 0] - 0.5).abs() < 0.022) & (radius > 0.29)
    leaf = (noise(points / 0.075)[:, 0] > 0.66) & (radius > 0.29)
    ink = (petals | heart | tendril | leaf).to(points)
    wash = 0.30 * (radius < 0.19)
    blue = rgb(points, 0.09, 0.18, 0.56)
    return mix(rgb(points, 0.95, 0.96, 0.97), blue, torch.maximum(0.95 * ink, wash))


def glass(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Church window: panes of many bright colours between black leads."""
    panes = warped_cells(points, 0.3)
    color = ramp(
        panes.random,
        [
            (0.10, (0.80, 0.06, 0.08)),
            (0.30, (0.93, 0.62, 0.06)),
            (0.50, (0.08, 0.55, 0.22)),
            (0.70, (0.06, 0.20, 0.70)),
            (0.90, (0.50, 0.12, 0.62)),
        ],
    )
    streak = 0.85 + 0.3 * noise(points / 0.15)[:, 0]
    return shaded(color, streak * step(0.07, 0.03, panes.border))


def iridescent(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Film of pastel colours that flow into one another, with white glints."""
    flow = fractal(points / 0.3, 2)
    hue = (1.6 * flow[:, :1] + 0.3 * normals[:, 1:2]) * 1.5
    shift = torch.tensor([0.0, 0.33, 0.67], device=points.device)
    color = 0.76 + 0.22 * torch.cos(2 * torch.pi * (hue + shift))
    return mix(color, rgb(points, 1, 1, 1), 0.8 * step(0.60, 0.12, flow[:, 1]))


def paper(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Crumpled and smoothed again: flat facets, light and dark, between sharp white creases."""
    facets, finer = warped_cells(points, 0.3), warped_cells(points, 0.15)
    crease = (1 - step(0.02, 0.05, facets.border)) + 0.4 * (1 - step(0.02, 0.05, finer.border))
    tone = 0.90 + 0.26 * (facets.random - 0.5) + 0.16 * (finer.random - 0.5)
    color = shaded(style.first, tone)
    return mix(color, 0.3 * style.first + rgb(points, 0.7, 0.7, 0.7), (0.7 * crease).clamp(0, 1))
