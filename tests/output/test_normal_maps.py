"""Normal maps against surfaces whose normals are known, decoded as other programs decode them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from texcsd.geometry.close_surface import CloseSurface
from texcsd.geometry.mesh import Mesh, Part
from texcsd.geometry.subdivision import subdivide
from texcsd.geometry.uv_atlas import ensure_uv
from texcsd.output.normal_maps import (
    FLAT,
    bake_normal_maps,
    bake_normals_by_place,
    bake_normals_by_uv,
)
from texcsd.rendering.rasterize import rasterize_uv

HEIGHT, WAVES = 0.02, 12.0


def bump_normals(x, y):
    """Of z = HEIGHT * sin(WAVES x) * sin(WAVES y)."""
    slopes = (
        HEIGHT
        * WAVES
        * np.stack(
            [np.cos(WAVES * x) * np.sin(WAVES * y), np.sin(WAVES * x) * np.cos(WAVES * y)], -1
        )
    )
    normals = np.concatenate([-slopes, np.ones_like(slopes[..., :1])], -1)
    return normals / np.linalg.norm(normals, axis=-1, keepdims=True)


def bumpy(mesh: Mesh, longest: float = 0.01) -> Mesh:
    """The flat mesh in z = 0, cut small and raised, with the normals of the formula."""
    fine = subdivide(mesh, longest, 10**6).mesh
    x, y = fine.vertices.double().numpy()[:, :2].T
    z = HEIGHT * np.sin(WAVES * x) * np.sin(WAVES * y)
    vertices = torch.from_numpy(np.stack([x, y, z], 1)).float()
    normals = torch.from_numpy(bump_normals(x, y)).float()
    return replace(fine, vertices=vertices, normals=normals, normal_faces=fine.faces)


def degrees(first, second):
    return np.degrees(np.arccos(np.clip((first * second).sum(-1), -1, 1)))


def decoded(texels):
    vectors = texels / 255 * 2 - 1
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def places(size):
    """x and y of every texel of a square whose uv are its x and y, row 0 on top."""
    centres = (np.arange(size) + 0.5) / size
    return np.meshgrid(centres, 1 - centres)


@pytest.mark.parametrize("by", ["uv", "place"])
def test_a_known_bump_on_a_flat_square_is_baked_to_within_a_degree(square, by):
    flat = replace(square, vertices=square.vertices.float())
    high = bumpy(flat)
    if by == "uv":
        found = bake_normals_by_uv(flat, high, 128)
    else:
        pytest.importorskip("igl")
        found = bake_normals_by_place(flat, 128, CloseSurface(high).normals)
    # u goes along x and v along y: x is red, y is green, and up.
    error = degrees(decoded(found), bump_normals(*places(128)))
    assert error.mean() < 0.3 and error.max() < 1.0
    assert degrees(np.array([0.0, 0.0, 1.0]), bump_normals(*places(128))).max() > 12


def test_where_the_texture_is_mirrored_red_is_turned_round(square):
    flat = replace(square, vertices=square.vertices.float())
    mirrored = replace(flat, uv=flat.uv * torch.tensor([-1.0, 1.0]) + torch.tensor([1.0, 0.0]))
    found = decoded(bake_normals_by_uv(mirrored, bumpy(mirrored), 128))
    x, y = places(128)
    expected = bump_normals(1 - x, y) * [-1, 1, 1]
    assert degrees(found, expected).max() < 1.0


def ball(subdivisions) -> Mesh:
    """A sphere with smooth normals, exactly those of its places."""
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions)
    vertices = torch.from_numpy(np.array(mesh.vertices)).float()
    faces = torch.from_numpy(np.array(mesh.faces))
    return Mesh(vertices, faces, None, None, vertices, faces, (Part("ball", 0, len(faces)),))


def as_shaders_do(mesh: Mesh, size: int, texels):
    """World normals at every texel, written from the glTF specification's words alone.

    Tangents of each face, averaged over the corners of faces that share position and uv; then the
    interpolated ones, as they are, times the decoded numbers.
    """
    surface = rasterize_uv(mesh, size, size)
    seen = surface.coverage[0, ..., 0].numpy() > 0
    ids = surface.triangle_ids[0].numpy()[seen]
    corners, uv = mesh.vertices[mesh.faces].numpy(), mesh.uv[mesh.uv_faces].numpy()
    sides, steps = corners[:, 1:] - corners[:, :1], uv[:, 1:] - uv[:, :1]
    tangent, bitangent = np.moveaxis(np.linalg.solve(steps, sides), 1, 0)
    sums = np.zeros((len(mesh.uv), 3))
    for corner in range(3):
        np.add.at(sums, mesh.uv_faces[:, corner].numpy(), tangent)
    at_corners = sums[mesh.uv_faces.numpy()]
    normals = mesh.normals[mesh.normal_faces].numpy()
    sign = np.sign((np.cross(normals[:, 0], tangent) * bitangent).sum(1))
    at_corners -= normals * (normals * at_corners).sum(2, keepdims=True)
    at_corners /= np.linalg.norm(at_corners, axis=2, keepdims=True)
    matrix = np.concatenate([corners[ids].transpose(0, 2, 1)], 0)
    weights = np.linalg.solve(matrix, surface.positions[0].numpy()[seen][..., None])[..., 0]
    normal, tangent = (
        (weights[:, :, None] * values[ids]).sum(1) for values in (normals, at_corners)
    )
    across = sign[ids, None] * np.cross(normal, tangent)
    red, green, blue = np.moveaxis(decoded(texels[seen]), -1, 0)[..., None]
    found = red * tangent + green * across + blue * normal
    places = surface.positions[0].numpy()[seen]
    return found / np.linalg.norm(found, axis=1, keepdims=True), places


def test_a_few_triangles_with_the_map_look_like_the_sphere_with_bumps():
    """A sphere of 320 faces, decoded as a shader does it, against the sphere r = 1 + bumps."""
    pytest.importorskip("igl")

    def shape(unit):
        """Radius, and the gradient along the sphere, at unit vectors."""
        waves = 9 * unit
        radius = 1 + 0.015 * np.sin(waves).prod(-1)
        gradient = 0.135 * np.stack(
            [
                np.cos(waves[..., axis])
                * np.sin(np.delete(waves, axis, -1)).prod(-1)
                for axis in range(3)
            ],
            -1,
        )  # fmt: skip
        return radius, gradient - unit * (gradient * unit).sum(-1, keepdims=True)

    def normals(unit):
        radius, gradient = shape(unit)
        found = unit - gradient / radius[..., None]
        return found / np.linalg.norm(found, axis=-1, keepdims=True)

    low, _, _ = ensure_uv(ball(2), "always", 256)
    high = ball(6)
    unit = high.vertices.numpy()
    raised = torch.from_numpy(unit * shape(unit)[0][:, None]).float()
    high = replace(high, vertices=raised, normals=torch.from_numpy(normals(unit)).float())
    texels = bake_normals_by_place(low, 256, CloseSurface(high).normals)
    found, at = as_shaders_do(low, 256, texels)
    unit = at / np.linalg.norm(at, axis=1, keepdims=True)
    error = degrees(found, normals(unit))
    without = degrees(unit, normals(unit))
    assert error.mean() < 0.5 and np.quantile(error, 0.99) < 2 and without.mean() > 3


def test_the_nearest_surface_that_faces_the_same_way_is_taken():
    """Not the inner wall of a shell, nor what lies behind a gap."""
    pytest.importorskip("igl")
    walls = [trimesh.creation.icosphere(subdivisions=4, radius=radius) for radius in (1.01, 0.9)]
    walls[1].invert()
    shell = trimesh.util.concatenate(walls)
    vertices, faces = (torch.from_numpy(np.array(a)) for a in (shell.vertices, shell.faces))
    normals = torch.from_numpy(np.array(shell.vertex_normals)).float()
    mesh = Mesh(vertices.float(), faces, None, None, normals, faces, ())
    points = torch.nn.functional.normalize(torch.randn(500, 3, generator=torch.Generator()), dim=1)
    assert (CloseSurface(mesh).normals(points, points) * points).sum(1).min() > 0.99


def test_without_anything_finer_all_is_flat_and_so_is_what_lies_outside_the_charts(cube):
    mesh = replace(cube, vertices=cube.vertices.float())
    found = bake_normals_by_uv(mesh, mesh, 64)
    assert np.array_equal(found, np.full_like(found, 1) * np.array(FLAT, np.uint8))


def test_every_texture_gets_the_map_of_its_own_faces(square):
    flat = replace(square, vertices=square.vertices.float())
    two = replace(flat, textures=torch.tensor([0, 1]))
    high = bumpy(two)
    maps = bake_normal_maps([two, high], [1], lambda low, fine: bake_normals_by_uv(low, fine, 64))
    whole = bake_normals_by_uv(flat, bumpy(flat), 64)
    assert [*maps] == [1]
    x, y = places(64)
    upper = y - x > 0.05  # the second triangle of the square
    assert np.array_equal(maps[1][upper], whole[upper])
    assert (maps[1][x - y > 0.2] != whole[x - y > 0.2]).any()
