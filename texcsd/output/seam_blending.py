"""Texels on both sides of a seam brought to one colour, so that it shows even less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.mesh import Mesh, with_faces
from texcsd.geometry.uv_wrapping import wrap_uv
from texcsd.output.bake import TextureMaps, pad_charts
from texcsd.output.seams import area_of_texel, look_up, seams
from texcsd.rendering.texels import TexelSurface, surface_of_texels

REACH = 3
"""Texels from the seam to where nothing changes."""
SAMPLES_PER_TEXEL = 2
MOST_SAMPLES = 400_000
FARTHEST = 4
"""In reaches on the surface: texels beside a seam in the texture that are farther away there belong
to another chart."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class _Samples:
    """Points on seams, as one texture shows them."""

    uv: FloatArray
    """float64[point, 2]."""
    points: FloatArray
    """float64[point, 3], on the mesh."""
    change: FloatArray
    """float64[point, 3], from the colour here to the mean of this side's and the other's."""


def blend_seams(
    mesh: Mesh, baked: Sequence[TextureMaps], may_change: NDArray[np.bool_] | None = None
) -> list[TextureMaps]:
    """Let the colours on both sides of each seam meet in their mean, over a few texels.

    Args:
        mesh: Fitted to the unit sphere; has uv.
        baked: By the number of the texture; what is not painted has none, and no seams.
        may_change: bool[size, size], of the only texture; None for all.
    """
    edges, texel = seams(mesh), np.sqrt(area_of_texel(mesh, [maps.base_color for maps in baked]))
    if not edges.lengths.sum() > 0:
        return list(baked)
    colors = {number: maps.base_color for number, maps in enumerate(baked)}
    count = min(MOST_SAMPLES, int(SAMPLES_PER_TEXEL * edges.lengths.sum() / texel) + 1)
    uv, points, shown = edges.sample(count)
    # On the edge itself a lookup would mix in what lies beyond the chart.
    beside = edges.sample(count, texel / 2)[0]
    found = look_up(colors, beside, shown)
    change = (found[:, ::-1] - found) / 2
    result = []
    for number, maps in enumerate(baked):
        here = shown == number
        # Both sides of a seam are at one point of the mesh.
        of_point = np.broadcast_to(points[:, None], change.shape)
        samples = _Samples(uv[here], of_point[here], change[here])
        part = with_faces(mesh, mesh.texture_numbers() == number)
        texels = surface_of_texels(wrap_uv(part), len(maps.base_color))
        blended = _changed(maps.base_color, texels, samples, FARTHEST * REACH * texel)
        blended = pad_charts(blended, maps.covered)
        if may_change is not None:
            blended = np.where(may_change[..., None], blended, maps.base_color)
        result.append(replace(maps, base_color=blended))
    return result


def _changed(
    base_color: NDArray[np.uint8], texels: TexelSurface, samples: _Samples, farthest: float
) -> NDArray[np.uint8]:
    """Add to each texel the mean change of the samples near it, less with the distance."""
    size = len(base_color)
    places = np.stack([(1 - samples.uv[:, 1]) * size - 0.5, samples.uv[:, 0] * size - 0.5], 1)
    sums, nearest = np.zeros((4, size * size)), np.zeros(size * size)
    for offset in np.ndindex(2 * REACH, 2 * REACH):
        texel = np.floor(places) + np.array(offset) - REACH + 1
        weight = 1 - np.linalg.norm(texel - places, axis=1) / REACH
        row, column = texel.astype(np.int64).T % size
        apart = np.linalg.norm(texels.positions[row, column] - samples.points, axis=1)
        near = (weight > 0) & texels.covered[row, column] & (apart < farthest)
        index, weight = (row * size + column)[near], weight[near]
        np.maximum.at(nearest, index, weight)
        for k, value in enumerate((1.0, *samples.change[near].T)):
            sums[k] += np.bincount(index, weight * value, size * size)
    mean = sums[1:] / np.maximum(sums[0], 1e-12)
    # The texel beside the seam is half a texel from it, and changes wholly.
    change = mean * np.minimum(nearest * REACH / (REACH - 0.5), 1)
    return (base_color + change.T.reshape(base_color.shape)).round().clip(0, 255).astype(np.uint8)
