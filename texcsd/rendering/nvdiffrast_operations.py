"""The operations of nvdiffrast, if it is installed; see `operations` for their meaning.

texcsd never installs it: its licence allows research and evaluation only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from texcsd.errors import TexcsdError
from texcsd.rendering import torch_operations

MOST_TRIANGLES = 1 << 24
"""float32 holds triangle_id + 1 exactly up to here, and nvdiffrast returns nothing else."""


def load() -> Any:
    """The module; raises TexcsdError where there is none."""
    try:
        import nvdiffrast.torch as nvdiffrast  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise TexcsdError(
            "nvdiffrast (non-commercial licence) is not installed; "
            "pip install git+https://github.com/NVlabs/nvdiffrast.git --no-build-isolation, "
            "or choose --rasterizer numba."
        ) from error
    return nvdiffrast


@cache
def _context(device: torch.device) -> Any:
    return load().RasterizeCudaContext(device=device)


def rasterize(
    clip_positions: Tensor,
    triangles: Tensor,
    resolution: tuple[int, int],
    ranges: Tensor | None,
    grad_db: bool,
) -> tuple[Tensor, Tensor]:
    """Returns rast and rast_db."""
    arguments = _rasterizer_arguments(clip_positions, triangles, resolution, ranges, grad_db)
    return load().rasterize(*arguments)


def rasterize_layers(
    clip_positions: Tensor,
    triangles: Tensor,
    resolution: tuple[int, int],
    ranges: Tensor | None,
    grad_db: bool,
    layers: int,
) -> list[tuple[Tensor, Tensor]]:
    """Returns rast and rast_db of every layer."""
    arguments = _rasterizer_arguments(clip_positions, triangles, resolution, ranges, grad_db)
    with load().DepthPeeler(*arguments) as peeler:
        return [peeler.rasterize_next_layer() for _ in range(layers)]


def _rasterizer_arguments(
    clip_positions: Tensor,
    triangles: Tensor,
    resolution: tuple[int, int],
    ranges: Tensor | None,
    grad_db: bool,
) -> tuple[Any, ...]:
    if len(triangles) >= MOST_TRIANGLES:
        raise TexcsdError(
            f"the mesh has {len(triangles):,} triangles; nvdiffrast takes fewer than "
            f"{MOST_TRIANGLES:,}: use --rasterizer numba or decimate the mesh."
        )
    return (
        _context(clip_positions.device),
        clip_positions.contiguous(),
        triangles.int().contiguous(),
        resolution,
        None if ranges is None else ranges.int().cpu().contiguous(),
        grad_db,
    )


def interpolate(
    attributes: Tensor, rast: Tensor, rast_db: Tensor, triangles: Tensor, channels: list[int]
) -> tuple[Tensor, Tensor | None]:
    """Returns the values, and the derivatives of some channels or None."""
    which = {"rast_db": rast_db, "diff_attrs": channels} if channels else {}
    values, derivatives = load().interpolate(
        attributes.contiguous(), rast, triangles.int().contiguous(), **which
    )
    return values, derivatives if channels else None


def texture(
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
    nvdiffrast = load()
    uv = uv.contiguous()
    height, width = image.shape[1:3]
    halves = height & (height - 1) == 0 and width & (width - 1) == 0 and mips is None
    if "mipmap" in filter_mode and uv_derivatives is None and bias is None:
        filter_mode = "linear"  # level 0, but nvdiffrast wants to be told
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
    levels = torch_operations.mip_levels(image, mips, max_mip_level)
    detail = torch_operations.detail_within(levels, uv, uv_derivatives, bias)
    if filter_mode == "linear-mipmap-nearest":
        detail = detail.floor()
    colors = torch.zeros(*uv.shape[:3], image.shape[3], device=image.device)
    for index, level in enumerate(levels):
        share = (1 - (detail - index).abs()).clamp(min=0)
        lookup = nvdiffrast.texture(
            level.contiguous(), uv, filter_mode="linear", boundary_mode=boundary
        )
        colors = colors + share[..., None] * lookup
    return colors


def cube_texture(
    cube: Tensor,
    directions: Tensor,
    derivatives: Tensor | None,
    bias: Tensor | None,
    mips: Sequence[Tensor] | None,
    filter_mode: str,
    max_mip_level: int | None,
) -> Tensor:
    """The lookup of nvdiffrast in a cube map; sizes must be powers of two."""
    how: dict[str, Any] = {"filter_mode": filter_mode, "boundary_mode": "cube"}
    if "mipmap" in filter_mode and derivatives is None and bias is None:
        how["filter_mode"] = "linear"  # level 0, but nvdiffrast wants to be told
    elif "mipmap" in filter_mode:
        how["uv_da"] = None if derivatives is None else derivatives.contiguous()
        how["mip_level_bias"] = None if bias is None else bias.contiguous()
        how["mip"] = None if mips is None else [mip.contiguous() for mip in mips[:max_mip_level]]
        how["max_mip_level"] = max_mip_level
    return load().texture(cube.contiguous(), directions.contiguous(), **how)
