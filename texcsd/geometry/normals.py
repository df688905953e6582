"""Welding by position, and normals that are smooth except over creases; numpy, vectorised."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

MOST_FACES_AT_AN_EDGE = 6
"""Of an edge shared by more faces than this only the nearest in file order are compared."""


def weld_vertices(vertices: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the vertices that share one position exactly.

    Args:
        vertices: float[vertex, 3].

    Returns:
        int[distinct], the first vertex at each distinct position, in order of first appearance, and
        int[vertex], for each vertex its index among the distinct ones.
    """
    if len(vertices) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    positions = vertices + 0.0  # -0.0 becomes 0.0: the same place
    order = np.lexsort(positions.T)
    ordered = positions[order]
    starts = np.ones(len(vertices), dtype=bool)
    starts[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    group_of = np.empty(len(vertices), dtype=np.int64)
    group_of[order] = np.cumsum(starts) - 1
    first = np.full(int(starts.sum()), len(vertices), dtype=np.int64)
    np.minimum.at(first, group_of, np.arange(len(vertices)))
    by_appearance = np.argsort(first)
    rank = np.empty_like(by_appearance)
    rank[by_appearance] = np.arange(len(first))
    return first[by_appearance], rank[group_of]


def leave_out_unused(
    values: NDArray[np.float64], faces: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Leave out the values that no face uses, if there are more values than corners.

    So what is done with the values of each of many parts, which share one array, takes as long as
    the parts are large, not as long as the array is. Order stays.

    Args:
        values: float[value, n].
        faces: int64[face, 3] into them.

    Returns:
        The values that are left, and the faces that index these.
    """
    if len(values) <= faces.size:
        return values, faces
    used, corners = np.unique(faces, return_inverse=True)
    return values[used], corners.reshape(faces.shape)


def face_normals(
    vertices: NDArray[np.float64], faces: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return unit normals float[face, 3] and areas float[face]; degenerate faces have zero of both.

    The mesh may have any scale: it is brought to size one before the products, so that neither
    microscopic nor astronomic units lose their normals to underflow or overflow.
    """
    if len(vertices) == 0 or len(faces) == 0:
        return np.zeros((len(faces), 3)), np.zeros(len(faces))
    # Of the corners, not of all vertices: those that no face uses may be no numbers at all.
    corners = vertices[faces]
    corners = corners - corners.mean(axis=(0, 1))
    size = float(np.abs(corners).max()) or 1.0
    corners = corners / size
    doubled = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(doubled, axis=1)
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    # Below this the direction is rounding noise: a sliver, whatever its length.
    sound = lengths > 1e-12 * longest * np.maximum(longest, 1e-6)
    normals = np.where(sound[:, None], doubled, 0.0) / np.where(sound, lengths, 1.0)[:, None]
    return normals, np.where(sound, lengths, 0.0) * (0.5 * size * size)


def smooth_normals(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], crease_degrees: float = 40.0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Compute normals that are smooth over edges flatter than the crease angle.

    Vertices at the same position count as one. A face wound against most of the surface it is
    connected with is turned round for this purpose only. Degenerate faces get the normal of their
    surroundings, or +y where there is none: never NaN.

    Args:
        vertices: float[vertex, 3].
        faces: int[face, 3].
        crease_degrees: Angle between neighbouring faces above which their edge stays sharp.

    Returns:
        float32[normal, 3], unit, and int64[face, 3] into them.
    """
    vertices, faces = leave_out_unused(vertices, faces)
    places = weld_vertices(vertices)[1][faces]
    normals, areas = face_normals(vertices, faces)
    neighbours = find_neighbours(places)
    normals = normals * consistent_signs(areas, neighbours)[:, None]
    cosines = (normals[neighbours.left // 3] * normals[neighbours.right // 3]).sum(axis=1)
    group_of = _corner_groups(places, neighbours, cosines > np.cos(np.radians(crease_degrees)))
    weights = _corner_angles(vertices, faces) * (areas > 0)[:, None]
    corner_normals = (normals[:, None, :] * weights[:, :, None]).reshape(-1, 3)
    around = _sum_by_group(corner_normals, places.reshape(-1))
    sums = _sum_by_group(corner_normals, group_of)
    place_of_group = np.zeros(len(sums), np.int64)
    place_of_group[group_of] = places.reshape(-1)
    sums = _first_nonzero(sums, around[place_of_group])
    return sums.astype(np.float32), group_of.reshape(-1, 3)


class Neighbours(NamedTuple):
    """Pairs of half-edges that lie on the same edge.

    A half-edge is numbered 3 * face + corner, the corner where it starts.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    agree: NDArray[np.bool_]
    """bool[pair], whether both faces are wound alike: their half-edges run in opposite ways."""
    manifold: NDArray[np.bool_]
    """bool[pair], whether the edge has exactly these two faces."""


def find_neighbours(places: NDArray[np.int64]) -> Neighbours:
    """Pair the half-edges of faces that share an edge.

    Args:
        places: int[face, 3], welded vertex indices; edges between equal indices have no neighbours.
    """
    start, end = places.reshape(-1), np.roll(places, -1, axis=1).reshape(-1)
    real = np.flatnonzero(start != end)
    low, high = np.minimum(start, end)[real], np.maximum(start, end)[real]
    _, edges, counts = np.unique(
        low * (int(places.max(initial=0)) + 1) + high, return_inverse=True, return_counts=True
    )
    order = np.argsort(edges, kind="stable")
    edges, half_edges = edges[order], real[order]
    lefts, rights = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for distance in range(1, MOST_FACES_AT_AN_EDGE):
        together = np.flatnonzero(edges[distance:] == edges[:-distance])
        lefts.append(together)
        rights.append(together + distance)
    first, second = np.concatenate(lefts), np.concatenate(rights)
    left, right = half_edges[first], half_edges[second]
    return Neighbours(left, right, start[left] != start[right], counts[edges[first]] == 2)


def consistent_signs(areas: NDArray[np.float64], neighbours: Neighbours) -> NDArray[np.float64]:
    """Return float[face], -1 where a face is wound against the majority of its connected surface.

    Every face stands twice in a graph, as it is and turned round; neighbours link the copies that
    agree. On an orientable surface the two copies fall into two components, and the one with less
    turned area wins. One-sided surfaces, and edges with more than two faces, are left as they are.
    """
    count = len(areas)
    left = neighbours.left[neighbours.manifold] // 3
    right = neighbours.right[neighbours.manifold] // 3
    turned = np.where(neighbours.agree[neighbours.manifold], 0, count)
    labels = connect(
        2 * count,
        np.concatenate([left, left + count]),
        np.concatenate([right + turned, right + count - turned]),
    )
    upright, reverse = labels[:count], labels[count:]
    area = np.bincount(upright, weights=areas, minlength=int(labels.max(initial=0)) + 1)
    wins = (area[upright] > area[reverse]) | (area[upright] == area[reverse]) & (upright <= reverse)
    return np.where(wins, 1.0, -1.0)


def connect(count: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the connected components of a graph of `count` nodes and undirected links."""
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _corner_groups(
    places: NDArray[np.int64], neighbours: Neighbours, smooth: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Number the corners, int[3 * face], so that those joined by a smooth edge share a number."""
    left, right = neighbours.left[smooth], neighbours.right[smooth]
    agree = neighbours.agree[smooth]
    left_end, right_end = _next_corner(left), _next_corner(right)
    return connect(
        places.size,
        np.concatenate([left, left_end]),
        np.concatenate([np.where(agree, right_end, right), np.where(agree, right, right_end)]),
    )


def _next_corner(corners: NDArray[np.int64]) -> NDArray[np.int64]:
    return corners - corners % 3 + (corners + 1) % 3


def _corner_angles(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.float64]:
    """Angles in radians, float[face, 3]; anything finite for degenerate faces."""
    corners = vertices[faces]
    ahead = np.roll(corners, -1, axis=1) - corners
    behind = np.roll(corners, 1, axis=1) - corners
    lengths = np.linalg.norm(ahead, axis=2) * np.linalg.norm(behind, axis=2)
    cosines = (ahead * behind).sum(axis=2) / np.where(lengths > 0, lengths, 1.0)
    return np.arccos(np.clip(cosines, -1.0, 1.0))


def _sum_by_group(values: NDArray[np.float64], group_of: NDArray[np.int64]) -> NDArray[np.float64]:
    count = int(group_of.max(initial=-1)) + 1
    columns = [np.bincount(group_of, weights=column, minlength=count) for column in values.T]
    return np.stack(columns, axis=1).astype(np.float64)


def _first_nonzero(*candidates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return unit vectors float[n, 3] from the first candidate that has a length, else +y."""
    result = np.tile([0.0, 1.0, 0.0], (len(candidates[0]), 1))
    for candidate in reversed(candidates):
        lengths = np.linalg.norm(candidate, axis=1, keepdims=True)
        result = np.where(lengths > 1e-9, candidate / np.where(lengths > 1e-9, lengths, 1), result)
    return result
