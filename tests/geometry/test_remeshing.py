"""Fewer triangles that are still closed, and counts that are right."""

import numpy as np
import pytest
import torch
import trimesh

from texcsd.geometry.remeshing import decimate, describe_topology, without_cavities


def arrays(mesh: trimesh.Trimesh):
    return torch.from_numpy(np.array(mesh.vertices)).float(), torch.from_numpy(np.array(mesh.faces))


def ball(radius=1.0, inwards=False):
    vertices, faces = arrays(trimesh.creation.icosphere(subdivisions=3, radius=radius))
    return vertices, faces.flip(1) if inwards else faces


def joined(*surfaces):
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in surfaces)])
    vertices = torch.cat([vertices for vertices, _ in surfaces])
    return vertices, torch.cat(
        [faces + int(start) for (_, faces), start in zip(surfaces, starts[:-1], strict=True)]
    )


def test_components_and_handles_are_counted():
    torus = arrays(trimesh.creation.torus(2.0, 0.5))
    far_away = (torus[0] + 10, torus[1])
    found = describe_topology(*joined(ball(), torus, far_away))
    assert found["components"] == 3 and found["genus"] == 2 and found["watertight"]
    assert found["faces"] == 1280 + 2 * len(torus[1])


def test_an_open_surface_has_no_genus():
    vertices, faces = ball()
    found = describe_topology(vertices, faces[1:])
    assert not found["watertight"] and found["genus"] is None


def test_hollows_are_filled_and_what_stands_free_is_kept():
    shell, hollow, other = ball(), ball(0.5, inwards=True), ball(0.3)
    vertices, faces = without_cavities(*joined(hollow, shell, (other[0] + 5, other[1])))
    assert torch.equal(vertices, torch.cat([shell[0], other[0] + 5]))
    assert torch.equal(faces, torch.cat([shell[1], other[1] + len(shell[0])]))


def test_a_torus_of_fewer_faces_is_closed_and_still_a_torus_in_its_place():
    pytest.importorskip("igl")
    vertices, faces = arrays(trimesh.creation.torus(2.0, 0.5, 96, 48))
    fewer_vertices, fewer = decimate(vertices, faces, 1000)
    found = describe_topology(fewer_vertices, fewer)
    assert 900 <= len(fewer) <= 1000 and found["watertight"] and found["genus"] == 1
    around = torch.linalg.vector_norm(fewer_vertices[:, :2], dim=1) - 2
    tube = torch.linalg.vector_norm(torch.stack([around, fewer_vertices[:, 2]], 1), dim=1)
    assert (tube - 0.5).abs().max() < 0.03
    assert fewer_vertices.dtype == vertices.dtype and fewer.dtype == faces.dtype


def test_of_a_ball_at_least_a_closed_solid_is_left():
    pytest.importorskip("igl")
    found = describe_topology(*decimate(*ball(), 2))
    assert found["watertight"] and found["genus"] == 0 and 4 <= found["faces"] <= 8
