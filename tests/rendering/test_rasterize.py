import dataclasses

import pytest
import torch
from rendering_shapes import hair_thin_triangle, make_sphere

from texcsd.errors import TexcsdError
from texcsd.rendering import rasterize
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.rasterize import normalized_depth, rasterize_mesh, rasterize_uv


def seen(surface):
    return surface.coverage[..., 0] > 0


def test_projecting_the_position_of_a_pixel_returns_its_centre(sphere):
    cameras, height, width = orbit_cameras(3, elevation_degrees=30), 20, 30
    surface = rasterize_mesh(sphere, cameras, height, width)
    for view in range(3):
        here = seen(surface)[view]
        clip = cameras.clip_positions(surface.positions[view][here], width / height)[view]
        column = (clip[:, 0] / clip[:, 3] + 1) * width / 2 - 0.5
        row = (1 - clip[:, 1] / clip[:, 3]) * height / 2 - 0.5
        expected = here.nonzero().float()
        assert len(expected) > 50
        torch.testing.assert_close(torch.stack([row, column], 1), expected, atol=1e-3, rtol=0)


def test_depth_is_the_distance_along_the_view_axis(sphere):
    cameras = orbit_cameras(2)
    surface = rasterize_mesh(sphere, cameras, 24, 24)
    offset = surface.positions - cameras.eyes[:, None, None]
    along = -(offset * cameras.camera_to_world[:, None, None, :3, 2]).sum(-1)
    here = seen(surface)
    torch.testing.assert_close(surface.depth[..., 0][here], along[here], atol=1e-5, rtol=0)


def test_the_background_is_zero_and_its_triangle_minus_1(sphere):
    surface = rasterize_mesh(sphere, orbit_cameras(2), 16, 16)
    empty = ~seen(surface)
    assert empty.any() and (surface.triangle_ids[empty] == -1).all()
    for field in ("coverage", "positions", "normals", "uv", "uv_derivatives", "depth"):
        assert (getattr(surface, field)[empty] == 0).all(), field
    assert (surface.coverage[~empty] == 1).all() and (surface.triangle_ids[~empty] >= 0).all()


def test_row_0_is_on_top_and_column_0_on_the_left(square):
    """Seen from the front, the square's u grows to the right and its v upwards."""
    surface = rasterize_mesh(square, orbit_cameras(1, 0.0, view_width=1.0), 8, 8)
    centres = (torch.arange(8) + 0.5) / 8
    torch.testing.assert_close(surface.uv[0, :, :, 0], centres.expand(8, 8), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        surface.uv[0, :, :, 1], centres.flip(0)[:, None].expand(8, 8), atol=1e-5, rtol=0
    )


def test_uv_derivatives_are_the_differences_between_neighbouring_pixels(square):
    surface = rasterize_mesh(square, orbit_cameras(1, 0.0, view_width=0.5), 16, 16)
    du_dx, du_dy, dv_dx, dv_dy = surface.uv_derivatives[0].unbind(-1)
    u, v = surface.uv[0].unbind(-1)
    torch.testing.assert_close(du_dx[:, :-1], u.diff(dim=1), atol=1e-5, rtol=0)
    torch.testing.assert_close(dv_dy[:-1], v.diff(dim=0), atol=1e-5, rtol=0)
    assert (dv_dy < 0).all()  # v grows upwards, rows downwards
    torch.testing.assert_close(du_dy, torch.zeros(16, 16), atol=1e-6, rtol=0)
    torch.testing.assert_close(dv_dx, torch.zeros(16, 16), atol=1e-6, rtol=0)


@pytest.mark.parametrize("inside_out", [False, True])
@pytest.mark.parametrize("normals_inwards", [False, True])
def test_normals_are_unit_and_those_of_the_side_seen_however_faces_and_normals_point(
    inside_out, normals_inwards
):
    sphere = make_sphere(48)
    faces = sphere.faces[:, [0, 2, 1]] if inside_out else sphere.faces
    normals = -sphere.normals if normals_inwards else sphere.normals
    mesh = dataclasses.replace(
        sphere, faces=faces, uv_faces=faces, normal_faces=faces, normals=normals
    )
    surface = rasterize_mesh(mesh, orbit_cameras(2), 32, 32)
    here = seen(surface)
    outwards = torch.nn.functional.normalize(surface.positions, dim=-1)
    torch.testing.assert_close(surface.normals[here], outwards[here], atol=2e-3, rtol=0)
    lengths = torch.linalg.vector_norm(surface.normals[here], dim=-1)
    torch.testing.assert_close(lengths, torch.ones_like(lengths))


def test_both_sides_of_a_face_are_seen_each_with_its_own_normal(square):
    surface = rasterize_mesh(square, orbit_cameras(2, 0.0, view_width=0.9), 4, 4)
    assert (surface.coverage == 1).all()
    expected = torch.tensor([[0.0, 0, 1], [0, 0, -1]])[:, None, None].expand(2, 4, 4, 3)
    torch.testing.assert_close(surface.normals, expected)


def test_smooth_normals_are_not_turned_where_only_they_and_not_their_face_point_away(square):
    tilted = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0, 0.3]]).repeat(4, 1))
    surface = rasterize_mesh(
        dataclasses.replace(square, normals=tilted), orbit_cameras(8, 0.0), 16, 16
    )
    for view in (7, 0, 1):  # from the left, where the normal points away, to the right
        normals = surface.normals[view][seen(surface)[view]]
        torch.testing.assert_close(normals, tilted[:1].expand(len(normals), 3))


