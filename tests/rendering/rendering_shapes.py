"""Small meshes with uv and normals, built from formulas, and places to look textures up at."""

import math

import numpy as np
import torch
from torch import Tensor

from texcsd.geometry.mesh import Mesh, Part


def make_mesh(vertices: Tensor, faces: Tensor, uv: Tensor, normals: Tensor) -> Mesh:
    """A mesh whose uv and normals have the indices of its vertices."""
    parts = (Part("all", 0, len(faces)),)
    return Mesh(vertices.float(), faces, uv.float(), faces, normals.float(), faces, parts)


def make_sphere(rings: int = 24, radius: float = 1.0) -> Mesh:
    """A closed sphere of latitude rings, front at u = 0.5, v from bottom to top."""
    v, u = torch.meshgrid(
        torch.linspace(0, 1, rings + 1), torch.linspace(0, 1, 2 * rings + 1), indexing="ij"
    )
    polar, around = torch.pi * (v - 0.5), 2 * torch.pi * (u - 0.5)
    flat = torch.cos(polar)
    unit = torch.stack([torch.sin(around) * flat, torch.sin(polar), torch.cos(around) * flat], -1)
    index = torch.arange(v.numel()).view(v.shape)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = torch.cat(
        [torch.stack([a, b, c], -1).view(-1, 3), torch.stack([a, c, d], -1).view(-1, 3)]
    )
    unit = unit.view(-1, 3)
    return make_mesh(radius * unit, faces, torch.stack([u, v], -1).view(-1, 2), unit)


def make_square(size: float = 1.0) -> Mesh:
    """A square that faces +z, with u to the right and v up, seen upright from the front."""
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    vertices = torch.cat([size * (corners - 0.5), torch.zeros(4, 1)], 1)
    normals = torch.tensor([[0.0, 0.0, 1.0]]).repeat(4, 1)
    return make_mesh(vertices, torch.tensor([[0, 1, 2], [0, 2, 3]]), corners, normals)


def merge(*meshes: Mesh) -> Mesh:
    """One mesh of all faces, in order."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    faces = torch.cat([m.faces + int(start) for m, start in zip(meshes, starts, strict=True)])
    vertices = torch.cat([mesh.vertices for mesh in meshes])
    return make_mesh(vertices, faces, vertices[:, :2], vertices)


def random_lookup(random: np.random.Generator, samples: int, spread: float = 1.0):
    """uv float32[1, 1, sample, 2] on and around the texture, and derivatives of all sizes."""
    uv = torch.as_tensor(random.uniform(-spread, 1 + spread, (1, 1, samples, 2))).float()
    scale = 2.0 ** random.uniform(-12, 1, (1, 1, samples, 1))
    slopes = torch.as_tensor(random.normal(size=(1, 1, samples, 4)) * scale).float()
    return uv, slopes


def visible_scene(seed, views=2):
    """A few large triangles in perspective, some cut by the near plane, and attributes for them.

    Returns:
        Clip positions float64[view, 12, 4], int64[6, 3], float64[1, 12, 3].
    """
    random = np.random.default_rng(seed)
    clip = random.normal(size=(views, 12, 4))
    clip[..., 3] = random.uniform(0.5, 2, (views, 12))
    clip[:, 0, 3] = -0.3  # behind the eye
    triangles = torch.as_tensor(random.permuted(np.tile(np.arange(12), (6, 1)), axis=1)[:, :3])
    attributes = torch.as_tensor(random.normal(size=(1, 12, 3)))
    return torch.as_tensor(clip), triangles.contiguous(), attributes


def hair_thin_triangle(seed):
    """Corners float32[3, 4] of one that is far thinner than float64 can tell from a line.

    The last pixel of 3 x 3, at (2/3, 2/3), is at a third of each corner: with c = (2, 2, 3) these
    are p, q and many * c - p - q as (x, y, w), where det(p, q, c) is 1.
    """
    random, divisor = np.random.default_rng(seed), 0
    while divisor != 1:
        x, y, w = (int(number) for number in random.integers(2**19, 2**20, 3))
        divisor = math.gcd(x, w - 2 * y)
    other_x, other_y = pow((w - 2 * y) % x, -1, x), int(random.integers(2**19, 2**20))
    other_w = 2 * other_y - (1 - other_x * (w - 2 * y)) // x
    many = 2**21 + max(0, other_w)
    # So far it is at (0, 1, 2); this takes whole numbers there to whole numbers, and keeps volumes.
    points = np.array([[x, y, w], [other_x, other_y, other_w], [0, many, 2 * many]], float)
    points[2] -= points[0] + points[1]
    points = points @ [[-1, 0, 0], [0, 0, 1], [1, 1, 1]]
    depths = random.uniform(-0.5, 0.5, 3) * 2.0**19
    corners = np.insert(points, 2, depths, axis=1).astype(np.float32)
    assert (corners[:, [0, 1, 3]] == points).all()
    return corners
