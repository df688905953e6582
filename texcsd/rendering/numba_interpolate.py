"""Kernels that interpolate vertex attributes, and their gradients.

values are float32[1 or views, vertex, channel]; ids, rast and rast_db are flat over all pixels;
channels are those whose change per pixel is wanted, too.
"""

from __future__ import annotations

import numpy as np

from texcsd.geometry.kernel import kernel


@kernel
def interpolate(
    values, faces, ids, rast, rast_db, channels, pixels_per_view, first, last, output, slopes
):
    """Fills output[pixel, channel] and slopes[pixel, 2 * channel] for pixels first..last-1."""
    for pixel in range(first, last):
        output[pixel] = 0
        slopes[pixel] = 0
        face = ids[pixel]
        if face < 0:
            continue
        view = pixel // pixels_per_view if len(values) > 1 else 0
        i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
        u, v = rast[pixel, 0], rast[pixel, 1]
        for channel in range(values.shape[2]):
            third = values[view, k, channel]
            along_u = values[view, i, channel] - third
            along_v = values[view, j, channel] - third
            output[pixel, channel] = third + (u * along_u + v * along_v)
        for index in range(len(channels)):
            channel = channels[index]
            third = values[view, k, channel]
            along_u = values[view, i, channel] - third
            along_v = values[view, j, channel] - third
            for axis in range(2):
                slopes[pixel, 2 * index + axis] = (
                    rast_db[pixel, axis] * along_u + rast_db[pixel, 2 + axis] * along_v
                )


@kernel
def rast_gradient(
    values,
    faces,
    ids,
    channels,
    pixels_per_view,
    to_output,
    to_slopes,
    first,
    last,
    to_rast,
    to_rast_db,
):
    """Fills the gradients to rast and rast_db, which come in as zeros, of pixels first..last-1."""
    for pixel in range(first, last):
        face = ids[pixel]
        if face < 0:
            continue
        view = pixel // pixels_per_view if len(values) > 1 else 0
        i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
        for channel in range(values.shape[2]):
            third = values[view, k, channel]
            to_rast[pixel, 0] += to_output[pixel, channel] * (values[view, i, channel] - third)
            to_rast[pixel, 1] += to_output[pixel, channel] * (values[view, j, channel] - third)
        for index in range(len(channels)):
            channel = channels[index]
            third = values[view, k, channel]
            along_u = values[view, i, channel] - third
            along_v = values[view, j, channel] - third
            for axis in range(2):
                slope = to_slopes[pixel, 2 * index + axis]
                to_rast_db[pixel, axis] += slope * along_u
                to_rast_db[pixel, 2 + axis] += slope * along_v


@kernel
def value_gradient(
    faces, ids, rast, rast_db, channels, to_output, to_slopes, first, last, gradient
):
    """Adds the gradient of pixels first..last-1, of one view, to float64[vertex, channel].

    One view after another pixel by pixel: the order of the sum is always the same.
    """
    for pixel in range(first, last):
        face = ids[pixel]
        if face < 0:
            continue
        i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
        u, v = np.float64(rast[pixel, 0]), np.float64(rast[pixel, 1])
        for channel in range(gradient.shape[1]):
            upstream = to_output[pixel, channel]
            gradient[i, channel] += u * upstream
            gradient[j, channel] += v * upstream
            gradient[k, channel] += (1 - u - v) * upstream
        for index in range(len(channels)):
            channel = channels[index]
            right, down = np.float64(to_slopes[pixel, 2 * index]), to_slopes[pixel, 2 * index + 1]
            along_u = rast_db[pixel, 0] * right + rast_db[pixel, 1] * down
            along_v = rast_db[pixel, 2] * right + rast_db[pixel, 3] * down
            gradient[i, channel] += along_u
            gradient[j, channel] += along_v
            gradient[k, channel] -= along_u + along_v
