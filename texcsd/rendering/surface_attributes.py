"""More about the surface behind every pixel than painting needs: face normals, tangents, parts.

Computed from a `Surface` that was rasterized, on any device; see `rasterize`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import Mesh
from texcsd.rendering.rasterize import Surface


def part_ids(mesh: Mesh, surface: Surface) -> Tensor:
    """Which of mesh.parts every pixel shows, int64[view, height, width], -1 in the background."""
    firsts = torch.tensor([part.first_face for part in mesh.parts], device=mesh.faces.device)
    ids = surface.triangle_ids
    return torch.where(ids >= 0, torch.bucketize(ids, firsts, right=True) - 1, -1)


def face_normals(mesh: Mesh, surface: Surface) -> Tensor:
    """Unit normals of the faces themselves, not smoothed, on the side of the surface's normals.

    Returns:
        float32[view, height, width, 3]; zeros in the background.
    """
    corners = mesh.vertices.float()[mesh.faces[surface.triangle_ids.clamp(min=0)]]
    first, second, third = corners.unbind(-2)
    normals = torch.nn.functional.normalize(
        torch.linalg.cross(second - first, third - first), dim=-1
    )
    same_side = torch.linalg.vecdot(normals, surface.normals)[..., None] >= 0
    seen = (surface.triangle_ids >= 0)[..., None]
    return torch.where(seen, torch.where(same_side, normals, -normals), 0.0)


def tangents(mesh: Mesh, surface: Surface) -> Tensor:
    """Tangents as glTF has them: for normal maps, and for grain that runs along the texture.

    Returns:
        float32[view, height, width, 4]: the unit tangent, and the handedness s, 1 or -1: the
        bitangent, along growing v, is s * cross(normal, tangent) for the side that the mesh's
        normals show. Zeros in the background, and where uv have no direction.

    Raises:
        TexcsdError: The mesh has no uv.
    """
    frames = TangentFrames(mesh)
    seen = surface.triangle_ids >= 0
    faces = surface.triangle_ids[seen]
    tangent = frames(faces, surface.positions[seen])[:, 0]
    found = torch.cat([tangent, frames.handedness[faces, None]], 1)
    found = torch.where((tangent != 0).any(1, keepdim=True), found, 0.0)
    return found.new_zeros(*seen.shape, 4).index_put((seen,), found)


class TangentFrames:
    """Tangent, bitangent and normal of a mesh, wherever they are asked for.

    Each corner of a face has a tangent along growing u within the plane across its normal. Corners
    alike in position, normal, uv and handedness take their mean, weighed by their angles, as in
    Mikkelsen 2008, "Simulation of wrinkled surfaces revisited", which is what readers of glTF do;
    it is interpolated, and turned into the plane across the interpolated normal.
    """

    def __init__(self, mesh: Mesh) -> None:
        """Take up a mesh.

        Raises:
            TexcsdError: It has no uv.
        """
        self._corners = mesh.vertices.float()[mesh.faces]
        self._normals = mesh.normals[mesh.normal_faces]
        self._tangents, self.handedness = _corner_tangents(mesh)
        """float32[face], 1, or -1 where the texture is mirrored."""

    def __call__(self, faces: Tensor, positions: Tensor) -> Tensor:
        """float32[point, 3, 3]: tangent, bitangent, normal, on the side the mesh's normals show.

        Args:
            faces: int64[point].
            positions: float32[point, 3], in these faces.

        The first two are 0 where uv have no direction.
        """
        weights = _weights(self._corners[faces], positions)[..., None]
        normal = (self._normals[faces] * weights).sum(1)
        normal = torch.nn.functional.normalize(normal, dim=1)
        tangent = (self._tangents[faces] * weights).sum(1)
        tangent = tangent - normal * (tangent * normal).sum(1, keepdim=True)
        tangent = torch.nn.functional.normalize(tangent, dim=1)
        bitangent = self.handedness[faces, None] * torch.linalg.cross(normal, tangent)
        return torch.stack([tangent, bitangent, normal], 1)


def _corner_tangents(mesh: Mesh) -> tuple[Tensor, Tensor]:
    """float32[face, 3, 3], smoothed, and handedness float32[face]."""
    if mesh.uv is None or mesh.uv_faces is None:
        raise TexcsdError("the mesh has no uv, so its surface has no tangents; unwrap it first.")
    corners, uv = mesh.vertices.double()[mesh.faces], mesh.uv.double()[mesh.uv_faces]
    along, across = corners[:, 1:] - corners[:, :1], uv[:, 1:] - uv[:, :1]
    area = across[:, 0, 0] * across[:, 1, 1] - across[:, 1, 0] * across[:, 0, 1]
    handedness = torch.where(area < 0, -1.0, 1.0)
    direction = along[:, 0] * across[:, 1, 1:] - along[:, 1] * across[:, 0, 1:]
    direction = torch.where(area[:, None] == 0, 0.0, direction * handedness[:, None])
    normals = mesh.normals.double()[mesh.normal_faces]
    ahead, back = (_across(corners.roll(shift, 1) - corners, normals) for shift in (-1, 1))
    angles = torch.acos((ahead * back).sum(2, keepdim=True).clamp(-1, 1))
    flat = _across(direction[:, None].expand(-1, 3, -1), normals) * angles
    ids = [
        _alike(mesh.vertices)[mesh.faces],
        _alike(mesh.uv)[mesh.uv_faces],
        _alike(mesh.normals)[mesh.normal_faces],
        (area < 0).long()[:, None].expand(-1, 3),
    ]
    corner = torch.stack(ids, 2).view(-1, 4).unique(dim=0, return_inverse=True)[1]
    sums = flat.new_zeros(int(corner.max()) + 1, 3).index_add(0, corner, flat.view(-1, 3))
    means = torch.nn.functional.normalize(sums, dim=1)[corner].view(-1, 3, 3)
    return means.float(), handedness.float()


def _across(vectors: Tensor, normals: Tensor) -> Tensor:
    """Unit vectors, both float[face, 3, 3], in the planes across the normals."""
    flat = vectors - normals * (vectors * normals).sum(2, keepdim=True)
    return torch.nn.functional.normalize(flat, dim=2)


def _alike(values: Tensor) -> Tensor:
    """int64[row], equal for equal rows: files may hold a value more than once."""
    return values.unique(dim=0, return_inverse=True)[1]


def _weights(corners: Tensor, positions: Tensor) -> Tensor:
    """Barycentric weights float[..., 3] of positions in the planes of corners float[..., 3, 3]."""
    first, second, third = (corners - positions[..., None, :]).unbind(-2)
    normal = torch.linalg.cross(corners[..., 1, :] - corners[..., 0, :],
                                corners[..., 2, :] - corners[..., 0, :])  # fmt: skip
    areas = torch.stack(
        [torch.linalg.vecdot(torch.linalg.cross(a, b), normal)
         for a, b in ((second, third), (third, first), (first, second))], -1
    )  # fmt: skip
    total = areas.sum(-1, keepdim=True)
    return torch.where(total == 0, 1 / 3, areas / total)
