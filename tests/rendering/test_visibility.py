"""Faces that cameras see, on shapes where it is known which these are."""

import numpy as np
import pytest
import torch
from rendering_shapes import make_mesh, make_sphere, make_square, merge

from texcsd.geometry.mesh import Mesh
from texcsd.geometry.normals import face_normals
from texcsd.rendering.cameras import orbit_cameras, surrounding_cameras
from texcsd.rendering.visibility import count_views


def has_area(mesh: Mesh) -> np.ndarray:
    """Not those at a sphere's poles, which have two corners in about one place."""
    return face_normals(mesh.vertices.double().numpy(), mesh.faces.numpy())[1] > 1e-6


def test_surrounding_cameras_leave_no_direction_out():
    directions = torch.nn.functional.normalize(surrounding_cameras(200).eyes, dim=1)
    assert directions.mean(0).abs().max() < 0.01
    asked = torch.nn.functional.normalize(
        torch.randn(1000, 3, generator=torch.Generator().manual_seed(0)), dim=1
    )
    nearest = (asked @ directions.T).amax(1)
    assert torch.rad2deg(torch.acos(nearest)).max() < 12  # caps of 8 degrees have room


@pytest.mark.parametrize(("rings", "size"), [(8, 256), (24, 64), (150, 64)])
@pytest.mark.parametrize("inner_radius", [0.5, 0.95])
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0]], ids=["outwards", "inside out"])
def test_the_faces_no_camera_sees_are_those_of_the_inner_sphere(rings, size, inner_radius, order):
    outer, inner = make_sphere(rings), make_sphere(rings, inner_radius)
    outer = make_mesh(outer.vertices, outer.faces[:, order], outer.uv, outer.normals)
    both = merge(outer, inner)
    counts = count_views(both, surrounding_cameras(64), size)
    is_outer = np.arange(len(counts)) < len(outer.faces)
    assert ((counts > 0) == is_outer)[has_area(both)].all()


def test_every_camera_sees_a_third_of_a_fine_sphere():
    sphere = make_sphere(150)  # 90,000 faces, far smaller than these pixels
    counts = count_views(sphere, surrounding_cameras(32), 64)[has_area(sphere)]
    assert 0.3 < counts.mean() / 32 < 0.37  # the cap seen from 3.9 radii away, without its rim
    assert counts.min() > 5


def test_both_sides_of_a_face_count():
    assert count_views(make_square(), orbit_cameras(2, elevation_degrees=20), 64).tolist() == [2, 2]


def test_a_wall_hides_what_is_behind_it_from_one_side_only():
    wall, behind = make_square(1.0), make_square(0.4)
    behind = make_mesh(
        behind.vertices - torch.tensor([0, 0, 0.2]), behind.faces, behind.uv, behind.normals
    )
    front_and_back = orbit_cameras(2, elevation_degrees=0)
    assert count_views(merge(wall, behind), front_and_back, 64).tolist() == [2, 2, 1, 1]


def test_a_view_counts_a_face_once_and_a_face_without_area_never():
    line = make_mesh(
        torch.tensor([[0.0, 0, 0], [0.5, 0, 0], [0.2, 0, 0]]),
        torch.tensor([[0, 1, 2]]),
        torch.zeros(3, 2),
        torch.ones(3, 3),
    )
    assert count_views(line, surrounding_cameras(16), 64).tolist() == [0]
    assert count_views(make_sphere(4), orbit_cameras(1), 256).max() == 1
