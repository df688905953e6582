"""Kernels for shading: sRGB colours under a light, and the gradient."""

from __future__ import annotations

import numpy as np

from texcsd.geometry.kernel import kernel

ENCODED_KNEE, LINEAR_KNEE = np.float32(0.04045), np.float32(0.0031308)
OFFSET, SCALE, SLOPE = np.float32(0.055), np.float32(1.055), np.float32(12.92)
GAMMA, INVERSE_GAMMA = np.float32(2.4), np.float32(1 / 2.4)
ZERO, ONE = np.float32(0), np.float32(1)


@kernel
def shade(
    colors, normals, coverage, lights, background, first_row, last_row, factors, roots, output
):
    """Shades rows first..last-1 of all views together, and keeps what the gradient needs.

    Args:
        colors: float32[view, height, width, 3], sRGB.
        normals: float32[view, height, width, 3].
        coverage: float32[view, height, width, 1].
        lights: direction float32[view, 3], ambient and exposure float32[view].
        background: float32[view, 1 or height, 1 or width, 3], sRGB.
        first_row: Counts the rows of the views before, too.
        last_row: Likewise.
        factors: float32[view, height, width]; filled with the light on each pixel, 0 in the
            background.
        roots: float32[view, height, width]; filled with its root.
        output: float32[view, height, width, 3].
    """
    directions, ambients, exposures = lights
    height, width = colors.shape[1], colors.shape[2]
    for row in range(first_row, last_row):
        view, y = row // height, row % height
        x_light, y_light, z_light = directions[view]
        ambient, exposure = ambients[view], exposures[view]
        for x in range(width):
            factor = root = ZERO
            if coverage[view, y, x, 0] > 0:
                normal = normals[view, y, x]
                facing = normal[0] * x_light + normal[1] * y_light + normal[2] * z_light
                factor = exposure * (ambient + (ONE - ambient) * max(facing, ZERO))
                root = factor**INVERSE_GAMMA
                for channel in range(3):
                    output[view, y, x, channel] = _relit(colors[view, y, x, channel], factor, root)
            else:
                behind = background[view, min(y, background.shape[1] - 1)]
                for channel in range(3):
                    output[view, y, x, channel] = behind[min(x, len(behind) - 1), channel]
            factors[view, y, x], roots[view, y, x] = factor, root


@kernel
def _relit(color, factor, root):
    """Encoded min(1, decoded color * factor).

    Where both curves are power laws their exponents cancel, which leaves one root per pixel instead
    of two powers per channel: ((c + 0.055) / 1.055) ** 2.4 * factor, encoded, is
    (c + 0.055) * factor ** (1 / 2.4) - 0.055.
    """
    value = (color + OFFSET) * root - OFFSET
    if color <= ENCODED_KNEE or value <= ENCODED_KNEE:
        if color <= ENCODED_KNEE:
            linear = factor * (color / SLOPE)
        else:
            linear = factor * ((color + OFFSET) / SCALE) ** GAMMA
        if linear <= LINEAR_KNEE:
            value = SLOPE * linear
        else:
            value = SCALE * linear**INVERSE_GAMMA - OFFSET
    return min(value, ONE)


@kernel
def shade_gradient(colors, light, roots, upstream, first, last, output):
    """Gradient to the colors of `shade`, float32[pixel, 3], pixels first..last-1; 0 where white."""
    for pixel in range(first, last):
        factor, root = light[pixel], roots[pixel]
        for channel in range(colors.shape[1]):
            color = colors[pixel, channel]
            value = (color + OFFSET) * root - OFFSET
            slope = root
            if color <= ENCODED_KNEE or value <= ENCODED_KNEE:
                if color <= ENCODED_KNEE:
                    linear, slope = factor * (color / SLOPE), factor / SLOPE
                else:
                    base = (color + OFFSET) / SCALE
                    power = factor * base ** (GAMMA - ONE)
                    linear, slope = power * base, GAMMA / SCALE * power
                if linear <= LINEAR_KNEE:
                    slope *= SLOPE
                else:
                    slope *= SCALE * INVERSE_GAMMA * linear ** (INVERSE_GAMMA - ONE)
            output[pixel, channel] = ZERO if value > ONE else slope * upstream[pixel, channel]
