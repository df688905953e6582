"""The documented examples of nvdiffrast, by its own names."""

import inspect
import logging

import numpy as np
import pytest
import torch
from rendering_shapes import make_sphere, visible_scene
from trimesh.creation import icosphere

import texcsd.rendering.drop_in as dr
from texcsd.errors import TexcsdError
from texcsd.geometry.edges import find_edges
from texcsd.rendering import cube_maps, operations
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
ADDED = {"antialias": " ranges"}
"""Arguments behind those, which nvdiffrast has not."""


@pytest.mark.parametrize("name", SIGNATURES)
def test_names_and_order_of_arguments_are_those_of_nvdiffrast(name):
    parameters = inspect.signature(getattr(dr, name)).parameters
    assert " ".join(parameters) == SIGNATURES[name] + ADDED.get(name, "")


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


def test_layers_are_peeled_once_and_in_the_with_block_only():
    clip, triangles, _ = visible_scene(3)
    peeler = dr.DepthPeeler(None, clip.float(), triangles, (8, 8))
    with pytest.raises(RuntimeError, match="inside of `with"):
        peeler.rasterize_next_layer()
    with peeler:
        peeler.rasterize_next_layer()
    with pytest.raises(RuntimeError, match="inside of `with"):
        peeler.rasterize_next_layer()
    with pytest.raises(RuntimeError, match="make another one"), peeler:
        pass


def test_attributes_whose_slopes_are_wanted_may_come_as_an_array():
    clip, triangles, attributes = visible_scene(4)
    rast, rast_db = dr.rasterize(None, clip.float(), triangles, [16, 16])
    arguments = attributes.float(), rast, triangles, rast_db
    expected = dr.interpolate(*arguments, [2, 0])[1]
    for chosen in (np.array([2, 0]), torch.tensor([2, 0]), (-1, 0)):
        assert torch.equal(dr.interpolate(*arguments, chosen)[1], expected)
    with pytest.raises(ValueError, match="diff_attrs is 'every'; it must be one of all"):
        dr.interpolate(*arguments, "every")


def test_autocast_does_not_round_mip_levels_and_directions():
    images, places = torch.rand(1, 16, 16, 3), torch.randn(1, 8, 8, 3)
    cubes, slopes = torch.rand(1, 6, 8, 8, 3), torch.randn(1, 8, 8, 6)

    def results():
        colors = dr.texture(cubes, places, slopes, boundary_mode="cube")
        return [colors, *dr.texture_construct_mip(images)]

    expected = results()
    with torch.autocast("cpu", torch.bfloat16):
        found = results()
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


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


def bodies():
    """Three balls side by side, each nearer than the one before, in one tensor and each alone.

    Returns:
        Clip positions float32[vertex, 4], int32[triangle, 3], ranges int32[3, 2] that show the
        third, first and second, and for each view its clip positions, triangles and first vertex.
    """
    balls = [icosphere(subdivisions=k, radius=0.8) for k in (1, 2, 3)]
    cameras = orbit_cameras(3)
    faces = [torch.tensor(np.array(ball.faces)) for ball in balls]
    points = [torch.tensor(np.array(ball.vertices)).float() for ball in balls]
    clip = [cameras.clip_positions(vertices)[view] for view, vertices in enumerate(points)]
    moves = ([0.0, 0.0, 0.0, 0.0], [0.7, 0.1, -0.3, 0.0], [-0.7, 0.4, -0.6, 0.0])
    clip = [own + torch.tensor(move) for own, move in zip(clip, moves, strict=True)]
    starts = np.cumsum([0, len(points[0]), len(points[1])]).tolist()
    tri = torch.cat([own + start for own, start in zip(faces, starts, strict=True)])
    counts = torch.tensor([len(own) for own in faces])
    order = [2, 0, 1]
    ranges = torch.stack([counts.cumsum(0) - counts, counts], 1)[order]
    alone = [(clip[k], faces[k], starts[k]) for k in order]
    return torch.cat(clip), tri.int(), ranges.int(), alone


@pytest.mark.parametrize("how", ["from what is seen", "with the topology", "from the ranges"])
def test_silhouettes_of_ranges_are_those_of_each_mesh_alone(how):
    pos, tri, ranges, alone = bodies()
    pos.requires_grad_()
    rast, _ = dr.rasterize(None, pos, tri, (40, 40), ranges)
    color = torch.rand(3, 40, 40, 2, generator=torch.Generator().manual_seed(1)).requires_grad_()
    topology = dr.antialias_construct_topology_hash(tri) if how == "with the topology" else None
    given = ranges if how == "from the ranges" else None
    smooth = dr.antialias(color, rast, pos, tri, topology, ranges=given)
    upstream = torch.rand(smooth.shape, generator=torch.Generator().manual_seed(2))
    to_pos, to_color = torch.autograd.grad(smooth, [pos, color], upstream)
    expected, expected_to_pos = [], torch.zeros_like(pos)
    for view, (vertices, faces, start) in enumerate(alone):
        instanced, own = vertices[None].requires_grad_(), color.detach()[view : view + 1]
        rast, _ = dr.rasterize(None, instanced, faces, (40, 40))
        image = dr.antialias(own, rast, instanced, faces)
        (gradient,) = torch.autograd.grad(image, instanced, upstream[view : view + 1])
        expected.append(image)
        expected_to_pos[start : start + len(vertices)] += gradient[0]
        assert not torch.equal(image, own) and gradient.abs().max() > 0
    assert torch.equal(smooth, torch.cat(expected))
    torch.testing.assert_close(to_pos, expected_to_pos)
    assert to_color.abs().max() > 0


