"""Silhouettes antialiased by walking along their edges, in torch: the gradient of what is seen.

Rasterization jumps where a silhouette crosses a pixel centre, and so tells nothing of how an image
changes when the shape does. Here the two pixels beside a silhouette are blended by where between
their centres it runs, which depends smoothly on the vertices of its edge.

That silhouettes alone carry this gradient is the idea of Laine et al. 2020, "Modular primitives for
high-performance differentiable rendering". Edges are walked, and not looked for in the triangle
that a pixel shows: so the gradient is the true one also where triangles are smaller than pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from texcsd.geometry.edges import Edges
from texcsd.rendering.arguments import bounds, expect_floats, expect_shape
from texcsd.rendering.operations import Rasterization

BEHIND_ALL = 2.0
"""Depth of the background; what is visible lies within -1 and 1."""


class _Crossings(NamedTuple):
    """Where silhouettes run between two neighbouring pixel centres."""

    first: Tensor
    """int64[crossing], flat index of the pixel on the left or above."""
    second: Tensor
    """int64[crossing], of the other one."""
    place: Tensor
    """float[crossing], 0 at the centre of the first and 1 at that of the second; differentiable."""
    depth: Tensor
    """float[crossing], z/w of the edge."""

    def pick(self, chosen: Tensor) -> _Crossings:
        return _Crossings(*(values[chosen] for values in self))


def antialias(
    images: Tensor, rasterization: Rasterization, clip_positions: Tensor, edges: Edges
) -> Tensor:
    """Blends pixels across silhouettes; differentiable in the images and in the clip positions.

    A silhouette is an edge with both its faces on one side, or without exactly two faces; how faces
    are wound does not matter. If it runs between the centres of two pixels, d pixels from that of
    the nearer surface, that surface covers d - 1/2 of the other pixel, or lacks 1/2 - d of its own.
    Edges that reach behind the eye, or to where there is no
    number, are left as they are.

    Args:
        images: float[view, height, width, channel], of what was rasterized, background included.
        rasterization: Of the same positions, in the same row order.
        clip_positions: float[view, vertex, 4].
        edges: Of the triangles that were rasterized, with equal positions welded.

    Returns:
        float[view, height, width, channel].

    Raises:
        ValueError: The tensors do not fit together, or there are no such vertices.
    """
    _check(images, rasterization, clip_positions, edges)
    height, width = images.shape[1:3]
    depth = torch.where(rasterization.triangle_ids < 0, BEHIND_ALL, rasterization.rast[..., 2])
    depth, ids = depth.reshape(-1), rasterization.triangle_ids.reshape(-1)
    crossings = _find_crossings(clip_positions, edges, height, width)
    first, second = depth[crossings.first], depth[crossings.second]
    different = ids[crossings.first] != ids[crossings.second]
    in_sight = crossings.depth.detach() <= torch.maximum(first, second)
    chosen = different & in_sight
    crossings, first_is_near = crossings.pick(chosen), (first <= second)[chosen]
    place = crossings.place.clamp(0, 1)
    distance = torch.where(first_is_near, place, 1 - place)
    outermost = _outermost(crossings, distance.detach())
    crossings, first_is_near = crossings.pick(outermost), first_is_near[outermost]
    lacking = 0.5 - distance[outermost]
    # The near pixel takes of the far one what its surface lacks, or else the far one of the near.
    changes_first = first_is_near == (lacking > 0)
    changed = torch.where(changes_first, crossings.first, crossings.second)
    source = torch.where(changes_first, crossings.second, crossings.first)
    colors = images.flatten(0, 2)
    # The gradients of indexing would be sums in an order that depends on the number of threads.
    own, other = (colors.index_select(0, pixels) for pixels in (changed, source))
    blend = lacking.abs()[:, None].to(colors) * (other - own)
    return colors.index_add(0, changed, blend).view(images.shape)


def antialias_ranges(
    images: Tensor, rasterization: Rasterization, clip_positions: Tensor, edges: Sequence[Edges]
) -> Tensor:
    """`antialias` of views that show ranges of triangles, with the positions of all of them.

    Args:
        images: float[view, height, width, channel].
        rasterization: Of the same positions and ranges.
        clip_positions: float[vertex, 4]; the gradient is the sum over the views.
        edges: For each view those of the triangles it shows.
    """
    smooth = [images[:0]]
    for view, own in zip(range(len(images)), edges, strict=True):
        part = slice(view, view + 1)
        found = Rasterization(*(image[part] for image in rasterization))
        smooth.append(antialias(images[part], found, clip_positions[None], own))
    return torch.cat(smooth)


def _check(
    images: Tensor, rasterization: Rasterization, clip_positions: Tensor, edges: Edges
) -> None:
    expect_shape("images", images, view=None, height=None, width=None, channel=None)
    views, height, width = images.shape[:3]
    pixels = {"view": views, "height": height, "width": width}
    expect_shape("rast", rasterization.rast, **pixels, channel=4)
    expect_shape("triangle_ids", rasterization.triangle_ids, **pixels)
    expect_shape("clip_positions", clip_positions, view=views, vertex=None, coordinate=4)
    expect_floats(images=images, clip_positions=clip_positions)
    last = max(bounds(edges.vertices)[1], bounds(edges.opposite)[1])
    if last >= clip_positions.shape[1]:
        raise ValueError(f"edges name vertex {last}; there are {clip_positions.shape[1]}")


def _find_crossings(clip_positions: Tensor, edges: Edges, height: int, width: int) -> _Crossings:
    view, edge = _silhouettes(clip_positions.detach(), edges)
    corners = view[:, None] * clip_positions.shape[1] + edges.vertices[edge]
    ends = clip_positions.flatten(0, 1).index_select(0, corners.flatten()).view(-1, 2, 4)
    # In float64, as an end may lie far beyond the image, and so does what its gradient passes.
    x, y, z = (ends[..., :3].double() / ends[..., 3:]).unbind(-1)
    x, y = (x + 1) / 2 * width, (y + 1) / 2 * height
    steep = (y[:, 1] - y[:, 0]).abs() >= (x[:, 1] - x[:, 0]).abs()
    start = view * (height * width)
    flat = ~steep
    rows = _walk(y[steep], x[steep], z[steep], start[steep], (height, width), strides=(width, 1))
    columns = _walk(x[flat], y[flat], z[flat], start[flat], (width, height), strides=(1, width))
    return _Crossings(*(torch.cat(pair) for pair in zip(rows, columns, strict=True)))


def _silhouettes(clip_positions: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
    """The view and the edge of every silhouette, int64[silhouette] each."""
    if clip_positions.device.type == "cpu":
        from texcsd.rendering.numba_silhouettes import are_silhouettes

        view, edge = are_silhouettes(clip_positions, edges).nonzero(as_tuple=True)
        return view, edge
    return _silhouettes_in_torch(clip_positions, edges)


def _silhouettes_in_torch(clip_positions: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
    """The same on any device."""
    points = clip_positions[..., [0, 1, 3]]
    sound = clip_positions.isfinite().all(-1) & (points[..., 2] > 0)
    first, second = points[:, edges.vertices[:, 0]], points[:, edges.vertices[:, 1]]
    # The plane through the eye and the edge; homogeneous, so right also for points behind the eye.
    plane = torch.linalg.cross(first, second)
    one, other = ((plane * points[:, edges.opposite[:, side]]).sum(-1) for side in (0, 1))
    sound = sound[:, edges.vertices].all(-1)
    view, edge = ((~edges.paired | (one * other >= 0)) & sound).nonzero(as_tuple=True)
    return view, edge


def _walk(
    along: Tensor,
    across: Tensor,
    depth: Tensor,
    start: Tensor,
    lengths: tuple[int, int],
    strides: tuple[int, int],
) -> _Crossings:
    """Where edges cross the lines through pixel centres that run across them.

    Args:
        along: float[edge, 2], where the ends are on the edge's longer axis, in pixels.
        across: float[edge, 2], on the other axis.
        depth: float[edge, 2].
        start: int64[edge], flat index of the first pixel of the view.
        lengths: Pixels along and across.
        strides: Steps of the flat index along and across.
    """
    # Half-open, so that a vertex on such a line belongs to one of its edges.
    low, high = ((bound - 0.5).ceil() for bound in along.detach().aminmax(dim=1))
    low, high = (bound.clamp(0, lengths[0]).long() for bound in (low, high))
    edge = torch.arange(len(along), device=along.device).repeat_interleave(high - low)
    before = (high - low).cumsum(0) - (high - low)
    line = low[edge] + torch.arange(len(edge), device=edge.device) - before[edge]
    # Not indexed: that gradient is summed in an order that depends on the number of threads.
    (along0, along1), (across0, across1), (depth0, depth1) = (
        [end.index_select(0, edge) for end in ends.unbind(1)] for ends in (along, across, depth)
    )
    share = (line + 0.5 - along0) / (along1 - along0)
    place = across0 + share * (across1 - across0) - 0.5
    z = depth0 + share * (depth1 - depth0)
    # Of an upright or level edge right through a centre, the pixels on its left, or below: it is
    # the pixel on its right, or above, that `operations.rasterize` holds for the one inside.
    pixel = place.detach().ceil() - 1
    within = (pixel >= 0) & (pixel < lengths[1] - 1)
    pixel, line, edge = pixel[within].long(), line[within], edge[within]
    first = start[edge] + line * strides[0] + pixel * strides[1]
    return _Crossings(first, first + strides[1], place[within] - pixel, z[within])


def _outermost(crossings: _Crossings, distance: Tensor) -> Tensor:
    """For each pair of pixels the crossing farthest from the nearer surface, int64[pair]."""
    order = distance.argsort(stable=True)
    pairs = torch.stack([crossings.first, crossings.second], 1)[order]
    below = pairs[:, 1] - pairs[:, 0] > 1
    keys, by_pair = (2 * pairs[:, 0] + below).sort(stable=True)
    last = torch.ones_like(keys, dtype=torch.bool)
    last[:-1] = keys[1:] != keys[:-1]
    return order[by_pair[last]]
