"""Normals as the colours of a tangent-space normal map, and back.

As glTF 2.0 has them: x along growing u, y along growing v (up in the picture), z out of the
surface, each from -1 at 0 to 1 at 1. Tangents are those of `TangentFrames`, which readers compute
themselves where a file has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from texcsd.geometry.mesh import Mesh
from texcsd.rendering.cameras import Cameras
from texcsd.rendering.rasterize import Surface, rasterize_mesh
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


class NormalMappedMesh:
    """A mesh that is seen with its normal maps."""

    def __init__(self, mesh: Mesh, maps: Mapping[int, Tensor]) -> None:
        """Take up a mesh.

        Args:
            mesh: With uv, if there are maps.
            maps: By the number of the texture, float32[1, rows, columns, 3] on the mesh's device,
                row 0 on top; textures that have none may be missing.
        """
        self.mesh = mesh
        self._maps = maps
        if maps:
            numbers = torch.tensor([*maps], device=mesh.faces.device)
            self._has_map = torch.isin(mesh.texture_numbers(), numbers)
            self._frames = TangentFrames(mesh)

    def rasterize(self, cameras: Cameras, height: int, width: int) -> Surface:
        """What cameras see, with the normals that the maps show; see `rasterize_mesh`."""
        surface = rasterize_mesh(self.mesh, cameras, height, width)
        return self._with_normals(surface) if self._maps else surface

    def _with_normals(self, surface: Surface) -> Surface:
        seen = surface.triangle_ids >= 0
        seen &= self._has_map[surface.triangle_ids.clamp(min=0)]
        textures = textures_of_pixels(self.mesh, surface)
        colors = sample_maps(self._maps, surface, textures).base_color
        at = self._frames(surface.triangle_ids[seen], surface.positions[seen])
        normals = decode_normals(at, colors[seen])
        # Seen from behind, all is turned.
        before = surface.normals[seen]
        side = (before * at[:, 2]).sum(1, keepdim=True)
        normals = torch.copysign(torch.ones_like(side), side) * normals
        return replace(surface, normals=surface.normals.index_put((seen,), normals))
