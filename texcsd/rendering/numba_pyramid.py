"""Kernels for pyramids: a level enlarged and added to the next, and the transpose of that.

Images come as float32[row, column, channel]; `channels` is the tuple (0, 1, ...), as in
`numba_mips`.
"""

from __future__ import annotations

import numpy as np

from texcsd.geometry.kernel import kernel

ONE = np.float32(1)


@kernel
def _around(coordinate, size):
    """The two texels around a coordinate in [0, 1], and the weight of the second."""
    position = coordinate * size - 0.5
    below = np.floor(position)
    first = int(below)
    return max(first, 0), min(first + 1, size - 1), np.float32(position - below)


@kernel
def _enlarged_axis(fine, coarse):
    """For each of fine texels: the two coarse ones around it, and the weight of the second."""
    first, second = np.empty(fine, np.int64), np.empty(fine, np.int64)
    weight = np.empty(fine, np.float32)
    for index in range(fine):
        first[index], second[index], weight[index] = _around((index + 0.5) / fine, coarse)
    return first, second, weight


@kernel
def add_enlarged(coarse, fine, channels, first_row, last_row, output):
    """Rows of output = fine + coarse enlarged bilinearly; all float32[row, column, channel].

    Coarse rows are enlarged first, each once, as there are fewer; what remains for the fine ones is
    a loop over neighbouring numbers, which the compiler makes fast.
    """
    above, below, down = _enlarged_axis(fine.shape[0], coarse.shape[0])
    axis = _enlarged_axis(fine.shape[1], coarse.shape[1])
    enlarged = np.empty((2, fine.shape[1] * len(channels)), np.float32)
    held = np.full(2, -1)  # which coarse rows: neighbours, one even and one odd
    for y in range(first_row, last_row):
        for row in (above[y], below[y]):
            if held[row % 2] != row:
                _enlarge_row(coarse[row], axis, channels, enlarged[row % 2])
                held[row % 2] = row
        _add_between(
            fine[y].reshape(-1), enlarged[above[y] % 2], enlarged[below[y] % 2], down[y],
            output[y].reshape(-1),
        )  # fmt: skip


@kernel
def _enlarge_row(row, axis, channels, output):
    left, right, across = axis
    for x in range(len(left)):
        first, second, share = row[left[x]], row[right[x]], across[x]
        for channel in channels:
            difference = second[channel] - first[channel]
            output[x * len(channels) + channel] = first[channel] + share * difference


@kernel
def _add_between(values, upper, lower, share, output):
    for index in range(len(values)):
        output[index] = values[index] + (upper[index] + share * (lower[index] - upper[index]))


@kernel
def shrink_rows(fine, first_row, last_row, coarse):
    """Transpose of enlarging across rows, for some coarse rows; both float32[row, value]."""
    above, below, down = _enlarged_axis(len(fine), len(coarse))
    coarse[first_row:last_row] = 0
    for y in range(len(fine)):
        if first_row <= above[y] < last_row:
            _add_scaled(fine[y], ONE - down[y], coarse[above[y]])
        if first_row <= below[y] < last_row:
            _add_scaled(fine[y], down[y], coarse[below[y]])


@kernel
def _add_scaled(values, share, sums):
    for index in range(len(values)):
        sums[index] += share * values[index]


@kernel
def shrink_columns(fine, channels, first_row, last_row, coarse):
    """Transpose of enlarging along a row, for some rows; both float32[row, column, channel]."""
    left, right, across = _enlarged_axis(fine.shape[1], coarse.shape[1])
    for y in range(first_row, last_row):
        row = coarse[y]
        row[:] = 0
        for x in range(fine.shape[1]):
            _share(fine[y, x], across[x], row[left[x]], row[right[x]], channels)


@kernel
def sigmoid_gradient(colors, upstream, output):
    """Gradient through colors = sigmoid(logits), on flat float32 arrays."""
    for index in range(len(colors)):
        output[index] = upstream[index] * (colors[index] * (ONE - colors[index]))


@kernel
def _share(values, fraction, first, second, channels):
    for channel in channels:
        first[channel] += (ONE - fraction) * values[channel]
        second[channel] += fraction * values[channel]
