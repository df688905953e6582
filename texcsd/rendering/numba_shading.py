"""Kernels for shading: sRGB colours under a light, and the gradient."""

from __future__ import annotations

import numpy as np

from texcsd.rendering.numba_kernel import kernel

ENCODED_KNEE, LINEAR_KNEE = np.float32(0.04045), np.float32(0.0031308)
OFFSET, SCALE, SLOPE = np.float32(0.055), np.float32(1.055), np.float32(12.92)
GAMMA, INVERSE_GAMMA = np.float32(2.4), np.float32(1 / 2.4)
ZERO, ONE = np.float32(0), np.float32(1)


@kernel
def relight(colors, light, first, last, roots, output):
    """Encoded min(1, decoded color * light), pixels first..last-1; colors float32[pixel, channel].

    Where both curves are power laws their exponents cancel, which leaves one root per pixel instead
    of two powers per channel: ((c + 0.055) / 1.055) ** 2.4 * light, encoded, is
    (c + 0.055) * light ** (1 / 2.4) - 0.055. The roots are kept for the gradient.
    """
    for pixel in range(first, last):
        factor = light[pixel]
        roots[pixel] = root = factor**INVERSE_GAMMA
        for channel in range(colors.shape[1]):
            color = colors[pixel, channel]
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
            output[pixel, channel] = min(value, ONE)


@kernel
def relight_gradient(colors, light, roots, upstream, first, last, output):
    """Gradient to the colors of `relight`; zero where the light is too bright."""
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
