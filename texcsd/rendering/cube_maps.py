"""Cube maps: six square images around the origin, looked up along directions.

The faces lie on the planes +x, -x, +y, -y, +z and -z, in this order, and are turned as in OpenGL
(specification 4.6, table 8.19): seen from outside, the four sides have row 0 on top and column 0 on
the left. nvdiffrast has the same layout. In plain torch on any device, slower than the kernels for
textures; CUDA tensors go to nvdiffrast where `operations` would do so.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import get_args

import torch
from torch import Tensor
from torch.nn import functional

from texcsd.rendering import nvdiffrast_operations, operations, torch_operations
from texcsd.rendering.arguments import expect_choice, expect_floats, expect_level, expect_shape

FRAMES = torch.tensor([
    [[0.0, 0, -1], [0, -1, 0], [1, 0, 0]],
    [[0, 0, 1], [0, -1, 0], [-1, 0, 0]],
    [[1, 0, 0], [0, 0, 1], [0, 1, 0]],
    [[1, 0, 0], [0, 0, -1], [0, -1, 0]],
    [[1, 0, 0], [0, -1, 0], [0, 0, 1]],
    [[-1, 0, 0], [0, -1, 0], [0, 0, -1]],
])  # fmt: skip
"""float32[6, 3, 3]: of each face the directions in which u and v rise, and the one outwards."""
SHORTEST = 1e-18
"""Directions whose components are all smaller point nowhere; gradients would be no numbers."""
LARGEST_FOOTPRINT = 1e4
"""Of a pixel, in half faces: far beyond what the coarsest level needs, and its squares finite."""


def texture(
    cube: Tensor,
    directions: Tensor,
    derivatives: Tensor | None = None,
    mip_level_bias: Tensor | None = None,
    *,
    mips: Sequence[Tensor] | None = None,
    filter_mode: operations.FilterMode = "auto",
    max_mip_level: int | None = None,
) -> Tensor:
    """Looks colours up in a cube map or its mip levels; differentiable in every float argument.

    All is as in `operations.texture` on the face that a direction meets, but filtering takes texels
    of the neighbouring faces beyond its borders, and at the corners of the cube, where there is no
    fourth texel, the mean of the three. So no edge shows at any one level; the footprint of a pixel
    is measured on the face of its centre. Directions of no length or no numbers give 0 and have no
    gradient.

    Args:
        cube: float[view or 1, 6, size, size, channel], row 0 at v = 0, any size.
        directions: float[view, height, width, 3], of any length.
        derivatives: float[view, height, width, 6]: dx/dX, dx/dY, dy/dX, dy/dY, dz/dX, dz/dY of the
            directions per pixel.
        mip_level_bias: float[view, height, width], added to the level.
        mips: Levels from 1 on, like cube with other sizes, instead of those that are computed,
            which average 2 x 2 texels of a face. The gradient goes to them.
        filter_mode: As in `operations.texture`.
        max_mip_level: The coarsest level to use.

    Returns:
        float[view, height, width, channel].

    Raises:
        ValueError: The tensors do not fit together, or there is no such mode or level.
    """
    _check(cube, directions, derivatives, mip_level_bias, mips)
    expect_choice("filter_mode", filter_mode, get_args(operations.FilterMode))
    filter_mode = operations.chosen_filter(filter_mode, derivatives, mip_level_bias)
    arguments = cube, directions, derivatives, mip_level_bias, mips, filter_mode, max_mip_level
    if cube.device.type != "cpu" and operations.takes_nvdiffrast() and _halves(cube, mips):
        return nvdiffrast_operations.cube_texture(*arguments)
    with torch.autocast(cube.device.type, enabled=False):  # it would round directions to 8 bits
        return _texture(*arguments)


def mip_levels(
    cube: Tensor, mips: Sequence[Tensor] | None = None, max_mip_level: int | None = None
) -> list[Tensor]:
    """The cube map and the levels given or computed, finest first, as far as they may be used."""
    _check_cube(cube)
    expect_level(max_mip_level)
    if mips is None:
        levels = torch_operations.mip_levels(cube.flatten(0, 1), None, max_mip_level)
        return [level.unflatten(0, cube.shape[:2]) for level in levels]
    return torch_operations.mip_levels(cube, mips, max_mip_level)


def _texture(
    cube: Tensor,
    directions: Tensor,
    derivatives: Tensor | None,
    bias: Tensor | None,
    mips: Sequence[Tensor] | None,
    filter_mode: str,
    max_mip_level: int | None,
) -> Tensor:
    valid = directions.isfinite().all(-1) & (directions.abs().amax(-1) > SHORTEST)
    anywhere = directions.new_tensor([1.0, 0, 0])
    directions = torch.where(valid[..., None], directions, anywhere)
    face, uv = _project(directions)
    levels, detail = [cube], torch.zeros_like(uv[..., 0])
    if "mipmap" in filter_mode:
        levels = mip_levels(cube, mips, max_mip_level)
        slopes = None if derivatives is None else _slopes(directions, derivatives, face)
        flat = [level.flatten(0, 1) for level in levels]
        detail = torch_operations.detail_within(flat, uv, slopes, bias)
    chain = torch_operations.join_levels([_with_borders(level) for level in levels])
    first = 6 * torch.arange(len(cube), device=face.device)[:, None, None]
    nearest = filter_mode == "nearest"

    def look_up(level: Tensor) -> Tensor:
        size = chain.sizes[level] - 2
        place = uv * size
        if nearest:  # 1 is the end of the last texel, not the first beyond
            place = torch.minimum(place, size - 0.5)
        return torch_operations.blend_texels(
            chain, first + face, level, place + 1, "clamp", nearest
        )

    colors = torch_operations.blend_levels(look_up, detail, len(levels), filter_mode)
    return torch.where(valid[..., None], colors, 0.0)


def _project(directions: Tensor) -> tuple[Tensor, Tensor]:
    """The face that float[..., 3] meet, int64[...], and where, float[..., 2] in [0, 1]."""
    axis = directions.detach().abs().argmax(-1, keepdim=True)
    face = (2 * axis + (directions.detach().gather(-1, axis) < 0)).squeeze(-1)
    u, v, outwards = (_frames(face, directions) @ directions[..., None]).squeeze(-1).unbind(-1)
    return face, (torch.stack([u / outwards, v / outwards], -1) + 1) / 2


def _slopes(directions: Tensor, derivatives: Tensor, face: Tensor) -> Tensor:
    """Change of u and v with pixels, float[..., 4], by the quotient rule; NaN where it is none."""
    frames, finite = _frames(face, directions), derivatives.isfinite().all(-1, keepdim=True)
    across, outwards = (frames @ directions[..., None]).split([2, 1], -2)
    change = frames @ torch.where(finite, derivatives, 0.0).unflatten(-1, (3, 2))
    limit = LARGEST_FOOTPRINT * outwards.detach()
    change, receding = change.clamp(-limit, limit).split([2, 1], -2)
    slopes = (change - across / outwards * receding) / outwards / 2
    return torch.where(finite, slopes.flatten(-2), torch.nan)


def _frames(face: Tensor, like: Tensor) -> Tensor:
    return FRAMES.to(like)[face]


def _with_borders(cube: Tensor) -> Tensor:
    """Faces with a texel of their neighbours around them, float[view * 6, size + 2, size + 2, _].

    Args:
        cube: float[view, 6, size, size, channel].
    """
    size, device = cube.shape[2], cube.device
    padded = functional.pad(cube, (0, 0, 1, 1, 1, 1))
    along, before = torch.arange(size, device=device), torch.full((size,), -1, device=device)
    behind = torch.full_like(along, size)
    column = torch.cat([along, along, before, behind])
    row = torch.cat([before, behind, along, along])
    neighbour, beyond = _across_the_edge(torch.stack([column, row], -1), size)
    padded[:, :, row + 1, column + 1] = cube[:, neighbour, beyond[..., 1], beyond[..., 0]]
    for y, x in product((0, -1), repeat=2):
        inner_y, inner_x = (1 if edge == 0 else -2 for edge in (y, x))
        three = padded[:, :, [inner_y, inner_y, y], [inner_x, x, inner_x]]
        padded[:, :, y, x] = three.mean(2)
    return padded.flatten(0, 1)


def _across_the_edge(place: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The faces and texels that lie where no texel of a face is: one step beyond an edge.

    Args:
        place: int64[texel, 2], column and row, one of which is -1 or size.
        size: Of a face.

    Returns:
        int64[6, texel] and int64[6, texel, 2], column and row.
    """
    # A little beyond the edge, so that what comes nearer to the middle of it stays in its texel.
    limit = 1 + 0.25 / size
    position = ((2 * place + 1).double() / size - 1).clamp(-limit, limit)
    on_plane = functional.pad(position, (0, 1), value=1.0)
    directions = on_plane @ FRAMES.to(on_plane)
    face, uv = _project(directions)
    return face, (uv * size).long()


