"""Noise and colour mixing: what procedural materials are made of.

Value noise and cellular (Worley) noise: Perlin, "An image synthesizer", 1985; Worley, "A cellular
texture basis function", 1996.
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

NOISE_PERIOD = 32


def _noise_volume() -> Tensor:
    """Random values on a periodic lattice, float[1, 4, n + 1, n + 1, n + 1]."""
    generator = torch.Generator().manual_seed(20231019)
    lattice = torch.rand(4, *[NOISE_PERIOD] * 3, generator=generator)
    for axis in (1, 2, 3):
        lattice = torch.cat([lattice, lattice.narrow(axis, 0, 1)], dim=axis)
    return lattice[None]


_VOLUME = _noise_volume()
_CELL_JITTER = torch.rand(NOISE_PERIOD**3, 4, generator=torch.Generator().manual_seed(310))


def noise(points: Tensor) -> Tensor:
    """Four independent value noises in [0, 1] with unit lattice spacing.

    Args:
        points: float[n, 3].

    Returns:
        float[n, 4].
    """
    cell = points.floor()
    fraction = points - cell
    smooth = fraction * fraction * (3 - 2 * fraction)
    lookup = (cell.remainder(NOISE_PERIOD) + smooth) * (2 / NOISE_PERIOD) - 1
    values = functional.grid_sample(
        _VOLUME.to(points), lookup[None, None, None], align_corners=True, padding_mode="border"
    )
    return values[0, :, 0, 0].T


def fractal(points: Tensor, octaves: int = 4, roughness: float = 0.5) -> Tensor:
    """Sum of `octaves` noises, each twice as fine as the one before; float[n, 4], mean 0.5."""
    total, amplitude, weight = torch.zeros(len(points), 4, device=points.device), 1.0, 0.0
    for octave in range(octaves):
        # The shift keeps the lattices of the octaves from lining up.
        total = total + amplitude * noise(points * 2.03**octave + 7.3 * octave)
        weight += amplitude
        amplitude *= roughness
    return total / weight


@dataclass(frozen=True)
class Cells:
    """Cellular noise at some points; unit cell spacing."""

    nearest: Tensor
    """float[n], distance to the nearest cell centre."""
    border: Tensor
    """float[n], distance to the second nearest centre minus `nearest`: 0 on cell borders."""
    random: Tensor
    """float[n], in [0, 1], constant within a cell."""


def cells(points: Tensor, jitter: float = 0.8) -> Cells:
    """Cellular noise from the eight cells around each point of float[n, 3]."""
    base = (points - 0.5).floor()
    distances, keys = [], []
    for corner in range(8):
        cell = base + torch.tensor(
            [corner & 1, corner >> 1 & 1, corner >> 2 & 1], device=points.device
        )
        x, y, z = cell.remainder(NOISE_PERIOD).long().unbind(-1)
        key = (x * NOISE_PERIOD + y) * NOISE_PERIOD + z
        centre = cell + 0.5 + jitter * (_CELL_JITTER.to(points)[key, :3] - 0.5)
        distances.append((points - centre).norm(dim=-1))
        keys.append(key)
    two, order = torch.stack(distances).topk(2, dim=0, largest=False)
    key = torch.stack(keys).gather(0, order[:1])[0]
    return Cells(two[0], two[1] - two[0], _CELL_JITTER.to(points)[key, 3])


def mix(first: Tensor, second: Tensor, amount: Tensor) -> Tensor:
    """Linear blend of two colours (float[3] or float[n, 3]) by float[n]."""
    return torch.lerp(first.expand(len(amount), 3), second.expand(len(amount), 3), amount[:, None])


def step(edge: float, width: float, value: Tensor) -> Tensor:
    """Smooth step from 0 to 1 as `value` rises through `edge`, `width` wide."""
    x = ((value - edge) / width + 0.5).clamp(0, 1)
    return x * x * (3 - 2 * x)


def ramp(value: Tensor, stops: list[tuple[float, tuple[float, float, float]]]) -> Tensor:
    """Piecewise linear colour ramp, float[n] -> float[n, 3]; stops ascend."""
    color = torch.tensor(stops[0][1], device=value.device).expand(len(value), 3)
    for (low, _), (high, target) in itertools.pairwise(stops):
        amount = ((value - low) / (high - low)).clamp(0, 1)
        color = mix(color, torch.tensor(target, device=value.device), amount)
    return color
