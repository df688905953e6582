"""Kernels for lookups in textures and mip chains, and their gradients.

A lookup is a tuple of what tells where and how to look:
    levels: int64[level, 3], height, width and first texel of each; level 0 is the texture itself
        and has a buffer of its own, the others lie one behind another in one buffer.
    uv: float32[sample, 2].
    details: float32[sample], the level of detail, any number; or empty: level 0.
    mask: bool[sample], samples to look up; or empty.
    samples_per_image: That many samples in a row look at one image.
    modes: One of WRAP, CLAMP, ZERO; whether to take the nearest texel; one of NO_MIPS, NEAREST_MIP,
        TWO_MIPS.
    channels: The tuple (0, 1, ...), as in `numba_mips`.

Images come as float32[image, texel, channel], row after row.
"""

from __future__ import annotations

import numpy as np

from texcsd.geometry.kernel import kernel

ONE = np.float32(1)
NOTHING = np.float32(0)
WRAP, CLAMP, ZERO = 0, 1, 2
NO_MIPS, NEAREST_MIP, TWO_MIPS = 0, 1, 2


@kernel
def _footprint(u_x, u_y, v_x, v_y, height, width):
    """Of a pixel's footprint: squared lengths along x and y, product, squared major axis."""
    u_x, u_y = np.float64(u_x) * width, np.float64(u_y) * width
    v_x, v_y = np.float64(v_x) * height, np.float64(v_y) * height
    along_x, along_y, mixed = u_x * u_x + v_x * v_x, u_y * u_y + v_y * v_y, u_x * u_y + v_x * v_y
    difference = along_x - along_y
    major = 0.5 * (along_x + along_y + np.sqrt(difference * difference + 4 * mixed * mixed))
    return along_x, along_y, mixed, major


@kernel
def _level_of_detail(u_x, u_y, v_x, v_y, height, width):
    """Log2 of the major axis of a footprint; 0 where it is not finite."""
    major = _footprint(u_x, u_y, v_x, v_y, height, width)[3]
    return 0.5 * np.log2(max(major, 1e-60)) if major < np.inf else 0.0


@kernel
def fill_details(slopes, bias, height, width, first, last, details):
    """Levels of detail of samples first..last-1 in a texture of this size.

    slopes are float32[sample, 4], du/dx, du/dy, dv/dx, dv/dy per pixel; bias is float32[sample];
    either may be empty.
    """
    for sample in range(first, last):
        detail = 0.0
        if len(slopes) > 0:
            u_x, u_y = slopes[sample, 0], slopes[sample, 1]
            v_x, v_y = slopes[sample, 2], slopes[sample, 3]
            detail = _level_of_detail(u_x, u_y, v_x, v_y, height, width)
        details[sample] = detail + (bias[sample] if len(bias) > 0 else NOTHING)


@kernel
def _two_levels(detail, last, mip_mode):
    """The finer of two levels, the share of the coarser one, and the share's change with detail."""
    if mip_mode == NO_MIPS or not 0 < detail < last:
        return (last if mip_mode != NO_MIPS and detail >= last else 0), NOTHING, NOTHING
    finer = int(detail)
    if mip_mode == NEAREST_MIP:
        return finer, NOTHING, NOTHING
    return finer, np.float32(detail - finer), ONE


@kernel
def _texels(coordinate, size, boundary, nearest):
    """Along one axis: two texels, the weight of the second, and whether each counts, as 1 or 0."""
    if boundary == WRAP:
        coordinate -= np.floor(coordinate)
    elif boundary == CLAMP:
        coordinate = min(max(coordinate, 0.0), 1.0)
    else:
        coordinate = min(max(coordinate, -1.0), 2.0)
    position = coordinate * size - (0.0 if nearest else 0.5)
    below = np.floor(position)
    first = int(below)
    if nearest and boundary != ZERO:  # 1 is the end of the last texel, not the first beyond
        first = min(first, size - 1)
    second = first if nearest else first + 1
    weight = NOTHING if nearest else np.float32(position - below)
    counts_first, counts_second = ONE, ONE
    if first < 0:
        first = size - 1 if boundary == WRAP else 0
        counts_first = NOTHING if boundary == ZERO else ONE
    if second >= size:
        second = 0 if boundary == WRAP else size - 1
        counts_second = NOTHING if boundary == ZERO else ONE
    if boundary == ZERO:  # may lie beyond by more than one
        if first >= size:
            first, counts_first = size - 1, NOTHING
        if second < 0:
            second, counts_second = 0, NOTHING
    return first, second, weight, counts_first, counts_second


