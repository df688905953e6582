"""How the numba kernels are compiled and run.

Every kernel fills a fixed piece of its output and releases the GIL, so pieces may run on any number
of threads, in any order, without changing a bit of the result. numba's own threads are not used:
without OpenMP they abort when two Python threads call in, and with it they kill forked children.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from numba import njit


def kernel(function: Callable[..., Any]) -> Any:
    """Compiles at the first call and caches on disk, if any folder for that is writable."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:
        return njit(nogil=True)(function)


def run_pieces(run: Callable[[Any], object], pieces: Iterable[Any]) -> None:
    """Calls run for every piece, on as many threads as torch uses (torch.set_num_threads).

    The pool lives only for this call: threads kept for the next would be missing in a forked child.
    """
    pieces = list(pieces)
    threads = min(torch.get_num_threads(), len(pieces))
    if threads <= 1:
        for piece in pieces:
            run(piece)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, pieces))
