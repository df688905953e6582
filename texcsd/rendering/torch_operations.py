"""The operations in plain torch, on any device, once it is known which triangle each pixel sees.

For CUDA without nvdiffrast, and to compare the others with: slow, short, differentiated by torch.
See `operations` for their meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


def barycentrics(clip_positions: Tensor, triangles: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Rast and rast_db, float32[view, height, width, 4] each, of visible triangles.

    Args:
        clip_positions: float[view, vertex, 4] or float[vertex, 4].
        triangles: int[triangle, 3].
        ids: int[view, height, width], -1 for none.
    """
    views, height, width = ids.shape
    seen = ids >= 0
    view, row, column = seen.nonzero().unbind(1)
    faces = triangles.long()[ids[seen].long()]
    corners = (
        clip_positions[faces] if clip_positions.ndim == 2 else clip_positions[view[:, None], faces]
    )
    corners = corners.double()
    x, y = (2 * column + 1 - width) / width, (2 * row + 1 - height) / height
    pixels = torch.stack([x, y, torch.ones_like(x)], 1).double()
    # Edge functions: the plane through the eye and the two other vertices.
    planar = corners[..., [0, 1, 3]]
    edges = torch.linalg.cross(planar.roll(-1, 1), planar.roll(-2, 1), dim=2)
    values = (edges * pixels[:, None]).sum(2)
    total, slopes = values.sum(1, keepdim=True), edges.sum(1, keepdim=True)
    shares = values / total
    z, w = ((shares[..., None] * corners).sum(1)[:, axis] for axis in (2, 3))
    per_pixel = torch.tensor([2 / width, 2 / height], device=ids.device, dtype=torch.float64)
    change = (edges - shares[..., None] * slopes)[..., :2] / total[..., None] * per_pixel
    found = torch.cat([shares[:, :2], torch.stack([z / w, ids[seen] + 1], 1).detach()], 1)
    empty = found.new_zeros(views, height, width, 4)
    places = (view, row, column)
    rast = empty.index_put(places, found)
    rast_db = empty.index_put(places, change[:, :2].flatten(1))
    return rast.float(), rast_db.float()


def interpolate(
    attributes: Tensor, rast: Tensor, rast_db: Tensor, ids: Tensor, triangles: Tensor
) -> tuple[Tensor, Tensor]:
    """Values float[view, height, width, channel], and (d/dx, d/dy) of each channel in turn.

    Args:
        attributes: float[view or 1, vertex, channel].
        rast: float[view, height, width, 4].
        rast_db: Likewise.
        ids: int[view, height, width], -1 for none.
        triangles: int[triangle, 3].
    """
    view = (
        torch.arange(len(ids), device=ids.device)
        if len(attributes) > 1
        else 0 * ids[:, 0, 0].long()
    )
    faces = triangles.long()[ids.long().clamp(min=0)]
    corners = attributes[view[:, None, None, None], faces]
    first, second, third = corners.unbind(3)
    along_u, along_v = first - third, second - third
    seen = (ids >= 0)[..., None]
    values = third + rast[..., :1] * along_u + rast[..., 1:2] * along_v
    slopes = [
        rast_db[..., axis, None] * along_u + rast_db[..., 2 + axis, None] * along_v
        for axis in (0, 1)
    ]
    return torch.where(seen, values, 0.0), torch.where(
        seen, torch.stack(slopes, -1).flatten(-2), 0.0
    )


def texture(
    levels: Sequence[Tensor],
    uv: Tensor,
    uv_derivatives: Tensor | None,
    mip_level_bias: Tensor | None,
    filter_mode: str,
    boundary: str,
) -> Tensor:
    """Colours float[view, height, width, channel].

    Args:
        levels: The image and its mip levels, float[view or 1, rows, columns, channel] each.
        uv: float[view, height, width, 2].
        uv_derivatives: float[view, height, width, 4].
        mip_level_bias: float[view, height, width].
        filter_mode: As in `operations.texture`, but "auto".
        boundary: Likewise.
    """
    finite = uv.isfinite().all(-1, keepdim=True)
    uv, chain = torch.where(finite, uv, 0.0), join_levels(levels)
    detail = torch.zeros_like(uv[..., 0])
    if "mipmap" in filter_mode:
        detail = detail_within(levels, uv, uv_derivatives, mip_level_bias)

    def look_up(level: Tensor) -> Tensor:
        return _look_up(chain, level, uv, boundary, filter_mode == "nearest")

    return torch.where(finite, blend_levels(look_up, detail, len(levels), filter_mode), 0.0)


