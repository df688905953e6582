"""Normals to colours and back, and surfaces that show them."""

from dataclasses import replace

import torch
from rendering_shapes import make_square

from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.normal_mapping import NormalMappedMesh, decode_normals, encode_normals


def random_frames(count):
    generator = torch.Generator().manual_seed(1)
    frames = torch.linalg.qr(torch.randn(count, 3, 3, generator=generator)).Q
    return frames, torch.randn(count, 3, generator=generator)


def test_what_is_encoded_is_decoded_again():
    frames, directions = random_frames(200)
    normals = torch.nn.functional.normalize(directions, dim=1)
    normals = normals * torch.sign((normals * frames[:, 2]).sum(1, keepdim=True))
    standing = (normals * frames[:, 2]).sum(1) > 0.05
    found = decode_normals(frames, encode_normals(frames, normals))
    torch.testing.assert_close(found[standing], normals[standing], atol=1e-5, rtol=0)


def test_blue_is_never_below_the_surface():
    frames, directions = random_frames(200)
    colors = encode_normals(frames, torch.nn.functional.normalize(directions, dim=1))
    assert (colors[:, 2] > 0.5).all() and (colors >= 0).all() and (colors <= 1).all()


def test_without_tangents_the_map_is_flat():
    frames = torch.tensor([[[0.0, 0, 0], [0, 0, 0], [0, 0, 1]]])
    colors = encode_normals(frames, torch.tensor([[0.6, 0.0, 0.8]]))
    torch.testing.assert_close(colors, torch.tensor([[0.5, 0.5, 1.0]]))


def seen(mesh, color, side=0):
    camera = orbit_cameras(2, elevation_degrees=0).one(side)
    maps = {0: torch.tensor(color).expand(1, 4, 4, 3)}
    shown = NormalMappedMesh(mesh, maps).rasterize(camera, 8, 8)
    return shown.normals[shown.triangle_ids >= 0]


def test_red_leans_along_u_and_green_along_v():
    normals = seen(make_square(), [0.8, 0.5, 0.9])
    torch.testing.assert_close(normals, torch.tensor([0.6, 0.0, 0.8]).expand_as(normals))
    normals = seen(make_square(), [0.5, 0.8, 0.9])
    torch.testing.assert_close(normals, torch.tensor([0.0, 0.6, 0.8]).expand_as(normals))


def test_from_behind_the_same_relief_is_seen_from_its_other_side():
    normals = seen(make_square(), [0.8, 0.5, 0.9], side=1)
    torch.testing.assert_close(normals, torch.tensor([-0.6, 0.0, -0.8]).expand_as(normals))


def test_textures_without_a_map_keep_their_normals():
    mesh = replace(make_square(), textures=torch.tensor([0, 1]))
    normals = seen(mesh, [0.8, 0.5, 0.9])
    assert {round(x, 3) for x in normals[:, 0].tolist()} == {0.0, 0.6}
