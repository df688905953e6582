"""Values in space at many resolutions, in tables that are found by hashing.

The encoding of Instant-NGP (arXiv 2201.05989, Section 3): each level is a grid over the cube
[-1, 1]^3, read trilinearly. A level with more corners than its table has entries shares entries
among them by a hash; what is wrong with that at one level the others make up for.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

logger = logging.getLogger(__name__)

PRIMES = (1, 2_654_435_761, 805_459_861)
"""Factors of the hash, Eq. 4."""


class GridLevel(NamedTuple):
    """One resolution."""

    cells: int
    """Along each side of the cube."""
    first: int
    """Of its entries in the table of all levels."""
    entries: int
    """A power of two where they are hashed; else one for each of (cells + 1)^3 corners."""

    @property
    def hashed(self) -> bool:
        """Whether corners share entries."""
        return self.entries < (self.cells + 1) ** 3


def grid_levels(count: int, coarsest: int, finest: int, most_entries: int) -> list[GridLevel]:
    """Levels whose numbers of cells grow geometrically, Eq. 2 and 3.

    Args:
        count: Number of levels.
        coarsest: Cells per side of the first.
        finest: Cells per side of the last.
        most_entries: Of a level; a power of two.
    """
    levels, first = [], 0
    for index in range(count):
        cells = round(coarsest * (finest / coarsest) ** (index / max(1, count - 1)))
        entries = min((cells + 1) ** 3, most_entries)
        levels.append(GridLevel(cells, first, entries))
        first += entries
    return levels


def encode_positions(table: Tensor, positions: Tensor, levels: Sequence[GridLevel]) -> Tensor:
    """The values of all levels at some positions; differentiable in the table alone.

    Args:
        table: float32[entry, feature], of all levels one after another.
        positions: float32[n, 3]; what lies outside [-1, 1] is taken to the border.
        levels: Where their entries are.

    Returns:
        float32[n, level * feature].
    """
    encoded = _Encoding.apply(table, positions.detach().contiguous(), tuple(levels))
    assert isinstance(encoded, Tensor)
    return encoded


class _Encoding(torch.autograd.Function):
    """Corners are found once more for the gradient rather than kept."""

    @staticmethod
    def forward(
        ctx: Any, table: Tensor, positions: Tensor, levels: tuple[GridLevel, ...]
    ) -> Tensor:
        ctx.save_for_backward(positions)
        ctx.levels, ctx.shape = levels, table.shape
        if table.device.type == "cpu":
            from texcsd.rendering import numba_hash_grid

            return numba_hash_grid.read(table, positions, levels)
        if takes_triton(table.device):
            from texcsd.rendering import triton_hash_grid

            return triton_hash_grid.read(table, positions, _level_table(levels, table.device))
        return read_with_torch(table, positions, levels)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *output_gradients: Tensor) -> tuple[Tensor | None, ...]:
        (positions,) = ctx.saved_tensors
        upstream, device = output_gradients[0].contiguous(), positions.device
        gradient = torch.zeros(ctx.shape, device=device)
        if device.type == "cpu":
            from texcsd.rendering import numba_hash_grid

            numba_hash_grid.add(gradient, positions, ctx.levels, upstream)
        elif takes_triton(device):
            from texcsd.rendering import triton_hash_grid

            triton_hash_grid.add(gradient, positions, _level_table(ctx.levels, device), upstream)
        else:
            add_with_torch(gradient, positions, ctx.levels, upstream)
        return gradient, None, None


@cache
def takes_triton(device: torch.device) -> bool:
    """Whether Triton's kernels run here, which is tried; says so if not."""
    levels = tuple(grid_levels(2, 4, 64, 64))
    table = torch.ones(sum(level.entries for level in levels), 2, device=device)
    positions = torch.zeros(1, 3, device=device)
    try:
        from texcsd.rendering import triton_hash_grid

        found = triton_hash_grid.read(table, positions, _level_table(levels, device))
        right = torch.allclose(found, torch.ones_like(found))
    except Exception as error:  # No Triton, no compiler, a GPU it does not know.
        right = False
        logger.info("looking up colour fields with PyTorch, for Triton does not run: %s", error)
    return right


@cache
def _level_table(levels: tuple[GridLevel, ...], device: torch.device) -> Tensor:
    rows = [(*level, int(level.hashed)) for level in levels]
    return torch.tensor(rows, dtype=torch.int32, device=device)


def read_with_torch(table: Tensor, positions: Tensor, levels: Sequence[GridLevel]) -> Tensor:
    """What `encode_positions` returns, on any device."""
    parts = []
    for level in levels:
        entries, weights = _corners(positions, level)
        parts.append((weights[..., None] * table[entries]).sum(1))
    return torch.cat(parts, 1)


def add_with_torch(
    gradient: Tensor, positions: Tensor, levels: Sequence[GridLevel], upstream: Tensor
) -> None:
    """Adds the gradient of the table, for that of what `encode_positions` returned."""
    parts = upstream.split(gradient.shape[1], 1)
    for level, part in zip(levels, parts, strict=True):
        entries, weights = _corners(positions, level)
        shares = weights[..., None] * part[:, None]
        gradient.index_add_(0, entries.flatten(), shares.flatten(0, 1))


def _corners(positions: Tensor, level: GridLevel) -> tuple[Tensor, Tensor]:
    """Entries int64[n, 8] of the corners of the cells that hold positions, and their weights."""
    places = (positions.clamp(-1, 1) + 1) * (level.cells / 2)
    cells = places.floor().clamp(max=level.cells - 1)
    beyond = (places - cells)[:, None]
    digits = torch.arange(8, device=positions.device)[:, None] >> torch.arange(
        3, device=positions.device
    )
    upper = digits & 1
    weights = torch.where(upper == 1, beyond, 1 - beyond).prod(2)
    x, y, z = (cells.long()[:, None] + upper).unbind(2)
    if level.hashed:
        entries = (x * PRIMES[0] ^ y * PRIMES[1] ^ z * PRIMES[2]) & (level.entries - 1)
    else:
        entries = x + (level.cells + 1) * (y + (level.cells + 1) * z)
    return level.first + entries, weights
