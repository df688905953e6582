"""Rasterization, interpolation and texturing of CPU tensors; see `operations` for their meaning.

Work is cut into pieces whose size never depends on the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from texcsd.rendering import numba_rasterize, numba_shading, numba_surface, numba_texture
from texcsd.rendering.numba_kernel import run_pieces

ROWS_PER_PIECE = 256
PIXELS_PER_PIECE = 1 << 14
VALUES_PER_PIECE = 1 << 15
"""Few enough for torch to compute a piece on one thread, so that where pieces end is up to us."""


def rasterize(
    clip_positions: Tensor, triangles: Tensor, resolution: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns rast, rast_db and the triangle ids, int32[view, height, width]."""
    height, width = resolution
    views = clip_positions.shape[0]
    positions, faces = _array(clip_positions, np.float32), _array(triangles, np.int32)
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
    positions, faces = _array(clip_positions, np.float32), _array(clip_faces, np.int32)
    kinds = (np.float32, np.int32) * 3
    arrays = tuple(_array(tensor, kind) for tensor, kind in zip(mesh, kinds, strict=True))
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
    values, faces = _array(attributes, np.float32), _array(triangles, np.int32)
    channels, pixels = values.shape[2], ids.numel()
    weights = _array(rast, np.float32).reshape(-1, 4)
    weight_slopes = weights if rast_db is None else _array(rast_db, np.float32).reshape(-1, 4)
    visible = (_array(ids, np.int32).reshape(-1), weights, weight_slopes)
    output = np.empty((pixels, channels), np.float32)
    slopes = np.empty((0 if rast_db is None else pixels, 2 * channels), np.float32)
    pixels_per_view = ids.shape[1] * ids.shape[2]

    def run(piece: tuple[int, int]) -> None:
        numba_rasterize.interpolate_attributes(
            values, faces, *visible, pixels_per_view, *piece, output, slopes
        )

    run_pieces(run, _pieces(pixels, PIXELS_PER_PIECE))
    result = torch.from_numpy(output).view(*ids.shape, channels)
    return result, None if rast_db is None else torch.from_numpy(slopes).view(*ids.shape, -1)


def texture(image: Tensor, uv: Tensor, uv_derivatives: Tensor, boundary: str) -> Tensor:
    """Returns the colours, differentiable in the image."""
    result = _Texture.apply(image, uv, uv_derivatives, boundary == "clamp")
    assert isinstance(result, Tensor)
    return result


def compose_pyramid(levels: Sequence[Tensor]) -> Tensor:
    """Returns the image, differentiable in every level."""
    result = _Pyramid.apply(*levels)
    assert isinstance(result, Tensor)
    return result


def relight(colors: Tensor, light: Tensor) -> Tensor:
    """`shading.relight`: colours float32[..., 3] under light float32[..., 1]."""
    result = _Relight.apply(colors, light)
    assert isinstance(result, Tensor)
    return result


def count_pixels(ids: Tensor, uv: Tensor, counts: Tensor) -> None:
    """`texture.count_pixels` of ids int64[...] and uv float32[..., 2]."""
    flat_uv = _array(uv, np.float32).reshape(-1, 2)
    numba_texture.count_pixels(_array(ids, np.int64).reshape(-1), flat_uv, counts.numpy())


class _Texture(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, uv: Tensor, uv_derivatives: Tensor, clamp: bool) -> Tensor:
        images, channels = image.shape[0], image.shape[3]
        levels = mip_levels(image.shape[1], image.shape[2])
        lookup = (
            levels,
            _array(uv, np.float32).reshape(-1, 2),
            _array(uv_derivatives, np.float32).reshape(-1, 4),
            uv.shape[1] * uv.shape[2],
            clamp,
            tuple(range(channels)),
        )
        base = _array(image, np.float32).reshape(images, -1, channels)
        mips = np.empty((images, _mip_texels(levels), channels), np.float32)
        output = np.empty((uv.shape[:3].numel(), channels), np.float32)

        def build(index: int) -> None:
            numba_texture.build_mips(base[index], mips[index], levels, lookup[-1])

        def sample(piece: tuple[int, int]) -> None:
            numba_texture.sample_mips(base, mips, *lookup, *piece, output)

        run_pieces(build, range(images))
        run_pieces(sample, _pieces(len(output), PIXELS_PER_PIECE))
        ctx.lookup, ctx.image_shape = lookup, image.shape
        return torch.from_numpy(output).view(*uv.shape[:3], channels)

    @staticmethod
    def backward(ctx: Any, *output_gradients: Tensor) -> tuple[Tensor, None, None, None]:
        lookup, shape = ctx.lookup, ctx.image_shape
        images, channels, levels = shape[0], shape[3], lookup[0]
        upstream = _array(output_gradients[0], np.float32).reshape(-1, channels)
        base = np.zeros((images, shape[1] * shape[2], channels), np.float32)
        mips = np.zeros((images, _mip_texels(levels), channels), np.float32)
        bands = torch.get_num_threads()

        def scatter(band: int) -> None:
            numba_texture.scatter_gradient(upstream, *lookup, band, bands, base, mips)

        def collapse(index: int) -> None:
            numba_texture.collapse_mips(base[index], mips[index], levels, lookup[-1])

        run_pieces(scatter, range(bands))
        run_pieces(collapse, range(images))
        return torch.from_numpy(base).view(shape), None, None, None


