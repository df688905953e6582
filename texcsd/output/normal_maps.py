"""What a finer surface has that the mesh has not, baked into a tangent-space normal map."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from texcsd.geometry.mesh import Mesh, with_faces
from texcsd.geometry.uv_wrapping import wrap_uv
from texcsd.output.bake import pad_charts
from texcsd.rendering.normal_mapping import encode_normals
from texcsd.rendering.rasterize import rasterize_uv
from texcsd.rendering.surface_attributes import TangentFrames

TEXELS_AT_A_TIME = 1 << 18
"""Bounds the memory."""
FLAT = (128, 128, 255)
"""The normal of the mesh itself, as far as 8 bits can say it."""

Lookup = Callable[[Tensor, Tensor], Tensor]
"""Normals float32[point, 3] of the finer surface, given points beside it and the normals there."""


def bake_normals_by_place(mesh: Mesh, size: int, lookup: Lookup) -> NDArray[np.uint8]:
    """Bake the normals of a finer surface that lies close to the mesh.

    Args:
        mesh: With uv, on the CPU.
        size: Side of the map in texels.
        lookup: Finds the normals.

    Returns:
        uint8[size, size, 3], row 0 on top, as `encode_normals` has them; padded around the charts.
    """
    return _bake(mesh, size, lambda _, points, normals: lookup(points, normals))


def bake_normals_by_uv(mesh: Mesh, finer: Mesh, size: int) -> NDArray[np.uint8]:
    """Bake the normals of a finer mesh that has the same uv wherever it is the same surface.

    Args:
        mesh: With uv that no two faces share, on the CPU.
        finer: Likewise.
        size: Side of the map in texels.

    Returns:
        As `bake_normals_by_place`.
    """
    surface = rasterize_uv(wrap_uv(finer), size, size)
    covered, found = surface.coverage[0, ..., 0] > 0, surface.normals[0]
    del surface  # All else of it is large, too.

    def normals(texels: Tensor, points: Tensor, own: Tensor) -> Tensor:
        row, column = texels.unbind(1)
        return torch.where(covered[row, column, None], found[row, column], own)

    return _bake(mesh, size, normals)


def bake_normal_maps(
    meshes: Sequence[Mesh], numbers: Iterable[int], bake: Callable[..., NDArray[np.uint8]]
) -> dict[int, NDArray[np.uint8]]:
    """Bake the normal maps of some textures, each from the faces of the meshes that show it."""
    return {
        number: bake(*(with_faces(mesh, mesh.texture_numbers() == number) for mesh in meshes))
        for number in numbers
    }


def _bake(
    mesh: Mesh, size: int, detail: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> NDArray[np.uint8]:
    """Bake what `detail` says of texels int64[n, 2], their places and normals, float32[n, 3]."""
    wrapped = wrap_uv(mesh)
    surface, frames = rasterize_uv(wrapped, size, size), TangentFrames(wrapped)
    covered = surface.coverage[0, ..., 0] > 0
    colors = np.full((size, size, 3), FLAT, np.uint8)
    for texels in covered.nonzero().split(TEXELS_AT_A_TIME):
        row, column = texels.unbind(1)
        points = surface.positions[0, row, column]
        at = frames(surface.triangle_ids[0, row, column], points)
        encoded = encode_normals(at, detail(texels, points, at[:, 2]))
        colors[row.numpy(), column.numpy()] = (255 * encoded).round().byte().numpy()
    return pad_charts(colors, covered.numpy())
