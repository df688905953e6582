"""Which texels faces show whose coordinates leave the texture."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from texcsd.geometry.mesh import Mesh, Part
from texcsd.geometry.uv_wrapping import wrap_uv
from texcsd.rendering.rasterize import rasterize_uv

SIZE = 16


def make_square() -> Mesh:
    """The unit square, whose uv are its x and y."""
    uv = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    vertices = torch.nn.functional.pad(uv, (0, 1))
    normals = torch.tensor([[0.0, 0.0, 1.0]]).repeat(4, 1)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    return Mesh(vertices, faces, uv, faces, normals, faces, (Part("square", 0, 2),))


def covered(corners) -> np.ndarray:
    """The texels a square with these uv shows, by every texel's own repeats."""
    uv = torch.tensor(corners, dtype=torch.float32)
    mesh = replace(make_square(), uv=uv)
    return rasterize_uv(wrap_uv(mesh), SIZE, SIZE).coverage[0, ..., 0].numpy() > 0


def square(low_u: float, high_u: float, low_v: float = 0.0, high_v: float = 1.0) -> list:
    return [[low_u, low_v], [high_u, low_v], [high_u, high_v], [low_u, high_v]]


def columns(*spans: tuple[int, int]) -> np.ndarray:
    shown = np.zeros(SIZE, bool)
    for first, last in spans:
        shown[first:last] = True
    return np.broadcast_to(shown, (SIZE, SIZE))


@pytest.mark.parametrize(
    ("corners", "expected"),
    [
        (square(0, 0.5), columns((0, 8))),
        (square(3, 3.5), columns((0, 8))),
        (square(-2, -1.5), columns((0, 8))),
        (square(0.75, 1.25), columns((0, 4), (12, 16))),
        (square(-0.25, 0.25), columns((0, 4), (12, 16))),
        (square(-0.25, 1.5), columns((0, 16))),
        (square(0.5, 1.0, 5.0, 6.0), columns((8, 16))),
    ],
)
def test_coordinates_outside_the_texture_show_the_texels_that_repeat_there(
    corners, expected
) -> None:
    np.testing.assert_array_equal(covered(corners), expected)


def test_a_square_over_a_corner_of_the_texture_shows_all_four() -> None:
    shown = covered(square(0.75, 1.25, 0.75, 1.25))
    corner = np.abs(np.arange(SIZE) - 7.5) > 3.5
    np.testing.assert_array_equal(shown, corner[:, None] & corner)


def test_coordinates_within_stay_the_very_same() -> None:
    mesh = make_square()
    assert wrap_uv(mesh) is mesh


def test_a_texture_that_repeats_a_thousand_times_costs_no_thousand_faces() -> None:
    mesh = replace(make_square(), uv=torch.tensor(square(0, 1000.0, 0, 1000.0)))
    assert len(wrap_uv(mesh).faces) <= 2 * 64
