import dataclasses

import pytest
import torch
from rendering_shapes import make_sphere, make_square

from texcsd.rendering.cameras import orbit_cameras, random_cameras
from texcsd.rendering.rasterize import rasterize_mesh
from texcsd.rendering.shading import (
    Lights,
    camera_lights,
    downsample,
    linear_to_srgb,
    random_lights,
    shade,
    srgb_to_linear,
)
from texcsd.rendering.texture import Material

BACKGROUND = torch.tensor([0.1, 0.9, 0.3])[None, None, None]


@pytest.fixture
def surface():
    """A square that fills the middle of a 4 x 4 view."""
    return rasterize_mesh(make_square(), orbit_cameras(1, 0.0, view_width=2.0), 4, 4)


def light_from(direction, ambient=0.5, exposure=1.0):
    direction = torch.nn.functional.normalize(torch.tensor([direction]), dim=1)
    return Lights(direction, torch.tensor([ambient]), torch.tensor([exposure]))


def painted(color):
    return Material(torch.tensor(color).expand(1, 4, 4, 3))


def by_definition(colors, light):
    return linear_to_srgb((srgb_to_linear(colors) * light).clamp(0, 1))


def test_srgb_and_linear_are_inverse_and_equal_the_standard_at_known_values():
    srgb = torch.linspace(0, 1, 1001, dtype=torch.float64)
    torch.testing.assert_close(linear_to_srgb(srgb_to_linear(srgb)), srgb, atol=1e-7, rtol=0)
    known = torch.tensor([0.0, 0.04045, 0.5, 1.0], dtype=torch.float64)
    linear = torch.tensor([0.0, 0.0031308, 0.2140411, 1.0], dtype=torch.float64)
    torch.testing.assert_close(srgb_to_linear(known), linear, atol=1e-7, rtol=0)


@pytest.mark.parametrize("convert", [srgb_to_linear, linear_to_srgb])
def test_conversions_have_finite_gradients_from_0_to_1(convert):
    values = torch.linspace(0, 1, 101, dtype=torch.float64).requires_grad_()
    convert(values).sum().backward()
    assert torch.isfinite(values.grad).all() and (values.grad > 0).all()


def flat_surface(surface, views, height, width):
    """Covered pixels whose normals face +z."""
    normals = torch.tensor([0.0, 0, 1]).expand(views, height, width, 3)
    coverage = torch.ones(views, height, width, 1)
    return dataclasses.replace(surface, normals=normals, coverage=coverage)


def test_shading_equals_decoding_multiplying_and_encoding(surface):
    """Around the knees of both curves too, darker and brighter, up to clipping."""
    colors = torch.cat([torch.linspace(0, 0.1, 400), torch.linspace(0.1, 1, 200)])
    colors = colors.view(20, 30, 1).expand(50, 20, 30, 3).clone().requires_grad_()
    exposure = torch.linspace(0, 3, 50)
    lights = Lights(torch.tensor([[0.0, 0, 1]]).expand(50, 3), torch.zeros(50), exposure)
    flat, light = flat_surface(surface, 50, 20, 30), exposure[:, None, None, None]
    result = shade(Material(colors), flat, lights, BACKGROUND)
    expected = by_definition(colors.double(), light.double())
    torch.testing.assert_close(result.double(), expected, atol=2e-6, rtol=0)
    upstream = torch.rand(result.shape)
    (gradient,) = torch.autograd.grad(result, colors, upstream)
    (correct,) = torch.autograd.grad(expected, colors, upstream.double())
    # The curves have small kinks: leave out what rounding puts on their other side, and on 1.
    linear = srgb_to_linear(colors.detach().double()) * light
    smooth = (expected < 1 - 1e-5) | (linear > 1 + 1e-5)
    smooth &= ((linear - 0.0031308).abs() > 1e-6) & ((colors - 0.04045).abs() > 1e-6)
    assert smooth.float().mean() > 0.99
    torch.testing.assert_close(gradient[smooth], correct[smooth], atol=1e-4, rtol=1e-4)


def test_with_gradients_to_normals_and_lights_shading_looks_the_same(generator):
    sphere, cameras = make_sphere(), orbit_cameras(2)
    surface = rasterize_mesh(sphere, cameras, 16, 16)
    material, lights = Material(torch.rand(2, 16, 16, 3)), random_lights(cameras, generator)
    for background in (torch.rand(2, 1, 1, 3), torch.rand(2, 16, 16, 3)):
        expected = shade(material, surface, lights, background)
        normals = surface.normals.clone().requires_grad_()
        ambient = lights.ambient.clone().requires_grad_()
        image = shade(
            material,
            dataclasses.replace(surface, normals=normals),
            dataclasses.replace(lights, ambient=ambient),
            background,
        )
        torch.testing.assert_close(image, expected, atol=2e-6, rtol=0)
        image.sum().backward()
        assert (normals.grad != 0).any() and (ambient.grad != 0).all()


