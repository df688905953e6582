"""Shapes refined of meshes that are not closed, cut into themselves, or are wound the wrong way."""

import numpy as np
import pytest
import torch
import trimesh
from guided_shapes import make_mesh

from texcsd.geometry.displacement import SMALLEST_COSINE, Displacement
from texcsd.geometry.mesh import Mesh, fit_to_unit_sphere
from texcsd.geometry.remeshing import decimate, describe_topology
from texcsd.geometry.subdivision import subdivide
from texcsd.new_shape import _extracted, hold
from texcsd.settings import PaintSettings


def ball() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=3)


def box(size, at=(0, 0, 0)) -> trimesh.Trimesh:
    found = trimesh.creation.box(size)
    found.apply_translation(at)
    return found


def joined(*meshes: trimesh.Trimesh) -> Mesh:
    both = trimesh.util.concatenate(meshes)
    return make_mesh(both.vertices, both.faces)


def cut_into_itself() -> Mesh:
    return joined(box([2, 0.4, 0.4]), box([0.4, 2, 0.4]), box([0.4, 0.4, 2], (0.1, 0.1, 0)))


def inside_out() -> Mesh:
    return make_mesh(ball().vertices, ball().faces[:, ::-1].copy())


def half_of_it_turned() -> Mesh:
    faces = ball().faces.copy()
    faces[::2] = faces[::2, ::-1]
    return make_mesh(ball().vertices, faces)


def with_a_hole() -> Mesh:
    return make_mesh(ball().vertices, ball().faces[12:])


def sheets_that_share_an_edge() -> Mesh:
    places = [[0, -1, 0], [0, 1, 0]]
    places += [[np.cos(angle), y, np.sin(angle)] for angle in (0, 2, 4) for y in (-1, 1)]
    faces = [corners for n in (2, 4, 6) for corners in ([0, 1, n], [1, n + 1, n])]
    return make_mesh(places, faces)


def every_face_twice_and_some_without_area() -> Mesh:
    faces = ball().faces
    return make_mesh(ball().vertices, np.concatenate([faces, faces, faces[:20, [0, 0, 1]]]))


def loose_triangles() -> Mesh:
    corners = ball().vertices[ball().faces].reshape(-1, 3)
    return make_mesh(corners, np.arange(len(corners)).reshape(-1, 3))


def one_in_another() -> Mesh:
    return joined(ball(), trimesh.creation.icosphere(subdivisions=2, radius=0.5))


BROKEN = [
    cut_into_itself, inside_out, half_of_it_turned, with_a_hole, sheets_that_share_an_edge,
    every_face_twice_and_some_without_area, loose_triangles, one_in_another,
]  # fmt: skip


@pytest.mark.parametrize("make", BROKEN, ids=lambda make: make.__name__)
def test_a_closed_manifold_is_made_of_it_that_lies_where_it_was(make):
    pytest.importorskip("igl")
    settings = PaintSettings("x", dmtet=True, dmtet_resolution=32)
    start = hold(make(), settings, "cpu")
    with torch.no_grad():
        start.tetrahedra.values[:, 0] = 0.02 * torch.sin(9 * start.tetrahedra.grid.vertices[:, 0])
    whole = _extracted(start.tetrahedra)
    vertices, faces = decimate(whole.vertices, whole.faces, len(whole.faces) // 2)
    found = describe_topology(vertices, faces)
    assert found["watertight"] and found["components"] == 1
    cell = start.tetrahedra.cell_size
    assert start.likeness.distances.quantile(0.9) < cell
    # A face turned the wrong way makes nothing of what is around it disappear.
    assert all(share < 0.02 for share in start.likeness.lost.values())


@pytest.mark.parametrize("make", BROKEN, ids=lambda make: make.__name__)
def test_relief_turns_no_face_over_and_keeps_all_numbers_finite(make):
    mesh = fit_to_unit_sphere(make())
    fine = subdivide(mesh, 0.1).mesh
    displacement = Displacement(fine, 0.1, 0.05)
    generator = torch.Generator().manual_seed(0)
    displacement.follow(0.1 * torch.randn(len(displacement.rest), 1, generator=generator))
    after = displacement.apply(fine, 1.0)
    assert after.vertices.isfinite().all() and after.normals.isfinite().all()

    def crosses(each: Mesh):
        corners = each.vertices[each.faces].double()
        return torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])

    before, now = crosses(fine), crosses(after)
    sound = torch.linalg.vector_norm(before, dim=1) > 1e-8
    assert torch.cosine_similarity(before[sound], now[sound]).min() > SMALLEST_COSINE - 1e-3
    moved = torch.linalg.vector_norm(after.vertices - fine.vertices, dim=1)
    assert 0.02 < moved.max() <= 0.1 + 1e-6
