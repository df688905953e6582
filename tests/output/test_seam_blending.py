"""Both sides of a seam meet in one colour; all that is farther than a few texels stays."""

import dataclasses

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from test_seams import charts, solid_pattern

from texcsd.geometry.mesh import with_faces
from texcsd.output.bake import TextureMaps, pad_charts
from texcsd.output.seam_blending import REACH, blend_seams
from texcsd.output.seams import measure_seams
from texcsd.rendering.texels import surface_of_texels

SIZE = 240


def baked(mesh, pixels) -> TextureMaps:
    covered = surface_of_texels(mesh, len(pixels)).covered
    return TextureMaps(pad_charts(pixels, covered), covered, int(covered.sum()), 0)


def depths(covered: np.ndarray) -> np.ndarray:
    """float[size, size], how many texels it is to the border of the chart."""
    depth = distance_transform_edt(covered)
    assert isinstance(depth, np.ndarray)
    return depth


def test_steps_at_seams_vanish_and_the_inside_of_charts_stays(cube) -> None:
    maps = baked(cube, charts(SIZE))
    (blended,) = blend_seams(cube, [maps])
    before = measure_seams(cube, {0: maps.base_color})
    after = measure_seams(cube, {0: blended.base_color})
    assert before["across_seams"] > 80
    # A texel's width beside the edge on either side, a third of the way to what stays.
    assert after["across_seams"] < 0.4 * before["across_seams"]
    inside = depths(maps.covered) > REACH + 1
    np.testing.assert_array_equal(blended.base_color[inside], maps.base_color[inside])
    # On the rim itself both sides have their mean: that of +x (0) and +z (160) is 80.
    assert inside.mean() > 0.5 and 70 < blended.base_color[SIZE - 8 : SIZE - 7, 10].mean() < 170


def test_the_rim_of_both_charts_has_their_mean_colour(cube) -> None:
    maps = baked(cube, charts(SIZE))
    (blended,) = blend_seams(cube, [maps])
    texels = surface_of_texels(cube, SIZE)
    x, y, z = np.moveaxis(texels.positions, -1, 0)
    rim = 0.55 * (1 - 2.1 / 70)  # One texel and a bit from the edge, of 70 across a side.
    at_edge = texels.covered & (x > rim) & (z > rim) & (np.abs(y) < 0.4)
    assert at_edge.sum() > 100
    # +x is 0, +z is 160.
    assert np.abs(blended.base_color[at_edge].astype(int) - 80).max() <= 20


def test_where_colours_agree_hardly_anything_changes(cube) -> None:
    maps = baked(cube, solid_pattern(cube, SIZE))
    (blended,) = blend_seams(cube, [maps])
    change = np.abs(blended.base_color.astype(int) - maps.base_color)[maps.covered]
    assert change.mean() < 0.3 and change.max() < 20


def test_padding_follows_its_chart(cube) -> None:
    maps = baked(cube, charts(SIZE))
    (blended,) = blend_seams(cube, [maps])
    padded = pad_charts(blended.base_color, maps.covered)
    np.testing.assert_array_equal(blended.base_color, padded)


def test_texels_that_may_not_change_keep_their_bits(cube) -> None:
    maps = baked(cube, charts(SIZE))
    may_change = np.arange(SIZE)[:, None] < SIZE // 2 + 0 * np.arange(SIZE)
    (blended,) = blend_seams(cube, [maps], may_change)
    np.testing.assert_array_equal(blended.base_color[~may_change], maps.base_color[~may_change])
    assert (blended.base_color != maps.base_color)[may_change].any()


def test_two_textures_are_blended_where_they_meet_and_not_with_what_is_not_painted(square) -> None:
    numbers = torch.tensor([0, 1])
    mesh = dataclasses.replace(square, textures=numbers)
    colors = [np.full((32, 32, 3), value, np.uint8) for value in (0, 200)]
    halves = [with_faces(mesh, numbers == number) for number in (0, 1)]
    maps_of_halves = [baked(half, pixels) for half, pixels in zip(halves, colors, strict=True)]
    first, second = blend_seams(mesh, maps_of_halves)
    diagonal = np.arange(8, 24), 31 - np.arange(8, 24)
    for maps in (first, second):
        assert np.abs(maps.base_color[diagonal].astype(int) - 100).max() < 20
    mesh = dataclasses.replace(square, textures=torch.tensor([0, -2]))
    (alone,) = blend_seams(mesh, [baked(halves[0], colors[1])])
    assert (alone.base_color == 200).all()


def test_charts_that_only_touch_in_the_texture_are_not_mixed(make_mesh) -> None:
    """Two squares far apart, side by side in the texture; the left one has a seam of its own."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
    bent = np.array([[1, 0, 0], [1, 0, -1], [1, 1, -1], [1, 1, 0]], float)
    far = corners + np.array([30, 0, 0])
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    left, right, up = square * 0.5, square * 0.5 + [0.5, 0], square * 0.5 + [0, 0.5]
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    faces = np.concatenate([faces, faces + 4, faces + 8])
    mesh = make_mesh([*corners, *bent, *far], faces, [*left, *up, *right], faces)
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32], pixels[32:, 32:] = 200, 90
    (blended,) = blend_seams(mesh, [baked(mesh, pixels)])
    np.testing.assert_array_equal(blended.base_color[32:, 32:], 90)
    assert blended.base_color[40:56, 31].mean() > 60
