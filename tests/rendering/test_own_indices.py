"""Copies of indices are made once, and anew whenever the numbers have changed."""

import gc

import pytest
import torch

from texcsd.rendering import own_indices as module
from texcsd.rendering.arguments import bounds
from texcsd.rendering.own_indices import NUMBERS_PER_PIECE, own_indices


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_a_copy_has_the_same_numbers_and_memory_of_its_own(kind):
    given = torch.tensor([[3, 1, 7], [2, 9, 5]], dtype=kind)
    numbers, least, greatest = own_indices(given)
    assert numbers.dtype == torch.int32 and torch.equal(numbers, given.int())
    assert (least, greatest) == (1, 9)
    given[0, 0] = 8
    assert numbers[0, 0] == 3


def test_indices_may_lie_scattered_or_be_none():
    given = torch.arange(12).view(3, 4).T[1:, ::2]
    assert torch.equal(own_indices(given).numbers, given.int())
    assert own_indices(given).numbers.is_contiguous()
    numbers, least, greatest = own_indices(torch.empty(0, 3, dtype=torch.int64))
    assert numbers.shape == (0, 3) and (least, greatest) == (0, -1)


@pytest.mark.parametrize("place", [0, NUMBERS_PER_PIECE - 1, NUMBERS_PER_PIECE, -1])
def test_one_number_that_changes_anywhere_is_noticed_and_none_is_no_work(place):
    given = torch.arange(2 * NUMBERS_PER_PIECE + 5)
    before = own_indices(given)
    assert own_indices(given) is before
    given.numpy()[place] = 2**32 + int(given[place])  # of which torch cannot know; equal in 32 bits
    after = own_indices(given)
    assert after is not before and after.greatest >= 2**32


def test_bounds_are_those_of_the_copy_whatever_becomes_of_the_tensor_meanwhile(monkeypatch):
    given = torch.tensor([[0, 1, 2]])

    def changed(indices):
        given[0, 0] = 1000
        return bounds(indices)

    monkeypatch.setattr(module, "bounds", changed)
    numbers, least, greatest = own_indices(given)
    assert (least, greatest) == (0, 2) and numbers.max() == 2


def test_copies_are_gone_with_what_they_are_copies_of():
    gc.collect()
    known, given = len(module._known), torch.arange(3)
    own_indices(given)
    assert len(module._known) == known + 1
    del given
    gc.collect()
    assert len(module._known) == known
