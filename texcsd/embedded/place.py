"""What the model is told of the surface in every pixel: depth, normal, and its place.

A place is told in two ways. Waves of the position (Tancik et al. 2020, "Fourier features") tell any
two places apart. Solid fields, the noises, cells, strands, sheets and courses that the patterns of
all materials are made of, tell what a pattern looks like there: so all views of an object agree on
it, and the model learns what a material makes of the fields, as a shader does, not the fields. The
caption decides in every pixel which of them reach the network (`mix_fields`): it works at half the
resolution on fewer channels than all the fields would take.
"""

import torch
from torch import Tensor
from torch.nn import functional

from texcsd.embedded.noise import noise, warped_cells
from texcsd.embedded.patterns import (
    BEND_PERIODS,
    SHEET_NOISES,
    bent,
    distance_to_line,
    lattice,
    planar,
    sheets,
    strands,
)

PATTERN_PERIOD = 4.8
"""Wavelength of the longest position wave; pattern space in view is always smaller."""
POSITION_OCTAVES = 7
NOISE_SIZES = (0.6, 0.3, 0.15, 0.075, 0.0375)
CELL_SIZES = (0.3, 0.15, 0.075, 0.0375)
STRAND_WIDTHS = (0.075, 0.0375)
CHECK_PERIODS = (0.6, 0.3, 0.15, 0.075)
COURSES = ((0.3, 0.3), (0.3, 0.15), (0.15, 0.15))
"""Widths and heights of shifted lattices."""
FIELDS = (
    4 * len(NOISE_SIZES)
    + 3 * len(CELL_SIZES)
    + 4 * len(STRAND_WIDTHS)
    + 4 * len(CHECK_PERIODS)
    + 4 * len(BEND_PERIODS)
    + 3 * len(COURSES)
    + 2
)
GEOMETRY_CHANNELS = 4 + 6 * POSITION_OCTAVES + FIELDS
MIXED = 16
"""Mixtures of fields."""
MIXING_WEIGHTS = MIXED * (FIELDS + 1)
MODEL_CHANNELS = 4 + 6 * POSITION_OCTAVES + MIXED


def geometry_channels(
    depth: Tensor,
    normals: Tensor,
    positions: Tensor,
    size: int,
    pattern_normals: Tensor | None = None,
) -> Tensor:
    """All that is told, zero in the background.

    Each pixel of the model stands for the mean of the rendered pixels it covers.

    Args:
        depth: float[n, height, width, 1], 0 in the background.
        normals: float[n, height, width, 3], unit, in world space.
        positions: float[n, height, width, 3], in pattern space.
        size: Pixels of the model per side.
        pattern_normals: As the normals, of the surface where the positions are, if that is another.

    Returns:
        float[n, 4 + 6 * POSITION_OCTAVES + FIELDS, size, size]: depth, normal, sine and cosine of
        the position by octave, fields; in [-1, 1].
    """
    seen = (depth > 0).to(depth)
    vectors = [normals, positions, *([] if pattern_normals is None else [pattern_normals])]
    given = torch.cat([seen, depth, *(vector * seen for vector in vectors)], -1)
    means = functional.adaptive_avg_pool2d(given.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)
    seen = means[..., 0] > 0
    sizes = [1, 1, *[3] * len(vectors)]
    coverage, depth, normals, positions, *others = means[seen].split(sizes, -1)
    positions = positions / coverage
    fields = _fields(positions, *(others or [normals]))
    told = torch.cat([_position_waves(positions), fields], -1) * coverage
    channels = means.new_zeros(*seen.shape, GEOMETRY_CHANNELS)
    channels[seen] = torch.cat([depth, normals, told], -1)
    return channels.permute(0, 3, 1, 2)


def mix_fields(geometry: Tensor, weights: Tensor) -> Tensor:
    """Mixtures of the fields instead of the fields.

    Args:
        geometry: float[n, GEOMETRY_CHANNELS, h, w], see `geometry_channels`.
        weights: float[n, MIXING_WEIGHTS]: how much each mixture takes of each field, and its bias.

    Returns:
        float[n, MODEL_CHANNELS, h, w]; the mixtures are passed through SiLU.
    """
    plain, fields = geometry.split([GEOMETRY_CHANNELS - FIELDS, FIELDS], 1)
    matrix = weights.view(-1, MIXED, FIELDS + 1)
    mixed = torch.baddbmm(matrix[..., FIELDS:], matrix[..., :FIELDS], fields.flatten(2))
    return torch.cat([plain, functional.silu(mixed).view(-1, MIXED, *fields.shape[2:])], 1)


def view_width_label(view_width: Tensor) -> Tensor:
    """What the class embedding is given: octaves of view width, spread over 0 to 1000."""
    return 250 * (view_width.log2() + 2)


def _position_waves(positions: Tensor) -> Tensor:
    """float[n, 3] -> float[n, 6 * POSITION_OCTAVES]."""
    angle = positions * (2 * torch.pi / PATTERN_PERIOD)
    sine, cosine = angle.sin(), angle.cos()
    waves = []
    for _ in range(POSITION_OCTAVES):
        waves += [sine, cosine]
        sine, cosine = 2 * sine * cosine, 1 - 2 * sine * sine
    return torch.cat(waves, -1)


def _fields(points: Tensor, normals: Tensor) -> Tensor:
    """float[n, 3] twice -> float[n, FIELDS] in [-1, 1]."""
    across, up = planar(points, normals)
    unit = [strands(points, normals, width) for width in STRAND_WIDTHS]
    noises = {size: noise(points / size) for size in NOISE_SIZES}
    for size in CELL_SIZES:
        cell = warped_cells(points, size, noises[2 * size])
        unit.append(torch.stack([cell.nearest, cell.border, cell.random], -1))
    signed = [1.6 * (values - 0.5) for values in noises.values()]
    for width, height in COURSES:
        cell = lattice(across, up, width, height, shift=0.5)
        unit.append(cell.random[:, :1])
        signed.append(_turns(cell.x[:, None]))
    signed += [_turns(torch.stack([across, up], -1) / period) for period in CHECK_PERIODS]
    bends = torch.stack(bent(points, normals), -1)
    signed += [_turns(bends / period) for period in BEND_PERIODS]
    # Veins are thin: near the middle of a sheet counts, not where between two.
    near = distance_to_line(sheets(points, [noises[size] for size in SHEET_NOISES]))
    signed.append(1 - 10 * near)
    return torch.cat([2 * torch.cat(unit, -1) - 1, *signed], -1).clamp(-1, 1)


def _turns(value: Tensor) -> Tensor:
    """Sines and cosines of angles given in full turns, float[n, k] -> float[n, 2 * k]."""
    angle = 2 * torch.pi * value
    return torch.cat([angle.sin(), angle.cos()], -1)
