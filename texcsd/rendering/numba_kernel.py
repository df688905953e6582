"""How the numba kernels are run.

Every kernel fills a fixed piece of its output and releases the GIL, so pieces may run on any number
of threads, in any order, without changing a bit of the result. numba's own threads are not used:
without OpenMP they abort when two Python threads call in, and with it they kill forked children.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from texcsd.geometry.kernel import kernel

ROWS_PER_PIECE = 256
PIXELS_PER_PIECE = 1 << 14


def run_pieces(run: Callable[[Any], object], pieces: Iterable[Any]) -> None:
    """Calls run for every piece, on as many threads as torch uses (torch.set_num_threads).

    This thread is one of them. Every thread takes the next piece when it has finished one.
    """
    waiting = deque(pieces)
    helpers = min(torch.get_num_threads(), len(waiting)) - 1

    def work() -> None:
        while True:
            try:
                piece = waiting.popleft()
            except IndexError:
                return
            run(piece)

    futures = [_pool(helpers).submit(work) for _ in range(helpers)]
    try:
        work()
    finally:
        for future in futures:
            future.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


# A forked child has none of the threads, and makes its own.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def cut(count: int, size: int) -> list[tuple[int, int]]:
    """First and last plus one of pieces of 0..count-1; independent of the number of threads."""
    return [(first, min(first + size, count)) for first in range(0, count, size)]


def as_array(tensor: Tensor, dtype: Any) -> np.ndarray:
    """The tensor's numbers, copied only if they have another type or lie scattered."""
    if tensor.dtype == torch.bfloat16:  # which numpy has not
        tensor = tensor.float()
    return np.ascontiguousarray(tensor.detach().numpy(), dtype)


_known_indices = WeakTensorKeyDictionary()
"""int32 copies of index tensors, as long as these live."""


def as_indices(tensor: Tensor) -> np.ndarray:
    """The int32 numbers of an index tensor, read-only; if they must be copied, once for all calls.

    A copy is compared with the tensor first, as whoever shares its memory may change that unseen.
    """
    given = tensor.detach().numpy()
    if given.dtype == np.int32 and given.flags.c_contiguous:
        return given
    known = _known_indices.get(tensor)
    if known is None or not are_equal(known, given):
        known = np.ascontiguousarray(given, np.int32)
        _known_indices[tensor] = known
    return known


def are_equal(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two arrays of indices have the same numbers: `np.array_equal` without new memory."""
    if first.shape != second.shape:
        return False
    return bool(_equal_numbers(first.reshape(-1), np.ascontiguousarray(second).reshape(-1)))


@kernel
def _equal_numbers(first, second):
    different = 0
    for index in range(len(first)):  # without branches, so that the compiler takes many at once
        different |= first[index] ^ second[index]
    return different == 0
