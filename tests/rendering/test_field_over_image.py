"""A field over an image starts as the image, changes it by places, and keeps what it is told to."""

import dataclasses

import pytest
import torch
from rendering_shapes import make_square

from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.color_field import ColorField
from texcsd.rendering.field_over_image import FieldOverImage
from texcsd.rendering.rasterize import rasterize_mesh
from texcsd.rendering.texture import sample_map

SIZE = 32


def eight_bits(image):
    return (image * 255).round().byte()


@pytest.fixture
def image(generator) -> torch.Tensor:
    """Every kind of 8-bit colour, black and white among them."""
    image = torch.randint(0, 256, (1, SIZE, SIZE, 3), generator=generator)
    image[0, 0, 0], image[0, 0, 1] = 0, 255
    return image / 255


@pytest.fixture
def left(image) -> torch.Tensor:
    """The left half may change."""
    return (torch.arange(SIZE) < SIZE // 2).expand(1, SIZE, SIZE)[..., None]


def shifted(texture: FieldOverImage, by: float) -> FieldOverImage:
    with torch.no_grad():
        texture.field.bias.fill_(by)
    return texture


def everywhere(may_change):
    return torch.ones_like(may_change)


def test_it_starts_as_the_image_to_the_bit(image, left, sphere, generator):
    fresh = FieldOverImage(image, everywhere(left), generator)
    surface = rasterize_mesh(sphere, orbit_cameras(2), 48, 48)
    assert torch.equal(fresh.bake(sphere, SIZE), image)
    assert torch.equal(fresh.sample(surface).base_color, sample_map(image, surface).base_color)


def test_a_field_that_learned_the_same_everywhere_adds_it_to_every_logit(image, left, sphere):
    texture = shifted(FieldOverImage(image, everywhere(left)), 1.0)
    expected = torch.sigmoid(torch.logit(image) + 1)
    well_inside = (image > 0.03) & (image < 0.97)
    baked = texture.bake(sphere, SIZE)
    torch.testing.assert_close(baked[well_inside], expected[well_inside])
    torch.testing.assert_close(baked, expected, atol=0.06, rtol=0)


@pytest.mark.parametrize(("color", "by"), [(0.0, 4.0), (1.0, -4.0)])
def test_black_and_white_change_about_as_far_and_as_soon_as_other_colours(left, sphere, color, by):
    """In logits they would be infinitely far away."""
    texture = FieldOverImage(torch.full((1, SIZE, SIZE, 3), color), everywhere(left))
    surface = rasterize_mesh(sphere, orbit_cameras(1), 32, 32)
    texture.sample(surface).base_color.mean().backward()
    grey = FieldOverImage(torch.full((1, SIZE, SIZE, 3), 0.5), everywhere(left))
    grey.sample(surface).base_color.mean().backward()
    slopes = [one.field.bias.grad[0] for one in (texture, grey)]
    assert slopes[0] > 0.1 * slopes[1]
    assert (shifted(texture, by).bake(sphere, SIZE) - color).abs().min() > 0.5


def test_what_may_not_change_is_the_image_in_views_and_when_baked(image, left, sphere):
    texture = shifted(FieldOverImage(image, left), 3.0)
    baked = texture.bake(sphere, SIZE)
    assert torch.equal(baked[:, :, SIZE // 2 :], image[:, :, SIZE // 2 :])
    assert (eight_bits(baked) != eight_bits(image))[:, :, : SIZE // 2].float().mean() > 0.9
    surface = rasterize_mesh(sphere, orbit_cameras(4), 96, 96)
    shown, before = texture.sample(surface).base_color, sample_map(image, surface).base_color
    kept = (surface.uv[..., 0] > 0.55) & (surface.uv[..., 0] < 0.95)
    kept &= surface.uv_derivatives.abs().amax(-1) < 1 / SIZE
    changed = (surface.uv[..., 0] > 0.1) & (surface.uv[..., 0] < 0.4)
    assert kept.sum() > 1000 and changed.sum() > 1000
    torch.testing.assert_close(shown[kept], before[kept])
    assert (shown - before)[changed].mean() > 0.2


def test_it_changes_by_places_not_by_texels(image, left, generator):
    """Of two squares that show one texel, each has its own place."""
    texture = FieldOverImage(image, everywhere(left), generator)
    with torch.no_grad():
        torch.nn.init.normal_(texture.field.table, generator=generator)
        torch.nn.init.normal_(texture.field.output, generator=generator)
    near, far = make_square(), make_square()
    far = dataclasses.replace(far, vertices=far.vertices + torch.tensor([0.0, 0.0, -0.4]))
    assert (texture.bake(near, SIZE) - texture.bake(far, SIZE)).abs().mean() > 0.05


def test_every_parameter_has_a_gradient_after_the_first_step(image, left, sphere, generator):
    texture = FieldOverImage(image, left, generator)
    surface = rasterize_mesh(sphere, orbit_cameras(2), 32, 32)
    optimizer = torch.optim.Adam(texture.parameters(), lr=0.01, eps=1e-10)
    for _ in range(2):
        optimizer.zero_grad()
        texture.sample(surface).base_color.square().sum().backward()
        optimizer.step()
    for name, parameter in texture.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_background_has_no_colour(image, left, sphere):
    surface = rasterize_mesh(sphere, orbit_cameras(2), 32, 32)
    colors = FieldOverImage(image, left).sample(surface).base_color
    assert (colors[surface.triangle_ids < 0] == 0).all()


def test_fewer_texels_show_the_image_averaged(image, left, sphere):
    baked = FieldOverImage(image, left).bake(sphere, SIZE // 2)
    averaged = image.unflatten(1, (SIZE // 2, 2)).unflatten(3, (SIZE // 2, 2)).mean((2, 4))
    assert (baked - averaged).abs().max() < 0.5 / 255


def test_a_checkpoint_has_no_picture_and_a_new_one_takes_up_its_field(image, left, generator):
    texture = shifted(FieldOverImage(image, left, generator), 2.0)
    state = texture.state_dict()
    assert state.keys() == {f"field.{name}" for name in ColorField(SIZE).state_dict()}
    again = FieldOverImage(image, left)
    again.load_state_dict(state)
    assert torch.equal(again.bake(make_square(), SIZE), texture.bake(make_square(), SIZE))