@kernel
def _weights(weight, counts_first, counts_second):
    return (ONE - weight) * counts_first, weight * counts_second


@kernel
def sample_texture(base, mips, lookup, first, last, output):
    """Looks samples first..last-1 up; zeros where the mask is false or the uv is not finite."""
    levels, uv, details, mask, samples_per_image, modes, channels = lookup
    boundary, nearest, mip_mode = modes
    for sample in range(first, last):
        for channel in channels:
            output[sample, channel] = 0
        u, v = np.float64(uv[sample, 0]), np.float64(uv[sample, 1])
        if not np.isfinite(u + v) or (len(mask) > 0 and not mask[sample]):
            continue
        image = sample // samples_per_image if len(base) > 1 else 0
        detail = details[sample] if len(details) > 0 else NOTHING
        finer, blend, _ = _two_levels(detail, len(levels) - 1, mip_mode)
        for step in range(2 if blend > 0 else 1):
            level = finer + step
            share = blend if step else ONE - blend
            height, width, start = levels[level, 0], levels[level, 1], levels[level, 2]
            texels = mips if level else base
            x0, x1, across, x_first, x_second = _texels(u, width, boundary, nearest)
            y0, y1, down, y_first, y_second = _texels(v, height, boundary, nearest)
            left, right = _weights(across, x_first, x_second)
            upper, lower = _weights(down, y_first, y_second)
            upper, lower = share * upper, share * lower
            row0, row1 = start + y0 * width, start + y1 * width
            for channel in channels:
                output[sample, channel] += upper * (
                    left * texels[image, row0 + x0, channel]
                    + right * texels[image, row0 + x1, channel]
                ) + lower * (
                    left * texels[image, row1 + x0, channel]
                    + right * texels[image, row1 + x1, channel]
                )


@kernel
def scatter_gradient(upstream, lookup, band, bands, base, mips):
    """Transpose of `sample_texture`, for the rows of each level that belong to one band.

    Every texel has one owner who adds to it in the order of the samples, so the sum has the same
    bits for any number of bands, and no band needs a buffer of its own.
    """
    levels, uv, details, mask, samples_per_image, modes, channels = lookup
    boundary, nearest, mip_mode = modes
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
        if not (anything and np.isfinite(u + v)) or (len(mask) > 0 and not mask[sample]):
            continue
        image = sample // samples_per_image if len(base) > 1 else 0
        detail = details[sample] if len(details) > 0 else NOTHING
        finer, blend, _ = _two_levels(detail, len(levels) - 1, mip_mode)
        for step in range(2 if blend > 0 else 1):
            level = finer + step
            share = blend if step else ONE - blend
            height, width, start = levels[level, 0], levels[level, 1], levels[level, 2]
            texels = mips[image] if level else base[image]
            y0, y1, down, y_first, y_second = _texels(v, height, boundary, nearest)
            owns_upper = limits[level, 0] <= y0 < limits[level, 1]
            owns_lower = limits[level, 0] <= y1 < limits[level, 1]
            if not (owns_upper or owns_lower):
                continue
            x0, x1, across, x_first, x_second = _texels(u, width, boundary, nearest)
            left, right = _weights(across, x_first, x_second)
            upper, lower = _weights(down, y_first, y_second)
            if owns_upper:
                weight, row = share * upper, start + y0 * width
                _add_pair(
                    texels[row + x0], texels[row + x1], weight, left, right, gradient, channels
                )
            if owns_lower:
                weight, row = share * lower, start + y1 * width
                _add_pair(
                    texels[row + x0], texels[row + x1], weight, left, right, gradient, channels
                )