def _halves(cube: Tensor, mips: Sequence[Tensor] | None) -> bool:
    """Whether the sizes are those that nvdiffrast takes."""
    size = cube.shape[2]
    usual = all(mip.shape[2] == size >> level for level, mip in enumerate(mips or [], 1))
    return size & (size - 1) == 0 and usual


def _check(
    cube: Tensor,
    directions: Tensor,
    derivatives: Tensor | None,
    bias: Tensor | None,
    mips: Sequence[Tensor] | None,
) -> None:
    expect_shape("directions", directions, view=None, height=None, width=None, axis=3)
    views, height, width = directions.shape[:3]
    pixels = {"view": views, "height": height, "width": width}
    _check_cube(cube)
    expect_shape("cube", cube, view=(1, views), face=6, row=None, column=None, channel=None)
    for mip in () if mips is None else mips:
        _check_cube(mip)
        expect_shape(
            "a mip level", mip, view=len(cube), face=6, row=None, column=None, channel=cube.shape[4]
        )
    if derivatives is not None:
        expect_shape("derivatives", derivatives, **pixels, slope=6)
    if bias is not None:
        expect_shape("mip_level_bias", bias, **pixels)
    expect_floats(directions=directions, derivatives=derivatives, mip_level_bias=bias)


def _check_cube(cube: Tensor) -> None:
    """Raises ValueError unless it is float[view, 6, size, size, channel]."""
    square = cube.ndim == 5 and cube.shape[1] == 6 and cube.shape[2] == cube.shape[3]
    if not square or cube.shape[2:].numel() == 0:
        shape = tuple(cube.shape)
        raise ValueError(f"a cube map is [view, 6, size, size, channel], not {shape}")
    expect_floats(cube=cube)