class _Pyramid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *levels: Tensor) -> Tensor:
        shapes = [level.shape for level in levels]
        first, *others = (_array(level, np.float32)[0] for level in levels)
        sums = first if others else first.copy()  # what comes in must not change
        for level in others:
            sums = _add_enlarged(sums, level)
        values = torch.from_numpy(sums).view(-1)

        def run(piece: tuple[int, int]) -> None:
            values[piece[0] : piece[1]].sigmoid_()

        run_pieces(run, _pieces(len(values), VALUES_PER_PIECE))
        colors = values.view(shapes[-1])
        ctx.save_for_backward(colors)
        ctx.shapes = shapes
        return colors

    @staticmethod
    def backward(ctx: Any, *output_gradients: Tensor) -> tuple[Tensor, ...]:
        colors = _array(ctx.saved_tensors[0], np.float32).reshape(-1)
        upstream = _array(output_gradients[0], np.float32).reshape(-1)
        gradient = np.empty(ctx.shapes[-1], np.float32)
        flat = gradient.reshape(-1)

        def run(piece: tuple[int, int]) -> None:
            part = slice(*piece)
            numba_texture.sigmoid_gradient(colors[part], upstream[part], flat[part])

        run_pieces(run, _pieces(len(flat), VALUES_PER_PIECE))
        gradients = [gradient]
        for shape in reversed(ctx.shapes[:-1]):
            gradients.insert(0, _shrink_gradient(gradients[0][0], shape[1:3])[None])
        return tuple(torch.from_numpy(array) for array in gradients)


class _Relight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, colors: Tensor, light: Tensor) -> Tensor:
        values = _array(colors, np.float32).reshape(-1, colors.shape[-1])
        factors = _array(light, np.float32).reshape(-1)
        roots, output = np.empty_like(factors), np.empty_like(values)

        def run(piece: tuple[int, int]) -> None:
            numba_shading.relight(values, factors, *piece, roots, output)

        run_pieces(run, _pieces(len(values), PIXELS_PER_PIECE))
        ctx.arrays = (values, factors, roots)
        return torch.from_numpy(output).view(colors.shape)

    @staticmethod
    def backward(ctx: Any, *output_gradients: Tensor) -> tuple[Tensor, None]:
        upstream = _array(output_gradients[0], np.float32).reshape(ctx.arrays[0].shape)
        gradient = np.empty_like(upstream)

        def run(piece: tuple[int, int]) -> None:
            numba_shading.relight_gradient(*ctx.arrays, upstream, *piece, gradient)

        run_pieces(run, _pieces(len(gradient), PIXELS_PER_PIECE))
        return torch.from_numpy(gradient).view(output_gradients[0].shape), None


def _add_enlarged(coarse: np.ndarray, fine: np.ndarray) -> np.ndarray:
    output = np.empty_like(fine)
    channels = tuple(range(fine.shape[2]))

    def run(piece: tuple[int, int]) -> None:
        numba_texture.add_enlarged(coarse, fine, channels, *piece, output)

    run_pieces(run, _pieces(len(fine), ROWS_PER_PIECE))
    return output


def _shrink_gradient(fine: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Gradient of the coarse image of `_add_enlarged`, float32[*size, channel]."""
    rows, columns = size
    channels = tuple(range(fine.shape[2]))
    flat = np.empty((rows, fine.shape[1], fine.shape[2]), np.float32)
    coarse = np.empty((rows, columns, fine.shape[2]), np.float32)

    def run(piece: tuple[int, int]) -> None:
        numba_texture.shrink_rows(fine.reshape(len(fine), -1), *piece, flat.reshape(rows, -1))
        numba_texture.shrink_columns(flat, channels, *piece, coarse)

    run_pieces(run, _pieces(rows, ROWS_PER_PIECE // 4))
    return coarse


def mip_levels(height: int, width: int) -> np.ndarray:
    """Rows (height, width, first texel) of each mip level, halved and rounded down until 1 x 1.

    Levels from 1 on lie one behind another in one buffer; level 0 is the texture itself.
    """
    levels, first = [(height, width, 0)], 0
    while height > 1 or width > 1:
        height, width = max(1, height // 2), max(1, width // 2)
        levels.append((height, width, first))
        first += height * width
    return np.array(levels, np.int64)


def _mip_texels(levels: np.ndarray) -> int:
    return int((levels[1:, 0] * levels[1:, 1]).sum())


def _row_pieces(views: int, height: int) -> list[tuple[int, int]]:
    """Views and the first of a piece's rows in them."""
    first_rows = range(0, height, ROWS_PER_PIECE)
    return [(view, first_row) for view in range(views) for first_row in first_rows]


def _pieces(count: int, size: int) -> list[tuple[int, int]]:
    return [(first, min(first + size, count)) for first in range(0, count, size)]


def _array(tensor: Tensor, dtype: Any) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy(), dtype)
