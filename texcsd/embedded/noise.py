"""Noise and colour mixing: what procedural materials are made of.

Sums of waves, and cellular noise (Worley, "A cellular texture basis function", 1996).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

PERIOD = 16
"""Lattice units after which random numbers, and so cells, repeat; noises do not."""
WAVES = 6
"""In each noise."""
WAVELENGTHS = (1.6, 4.0)


def _waves() -> tuple[Tensor, Tensor]:
    """Wave vectors float[4 * WAVES, 3] and phases float[4 * WAVES], in radians."""
    generator = torch.Generator().manual_seed(20231019)
    directions = torch.randn(4 * WAVES, 3, generator=generator)
    directions = torch.nn.functional.normalize(directions, dim=-1)
    shortest, longest = WAVELENGTHS
    lengths = torch.linspace(1 / longest, 1 / shortest, WAVES).repeat(4)
    phases = 2 * torch.pi * torch.rand(4 * WAVES, generator=generator)
    return directions * lengths[:, None] * (2 * torch.pi), phases


_VECTORS, _PHASES = _waves()
_RANDOM = torch.rand(PERIOD**3, 4, generator=torch.Generator().manual_seed(310))


def noise(points: Tensor) -> Tensor:
    """Four independent smooth noises about 0.5, mostly in [0, 1]; see WAVELENGTHS.

    Args:
        points: float[n, 3].

    Returns:
        float[n, 4].
    """
    waves = torch.sin(points @ _VECTORS.to(points).T + _PHASES.to(points))
    return 0.5 + 0.1 * waves.view(-1, 4, WAVES).sum(-1)


def random(key: Tensor) -> Tensor:
    """Four random numbers in [0, 1] for each whole-numbered float[n, 3]; float[n, 4]."""
    x, y, z = key.remainder(PERIOD).long().unbind(-1)
    return _RANDOM.to(key)[(x * PERIOD + y) * PERIOD + z]


def fractal(points: Tensor, octaves: int = 4, roughness: float = 0.5) -> Tensor:
    """Mean of `octaves` noises, each twice as fine as the one before; float[n, 4], about 0.5."""
    return sum_octaves([noise(points * 2.0**octave) for octave in range(octaves)], roughness)


def sum_octaves(noises: Sequence[Tensor], roughness: float) -> Tensor:
    """Mean of noises float[n, 4], each of `roughness` times the weight of the one before."""
    total, amplitude, weight = torch.zeros_like(noises[0]), 1.0, 0.0
    for octave, values in enumerate(noises):
        # Another of the four noises in every octave, so that their waves do not line up.
        total = total + amplitude * values.roll(octave, -1)
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
    across, up, along = (points - base - 0.5 + 0.5 * jitter).unbind(-1)
    strides = torch.tensor([PERIOD**2, PERIOD, 1], device=points.device)
    keys = torch.stack([base, base + 1]).remainder(PERIOD).long() * strides
    table = _RANDOM.to(points)
    nearest = second = number = torch.full_like(across, torch.inf)
    for x, y, z in itertools.product((0, 1), repeat=3):
        drawn = table[keys[x, :, 0] + keys[y, :, 1] + keys[z, :, 2]]
        dx, dy = across - x - jitter * drawn[:, 0], up - y - jitter * drawn[:, 1]
        dz = along - z - jitter * drawn[:, 2]
        distance = dx * dx + dy * dy + dz * dz
        number = torch.where(distance < nearest, drawn[:, 3], number)
        second = torch.minimum(second, torch.maximum(distance, nearest))
        nearest = torch.minimum(nearest, distance)
    return Cells(nearest.sqrt(), second.sqrt() - nearest.sqrt(), number)


def warped_cells(points: Tensor, size: float, warp: Tensor | None = None) -> Cells:
    """Cells about `size` wide with bent borders; the distances are in units of `size`.

    Args:
        points: float[n, 3].
        size: In units of the points.
        warp: noise(points / (2 * size)), where it is at hand.
    """
    warp = noise(points / (2 * size)) if warp is None else warp
    return cells(points / size + 0.5 * warp[:, :3])


def mix(first: Tensor, second: Tensor, amount: Tensor) -> Tensor:
    """Linear blend of two colours (float[3] or float[n, 3]) by float[n]."""
    return torch.lerp(first.expand(len(amount), 3), second.expand(len(amount), 3), amount[:, None])


def step(edge: float, width: float, value: Tensor) -> Tensor:
    """Smooth step from 0 to 1 as `value` rises through `edge`, `width` wide."""
    x = ((value - edge) / width + 0.5).clamp(0, 1)
    return x * x * (3 - 2 * x)


def ramp(value: Tensor, stops: Sequence[tuple[float, Tensor | tuple[float, ...]]]) -> Tensor:
    """Piecewise linear colours of `value` float[n]; float[n, 3].

    Args:
        value: float[n].
        stops: Ascending values with their colours, three numbers or float[3] or float[n, 3].
    """
    mixed = torch.as_tensor(stops[0][1], device=value.device).expand(len(value), 3)
    for (low, _), (high, color) in itertools.pairwise(stops):
        amount = ((value - low) / (high - low)).clamp(0, 1)
        mixed = mix(mixed, torch.as_tensor(color, device=value.device), amount)
    return mixed
