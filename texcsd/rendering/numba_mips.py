"""Kernels for mip chains: how one is built, and the transpose of that.

Images come as float32[texel, channel], row after row. `channels` is the tuple (0, 1, ...): its
length is known when compiling, so the loops over it unroll, which makes them a third faster.
"""

from __future__ import annotations

import numpy as np

from texcsd.geometry.kernel import kernel

ONE = np.float32(1)


@kernel
def _area_weights(index, fine, coarse):
    """First fine texel under a coarse one, how many there are, and the weights of up to three."""
    if fine == coarse:
        return 0, 1, (ONE, np.float32(0), np.float32(0))
    if fine == 2 * coarse:
        return 2 * index, 2, (np.float32(0.5), np.float32(0.5), np.float32(0))
    first, middle, last = (coarse - index) / fine, coarse / fine, (index + 1) / fine
    return 2 * index, 3, (np.float32(first), np.float32(middle), np.float32(last))


@kernel
def build_mips(base, mips, levels, channels):
    """Fills mips float32[texel, channel] from base float32[texel, channel], level after level."""
    for level in range(1, len(levels)):
        fine_height, fine_width, fine_start = levels[level - 1]
        height, width, start = levels[level]
        fine = (base if level == 1 else mips)[fine_start : fine_start + fine_height * fine_width]
        coarse = mips[start : start + height * width]
        even = fine_height == 2 * height and fine_width == 2 * width
        for y in range(height):
            if even:
                rows = fine[2 * y * fine_width : (2 * y + 2) * fine_width]
                _average_pairs(rows, coarse[y * width : (y + 1) * width], channels)
                continue
            y0, y_count, y_weights = _area_weights(y, fine_height, height)
            for x in range(width):
                x0, x_count, x_weights = _area_weights(x, fine_width, width)
                for channel in channels:
                    total = np.float32(0)
                    for dy in range(y_count):
                        for dx in range(x_count):
                            texel = fine[(y0 + dy) * fine_width + x0 + dx, channel]
                            total += y_weights[dy] * x_weights[dx] * texel
                    coarse[y * width + x, channel] = total


@kernel
def _average_pairs(rows, coarse, channels):
    """2 x 2 averages of two fine rows, rows float32[2 * 2 * width, channel]."""
    width = len(coarse)
    upper, lower = rows[: 2 * width], rows[2 * width :]
    for x in range(width):
        for channel in channels:
            coarse[x, channel] = np.float32(0.25) * (
                (upper[2 * x, channel] + upper[2 * x + 1, channel])
                + (lower[2 * x, channel] + lower[2 * x + 1, channel])
            )


@kernel
def collapse_mips(base, mips, levels, channels):
    """Transpose of `build_mips`: adds the gradient of every level to that of the finer one."""
    for level in range(len(levels) - 1, 0, -1):
        fine_height, fine_width, fine_start = levels[level - 1]
        height, width, start = levels[level]
        fine = (base if level == 1 else mips)[fine_start : fine_start + fine_height * fine_width]
        coarse = mips[start : start + height * width]
        even = fine_height == 2 * height and fine_width == 2 * width
        for y in range(height):
            if even:
                rows = fine[2 * y * fine_width : (2 * y + 2) * fine_width]
                _spread_pairs(coarse[y * width : (y + 1) * width], rows, channels)
                continue
            y0, y_count, y_weights = _area_weights(y, fine_height, height)
            for x in range(width):
                x0, x_count, x_weights = _area_weights(x, fine_width, width)
                for dy in range(y_count):
                    for dx in range(x_count):
                        texel = fine[(y0 + dy) * fine_width + x0 + dx]
                        share = y_weights[dy] * x_weights[dx]
                        for channel in channels:
                            texel[channel] += share * coarse[y * width + x, channel]


@kernel
def _spread_pairs(coarse, rows, channels):
    width = len(coarse)
    upper, lower = rows[: 2 * width], rows[2 * width :]
    for x in range(width):
        for channel in channels:
            quarter = np.float32(0.25) * coarse[x, channel]
            if quarter != 0:
                upper[2 * x, channel] += quarter
                upper[2 * x + 1, channel] += quarter
                lower[2 * x, channel] += quarter
                lower[2 * x + 1, channel] += quarter
