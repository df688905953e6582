"""A rotation makes a mesh stand on y and face z."""

import itertools

import pytest
import torch
from geometry_shapes import CUBE_FACES, CUBE_VERTICES, make_mesh

from texcsd.geometry.mesh import enclosed_volume
from texcsd.geometry.upright import turn_mesh, upright_rotation

AXES = {
    "x+": (1, 0, 0), "y+": (0, 1, 0), "z+": (0, 0, 1),
    "x-": (-1, 0, 0), "y-": (0, -1, 0), "z-": (0, 0, -1),
}  # fmt: skip
PAIRS = [(up, front) for up, front in itertools.permutations(AXES, 2) if up[0] != front[0]]


@pytest.mark.parametrize(("up", "front"), PAIRS)
def test_up_becomes_y_and_the_front_z_by_a_rotation(up, front):
    rotation = upright_rotation(up, front)
    assert (rotation @ torch.tensor(AXES[up]).float()).tolist() == [0, 1, 0]
    assert (rotation @ torch.tensor(AXES[front]).float()).tolist() == [0, 0, 1]
    assert torch.equal(rotation @ rotation.T, torch.eye(3)) and torch.linalg.det(rotation) == 1


def test_a_mesh_that_stands_and_faces_right_keeps_its_bits():
    mesh = make_mesh(0.3 * CUBE_VERTICES, CUBE_FACES)
    turned = turn_mesh(mesh, upright_rotation("y+", "z+"))
    assert torch.equal(turned.vertices, mesh.vertices)
    assert torch.equal(turned.normals, mesh.normals)


def test_vertices_and_normals_turn_together_and_nothing_is_mirrored():
    mesh = make_mesh(CUBE_VERTICES * [1, 2, 3], CUBE_FACES)
    turned = turn_mesh(mesh, upright_rotation("z+", "x-"))
    assert turned.vertices.dtype == mesh.vertices.dtype
    assert enclosed_volume(turned) == pytest.approx(enclosed_volume(mesh))
    assert turned.vertices.abs().amax(0).tolist() == [2, 3, 1]
    assert torch.equal(turned.normals[:, 1], mesh.normals[:, 2])
