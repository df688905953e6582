"""Coordinates outside [0, 1], where a texture repeats, brought to the texels they show."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from texcsd.geometry.mesh import Mesh, with_faces

MOST_REPEATS = 8
"""Along u and along v; a face over which the texture repeats more often shows all of it anyway."""


def wrap_uv(mesh: Mesh) -> Mesh:
    """Return the mesh with uv that cover every texel of [0, 1] that its faces show.

    Whole repeats are taken off each face. One that still reaches beyond the texture is there once
    more for each part that does. Coordinates within [0, 1] stay as they are.
    """
    assert mesh.uv is not None and mesh.uv_faces is not None
    if len(mesh.uv_faces) == 0 or not ((mesh.uv < 0) | (mesh.uv > 1)).any():
        return mesh
    corners = mesh.uv[mesh.uv_faces]
    # A face that ends at 1 is within the texture, although floor(1) is 1.
    lowest = corners.amin(1, keepdim=True)
    inside = (corners.amax(1, keepdim=True) <= 1) & (lowest >= 0)
    corners = torch.where(inside, corners, corners - lowest.floor())
    reach = (corners.amax(1).ceil() - 1).clamp(0, MOST_REPEATS - 1)
    most = [int(repeats) for repeats in reach.amax(0).tolist()]
    moved, faces = [], []
    for right in range(most[0] + 1):
        for up in range(most[1] + 1):
            shift = torch.tensor([right, up], dtype=corners.dtype, device=corners.device)
            reaching = (reach >= shift).all(1)
            moved.append(corners[reaching] - shift)
            faces.append(reaching.nonzero()[:, 0])
    return _with_corners(mesh, torch.cat(moved), torch.cat(faces))


def wrapped_face_count(mesh: Mesh) -> int:
    """Count the faces that `wrap_uv` would return, without making them."""
    assert mesh.uv is not None and mesh.uv_faces is not None
    corners = mesh.uv[mesh.uv_faces]
    spans = corners.amax(1).ceil() - corners.amin(1).floor()
    return int(spans.clamp(1, MOST_REPEATS).prod(1).sum())


def _with_corners(mesh: Mesh, corner_uv: Tensor, faces: Tensor) -> Mesh:
    """Return a mesh of these faces, each with uv of its own, float[face, 3, 2]."""
    uv_faces = torch.arange(3 * len(faces), device=faces.device).view(-1, 3)
    return replace(with_faces(mesh, faces), uv=corner_uv.reshape(-1, 2), uv_faces=uv_faces)
