"""What the cameras see of a mesh: Mesh + Cameras to Surface.

`operations` has image row 0 at the bottom of clip space. Here, and only here, y is negated on the
way in: so every image comes out with row 0 on top, and derivatives along y point down the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import Mesh
from texcsd.rendering import operations
from texcsd.rendering.cameras import Cameras

ON_TOP = (0.80, 0.50, 0.33)
"""A direction of no mesh's symmetry, about as long as 1."""


@dataclass(frozen=True)
class Surface:
    """The surface behind every pixel; row 0 on top, zeros in the background."""

    coverage: Tensor
    """float32[view, height, width, 1], 1 where there is surface, else 0."""
    triangle_ids: Tensor
    """int64[view, height, width], -1 in the background."""
    positions: Tensor
    """float32[view, height, width, 3]."""
    normals: Tensor
    """float32[view, height, width, 3], unit, those of the side that is seen."""
    uv: Tensor
    """float32[view, height, width, 2], v up."""
    uv_derivatives: Tensor
    """float32[view, height, width, 4]: du/dx, du/dy, dv/dx, dv/dy per pixel, x right and y down."""
    depth: Tensor
    """float32[view, height, width, 1], distance along the view axis; 0 where no camera looks."""


def rasterize_mesh(mesh: Mesh, cameras: Cameras, height: int, width: int) -> Surface:
    """The mesh as the cameras see it.

    Both sides of a face are visible. Normals are turned to the side that is seen, judged by the
    face and not by the interpolated normal, so that smooth silhouettes keep their shading.

    Args:
        mesh: Fits the unit sphere, has uv, is on the cameras' device.
        cameras: One image each.
        height: Pixels, spans the field of view.
        width: Pixels.
    """
    clip_positions = put_row_0_on_top_(cameras.clip_positions(mesh.vertices, width / height))
    return _surface(mesh, clip_positions, mesh.faces, (height, width), turn_normals=True)


def rasterize_uv(mesh: Mesh, height: int, width: int, lowest: bool = False) -> Surface:
    """The mesh spread out in its texture: one view, one pixel per texel, row 0 at v near 1.

    Depth is 0, and normals are the front's, whatever the orientation of a face in the texture.
    Where faces overlap, the one farthest along ON_TOP is on top: so of a mirrored pair of parts, or
    of many that are repeated, the texture shows one as a whole.

    Args:
        mesh: Has uv.
        height: Texels.
        width: Texels.
        lowest: The other way round.
    """
    uv, uv_faces = _uv_of(mesh)
    # In the texture every face has corners of its own: others may share its uv.
    uv_corners = uv[uv_faces].flatten(0, 1)
    heights = mesh.vertices.float()[mesh.faces].flatten(0, 1) @ uv.new_tensor(ON_TOP)
    closeness = heights / (2 * heights.abs().max().clamp(min=1e-30) if len(heights) else 1)
    z = closeness if lowest else -closeness
    clip_positions = torch.cat([2 * uv_corners - 1, z[:, None], torch.ones_like(z)[:, None]], 1)
    corners = torch.arange(len(z), device=uv.device).view(-1, 3).to(uv_faces)
    resolution = height, width
    surface = _surface(
        mesh, put_row_0_on_top_(clip_positions[None]), corners, resolution, turn_normals=False
    )
    return replace(surface, depth=torch.zeros_like(surface.depth))


def normalized_depth(surface: Surface) -> Tensor:
    """Depth for conditioning, float32[view, height, width, 1].

    The nearest pixel of each image is 1, the farthest 0.2, the background 0; a view of constant
    depth is 1.
    """
    depth, seen = surface.depth, surface.coverage > 0
    near = depth.masked_fill(~seen, torch.inf).amin((1, 2), keepdim=True)
    far = depth.masked_fill(~seen, -torch.inf).amax((1, 2), keepdim=True)
    closeness = torch.where(far > near, (far - depth) / (far - near), 1.0)
    return torch.where(seen, 0.2 + 0.8 * closeness, 0.0)


def put_row_0_on_top_(clip_positions: Tensor) -> Tensor:
    """Negates y of clip positions float[..., 4], in place: every image goes through here."""
    clip_positions[..., 1].neg_()
    return clip_positions


def _uv_of(mesh: Mesh) -> tuple[Tensor, Tensor]:
    if mesh.uv is None or mesh.uv_faces is None:
        raise TexcsdError("the mesh has no uv, so there is no texture to look up; unwrap it first.")
    return mesh.uv, mesh.uv_faces


def _surface(
    mesh: Mesh,
    clip_positions: Tensor,
    clip_faces: Tensor,
    resolution: tuple[int, int],
    turn_normals: bool,
) -> Surface:
    if clip_positions.device.type != "cpu":
        return _interpolated_surface(mesh, clip_positions, clip_faces, resolution, turn_normals)
    from texcsd.rendering import numba_operations

    tensors = mesh.vertices, mesh.faces, mesh.normals, mesh.normal_faces, *_uv_of(mesh)
    ids, *images = numba_operations.surface(
        clip_positions, clip_faces, tensors, resolution, turn_normals
    )
    coverage = (ids >= 0).float()[..., None]
    return Surface(coverage, ids.long(), *images)


def _interpolated_surface(
    mesh: Mesh,
    clip_positions: Tensor,
    clip_faces: Tensor,
    resolution: tuple[int, int],
    turn_normals: bool,
) -> Surface:
    """The same with one operation after another, on any device."""
    vertices, (uv, uv_faces) = mesh.vertices.float()[None], _uv_of(mesh)
    rasterization = operations.rasterize(clip_positions, clip_faces, resolution)
    depth, _ = operations.interpolate(clip_positions[..., 3:], rasterization, clip_faces)
    positions, slopes = operations.interpolate(vertices, rasterization, mesh.faces, turn_normals)
    normals, _ = operations.interpolate(mesh.normals[None], rasterization, mesh.normal_faces)
    normals = torch.nn.functional.normalize(normals, dim=-1)
    if slopes is not None:
        normals = _towards_camera(normals, slopes)
    uv_image, uv_derivatives = operations.interpolate(uv[None], rasterization, uv_faces, True)
    assert uv_derivatives is not None
    triangle_ids = rasterization.triangle_ids.long()
    coverage = (triangle_ids >= 0).float()[..., None]
    return Surface(coverage, triangle_ids, positions, normals, uv_image, uv_derivatives, depth)


def _towards_camera(normals: Tensor, slopes: Tensor) -> Tensor:
    """Normals on the side of their face that is seen, given (d/dx, d/dy) of x, y and z.

    The face decides and not the interpolated normal, which may point away at a smooth silhouette.
    """
    right, down = slopes[..., 0::2], slopes[..., 1::2]
    facing = torch.linalg.vecdot(torch.linalg.cross(down, right), normals)
    return normals * torch.copysign(torch.ones_like(facing), facing)[..., None]
