import dataclasses

import pytest
import torch
from rendering_shapes import make_square

from texcsd.rendering import operations, torch_operations
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.rasterize import rasterize_mesh, rasterize_uv
from texcsd.rendering.shading import downsample
from texcsd.rendering.texture import (
    TexelPyramid,
    count_pixels,
    sample_map,
    sample_maps,
    textures_of_pixels,
)

RED, GREY = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.5, 0.5, 0.5])


def red_top_left(size=16):
    """Grey but for the top left quarter."""
    image = GREY.repeat(1, size, size, 1)
    image[:, : size // 2, : size // 2] = RED
    return image


def test_a_red_corner_shows_in_that_corner_of_the_view(square):
    """Catches every flip: uv (0, 1) is the top left of the texture image and of the view."""
    surface = rasterize_mesh(square, orbit_cameras(1, 0.0, view_width=1.0), 16, 16)
    torch.testing.assert_close(sample_map(red_top_left(), surface).base_color, red_top_left())


def test_looking_up_a_texture_in_uv_space_returns_the_texture(square):
    image = torch.rand(1, 8, 12, 3)
    surface = rasterize_uv(square, 8, 12)
    torch.testing.assert_close(sample_map(image, surface).base_color, image, atol=1e-6, rtol=0)


def test_a_distant_view_shows_the_average_and_not_single_texels(square):
    image = (torch.arange(64) % 2).float().view(1, 1, 64, 1).expand(1, 64, 64, 3).contiguous()
    surface = rasterize_mesh(square, orbit_cameras(1, 0.0, view_width=1.0), 8, 8)
    color = sample_map(image, surface).base_color
    torch.testing.assert_close(color, torch.full_like(color, 0.5), atol=1e-5, rtol=0)


def test_uv_outside_the_unit_square_repeat_the_texture():
    square = make_square()
    square.uv.add_(3)
    surface = rasterize_mesh(square, orbit_cameras(1, 0.0, view_width=1.0), 16, 16)
    color = sample_map(red_top_left(), surface).base_color
    torch.testing.assert_close(color, red_top_left(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [1, 2, 15, 17, 64, 100])
def test_a_pyramid_of_any_size_starts_with_its_initial_color(size):
    color = (0.2, 0.5, 0.7)
    composed = TexelPyramid(size, color).compose()
    assert composed.shape == (1, size, size, 3) and composed.dtype == torch.float32
    torch.testing.assert_close(composed, torch.tensor(color).expand_as(composed))


def test_the_default_levels_are_half_the_size_an_eighth_and_a_thirty_second():
    assert [level.shape for level in TexelPyramid(1024).levels] == [
        (1, 32, 32, 3), (1, 128, 128, 3), (1, 512, 512, 3), (1, 1024, 1024, 3),
    ]  # fmt: skip
    assert [level.shape[1] for level in TexelPyramid(101).levels] == [50, 101]
    assert [level.shape[1] for level in TexelPyramid(16).levels] == [16]
    assert [level.shape[1] for level in TexelPyramid(64, levels=[2, 8, 64]).levels] == [2, 8, 64]


def test_without_the_finest_level_the_texture_is_smaller_and_looks_the_same():
    pyramid = TexelPyramid(64, levels=[16, 32, 64])
    torch.nn.init.normal_(pyramid.levels[0], generator=torch.Generator().manual_seed(0))
    small, large = pyramid.compose(without_finest=True), pyramid.compose()
    assert small.shape == (1, 32, 32, 3) and large.shape == (1, 64, 64, 3)
    small.sum().backward()
    assert pyramid.levels[2].grad is None and pyramid.levels[1].grad is not None
    halved = large.view(32, 2, 32, 2, 3).mean((1, 3))
    torch.testing.assert_close(small[0], halved, atol=0.1, rtol=0)


def test_the_only_level_is_never_left_out():
    assert TexelPyramid(16).compose(without_finest=True).shape == (1, 16, 16, 3)


def test_levels_that_do_not_end_with_the_size_are_refused():
    with pytest.raises(ValueError, match="end with the size"):
        TexelPyramid(64, levels=[16, 32])


def test_black_and_white_initial_colors_are_finite():
    pyramid = TexelPyramid(8, (0.0, 1.0, 0.5))
    assert all(torch.isfinite(level).all() for level in pyramid.levels)


def test_a_generator_adds_the_same_small_noise_every_time():
    first, second = (
        TexelPyramid(64, generator=torch.Generator().manual_seed(1)).compose() for _ in range(2)
    )
    assert torch.equal(first, second)
    assert 0 < (first - 0.5).abs().max() < 0.1


def test_every_level_can_change_the_composed_texture():
    pyramid = TexelPyramid(64)
    pyramid.compose().square().sum().backward()
    assert all((level.grad != 0).all() for level in pyramid.levels)


def test_rows_of_the_levels_are_rows_of_the_texture_image():
    pyramid = TexelPyramid(64)
    with torch.no_grad():
        pyramid.levels[0][:, 0, 0] = 5.0
    composed = pyramid.compose()[0].detach()
    assert composed[0, 0].mean() > 0.9 and composed[-1, -1].mean() == pytest.approx(0.5)


def test_only_texels_in_view_receive_gradient(square):
    """The view shows the middle quarter of the square, pixels smaller than texels."""
    pyramid = TexelPyramid(32, levels=[32])
    surface = rasterize_mesh(square, orbit_cameras(1, 0.0, view_width=0.5), 64, 64)
    pyramid.sample(surface).base_color.sum().backward()
    touched = (pyramid.levels[0].grad[0] != 0).all(-1)
    expected = torch.zeros(32, 32, dtype=torch.bool)
    expected[7:25, 7:25] = True  # 8..24, and the neighbours that bilinear lookups reach
    assert torch.equal(touched, expected)


def test_gradient_descent_paints_what_the_view_shows(square):
    pyramid = TexelPyramid(16)
    surface = rasterize_mesh(square, orbit_cameras(1, 0.0, view_width=1.0), 32, 32)
    target = sample_map(red_top_left(), surface).base_color
    optimizer = torch.optim.Adam(pyramid.parameters(), lr=0.3)
    for _ in range(60):
        optimizer.zero_grad()
        loss = (pyramid.sample(surface).base_color - target).square().mean()
        loss.backward()
        optimizer.step()
    corners = pyramid.compose()[0, [2, 2, 13, 13], [2, 13, 2, 13]]
    torch.testing.assert_close(corners, torch.stack([RED, GREY, GREY, GREY]), atol=0.05, rtol=0)


@pytest.mark.parametrize("size", [1, 3, 16, 33, 64, 600])
def test_a_pyramid_made_of_an_image_is_that_image(size):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (1, size, size, 3), generator=generator, dtype=torch.uint8)
    pixels.view(-1)[:256] = torch.arange(256)[: pixels.numel()].byte()
    pyramid = TexelPyramid.from_image(pixels / 255)
    assert torch.equal((pyramid.compose() * 255).round().byte(), pixels)


def test_without_its_finest_level_it_is_the_image_reduced():
    image = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    coarse = TexelPyramid.from_image(image).compose(without_finest=True)
    reduced = image.unflatten(1, (32, 2)).unflatten(3, (32, 2)).mean((2, 4))
    torch.testing.assert_close(coarse, reduced, atol=1e-3, rtol=0)


def test_pixels_count_where_their_uv_lies_and_those_beyond_the_texture_where_it_repeats(square):
    surface = rasterize_mesh(square, orbit_cameras(1, 0.0, view_width=2.0), 16, 16)
    repeated = dataclasses.replace(surface, uv=surface.uv + torch.tensor([2.0, -1.0]))
    for each in (surface, repeated):
        counts = torch.ones(4, 4, dtype=torch.int32)
        count_pixels(each, counts)
        assert torch.equal(counts, torch.full((4, 4), 1 + 8 * 8 // 16, dtype=torch.int32))
    top_left = surface.triangle_ids.clone()
    top_left[:, 8:], top_left[:, :, 8:] = -1, -1
    counts = torch.zeros(2, 2, dtype=torch.int32)
    count_pixels(dataclasses.replace(surface, triangle_ids=top_left), counts)
    assert counts.tolist() == [[16, 0], [0, 0]]


def test_pixels_are_counted_alike_on_every_device(sphere):
    surface = rasterize_mesh(sphere, orbit_cameras(3), 48, 48)
    by_numba, by_torch = torch.zeros(2, 16, 16, dtype=torch.int32)
    count_pixels(surface, by_numba)
    torch_operations.count_pixels(surface.triangle_ids, surface.uv, by_torch)
    assert torch.equal(by_numba, by_torch) and by_numba.sum() == (surface.triangle_ids >= 0).sum()


def test_mip_maps_come_close_to_averaging_many_lookups_in_every_pixel(sphere):
    """Against 8 x 8 samples per pixel of the texture; without mips the error is threefold."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 256, 256, 3, generator=generator)
    cameras = orbit_cameras(2, 30.0)
    fine = rasterize_mesh(sphere, cameras, 8 * 32, 8 * 32)
    surface = rasterize_mesh(sphere, cameras, 32, 32)
    averaged = downsample(operations.texture(noise, rows_of(fine), filter_mode="nearest"), 8)
    inside = downsample(fine.coverage, 8)[..., 0] == 1
    mipped = sample_map(noise, surface).base_color
    plain = operations.texture(noise, rows_of(surface))
    error, plain_error = (
        (image - averaged)[inside].square().mean().sqrt() for image in (mipped, plain)
    )
    assert inside.sum() > 500
    assert error < 0.1 and error < plain_error / 3


def rows_of(surface):
    """The uv with v down, as operations.texture wants them."""
    return torch.stack([surface.uv[..., 0], 1 - surface.uv[..., 1]], -1)


def halves(square):
    """A square whose two triangles show different textures, and a surface of it."""
    mesh = dataclasses.replace(square, textures=torch.tensor([1, -2]))
    surface = rasterize_mesh(mesh, orbit_cameras(1, 0.0, view_width=1.0), 16, 16)
    return surface, textures_of_pixels(mesh, surface)


def test_each_face_shows_its_own_texture(square):
    surface, textures = halves(square)
    one, other = torch.rand(1, 16, 16, 3), torch.rand(1, 8, 12, 3)
    shown = sample_maps({1: one, -2: other, 7: other}, surface, textures).base_color
    first = surface.triangle_ids[..., None] == 0
    expected = torch.where(
        first, sample_map(one, surface).base_color, sample_map(other, surface).base_color
    )
    assert 0 < first.sum() < first.numel()
    torch.testing.assert_close(shown, expected)


def test_a_texture_out_of_view_gets_no_gradient(square):
    surface, textures = halves(square)
    maps = {n: torch.rand(1, 8, 8, 3, requires_grad=True) for n in (1, -2, 7)}
    sample_maps(maps, surface, textures).base_color.sum().backward()
    assert [image.grad is not None for image in maps.values()] == [True, True, False]


def test_without_numbers_there_is_one_texture(square):
    surface = rasterize_mesh(square, orbit_cameras(1, 0.0, view_width=1.0), 16, 16)
    image = red_top_left()
    shown = sample_maps({0: image}, surface, textures_of_pixels(square, surface)).base_color
    assert torch.equal(shown, sample_map(image, surface).base_color)
