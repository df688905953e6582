"""One place on the surface for every texel, also where several parts of a mesh show the same.

Parts that are mirrored or repeated wear one piece of texture. Whoever paints by place, a model that
is told where on its patterns a point lies or a colour field, has to be told one place for all of
them: else each part asks for other colours, and the texture is their mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from texcsd.geometry.mesh import Mesh, with_faces
from texcsd.geometry.uv_wrapping import wrap_uv
from texcsd.rendering.rasterize import Surface, rasterize_uv
from texcsd.rendering.texture import only_ids
from texcsd.rendering.torch_operations import texel_indices

APART = 1e-3
"""Radii between two points of a texel that are different places; below, faces are equal copies."""


@dataclass(frozen=True)
class TexelPlaces:
    """The places that stand for the texels of a texture; row 0 on top."""

    shared: Tensor
    """bool[size, size], the texels that are seen at other places, too."""
    positions: Tensor
    """float32[size, size, 3]."""
    normals: Tensor
    """float32[size, size, 3], unit."""

    def to(self, device: torch.device) -> TexelPlaces:
        """The same on another device."""
        maps = self.shared, self.positions, self.normals
        return TexelPlaces(*(image.to(device) for image in maps))


def find_shared_texels(mesh: Mesh, size: int) -> dict[int, TexelPlaces]:
    """Find the texels that a mesh shows in several places, and choose a place for each.

    Args:
        mesh: Fitted to the unit sphere; has uv.
        size: Texels per side; fewer than the texture has will do.

    Returns:
        By the numbers of the painted textures that have such texels, on the CPU.
    """
    mesh, numbers = mesh.to("cpu"), mesh.texture_numbers().cpu()
    parts = ((n, with_faces(mesh, numbers == n)) for n in numbers.unique().tolist() if n >= 0)
    found = ((number, _of_texture(part, size)) for number, part in parts)
    return {number: places for number, places in found if places.shared.any()}


def _of_texture(part: Mesh, size: int) -> TexelPlaces:
    wrapped = wrap_uv(part)
    top, bottom = (rasterize_uv(wrapped, size, size, lowest) for lowest in (False, True))
    positions, normals, uncovered = top.positions[0], top.normals[0], top.triangle_ids[0] < 0
    apart = torch.linalg.vector_norm(positions - bottom.positions[0], dim=-1) > APART
    if not apart.any() or not uncovered.any():
        return TexelPlaces(apart, positions, normals)
    # A pixel at the border of a chart may lie over a texel whose centre is outside it.
    found = distance_transform_edt(uncovered.numpy(), return_distances=False, return_indices=True)
    assert found is not None
    row, column = torch.from_numpy(found).long()
    return TexelPlaces(apart[row, column], positions[row, column], normals[row, column])


def places_of_pixels(
    surface: Surface, texels: Mapping[int, TexelPlaces], textures: Tensor | None
) -> Surface:
    """The surface with positions and normals of the places that stand for what its pixels show.

    Args:
        surface: Any view of the mesh.
        texels: Of `find_shared_texels`, on the same device.
        textures: Of `textures_of_pixels`.
    """
    positions, normals = surface.positions, surface.normals
    for number, places in texels.items():
        texel = texel_indices(surface.uv, len(places.shared))
        seen = only_ids(surface, textures, number) >= 0
        shared = (places.shared.flatten()[texel] & seen)[..., None]
        positions = torch.where(shared, places.positions.view(-1, 3)[texel], positions)
        normals = torch.where(shared, places.normals.view(-1, 3)[texel], normals)
    return replace(surface, positions=positions, normals=normals)
