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
