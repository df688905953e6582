"""The training world, and that it is the world the painter renders."""

import torch
from guided_shapes import make_mesh, sphere

from texcsd.embedded import materials, place, scenes
from texcsd.embedded.captions import DEFECTS, Look
from texcsd.embedded.patterns import Style
from texcsd.rendering.cameras import random_cameras
from texcsd.rendering.rasterize import Surface, normalized_depth
from texcsd.rendering.shading import linear_to_srgb, random_lights, srgb_to_linear
from texcsd.rendering.viewpoints import Viewpoints
from texcsd.synthesis import PATTERN_OFFSET, random_backgrounds


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_same_seed_renders_the_same_scenes():
    first, again = (scenes.random_scenes(2, 2, generator(3)) for _ in range(2))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.geometry, again.geometry)
    assert first.captions == again.captions


def test_scenes_have_valid_images_depths_and_captions():
    batch = scenes.random_scenes(4, 3, generator(1))
    assert batch.images.shape == (12, 64, 64, 3)
    assert batch.geometry.shape == (4, 64, 64, place.GEOMETRY_CHANNELS)
    assert batch.images.min() >= 0 and batch.images.max() <= 1
    assert batch.geometry.min() >= -1.001 and batch.geometry.max() <= 1.001
    assert batch.geometry[..., 0].min() >= 0
    assert len(batch.captions) == 12 and all(batch.captions)


def test_every_shape_fills_the_unit_sphere_and_stays_inside():
    shapes = scenes.random_shapes(24, generator(2))
    probes = torch.nn.functional.normalize(torch.randn(4000, 3, generator=generator(3)), dim=-1)
    outside = shapes.distance((1.12 * probes).expand(24, -1, -1))
    # The fit is found by random probes: a thin part may stick out a little.
    assert (outside < 0).float().mean() < 1e-3
    inside = shapes.distance((0.8 * probes).expand(24, -1, -1)) < 0
    assert inside.any(1).float().mean() > 0.9


def test_about_one_shape_in_seven_is_a_sheet_seen_from_both_of_its_sides():
    shapes = scenes.random_shapes(200, generator(5))
    within = (2 * torch.rand(1, 1500, 3, generator=generator(6)) - 1).expand(200, -1, -1)
    sheets = torch.zeros(200)
    for across in torch.eye(3):
        on = within * (1 - across)
        is_solid = shapes.distance(on) < -1e-3
        for side in (-across, across):
            off = on + 0.06 * side
            thin = is_solid.any(1) & (shapes.distance(off) > 0).all(1)
            facing = (shapes.normals(on + 0.03 * side) * side).sum(-1)
            assert facing[thin[:, None] & is_solid].median() > 0.99
            sheets += thin / 2
    assert set(sheets.tolist()) == {0.0, 1.0}
    assert abs(sheets.mean() - scenes.SHEETS) < 0.07


def test_traced_points_lie_on_the_surface():
    shapes = scenes.random_shapes(4, generator(4))
    views = scenes.random_views(shapes, generator(5))
    origins, directions, travelled, hit = scenes._trace_image(shapes, views, 64)
    distance = shapes.distance(origins + travelled[..., None] * directions)
    assert hit.float().mean() > 0.1
    assert distance[hit].abs().max() < 1e-2


