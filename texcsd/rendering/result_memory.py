"""Memory for large results: that of former ones that are gone.

What an operation returns is often many megabytes that are dropped before the next call. From the
system, such memory is new each time, and clearing it takes as long as filling it.
"""

from __future__ import annotations

import weakref
from collections import deque
from contextlib import suppress
from math import prod

import numpy as np

LARGE = 1 << 18
"""Bytes from which on memory is kept; what is smaller is kept by the system's allocator."""
MOST = 1 << 28
"""Bytes that are kept at most, beside what is in use."""

_free: deque[np.ndarray] = deque()
"""uint8[...] that no result uses. Only whole operations of the deque touch it, as pieces may come
back at any time and in any thread, whenever the last view of a result is gone."""


def new_image(shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
    """An array of this shape whose numbers are not set, as `np.empty` gives it."""
    size = prod(shape) * np.dtype(dtype).itemsize
    if size < LARGE:
        return np.empty(shape, dtype)
    memory = _kept(size)
    if memory is None:
        memory = np.empty(size, np.uint8)
    # All views, also those of views, refer to this array, as it is of other kind than its base.
    image = np.frombuffer(memory.data, dtype)
    weakref.finalize(image, _keep, memory).atexit = False
    return image.reshape(shape)


def _kept(size: int) -> np.ndarray | None:
    """Free memory of just this size, if there is any."""
    for _ in range(len(_free)):
        try:
            memory = _free.popleft()
        except IndexError:  # another thread was faster
            return None
        if len(memory) == size:
            return memory
        _free.append(memory)
    return None


def _keep(memory: np.ndarray) -> None:
    """Takes back memory, and gives up what has been there for longest if it is too much."""
    if len(memory) > MOST:
        return
    _free.append(memory)
    while sum(len(kept) for kept in list(_free)) > MOST:
        with suppress(IndexError):
            _free.popleft()
