"""Rasterization, interpolation and shading of CPU tensors; see `operations` for their meaning.

Work is cut into pieces whose size never depends on the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from texcsd.rendering import numba_rasterize, numba_shading, numba_surface
from texcsd.rendering.numba_kernel import (
    PIXELS_PER_PIECE,
    ROWS_PER_PIECE,
    as_array,
    cut,
    run_pieces,
)


def rasterize(
    clip_positions: Tensor, triangles: Tensor, resolution: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns rast, rast_db and the triangle ids, int32[view, height, width]."""
    height, width = resolution
    views = clip_positions.shape[0]
    positions, faces = as_array(clip_positions, np.float32), as_array(triangles, np.int32)
    ids = np.full((views, height, width), -1, np.int32)
    rast = np.zeros((views, height, width, 4), np.float32)
    rast_db = np.zeros((views, height, width, 4), np.float32)

    def run(piece: tuple[int, int]) -> None:
        view, first_row = piece
        rows = (view, slice(first_row, first_row + ROWS_PER_PIECE))
        triangles = (positions[view], faces, first_row, height)
        numba_rasterize.find_visible(*triangles, ids[rows])
        numba_rasterize.fill_visible(*triangles, ids[rows], rast[rows], rast_db[rows])

    run_pieces(run, _row_pieces(views, height))
    return torch.from_numpy(rast), torch.from_numpy(rast_db), torch.from_numpy(ids)


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
    height, width = resolution
    views = clip_positions.shape[0]
    positions, faces = as_array(clip_positions, np.float32), as_array(clip_faces, np.int32)
    kinds = (np.float32, np.int32) * 3
    arrays = tuple(as_array(tensor, kind) for tensor, kind in zip(mesh, kinds, strict=True))
    ids = np.full((views, height, width), -1, np.int32)
    images = [
        np.zeros((views, height, width, channels), np.float32) for channels in (3, 3, 2, 4, 1)
    ]

    def run(piece: tuple[int, int]) -> None:
        view, first_row = piece
        rows = (view, slice(first_row, first_row + ROWS_PER_PIECE))
        triangles = (positions[view], faces, first_row, height)
        numba_rasterize.find_visible(*triangles, ids[rows])
        pictures = tuple(image[rows] for image in images)
        numba_surface.fill_surface(*triangles, arrays, turn_normals, ids[rows], pictures)

    run_pieces(run, _row_pieces(views, height))
    return torch.from_numpy(ids), *(torch.from_numpy(image) for image in images)


def interpolate(
    attributes: Tensor, rast: Tensor, rast_db: Tensor | None, ids: Tensor, triangles: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Returns the values, and their slopes if rast_db is given."""
    values, faces = as_array(attributes, np.float32), as_array(triangles, np.int32)
    channels, pixels = values.shape[2], ids.numel()
    weights = as_array(rast, np.float32).reshape(-1, 4)
    weight_slopes = weights if rast_db is None else as_array(rast_db, np.float32).reshape(-1, 4)
    visible = (as_array(ids, np.int32).reshape(-1), weights, weight_slopes)
    output = np.empty((pixels, channels), np.float32)
    slopes = np.empty((0 if rast_db is None else pixels, 2 * channels), np.float32)
    pixels_per_view = ids.shape[1] * ids.shape[2]

    def run(piece: tuple[int, int]) -> None:
        numba_rasterize.interpolate_attributes(
            values, faces, *visible, pixels_per_view, *piece, output, slopes
        )

    run_pieces(run, cut(pixels, PIXELS_PER_PIECE))
    result = torch.from_numpy(output).view(*ids.shape, channels)
    return result, None if rast_db is None else torch.from_numpy(slopes).view(*ids.shape, -1)


def relight(colors: Tensor, light: Tensor) -> Tensor:
    """`shading.relight`: colours float32[..., 3] under light float32[..., 1]."""
    result = _Relight.apply(colors, light)
    assert isinstance(result, Tensor)
    return result


class _Relight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, colors: Tensor, light: Tensor) -> Tensor:
        values = as_array(colors, np.float32).reshape(-1, colors.shape[-1])
        factors = as_array(light, np.float32).reshape(-1)
        roots, output = np.empty_like(factors), np.empty_like(values)

        def run(piece: tuple[int, int]) -> None:
            numba_shading.relight(values, factors, *piece, roots, output)

        run_pieces(run, cut(len(values), PIXELS_PER_PIECE))
        ctx.arrays = (values, factors, roots)
        return torch.from_numpy(output).view(colors.shape)

    @staticmethod
    def backward(ctx: Any, *output_gradients: Tensor) -> tuple[Tensor, None]:
        upstream = as_array(output_gradients[0], np.float32).reshape(ctx.arrays[0].shape)
        gradient = np.empty_like(upstream)

        def run(piece: tuple[int, int]) -> None:
            numba_shading.relight_gradient(*ctx.arrays, upstream, *piece, gradient)

        run_pieces(run, cut(len(gradient), PIXELS_PER_PIECE))
        return torch.from_numpy(gradient).view(output_gradients[0].shape), None


def _row_pieces(views: int, height: int) -> list[tuple[int, int]]:
    """Views and the first of a piece's rows in them."""
    first_rows = range(0, height, ROWS_PER_PIECE)
    return [(view, first_row) for view in range(views) for first_row in first_rows]
