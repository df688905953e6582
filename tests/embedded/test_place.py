"""What the model is told of a place."""

from itertools import combinations

import pytest
import torch

from texcsd.embedded import place
from texcsd.embedded.captions import usual_look
from texcsd.embedded.materials import MATERIALS
from texcsd.embedded.noise import noise, warped_cells
from texcsd.embedded.patterns import distance_to_line, sheets


def random_surface(count=2, size=8, seed=19):
    generator = torch.Generator().manual_seed(seed)
    depth = (torch.rand(count, size, size, 1, generator=generator) - 0.3).clamp(min=0)
    normals = torch.randn(count, size, size, 3, generator=generator)
    positions = 4 * torch.rand(count, size, size, 3, generator=generator) - 1
    return depth, torch.nn.functional.normalize(normals, dim=-1), positions


def test_all_channels_are_told_within_one_and_nothing_of_the_background():
    depth, normals, positions = random_surface()
    told = place.geometry_channels(depth, normals, positions, 8)
    assert told.shape == (2, place.GEOMETRY_CHANNELS, 8, 8)
    assert told.abs().max() <= 1.0001
    background = (depth == 0).permute(0, 3, 1, 2).expand_as(told)
    assert (told[background] == 0).all()


def test_the_sines_and_cosines_of_every_position_are_told():
    depth, normals, positions = random_surface()
    told = place.geometry_channels(depth, normals, positions, 8).permute(0, 2, 3, 1)
    seen = depth[..., 0] > 0
    angle = positions * (2 * torch.pi * 2 ** (place.POSITION_OCTAVES - 1) / place.PATTERN_PERIOD)
    last = 4 + 6 * (place.POSITION_OCTAVES - 1)
    assert torch.allclose(told[seen][:, last : last + 3], angle.sin()[seen], atol=1e-3)
    assert torch.allclose(told[seen][:, last + 3 : last + 6], angle.cos()[seen], atol=1e-3)


def test_a_pixel_is_told_the_mean_of_the_place_it_covers():
    depth, normals, positions = torch.full((1, 4, 4, 1), 0.5), torch.zeros(1, 4, 4, 3), None
    normals[..., 1] = 1
    positions = torch.zeros(1, 4, 4, 3)
    positions[:, :, 2:] = 0.2
    one = place.geometry_channels(depth, normals, positions, 1)
    mean = torch.full((1, 1, 1, 3), 0.1)
    assert torch.allclose(
        one, place.geometry_channels(depth[:, :1, :1], normals[:, :1, :1], mean, 1), atol=1e-5
    )


def test_patterns_follow_the_normals_of_the_place_and_shading_those_that_are_seen():
    depth, normals, positions = random_surface()
    others = normals.roll(1, -1)
    told = place.geometry_channels(depth, normals, positions, 8, others)
    assert torch.equal(told[:, :4], place.geometry_channels(depth, normals, positions, 8)[:, :4])
    assert torch.equal(told[:, 4:], place.geometry_channels(depth, others, positions, 8)[:, 4:])


def test_the_noises_cells_and_sheets_that_patterns_are_made_of_are_told():
    depth, normals, positions = random_surface()
    depth = depth + 0.1
    told = place.geometry_channels(depth, normals, positions, 8).permute(0, 2, 3, 1).flatten(0, 2)
    points = positions.flatten(0, 2)
    noises = 1.6 * (noise(points / 0.15) - 0.5)
    cell = 2 * warped_cells(points, 0.3).border - 1
    sheet = (1 - 10 * distance_to_line(sheets(points))).clamp(-1, 1)
    for expected in (*noises.unbind(-1), cell, *sheet.unbind(-1)):
        # Cells and their random numbers jump at borders, where rounding decides.
        closest = (told - expected.clamp(-1, 1)[:, None]).abs().median(0).values.min()
        assert closest < 1e-4


def explained_by_fields(material):
    """Share of the variance of a material's brightness that a small regression on what is told
    of single places explains, on places it was not fitted to."""
    generator = torch.Generator().manual_seed(4)
    positions = 2 * torch.rand(1, 64, 64, 3, generator=generator)
    normals = torch.zeros(1, 64, 64, 3)
    normals[..., 2] = 1
    told = place.geometry_channels(torch.ones(1, 64, 64, 1), normals, positions, 64)
    fields = told[0, 4 + 6 * place.POSITION_OCTAVES :].flatten(1).T
    # Blades and hairs are where two strands are alike.
    strands = fields[:, : 4 * len(place.STRAND_WIDTHS)].unflatten(1, (-1, 4))
    first, second = zip(*combinations(range(4), 2), strict=True)
    alike = torch.exp(-(((strands[..., first] - strands[..., second]) / 0.15) ** 2)).flatten(1)
    features = torch.cat([fields, fields**2, fields**3, alike, torch.ones(len(fields), 1)], -1)
    color = usual_look(material).base_color(positions.reshape(-1, 3), normals.reshape(-1, 3))
    target = (color.mean(-1, keepdim=True) - color.mean()).double()
    fit = torch.linalg.lstsq(features[::2].double(), target[::2]).solution
    left = target[1::2] - features[1::2].double() @ fit
    return 1 - (left.var() / target[1::2].var()).item()


@pytest.mark.parametrize(
    "word",
    ["leather", "brick", "wood", "zebra", "grass", "fur", "sandstone", "lava", "plaid", "marble"],
)
def test_what_a_place_looks_like_follows_from_what_is_told_of_it(word):
    material = next(m for m in MATERIALS if m.words[0] == word)
    assert explained_by_fields(material) > 0.6


def test_mixtures_are_weighted_sums_of_the_fields_with_a_bias_through_silu():
    generator = torch.Generator().manual_seed(8)
    geometry = torch.rand(2, place.GEOMETRY_CHANNELS, 3, 3, generator=generator)
    weights = torch.randn(2, place.MIXING_WEIGHTS, generator=generator)
    mixed = place.mix_fields(geometry, weights)
    assert mixed.shape == (2, place.MODEL_CHANNELS, 3, 3)
    fields = geometry[1, -place.FIELDS :, 2, 0]
    fifth = weights[1].view(place.MIXED, -1)[5]
    total = fifth[:-1] @ fields + fifth[-1]
    assert torch.allclose(mixed[1, -place.MIXED + 5, 2, 0], total * torch.sigmoid(total), atol=1e-5)
    assert torch.equal(mixed[:, : -place.MIXED], geometry[:, : -place.FIELDS])
