"""Rasterization, interpolation and shading of CPU tensors; see `operations` for their meaning.

Sums are cut into pieces whose size never depends on the number of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.weak import WeakTensorKeyDictionary

from texcsd.rendering import (
    numba_barycentrics,
    numba_interpolate,
    numba_rasterize,
    numba_shading,
    numba_surface,
)
from texcsd.rendering.numba_blocks import Blocks, find_blocks
from texcsd.rendering.numba_kernel import (
    PIXELS_PER_PIECE,
    ROWS_PER_PIECE,
    as_array,
    cut,
    run_pieces,
)
from texcsd.rendering.own_indices import own_indices
from texcsd.rendering.result_memory import new_image

_known_blocks = WeakTensorKeyDictionary()
"""The Blocks of triangles, by the first of them and the last plus one, as long as these live."""


def visible_triangles(
    clip_positions: Tensor,
    triangles: Tensor,
    resolution: tuple[int, int],
    ranges: Tensor | None,
    layers: int = 1,
) -> list[Tensor]:
    """Ids int32[view, height, width] of the nearest triangles, and of those behind, layer by layer.

    Args:
        clip_positions: float32[view, vertex, 4], or float32[vertex, 4] with ranges.
        triangles: int32[triangle, 3], as `own_indices` has them.
        resolution: Height and width.
        ranges: int[view, 2]: first triangle and count.
        layers: How many; at least 1.
    """
    height, width = resolution
    positions = as_array(clip_positions, np.float32)
    views = len(positions) if ranges is None else len(ranges)
    blocks = _blocks_of_views(positions, triangles, ranges, views)
    columns = numba_rasterize.padded(width)
    ids = new_image((layers, views, height, width), np.int32)
    pieces, own = _row_pieces(views, height, width, len(triangles)), threading.local()
    most_rows = max((last - first for _, first, last in pieces), default=0)

    def run(piece: tuple[int, int, int]) -> None:
        view, first_row, last_row = piece
        if not hasattr(own, "depths"):  # memory that is new costs more than what is done with it
            own.depths = new_image((min(layers, 2), most_rows, columns), np.float64)
            own.ids = new_image((most_rows, columns), np.int32)
        peeled, corners = None, _of_view(positions, view)
        for layer in range(layers):
            found = own.ids[: last_row - first_row]
            nearest = own.depths[layer % 2, : len(found)]
            found.fill(-1)
            nearest.fill(numba_rasterize.BEYOND)
            numba_rasterize.find_visible(
                corners, blocks[view], first_row, resolution, peeled, nearest, found
            )
            ids[layer, view, first_row:last_row] = found[:, :width]
            peeled = nearest

    run_pieces(run, pieces)
    return [torch.from_numpy(layer) for layer in ids]


def _blocks_of_views(
    positions: np.ndarray, triangles: Tensor, ranges: Tensor | None, views: int
) -> list[Blocks]:
    """The blocks of every view's triangles: those of the last call, if it had the same."""
    spans, faces = _face_spans(ranges, views, len(triangles)), as_array(triangles, np.int32)
    known: dict[tuple[int, int], Blocks] = _known_blocks.get(triangles) or {}
    found: dict[tuple[int, int], Blocks] = {}
    for view, span in enumerate(spans):
        if span not in found:
            found[span] = known.get(span) or find_blocks(_of_view(positions, view), faces, span)
    _known_blocks[triangles] = found
    return [found[span] for span in spans]


