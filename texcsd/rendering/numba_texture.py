"""Kernels for textures: mip chains, trilinear lookups, enlarged levels, and their transposes.

Images come as float32[texel, channel] or float32[image, texel, channel], row after row.
`channels` is the tuple (0, 1, ...): its length is known when compiling, so the loops over it
unroll, which makes them a third faster.
"""

from __future__ import annotations

import numpy as np

from texcsd.rendering.numba_kernel import kernel

ONE = np.float32(1)


@kernel
def _level_of_detail(slopes, sample, height, width, last_level):
    """Log2 of the major axis, in texels, of the ellipse one pixel covers; 0 if it is not finite."""
    u_x, u_y = np.float64(slopes[sample, 0]) * width, np.float64(slopes[sample, 1]) * width
    v_x, v_y = np.float64(slopes[sample, 2]) * height, np.float64(slopes[sample, 3]) * height
    along_x, along_y, mixed = u_x * u_x + v_x * v_x, u_y * u_y + v_y * v_y, u_x * u_y + v_x * v_y
    difference = along_x - along_y
    major = 0.5 * (along_x + along_y + np.sqrt(difference * difference + 4 * mixed * mixed))
    if not 1 < major < np.inf:
        return 0.0
    return min(0.5 * np.log2(major), np.float64(last_level))


@kernel
def _neighbours(coordinate, size, clamp):
    """The two texels around a coordinate along one axis, and the weight of the second."""
    if clamp:
        coordinate = min(max(coordinate, 0.0), 1.0)
    else:
        coordinate -= np.floor(coordinate)
    position = coordinate * size - 0.5
    below = np.floor(position)
    first = int(below)
    second = first + 1
    if first < 0:
        first = 0 if clamp else size - 1
    if second >= size:
        second = size - 1 if clamp else 0
    return first, second, np.float32(position - below)


@kernel
def sample_mips(
    base, mips, levels, uv, slopes, samples_per_image, clamp, channels, first, last, output
):
    """Trilinear lookups first..last-1; base and mips are float32[image, texel, channel]."""
    for sample in range(first, last):
        for channel in channels:
            output[sample, channel] = 0
        u, v = np.float64(uv[sample, 0]), np.float64(uv[sample, 1])
        if not np.isfinite(u + v):
            continue
        image = sample // samples_per_image if len(base) > 1 else 0
        detail = _level_of_detail(slopes, sample, levels[0, 0], levels[0, 1], len(levels) - 1)
        finer = int(detail)
        blend = np.float32(detail - finer)
        for step in range(2 if blend > 0 else 1):
            level = finer + step
            share = blend if step else ONE - blend
            height, width, start = levels[level, 0], levels[level, 1], levels[level, 2]
            texels = mips if level else base
            x0, x1, right = _neighbours(u, width, clamp)
            y0, y1, down = _neighbours(v, height, clamp)
            row0, row1 = start + y0 * width, start + y1 * width
            for channel in channels:
                upper, lower = texels[image, row0 + x0, channel], texels[image, row1 + x0, channel]
                upper += right * (texels[image, row0 + x1, channel] - upper)
                lower += right * (texels[image, row1 + x1, channel] - lower)
                output[sample, channel] += share * (upper + down * (lower - upper))


@kernel
def scatter_gradient(
    upstream, levels, uv, slopes, samples_per_image, clamp, channels, band, bands, base, mips
):
    """Transpose of `sample_mips`, for the rows of each level that belong to one band.

    Every texel has one owner who adds to it in the order of the samples, so the sum has the same
    bits for any number of bands, and no band needs a buffer of its own.
    """
    limits = np.empty((len(levels), 2), np.int64)
    for level in range(len(levels)):
        limits[level, 0] = band * levels[level, 0] // bands
        limits[level, 1] = (band + 1) * levels[level, 0] // bands
    for sample in range(len(upstream)):
        gradient = upstream[sample]
        anything = False
        for channel in channels:
            anything = anything or gradient[channel] != 0
        u, v = np.float64(uv[sample, 0]), np.float64(uv[sample, 1])
        if not (anything and np.isfinite(u + v)):
            continue
        image = sample // samples_per_image if len(base) > 1 else 0
        detail = _level_of_detail(slopes, sample, levels[0, 0], levels[0, 1], len(levels) - 1)
        finer = int(detail)
        blend = np.float32(detail - finer)
        for step in range(2 if blend > 0 else 1):
            level = finer + step
            share = blend if step else ONE - blend
            height, width, start = levels[level, 0], levels[level, 1], levels[level, 2]
            texels = mips[image] if level else base[image]
            y0, y1, down = _neighbours(v, height, clamp)
            x0, x1, right = _neighbours(u, width, clamp)
            if limits[level, 0] <= y0 < limits[level, 1]:
                left, row = share * (ONE - down), start + y0 * width
                _add_pair(texels[row + x0], texels[row + x1], left, right, gradient, channels)
            if limits[level, 0] <= y1 < limits[level, 1]:
                left, row = share * down, start + y1 * width
                _add_pair(texels[row + x0], texels[row + x1], left, right, gradient, channels)


@kernel
def _add_pair(first, second, share, fraction, gradient, channels):
    for channel in channels:
        value = share * gradient[channel]
        first[channel] += (ONE - fraction) * value
        second[channel] += fraction * value


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


@kernel
def _enlarged_axis(fine, coarse):
    """For each of fine texels: the two coarse ones around it, and the weight of the second."""
    first, second = np.empty(fine, np.int64), np.empty(fine, np.int64)
    weight = np.empty(fine, np.float32)
    for index in range(fine):
        first[index], second[index], weight[index] = _neighbours((index + 0.5) / fine, coarse, True)
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
            _add_pair(row[left[x]], row[right[x]], ONE, across[x], fine[y, x], channels)


@kernel
def sigmoid_gradient(colors, upstream, output):
    """Gradient through colors = sigmoid(logits), on flat float32 arrays."""
    for index in range(len(colors)):
        output[index] = upstream[index] * (colors[index] * (ONE - colors[index]))


@kernel
def count_pixels(ids, uv, counts):
    """Adds pixels with ids of at least 0 to int32[size, size] where their uv is, row 0 on top."""
    size = len(counts)
    for pixel in range(len(ids)):
        if ids[pixel] >= 0:
            # In float32 and 1 - v first, as on other devices.
            column = int(np.floor(uv[pixel, 0] * np.float32(size)))
            row = int(np.floor((ONE - uv[pixel, 1]) * np.float32(size)))
            counts[row % size, column % size] += 1
