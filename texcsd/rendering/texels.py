"""Where the texels of a texture lie on a mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.mesh import Mesh
from texcsd.rendering.rasterize import rasterize_uv

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class TexelSurface:
    """Where the texels of a texture lie on the mesh; zeros where there is no chart."""

    covered: BoolArray
    """bool[size, size]."""
    positions: FloatArray
    """float32[size, size, 3]."""
    normals: FloatArray
    """float32[size, size, 3], unit."""


def surface_of_texels(mesh: Mesh, size: int) -> TexelSurface:
    """Find the texels whose centre lies in a face, and those of faces that are too thin for that.

    A face without any texel centre gets the texels that its longest edge runs through and that no
    other face covers; a chart of nothing but such faces would otherwise end up under the padding of
    its neighbours.
    """
    surface = rasterize_uv(mesh, size, size)
    texels = TexelSurface(
        covered=surface.coverage[0, ..., 0].cpu().numpy() > 0,
        positions=surface.positions[0].cpu().numpy(),
        normals=surface.normals[0].cpu().numpy(),
    )
    has_texels = np.zeros(len(mesh.faces), bool)
    has_texels[surface.triangle_ids[0].cpu().numpy()[texels.covered]] = True
    thin = np.flatnonzero(~has_texels)
    if len(thin):
        _cover_thin_faces(mesh, thin, texels)
    return texels


def _cover_thin_faces(mesh: Mesh, thin: IntArray, texels: TexelSurface) -> None:
    """Add the texels along the longest edges of the given faces, in place."""
    assert mesh.uv is not None and mesh.uv_faces is not None
    size = len(texels.covered)
    uv = mesh.uv.cpu().numpy()[mesh.uv_faces.cpu().numpy()[thin]]
    places = np.stack([uv[..., 0], 1 - uv[..., 1]], axis=-1) * size
    lengths = np.linalg.norm(places - np.roll(places, -1, axis=1), axis=2)
    start = lengths.argmax(axis=1)
    # Two points per texel, and both ends: a face without any uv area has one texel, too.
    counts = np.ceil(2 * np.minimum(lengths.max(axis=1), 2 * size)).astype(np.int64) + 2
    face = np.repeat(np.arange(len(thin)), counts)
    number = np.arange(len(face)) - np.repeat(np.cumsum(counts) - counts, counts)
    end_share = (number / (counts[face] - 1))[:, None]

    def along_edge(corners: FloatArray) -> NDArray[np.float64]:
        first, second = corners[face, start[face]], corners[face, (start[face] + 1) % 3]
        return (1 - end_share) * first + end_share * second

    column, row = np.floor(along_edge(places)).astype(np.int64).T
    new = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    new[new] = ~texels.covered[row[new], column[new]]
    target = row[new], column[new]
    positions = mesh.vertices.float().cpu().numpy()[mesh.faces.cpu().numpy()[thin]]
    normals = mesh.normals.cpu().numpy()[mesh.normal_faces.cpu().numpy()[thin]]
    texels.covered[target] = True
    texels.positions[target] = along_edge(positions)[new]
    texels.normals[target] = normals[face, start[face]][new]