def barycentrics(clip_positions: Tensor, triangles: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Rast and rast_db of visible triangles, differentiable; as `torch_operations.barycentrics`."""
    rast, rast_db = _Barycentrics.apply(clip_positions, triangles, ids)
    return rast, rast_db


def surface(
    clip_positions: Tensor,
    clip_faces: Tensor,
    mesh: Sequence[Tensor],
    resolution: tuple[int, int],
    turn_normals: bool,
) -> tuple[Tensor, ...]:
    """Returns the triangle ids, int32[view, height, width], and images float32[..., channel].

    Args:
        clip_positions: float32[view, vertex, 4].
        clip_faces: int[face, 3] into them.
        mesh: vertices, faces, normals, their faces, uv, their faces.
        resolution: Height and width.
        turn_normals: Whether to turn normals to the side of their face that is seen.

    Returns:
        The ids; positions, unit normals, uv, uv derivatives, depth.
    """
    own = {id(faces): own_indices(faces).numbers for faces in (clip_faces, *mesh[1::2])}
    (ids,) = visible_triangles(clip_positions, own[id(clip_faces)], resolution, None)
    seen, (views, height, width) = ids.numpy(), ids.shape
    positions, faces = as_array(clip_positions, np.float32), own[id(clip_faces)].numpy()
    arrays = tuple(
        own[id(tensor)].numpy() if id(tensor) in own else as_array(tensor, np.float32)
        for tensor in mesh
    )
    images = [new_image((views, height, width, channels)) for channels in (3, 3, 2, 4, 1)]

    def run(piece: tuple[int, int, int]) -> None:
        view, first_row, last_row = piece
        rows = (view, slice(first_row, last_row))
        triangles, pictures = (positions[view], faces), tuple(image[rows] for image in images)
        for picture in pictures:
            picture.fill(0)
        numba_surface.fill_surface(
            *triangles, first_row, height, arrays, turn_normals, seen[rows], pictures
        )

    run_pieces(run, _row_pieces(views, height, width))
    return ids, *(torch.from_numpy(image) for image in images)


def interpolate(
    attributes: Tensor,
    rast: Tensor,
    rast_db: Tensor,
    ids: Tensor,
    triangles: Tensor,
    channels: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Returns the values, and the slopes of some channels, differentiable in all float tensors."""
    chosen = np.array(channels, np.int64)
    values, slopes = _Interpolate.apply(attributes, rast, rast_db, ids, triangles, chosen)
    return values, slopes


def shade(
    colors: Tensor,
    normals: Tensor,
    coverage: Tensor,
    lights: tuple[Tensor, Tensor, Tensor],
    background: Tensor,
) -> Tensor:
    """`shading.shade`, differentiable in the colors; lights are direction, ambient, exposure."""
    result = _Shade.apply(colors, normals, coverage, *lights, background)
    assert isinstance(result, Tensor)
    return result


class _Barycentrics(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, clip_positions: Tensor, triangles: Tensor, ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        positions, faces = as_array(clip_positions, np.float32), as_array(triangles, np.int32)
        seen, (views, height, width) = as_array(ids, np.int32), ids.shape
        rast, rast_db = (new_image((views, height, width, 4)) for _ in range(2))

        def run(piece: tuple[int, int, int]) -> None:
            view, first_row, last_row = piece
            rows = (view, slice(first_row, last_row))
            numba_barycentrics.fill_visible(
                _of_view(positions, view), faces, first_row, height,
                seen[rows], rast[rows], rast_db[rows],
            )  # fmt: skip

        run_pieces(run, _row_pieces(views, height, width))
        ctx.save_for_backward(clip_positions, triangles, ids)
        return torch.from_numpy(rast), torch.from_numpy(rast_db)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        clip_positions, triangles, ids = ctx.saved_tensors
        positions, faces = as_array(clip_positions, np.float32), as_array(triangles, np.int32)
        upstream = tuple(as_array(gradient, np.float32) for gradient in gradients)
        views, seen = len(ids), as_array(ids, np.int32)
        gradient = np.zeros((views, *positions.shape[-2:]), np.float64)

        def run(view: int) -> None:
            to_rast, to_rast_db = (images[view] for images in upstream)
            numba_barycentrics.scatter_gradient(
                _of_view(positions, view), faces, seen[view], to_rast, to_rast_db, gradient[view]
            )

        run_pieces(run, range(views))
        if clip_positions.ndim == 2:
            gradient = gradient.sum(0)
        return torch.from_numpy(gradient).float(), None, None


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        attributes: Tensor,
        rast: Tensor,
        rast_db: Tensor,
        ids: Tensor,
        triangles: Tensor,
        channels: np.ndarray,
    ) -> tuple[Tensor, ...]:
        visible = _visible(attributes, rast, rast_db, ids, triangles)
        pixels, pixels_per_view = ids.numel(), ids.shape[1] * ids.shape[2]
        # What comes out is no view of torch's, so that it may be changed in place.
        images = [
            new_image((*ids.shape, count)) for count in (attributes.shape[2], 2 * len(channels))
        ]
        outputs = [image.reshape(pixels, image.shape[3]) for image in images]

        def run(piece: tuple[int, int]) -> None:
            numba_interpolate.interpolate(*visible, channels, pixels_per_view, *piece, *outputs)

        run_pieces(run, cut(pixels, PIXELS_PER_PIECE))
        ctx.save_for_backward(attributes, rast, rast_db, ids, triangles)
        ctx.channels = channels
        return tuple(torch.from_numpy(image) for image in images)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        attributes, rast, rast_db, ids, triangles = ctx.saved_tensors
        visible = _visible(attributes, rast, rast_db, ids, triangles)
        upstream = tuple(
            as_array(g, np.float32).reshape(ids.numel(), g.shape[-1]) for g in gradients
        )
        pixels_per_view = ids.shape[1] * ids.shape[2]
        to_values = to_rast = to_rast_db = None
        if ctx.needs_input_grad[0]:
            to_values = _value_gradients(
                attributes.shape, len(ids), visible, ctx.channels, upstream
            )
        if any(ctx.needs_input_grad[1:3]):
            to_rast, to_rast_db = torch.zeros_like(rast), torch.zeros_like(rast_db)
            outputs = to_rast.view(-1, 4).numpy(), to_rast_db.view(-1, 4).numpy()

            def run(piece: tuple[int, int]) -> None:
                numba_interpolate.rast_gradient(
                    *visible[:3], ctx.channels, pixels_per_view, *upstream, *piece, *outputs
                )

            run_pieces(run, cut(ids.numel(), PIXELS_PER_PIECE))
        return to_values, to_rast, to_rast_db, None, None, None


def _visible(
    attributes: Tensor, rast: Tensor, rast_db: Tensor, ids: Tensor, triangles: Tensor
) -> tuple[np.ndarray, ...]:
    """Values, faces, and per pixel of all views: ids, rast, rast_db."""
    return (
        as_array(attributes, np.float32),
        as_array(triangles, np.int32),
        as_array(ids, np.int32).reshape(-1),
        as_array(rast, np.float32).reshape(-1, 4),
        as_array(rast_db, np.float32).reshape(-1, 4),
    )


def _value_gradients(
    shape: torch.Size,
    views: int,
    visible: tuple[np.ndarray, ...],
    channels: np.ndarray,
    upstream: tuple[np.ndarray, ...],
) -> Tensor:
    """Gradient to attributes of this shape; each view sums for itself."""
    gradient = np.zeros((views, *shape[1:]), np.float64)
    pixels_per_view = len(visible[2]) // max(views, 1)

    def run(view: int) -> None:
        first = view * pixels_per_view
        numba_interpolate.value_gradient(
            *visible[1:], channels, *upstream, first, first + pixels_per_view, gradient[view]
        )

    run_pieces(run, range(views))
    if shape[0] != views:
        gradient = gradient.sum(0, keepdims=True)
    return torch.from_numpy(gradient).float()


def _of_view(positions: np.ndarray, view: int) -> np.ndarray:
    """Vertices of one view, of float32[view, vertex, 4] or the same float32[vertex, 4] for all."""
    return positions if positions.ndim == 2 else positions[view]


def _face_spans(ranges: Tensor | None, views: int, faces: int) -> list[tuple[int, int]]:
    """First face and last plus one of every view."""
    if ranges is None:
        return [(0, faces)] * views
    return [(first, first + count) for first, count in ranges.tolist()]


class _Shade(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        colors, normals, coverage, *lights, background = (
            as_array(tensor, np.float32) for tensor in inputs
        )
        factors, roots, output = (
            new_image(shape) for shape in (colors.shape[:3], colors.shape[:3], colors.shape)
        )

        def run(piece: tuple[int, int]) -> None:
            images = colors, normals, coverage, tuple(lights), background
            numba_shading.shade(*images, *piece, factors, roots, output)

        run_pieces(run, cut(colors.shape[0] * colors.shape[1], ROWS_PER_PIECE // 4))
        ctx.arrays = (colors.reshape(-1, 3), factors.reshape(-1), roots.reshape(-1))
        return torch.from_numpy(output)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *output_gradients: Tensor) -> tuple[Tensor | None, ...]:
        upstream = as_array(output_gradients[0], np.float32).reshape(-1, 3)
        gradient = new_image(upstream.shape)

        def run(piece: tuple[int, int]) -> None:
            numba_shading.shade_gradient(*ctx.arrays, upstream, *piece, gradient)

        run_pieces(run, cut(len(gradient), PIXELS_PER_PIECE))
        to_colors = torch.from_numpy(gradient).view(output_gradients[0].shape)
        return to_colors, *(None,) * 6


def _row_pieces(views: int, height: int, width: int, faces: int = 0) -> list[tuple[int, int, int]]:
    """Views, the first row of a piece in them, and the last plus one; no pixel depends on them.

    If each piece has to look at so many faces, pieces are large where all threads still have work.
    """
    rows = ROWS_PER_PIECE
    if faces > rows * width and views >= torch.get_num_threads():
        rows = max(height, 1)
    return [(view, *bounds) for view in range(views) for bounds in cut(height, rows)]