def blend_levels(
    look_up: Callable[[Tensor], Tensor], detail: Tensor, count: int, filter_mode: str
) -> Tensor:
    """Colours float[view, height, width, channel] from one or two mip levels.

    Args:
        look_up: Gives them for the level of each pixel, int64[view, height, width].
        detail: Of `detail_within`; zeros without mip levels.
        count: How many levels there are.
        filter_mode: As in `texture`.
    """
    finer = detail.detach().floor()
    colors = look_up(finer.long())
    if filter_mode == "linear-mipmap-linear":
        coarser = (finer.long() + 1).clamp(max=count - 1)
        colors = colors + (detail - finer)[..., None] * (look_up(coarser) - colors)
    return colors


def detail_within(
    levels: Sequence[Tensor],
    uv: Tensor,
    uv_derivatives: Tensor | None,
    mip_level_bias: Tensor | None,
) -> Tensor:
    """Which of the levels to look into, float[view, height, width]; arguments as in `texture`."""
    detail = torch.zeros_like(uv[..., 0]) if mip_level_bias is None else mip_level_bias
    if uv_derivatives is not None:
        detail = detail + level_of_detail(uv_derivatives, *levels[0].shape[1:3])
    return detail.nan_to_num(nan=0.0).clamp(0, len(levels) - 1)


def level_of_detail(uv_derivatives: Tensor, height: int, width: int) -> Tensor:
    """Mip level float[...], any sign, for derivatives float[..., 4]; 0 where not finite."""
    scale = torch.tensor([width, width, height, height], device=uv_derivatives.device)
    u_x, u_y, v_x, v_y = (uv_derivatives * scale).unbind(-1)
    along_x, along_y, mixed = u_x**2 + v_x**2, u_y**2 + v_y**2, u_x * u_y + v_x * v_y
    # The root has no slope at 0: a circle has no major axis.
    root = ((along_x - along_y) ** 2 + 4 * mixed**2).clamp(min=1e-38).sqrt()
    major = (along_x + along_y + root) / 2
    return 0.5 * torch.log2(torch.where(major.isfinite(), major, 1.0).clamp(min=1e-30))


class Chain(NamedTuple):
    """Mip levels behind one another, so that each pixel can look into its own."""

    texels: Tensor
    """float[image, texel, channel], row after row, level after level."""
    sizes: Tensor
    """int[level, 2]: columns and rows."""
    first: Tensor
    """int[level], of its first texel."""


def join_levels(levels: Sequence[Tensor]) -> Chain:
    """Mip levels float[image, rows, columns, channel] for `blend_texels`."""
    texels = torch.cat([level.flatten(1, 2) for level in levels], 1)
    sizes = torch.tensor([[level.shape[2], level.shape[1]] for level in levels])
    counts = sizes.prod(1)
    return Chain(texels, *(t.to(texels.device) for t in (sizes, counts.cumsum(0) - counts)))


def _look_up(chain: Chain, level: Tensor, uv: Tensor, boundary: str, nearest: bool) -> Tensor:
    """The nearest texel or the blend of four, of each pixel's level int[view, height, width]."""
    size = chain.sizes[level]
    if boundary == "clamp":
        uv = uv.clamp(0, 1)
    elif boundary == "wrap":
        uv = uv - uv.detach().floor()
    else:
        uv = uv.clamp(-1, 2)
    image = torch.arange(len(uv), device=uv.device) if len(chain.texels) > 1 else 0 * level[:, 0, 0]
    return blend_texels(chain, image[:, None, None], level, uv * size, boundary, nearest)


