"""Charts without a library: faces grouped by dominant axis, projected flat, packed on shelves."""

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.normals import connect, face_normals, find_neighbours
from texcsd.geometry.uv_inspection import rasterize_faces

SMOOTHING_ROUNDS = 4
LEAST_COSINE = 0.3
"""No face is projected along an axis more than about 72 degrees from its normal."""
UNFOLDING_ROUNDS = 6
LEAST_COVERED = 0.2
"""Padding shrinks where so many charts would leave less than this of the texture to the faces."""
PROJECTIONS = np.array(
    [
        [[0, 0, -1], [0, 1, 0]],  # from +x: right is -z, up is y
        [[1, 0, 0], [0, 0, -1]],
        [[1, 0, 0], [0, 1, 0]],
        [[0, 0, 1], [0, 1, 0]],  # from -x
        [[1, 0, 0], [0, 0, 1]],
        [[-1, 0, 0], [0, 1, 0]],
    ],
    np.float64,
)
"""Axes of the uv plane for each label of group_by_axis, so that no chart is mirrored."""


def group_by_axis(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Label faces 0 to 5 by the direction they mostly face: +x, +y, +z, -x, -y, -z.

    Faces join the label of their neighbours where their normal allows it, so that the borders
    between labels are not ragged.

    Args:
        vertices: float[vertex, 3], welded.
        faces: int[face, 3].
    """
    normals, _ = face_normals(vertices, faces)
    cosines = np.concatenate([normals, -normals], axis=1)
    allowed = (cosines > LEAST_COSINE) | (cosines == cosines.max(axis=1, keepdims=True))
    labels = np.argmax(cosines, axis=1)
    neighbours = find_neighbours(faces)
    left, right = neighbours.left // 3, neighbours.right // 3
    for _ in range(SMOOTHING_ROUNDS):
        votes = np.bincount(left * 6 + labels[right], minlength=6 * len(faces))
        votes += np.bincount(right * 6 + labels[left], minlength=6 * len(faces))
        labels = np.argmax(np.where(allowed, votes.reshape(-1, 6) + cosines, -np.inf), axis=1)
    return labels


def project_boxes(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], texture_size: int, padding: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Make uv from planar projections along the axes; works for any faces that have an area.

    Args:
        vertices: float[vertex, 3], welded.
        faces: int[face, 3].
        texture_size: Side of the texture in texels.
        padding: Texels between charts; fewer where there are too many charts for that.

    Returns:
        uv float[texture_vertex, 2] in [0, 1] and int[face, 3] into it.
    """
    labels = group_by_axis(vertices, faces)
    layers = np.zeros(len(faces), np.int64)
    flat = np.einsum("fab,fcb->fca", PROJECTIONS[labels], vertices[faces])
    for rounds_left in range(UNFOLDING_ROUNDS, -1, -1):
        charts = _charts(faces, labels + 6 * layers)
        corners = flat - _lower(flat, charts)[charts][:, None]
        corners = _pack(corners, charts, texture_size, padding)
        late = rasterize_faces(corners, max(texture_size, 256))[1]
        if not late.any():
            break
        # What lies over other faces of its chart moves to other charts; in the end each to its own.
        layers[late] += 1 if rounds_left > 1 else 1 + np.arange(late.sum())
    points, uv_faces = np.unique(charts[:, None] * len(vertices) + faces, return_inverse=True)
    uv = np.zeros((len(points), 2))
    uv[uv_faces.reshape(-1)] = corners.reshape(-1, 2)
    return uv, uv_faces.reshape(-1, 3)


def _charts(faces: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the connected pieces of equal label, int[face]."""
    neighbours = find_neighbours(faces)
    left, right = neighbours.left // 3, neighbours.right // 3
    same = labels[left] == labels[right]
    return connect(len(faces), left[same], right[same])


def _lower(flat: NDArray[np.float64], charts: NDArray[np.int64]) -> NDArray[np.float64]:
    lower = np.full((int(charts.max()) + 1, 2), np.inf)
    np.minimum.at(lower, charts, flat.min(axis=1))
    return lower


def _pack(
    corners: NDArray[np.float64], charts: NDArray[np.int64], size: int, padding: int
) -> NDArray[np.float64]:
    """Scale all charts alike and set them on shelves, highest first; float[face, 3, 2]."""
    extents = -_lower(-corners, charts)
    upright = extents[:, 1] > extents[:, 0]
    turned = np.stack([corners[..., 1], extents[charts, None, 0] - corners[..., 0]], axis=-1)
    corners = np.where(upright[charts][:, None, None], turned, corners)
    extents = np.sort(extents, axis=1)[:, ::-1]
    order = np.lexsort((-extents[:, 0], -extents[:, 1]))
    scale, ordered_places = _fit(extents[order], padding / size)
    places = np.empty_like(extents)
    places[order] = ordered_places
    return np.clip(corners * scale + places[charts][:, None], 0.0, 1.0)


def _fit(extents: NDArray[np.float64], gap: float) -> tuple[float, NDArray[np.float64]]:
    """Find the largest scale at which the boxes fit; half the gap where it takes all the room."""
    low, best = 0.0, None
    high = min(1 / extents[:, 0].max(), 1 / np.sqrt(extents.prod(axis=1).sum()))
    for _ in range(24):
        scale = (low + high) / 2
        places = _shelves(extents * scale, gap)
        if places is None:
            high = scale
        else:
            low, best = scale, places
    covered = low**2 * extents.prod(axis=1).sum()
    if best is not None and (covered > LEAST_COVERED or gap == 0.0):
        return low, best
    return _fit(extents, gap / 2 if gap > 1e-6 else 0.0)


def _shelves(sizes: NDArray[np.float64], gap: float) -> NDArray[np.float64] | None:
    """Place boxes, highest first, in rows in the unit square; None where they do not fit."""
    steps = np.concatenate([[0.0], np.cumsum(sizes[:, 0] + gap)])
    places = np.empty_like(sizes)
    first, bottom = 0, gap / 2
    while first < len(sizes):
        end = int(np.searchsorted(steps, steps[first] + 1, side="right")) - 1
        if end == first or bottom + sizes[first, 1] + gap / 2 > 1:
            return None
        places[first:end, 0] = gap / 2 + steps[first:end] - steps[first]
        places[first:end, 1] = bottom
        bottom += sizes[first, 1] + gap
        first = end
    return places
