"""What makes values of the numbers that a meshopt stream of attributes holds: its filters.

After the text of EXT_meshopt_compression and KHR_meshopt_compression, appendix B.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
"""uint8[element, stride]."""


def octahedral(elements: Bytes) -> Bytes:
    """Unit vectors of two coordinates, and a fourth component that stays, in 8 or 16 bits each.

    The third component is what 1 is in the first two.
    """
    kind = _component(elements, "i")
    stored = elements.view(kind)
    one = stored[:, 2].astype(np.float32)
    x, y = (stored[:, column].astype(np.float32) / one for column in (0, 1))
    z = 1 - np.abs(x) - np.abs(y)
    fold = np.minimum(z, 0)
    x, y = x - np.copysign(fold, x), y - np.copysign(fold, y)
    vectors = np.stack([x, y, z], axis=1)
    vectors /= np.sqrt(x * x + y * y + z * z)[:, None]
    found = stored.copy()
    found[:, :3] = _rounded(vectors * np.iinfo(kind).max, kind)
    return found.view(np.uint8)


def quaternion(elements: Bytes) -> Bytes:
    """Unit quaternions of 16 bits from their three smallest components.

    Those are shrunk by the root of 2; the fourth holds what 1 is in them, and in its lowest two
    bits which one was left out.
    """
    stored = elements.view("<i2")
    one = (stored[:, 3] | 3).astype(np.float32)
    x, y, z = (stored[:, :3].astype(np.float32) / one[:, None] * np.float32(np.sqrt(0.5))).T
    largest = np.sqrt(np.maximum(1 - x * x - y * y - z * z, 0))
    values = _rounded(np.stack([largest, x, y, z], axis=1) * np.float32(32767), "<i2")
    places = ((stored[:, 3] & 3)[:, None] + np.arange(4)) % 4
    found = np.empty_like(stored)
    np.put_along_axis(found, places, values, axis=1)
    return found.view(np.uint8)


def exponential(elements: Bytes) -> Bytes:
    """Float32 from a signed exponent of 2, the upper 8 bits, and a signed factor, the others."""
    stored = elements.view("<i4")
    return np.ldexp((stored << 8 >> 8).astype("<f4"), stored >> 24).astype("<f4").view(np.uint8)


def color(elements: Bytes) -> Bytes:
    """Colours with alpha from luma and two chrominances (YCoCg), in 8 or 16 bits each.

    Alpha has one bit less than the rest, and above these one that is set and tells their number.
    """
    stored = elements.view(_component(elements, "u")).astype(np.int32)
    signed = elements.view(_component(elements, "i")).astype(np.int32)
    luma, orange, green, alpha = stored[:, 0], signed[:, 1], signed[:, 2], stored[:, 3]
    top = np.frexp(alpha)[1]  # the number of bits
    half = (1 << np.maximum(top - 1, 0)) - 1
    alpha = (alpha & half) << 1 | alpha & half & 1
    rgba = np.stack([luma + orange - green, luma + green, luma - orange - green, alpha], axis=1)
    kind = _component(elements, "u")
    scale = np.float32(np.iinfo(kind).max) / ((1 << top) - 1).astype(np.float32)
    return _rounded(rgba.astype(np.float32) * scale[:, None], kind).view(np.uint8)


def _component(elements: Bytes, kind: str) -> str:
    """The type of a quarter of an element."""
    return f"<{kind}{elements.shape[1] // 4}"


def _rounded(values: NDArray[np.float32], kind: str) -> NDArray[Any]:
    """Round halves away from zero; what is no number becomes 0, and what is too large the limit."""
    limits = np.iinfo(kind)
    rounded = np.trunc(values + np.copysign(np.float32(0.5), values))
    return np.clip(np.nan_to_num(rounded), limits.min, limits.max).astype(kind)