def blend_texels(
    chain: Chain, image: Tensor, level: Tensor, position: Tensor, boundary: str, nearest: bool
) -> Tensor:
    """The nearest texel or the blend of four, float[view, height, width, channel].

    Args:
        chain: Of `join_levels`.
        image: int64 of each pixel, which one to look into.
        level: int64[view, height, width].
        position: float[view, height, width, 2], column and row; texels have their centres at
            half-integers.
        boundary: What lies beyond the image, as in `texture`.
        nearest: Whether to take the nearest texel.
    """
    position = position - (0.0 if nearest else 0.5)
    corner = position.detach().floor()
    across, down = (position - corner).unbind(-1)
    corner, colors = corner.long(), 0.0
    if nearest:
        return _texels(chain, image, level, corner, torch.ones_like(across), boundary)
    for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):
        weight = (across if x else 1 - across) * (down if y else 1 - down)
        place = corner + torch.tensor([x, y], device=corner.device)
        colors = colors + _texels(chain, image, level, place, weight, boundary)
    assert isinstance(colors, Tensor)
    return colors


def _texels(
    chain: Chain, image: Tensor, level: Tensor, place: Tensor, weight: Tensor, boundary: str
) -> Tensor:
    """The texel in column and row `place` int[..., 2], times its weight."""
    size = chain.sizes[level]
    if boundary == "wrap":
        place = place % size
    elif boundary == "zero":
        inside = ((place >= 0) & (place < size)).all(-1)
        weight = torch.where(inside, weight, 0.0)
    column, row = torch.minimum(place.clamp(min=0), size - 1).unbind(-1)
    _, count, channels = chain.texels.shape
    index = image * count + chain.first[level] + row * size[..., 0] + column
    # Its gradient is a sum in place; that of indexing sorts all pixels, which takes seconds.
    found = chain.texels.flatten(0, 1).index_select(0, index.flatten())
    return weight[..., None] * found.view(*index.shape, channels)


def mip_levels(
    image: Tensor, mips: Sequence[Tensor] | None, max_mip_level: int | None
) -> list[Tensor]:
    """The image and the levels given or computed, as far as they may be used."""
    levels = mip_chain(image) if mips is None else [image, *mips]
    return levels if max_mip_level is None else levels[: max_mip_level + 1]


def mip_chain(image: Tensor) -> list[Tensor]:
    """Mip levels of float[view, rows, columns, channel] as `texture` defines them, finest first."""
    levels = [image]
    while max(levels[-1].shape[1:3]) > 1:
        fine = levels[-1]
        rows, columns = (_area_matrix(size).to(fine) for size in fine.shape[1:3])
        with torch.autocast(fine.device.type, enabled=False):  # it would round to 8 bits
            levels.append(torch.einsum("yr,nrxc,zx->nyzc", rows, fine, columns))
    return levels


def _area_matrix(size: int) -> Tensor:
    """float[size // 2, size]: the part of a coarse texel that each fine texel covers."""
    coarse = max(1, size // 2)
    edges = torch.arange(size + 1, dtype=torch.float64) * coarse / size
    start = torch.arange(coarse, dtype=torch.float64)[:, None]
    covered = edges.clamp(min=start, max=start + 1)
    return covered.diff(dim=1).float()


def texel_indices(uv: Tensor, size: int) -> Tensor:
    """The texels that float32[..., 2], v up, lie in, int64[...]; the texture repeats.

    They are counted along the rows, from the top, of a texture of size x size.
    """
    column = (uv[..., 0] * size).floor().long() % size
    row = ((1 - uv[..., 1]) * size).floor().long() % size
    return row * size + column


def count_pixels(ids: Tensor, uv: Tensor, counts: Tensor) -> None:
    """`texture.count_pixels` of ids int64[...] and uv float32[..., 2], without waiting for a GPU.

    Selecting pixels, or counting them with bincount, would be to wait.
    """
    seen, size = (ids >= 0).flatten(), len(counts)
    # Background counts 0, each pixel somewhere else: additions to one place wait for each other.
    elsewhere = torch.arange(len(seen), device=seen.device) % size**2
    place = torch.where(seen, texel_indices(uv, size).flatten(), elsewhere)
    counts.view(-1).index_add_(0, place, seen.int())