def test_a_look_is_seen_in_the_same_place_by_image_and_depth():
    batch = scenes.random_scenes(3, 4, generator(6))
    for index, image in enumerate(batch.images):
        empty = batch.geometry[index // 4, ..., 0] == 0
        if empty[0, 0]:
            assert (image[empty] - image[0, 0]).abs().max() < 1e-5


def test_spoilt_images_say_so_in_their_captions():
    batch = scenes.random_scenes(2, 6, generator(7))
    spoilt = scenes.spoil(batch, 0.5, generator(8))
    for before, after, old, new in zip(
        batch.images, spoilt.images, batch.captions, spoilt.captions, strict=True
    ):
        changed = old != new
        assert changed == (new.split()[0] in DEFECTS)
        assert changed != torch.equal(before, after)


def test_depth_is_normalised_as_the_painter_does():
    depth = 2 + torch.rand(3, 10, 10, 1, generator=generator(9))
    coverage = (torch.rand(3, 10, 10, 1, generator=generator(10)) < 0.6).float()
    nothing = torch.zeros(3, 10, 10, 3)
    surface = Surface(
        coverage, torch.zeros(3, 10, 10).long(), nothing, nothing, nothing, nothing, depth
    )
    ours = scenes._normalized_depth(depth.flatten(1), coverage.flatten(1) > 0)
    assert torch.allclose(ours.view_as(depth), normalized_depth(surface), atol=1e-5)


def test_colours_are_encoded_as_the_painter_does():
    values = torch.linspace(0, 1, 1001)
    assert torch.allclose(scenes._to_linear(values), srgb_to_linear(values), atol=1e-6)
    assert torch.allclose(scenes._to_srgb(values), linear_to_srgb(values), atol=1e-6)


def compare(ours, theirs, tolerance):
    for quantile in (0.1, 0.5, 0.9):
        assert abs(ours.quantile(quantile) - theirs.quantile(quantile)) < tolerance


def test_views_and_light_follow_the_distributions_the_painter_draws_from():
    count = 1500
    shapes = scenes.random_shapes(count, generator(11))
    views = scenes.random_views(shapes, generator(12))
    ball = sphere(4)
    ball = make_mesh(0.6 * ball.vertices.numpy(), ball.faces.numpy())
    looked_at = Viewpoints(ball, ball, generator(13)).draw(count, generator(13))
    cameras = random_cameras(*looked_at, generator(14))
    close, expected_close = views.view_width < 1.8, cameras.view_width < 1.8
    assert 0.4 < close.float().mean() < 0.6
    compare(views.view_width[close], cameras.view_width[expected_close], 0.08)
    compare(views.view_width[~close], cameras.view_width[~expected_close], 0.08)
    compare(views.rotation[:, 1, 2], cameras.camera_to_world[:, 1, 2], 0.12)
    ours = scenes.random_light(views.rotation, generator(15))
    theirs = random_lights(cameras, generator(16))
    compare(ours[1], theirs.ambient, 0.03)
    compare(ours[2], theirs.exposure, 0.03)
    above = torch.einsum("nij,ni->nj", views.rotation, ours[0])
    expected = torch.einsum("nij,ni->nj", cameras.camera_to_world[:, :3, :3], theirs.direction)
    for axis in range(3):
        compare(above[:, axis], expected[:, axis], 0.08)


def test_backgrounds_follow_the_distribution_the_painter_draws_from():
    ours = torch.stack([scenes.random_background(g) for g in [generator(17)] for _ in range(800)])
    theirs = random_backgrounds(800, generator(18))[:, 0, 0]
    compare(ours.amax(1) - ours.amin(1), theirs.amax(1) - theirs.amin(1), 0.1)


def test_patterns_begin_where_the_painter_lets_them_begin():
    offset, scale = scenes.random_frames(500, generator(22))
    assert offset.min() >= 0 and offset.max() <= PATTERN_OFFSET == scenes.PATTERN_OFFSET
    assert 0.5 <= scale.min() < 0.65 and 1.6 < scale.max() <= 2.0
    assert (scale.log2().abs() < 0.5).float().mean() > 0.7


def test_a_period_of_the_waves_apart_places_are_told_apart_by_the_fields():
    points = torch.rand(1, 32, 32, 3, generator=generator(23))
    depth, normals = torch.ones(1, 32, 32, 1), torch.eye(3)[2].expand(1, 32, 32, 3)
    for axis in torch.eye(3):
        here, there = (
            place.geometry_channels(depth, normals, points + shift, 32)
            for shift in (0, place.PATTERN_PERIOD * axis)
        )
        differences = (here - there).abs()
        assert differences[:, : -place.FIELDS].max() < 1e-3
        assert differences[:, -place.FIELDS :].mean(1).min() > 0.05


def brightness_of_objects(batch, looks_per_shape):
    """Mean colour of each image over the pixels that the object fills, float[n, 3]."""
    filled = (batch.geometry[..., 0] > 0.1).repeat_interleave(looks_per_shape, 0)
    return torch.stack(
        [image[mask].mean(0) for image, mask in zip(batch.images, filled, strict=True)]
    )


def plain_look(*color):
    plastic = next(m for m in materials.MATERIALS if m.words[0] == "plastic")
    return Look(plastic, Style(torch.tensor(color), torch.tensor(color)), "plastic", 0.0)


def test_every_image_has_the_colours_of_its_own_look_though_materials_are_rendered_together():
    looks = [plain_look(0.9, 0.1, 0.1), plain_look(0.1, 0.1, 0.9)]
    red, blue = (
        brightness_of_objects(scenes.random_scenes(3, 2, generator(19), looks=looks), 2)
        .view(3, 2, 3)
        .unbind(1)
    )
    assert (red[:, 0] > red[:, 2] + 0.2).all() and (blue[:, 2] > blue[:, 0] + 0.2).all()


def test_every_image_has_its_own_light_though_materials_are_rendered_together(monkeypatch):
    exposure = torch.tensor([1.0, 0.3, 0.3, 1.0])
    light = torch.tensor([0.0, 1.0, 0.0]).expand(4, 3), torch.ones(4), exposure
    monkeypatch.setattr(scenes, "random_light", lambda rotation, generator: light)
    looks = [plain_look(0.8, 0.8, 0.8)] * 2
    batch = scenes.random_scenes(2, 2, generator(20), looks=looks)
    found = brightness_of_objects(batch, 2).mean(1)
    assert found[[0, 3]].min() > found[[1, 2]].max() + 0.1
