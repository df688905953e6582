import torch

from texcsd.embedded.noise import noise
from texcsd.embedded.patterns import SHEET_NOISES, distance_to_line, sheets

POINTS = 4 * torch.rand(20_000, 3, generator=torch.Generator().manual_seed(5))


def test_sheets_are_as_far_apart_everywhere_as_their_number_tells():
    for distance in distance_to_line(sheets(POINTS)).unbind(-1):
        for share in (0.05, 0.1, 0.25):
            assert abs((distance < share).float().mean() - 2 * share) < 0.02


def test_two_families_of_sheets_have_nothing_to_do_with_each_other():
    first, second = distance_to_line(sheets(POINTS)).unbind(-1)
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 0.03


def test_noises_that_are_at_hand_give_the_same_sheets():
    noises = [noise(POINTS / size) for size in SHEET_NOISES]
    assert torch.equal(sheets(POINTS, noises), sheets(POINTS))
