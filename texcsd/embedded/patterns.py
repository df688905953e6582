"""What the patterns of all materials share, and the patterns that are plain geometry.

A pattern is a function of points in pattern space, not of texture coordinates: so it wraps any
shape without seams. The caller scales and shifts an object into pattern space, where it is about 2
in diameter. Directions mean something: y is up, so stripes and brick courses run horizontally and
wood grain runs upwards, and all views of one object agree on it. Sizes are 0.6, 0.3, 0.15, 0.075
and 0.0375: the model is told the noises, cells, strands, courses and waves of these sizes at every
place (see `place`), and what a pattern makes of those it learns soonest.

Every pattern takes points float[n, 3], unit normals float[n, 3] and a style, and returns the sRGB
base colour float[n, 3]. The families are in `fabrics`, `skins`, `minerals`, `plants`, `masonry`,
`metals`, `foods` and `prints`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from texcsd.embedded.noise import mix, noise, random, step, sum_octaves

BEND_PERIODS = (0.3, 0.15)
"""Of the waves along bent coordinates."""
SHEET_NOISES = (0.6, 0.3, 0.15, 0.075)
"""Sizes of the noises that warp sheets."""


@dataclass(frozen=True)
class Style:
    """The colours of one instance of a material."""

    first: Tensor
    """float[3], main colour, sRGB."""
    second: Tensor
    """float[3], the other colour, sRGB."""


@dataclass(frozen=True)
class Lattice:
    """Rectangular cells on a surface."""

    x: Tensor
    """float[n], from -0.5 to 0.5 across the cell."""
    y: Tensor
    """float[n], from -0.5 to 0.5 up the cell."""
    random: Tensor
    """float[n, 4], in [0, 1], constant within a cell."""


def planar(points: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
    """The two coordinates along the surface, by the axis the normal points along most.

    The second one is the height wherever the surface is not horizontal.
    """
    x, y, z = points.unbind(-1)
    axis = normals.abs().argmax(dim=-1)
    across = torch.where(axis == 0, z, x)
    return across, torch.where(axis == 1, z, y)


def lattice(across: Tensor, up: Tensor, width: float, height: float, shift: float = 0) -> Lattice:
    """Cells `width` by `height`; every row is shifted by `shift` cells against the one below."""
    row = (up / height).floor()
    along = across / width + shift * row
    column = along.floor()
    key = torch.stack([column, row, 0 * row], -1)
    return Lattice(along - column - 0.5, up / height - row - 0.5, random(key))


def strands(points: Tensor, normals: Tensor, width: float) -> Tensor:
    """Four noises drawn out fourfold along the surface's upward direction; float[n, 4]."""
    across, up = planar(points, normals)
    return noise(torch.stack([across / width, up / (4 * width), 0 * up], -1))


