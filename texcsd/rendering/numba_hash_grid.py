"""Kernels of `hash_grid` for the CPU: a level is a piece, so the order of sums never changes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from texcsd.geometry.kernel import kernel
from texcsd.rendering.numba_kernel import as_array, run_pieces

ONE, HALF = np.float32(1), np.float32(0.5)


def read(table: Tensor, positions: Tensor, levels: Sequence[tuple[int, int, int]]) -> Tensor:
    """See `hash_grid.encode_positions`; levels are cells, first and number of entries."""
    values, places = as_array(table, np.float32), as_array(positions, np.float32)
    output = np.empty((len(places), len(levels) * values.shape[1]), np.float32)

    def run(index: int) -> None:
        cells, first, entries = levels[index]
        _read(values[first : first + entries], places, cells, index * values.shape[1], output)

    run_pieces(run, range(len(levels)))
    return torch.from_numpy(output)


def add(
    gradient: Tensor,
    positions: Tensor,
    levels: Sequence[tuple[int, int, int]],
    upstream: Tensor,
) -> None:
    """Adds the gradient of the table, float32[entry, feature], in place."""
    sums, places = gradient.numpy(), as_array(positions, np.float32)
    values = as_array(upstream, np.float32)

    def run(index: int) -> None:
        cells, first, entries = levels[index]
        _add(sums[first : first + entries], places, cells, index * sums.shape[1], values)

    run_pieces(run, range(len(levels)))


@kernel
def _cell(coordinate, cells):
    """The cell along one axis, and how far in it."""
    place = (min(max(coordinate, -ONE), ONE) + ONE) * (HALF * np.float32(cells))
    cell = min(int(place), cells - 1)
    return cell, place - np.float32(cell)


@kernel
def _entry(x, y, z, cells, entries):
    """Of a corner: one of its own, or by the hash if there are too few."""
    if entries < (cells + 1) ** 3:
        return (x ^ (y * 2654435761) ^ (z * 805459861)) & (entries - 1)
    return x + (cells + 1) * (y + (cells + 1) * z)


@kernel
def _read(table, positions, cells, column, output):
    features = table.shape[1]
    for point in range(len(positions)):
        x, right = _cell(positions[point, 0], cells)
        y, up = _cell(positions[point, 1], cells)
        z, near = _cell(positions[point, 2], cells)
        for feature in range(features):
            output[point, column + feature] = 0
        for corner in range(8):
            i, j, k = corner & 1, (corner >> 1) & 1, corner >> 2
            weight = right if i else ONE - right
            weight *= up if j else ONE - up
            weight *= near if k else ONE - near
            entry = _entry(x + i, y + j, z + k, cells, len(table))
            for feature in range(features):
                output[point, column + feature] += weight * table[entry, feature]


@kernel
def _add(sums, positions, cells, column, upstream):
    features = sums.shape[1]
    for point in range(len(positions)):
        x, right = _cell(positions[point, 0], cells)
        y, up = _cell(positions[point, 1], cells)
        z, near = _cell(positions[point, 2], cells)
        for corner in range(8):
            i, j, k = corner & 1, (corner >> 1) & 1, corner >> 2
            weight = right if i else ONE - right
            weight *= up if j else ONE - up
            weight *= near if k else ONE - near
            entry = _entry(x + i, y + j, z + k, cells, len(sums))
            for feature in range(features):
                sums[entry, feature] += weight * upstream[point, column + feature]
