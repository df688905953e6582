"""Silhouettes: what they look like, and what they tell of how the image changes with the shape."""

import numpy as np
import pytest
import torch
import trimesh

from texcsd.geometry.edges import find_edges
from texcsd.rendering import operations
from texcsd.rendering.antialias import _silhouettes, _silhouettes_in_torch, antialias
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.shading import downsample

SQUARE = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
SQUARE_FACES = torch.tensor([[0, 1, 2], [0, 2, 3]])


def clip_square(left, right, bottom, top, depth=0.0):
    """A rectangle in pixels of a 16 x 16 image, as clip positions float[1, 4, 4]."""
    x = torch.tensor([left, right, right, left]) / 8 - 1
    y = torch.tensor([bottom, bottom, top, top]) / 8 - 1
    return torch.stack([x, y, torch.full((4,), depth), torch.ones(4)], 1)[None]


def coverage(clip_positions, faces, size=16, smooth=True):
    found = operations.rasterize(clip_positions.detach(), faces, (size, size))
    covered = (found.triangle_ids >= 0).float()[..., None]
    return antialias(covered, found, clip_positions, find_edges(faces)) if smooth else covered


def sphere(subdivisions):
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions)
    return torch.tensor(mesh.vertices).float() * 0.9, torch.tensor(mesh.faces)


def test_an_upright_edge_covers_exactly_its_part_of_the_pixels():
    for right in (9.0, 9.3, 9.49, 9.51, 10.2):
        row = coverage(clip_square(4.0, right, 4.0, 12.0), SQUARE_FACES)[0, 8, :, 0]
        assert row.sum() == pytest.approx(right - 4.0, abs=1e-5)


def test_an_edge_right_through_pixel_centres_covers_half_of_them():
    covered = coverage(clip_square(4.5, 15.5, 3.5, 11.5), SQUARE_FACES)[0, ..., 0]
    assert torch.equal(covered[8, [3, 4, 5]], torch.tensor([0, 0.5, 1]))
    assert torch.equal(covered[8, [14, 15]], torch.tensor([1, 0.5]))
    assert torch.equal(covered[[2, 3, 4], 8], torch.tensor([0, 0.5, 1]))
    assert torch.equal(covered[[10, 11, 12], 8], torch.tensor([1, 0.5, 0]))


def test_the_area_changes_with_an_edge_exactly_as_it_should():
    clip = clip_square(3.4, 9.3, 4.0, 12.0).requires_grad_()
    coverage(clip, SQUARE_FACES).sum().backward()
    # 8 rows, and 8 pixels per unit of clip space; an end of the edge moves half of it.
    assert clip.grad[0, [1, 2], 0].sum().item() == pytest.approx(64, rel=1e-5)
    assert clip.grad[0, [0, 3], 0].sum().item() == pytest.approx(-64, rel=1e-5)


def test_inner_edges_change_nothing():
    clip = clip_square(-3.0, 20.0, -3.0, 20.0)
    image = torch.rand(1, 16, 16, 3, generator=torch.Generator().manual_seed(0))
    found = operations.rasterize(clip, SQUARE_FACES, (16, 16))
    assert torch.equal(antialias(image, found, clip, find_edges(SQUARE_FACES)), image)


def test_the_edges_of_what_is_hidden_change_nothing():
    front = clip_square(2.0, 14.0, 2.0, 14.0, depth=-0.5)
    hidden = clip_square(5.2, 9.3, 5.2, 9.3, depth=0.5)
    both = torch.cat([front, hidden], 1)
    faces = torch.cat([SQUARE_FACES, SQUARE_FACES + 4])
    assert torch.equal(coverage(both, faces), coverage(front, SQUARE_FACES))


def test_an_edge_before_another_surface_mixes_both():
    back = clip_square(0.0, 16.0, 0.0, 16.0, depth=0.5)
    front = clip_square(4.0, 9.3, 4.0, 12.0, depth=-0.5)
    clip, faces = torch.cat([back, front], 1), torch.cat([SQUARE_FACES, SQUARE_FACES + 4])
    found = operations.rasterize(clip, faces, (16, 16))
    image = (found.triangle_ids >= 2).float()[..., None]
    row = antialias(image, found, clip, find_edges(faces))[0, 8, :, 0]
    assert row.sum() == pytest.approx(5.3, abs=1e-5)


def test_winding_makes_no_difference():
    vertices, faces = sphere(2)
    clip = orbit_cameras(2).clip_positions(vertices)
    turned = torch.where(torch.arange(len(faces))[:, None] % 3 == 0, faces.flip(1), faces)
    assert torch.equal(coverage(clip, faces, 48), coverage(clip, turned, 48))


