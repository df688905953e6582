"""How loops over numbers are compiled by numba, here and in the rasterizer."""

from collections.abc import Callable
from typing import Any

from numba import njit


def kernel(function: Callable[..., Any]) -> Any:
    """Compiles at the first call and caches on disk, if any folder for that is writable.

    Division by zero gives an infinity. Small helpers take numbers rather than arrays, where they
    are called for every pixel: counting the references to an array costs more than their work.
    """
    try:
        return njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:
        return njit(nogil=True, error_model="numpy")(function)
