"""A mesh written as OBJ is the mesh that is read back."""

import numpy as np
import torch

from texcsd.geometry.mesh import Mesh, Part, load_mesh
from texcsd.output.obj import new_obj


def test_positions_faces_normals_and_parts_come_back_to_the_bit(tmp_path):
    generator = torch.Generator().manual_seed(0)
    vertices = 1e3 * torch.randn(8, 3, generator=generator)
    normals = torch.nn.functional.normalize(torch.randn(5, 3, generator=generator), dim=1)
    faces = torch.tensor([[0, 1, 2], [2, 3, 4], [5, 6, 7]])
    # Normals that agree with their faces: others would not be believed.
    corners = vertices[faces]
    flat = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals[:3] = torch.nn.functional.normalize(flat, dim=1)
    normal_faces = torch.arange(3)[:, None].expand(-1, 3)
    parts = (Part("a shell", 0, 2), Part("b", 2, 1))
    mesh = Mesh(vertices, faces, None, None, normals, normal_faces, parts)
    path = tmp_path / "shape.obj"
    path.write_bytes(new_obj(mesh))
    found = load_mesh(path)
    assert torch.equal(found.vertices.float(), vertices) and torch.equal(found.faces, faces)
    np.testing.assert_allclose(
        found.normals[found.normal_faces], normals[normal_faces], rtol=0, atol=2e-6
    )
    assert [(part.name, part.face_count) for part in found.parts] == [("a shell", 2), ("b", 1)]
    assert found.uv is None