@pytest.mark.parametrize("subdivisions", [1, 3, 4])
def test_the_gradient_is_that_of_the_true_image_at_any_density_of_the_mesh(subdivisions):
    vertices, faces = sphere(subdivisions)
    cameras, size = orbit_cameras(2), 64
    ramp = torch.linspace(0.2, 1.0, size)[:, None] * torch.linspace(1.0, 0.4, size)

    def weighed(vertices, factor=1, smooth=True):
        clip = cameras.clip_positions(vertices)
        image = coverage(clip, faces, factor * size, smooth)
        return (downsample(image, factor).double()[..., 0] * ramp).sum()

    vertices.requires_grad_()
    (gradient,) = torch.autograd.grad(weighed(vertices), vertices)
    inflate, lift = vertices.detach(), torch.tensor([0.0, 1.0, 0.0]).expand_as(vertices)
    for direction in (inflate, lift, inflate * torch.tensor([2.0, 0.5, 1.0])):
        with torch.no_grad():
            more, less = [weighed(vertices + s * direction, 8, False) for s in (0.02, -0.02)]
        expected = float(more - less) / 0.04
        assert float((gradient * direction).sum()) == pytest.approx(expected, rel=0.04)


def test_silhouettes_come_close_to_those_of_supersampling():
    vertices, faces = sphere(3)
    clip = orbit_cameras(2).clip_positions(vertices)
    true = downsample(coverage(clip, faces, 8 * 64, smooth=False), 8)
    jagged, smooth = coverage(clip, faces, 64, smooth=False), coverage(clip, faces, 64)
    assert (smooth - true).abs().sum() < 0.15 * (jagged - true).abs().sum()
    assert smooth.min() >= 0 and smooth.max() <= 1


def test_what_reaches_behind_the_eye_or_is_no_number_gives_no_gradient_and_no_error():
    clip = clip_square(4.0, 9.3, 4.0, 12.0)
    clip[0, 0, 3], clip[0, 2, 0] = -1.0, torch.nan
    clip.requires_grad_()
    coverage(clip, SQUARE_FACES).sum().backward()
    assert clip.grad.abs().nan_to_num(1.0).sum() == 0


def test_a_corner_that_all_but_reaches_the_plane_of_the_eye_has_a_finite_gradient():
    clip = clip_square(4.0, 9.3, 4.0, 12.0)
    clip[0, 2, 3] = 1e-30
    clip.requires_grad_()
    coverage(clip, SQUARE_FACES).square().sum().backward()
    assert clip.grad.isfinite().all() and clip.grad[0, 1].abs().sum() > 0


def test_the_number_of_threads_does_not_change_a_bit_of_the_gradients(with_threads):
    """Of many long edges: torch sums gradients in parallel only where they are many."""
    generator = torch.Generator().manual_seed(0)
    clip = torch.randn(2, 300, 4, generator=generator)
    clip[..., 3] = clip[..., 3].abs() + 0.2
    faces, images = torch.arange(300).view(-1, 3), torch.rand(2, 200, 200, 3, generator=generator)
    edges, found = find_edges(faces), operations.rasterize(clip, faces, (200, 200))
    upstream = torch.randn(images.shape, generator=generator)

    def gradients():
        leaves = images.clone().requires_grad_(), clip.clone().requires_grad_()
        return torch.autograd.grad(antialias(leaves[0], found, leaves[1], edges), leaves, upstream)

    expected, *others = [with_threads(threads, gradients) for threads in (1, 3, 16)]
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(expected, other, strict=True))


def test_positions_and_images_may_have_few_bits():
    clip = clip_square(4.0, 9.5, 4.0, 12.0).bfloat16()
    expected = coverage(clip.float(), SQUARE_FACES)
    assert torch.equal(coverage(clip, SQUARE_FACES), expected)


def test_the_kernel_and_torch_find_the_same_silhouettes():
    """Of a shape with borders, in views some of which have points behind the eye or no numbers."""
    ball = trimesh.creation.icosphere(subdivisions=3)
    edges = find_edges(torch.from_numpy(np.array(ball.faces[:900])))
    vertices = torch.from_numpy(np.array(ball.vertices)).float()
    clip_positions = orbit_cameras(4).clip_positions(vertices, 1.0)
    clip_positions[1, ::7, 3] *= -1
    clip_positions[2, ::5, 0] = torch.nan
    expected = _silhouettes_in_torch(clip_positions, edges)
    found = _silhouettes(clip_positions, edges)
    assert len(found[0]) > 100
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
