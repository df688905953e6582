"""Textures of CPU tensors; see `operations` for their meaning.

Work is cut into pieces whose size never depends on the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from texcsd.rendering import numba_mips, numba_pyramid, numba_texture
from texcsd.rendering.numba_kernel import (
    PIXELS_PER_PIECE,
    ROWS_PER_PIECE,
    as_array,
    cut,
    run_pieces,
)
from texcsd.rendering.result_memory import new_image

VALUES_PER_PIECE = 1 << 15
"""Few enough for torch to compute a piece on one thread, so that where pieces end is up to us."""
BOUNDARIES = {"wrap": numba_texture.WRAP, "clamp": numba_texture.CLAMP, "zero": numba_texture.ZERO}
FILTERS = {
    "nearest": (True, numba_texture.NO_MIPS),
    "linear": (False, numba_texture.NO_MIPS),
    "linear-mipmap-nearest": (False, numba_texture.NEAREST_MIP),
    "linear-mipmap-linear": (False, numba_texture.TWO_MIPS),
}
"""Whether to take the nearest texel, and how many mip levels."""


def texture(
    image: Tensor,
    uv: Tensor,
    uv_derivatives: Tensor | None,
    mip_level_bias: Tensor | None,
    mask: Tensor | None,
    mips: Sequence[Tensor] | None,
    filter_mode: str,
    boundary: str,
    max_mip_level: int | None,
) -> Tensor:
    """Returns the colours, differentiable in every tensor but the mask."""
    nearest, mip_mode = FILTERS[filter_mode]
    modes = BOUNDARIES[boundary], nearest, mip_mode
    coarse = None
    if mip_mode == numba_texture.NO_MIPS:
        levels = mip_levels(*image.shape[1:3])[:1]
    elif mips is None:
        levels = mip_levels(*image.shape[1:3])
    else:
        levels = _level_table([image.shape[1:3], *(mip.shape[1:3] for mip in mips)])
        coarse = torch.cat([mip.flatten(1, 2) for mip in mips], 1) if mips else image[:, :0, 0]
    if max_mip_level is not None:
        levels = levels[: max_mip_level + 1]
    result = _Texture.apply(image, coarse, uv, uv_derivatives, mip_level_bias, mask, levels, modes)
    assert isinstance(result, Tensor)
    return result


def compose_pyramid(levels: Sequence[Tensor]) -> Tensor:
    """Returns the image, differentiable in every level."""
    result = _Pyramid.apply(*levels)
    assert isinstance(result, Tensor)
    return result


def count_pixels(ids: Tensor, uv: Tensor, counts: Tensor) -> None:
    """`texture.count_pixels` of ids int64[...] and uv float32[..., 2]."""
    flat_uv = as_array(uv, np.float32).reshape(-1, 2)
    numba_texture.count_pixels(as_array(ids, np.int64).reshape(-1), flat_uv, counts.numpy())


class _Texture(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        image: Tensor,
        coarse: Tensor | None,
        uv: Tensor,
        slopes: Tensor | None,
        bias: Tensor | None,
        mask: Tensor | None,
        levels: np.ndarray,
        modes: tuple[int, bool, int],
    ) -> Tensor:
        details = _details(image, slopes, bias) if len(levels) > 1 else np.empty(0, np.float32)
        lookup = _lookup(image, uv, details, mask, levels, modes)
        base = _flat(image)
        mips = (
            _built_mips(base, levels, lookup[-1])
            if coarse is None
            else as_array(coarse, np.float32)
        )
        colors = new_image((*uv.shape[:3], image.shape[3]))
        output = colors.reshape(uv.shape[:3].numel(), image.shape[3])

        def sample(piece: tuple[int, int]) -> None:
            numba_texture.sample_texture(base, mips, lookup, *piece, output)

        run_pieces(sample, cut(len(output), PIXELS_PER_PIECE))
        ctx.save_for_backward(image, coarse, uv, slopes, bias, mask)
        ctx.levels, ctx.modes, ctx.details = levels, modes, details
        # What would have to be built once more, if it is needed at all.
        ctx.mips = mips if any(ctx.needs_input_grad[2:5]) else None
        return torch.from_numpy(colors)  # no view of torch's, so it may be changed in place

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *output_gradients: Tensor) -> tuple[Tensor | None, ...]:
        image, coarse, uv, slopes, bias, mask = ctx.saved_tensors
        lookup = _lookup(image, uv, ctx.details, mask, ctx.levels, ctx.modes)
        upstream = as_array(output_gradients[0], np.float32).reshape(-1, image.shape[3])
        to_image = to_coarse = to_uv = to_slopes = to_bias = None
        if any(ctx.needs_input_grad[:2]):
            to_image, to_coarse = _texel_gradients(upstream, lookup, image.shape, coarse)
        if any(ctx.needs_input_grad[2:5]):
            base = _flat(image)
            to_uv, to_detail = _lookup_gradients(upstream, base, ctx.mips, lookup)
            to_uv = to_uv.view(uv.shape)
            to_bias = None if bias is None else to_detail.view(bias.shape)
            if slopes is not None:
                to_slopes = _slope_gradients(to_detail, slopes, image)
        return to_image, to_coarse, to_uv, to_slopes, to_bias, None, None, None


def _details(image: Tensor, slopes: Tensor | None, bias: Tensor | None) -> np.ndarray:
    """The level of detail of every sample; empty where nothing tells it."""
    given = [tensor for tensor in (slopes, bias) if tensor is not None]
    samples = given[0].shape[:3].numel() if given else 0
    details, (height, width) = new_image((samples,)), image.shape[1:3]
    known = (_given(slopes, np.float32).reshape(-1, 4), _given(bias, np.float32).reshape(-1))

    def run(piece: tuple[int, int]) -> None:
        numba_texture.fill_details(*known, height, width, *piece, details)

    run_pieces(run, cut(samples, PIXELS_PER_PIECE))
    return details


def _lookup(
    image: Tensor,
    uv: Tensor,
    details: np.ndarray,
    mask: Tensor | None,
    levels: np.ndarray,
    modes: tuple[int, bool, int],
) -> tuple[Any, ...]:
    """What the kernels of `numba_texture` call a lookup."""
    return (
        levels,
        as_array(uv, np.float32).reshape(-1, 2),
        details,
        _given(mask, np.bool_).reshape(-1),
        uv.shape[1] * uv.shape[2],
        modes,
        tuple(range(image.shape[3])),
    )


def _flat(image: Tensor) -> np.ndarray:
    """float32[image, texel, channel], row after row."""
    images, rows, columns, channels = image.shape
    return as_array(image, np.float32).reshape(images, rows * columns, channels)


def _given(tensor: Tensor | None, dtype: Any) -> np.ndarray:
    """The tensor's numbers; empty if there is none."""
    return np.empty(0, dtype) if tensor is None else as_array(tensor, dtype)


