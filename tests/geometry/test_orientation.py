"""The guess of up and front on objects that stand and look one known way."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from geometry_shapes import ASSETS, CUBE_FACES, CUBE_VERTICES, make_mesh, sphere_arrays

from texcsd.geometry.mesh import Mesh, load_mesh
from texcsd.geometry.orientation import guess_orientation

# Each turns +y, and +z with it, another way: rows are the new x, y and z.
TURNS = {
    "+y": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "+z": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
    "-z": [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
    "+x": [[0, 1, 0], [-1, 0, 0], [0, 0, 1]],
}


def turned(mesh: Mesh, rows) -> Mesh:
    return replace(mesh, vertices=mesh.vertices @ torch.tensor(rows, dtype=torch.float64).T)


@pytest.mark.parametrize("up", TURNS)
@pytest.mark.parametrize("name", ["animal.obj", "armchair.obj"])
def test_what_stands_on_its_feet_shows_its_up_and_the_axis_of_its_front(name: str, up: str):
    guess = guess_orientation(turned(load_mesh(ASSETS / name), TURNS[up]))
    forward = "xyz"[int(np.argmax(np.abs(np.array(TURNS[up])[:, 2])))]
    assert (guess.up, guess.front) == (up, (f"+{forward}", f"-{forward}"))


def test_a_front_on_the_side_is_found():
    sideways = turned(load_mesh(ASSETS / "animal.obj"), [[0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    assert guess_orientation(sideways).front == ("+x", "-x")


@pytest.mark.parametrize("name", ["mug.obj", "vase.ply", "teapot.obj", "table_and_stool.glb"])
def test_everything_else_that_stands_upright_is_left_so(name: str):
    assert guess_orientation(load_mesh(ASSETS / name)).up == "+y"


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_shapes_alike_on_all_sides_keep_the_convention_and_have_no_front(scale: float):
    for vertices, faces in (CUBE_VERTICES, CUBE_FACES), sphere_arrays():
        guess = guess_orientation(make_mesh(vertices * scale + 3 * scale, faces))
        assert (guess.up, guess.front) == ("+y", ())


def test_flat_and_tiny_meshes_have_an_orientation_too():
    triangle = make_mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    assert guess_orientation(triangle).up == "+y"
    wall = make_mesh([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]])
    assert guess_orientation(wall).up == "+y"
