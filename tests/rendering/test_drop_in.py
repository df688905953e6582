"""The documented examples of nvdiffrast, by its own names."""

import inspect
import logging

import pytest
import torch
from rendering_shapes import make_sphere, visible_scene

import texcsd.rendering.drop_in as dr
from texcsd.errors import TexcsdError
from texcsd.geometry.edges import find_edges
from texcsd.rendering import operations
from texcsd.rendering.antialias import antialias
from texcsd.rendering.cameras import orbit_cameras

# Of the API reference of nvdiffrast 0.4.
SIGNATURES = {
    "rasterize": "glctx pos tri resolution ranges grad_db",
    "DepthPeeler": "glctx pos tri resolution ranges grad_db",
    "interpolate": "attr rast tri rast_db diff_attrs",
    "texture": "tex uv uv_da mip_level_bias mip filter_mode boundary_mode max_mip_level",
    "texture_construct_mip": "tex max_mip_level cube_mode",
    "antialias": "color rast pos tri topology_hash pos_gradient_boost",
    "antialias_construct_topology_hash": "tri",
    "get_log_level": "",
    "set_log_level": "level",
    "RasterizeCudaContext": "device",
    "RasterizeGLContext": "device",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_names_and_order_of_arguments_are_those_of_nvdiffrast(name):
    parameters = inspect.signature(getattr(dr, name)).parameters
    assert " ".join(parameters) == SIGNATURES[name]


def test_one_triangle_with_colours_at_its_corners():
    """From (-0.8, -0.8) over (0.8, -0.8) to (-0.8, 0.8), red, green and blue."""
    pos = torch.tensor([[[-0.8, -0.8, 0, 1], [0.8, -0.8, 0, 1], [-0.8, 0.8, 0, 1]]])
    tri = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    rast, _ = dr.rasterize(dr.RasterizeCudaContext(), pos, tri, resolution=[256, 256])
    out, nothing = dr.interpolate(torch.eye(3)[None], rast, tri)
    assert rast.shape == (1, 256, 256, 4) and nothing.shape == (1, 256, 256, 0)
    x, y = torch.meshgrid(*[(torch.arange(256) + 0.5) / 128 - 1] * 2, indexing="xy")
    green, blue = (x + 0.8) / 1.6, (y + 0.8) / 1.6
    inside = (green > 0) & (blue > 0) & (green + blue < 1)
    on_edge = (green + blue - 1).abs() < 1e-5  # a diagonal through pixel centres
    expected = torch.stack([1 - green - blue, green, blue], 2) * inside[..., None]
    assert torch.equal((rast[0, ..., 3] > 0)[~on_edge], inside[~on_edge])
    torch.testing.assert_close(out[0][~on_edge], expected[~on_edge], atol=1e-6, rtol=0)


def step(size=32):
    """A textured, antialiased picture of a sphere, by both sets of names, and their gradients."""
    sphere = make_sphere(8)
    pos = orbit_cameras(2).clip_positions(sphere.vertices).requires_grad_()
    tri, image = sphere.faces.int(), torch.rand(1, 24, 20, 3).requires_grad_()
    rast, rast_db = dr.rasterize(None, pos, tri, (size, size))
    uv, uv_da = dr.interpolate(sphere.uv[None], rast, tri, rast_db=rast_db, diff_attrs="all")
    color = dr.texture(image, uv, uv_da)
    color = torch.where(rast[..., 3:] > 0, color, torch.tensor(1.0))
    return sphere, pos, tri, image, rast, dr.antialias(color, rast, pos, tri)


def test_a_whole_step_equals_that_of_the_operations():
    sphere, pos, tri, image, _, picture = step()
    found = operations.rasterize(pos, tri, (32, 32))
    uv, slopes = operations.interpolate(sphere.uv, found, tri, True)
    color = operations.texture(image, uv, slopes)
    color = torch.where(found.triangle_ids[..., None] >= 0, color, 1.0)
    expected = antialias(color, found, pos, find_edges(sphere.faces))
    assert torch.equal(picture, expected)
    upstream = torch.rand(picture.shape)
    for one, other in zip(
        torch.autograd.grad(picture, [pos, image], upstream),
        torch.autograd.grad(expected, [pos, image], upstream),
        strict=True,
    ):
        assert torch.equal(one, other) and one.abs().max() > 0


def test_layers_are_peeled_in_a_with_block():
    clip, triangles, _ = visible_scene(3)
    with dr.DepthPeeler(dr.RasterizeCudaContext(), clip.float(), triangles, (20, 30)) as peeler:
        peeled = [peeler.rasterize_next_layer() for _ in range(5)]
    expected = operations.rasterize_layers(clip.float(), triangles, (20, 30), 5)
    for (rast, rast_db), layer in zip(peeled, expected, strict=True):
        assert torch.equal(rast, layer.rast) and torch.equal(rast_db, layer.rast_db)


def test_ranges_count_for_shared_positions_only():
    clip, triangles, _ = visible_scene(4, views=1)
    ranges = torch.tensor([[0, 2], [3, 3]], dtype=torch.int32)
    rast, _ = dr.rasterize(None, clip[0].float(), triangles, (16, 16), ranges=ranges)
    expected = operations.rasterize(clip[0].float(), triangles, (16, 16), ranges).rast
    assert torch.equal(rast, expected)
    assert dr.rasterize(None, clip.float(), triangles, (16, 16), ranges=ranges)[0].shape[0] == 1


def test_a_mip_stack_made_before_gives_the_same_colours_and_gradients():
    image = torch.rand(1, 32, 16, 2).requires_grad_()
    uv, uv_da = torch.rand(1, 9, 9, 2), 0.2 * torch.randn(1, 9, 9, 4)
    for limit in (None, 2):
        stack = dr.texture_construct_mip(image, max_mip_level=limit)
        assert len(stack) == (limit or 5)
        one = dr.texture(image, uv, uv_da, mip=stack)
        other = dr.texture(image, uv, uv_da, max_mip_level=limit)
        torch.testing.assert_close(one, other)
        pair = (torch.autograd.grad(colors.square().sum(), image)[0] for colors in (one, other))
        torch.testing.assert_close(*pair)


def test_the_boost_multiplies_the_gradient_to_positions_alone():
    _, pos, tri, _, rast, _ = step()
    color = (rast[..., 3:] > 0).float().requires_grad_()
    edges = dr.antialias_construct_topology_hash(tri)
    plain, boosted = (
        torch.autograd.grad(
            dr.antialias(color, rast.detach(), pos, tri, edges, boost).square().sum(), [pos, color]
        )
        for boost in (1.0, 3.0)
    )
    torch.testing.assert_close(boosted[0], 3 * plain[0])
    assert torch.equal(boosted[1], plain[1]) and plain[0].abs().max() > 0


def test_the_log_level_is_that_of_the_package_and_comes_back():
    logger = logging.getLogger("texcsd")
    before = logger.level
    try:
        for level, expected in enumerate(["INFO", "WARNING", "ERROR", "CRITICAL"]):
            dr.set_log_level(level)
            assert dr.get_log_level() == level
            assert logging.getLevelName(logger.level) == expected
        with pytest.raises(TexcsdError, match="log level is 4"):
            dr.set_log_level(4)
    finally:
        logger.setLevel(before)


def test_triangles_of_a_range_are_interpolated_by_view_with_slopes_of_chosen_attributes():
    clip, triangles, _ = visible_scene(4, views=1)
    ranges = torch.tensor([[0, 2], [3, 3], [1, 0]], dtype=torch.int32)
    positions = clip[0].float().requires_grad_()
    rast, rast_db = dr.rasterize(None, positions, triangles, (16, 24), ranges, grad_db=False)
    assert not rast_db.requires_grad and (rast[2] == 0).all() and (rast[0, ..., 3] <= 2).all()
    attributes = torch.rand(len(positions), 5)
    every, slopes = dr.interpolate(attributes, rast, triangles, rast_db, "all")
    chosen, some = dr.interpolate(attributes, rast, triangles, rast_db, [3, 0])
    assert torch.equal(every, chosen)
    assert torch.equal(some, slopes.unflatten(-1, (5, 2))[..., [3, 0], :].flatten(-2))
    assert torch.autograd.grad(every.sum(), positions)[0][:, 2].abs().max() == 0


def test_what_there_is_not_is_said():
    image, uv = torch.rand(1, 6, 8, 8, 3), torch.rand(1, 4, 4, 3)
    with pytest.raises(TexcsdError, match="no cube maps"):
        dr.texture(image, uv, boundary_mode="cube")
    with pytest.raises(TexcsdError, match="no cube maps"):
        dr.texture_construct_mip(image, cube_mode=True)
    with pytest.raises(TexcsdError, match=r"\[view, vertex, 4\]"):
        dr.antialias(uv, torch.zeros(1, 4, 4, 4), torch.zeros(3, 4), torch.tensor([[0, 1, 2]]))
