"""Whole pictures beside those of 8 x 8 as many pixels, averaged: the best that sampling can do."""

import pytest
import torch
from rendering_shapes import make_sphere

from texcsd.geometry.edges import find_edges
from texcsd.rendering import operations
from texcsd.rendering.antialias import antialias
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.shading import downsample

SIZE, FACTOR = 48, 8


def fine_texture():
    """Stripes and speckles finer than pixels on slowly changing colours."""
    generator = torch.Generator().manual_seed(4)
    v, u = torch.meshgrid(torch.linspace(0, 1, 512), torch.linspace(0, 1, 512), indexing="ij")
    stripes = (torch.sin(700 * u) > 0).float()
    speckles = torch.rand(512, 512, generator=generator)
    return torch.stack([stripes * v, speckles * (1 - v), 0.5 + 0.5 * torch.sin(20 * u)], 2)[None]


def picture(scene, size, mips=True, smooth=False):
    sphere, cameras, image = scene
    clip = cameras.clip_positions(sphere.vertices)
    found = operations.rasterize(clip, sphere.faces, (size, size))
    uv, slopes = operations.interpolate(sphere.uv, found, sphere.faces, True)
    seen = found.triangle_ids >= 0
    colors = operations.texture(image, uv, slopes if mips else None, mask=seen)
    if not smooth:
        return colors, seen
    return antialias(colors, found, clip, find_edges(sphere.faces)), seen


@pytest.fixture(scope="module")
def scene():
    return make_sphere(48), orbit_cameras(3, elevation_degrees=35), fine_texture()


@pytest.fixture(scope="module")
def best(scene):
    many, seen = picture(scene, FACTOR * SIZE, mips=False)
    inner = downsample(seen.float()[..., None], FACTOR)[..., 0] == 1
    return downsample(many, FACTOR), inner


def test_mip_mapped_textures_come_close_to_supersampling(scene, best):
    """Within the outline; what remains is the blur of round footprints where the surface tilts."""
    true, inner = best
    with_mips, without = (
        (picture(scene, SIZE, mips)[0] - true)[inner].square().mean().sqrt().item()
        for mips in (True, False)
    )
    assert without > 0.1
    assert with_mips < 0.35 * without


def test_the_mean_colour_of_a_picture_is_that_of_supersampling(scene, best):
    true, _ = best
    smooth, _ = picture(scene, SIZE, smooth=True)
    torch.testing.assert_close(smooth.mean((1, 2)), true.mean((1, 2)), atol=2e-3, rtol=0)


def test_silhouettes_of_a_textured_surface_come_close_to_supersampling(scene, best):
    true, inner = best
    jagged, seen = picture(scene, SIZE)
    smooth, _ = picture(scene, SIZE, smooth=True)
    rim = (seen | (true.sum(-1) > 0)) & ~inner
    before, after = ((image - true)[rim].abs().mean().item() for image in (jagged, smooth))
    assert after < 0.4 * before
