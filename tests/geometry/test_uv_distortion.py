"""Stretch and density of uv whose map from the surface is known."""

import numpy as np
import pytest
from geometry_shapes import CUBE_FACES, CUBE_VERTICES, make_mesh

from texcsd.geometry.uv_distortion import UvDistortion, measure_distortion

SQUARE = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
UNIT_UV = SQUARE[:, :2]
FACES = np.array([[0, 1, 2], [0, 2, 3]])


def measure(vertices, faces, uv, uv_faces=None, texture_size: int = 1024) -> UvDistortion:
    distortion = measure_distortion(make_mesh(vertices, faces, uv, uv_faces), texture_size)
    assert distortion is not None
    return distortion


def values(spread) -> list[float]:
    return [spread.low, spread.median, spread.high]


@pytest.mark.parametrize("size", [256, 1024])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_a_square_that_fills_the_texture_has_its_size_in_texels(size: int, scale: float):
    square = measure(SQUARE * scale, FACES, UNIT_UV, texture_size=size)
    assert values(square.texels_per_unit) == pytest.approx([size / scale] * 3)
    assert values(square.area_stretch) == pytest.approx([1, 1, 1])
    # Single precision of uv, under the root where both scales are equal.
    assert values(square.angle_stretch) == pytest.approx([1, 1, 1], abs=1e-3)
    assert (square.lowest, square.highest) == ((0, 0), (1, 1))
    assert square.mirrored_faces == 0 and square.mirrored_area_fraction == 0


def test_half_the_width_is_an_angle_stretch_of_two_and_half_the_texels():
    squeezed = measure(SQUARE, FACES, UNIT_UV * [0.5, 1])
    assert values(squeezed.angle_stretch) == pytest.approx([2, 2, 2])
    assert values(squeezed.area_stretch) == pytest.approx([1, 1, 1])
    assert values(squeezed.texels_per_unit) == pytest.approx([1024 * np.sqrt(0.5)] * 3)


def test_a_sheared_chart_has_the_stretch_of_its_singular_values():
    shear = np.array([[1.0, 0.0], [0.4, 1.0]])
    least, most = np.sort(np.linalg.svd(shear, compute_uv=False))
    turned = SQUARE @ np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    sheared = measure(turned, FACES, UNIT_UV @ shear)
    assert values(sheared.angle_stretch) == pytest.approx([most / least] * 3, rel=1e-5)


@pytest.mark.parametrize(("side", "seen"), [(1.0, False), (3.0, True)])
def test_spreads_count_area_and_leave_out_a_twentieth_at_either_end(side: float, seen: bool):
    # A square of side 9 between two small ones, one of ten times the density, one of a tenth.
    squares = [SQUARE * 9, np.add(SQUARE * side, [20, 0, 0]), np.add(SQUARE * side, [40, 0, 0])]
    scales = 0.045, 0.045 * side / 9 * 10, 0.045 * side / 9 / 10
    uv = np.concatenate([UNIT_UV * scale + index / 3 for index, scale in enumerate(scales)])
    faces = np.concatenate([FACES, FACES + 4, FACES + 8])
    three = measure(np.concatenate(squares), faces, uv, texture_size=1000)
    expected = [0.5, 5, 50] if seen else [5, 5, 5]  # 9 of 99 parts of the area, or 1 of 83
    assert values(three.texels_per_unit) == pytest.approx(expected, rel=1e-4)


def test_mirrored_faces_are_those_that_are_turned_over_in_the_texture():
    vertices = np.concatenate([SQUARE * 2, np.add(SQUARE, [5, 0, 0])])
    mirror = UNIT_UV * [-0.5, 0.5] + [0.5, 0.5]
    uv = np.concatenate([UNIT_UV * 0.5, mirror])
    half = measure(vertices, np.concatenate([FACES, FACES + 4]), uv)
    assert half.mirrored_faces == 2
    assert half.mirrored_area_fraction == pytest.approx(1 / 5)


def test_the_range_is_that_of_the_uv_that_faces_use():
    uv = [*(UNIT_UV * 3 - [0.5, 0.25]), [99, 99]]
    tiled = measure(SQUARE, FACES, uv)
    assert (tiled.lowest, tiled.highest) == ((-0.5, -0.25), (2.5, 2.75))


def test_faces_without_area_do_not_count():
    vertices = [*SQUARE, [2, 0, 0], [2, 0, 0]]
    faces = [*FACES, [1, 4, 5], [1, 4, 2]]  # none on the surface; a point in the texture
    uv_faces = [*FACES, [0, 1, 2], [0, 0, 0]]
    square = measure(vertices, faces, UNIT_UV, uv_faces)
    assert values(square.texels_per_unit) == pytest.approx([1024] * 3)


@pytest.mark.parametrize("uv", [None, np.full((8, 2), np.nan), np.full((8, 2), 0.5)])
def test_uv_that_are_missing_no_numbers_or_one_point_have_no_measurements(uv):
    assert measure_distortion(make_mesh(CUBE_VERTICES, CUBE_FACES, uv), 1024) is None
