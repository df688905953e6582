"""One place on the surface for every texel, also where several parts of a mesh show the same.

Parts that are mirrored or repeated wear one piece of texture. Whoever paints by place, a model that
is told where on its patterns a point lies or a colour field, has to be told one place for all of
them: else each part asks for other colours, and the texture is their mean.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from texcsd.geometry.mesh import Mesh, with_faces
from texcsd.geometry.uv_wrapping import wrap_uv
from texcsd.rendering.rasterize import Surface, rasterize_uv

APART = 1e-3
"""Radii between two points of a texel that are different places; below, faces are equal copies."""


@dataclass(frozen=True)
class SharedTexels:
    """The place of every texel that parts share; row 0 on top."""

    shared: Tensor
    """bool[texture, size, size], those whose place is not simply where a pixel shows them."""
    positions: Tensor
    """float32[texture, size, size, 3]."""
    normals: Tensor
    """float32[texture, size, size, 3], unit."""

    def to(self, device: torch.device) -> SharedTexels:
        """The same on another device."""
        maps = self.shared, self.positions, self.normals
        return SharedTexels(*(image.to(device) for image in maps))


def find_shared_texels(mesh: Mesh, size: int) -> SharedTexels | None:
    """Find the texels that a mesh shows in several places, and choose a place for each.

    Args:
        mesh: Fitted to the unit sphere; has uv.
        size: Texels per side; fewer than the texture has will do.

    Returns:
        Of every painted texture, on the CPU; None if no texel is shared.
    """
    mesh, numbers = mesh.to("cpu"), mesh.texture_numbers().cpu()
    textures = [
        _of_texture(with_faces(mesh, numbers == number), size)
        for number in range(int(numbers.max()) + 1)
    ]
    found = SharedTexels(*(torch.stack(maps) for maps in zip(*textures, strict=True)))
    return found if found.shared.any() else None


def _of_texture(part: Mesh, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """The maps of the faces that show one texture."""
    wrapped = wrap_uv(part)
    top, bottom = (rasterize_uv(wrapped, size, size, lowest) for lowest in (False, True))
    apart = torch.linalg.vector_norm(top.positions[0] - bottom.positions[0], dim=-1) > APART
    positions, normals, uncovered = top.positions[0], top.normals[0], top.triangle_ids[0] < 0
    if not apart.any() or not uncovered.any():
        return apart, positions, normals
    # A pixel at the border of a chart may lie over a texel whose centre is outside it.
    found = distance_transform_edt(uncovered.numpy(), return_distances=False, return_indices=True)
    assert found is not None
    row, column = torch.from_numpy(found).long()
    return apart[row, column], positions[row, column], normals[row, column]


def places_of_pixels(surface: Surface, texels: SharedTexels, textures: Tensor | None) -> Surface:
    """The surface with positions and normals of the places that stand for what its pixels show.

    Args:
        surface: Any view of the mesh.
        texels: Of `find_shared_texels`, on the same device.
        textures: Of `textures_of_pixels`.
    """
    size = texels.shared.shape[1]
    column, row = (surface.uv * surface.uv.new_tensor([size, -size])).floor().long().unbind(-1)
    number = 0 if textures is None else textures.clamp(min=0)
    texel = (number * size + row.remainder(size)) * size + column.remainder(size)
    shared = texels.shared.flatten()[texel] & (surface.triangle_ids >= 0)
    if textures is not None:
        shared &= textures >= 0

    def choose(image: Tensor, places: Tensor) -> Tensor:
        return torch.where(shared[..., None], places.view(-1, 3)[texel], image)

    positions = choose(surface.positions, texels.positions)
    return replace(surface, positions=positions, normals=choose(surface.normals, texels.normals))
