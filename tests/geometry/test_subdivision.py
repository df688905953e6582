"""Faces cut into smaller ones: the same surface, without cracks."""

from dataclasses import replace

import pytest
import torch
import trimesh
from geometry_shapes import CUBE_FACES, CUBE_VERTICES, make_mesh, sphere_arrays

from texcsd.geometry.edges import find_edges
from texcsd.geometry.mesh import Mesh, fit_to_unit_sphere
from texcsd.geometry.subdivision import subdivide


def cube() -> Mesh:
    uv = CUBE_VERTICES[:, :2] / 2 + 0.5
    return fit_to_unit_sphere(make_mesh(CUBE_VERTICES, CUBE_FACES, uv))


def longest_edge(mesh: Mesh) -> float:
    ends = mesh.vertices[find_edges(mesh.faces).vertices]
    return torch.linalg.vector_norm(ends[:, 1] - ends[:, 0], dim=1).max().item()


def area(mesh: Mesh) -> float:
    return trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).area


@pytest.mark.parametrize("longest", [0.9, 0.4, 0.13])
def test_the_pieces_are_small_enough_and_make_up_the_same_closed_surface(longest):
    mesh = cube()
    found = subdivide(mesh, longest, 10**6).mesh
    assert longest_edge(found) <= longest and len(found.faces) > len(mesh.faces)
    assert find_edges(found.faces).paired.all()
    assert area(found) == pytest.approx(area(mesh), rel=1e-6)
    assert trimesh.Trimesh(found.vertices, found.faces, process=False).volume == pytest.approx(
        trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).volume, rel=1e-5
    )


def test_faces_of_very_different_sizes_keep_together():
    vertices, faces = sphere_arrays(9, 40)  # slim near the poles, where some have no area
    mesh = fit_to_unit_sphere(make_mesh(vertices, faces))
    found = subdivide(mesh, 0.1, 10**6).mesh
    real = (found.faces != found.faces.roll(1, 1)).all(1)
    assert longest_edge(found) <= 0.1 and find_edges(found.faces[real]).paired.all()


def test_a_mesh_that_is_fine_enough_stays_as_it_is():
    mesh = cube()
    found = subdivide(mesh, 3.0, 10**6)
    assert torch.equal(found.parents, torch.arange(len(mesh.faces)))
    torch.testing.assert_close(
        found.mesh.vertices[found.mesh.faces], mesh.vertices[mesh.faces], rtol=0, atol=0
    )
    assert find_edges(found.mesh.faces).paired.all()


def test_there_are_no_more_faces_than_allowed():
    found = subdivide(cube(), 0.01, 500).mesh
    assert 100 < len(found.faces) <= 500


def test_corners_uv_normals_and_textures_are_those_of_the_place_in_the_parent():
    mesh = replace(cube(), textures=torch.arange(12) % 3)
    found = subdivide(mesh, 0.5, 10**6)
    fine, parents, weights = found.mesh, found.parents, found.weights.float()
    assert (weights.sum(2) == 1).all() and (parents.diff() >= 0).all()
    at = weights @ mesh.vertices[mesh.faces[parents]]
    torch.testing.assert_close(fine.vertices[fine.faces], at)
    torch.testing.assert_close(fine.uv[fine.uv_faces], weights @ mesh.uv[mesh.uv_faces[parents]])
    torch.testing.assert_close(
        fine.normals[fine.normal_faces], mesh.normals[mesh.normal_faces[parents]]
    )
    assert torch.equal(fine.textures, mesh.textures[parents])


def test_normals_of_smooth_meshes_stay_smooth_and_are_shared_along_edges():
    ball = trimesh.creation.icosphere(subdivisions=2)
    fine = subdivide(fit_to_unit_sphere(make_mesh(ball.vertices, ball.faces)), 0.1, 10**6).mesh
    lengths = torch.linalg.vector_norm(fine.normals, dim=1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))
    # One normal at every place: the faces around it would come apart otherwise.
    pairs = torch.stack([fine.faces.reshape(-1), fine.normal_faces.reshape(-1)], 1)
    assert len(pairs.unique(dim=0)) == len(fine.vertices)


def test_means_of_what_is_the_same_everywhere_are_that_and_waves_cancel():
    mesh = cube()
    found = subdivide(mesh, 0.05, 10**6)
    same = torch.full((len(found.mesh.vertices), 1), 0.3)
    torch.testing.assert_close(
        found.means(same, mesh.faces, len(mesh.vertices)), torch.full((8, 1), 0.3)
    )
    waves = torch.sin(40 * found.mesh.vertices.sum(1, keepdim=True))
    assert found.means(waves, mesh.faces, len(mesh.vertices)).abs().max() < 0.1
