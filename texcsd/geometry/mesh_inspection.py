"""What is wrong with the surface of a mesh, whatever is painted on it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.mesh import Mesh, is_inside_out
from texcsd.geometry.normals import (
    connect,
    consistent_signs,
    face_normals,
    find_neighbours,
    weld_vertices,
)


@dataclass(frozen=True)
class SurfaceReport:
    """Defects of a surface. Vertices at exactly one position count as one.

    Every defect counts once: faces that repeat another, or with two corners in one place, are left
    out where edges, windings and pieces are counted.
    """

    boundary_edges: int
    """Edges of one face: the rims of openings."""
    nonmanifold_edges: int
    """Edges of more than two faces."""
    degenerate_faces: int
    """Faces without area."""
    duplicate_faces: int
    """Faces whose three places an earlier face has, too, in any order."""
    inconsistent_faces: int
    """Faces wound against most of the surface they are connected with."""
    inside_out: bool
    """Whether the front sides of the mesh as a whole look inwards."""
    pieces: int
    """Groups of faces that share no vertex with another group."""


def inspect_surface(mesh: Mesh) -> SurfaceReport:
    """Count what is wrong with the surface of a mesh on any device."""
    vertices = mesh.vertices.double().cpu().numpy()
    first, place_of = weld_vertices(vertices)
    places = place_of[mesh.faces.cpu().numpy()]
    areas = face_normals(vertices[first], places)[1]
    cornered = (places != np.roll(places, 1, axis=1)).all(axis=1)
    distinct = _without_repeats(places)
    kept = distinct[cornered[distinct]]
    faces_at_edge = _faces_at_edges(places[kept])
    signs = consistent_signs(areas[kept], find_neighbours(places[kept]))
    return SurfaceReport(
        boundary_edges=int((faces_at_edge == 1).sum()),
        nonmanifold_edges=int((faces_at_edge > 2).sum()),
        degenerate_faces=int((areas == 0).sum()),
        duplicate_faces=len(places) - len(distinct),
        inconsistent_faces=int((signs < 0).sum()),
        inside_out=is_inside_out(mesh),
        pieces=_count_pieces(places[kept]),
    )


def _without_repeats(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the faces that are the first with their three places, int[distinct]."""
    return np.sort(weld_vertices(np.sort(places, axis=1).astype(np.float64))[0])


def _faces_at_edges(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the faces at every edge of int[face, 3], int[edge]."""
    start, end = places.reshape(-1), np.roll(places, -1, axis=1).reshape(-1)
    edges = np.minimum(start, end) * (int(places.max(initial=0)) + 1) + np.maximum(start, end)
    return np.unique(edges, return_counts=True)[1]


def _count_pieces(places: NDArray[np.int64]) -> int:
    points, numbers = np.unique(places, return_inverse=True)
    corners = numbers.reshape(-1, 3)
    labels = connect(len(points), corners[:, :2].ravel(), corners[:, 1:].ravel())
    return int(labels.max(initial=-1)) + 1
