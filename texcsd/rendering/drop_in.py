"""nvdiffrast's functions by their own names and arguments, on any device, CPUs included.

Code written for nvdiffrast runs with another import:

    import texcsd.rendering.drop_in as dr  # import nvdiffrast.torch as dr

    context = dr.RasterizeCudaContext()
    rast, rast_db = dr.rasterize(context, pos, tri, resolution=(256, 256))
    uv, uv_da = dr.interpolate(attributes, rast, tri, rast_db=rast_db, diff_attrs="all")
    color = dr.antialias(dr.texture(image, uv, uv_da), rast, pos, tri)

Every tensor has nvdiffrast's layout (https://nvlabs.github.io/nvdiffrast), row 0 at the bottom;
what is computed is described in `operations`, `cube_maps` and `antialias`. Differences: textures
may have any size, indices any integer type, and tensors need not be contiguous; silhouettes are
antialiased however small their triangles are, and `antialias` may be given the ranges; several
peelers may be open at once. A triangle of vertices that do not exist is a ValueError on the CPU,
where nvdiffrast leaves it out, and mipmap filters without uv_da and mip_level_bias mean level 0,
where it stops. Ids of triangles come as floats here, so 2**24 triangles are the most. Nothing can
be differentiated twice but `antialias`, torch.func transforms none of them, and torch.compile goes
around them if it is told to: `rasterize = torch.compiler.disable(dr.rasterize)`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Literal

import torch
from torch import Tensor

from texcsd.errors import TexcsdError
from texcsd.geometry.edges import Edges, find_edges
from texcsd.rendering import cube_maps, operations, torch_operations
from texcsd.rendering.antialias import antialias as antialias_edges
from texcsd.rendering.antialias import antialias_ranges
from texcsd.rendering.arguments import (
    expect_choice,
    expect_level,
    expect_ranges,
    expect_shape,
    expect_triangles,
)

_logger = logging.getLogger("texcsd")
_LOG_LEVELS = logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL


class RasterizeCudaContext:
    """Stands where nvdiffrast wants a context; nothing here needs one."""

    def __init__(self, device: torch.device | str | int | None = None) -> None:
        """Takes the device for the sake of the signature; operations follow their tensors."""
        self.device = device


RasterizeGLContext = RasterizeCudaContext


def rasterize(
    glctx: RasterizeCudaContext | None,
    pos: Tensor,
    tri: Tensor,
    resolution: tuple[int, int],
    ranges: Tensor | None = None,
    grad_db: bool = True,
) -> tuple[Tensor, Tensor]:
    """Returns (u, v, z/w, triangle_id + 1) and (du/dX, du/dY, dv/dX, dv/dY) of every pixel."""
    found = operations.rasterize(pos, tri, resolution, _ranges(pos, ranges), grad_db)
    return found.rast, found.rast_db


class DepthPeeler:
    """Gives layer after layer of the surfaces behind each other, in a with block."""

    def __init__(
        self,
        glctx: RasterizeCudaContext | None,
        pos: Tensor,
        tri: Tensor,
        resolution: tuple[int, int],
        ranges: Tensor | None = None,
        grad_db: bool = True,
    ) -> None:
        """Takes the arguments of `rasterize`."""
        self._scene = pos, tri, resolution
        self._options = _ranges(pos, ranges), grad_db
        self._layers: list[operations.Rasterization] = []
        self._taken = 0
        self._is_open = False

    def __enter__(self) -> DepthPeeler:
        if self._taken:
            raise RuntimeError("this DepthPeeler has been used already; make another one")
        self._is_open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._layers, self._is_open = [], False

    def rasterize_next_layer(self) -> tuple[Tensor, Tensor]:
        """What `rasterize` returns, of the next layer; empty behind the last surface."""
        if not self._is_open:
            raise RuntimeError("layers are rasterized inside of `with DepthPeeler(...) as peeler`")
        if self._taken == len(self._layers):
            count = 2 * self._taken + 1  # more at once, as each time begins with the first
            self._layers = operations.rasterize_layers(*self._scene, count, *self._options)
        self._taken += 1
        found = self._layers[self._taken - 1]
        return found.rast, found.rast_db


def interpolate(
    attr: Tensor,
    rast: Tensor,
    tri: Tensor,
    rast_db: Tensor | None = None,
    diff_attrs: Sequence[int] | Literal["all"] | None = None,
) -> tuple[Tensor, Tensor]:
    """Returns attributes at every pixel, and (dA/dX, dA/dY) of those in diff_attrs."""
    if isinstance(diff_attrs, str):
        expect_choice("diff_attrs", diff_attrs, ["all"])
    slopes = torch.zeros_like(rast) if rast_db is None else rast_db
    which = [] if diff_attrs is None or rast_db is None else diff_attrs
    values, derivatives = operations.interpolate(
        attr,
        operations.Rasterization(rast, slopes, _ids(rast)),
        tri,
        True if isinstance(which, str) else which,
    )
    return values, values.new_zeros(*values.shape[:3], 0) if derivatives is None else derivatives


def texture(
    tex: Tensor,
    uv: Tensor,
    uv_da: Tensor | None = None,
    mip_level_bias: Tensor | None = None,
    mip: Sequence[Tensor] | None = None,
    filter_mode: operations.FilterMode = "auto",
    boundary_mode: Literal["wrap", "clamp", "zero", "cube"] = "wrap",
    max_mip_level: int | None = None,
) -> Tensor:
    """Looks colours up, float32[view, height, width, channel].

    Args:
        tex: float32[view or 1, height, width, channel], or float32[view or 1, 6, size, size,
            channel]: a cube map, for boundary_mode "cube".
        uv: float32[view, height, width, 2], or directions float32[view, height, width, 3].
        uv_da: Their change with pixels, twice as many channels.
        mip_level_bias: float32[view, height, width].
        mip: Mip levels from 1 on, like tex.
        filter_mode: As in `operations.texture`.
        boundary_mode: What lies beyond [0, 1]; "cube" for the other faces, see `cube_maps`.
        max_mip_level: The coarsest level to use.

    Raises:
        TexcsdError: A cube map comes with another boundary_mode.
        ValueError: As in `operations.texture`.
    """
    options = {"mips": mip, "filter_mode": filter_mode, "max_mip_level": max_mip_level}
    if boundary_mode == "cube":
        return cube_maps.texture(tex, uv, uv_da, mip_level_bias, **options)
    if tex.ndim == 5:
        raise TexcsdError(f"boundary_mode is {boundary_mode}; it must be cube for a cube map.")
    return operations.texture(tex, uv, uv_da, mip_level_bias, boundary=boundary_mode, **options)


def texture_construct_mip(
    tex: Tensor, max_mip_level: int | None = None, cube_mode: bool = False
) -> list[Tensor]:
    """Mip levels from 1 on, for `texture`; the gradient goes through them to the texture.

    Raises:
        TexcsdError: A cube map comes without cube_mode.
    """
    if cube_mode:
        return cube_maps.mip_levels(tex, None, max_mip_level)[1:]
    if tex.ndim == 5:
        raise TexcsdError("cube_mode is False; it must be True for a cube map.")
    expect_shape("tex", tex, view=None, height=None, width=None, channel=None)
    expect_level(max_mip_level)
    return torch_operations.mip_levels(tex, None, max_mip_level)[1:]


def antialias(
    color: Tensor,
    rast: Tensor,
    pos: Tensor,
    tri: Tensor,
    topology_hash: Edges | None = None,
    pos_gradient_boost: float = 1.0,
    ranges: Tensor | None = None,
) -> Tensor:
    """Smooths silhouettes, with gradients to positions, which are multiplied by a factor.

    With positions of ranges a view has the silhouettes of its own triangles. Which they are is told
    by `ranges`, an argument that nvdiffrast has not, or else by `rast`: all from the first to the
    last one that the view shows. Then only the edges beyond these are missed, whose triangles are
    hidden or smaller than pixels, and those where a range ends within a mesh, as edges are
    those of all triangles.

    Args:
        color: float32[view, height, width, channel].
        rast: From `rasterize`.
        pos: float32[view, vertex, 4], or float32[vertex, 4] of ranges.
        tri: int[triangle, 3]; edges are shared by index.
        topology_hash: From `antialias_construct_topology_hash`, or found anew each time.
        pos_gradient_boost: The factor.
        ranges: int[view, 2], those of `rasterize`, of no account for positions of every view. The
            topology is found anew for each.

    Raises:
        TexcsdError: There are more or fewer ranges than views.
    """
    if pos_gradient_boost != 1 and pos.requires_grad:
        pos = pos.clone()
        pos.register_hook(lambda gradient: pos_gradient_boost * gradient)
    if topology_hash is None:
        expect_triangles(tri, pos.shape[-2])
    found = operations.Rasterization(rast, torch.zeros_like(rast), _ids(rast))
    if pos.ndim == 3:
        return antialias_edges(color, found, pos, topology_hash or find_edges(tri.long()))
    if ranges is not None and len(ranges) != len(rast):
        raise TexcsdError(
            f"ranges are {len(ranges)}; there must be one for each view, {len(rast)}."
        )
    if ranges is not None:
        expect_ranges(ranges, len(tri))
        edges = _edges_of_ranges(tri.long(), ranges)
    else:
        edges = _edges_in_view(topology_hash or find_edges(tri.long()), found.triangle_ids)
    return antialias_ranges(color, found, pos, edges)


def antialias_construct_topology_hash(tri: Tensor) -> Edges:
    """The edges of the triangles, for `antialias`."""
    expect_shape("tri", tri, triangle=None, corner=3)
    return find_edges(tri.long())


def get_log_level() -> int:
    """What is said at least: 0 information, 1 warnings, 2 errors, 3 what is fatal."""
    level = _logger.getEffectiveLevel()
    return sum(level > other for other in _LOG_LEVELS[:-1])


def set_log_level(level: int) -> None:
    """Sets it for all of texcsd.

    Raises:
        TexcsdError: There is no such level.
    """
    if level not in range(len(_LOG_LEVELS)):
        raise TexcsdError(f"the log level is {level}; it must be 0, 1, 2 or 3.")
    _logger.setLevel(_LOG_LEVELS[level])


def _ids(rast: Tensor) -> Tensor:
    expect_shape("rast", rast, view=None, height=None, width=None, channel=4)
    return rast[..., 3].detach().int() - 1


def _ranges(pos: Tensor, ranges: Tensor | None) -> Tensor | None:
    """Instanced positions have none, whatever is given: so it is in nvdiffrast."""
    return None if pos.ndim == 3 else ranges


def _edges_of_ranges(tri: Tensor, ranges: Tensor) -> list[Edges]:
    spans = [(first, count) for first, count in ranges.tolist()]
    edges = {span: find_edges(tri[span[0] : sum(span)]) for span in {*spans}}
    return [edges[span] for span in spans]


def _edges_in_view(edges: Edges, ids: Tensor) -> list[Edges]:
    """Those of the triangles from the first to the last one in each view."""
    ids = ids.flatten(1)
    last = ids.amax(1)
    first = torch.where(ids < 0, last[:, None], ids).amin(1)
    return [edges.of_faces(a, b + 1) for a, b in zip(first.tolist(), last.tolist(), strict=True)]