def test_rasterize_uv_puts_each_texel_where_the_texture_image_has_it(square):
    surface = rasterize_uv(square, 4, 8)
    assert surface.coverage.shape == (1, 4, 8, 1) and (surface.coverage == 1).all()
    u, v = (torch.arange(8) + 0.5) / 8, 1 - (torch.arange(4) + 0.5) / 4
    expected = torch.stack([u.expand(4, 8), v[:, None].expand(4, 8)], -1)
    torch.testing.assert_close(surface.uv[0], expected)
    # The square is seen from the front with u to the right and v up, so it lies as it stands.
    torch.testing.assert_close(surface.positions[0, ..., :2], expected - 0.5)
    assert (surface.depth == 0).all()


def test_rasterize_uv_gives_the_file_normals_also_to_mirrored_charts(square):
    mirrored = dataclasses.replace(
        square, uv=square.uv * torch.tensor([-1.0, 1.0]) + torch.tensor([1.0, 0])
    )
    for mesh in (square, mirrored):
        normals = rasterize_uv(mesh, 4, 4).normals
        torch.testing.assert_close(normals, torch.tensor([0.0, 0, 1]).expand(1, 4, 4, 3))


def test_normalized_depth_is_1_at_the_nearest_and_a_fifth_at_the_farthest_pixel(sphere):
    surface = rasterize_mesh(sphere, orbit_cameras(3), 32, 32)
    value, here = normalized_depth(surface), seen(surface)
    assert value.shape == (3, 32, 32, 1) and (value[~here] == 0).all()
    for view in range(3):
        depth, shown = surface.depth[view][here[view]], value[view][here[view]]
        assert shown.max() == 1 and shown.min() == pytest.approx(0.2)
        assert shown[depth.argmin()] == 1
        expected = 0.2 + 0.8 * (depth.max() - depth) / (depth.max() - depth.min())
        torch.testing.assert_close(shown, expected)


def test_normalized_depth_is_1_for_a_flat_view_and_0_for_an_empty_one(square):
    surface = rasterize_mesh(square, orbit_cameras(2, 0.0, view_width=0.9), 4, 4)
    flat = torch.full_like(surface.depth, 2.0)
    flat = dataclasses.replace(surface, depth=flat)
    assert (normalized_depth(flat) == 1).all()
    empty = dataclasses.replace(surface, coverage=0 * surface.coverage, depth=0 * surface.depth)
    assert (normalized_depth(empty) == 0).all()


def test_a_mesh_without_uv_is_refused(square):
    bare = dataclasses.replace(square, uv=None, uv_faces=None)
    for attempt in (
        lambda: rasterize_mesh(bare, orbit_cameras(1), 4, 4),
        lambda: rasterize_uv(bare, 4, 4),
    ):
        with pytest.raises(TexcsdError, match="no uv"):
            attempt()


def test_seams_do_not_matter_uv_and_normals_have_their_own_indices(square):
    own = torch.tensor([[3, 3, 3], [1, 1, 1]])
    mesh = dataclasses.replace(square, uv_faces=own)
    surface = rasterize_mesh(mesh, orbit_cameras(1, 0.0, view_width=0.9), 4, 4)
    corners = square.uv[own[surface.triangle_ids[0], 0]]
    torch.testing.assert_close(surface.uv[0], corners)


def test_the_single_kernel_gives_what_the_operations_give_one_by_one(sphere):
    """With clip positions as they are: row 0 is at the bottom."""
    clip_positions = orbit_cameras(3, elevation_degrees=40, view_width=1.2).clip_positions(
        sphere.vertices
    )
    flat = torch.cat([2 * sphere.uv - 1, torch.zeros(len(sphere.uv), 1)], 1)[None]
    flat = torch.nn.functional.pad(flat, (0, 1), value=1.0)
    cases = (clip_positions, sphere.faces, True), (flat, sphere.uv_faces, False)
    for positions, faces, turn in cases:
        arguments = sphere, positions, faces, (300, 33), turn
        together, apart = (
            rasterize._surface(*arguments),
            rasterize._interpolated_surface(*arguments),
        )
        for field in dataclasses.fields(together):
            one, other = getattr(together, field.name), getattr(apart, field.name)
            torch.testing.assert_close(one, other, atol=5e-6, rtol=1e-5)


def test_also_of_a_triangle_thinner_than_float64_can_tell_the_surface_is_that_where_it_is(square):
    clip_positions = torch.as_tensor(hair_thin_triangle(0))[None]
    mesh = dataclasses.replace(square, faces=square.faces[:1], uv_faces=square.uv_faces[:1])
    surface = rasterize._surface(mesh, clip_positions, torch.tensor([[0, 1, 2]]), (3, 3), False)
    assert surface.triangle_ids[0, 2, 2] == 0
    middle, middle_uv = mesh.vertices[mesh.faces[0]].mean(0), mesh.uv[mesh.uv_faces[0]].mean(0)
    torch.testing.assert_close(surface.positions[0, 2, 2], middle)
    torch.testing.assert_close(surface.uv[0, 2, 2], middle_uv)