def test_shading_a_face_towards_the_light_follows_the_formula(surface):
    image = shade(painted([0.2, 0.5, 0.8]), surface, light_from([0.0, 0, 1], 0.3, 0.9), BACKGROUND)
    expected = by_definition(torch.tensor([0.2, 0.5, 0.8]), 0.9)
    torch.testing.assert_close(image[0, 1, 1], expected)
    aslant = light_from([0.0, 3**0.5, 1], 0.3, 0.9)  # 60 degrees off: half of the direct light
    image = shade(painted([0.2, 0.5, 0.8]), surface, aslant, BACKGROUND)
    expected = by_definition(torch.tensor([0.2, 0.5, 0.8]), 0.9 * (0.3 + 0.7 * 0.5))
    torch.testing.assert_close(image[0, 1, 1], expected)


def test_a_face_away_from_the_light_keeps_the_ambient_share(surface):
    image = shade(painted([0.5] * 3), surface, light_from([0.0, 0, -1], 0.4), BACKGROUND)
    torch.testing.assert_close(image[0, 1, 1], by_definition(torch.tensor([0.5] * 3), 0.4))


def test_the_background_shows_exactly_where_nothing_covers_it(surface):
    image = shade(painted([1.0, 0, 0]), surface, light_from([0.0, 0, 1]), BACKGROUND)
    empty = surface.coverage[..., 0] == 0
    assert empty.sum() == 12
    assert torch.equal(image[empty], BACKGROUND[0, 0].expand(12, 3))
    full_size = torch.rand(1, 4, 4, 3)
    image = shade(painted([1.0, 0, 0]), surface, light_from([0.0, 0, 1]), full_size)
    assert torch.equal(image[empty], full_size[empty])


def test_too_much_light_ends_at_white(surface):
    image = shade(painted([0.9] * 3), surface, light_from([0.0, 0, 1], exposure=5.0), BACKGROUND)
    assert (image[0, 1, 1] == 1).all()


def test_the_gradient_reaches_covered_pixels_only(surface):
    colors = torch.full((1, 4, 4, 3), 0.5, requires_grad=True)
    shade(Material(colors), surface, light_from([0.0, 0, 1]), BACKGROUND).sum().backward()
    covered = surface.coverage[..., 0] > 0
    assert (colors.grad[covered] > 0).all() and (colors.grad[~covered] == 0).all()


def test_preview_light_comes_from_above_the_left_shoulder_in_every_view():
    cameras = orbit_cameras(5, 30.0)
    lights = camera_lights(cameras)
    in_camera = (lights.direction[:, None] @ cameras.camera_to_world[:, :3, :3])[:, 0]
    expected = torch.nn.functional.normalize(torch.tensor([-0.4, 0.7, 1.0]), dim=0)
    torch.testing.assert_close(in_camera, expected.expand(5, 3))
    assert (lights.ambient == 0.55).all() and (lights.exposure == 1).all()


def test_random_lights_shine_from_the_side_of_the_camera_within_their_ranges(generator):
    normals = torch.nn.functional.normalize(torch.randn(500, 3, generator=generator), dim=1)
    cameras = random_cameras(0.8 * normals, normals, generator)
    lights = random_lights(cameras, generator)
    torch.testing.assert_close(torch.linalg.vector_norm(lights.direction, dim=1), torch.ones(500))
    in_camera = (lights.direction[:, None] @ cameras.camera_to_world[:, :3, :3])[:, 0]
    assert (in_camera[:, 2] > 0).all()
    upwards = in_camera[:, 1] / in_camera[:, 2]
    assert upwards.mean() == pytest.approx(0.5, abs=0.1)  # 500 draws of deviation 0.5
    assert lights.ambient.min() >= 0.45 and lights.ambient.max() <= 0.8
    assert lights.exposure.min() >= 0.9 and lights.exposure.max() <= 1.1


def test_the_same_seed_gives_the_same_lights():
    cameras = orbit_cameras(4)
    first, second = (random_lights(cameras, torch.Generator().manual_seed(2)) for _ in range(2))
    for field in dataclasses.fields(Lights):
        assert torch.equal(getattr(first, field.name), getattr(second, field.name))


def test_downsampling_averages_boxes():
    images = torch.rand(2, 6, 9, 3)
    expected = images.view(2, 2, 3, 3, 3, 3).mean((2, 4))
    torch.testing.assert_close(downsample(images, 3), expected)
    assert torch.equal(downsample(images, 1), images)
    assert downsample(images, 3).is_contiguous()
