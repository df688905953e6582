"""A colour field learns a pattern in space and is baked to what it is."""

import dataclasses

import pytest
import torch
from rendering_shapes import make_square

from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.color_field import ColorField
from texcsd.rendering.rasterize import rasterize_mesh
from texcsd.rendering.texture import sample_map


@pytest.fixture
def striped(generator) -> ColorField:
    """A field that was taught stripes on the unit sphere, coarse and fine ones."""
    field = ColorField(64, generator=generator)
    optimizer = torch.optim.Adam(field.parameters(), lr=0.01, eps=1e-10)
    for _ in range(150):
        points = on_a_ball(2000, generator)
        optimizer.zero_grad()
        (field(points) - stripes(points)).square().mean().backward()
        optimizer.step()
    return field


def on_a_ball(count, generator):
    return torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)


def stripes(points):
    return 0.5 + 0.4 * torch.sin(points * torch.tensor([2.0, 6.0, 12.0]))


def test_it_learns_a_pattern_on_a_surface(striped, generator):
    points = on_a_ball(2000, generator)
    assert (striped(points) - stripes(points)).abs().mean() < 0.03


def test_it_starts_with_nearly_one_colour_that_its_generator_decides():
    def fresh(seed):
        field = ColorField(64, (0.2, 0.5, 0.9), torch.Generator().manual_seed(seed))
        return field(torch.rand(100, 3, generator=torch.Generator().manual_seed(1)))

    assert (fresh(1) - torch.tensor([0.2, 0.5, 0.9])).abs().max() < 1e-3
    assert torch.equal(fresh(1), fresh(1)) and not torch.equal(fresh(1), fresh(2))


def test_every_parameter_has_a_gradient_and_background_has_no_colour(sphere, generator):
    field = ColorField(32, generator=generator)
    surface = rasterize_mesh(sphere, orbit_cameras(2), 32, 32)
    colors = field.sample(surface).base_color
    assert (colors[surface.triangle_ids < 0] == 0).all()
    assert torch.equal(
        colors[surface.triangle_ids >= 0], field(surface.positions[surface.triangle_ids >= 0])
    )
    colors.square().sum().backward()
    for name, parameter in field.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_a_baked_texel_is_the_field_at_its_place(striped):
    size = 16
    baked = striped.bake(make_square(), size)[0]
    centres = (torch.arange(size) + 0.5) / size - 0.5
    y, x = torch.meshgrid(-centres, centres, indexing="ij")  # Row 0 is on top.
    places = torch.stack([x, y, torch.zeros_like(x)], -1)
    torch.testing.assert_close(baked, striped(places.view(-1, 3)).view(size, size, 3).detach())


def test_texels_of_faces_too_thin_to_hold_a_centre_are_baked_too(striped):
    square = make_square()
    assert square.uv is not None
    thin = dataclasses.replace(square, uv=square.uv * torch.tensor([1.0, 1e-4]) + 0.3)
    baked = striped.bake(dataclasses.replace(thin, uv=thin.uv.clamp(0, 1)), 32)[0]
    assert (baked.sum(-1) > 0).sum() > 10


def test_a_render_of_the_baked_texture_is_a_render_of_the_field(striped, sphere):
    baked = striped.bake(sphere, 256)
    surface = rasterize_mesh(sphere, orbit_cameras(3), 96, 96)
    difference = striped.sample(surface).base_color - sample_map(baked, surface).base_color
    assert (difference.abs() * surface.coverage).mean() < 2 / 255


def test_charts_that_meet_have_the_same_colour_where_they_do(striped, sphere):
    # The first and the last column of the sphere's texture lie side by side in space.
    baked = striped.bake(sphere, 128)[0, 16:112]
    across, within = (baked[:, 0] - baked[:, -1]).abs(), (baked[:, 40] - baked[:, 41]).abs()
    assert across.mean() < 2 * within.mean() + 0.002


def test_many_places_are_read_part_by_part_with_the_same_colours_and_gradients(
    striped, monkeypatch, generator
):
    points = 2 * torch.rand(1000, 3, generator=generator) - 1
    passes, found = [], []
    read = ColorField._logits
    monkeypatch.setattr(
        ColorField, "_logits", lambda self, part: passes.append(len(part)) or read(self, part)
    )
    for at_a_time in (1000, 300):
        monkeypatch.setattr("texcsd.rendering.color_field.POINTS_AT_A_TIME", at_a_time)
        striped.zero_grad()
        colors = striped(points)
        colors.square().sum().backward()
        found.append([colors, *(parameter.grad.clone() for parameter in striped.parameters())])
    for whole, parts in zip(*found, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-4)
    # Nothing of a part is kept for its gradient, so each is read twice.
    assert passes[0] == 1000 and sorted(passes[1:]) == [100, 100] + [300] * 6


@pytest.mark.parametrize("cells", [1, 16, 100, 8192])
def test_fields_of_any_size_can_be_made(cells):
    field = ColorField(cells)
    assert field.levels[-1].cells == cells
    assert field.table.shape[0] <= 16 << 19
    assert field(torch.zeros(1, 3)).shape == (1, 3)
