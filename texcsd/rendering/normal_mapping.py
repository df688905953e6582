"""Normals as the colours of a tangent-space normal map, and back.

As glTF 2.0 has them: x along growing u, y along growing v (up in the picture), z out of the
surface, each from -1 at 0 to 1 at 1. Tangents are those of `TangentFrames`, which readers compute
themselves where a file has none.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from texcsd.geometry.mesh import Mesh
from texcsd.rendering.rasterize import Surface
from texcsd.rendering.surface_attributes import TangentFrames
from texcsd.rendering.texture import sample_maps, textures_of_pixels

SMALLEST_HEIGHT = 0.02
"""Of z: the surface shown cannot be seen from below."""


def encode_normals(frames: Tensor, normals: Tensor) -> Tensor:
    """Colours float32[point, 3] in [0, 1]; what leans over by more than the map can say is set up.

    Args:
        frames: float32[point, 3, 3], as `TangentFrames` gives them.
        normals: float32[point, 3], unit.
    """
    local = (frames @ normals[..., None])[..., 0]
    without_tangent = (frames[:, 0] == 0).all(1, keepdim=True)
    local = torch.where(without_tangent, local.new_tensor([0.0, 0.0, 1.0]), local)
    local = torch.cat([local[:, :2], local[:, 2:].clamp(min=SMALLEST_HEIGHT)], 1)
    return torch.nn.functional.normalize(local, dim=1) / 2 + 0.5


def decode_normals(frames: Tensor, colors: Tensor) -> Tensor:
    """Unit normals float32[point, 3] of colours in [0, 1], the inverse of `encode_normals`."""
    local = 2 * colors - 1
    return torch.nn.functional.normalize((local[:, None] @ frames)[:, 0], dim=1)


def with_normal_maps(
    mesh: Mesh, frames: TangentFrames, surface: Surface, maps: dict[int, Tensor]
) -> Surface:
    """The surface with the normals that its normal maps show.

    Args:
        mesh: That was rasterized.
        frames: Of the mesh.
        surface: What cameras see of it.
        maps: By the number of the texture, float32[1, rows, columns, 3], row 0 on top; textures
            that have none may be missing.
    """
    numbers = torch.isin(mesh.texture_numbers(), torch.tensor([*maps], device=mesh.faces.device))
    seen = surface.triangle_ids >= 0
    seen &= numbers[surface.triangle_ids.clamp(min=0)]
    if not seen.any():
        return surface
    colors = sample_maps(maps, surface, textures_of_pixels(mesh, surface)).base_color
    at = frames(surface.triangle_ids[seen], surface.positions[seen])
    normals = decode_normals(at, colors[seen])
    # Seen from behind, all is turned.
    before = surface.normals[seen]
    side = torch.copysign(torch.ones_like(before[:, :1]), (before * at[:, 2]).sum(1, keepdim=True))
    return replace(surface, normals=surface.normals.index_put((seen,), side * normals))
