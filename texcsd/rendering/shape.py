"""A shape without texture as cameras see it, differentiable in its vertices and its normals.

Painting needs no gradient to positions, and renders faster without; this is for changing the shape.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from texcsd.geometry.edges import Edges, find_edges
from texcsd.rendering import antialias, operations
from texcsd.rendering.cameras import Cameras
from texcsd.rendering.rasterize import Surface, put_row_0_on_top_
from texcsd.rendering.shading import Lights, linear_to_srgb, srgb_to_linear


@dataclass(frozen=True)
class Shape:
    """Triangles whose vertices and normals are being changed."""

    vertices: Tensor
    """float32[vertex, 3], within the unit sphere or hardly beyond; no position occurs twice."""
    faces: Tensor
    """int64[face, 3]."""
    normals: Tensor
    """float32[normal, 3], unit."""
    normal_faces: Tensor
    """int64[face, 3] into normals."""
    edges: Edges | None = None
    """Of the faces, if they are at hand; only silhouettes need them."""
    colors: Tensor | None = None
    """float32[vertex, 3], sRGB in [0, 1], if each vertex has its own."""


@dataclass(frozen=True)
class ShapeView:
    """What cameras see of a shape."""

    surface: Surface
    """Positions and normals are differentiable; uv are 0, there is no texture to look up."""
    rasterization: operations.Rasterization
    clip_positions: Tensor
    """float32[view, vertex, 4], differentiable, as they were rasterized."""
    shape: Shape
    colors: Tensor | None = None
    """float32[view, height, width, 3], of the vertices, if they have any; 0 in the background."""

    def antialias(self, images: Tensor) -> Tensor:
        """Images of this view, float[view, height, width, channel], with smooth silhouettes.

        Without it, images have no gradient to where silhouettes are.
        """
        edges = self.shape.edges or find_edges(self.shape.faces)
        return antialias.antialias(images, self.rasterization, self.clip_positions, edges)


def render_shape(shape: Shape, cameras: Cameras, height: int, width: int) -> ShapeView:
    """Rasterizes a shape; see `rasterize_mesh`, which gives the same surface without gradients."""
    clip_positions = put_row_0_on_top_(cameras.clip_positions(shape.vertices, width / height))
    found = operations.rasterize(clip_positions.detach(), shape.faces, (height, width))
    view, row, column = (found.triangle_ids >= 0).nonzero(as_tuple=True)
    face = found.triangle_ids[view, row, column].long()
    corners = clip_positions[view[:, None], shape.faces[face]]
    weights = _barycentrics(corners, (2 * column + 1) / width - 1, (2 * row + 1) / height - 1)
    places = shape.vertices[shape.faces[face]]
    positions = _blend(places, weights)
    normals = _blend(shape.normals[shape.normal_faces[face]], weights)
    normals = torch.nn.functional.normalize(normals, dim=1)
    normals = _towards_eyes(normals, places.detach(), cameras.eyes[view])

    def image(values: Tensor) -> Tensor:
        blank = values.new_zeros(*found.triangle_ids.shape, values.shape[1])
        return blank.index_put((view, row, column), values)

    surface = Surface(
        coverage=image(torch.ones_like(weights[:, :1])),
        triangle_ids=found.triangle_ids.long(),
        positions=image(positions),
        normals=image(normals),
        uv=weights.new_zeros(*found.triangle_ids.shape, 2),
        uv_derivatives=weights.new_zeros(*found.triangle_ids.shape, 4),
        depth=image(_blend(corners[..., 3:].detach(), weights.detach())),
    )
    colors = None
    if shape.colors is not None:
        colors = image(_blend(shape.colors[shape.faces[face]], weights))
    return ShapeView(surface, found, clip_positions, shape, colors)


def shade_shape(view: ShapeView, color: Tensor, lights: Lights, background: Tensor) -> Tensor:
    """The shape without texture, lit as `shade` does it.

    Args:
        view: Of the shape.
        color: float32[3], or of every pixel, float32[view, height, width, 3], sRGB in [0, 1];
            differentiable.
        lights: One per view.
        background: float[view, 1, 1, 3], sRGB.

    Returns:
        float[view, height, width, 3], sRGB.
    """
    ambient, exposure = lights.ambient[:, None, None, None], lights.exposure[:, None, None, None]
    facing = (view.surface.normals * lights.direction[:, None, None]).sum(-1, keepdim=True)
    light = exposure * (ambient + (1 - ambient) * facing.clamp(min=0))
    lit = linear_to_srgb((srgb_to_linear(color) * light).clamp(0, 1))
    return torch.where(view.surface.coverage > 0, lit, background)


def normal_maps(view: ShapeView, cameras: Cameras) -> Tensor:
    """Normals as colours, x right, y up and z towards the camera; float[view, height, width, 3].

    Each axis goes from -1 at 0 to 1 at 1. Backgrounds look like a wall behind: (1/2, 1/2, 1).
    """
    rotation = cameras.camera_to_world[:, None, None, :3, :3]
    in_camera = (view.surface.normals[..., None, :] @ rotation)[..., 0, :]
    wall = in_camera.new_tensor([0.0, 0.0, 1.0])
    return torch.where(view.surface.coverage > 0, in_camera, wall) / 2 + 0.5


def _barycentrics(corners: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Perspective-correct weights float[pixel, 3] of the corners float[pixel, 3, 4] in clip space.

    Relative to the ray through the pixel, so that small triangles far from the axis lose no digits.
    """
    right = corners[..., 0] - x[:, None] * corners[..., 3]
    down = corners[..., 1] - y[:, None] * corners[..., 3]
    areas = right.roll(-1, 1) * down.roll(-2, 1) - right.roll(-2, 1) * down.roll(-1, 1)
    return areas / areas.sum(1, keepdim=True)


def _blend(values: Tensor, weights: Tensor) -> Tensor:
    """float[pixel, channel] of the corners' float[pixel, 3, channel]."""
    return (values * weights[..., None]).sum(1)


def _towards_eyes(normals: Tensor, corners: Tensor, eyes: Tensor) -> Tensor:
    """Normals on the side of their face that is seen; see `rasterize_mesh`."""
    face = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    seen_from_front = torch.linalg.vecdot(face, eyes - corners[:, 0])
    agrees = torch.linalg.vecdot(face, normals.detach())
    sign = torch.copysign(torch.ones_like(agrees), agrees * seen_from_front)
    return normals * sign[:, None]
