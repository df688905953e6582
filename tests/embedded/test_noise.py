"""Cellular noise: what the fast loop finds is what looking at every centre finds."""

import itertools

import torch

from texcsd.embedded.noise import PERIOD, cells, noise, random, warped_cells

POINTS = 20 * torch.rand(300, 3, generator=torch.Generator().manual_seed(4)) - 10


def test_cells_are_the_nearest_two_of_the_centres_around_a_point():
    found = cells(POINTS)
    for index, point in enumerate(POINTS):
        base = (point - 0.5).floor()
        corners = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)))
        drawn = random(base + corners)
        centres = base + corners + 0.5 + 0.8 * (drawn[:, :3] - 0.5)
        distances, order = (point - centres).norm(dim=1).sort()
        torch.testing.assert_close(found.nearest[index], distances[0])
        torch.testing.assert_close(found.border[index], distances[1] - distances[0])
        assert found.random[index] == drawn[order[0], 3]


def test_cells_repeat_after_their_period_and_not_before():
    found, again = cells(POINTS), cells(POINTS + PERIOD)
    torch.testing.assert_close(found.nearest, again.nearest, atol=1e-5, rtol=0)
    assert (found.random != cells(POINTS + PERIOD / 2).random).float().mean() > 0.9


def test_a_warp_that_is_at_hand_gives_the_same_cells():
    own, given = warped_cells(POINTS, 0.3), warped_cells(POINTS, 0.3, noise(POINTS / 0.6))
    assert torch.equal(own.border, given.border)
