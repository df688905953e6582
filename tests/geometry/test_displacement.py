"""Vertices that move: by less than the limit, without turning faces over, with their normals."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from geometry_shapes import CUBE_FACES, CUBE_VERTICES, make_mesh

from texcsd.geometry.displacement import SMALLEST_COSINE, Displacement
from texcsd.geometry.large_steps import LargeSteps
from texcsd.geometry.mesh import Mesh, bounding_sphere, enclosed_volume, fit_to_unit_sphere


def sphere() -> Mesh:
    mesh = trimesh.creation.icosphere(subdivisions=3)
    return make_mesh(mesh.vertices, mesh.faces)


def crosses(vertices, faces):
    corners = vertices[faces]
    return torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def move(displacement: Displacement, gradient: torch.Tensor, steps: int = 1) -> None:
    for _ in range(steps):
        displacement.heights.grad = gradient.clone()
        displacement.step(1.0)


def test_a_step_solves_the_system_of_large_steps_twice():
    edges = torch.tensor([[0, 1], [1, 2], [2, 3], [0, 3], [1, 3]])
    laplacian = torch.zeros(5, 5)  # the last vertex has no neighbours
    for i, j in edges.tolist():
        laplacian[i, j] = laplacian[j, i] = -1.0
        laplacian[i, i] += 1
        laplacian[j, j] += 1
    matrix = torch.eye(5) + 3.0 * laplacian
    gradient = torch.tensor([[1.0], [0.0], [-2.0], [0.5], [3.0]])
    in_u = torch.linalg.solve(matrix, gradient)
    expected = -0.1 * torch.linalg.solve(matrix, in_u / in_u.abs().max())
    optimizer = LargeSteps(edges, 5, 1, smoothness=3.0)
    torch.testing.assert_close(optimizer.step(gradient, 0.1), expected, rtol=5e-3, atol=1e-4)


def test_no_gradient_is_no_step():
    optimizer = LargeSteps(torch.tensor([[0, 1]]), 2, 1, smoothness=3.0)
    assert (optimizer.step(torch.zeros(2, 1), 0.1) == 0).all()


def test_the_limit_is_never_exceeded():
    displacement = Displacement(sphere(), limit=0.1, detail=0.1)
    gradient = torch.zeros(len(displacement.rest), 1)
    gradient[:300] = -1.0
    move(displacement, gradient, steps=30)
    length = torch.linalg.vector_norm(displacement.offsets(), dim=1)
    assert 0.09 < length.max() <= 0.1 + 1e-6


def test_no_face_turns_over_however_wild_the_gradient():
    displacement = Displacement(sphere(), limit=0.5, detail=0.01)
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        move(displacement, torch.randn(len(displacement.rest), 1, generator=generator))
    before = crosses(displacement.rest, displacement.faces)
    after = crosses(displacement.shape()[0].detach(), displacement.faces)
    assert torch.cosine_similarity(before, after).min() >= SMALLEST_COSINE
    assert displacement.offsets().abs().max() > 0.05


def test_thin_and_degenerate_faces_end_nothing():
    vertices = [[0, 0, 0], [1, 0, 0], [0.5, 1e-9, 0], [0.5, 1, 0], [0, 0, 0]]
    mesh = fit_to_unit_sphere(make_mesh(vertices, [[0, 1, 2], [0, 2, 3], [1, 3, 2], [0, 4, 1]]))
    displacement = Displacement(mesh, limit=0.3, detail=0.1)
    move(displacement, torch.tensor([[1.0], [-2.0], [5.0], [-1.0]]), steps=5)
    assert displacement.shape()[0].isfinite().all() and displacement.shape()[1].isfinite().all()


def test_vertices_at_one_place_move_together():
    corners = CUBE_VERTICES[CUBE_FACES].reshape(-1, 3)
    mesh = fit_to_unit_sphere(make_mesh(corners, np.arange(len(corners)).reshape(-1, 3)))
    displacement = Displacement(mesh, limit=0.2, detail=0.5)
    assert len(displacement.rest) == 8
    move(displacement, torch.arange(8.0)[:, None] - 3)
    moved = displacement.apply(mesh, 1.0).vertices
    for position in mesh.vertices.unique(dim=0):
        here = (mesh.vertices == position).all(1)
        assert len(moved[here].unique(dim=0)) == 1


def test_without_displacement_positions_and_normals_are_the_inputs():
    mesh = fit_to_unit_sphere(make_mesh(CUBE_VERTICES, CUBE_FACES))
    unchanged = Displacement(mesh, 0.1, 0.1).apply(mesh, 1.0)
    assert torch.equal(unchanged.vertices, mesh.vertices)
    torch.testing.assert_close(
        unchanged.normals[unchanged.normal_faces], mesh.normals[mesh.normal_faces]
    )


def test_creases_stay_and_each_side_follows_its_faces():
    mesh = make_mesh(CUBE_VERTICES, CUBE_FACES)
    # Six normals for all corners, as files have them, and wound against half of the faces.
    unit, ids = torch.unique(
        mesh.normals[mesh.normal_faces].round().view(-1, 3), dim=0, return_inverse=True
    )
    mesh = replace(mesh, normals=unit, normal_faces=ids.view(-1, 3))
    mesh = replace(mesh, faces=mesh.faces.flip(1), normal_faces=mesh.normal_faces.flip(1))
    displacement = Displacement(fit_to_unit_sphere(mesh), limit=0.4, detail=0.01)
    with torch.no_grad():
        displacement.heights[7] = 0.3
    after = displacement.apply(fit_to_unit_sphere(mesh), 1.0)
    flat = torch.nn.functional.normalize(-crosses(after.vertices, after.faces), dim=1)
    at_corners = after.normals[after.normal_faces]
    away = ~(after.faces == 7).any(1)
    # Faces without the moved corner keep their normals where no neighbour in their plane moved.
    assert (at_corners * flat[:, None]).sum(2).min() > 0.8
    assert (torch.linalg.vector_norm(at_corners[away] - flat[away, None], dim=2) < 1e-5).any()


def test_the_displacement_goes_back_into_the_pose_of_the_file():
    mesh = sphere()
    mesh = replace(mesh, vertices=5 * mesh.vertices + torch.tensor([10.0, 20.0, 30.0]))
    fitted = fit_to_unit_sphere(mesh)
    displacement = Displacement(fitted, limit=0.1, detail=0.1)
    move(displacement, -torch.ones(len(displacement.rest), 1))
    small = displacement.apply(fitted, 1.0)
    large = displacement.apply(mesh, float(bounding_sphere(mesh)[1]))
    assert large.vertices.dtype == torch.float64
    torch.testing.assert_close(
        large.vertices - mesh.vertices, 5 * (small.vertices - fitted.vertices).double(),
        rtol=1e-3, atol=1e-6,
    )  # fmt: skip
    assert enclosed_volume(large) > enclosed_volume(mesh)


def test_the_volume_of_a_cube_is_its_own():
    assert enclosed_volume(make_mesh(CUBE_VERTICES + 9, CUBE_FACES)) == pytest.approx(8)
