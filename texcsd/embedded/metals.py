"""Patterns of metal and of technical surfaces.

Polished metal shows a baked reflection of a horizon; see `patterns` for the rules.
"""

import torch
from torch import Tensor

from texcsd.embedded.noise import fractal, mix, noise, ramp, step, warped_cells
from texcsd.embedded.patterns import (
    Style,
    distance_to_line,
    lattice,
    planar,
    rgb,
    shaded,
    strands,
    wave,
)


def metal(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Polished and wavy: mirrors a dark line below a horizon and a broad bright light above it."""
    broad, fine = noise(points / 0.6)[:, 0], noise(points / 0.3)[:, 1]
    mirrored = 0.54 + 0.35 * normals[:, 1] + 0.10 * normals[:, 0] + 0.6 * (broad + fine - 1)
    # Metal tints what it mirrors twice in its hollows: gold darkens to amber, not to olive.
    return ramp(
        mirrored,
        [
            (0.20, style.first),
            (0.40, 0.93 * style.first**1.05),
            (0.465, 0.50 * style.first**1.3),
            (0.515, 0.85 * style.first**1.1),
            (0.54, style.first),
            (0.575, 0.3 * style.second + 0.7),
            (0.68, style.second),
            (0.90, style.first),
        ],
    )


def chrome(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Mirror with a hard horizon: near black below, white at it, grey-blue above."""
    swirl = fractal(points / 0.6, 2)[:, 0]
    mirrored = 0.5 + 0.30 * normals[:, 1] + 0.12 * normals[:, 0] + 1.0 * (swirl - 0.5)
    return ramp(
        mirrored,
        [
            (0.10, (0.62, 0.62, 0.64)),
            (0.36, (0.22, 0.22, 0.24)),
            (0.47, (0.06, 0.06, 0.08)),
            (0.50, (0.98, 0.98, 1.0)),
            (0.62, (0.78, 0.84, 0.92)),
            (0.85, (0.40, 0.50, 0.64)),
        ],
    )


def brushed(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Fine upright scratches in broad soft light and dark zones."""
    fine, broad = strands(points, normals, 0.0375)[:, 0], strands(points, normals, 0.075)[:, 1]
    zone = noise(points / 0.6)[:, 3] - 0.5 + 0.2 * normals[:, 1]
    return shaded(style.first, 0.84 + 0.9 * zone + 0.6 * (fine - 0.5) + 0.3 * (broad - 0.5))


def rust(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Grey steel eaten by pitted brown and orange, darkest in the middle and bright at its rim."""
    eaten = fractal(points / 0.3, 4, 0.6)[:, 0]
    flakes, pits = warped_cells(points, 0.075), warped_cells(points, 0.0375)
    scratch = strands(points, normals, 0.0375)[:, 0]
    steel = shaded(rgb(points, 0.50, 0.52, 0.55), 0.8 + 0.4 * scratch)
    crust = ramp(
        eaten + 0.16 * (flakes.random - 0.5),
        [
            (0.44, (0.86, 0.46, 0.14)),
            (0.52, (0.62, 0.27, 0.09)),
            (0.62, (0.36, 0.15, 0.07)),
            (0.74, (0.20, 0.09, 0.06)),
        ],
    )
    crust = shaded(crust, 0.78 + 0.2 * step(0.1, 0.3, flakes.border) + 0.5 * (pits.random - 0.4))
    return mix(steel, crust, step(0.445, 0.03, eaten))


def diamond_plate(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Raised lozenges in two directions on steel."""
    across, up = planar(points, normals)
    cell = lattice(across, up, 0.15, 0.15)
    odd = ((across / 0.15).floor() + (up / 0.15).floor()) % 2 > 0
    turned = torch.where(odd, cell.x, -cell.x)
    along, side = 0.707 * (turned + cell.y), 0.707 * (turned - cell.y)
    bump = 0.19 * (1 - (along / 0.56) ** 2) - side.abs()
    raised = step(0.0, 0.05, bump)
    light = raised * (0.45 + 1.8 * side) - 0.45 * (1 - step(0.0, 0.05, bump.abs() - 0.02))
    grain = noise(points / 0.0375)[:, 0]
    return shaded(style.first, 0.72 + 0.9 * light + 0.12 * (grain - 0.5))


def chain_mail(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Interlinked bright rings over black."""
    across, up = planar(points, normals)
    best = torch.zeros_like(across)
    for half in (0.0, 0.5):
        cell = lattice(across + 0.15 * half, up + 0.15 * half, 0.15, 0.15)
        ring = (torch.hypot(cell.x, cell.y) - 0.38).abs()
        best = torch.maximum(best, (1 - step(0.07, 0.09, ring)) * (0.75 + 0.6 * cell.y))
    return shaded(style.first, 0.07 + best)


def circuit(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Green board with gold traces, pads and black chips."""
    across, up = planar(points, normals)
    cell = lattice(across, up, 0.15, 0.15)
    away = torch.hypot(cell.x, cell.y)
    level, upright = cell.random[:, 0] > 0.5, cell.random[:, 1] > 0.4
    trace = torch.minimum(
        torch.where(level, cell.y.abs(), 9.0), torch.where(upright, cell.x.abs(), 9.0)
    )
    trace = torch.minimum(trace, torch.where(level, 9.0, (cell.x - cell.y).abs()))
    board = shaded(style.first, 0.85 + 0.3 * noise(points / 0.15)[:, 0])
    gold = rgb(points, 0.86, 0.74, 0.36)
    color = mix(board, gold, 1 - step(0.07, 0.06, trace))
    color = mix(color, gold, 1 - step(0.20, 0.06, away))
    color = mix(color, rgb(points, 0.05, 0.05, 0.05), 1 - step(0.09, 0.04, away))
    chip = (cell.random[:, 2] > 0.85) & (torch.maximum(cell.x.abs(), cell.y.abs()) < 0.40)
    return mix(color, rgb(points, 0.08, 0.08, 0.09), chip.to(points))


def carbon_fiber(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Black twill of flat glossy strands: slanted steps of dark grey and black."""
    across, up = planar(points, normals)
    cell = lattice(across, up, 0.075, 0.075)
    upright = ((across / 0.075).floor() - (up / 0.075).floor()) % 4 < 2
    side = torch.where(upright, cell.x, cell.y)
    sheen = torch.where(upright, 0.36, 0.12) * (1 - 1.4 * side**2)
    strand = wave(torch.where(upright, across, up), 0.01875)
    return shaded(style.first, 3.0 * sheen + 0.10 * strand)


def neon_grid(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Glowing lines in squares on near black."""
    across, up = planar(points, normals)
    line = torch.minimum(distance_to_line(across / 0.3), distance_to_line(up / 0.3))
    halo = 0.55 * torch.exp(-line / 0.09)
    core = 1 - step(0.045, 0.05, line)
    color = rgb(points, 0.02, 0.02, 0.06) + style.first * halo[:, None]
    white = style.first * 0.4 + 0.6
    return mix(color.clamp(0, 1), white, core)
