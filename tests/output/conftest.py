"""Two small meshes with known charts."""

import numpy as np
import pytest
import torch

from texcsd.geometry.mesh import Mesh, Part


def make_mesh(vertices, faces, uv, uv_faces, parts=None) -> Mesh:
    """A mesh with flat normals; faces that look the same way share one."""
    vertices, faces = np.asarray(vertices, np.float64), np.asarray(faces, np.int64)
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.where(lengths > 0, normals / np.maximum(lengths, 1e-300), [0.0, 0.0, 1.0])
    normals, normal_of_face = np.unique(normals, axis=0, return_inverse=True)
    return Mesh(
        vertices=torch.from_numpy(vertices),
        faces=torch.from_numpy(faces),
        uv=torch.tensor(np.asarray(uv), dtype=torch.float32),
        uv_faces=torch.from_numpy(np.asarray(uv_faces, np.int64)),
        normals=torch.tensor(normals, dtype=torch.float32),
        normal_faces=torch.from_numpy(normal_of_face)[:, None].repeat(1, 3),
        parts=parts or (Part("mesh", 0, len(faces)),),
    )


@pytest.fixture(name="make_mesh")
def make_mesh_fixture():
    """For tests that need a mesh of their own."""
    return make_mesh


@pytest.fixture
def square() -> Mesh:
    """The unit square at z = 0 as two triangles; its uv are its x and y, they fill the texture."""
    corners = np.float64([[0, 0], [1, 0], [1, 1], [0, 1]])
    faces = [[0, 1, 2], [0, 2, 3]]
    return make_mesh(np.pad(corners, ((0, 0), (0, 1))), faces, corners, faces)


@pytest.fixture
def cube() -> Mesh:
    """A cube inside the unit sphere: six square charts in a 3 x 2 grid, an eighth of a cell apart.

    In two parts: "sides", the charts of +-x and +-y, and "front & back", those of +-z.
    """
    vertices, uv, faces = [], [], []
    for chart in range(6):
        axis, sign = chart // 2, 1 - 2 * (chart % 2)
        right, up = np.roll([0, 1, 0], axis) * sign, np.roll([0, 0, 1], axis)
        out = np.roll([1, 0, 0], axis) * sign
        cell = np.array([chart % 3, chart // 3])
        for s, t in ((0, 0), (1, 0), (1, 1), (0, 1)):
            vertices.append(0.55 * (out + (2 * s - 1) * right + (2 * t - 1) * up))
            uv.append((cell + 0.0625 + 0.875 * np.array([s, t])) / [3, 2])
        faces += [4 * chart + np.array([0, 1, 2]), 4 * chart + np.array([0, 2, 3])]
    parts = (Part("sides", 0, 8), Part("front & back", 8, 4))
    return make_mesh(vertices, faces, uv, faces, parts)
