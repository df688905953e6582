"""The learned texture as an 8-bit image: every texel of every chart, and padding around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import KDTree
from torch import Tensor

from texcsd.geometry.mesh import Mesh, with_faces
from texcsd.geometry.uv_wrapping import wrap_uv
from texcsd.rendering.texels import TexelSurface, surface_of_texels

MOST_SOURCES = 1 << 17
"""Seen texels that unseen ones are coloured from; more only cost time."""
TEXELS_AT_A_TIME = 1 << 17
"""Unseen texels coloured together; bounds the memory."""
BORDER_POINTS = 8
"""Nearest seen points averaged into the one to mirror at: fewer, and mirrored edges fray."""
BLENDED_POINTS = 4
"""Seen points around the mirrored one that give the colour."""

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class TextureMaps:
    """A finished texture. Arrays are numpy, row 0 on top, as in the PNG."""

    base_color: NDArray[np.uint8]
    """uint8[size, size, 3], sRGB."""
    covered: BoolArray
    """bool[size, size], the texels that lie on a chart; all others are padding."""
    texels: int
    """Number of covered texels."""
    unseen_texels: int
    """Number of covered texels that hardly any view saw; coloured from their surroundings in 3D."""


def bake_texture(
    mesh: Mesh,
    base_color_map: Tensor,
    seen: Tensor,
    original: NDArray[np.uint8] | None = None,
    may_change: BoolArray | None = None,
) -> TextureMaps:
    """Turn a learned base colour into the texture to save.

    A covered texel that was seen keeps its colour, rounded to 8 bits. One that was not seen
    continues the seen surface nearest to it in 3D, so across seams; if nothing was seen at all,
    colours stay as they are. Texels outside the charts then repeat the nearest covered texel, so
    that neither bilinear lookups nor mips mix anything foreign into a chart.

    Args:
        mesh: Fitted to the unit sphere; has uv.
        base_color_map: float[1, size, size, 3], sRGB in [0, 1], row 0 on top.
        seen: bool[size, size], the texels that took part in at least one view.
        original: uint8[size, size, 3]; with `may_change`, the texture that was edited.
        may_change: bool[size, size]; the others come out as in `original`, to the bit, and unseen
            ones among them do not count.
    """
    size = base_color_map.shape[1]
    if base_color_map.shape != (1, size, size, 3) or seen.shape != (size, size):
        raise ValueError(
            f"base_color_map {tuple(base_color_map.shape)} and seen {tuple(seen.shape)} do not fit;"
            " expected [1, size, size, 3] and [size, size]"
        )
    colors = base_color_map[0].detach().float().cpu().numpy()
    texels = surface_of_texels(wrap_uv(mesh), size)
    changed = texels.covered if may_change is None else texels.covered & may_change
    unseen = changed & ~seen.cpu().numpy()
    filled = _continue_seen_surface(colors, replace(texels, covered=changed), unseen)
    base_color = pad_charts(np.rint(np.clip(filled, 0, 1) * 255).astype(np.uint8), texels.covered)
    if original is not None and may_change is not None:
        base_color = np.where(may_change[..., None], base_color, original)
    return TextureMaps(
        base_color=base_color,
        covered=texels.covered,
        texels=int(texels.covered.sum()),
        unseen_texels=int(unseen.sum()),
    )


def bake_textures(
    mesh: Mesh, base_color_maps: Sequence[Tensor], seen: Sequence[Tensor]
) -> list[TextureMaps]:
    """Bake every texture of a mesh, as `bake_texture` does; both lists are by their numbers.

    One of which no view has shown anything takes the mean colour of the others.
    """
    numbers = mesh.texture_numbers()
    baked = [
        bake_texture(with_faces(mesh, numbers == number), *pair)
        for number, pair in enumerate(zip(base_color_maps, seen, strict=True))
    ]
    shown = [maps for maps in baked if maps.unseen_texels < maps.texels]
    if not shown:
        return baked
    mean = np.mean([maps.base_color[maps.covered].mean(axis=0) for maps in shown], axis=0)
    return [
        maps
        if maps.unseen_texels < maps.texels
        else replace(maps, base_color=np.full_like(maps.base_color, mean.round().astype(np.uint8)))
        for maps in baked
    ]


def _continue_seen_surface(
    colors: FloatArray, texels: TexelSurface, unseen: BoolArray
) -> FloatArray:
    """Colour the unseen texels by mirroring the seen surface at the nearest seen point.

    Repeating the nearest colour itself would draw it out into streaks; its surroundings, mirrored,
    keep the scale and the contrast of a pattern and fit without a step.
    """
    sources = np.flatnonzero(texels.covered & ~unseen)
    if len(sources) == 0 or not unseen.any():
        return colors
    sources = sources[:: -(-len(sources) // MOST_SOURCES)]
    positions, normals = texels.positions.reshape(-1, 3), texels.normals.reshape(-1, 3)
    source_normals = normals[sources]
    source_colors = colors.reshape(-1, 3)[sources]
    tree = KDTree(positions[sources], leafsize=32)
    filled = colors.copy()
    targets = np.flatnonzero(unseen)
    for first in range(0, len(targets), TEXELS_AT_A_TIME):
        chosen = targets[first : first + TEXELS_AT_A_TIME]
        weights, nearest = _nearest(tree, positions[chosen], BORDER_POINTS)
        border = np.einsum("tn,tnc->tc", weights, tree.data[nearest])
        border_normals = np.einsum("tn,tnc->tc", weights, source_normals[nearest])
        away = _unfold(positions[chosen] - border, normals[chosen], border_normals)
        weights, nearest = _nearest(tree, border - away, BLENDED_POINTS)
        filled.reshape(-1, 3)[chosen] = np.einsum("tn,tnc->tc", weights, source_colors[nearest])
    return filled


def _nearest(
    tree: KDTree, points: NDArray[np.floating], count: int
) -> tuple[NDArray[np.float64], IntArray]:
    """Find weights float[point, count] by inverse distance, and indices int[point, count].

    If the tree has fewer points than asked for, the rest have weight 0.
    """
    distances, nearest = tree.query(points, k=count)
    weights = 1 / (distances + 1e-4)
    return weights / weights.sum(axis=1, keepdims=True), np.minimum(nearest, tree.n - 1)


def _unfold(
    vectors: NDArray[np.floating], normals: NDArray[np.floating], onto: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Turn each vector by the rotation that takes its normal to another, all float[n, 3].

    Around an edge this makes one plane of two. Opposite normals leave the vector as it is.
    """
    onto = onto / np.maximum(np.linalg.norm(onto, axis=1, keepdims=True), 1e-6)
    both = normals + onto
    cosine = (normals * onto).sum(axis=1, keepdims=True)
    turned = (
        vectors
        - (vectors * both).sum(axis=1, keepdims=True) / np.maximum(1 + cosine, 0.1) * both
        + 2 * (vectors * normals).sum(axis=1, keepdims=True) * onto
    )
    return np.where(cosine > -0.9, turned, vectors)


def pad_charts(base_color: NDArray[np.uint8], covered: BoolArray) -> NDArray[np.uint8]:
    """Fill every texel outside the charts with the nearest one inside."""
    if not covered.any() or covered.all():
        return base_color
    nearest = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    assert nearest is not None
    return base_color[nearest[0], nearest[1]]