def _built_mips(base: np.ndarray, levels: np.ndarray, channels: tuple[int, ...]) -> np.ndarray:
    mips = np.empty((len(base), _mip_texels(levels), len(channels)), np.float32)

    def build(index: int) -> None:
        numba_mips.build_mips(base[index], mips[index], levels, channels)

    run_pieces(build, range(len(base)))
    return mips


def _texel_gradients(
    upstream: np.ndarray, lookup: tuple[Any, ...], shape: torch.Size, coarse: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Gradients to the image and, if the mip levels were given, to those."""
    images, channels, levels = shape[0], shape[3], lookup[0]
    base = np.zeros((images, shape[1] * shape[2], channels), np.float32)
    texels = _mip_texels(levels) if coarse is None else coarse.shape[1]
    mips = np.zeros((images, texels, channels), np.float32)
    bands = torch.get_num_threads()

    def scatter(band: int) -> None:
        numba_texture.scatter_gradient(upstream, lookup, band, bands, base, mips)

    def collapse(index: int) -> None:
        numba_mips.collapse_mips(base[index], mips[index], levels, lookup[-1])

    run_pieces(scatter, range(bands))
    if coarse is None:
        run_pieces(collapse, range(images))
    return torch.from_numpy(base).view(shape), None if coarse is None else torch.from_numpy(mips)


def _lookup_gradients(
    upstream: np.ndarray, base: np.ndarray, mips: np.ndarray, lookup: tuple[Any, ...]
) -> tuple[Tensor, Tensor]:
    """Gradients to uv, and to the level of detail."""
    samples = len(upstream)
    to_uv, to_detail = new_image((samples, 2)), new_image((samples,))

    def run(piece: tuple[int, int]) -> None:
        numba_texture.lookup_gradient(upstream, base, mips, lookup, *piece, to_uv, to_detail)

    run_pieces(run, cut(samples, PIXELS_PER_PIECE))
    return torch.from_numpy(to_uv), torch.from_numpy(to_detail)


def _slope_gradients(to_detail: Tensor, slopes: Tensor, image: Tensor) -> Tensor:
    flat, (height, width) = as_array(slopes, np.float32).reshape(-1, 4), image.shape[1:3]
    gradient = new_image(flat.shape)

    def run(piece: tuple[int, int]) -> None:
        numba_texture.slope_gradient(to_detail.numpy(), flat, height, width, *piece, gradient)

    run_pieces(run, cut(len(flat), PIXELS_PER_PIECE))
    return torch.from_numpy(gradient).view(slopes.shape)


class _Pyramid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *levels: Tensor) -> Tensor:
        shapes = [level.shape for level in levels]
        first, *others = (as_array(level, np.float32)[0] for level in levels)
        sums = first if others else first.copy()  # what comes in must not change
        for level in others:
            sums = _add_enlarged(sums, level)
        values = torch.from_numpy(sums).view(-1)

        def run(piece: tuple[int, int]) -> None:
            values[piece[0] : piece[1]].sigmoid_()

        run_pieces(run, cut(len(values), VALUES_PER_PIECE))
        colors = values.view(shapes[-1])
        ctx.save_for_backward(colors)
        ctx.shapes = shapes
        return colors

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *output_gradients: Tensor) -> tuple[Tensor, ...]:
        colors = as_array(ctx.saved_tensors[0], np.float32).reshape(-1)
        upstream = as_array(output_gradients[0], np.float32).reshape(-1)
        gradient = np.empty(ctx.shapes[-1], np.float32)
        flat = gradient.reshape(-1)

        def run(piece: tuple[int, int]) -> None:
            part = slice(*piece)
            numba_pyramid.sigmoid_gradient(colors[part], upstream[part], flat[part])

        run_pieces(run, cut(len(flat), VALUES_PER_PIECE))
        gradients = [gradient]
        for shape in reversed(ctx.shapes[:-1]):
            gradients.insert(0, _shrink_gradient(gradients[0][0], shape[1:3])[None])
        return tuple(torch.from_numpy(array) for array in gradients)


def _add_enlarged(coarse: np.ndarray, fine: np.ndarray) -> np.ndarray:
    output = np.empty_like(fine)
    channels = tuple(range(fine.shape[2]))

    def run(piece: tuple[int, int]) -> None:
        numba_pyramid.add_enlarged(coarse, fine, channels, *piece, output)

    run_pieces(run, cut(len(fine), ROWS_PER_PIECE))
    return output


def _shrink_gradient(fine: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Gradient of the coarse image of `_add_enlarged`, float32[*size, channel]."""
    rows, columns = size
    channels = tuple(range(fine.shape[2]))
    flat = np.empty((rows, fine.shape[1], fine.shape[2]), np.float32)
    coarse = np.empty((rows, columns, fine.shape[2]), np.float32)

    def run(piece: tuple[int, int]) -> None:
        numba_pyramid.shrink_rows(fine.reshape(len(fine), -1), *piece, flat.reshape(rows, -1))
        numba_pyramid.shrink_columns(flat, channels, *piece, coarse)

    run_pieces(run, cut(rows, ROWS_PER_PIECE // 4))
    return coarse


def mip_levels(height: int, width: int) -> np.ndarray:
    """Rows (height, width, first texel) of each mip level, halved and rounded down until 1 x 1."""
    sizes = [(height, width)]
    while height > 1 or width > 1:
        height, width = max(1, height // 2), max(1, width // 2)
        sizes.append((height, width))
    return _level_table(sizes)


def _level_table(sizes: Sequence[Sequence[int]]) -> np.ndarray:
    """int64[level, 3]; levels from 1 on lie one behind another in one buffer."""
    texels = [0, *(height * width for height, width in sizes[1:])]
    firsts = np.cumsum([0, *texels])[: len(sizes)]
    return np.array([(*size, first) for size, first in zip(sizes, firsts, strict=True)], np.int64)


def _mip_texels(levels: np.ndarray) -> int:
    return int((levels[1:, 0] * levels[1:, 1]).sum())
