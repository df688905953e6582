import dataclasses

import pytest
import torch
from rendering_shapes import make_sphere, make_square

from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import Part
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.rasterize import rasterize_mesh, rasterize_uv
from texcsd.rendering.surface_attributes import face_normals, part_ids, tangents


def seen(surface):
    return surface.triangle_ids >= 0


def test_every_pixel_knows_the_part_it_shows(sphere):
    count = len(sphere.faces)
    parts = (Part("a", 0, 100), Part("empty", 100, 0), Part("b", 100, count - 100))
    mesh = dataclasses.replace(sphere, parts=parts)
    surface = rasterize_mesh(mesh, orbit_cameras(3, elevation_degrees=-30), 32, 32)
    ids = part_ids(mesh, surface)
    expected = torch.where(surface.triangle_ids < 100, 0, 2)
    assert torch.equal(ids[seen(surface)], expected[seen(surface)])
    assert {-1, 0, 2} == set(ids.unique().tolist())
    assert (ids[~seen(surface)] == -1).all()


def test_face_normals_are_flat_and_on_the_side_that_is_seen(sphere):
    surface = rasterize_mesh(sphere, orbit_cameras(2), 32, 32)
    normals = face_normals(sphere, surface)
    here = seen(surface)
    assert (normals[~here] == 0).all()
    assert torch.linalg.vecdot(normals, surface.normals)[here].min() > 0.97
    corners = sphere.vertices[sphere.faces[surface.triangle_ids[here]]]
    edges = corners.roll(-1, 1) - corners
    across = (edges * normals[here][:, None]).sum(2) / torch.linalg.vector_norm(edges, dim=2)
    assert across[torch.linalg.vector_norm(edges, dim=2) > 1e-3].abs().max() < 1e-4
    turned = dataclasses.replace(surface, normals=-surface.normals)
    assert torch.equal(face_normals(sphere, turned), -normals)


def test_tangents_point_along_growing_u_and_bitangents_along_growing_v(sphere):
    """Against differences of uv between neighbouring pixels, by their derivatives."""
    surface = rasterize_mesh(sphere, orbit_cameras(2, elevation_degrees=20), 64, 64)
    found, here = tangents(sphere, surface), seen(surface)
    normal, tangent = surface.normals[here], found[..., :3][here]
    assert (found[..., 3][here] == 1).all() and (found[~here] == 0).all()
    torch.testing.assert_close(torch.linalg.vector_norm(tangent, dim=1), torch.ones(len(tangent)))
    assert torch.linalg.vecdot(normal, tangent).abs().max() < 1e-5
    x, y, z = surface.positions[here].unbind(1)
    east = torch.nn.functional.normalize(torch.stack([z, 0 * x, -x], 1), dim=1)
    away_from_poles = y.abs() < 0.8
    assert torch.linalg.vecdot(tangent, east)[away_from_poles].min() > 0.99
    north = torch.linalg.cross(normal, tangent)
    assert north[away_from_poles, 1].min() > 0.5


def test_mirrored_uv_have_the_other_handedness():
    square = make_square()
    mirrored = dataclasses.replace(
        square, uv=torch.stack([1 - square.uv[:, 0], square.uv[:, 1]], 1)
    )
    for mesh, expected in ((square, [1.0, 0, 0, 1]), (mirrored, [-1.0, 0, 0, -1])):
        surface = rasterize_uv(mesh, 4, 4)
        result = tangents(mesh, surface)
        torch.testing.assert_close(result, torch.tensor(expected).expand(1, 4, 4, 4))


def test_tangents_do_not_jump_between_faces_that_share_their_corners():
    """Neighbouring pixels of a fine sphere, but for the seam, differ little."""
    sphere = make_sphere(12)
    surface = rasterize_mesh(sphere, orbit_cameras(1, view_width=1.0), 128, 128)
    found = tangents(sphere, surface)[0, ..., :3]
    steps = torch.linalg.vector_norm(found[:, 1:] - found[:, :-1], dim=2)
    assert seen(surface).all() and steps.max() < 0.03


def test_a_face_whose_uv_are_one_point_has_no_tangent():
    square = make_square()
    flat = dataclasses.replace(square, uv=torch.zeros_like(square.uv))
    surface = rasterize_mesh(flat, orbit_cameras(1), 8, 8)
    assert seen(surface).any() and (tangents(flat, surface) == 0).all()


def test_a_mesh_without_uv_has_no_tangents(square):
    surface = rasterize_mesh(square, orbit_cameras(1), 4, 4)
    with pytest.raises(TexcsdError, match=r"no uv.*unwrap it first"):
        tangents(dataclasses.replace(square, uv=None, uv_faces=None), surface)