def bent(points: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
    """The two coordinates along the surface, gently bent as the markings of animals and wood."""
    across, up = planar(points, normals)
    shift = 0.3 * (noise(points / 0.6)[:, :2] - 0.5)
    return across + shift[:, 0], up + shift[:, 1]


def sheets(points: Tensor, noises: Sequence[Tensor] | None = None) -> Tensor:
    """Which of the warped parallel sheets lie where, of two families; float[n, 2].

    A whole number is the middle of a sheet. Unlike the places where a noise has one value, sheets
    are nowhere broad, however they are warped: what veins are made of.

    Args:
        points: float[n, 3].
        noises: noise(points / size) of SHEET_NOISES, where they are at hand.
    """
    x, y, z = points.unbind(-1)
    noises = [noise(points / size) for size in SHEET_NOISES] if noises is None else noises
    warp = sum_octaves(noises, 0.55) - 0.5
    first = (x + y) / 0.6 + 1.2 * warp[:, 0]
    return torch.stack([first, (z - y) / 0.3 + 2.0 * warp[:, 1]], -1)


def overlapping(
    across: Tensor, up: Tensor, width: float, height: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of rounded scales, every row over the one below its tips.

    Returns:
        Across the scale from -0.5 to 0.5, depth above its rounded tip in rows (0 at the tip), and a
        random number of the scale; each float[n].
    """
    cell = lattice(across, up, width, height, shift=0.5)
    # Within a row the tips bulge down; what lies below a tip belongs to the row below.
    tip = cell.y + 0.5 - (0.5 - (0.25 - cell.x**2).clamp(min=0).sqrt()) * 1.6
    below = lattice(across, up - height, width, height, shift=0.5)
    own = tip > 0
    x = torch.where(own, cell.x, below.x)
    depth_below = below.y + 1.5 - (0.5 - (0.25 - below.x**2).clamp(min=0).sqrt()) * 1.6
    depth = torch.where(own, tip, depth_below)
    return x, depth, torch.where(own, cell.random[:, 0], below.random[:, 0])


def wave(value: Tensor, period: float) -> Tensor:
    """Sine from -1 to 1."""
    return torch.sin(value * (2 * torch.pi / period))


def rgb(points: Tensor, red: float, green: float, blue: float) -> Tensor:
    """A fixed colour float[3] where the points are."""
    return torch.tensor([red, green, blue], dtype=points.dtype, device=points.device)


def stretch(points: Tensor, x: float, y: float, z: float) -> Tensor:
    """Points with each coordinate divided by a length."""
    return points / torch.tensor([x, y, z], device=points.device)


def distance_to_line(value: Tensor) -> Tensor:
    """Distance to the nearest integer."""
    return (value - value.round()).abs()


def shaded(color: Tensor, shade: Tensor) -> Tensor:
    """Colour float[3] or float[n, 3] times brightness float[n], kept in [0, 1]."""
    return (color * shade[:, None]).clamp(0, 1)


def plain(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """One colour, very slightly uneven."""
    return shaded(style.first, 0.97 + 0.06 * noise(points / 0.3)[:, 0])


def stripes(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Level bands; on level surfaces they run from left to right."""
    _, up = planar(points, normals)
    return mix(style.first, style.second, step(0.0, 0.25, wave(up, 0.3)))


def zigzag(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Level bands that go up and down in sharp corners."""
    across, up = planar(points, normals)
    corner = 0.3 * distance_to_line(across / 0.3)
    return mix(style.first, style.second, step(0.0, 0.3, wave(up + corner, 0.3)))


def candy_cane(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Slanted bands, alternately wide and thin, on white."""
    across, up = planar(points, normals)
    phase = (across + up) / 0.6
    wide = 1 - step(0.17, 0.03, distance_to_line(phase))
    thin = 1 - step(0.03, 0.03, distance_to_line(phase + 0.5))
    return mix(style.second, style.first, torch.maximum(wide, thin))


def hazard(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Slanted stripes of equal width, worn in places."""
    across, up = planar(points, normals)
    color = mix(style.first, style.second, step(0.0, 0.2, wave(across + up, 0.3)))
    return shaded(color, 0.92 + 0.12 * noise(points / 0.075)[:, 0])


def dots(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Round dots in offset rows; the first colour is the ground."""
    across, up = planar(points, normals)
    cell = lattice(across, up, 0.3, 0.3, shift=0.5)
    return mix(style.second, style.first, step(0.30, 0.08, torch.hypot(cell.x, cell.y)))


def checker(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Squares in turn of either colour."""
    across, up = planar(points, normals)
    odd = ((across / 0.15).floor() + (up / 0.15).floor()) % 2
    return mix(style.first, style.second, odd)


def honeycomb(points: Tensor, normals: Tensor, style: Style) -> Tensor:
    """Hexagons of the first colour between thick lines of the second."""
    across, up = planar(points, normals)
    y = up / 0.3
    best = torch.full_like(across, 9.0)
    # A hexagon is where its centre is nearest, of two interleaved rectangular grids of centres.
    for half in (0.0, 0.5):
        dx, dy = across / 0.15 - half, y - half
        dx, dy = distance_to_line(dx) * 0.15, distance_to_line(dy) * 0.3
        best = torch.minimum(best, torch.maximum(dx, 0.5 * dx + 0.866 * dy))
    inside = 1 - step(0.062, 0.018, best)
    tone = 0.80 + 0.3 * (1 - best / 0.075)
    return mix(style.second, shaded(style.first, tone), inside)
