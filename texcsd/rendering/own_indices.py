"""Indices in memory of our own, copied once for all calls: the kernels rely on what they name."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from texcsd.geometry.kernel import kernel
from texcsd.rendering.arguments import bounds
from texcsd.rendering.numba_kernel import cut, run_pieces

NUMBERS_PER_PIECE = 1 << 18


class OwnIndices(NamedTuple):
    """A copy of an index tensor."""

    numbers: Tensor
    """int32, contiguous; nobody else writes to it."""
    least: int
    greatest: int
    """-1 if there are none, and 0 the least."""


_known = WeakTensorKeyDictionary()
"""The OwnIndices of tensors, as long as these live."""


def own_indices(tensor: Tensor) -> OwnIndices:
    """A copy of an index tensor on the CPU: that of the last call, if its numbers are the same.

    They are compared, as whoever shares the tensor's memory may change them unseen.
    """
    given, known = tensor.detach().numpy(), _known.get(tensor)
    if known is None or not _are_equal(known.numbers.numpy(), given):
        # Looked at after they are copied, lest another thread changes them in between.
        copy = given.copy()
        numbers = torch.from_numpy(copy.astype(np.int32, copy=False))
        known = OwnIndices(numbers, *bounds(torch.from_numpy(copy)))
        _known[tensor] = known
    return known


def _are_equal(own: np.ndarray, given: np.ndarray) -> bool:
    if own.shape != given.shape:
        return False
    first, second = own.reshape(-1), np.ascontiguousarray(given).reshape(-1)
    different = []

    def run(piece: tuple[int, int]) -> None:
        if not _equal_numbers(first, second, *piece):
            different.append(piece)

    run_pieces(run, cut(len(first), NUMBERS_PER_PIECE))
    return not different


@kernel
def _equal_numbers(first, second, begin, end):
    """Whether two arrays are equal in a piece of them."""
    different = 0
    for index in range(begin, end):  # without branches, so that the compiler takes many at once
        different |= first[index] ^ second[index]
    return different == 0
