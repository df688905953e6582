"""One place for texels that several parts of a mesh show."""

from dataclasses import replace

import pytest
import torch

from texcsd.geometry.mesh import Mesh, Part
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.rasterize import rasterize_mesh
from texcsd.rendering.shared_texels import find_shared_texels, places_of_pixels
from texcsd.rendering.texture import textures_of_pixels

SIZE = 64


def squares(centres, uv_corners, half=0.3):
    """Upright squares facing z at these places, each with its own uv, float[square, 4, 2]."""
    corners = half * torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    vertices = (torch.tensor(centres)[:, None] + corners).flatten(0, 1)
    uv = torch.tensor(uv_corners, dtype=torch.float32).flatten(0, 1)
    first = 4 * torch.arange(len(centres))[:, None, None]
    faces = (first + torch.tensor([[0, 1, 2], [0, 2, 3]])).flatten(0, 1)
    normals = torch.tensor([[0.0, 0.0, 1.0]]).repeat(len(vertices), 1)
    return Mesh(vertices, faces, uv, faces, normals, faces, (Part("squares", 0, len(faces)),))


def upright(low=0.0, high=1.0):
    return [[low, low], [high, low], [high, high], [low, high]]


LEFT, RIGHT = (-0.4, 0.0, 0.0), (0.4, 0.0, 0.0)
MIRRORED = [[1, 0], [0, 0], [0, 1], [1, 1]]


def seen(mesh, size=SIZE):
    """A view from z, and the places that stand for its pixels."""
    surface = rasterize_mesh(mesh, orbit_cameras(1, 0, 2.2), 96, 96)
    texels = find_shared_texels(mesh, size)
    assert texels
    return surface, places_of_pixels(surface, texels, textures_of_pixels(mesh, surface))


def test_a_mesh_whose_parts_have_texels_of_their_own_shares_none():
    mesh = squares([LEFT, RIGHT], [upright(0, 0.5), upright(0.5, 1)])
    assert not find_shared_texels(mesh, SIZE)


def test_equal_copies_of_a_face_lie_at_the_same_place_and_share_nothing():
    assert not find_shared_texels(squares([LEFT, LEFT], [upright(), upright()]), SIZE)


@pytest.mark.parametrize("low", [0.0, 0.25])
def test_both_of_a_mirrored_pair_are_told_the_places_of_one(low):
    own = low + (1 - low) * torch.tensor(MIRRORED, dtype=torch.float32)
    mesh = squares([LEFT, RIGHT], [own.tolist(), upright(low)])
    surface, places = seen(mesh)
    left = (surface.triangle_ids >= 0) & (surface.positions[..., 0] < 0)
    right = (surface.triangle_ids >= 0) & (surface.positions[..., 0] > 0)
    assert left.sum() > 400
    assert torch.allclose(places.positions[right], surface.positions[right], atol=0.6 / SIZE)
    mirrored = surface.positions[left] * torch.tensor([-1.0, 1.0, 1.0])
    assert torch.allclose(places.positions[left], mirrored, atol=0.6 / SIZE)


def test_of_a_texture_that_repeats_every_repeat_is_told_the_places_of_one():
    surface, places = seen(squares([(0.0, 0.0, 0.0)], [upright(-1, 2)], half=0.75))
    shown = places.positions[surface.triangle_ids >= 0]
    assert (shown[:, :2] > 0.25 - 1.1 / SIZE).all() and len(shown) > 2000


def test_normals_are_those_of_the_place():
    mesh = squares([LEFT, RIGHT], [MIRRORED, upright()])
    turned = mesh.normals.clone()
    turned[4:] = torch.tensor([0.0, 1.0, 0.0])
    surface, places = seen(replace(mesh, normals=turned))
    shown = places.normals[surface.triangle_ids >= 0]
    assert torch.allclose(shown, torch.tensor([0.0, 1.0, 0.0]).expand_as(shown), atol=1e-6)


def test_the_background_and_texels_that_are_not_shared_keep_their_own_places():
    centres = [LEFT, RIGHT, (0.0, 0.7, 0.0)]
    mesh = squares(centres, [upright(0, 0.4), upright(0, 0.4), upright(0.6, 1)], 0.25)
    surface, places = seen(mesh)
    alone = surface.positions[..., 1] > 0.44
    background = surface.triangle_ids < 0
    assert alone.sum() > 100
    for where in (alone, background):
        assert torch.equal(places.positions[where], surface.positions[where])
        assert torch.equal(places.normals[where], surface.normals[where])


def test_parts_with_textures_of_their_own_share_nothing_and_unpainted_ones_do_not_count():
    mesh = squares([LEFT, RIGHT, (0.0, 0.6, 0.0)], [upright(), upright(), upright()], 0.2)
    apart = replace(mesh, textures=torch.tensor([0, 0, 1, 1, -2, -2]))
    assert not find_shared_texels(apart, SIZE)
    shared = replace(mesh, textures=torch.tensor([0, 0, 1, 1, 1, 1]))
    surface, places = seen(shared)
    first = (surface.triangle_ids >= 0) & (surface.positions[..., 0] < -0.25)
    assert torch.equal(places.positions[first], surface.positions[first])
    # Of the second texture's two, the one on the right is farther along ON_TOP.
    top = surface.positions[..., 1] > 0.39
    below = surface.positions[top] + torch.tensor([0.4, -0.6, 0.0])
    assert torch.allclose(places.positions[top], below, atol=1 / SIZE)
