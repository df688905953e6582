"""Polygons to triangles, vectorised over polygons of equal size."""

import numpy as np
from numpy.typing import NDArray

MOST_FANS_TRIED = 64
"""Polygons with more corners than this are nearly always flat caps, which any fan suits."""


def cut_polygons(
    counts: NDArray[np.int64], polygon_vertices: NDArray[np.int64], vertices: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Cut polygons as `triangulate` does, without those that are only a point or a line.

    Args:
        counts: int[polygon], corners of each.
        polygon_vertices: As of `triangulate`.
        vertices: As of `triangulate`.

    Returns:
        int64[triangle, 3] into the corners; and int64[triangle], the polygon each was cut from,
        counted without those left out, or None if each is one.
    """
    large = counts > 2
    kept, counts = np.flatnonzero(np.repeat(large, counts)), counts[large]
    corners = kept[triangulate(counts, polygon_vertices[kept], vertices)]
    whole = (counts == 3).all()
    return corners, None if whole else np.repeat(np.arange(len(counts)), counts - 2)


def triangulate(
    counts: NDArray[np.int64], polygon_vertices: NDArray[np.int64], vertices: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Cut polygons into triangles, each a fan from the corner that suits its shape best.

    Convex polygons, and concave ones that some corner sees as a whole, are cut without folds.

    Args:
        counts: int[polygon], corners of each, at least 3.
        polygon_vertices: int[corner], the vertices of all polygons one after the other.
        vertices: float[vertex, 3].

    Returns:
        int64[triangle, 3] into the corners, polygon by polygon.
    """
    starts = np.cumsum(counts) - counts
    triangle_starts = np.cumsum(counts - 2) - (counts - 2)
    result = np.zeros((int((counts - 2).sum()), 3), np.int64)
    valid = (polygon_vertices >= 0) & (polygon_vertices < len(vertices))
    for size in np.unique(counts):
        mine = np.flatnonzero(counts == size)
        steps = np.arange(size)
        corners = starts[mine, None] + steps
        if size > 3 and valid[corners].all():
            apex = _best_apex(vertices[polygon_vertices[corners]])
            corners = np.take_along_axis(corners, (apex[:, None] + steps) % size, axis=1)
        rows = triangle_starts[mine, None] + steps[: size - 2]
        result[rows, 0] = corners[:, :1]
        result[rows, 1] = corners[:, 1:-1]
        result[rows, 2] = corners[:, 2:]
    return result


def _best_apex(polygons: NDArray[np.float64]) -> NDArray[np.int64]:
    """Pick for float[polygon, size, 3] the corner whose fan folds least; the first when convex."""
    size = polygons.shape[1]
    ahead = np.roll(polygons, -1, axis=1)
    normals = np.cross(polygons - polygons[:, :1], ahead - polygons[:, :1]).sum(axis=1)
    best, best_folded = np.zeros(len(polygons), np.int64), np.full(len(polygons), np.inf)
    for apex in range(min(size, MOST_FANS_TRIED)):
        fan = np.roll(polygons, -apex, axis=1)
        spokes = fan[:, 1:] - fan[:, :1]
        areas = np.cross(spokes[:, :-1], spokes[:, 1:]) @ normals[:, :, None]
        folded = -np.minimum(areas[..., 0], 0).sum(axis=1)
        better = folded < best_folded * (1 - 1e-9)
        best[better], best_folded[better] = apex, folded[better]
    return best