def test_the_gradient_of_shared_positions_is_the_sum_over_the_views():
    """The same range twice, and a view of nothing between; the boost multiplies it, too."""
    pos, tri, ranges, _ = bodies()
    pos.requires_grad_()
    ranges = torch.stack([ranges[0], ranges[0] * 0, ranges[0]])
    rast, _ = dr.rasterize(None, pos, tri, (32, 32), ranges)
    color = torch.rand(1, 32, 32, 1).expand(3, -1, -1, -1)

    def gradient(views, boost=1.0):
        smooth = dr.antialias(color[views], rast[views], pos, tri, None, boost, ranges[views])
        return torch.autograd.grad(smooth.square().sum(), pos)[0]

    one = gradient(slice(0, 1))
    assert one.abs().max() > 0
    torch.testing.assert_close(gradient(slice(0, 3)), 2 * one)
    torch.testing.assert_close(gradient(slice(0, 3), 3.0), 6 * one)
    assert torch.equal(dr.antialias(color, rast, pos, tri)[1], color[1])
    none = slice(0, 0)
    assert len(dr.antialias(color[none], rast[none], pos, tri)) == 0
    with pytest.raises(TexcsdError, match="ranges are 2"):
        dr.antialias(color, rast, pos, tri, ranges=ranges[:2])


def test_a_range_that_ends_within_a_mesh_has_a_silhouette_there_if_the_ranges_are_given():
    """One half of a square: its diagonal is an inner edge of all triangles, as in nvdiffrast."""
    pos = torch.tensor([[-0.8, -0.8, 0, 1], [0.8, -0.8, 0, 1], [0.8, 0.7, 0, 1], [-0.8, 0.7, 0, 1]])
    tri, ranges = torch.tensor([[0, 1, 2], [0, 2, 3]]), torch.tensor([[1, 1]])
    rast, _ = dr.rasterize(None, pos, tri, (32, 32), ranges)
    white = (rast[..., 3:] > 0).float()
    alone = dr.antialias(
        white, dr.rasterize(None, pos[None], tri[1:], (32, 32))[0], pos[None], tri[1:]
    )
    assert torch.equal(dr.antialias(white, rast, pos, tri, ranges=ranges), alone)
    plain = dr.antialias(white, rast, pos, tri)
    assert (alone != white).sum() > (plain != white).sum() > 0


def test_a_cube_map_is_looked_up_along_directions_in_every_filter_mode():
    cube = torch.rand(1, 6, 16, 16, 3).requires_grad_()
    sphere = make_sphere(8)
    pos = orbit_cameras(2).clip_positions(sphere.vertices)
    rast, rast_db = dr.rasterize(None, pos, sphere.faces.int(), (24, 24))
    place, change = dr.interpolate(sphere.vertices, rast, sphere.faces.int(), rast_db, "all")
    stack = dr.texture_construct_mip(cube, cube_mode=True)
    assert [tuple(mip.shape) for mip in stack] == [(1, 6, n, n, 3) for n in (8, 4, 2, 1)]
    assert len(dr.texture_construct_mip(cube, 2, cube_mode=True)) == 2
    bias = torch.rand(2, 24, 24)
    for mode in ("nearest", "linear", "linear-mipmap-nearest", "linear-mipmap-linear", "auto"):
        options = {"filter_mode": mode, "boundary_mode": "cube"}
        expected = cube_maps.texture(cube, place, change, bias, filter_mode=mode)
        found = dr.texture(cube, place, change, bias, **options)
        with_stack = dr.texture(cube, place, change, bias, stack, **options)
        assert torch.equal(found, expected) and torch.equal(with_stack, expected)
        assert (found[rast[..., 3] == 0] == 0).all() and found.abs().max() > 0
        one, other = (
            torch.autograd.grad(colors.square().sum(), cube, retain_graph=True)[0]
            for colors in (found, with_stack)
        )
        torch.testing.assert_close(one, other)
    plain = dr.texture(cube, place, boundary_mode="cube")
    assert torch.equal(plain, cube_maps.texture(cube, place, filter_mode="linear"))


def test_a_cube_map_must_be_called_one():
    cube, uv = torch.rand(1, 6, 8, 8, 3), torch.rand(1, 4, 4, 3)
    with pytest.raises(TexcsdError, match="must be cube"):
        dr.texture(cube, uv)
    with pytest.raises(TexcsdError, match="cube_mode is False"):
        dr.texture_construct_mip(cube)
    with pytest.raises(ValueError, match="6, size, size"):
        dr.texture(cube[0], uv, boundary_mode="cube")