@kernel
def _add_pair(first, second, share, left, right, gradient, channels):
    for channel in channels:
        value = share * gradient[channel]
        first[channel] += left * value
        second[channel] += right * value


@kernel
def lookup_gradient(upstream, base, mips, lookup, first, last, uv_gradient, detail_gradient):
    """Gradients of samples first..last-1 to uv, and to the level of detail."""
    levels, uv, details, mask, samples_per_image, modes, channels = lookup
    boundary, nearest, mip_mode = modes
    for sample in range(first, last):
        uv_gradient[sample, 0] = uv_gradient[sample, 1] = detail_gradient[sample] = 0
        u, v = np.float64(uv[sample, 0]), np.float64(uv[sample, 1])
        if not np.isfinite(u + v) or (len(mask) > 0 and not mask[sample]):
            continue
        image = sample // samples_per_image if len(base) > 1 else 0
        detail = details[sample] if len(details) > 0 else NOTHING
        finer, blend, changing = _two_levels(detail, len(levels) - 1, mip_mode)
        for step in range(2 if blend > 0 else 1):
            level = finer + step
            share = blend if step else ONE - blend
            height, width, start = levels[level, 0], levels[level, 1], levels[level, 2]
            texels = mips[image] if level else base[image]
            x0, x1, across, x_first, x_second = _texels(u, width, boundary, nearest)
            y0, y1, down, y_first, y_second = _texels(v, height, boundary, nearest)
            left, right = _weights(across, x_first, x_second)
            upper, lower = _weights(down, y_first, y_second)
            row0, row1 = start + y0 * width, start + y1 * width
            for channel in channels:
                a = x_first * y_first * texels[row0 + x0, channel]
                b = x_second * y_first * texels[row0 + x1, channel]
                c = x_first * y_second * texels[row1 + x0, channel]
                d = x_second * y_second * texels[row1 + x1, channel]
                factor = upstream[sample, channel]
                if not nearest:
                    along_u = (ONE - down) * (b - a) + down * (d - c)
                    along_v = (ONE - across) * (c - a) + across * (d - b)
                    uv_gradient[sample, 0] += factor * share * width * along_u
                    uv_gradient[sample, 1] += factor * share * height * along_v
                color = upper * (left * a + right * b) + lower * (left * c + right * d)
                detail_gradient[sample] += factor * color * (changing if step else -changing)


@kernel
def slope_gradient(detail_gradient, slopes, height, width, first, last, output):
    """Gradients of samples first..last-1 to the slopes, from those to the level of detail.

    In a texture of this height and width.
    """
    for sample in range(first, last):
        output[sample] = 0
        u_x, u_y = slopes[sample, 0], slopes[sample, 1]
        v_x, v_y = slopes[sample, 2], slopes[sample, 3]
        along_x, along_y, mixed, major = _footprint(u_x, u_y, v_x, v_y, height, width)
        difference = along_x - along_y
        root = np.sqrt(difference * difference + 4 * mixed * mixed)
        if detail_gradient[sample] == 0 or not 1e-60 < major < np.inf:
            continue
        # A circle has no major axis: there the two directions share the change.
        to_x = 0.5 + 0.5 * difference / root if root > 0 else 0.5
        to_mixed = 2 * mixed / root if root > 0 else 0.0
        scale = detail_gradient[sample] / (2 * np.log(2.0) * major)
        for axis in range(2):
            texels = width if axis == 0 else height
            slope_x = slopes[sample, 2 * axis] * texels
            slope_y = slopes[sample, 2 * axis + 1] * texels
            output[sample, 2 * axis] = scale * texels * (2 * to_x * slope_x + to_mixed * slope_y)
            output[sample, 2 * axis + 1] = (
                scale * texels * (2 * (1 - to_x) * slope_y + to_mixed * slope_x)
            )


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
