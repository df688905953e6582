"""Pictures show each side under its name, and uv where they lie."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from texcsd.output import check_pictures
from texcsd.output.check_pictures import coverage_colors, coverage_png, orbit_png, uv_layout_png

SQUARE = np.float64([[0, 0], [1, 0], [1, 1], [0, 1]])
FACES = np.array([[0, 1, 2], [0, 2, 3]])
SIZE = check_pictures.LAYOUT_SIZE


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def cells(sheet: np.ndarray) -> list[np.ndarray]:
    size, row = check_pictures.VIEW_SIZE, check_pictures.VIEW_SIZE + check_pictures.TEXT_HEIGHT + 8
    return [
        sheet[top + 18 : top + 18 + size, left : left + size]
        for top in (8, 8 + row)
        for left in (8, 16 + size, 24 + 2 * size)
    ]


def is_red(color: np.ndarray) -> bool:
    return color[0] > 1.5 * max(color[1], color[2])


@pytest.mark.parametrize(
    ("chart", "side"), [(4, 0), (0, 1), (5, 2), (1, 3), (2, 4), (3, 5)], ids=str
)
def test_the_unseen_side_of_a_cube_is_red_in_the_view_of_its_name_alone(cube, chart, side):
    shares = np.full(12, 0.3)
    shares[2 * chart : 2 * chart + 2] = 0  # charts: +x, -x, +y, -y, +z, -z
    views = cells(pixels(coverage_png(cube, shares)))
    assert [index for index, view in enumerate(views) if is_red(view[170, 160])] == [side]


def test_the_orbit_shows_the_mesh_whole_in_every_view(cube):
    for view in cells(pixels(orbit_png(cube, "upright"))):
        rim = np.concatenate([view[0], view[-1], view[:, 0], view[:, -1]])
        assert rim.min() > 230
        assert (view.max(2) < 220).mean() > 0.15


def test_colours_go_from_seldom_to_often_and_never_has_its_own():
    shares = np.array([0.0, 1e-9, 0.1, 0.2, 0.3, 0.4, 1.0])
    never, *seen = coverage_colors(shares)
    assert is_red(never)
    brightness = np.array(seen) @ [0.3, 0.6, 0.1]
    assert (np.diff(brightness)[:-1] > 0.05).all()
    assert np.array_equal(seen[-1], seen[-2])  # 40 % and more


def texel(picture: np.ndarray, u: float, v: float, low: float = 0.0, high: float = 1.0) -> tuple:
    """The pixel at uv, in a picture that spans low to high and the edge around."""
    place = (np.array([u, v]) - low + check_pictures.EDGE) / (high - low + 2 * check_pictures.EDGE)
    column, row = (place * [SIZE, -SIZE] + [0, SIZE]).astype(int)
    return tuple(picture[row, column].tolist())


def test_upright_mirrored_and_overlapping_charts_have_their_colours(make_mesh):
    vertices = np.pad(np.concatenate([SQUARE, SQUARE + 2, SQUARE + 4]), ((0, 0), (0, 1)))
    faces = np.concatenate([FACES, FACES + 4, FACES + 8])
    lower_left = SQUARE * 0.4
    beside = SQUARE * 0.4 + [0.2, 0.0]
    mirrored = SQUARE * [-0.2, 0.4] + [1.0, 0.6]
    mesh = make_mesh(vertices, faces, np.concatenate([lower_left, beside, mirrored]), faces)
    picture = pixels(uv_layout_png(mesh))
    assert texel(picture, 0.12, 0.07) == check_pictures.UPRIGHT
    assert texel(picture, 0.32, 0.07) == check_pictures.OVERLAPPED
    assert texel(picture, 0.52, 0.07) == check_pictures.UPRIGHT
    assert texel(picture, 0.87, 0.71) == check_pictures.MIRRORED
    assert texel(picture, 0.07, 0.87) == check_pictures.PAPER


def test_uv_outside_the_square_are_in_the_picture_and_so_is_the_square(make_mesh):
    mesh = make_mesh(np.pad(SQUARE, ((0, 0), (0, 1))), FACES, SQUARE + np.float64([2, 0]), FACES)
    picture = pixels(uv_layout_png(mesh))
    assert texel(picture, 2.6, 0.3, high=3) == check_pictures.UPRIGHT
    assert texel(picture, 0.6, 0.3, high=3) == check_pictures.PAPER
    columns = [texel(picture, u, 0.5, high=3) for u in np.linspace(0.97, 1.03, 50)]
    assert check_pictures.SQUARE in columns


def test_uv_astronomically_far_away_take_no_time(make_mesh):
    far = SQUARE * 1e9
    mesh = make_mesh(np.pad(SQUARE, ((0, 0), (0, 1))), FACES, far, FACES)
    uv_layout_png(mesh)  # compiles
    started = time.perf_counter()
    uv_layout_png(mesh)
    assert time.perf_counter() - started < 2


def test_meshes_without_uv_and_with_any_uv_have_views(cube):
    from dataclasses import replace

    bare = replace(cube, uv=None, uv_faces=None)
    assert orbit_png(bare, "") == orbit_png(cube, "")
