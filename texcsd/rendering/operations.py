"""nvdiffrast's operations by device: numba kernels for CPU tensors, nvdiffrast for CUDA tensors.

Without nvdiffrast the visible triangles of CUDA tensors are found on the CPU, and torch does the
rest where the tensors are; see `select_rasterizer`.

Layouts and meaning are nvdiffrast's (https://nvlabs.github.io/nvdiffrast): clip-space input in
OpenGL convention, image row 0 at the bottom of clip space, texture row 0 at v = 0, no back-face
culling. texcsd never installs nvdiffrast: its licence allows research and evaluation only.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from operator import index
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from texcsd.errors import TexcsdError
from texcsd.rendering import nvdiffrast_operations, torch_operations
from texcsd.rendering.arguments import (
    expect_choice,
    expect_interpolated,
    expect_level,
    expect_looked_up,
    expect_rasterized,
    expect_triangles,
)

logger = logging.getLogger(__name__)

FilterMode = Literal["auto", "nearest", "linear", "linear-mipmap-nearest", "linear-mipmap-linear"]
Rasterizer = Literal["auto", "numba", "nvdiffrast"]
Boundary = Literal["wrap", "clamp", "zero"]


class Rasterization(NamedTuple):
    """What every pixel sees. Zeros, and id -1, where there is nothing."""

    rast: Tensor
    """float[view, height, width, 4]: u, v, z/w, triangle_id + 1.

    The vertices of a triangle are at (u, v) = (1, 0), (0, 1) and (0, 0).
    """
    rast_db: Tensor
    """float[view, height, width, 4]: du/dx, du/dy, dv/dx, dv/dy, per pixel."""
    triangle_ids: Tensor
    """int32[view, height, width], exact where the float in rast is not (from 2**24 on)."""


def rasterize(
    clip_positions: Tensor,
    triangles: Tensor,
    resolution: tuple[int, int],
    ranges: Tensor | None = None,
    grad_db: bool = True,
) -> Rasterization:
    """Finds the nearest triangle at every pixel centre; differentiable in the clip positions.

    Exact on the CPU, of any float32 numbers: of the triangles of a closed mesh that meet in a pixel
    centre, along an edge or in a corner, one has it, as if all centres lay a little to the right
    and a very little towards the next row. Triangles are cut at the near plane and behind the eye
    without clipping, those that lie on the near or the far plane are seen, and those without area
    or with numbers that are not finite cover nothing. Where float64 does not tell, the sign of an
    edge function is computed without rounding (Shewchuk 1997).

    z/w is computed in float64 and told apart in steps of 2**-40; of triangles that are equally
    near, such as those that coincide in whatever order their corners come, the first is seen. u, v
    and the derivatives have gradients; z/w, the ids and so what is covered have none. For what is
    covered see `antialias`.

    Args:
        clip_positions: float32[view, vertex, 4], homogeneous; visible are -w <= x, y, z <= w. Or
            float32[vertex, 4], with ranges.
        triangles: int[triangle, 3], indices into the vertices.
        resolution: Height and width.
        ranges: int[view, 2], for float32[vertex, 4] only: the first triangle of each view and how
            many there are. Ids count all triangles.
        grad_db: Whether the gradient goes through rast_db, too.

    Raises:
        ValueError: The tensors do not fit together, or there are no such vertices.
    """
    triangles = expect_rasterized(clip_positions, triangles, ranges)
    arguments = clip_positions, triangles, _pair(resolution), ranges, grad_db
    if clip_positions.device.type == "cpu" or not takes_nvdiffrast():
        return _rasterize(*arguments)[0]
    rast, rast_db = nvdiffrast_operations.rasterize(*arguments)
    return Rasterization(rast, rast_db, rast[..., 3].int() - 1)


def rasterize_layers(
    clip_positions: Tensor,
    triangles: Tensor,
    resolution: tuple[int, int],
    layers: int,
    ranges: Tensor | None = None,
    grad_db: bool = True,
) -> list[Rasterization]:
    """Finds the surfaces behind each other at every pixel centre, by depth peeling (Everitt 2001).

    The first layer is that of `rasterize`; each of the others is what would be seen if all that is
    as near as the layer before it, or nearer, were away. So of triangles that coincide the first is
    found and the others never, on the CPU in whatever order their corners come. Takes as long as
    rasterizing once per layer.

    Args:
        clip_positions: As in `rasterize`, likewise the other arguments.
        triangles: Likewise.
        resolution: Height and width.
        layers: How many; those behind the last surface are empty.
        ranges: As in `rasterize`.
        grad_db: Likewise.

    Raises:
        ValueError: The tensors do not fit together, or there are no such vertices.
    """
    triangles = expect_rasterized(clip_positions, triangles, ranges)
    arguments = clip_positions, triangles, _pair(resolution), ranges, grad_db
    if clip_positions.device.type != "cpu" and takes_nvdiffrast():
        images = nvdiffrast_operations.rasterize_layers(*arguments, layers)
        return [Rasterization(*pair, pair[0][..., 3].int() - 1) for pair in images]
    return _rasterize(*arguments, layers)


def interpolate(
    attributes: Tensor,
    rasterization: Rasterization,
    triangles: Tensor,
    with_derivatives: bool | Sequence[int] = False,
) -> tuple[Tensor, Tensor | None]:
    """Interpolates vertex attributes, correct in perspective; differentiable in every float tensor.

    Args:
        attributes: float32[view or 1, vertex, channel] or float32[vertex, channel].
        rasterization: Of triangles in the same order.
        triangles: int[triangle, 3] into the attributes; need not be the ones that were rasterized.
        with_derivatives: Also return the change per pixel, of all channels or of some; -1 is the
            last one.

    Returns:
        float32[view, height, width, channel], and None or float32[view, height, width, 2 * channel]
        with (d/dx, d/dy) of each channel in turn.

    Raises:
        ValueError: The tensors do not fit together, or there are no such vertices, triangles or
            channels.
    """
    rast, rast_db, triangle_ids = rasterization
    attributes = attributes[None] if attributes.ndim == 2 else attributes
    triangles = expect_interpolated(attributes, *rasterization, triangles)
    channels = _channels(with_derivatives, attributes.shape[2])
    if attributes.device.type == "cpu":
        from texcsd.rendering import numba_operations

        values, derivatives = numba_operations.interpolate(
            attributes, rast, rast_db, triangle_ids, triangles, channels
        )
        return values, derivatives if channels else None
    if not takes_nvdiffrast():
        return _torch_interpolate(attributes, rasterization, triangles, channels)
    return nvdiffrast_operations.interpolate(attributes, rast, rast_db, triangles, channels)


def texture(
    image: Tensor,
    uv: Tensor,
    uv_derivatives: Tensor | None = None,
    mip_level_bias: Tensor | None = None,
    *,
    mask: Tensor | None = None,
    mips: Sequence[Tensor] | None = None,
    filter_mode: FilterMode = "auto",
    boundary: Boundary = "wrap",
    max_mip_level: int | None = None,
) -> Tensor:
    """Looks colours up in a texture or its mip chain; differentiable in every float argument.

    Each mip level has half the texels per axis, rounded down, and each of its texels averages the
    area it covers: the 2 x 2 box where the size is even, parts of three texels where it is odd
    (nvdiffrast refuses odd sizes). The level is log2 of the major axis of the ellipse that a pixel
    covers, in texels of the image, plus the bias, clamped to the levels there are. A lookup at a
    non-finite uv is 0 and has no gradient; non-finite derivatives count as level 0. Gradients to
    derivatives and bias are those of blending two levels; "nearest" has none to uv.

    Args:
        image: float32[view or 1, rows, columns, channel]; row 0 is at v = 0.
        uv: float32[view, height, width, 2].
        uv_derivatives: float32[view, height, width, 4]: du/dx, du/dy, dv/dx, dv/dy per pixel.
        mip_level_bias: float32[view, height, width], added to the level.
        mask: bool[view, height, width], where to look up; 0 elsewhere. Saves time.
        mips: Levels from 1 on, float32[view or 1, rows, columns, channel] each, as many as images,
            instead of those that are computed. The gradient goes to them, and not through them to
            the image.
        filter_mode: "nearest" texel, bilinear ("linear"), bilinear in the finer of two levels
            ("linear-mipmap-nearest", as in nvdiffrast), blended between the two
            ("linear-mipmap-linear"), or "auto": the last if derivatives or a bias are given,
            else "linear".
        boundary: What lies beyond [0, 1]: the image again, its border texels, or zeros.
        max_mip_level: The coarsest level to use, 0 for the image alone.

    Returns:
        float32[view, height, width, channel].

    Raises:
        ValueError: The tensors do not fit together, or there is no such mode or level.
    """
    expect_looked_up(image, uv, uv_derivatives, mip_level_bias, mask, mips)
    expect_choice("boundary", boundary, get_args(Boundary))
    expect_choice("filter_mode", filter_mode, get_args(FilterMode))
    expect_level(max_mip_level)
    filter_mode = chosen_filter(filter_mode, uv_derivatives, mip_level_bias)
    if image.device.type == "cpu":
        from texcsd.rendering import numba_texturing

        return numba_texturing.texture(
            image, uv, uv_derivatives, mip_level_bias, mask, mips,
            filter_mode, boundary, max_mip_level,
        )  # fmt: skip
    colors = (nvdiffrast_operations.texture if takes_nvdiffrast() else _torch_texture)(
        image, uv, uv_derivatives, mip_level_bias, mips, filter_mode, boundary, max_mip_level
    )
    return colors if mask is None else torch.where(mask[..., None], colors, 0.0)


def chosen_filter(
    filter_mode: FilterMode, derivatives: Tensor | None, bias: Tensor | None
) -> FilterMode:
    """What "auto" means."""
    if filter_mode != "auto":
        return filter_mode
    return "linear" if derivatives is None and bias is None else "linear-mipmap-linear"


def compose_pyramid(levels: Sequence[Tensor]) -> Tensor:
    """Sigmoid of a sum of images of rising resolution; differentiable in every level.

    The sum so far is enlarged bilinearly to the size of the next level (texel centres at
    half-integers, borders repeated) and added to it. nvdiffrast has no such operation.

    Args:
        levels: float32[1, rows, columns, channel] each, coarse to fine.

    Returns:
        float32[1, rows, columns, channel] of the finest level.
    """
    if levels[0].device.type == "cpu":
        from texcsd.rendering import numba_texturing

        return numba_texturing.compose_pyramid(levels)
    total = levels[0].permute(0, 3, 1, 2)
    for level in levels[1:]:
        total = torch.nn.functional.interpolate(total, size=level.shape[1:3], mode="bilinear")
        total = total + level.permute(0, 3, 1, 2)
    return torch.sigmoid(total.permute(0, 2, 3, 1))


def _pair(resolution: Sequence[int]) -> tuple[int, int]:
    height, width = (index(size) for size in resolution)
    if min(height, width) < 0:
        raise ValueError(f"resolution is {(height, width)}; it must be height and width in pixels")
    return height, width


def _channels(with_derivatives: bool | Sequence[int], count: int) -> list[int]:
    if isinstance(with_derivatives, bool):
        return [*range(count if with_derivatives else 0)]
    chosen = [int(channel) for channel in with_derivatives]
    if chosen and not -count <= min(chosen) <= max(chosen) < count:
        raise ValueError(f"derivatives are wanted of channels {chosen}; there are {count}")
    return [channel % count for channel in chosen]


def select_rasterizer(name: Rasterizer, device: torch.device) -> None:
    """Chooses what the operations use for CUDA tensors from now on; CPU tensors always take numba.

    Args:
        name: "nvdiffrast"; "numba", which finds the visible triangles on the CPU and does the rest
            in torch, where the tensors are; or "auto": nvdiffrast if it is installed.
        device: Where the tensors will be.

    Raises:
        TexcsdError: nvdiffrast is wanted and cannot be used.
    """
    if name == "nvdiffrast" and device.type == "cpu":
        raise TexcsdError(
            "rasterizer nvdiffrast needs a GPU, and the device is cpu; choose --rasterizer auto"
        )
    if name == "nvdiffrast":
        nvdiffrast_operations.load()
    _chosen["rasterizer"] = name
    takes_nvdiffrast.cache_clear()


_chosen: dict[str, Rasterizer] = {"rasterizer": "auto"}


@cache
def takes_nvdiffrast() -> bool:
    """Whether CUDA tensors go to nvdiffrast; says once what that means."""
    if _chosen["rasterizer"] == "numba":
        return False
    try:
        nvdiffrast_operations.load()
    except TexcsdError as error:
        if _chosen["rasterizer"] == "nvdiffrast":
            raise
        logger.warning("visible triangles are found on the CPU, which is slower: %s", error)
        return False
    logger.info("rendering with nvdiffrast, whose licence is non-commercial")
    return True


def _rasterize(
    clip_positions: Tensor,
    triangles: Tensor,
    resolution: tuple[int, int],
    ranges: Tensor | None,
    grad_db: bool,
    layers: int = 1,
) -> list[Rasterization]:
    """Without nvdiffrast: numba finds the triangles, on the CPU, wherever the tensors are."""
    from texcsd.rendering import numba_operations

    on_cpu = clip_positions.device.type == "cpu"
    barycentrics = (numba_operations if on_cpu else torch_operations).barycentrics
    positions, faces = clip_positions.detach().cpu(), triangles.cpu()
    if not on_cpu:
        faces = expect_triangles(faces, positions.shape[-2])  # only here is it known what they name
    found = []
    for ids in numba_operations.visible_triangles(positions, faces, resolution, ranges, layers):
        ids = ids.to(clip_positions.device)
        rast, rast_db = barycentrics(clip_positions, triangles, ids)
        found.append(Rasterization(rast, rast_db if grad_db else rast_db.detach(), ids))
    return found


def _torch_interpolate(
    attributes: Tensor, rasterization: Rasterization, triangles: Tensor, channels: list[int]
) -> tuple[Tensor, Tensor | None]:
    values, derivatives = torch_operations.interpolate(attributes, *rasterization, triangles)
    if not channels:
        return values, None
    return values, derivatives.unflatten(-1, (-1, 2))[..., channels, :].flatten(-2)


def _torch_texture(
    image: Tensor,
    uv: Tensor,
    uv_derivatives: Tensor | None,
    bias: Tensor | None,
    mips: Sequence[Tensor] | None,
    filter_mode: str,
    boundary: str,
    max_mip_level: int | None,
) -> Tensor:
    levels = (
        torch_operations.mip_levels(image, mips, max_mip_level)
        if "mipmap" in filter_mode
        else [image]
    )
    return torch_operations.texture(levels, uv, uv_derivatives, bias, filter_mode, boundary)
