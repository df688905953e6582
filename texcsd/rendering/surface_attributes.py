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

    Each corner of a face points along growing u within the plane across its normal. Corners that
    share position, normal, uv and handedness take their mean, weighed by their angles, as in
    Mikkelsen 2008, "Simulation of wrinkled surfaces revisited"; it is interpolated, and turned into
    the plane across the surface's normal.

    Returns:
        float32[view, height, width, 4]: the unit tangent, and the handedness s, 1 or -1: the
        bitangent, along growing v, is s * cross(normal, tangent) for the side that the mesh's
        normals show. Zeros in the background, and where uv have no direction.

    Raises:
        TexcsdError: The mesh has no uv.
    """
    corner_tangents, handedness = _corner_tangents(mesh)
    ids = surface.triangle_ids
    face = ids.clamp(min=0)
    weights = _weights(mesh.vertices.float()[mesh.faces[face]], surface.positions)
    blended = (corner_tangents[face] * weights[..., None]).sum(-2)
    normals = surface.normals
    flat = blended - normals * torch.linalg.vecdot(blended, normals)[..., None]
    unit = torch.nn.functional.normalize(flat, dim=-1)
    there = (ids >= 0)[..., None] & (unit != 0).any(-1, keepdim=True)
    return torch.where(there, torch.cat([unit, handedness[face][..., None]], -1), 0.0)


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
    flat = direction[:, None] - normals * (direction[:, None] * normals).sum(2, keepdim=True)
    flat = torch.nn.functional.normalize(flat, dim=2) * _angles(corners)[..., None]
    same = torch.stack(
        [mesh.faces, mesh.uv_faces, mesh.normal_faces, (area < 0).long()[:, None].expand(-1, 3)], 2
    )
    corner = same.view(-1, 4).unique(dim=0, return_inverse=True)[1]
    sums = flat.new_zeros(int(corner.max()) + 1, 3).index_add(0, corner, flat.view(-1, 3))
    means = torch.nn.functional.normalize(sums, dim=1)[corner].view(-1, 3, 3)
    return means.float(), handedness.float()


def _angles(corners: Tensor) -> Tensor:
    """Of every face at its corners, float[face, 3]."""
    ahead = torch.nn.functional.normalize(corners.roll(-1, 1) - corners, dim=2)
    back = torch.nn.functional.normalize(corners.roll(1, 1) - corners, dim=2)
    return torch.acos((ahead * back).sum(2).clamp(-1, 1))


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
