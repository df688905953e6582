"""nvdiffrast's operations by device: numba kernels for CPU tensors, nvdiffrast for CUDA tensors.

Layouts and meaning are nvdiffrast's (https://nvlabs.github.io/nvdiffrast): clip-space input in
OpenGL convention, image row 0 at the bottom of clip space, texture row 0 at v = 0, no back-face
culling. texcsd never installs nvdiffrast: its licence allows research and evaluation only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from texcsd.errors import TexcsdError

FilterMode = Literal["auto", "nearest", "linear", "linear-mipmap-nearest", "linear-mipmap-linear"]
Boundary = Literal["wrap", "clamp", "zero"]
MOST_CUDA_TRIANGLES = 1 << 24
"""float32 holds triangle_id + 1 exactly up to here, and nvdiffrast returns nothing else."""


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
    clip_positions: Tensor, triangles: Tensor, resolution: tuple[int, int]
) -> Rasterization:
    """Finds the nearest triangle at every pixel centre.

    Exact on the CPU: a pixel centre on a shared edge belongs to one of the two triangles, triangles
    are cut at the near plane and behind the eye without clipping, and degenerate or non-finite ones
    cover nothing. Nothing is differentiable here.

    Args:
        clip_positions: float32[view, vertex, 4], homogeneous; visible are -w <= x, y, z <= w.
        triangles: int[triangle, 3], indices into the vertices.
        resolution: Height and width.
    """
    _refuse_gradient(clip_positions, "rasterize", "clip_positions")
    if clip_positions.device.type == "cpu":
        from texcsd.rendering import numba_operations

        return Rasterization(*numba_operations.rasterize(clip_positions, triangles, resolution))
    if len(triangles) >= MOST_CUDA_TRIANGLES:
        raise TexcsdError(
            f"the mesh has {len(triangles):,} triangles; nvdiffrast takes fewer than "
            f"{MOST_CUDA_TRIANGLES:,}: use --device cpu or decimate the mesh."
        )
    context = _cuda_context(clip_positions.device)
    rast, rast_db = _nvdiffrast().rasterize(
        context, clip_positions.contiguous(), triangles.int().contiguous(), resolution
    )
    return Rasterization(rast, rast_db, rast[..., 3].int() - 1)


def interpolate(
    attributes: Tensor,
    rasterization: Rasterization,
    triangles: Tensor,
    with_derivatives: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Interpolates vertex attributes, correct in perspective. Not differentiable here.

    Args:
        attributes: float32[view or 1, vertex, channel].
        rasterization: Of triangles in the same order.
        triangles: int[triangle, 3] into the attributes; need not be the ones that were rasterized.
        with_derivatives: Also return the change per pixel.

    Returns:
        float32[view, height, width, channel], and None or float32[view, height, width, 2 * channel]
        with (d/dx, d/dy) of each channel in turn.
    """
    _refuse_gradient(attributes, "interpolate", "attributes")
    rast, rast_db, triangle_ids = rasterization
    if attributes.device.type == "cpu":
        from texcsd.rendering import numba_operations

        slopes = rast_db if with_derivatives else None
        return numba_operations.interpolate(attributes, rast, slopes, triangle_ids, triangles)
    which = {"rast_db": rast_db, "diff_attrs": "all"} if with_derivatives else {}
    values, derivatives = _nvdiffrast().interpolate(
        attributes.contiguous(), rast, triangles.int().contiguous(), **which
    )
    return values, derivatives if with_derivatives else None


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
        mips: Levels from 1 on, float32[view or 1, rows, columns, channel] each, instead of those
            that are computed. The gradient goes to them, and not through them to the image.
        filter_mode: "nearest" texel, bilinear ("linear"), bilinear in the nearest level
            ("linear-mipmap-nearest"), blended between two levels ("linear-mipmap-linear"), or
            "auto": the last if derivatives or a bias are given, else "linear".
        boundary: What lies beyond [0, 1]: the image again, its border texels, or zeros.
        max_mip_level: The coarsest level to use, 0 for the image alone.

    Returns:
        float32[view, height, width, channel].
    """
    if filter_mode == "auto":
        plain = uv_derivatives is None and mip_level_bias is None
        filter_mode = "linear" if plain else "linear-mipmap-linear"
    if image.device.type == "cpu":
        from texcsd.rendering import numba_texturing

        return numba_texturing.texture(
            image, uv, uv_derivatives, mip_level_bias, mask, mips,
            filter_mode, boundary, max_mip_level,
        )  # fmt: skip
    colors = _cuda_texture(
        image, uv, uv_derivatives, mip_level_bias, mips, filter_mode, boundary, max_mip_level
    )
    return colors if mask is None else torch.where(mask[..., None], colors, 0.0)


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


def _refuse_gradient(tensor: Tensor, operation: str, argument: str) -> None:
    if tensor.requires_grad and torch.is_grad_enabled():
        raise NotImplementedError(f"{operation} has no gradient to {argument}; detach it")


def _nvdiffrast() -> Any:
    try:
        import nvdiffrast.torch as nvdiffrast  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise TexcsdError(
            "rendering on CUDA needs nvdiffrast (non-commercial licence), which is not installed: "
            "pip install git+https://github.com/NVlabs/nvdiffrast.git --no-build-isolation, "
            "or use --device cpu."
        ) from error
    return nvdiffrast


@cache
def _cuda_context(device: torch.device) -> Any:
    return _nvdiffrast().RasterizeCudaContext(device=device)


def _cuda_texture(
    image: Tensor,
    uv: Tensor,
    uv_derivatives: Tensor | None,
    bias: Tensor | None,
    mips: Sequence[Tensor] | None,
    filter_mode: str,
    boundary: str,
    max_mip_level: int | None,
) -> Tensor:
    """The lookup of nvdiffrast; a level at a time where its mip chain would stop at an odd size."""
    nvdiffrast = _nvdiffrast()
    uv = uv.contiguous()
    height, width = image.shape[1:3]
    halves = height & (height - 1) == 0 and width & (width - 1) == 0 and mips is None
    if "mipmap" not in filter_mode:
        return nvdiffrast.texture(
            image.contiguous(), uv, filter_mode=filter_mode, boundary_mode=boundary
        )
    if halves:
        return nvdiffrast.texture(
            image.contiguous(), uv,
            uv_da=None if uv_derivatives is None else uv_derivatives.contiguous(),
            mip_level_bias=None if bias is None else bias.contiguous(),
            filter_mode=filter_mode, boundary_mode=boundary, max_mip_level=max_mip_level,
        )  # fmt: skip
    levels = mip_chain(image) if mips is None else [image, *mips]
    levels = levels if max_mip_level is None else levels[: max_mip_level + 1]
    detail = uv.new_zeros(uv.shape[:3]) if bias is None else bias
    if uv_derivatives is not None:
        detail = detail + level_of_detail(uv_derivatives, height, width)
    detail = detail.clamp(0, len(levels) - 1)
    if filter_mode == "linear-mipmap-nearest":
        detail = (detail + 0.5).floor()
    colors = torch.zeros(*uv.shape[:3], image.shape[3], device=image.device)
    for index, level in enumerate(levels):
        share = (1 - (detail - index).abs()).clamp(min=0)
        lookup = nvdiffrast.texture(
            level.contiguous(), uv, filter_mode="linear", boundary_mode=boundary
        )
        colors = colors + share[..., None] * lookup
    return colors


def mip_chain(image: Tensor) -> list[Tensor]:
    """Mip levels of float[view, rows, columns, channel] as `texture` defines them, finest first."""
    levels = [image]
    while max(levels[-1].shape[1:3]) > 1:
        fine = levels[-1]
        rows, columns = (_area_matrix(size).to(fine) for size in fine.shape[1:3])
        levels.append(torch.einsum("yr,nrxc,zx->nyzc", rows, fine, columns))
    return levels


def _area_matrix(size: int) -> Tensor:
    """float[size // 2, size]: the part of a coarse texel that each fine texel covers."""
    coarse = max(1, size // 2)
    edges = torch.arange(size + 1, dtype=torch.float64) * coarse / size
    start = torch.arange(coarse, dtype=torch.float64)[:, None]
    covered = edges.clamp(min=start, max=start + 1)
    return covered.diff(dim=1).float()


def level_of_detail(uv_derivatives: Tensor, height: int, width: int) -> Tensor:
    """Mip level float[...], any sign, for derivatives float[..., 4] in an image of this size."""
    scale = torch.tensor([width, width, height, height], device=uv_derivatives.device)
    u_x, u_y, v_x, v_y = (uv_derivatives * scale).unbind(-1)
    along_x, along_y, mixed = u_x**2 + v_x**2, u_y**2 + v_y**2, u_x * u_y + v_x * v_y
    major = (along_x + along_y + torch.sqrt((along_x - along_y) ** 2 + 4 * mixed**2)) / 2
    return 0.5 * torch.log2(major.clamp(min=1e-30))
