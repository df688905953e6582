"""Which way a mesh seems to stand and to face: a guess, for a person to look at."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, KDTree, QhullError

from texcsd.geometry.mesh import Mesh

AXES = ("+x", "+y", "+z", "-x", "-y", "-z")
CONTACT_DEPTH = 0.01
"""Of the diagonal of the bounds: what lies this near to the lowest point touches the ground."""
CLEARLY_BROADER = 0.2
"""Of the footprint: by how much the stand in another pose must beat the one with +y up."""
MOST_POINTS = 20_000
ASYMMETRY = 0.01
"""Of the diagonal: mean distance to the mirror image up to which a shape counts as symmetric."""


@dataclass(frozen=True)
class Orientation:
    """Axes as "+y"; painting takes +y and +z, or what it is told, whatever is guessed here."""

    up: str
    """The side opposite to the one it seems to stand on; +y unless another is clearly better."""
    front: tuple[str, ...]
    """Sides that may be the front: those along which no mirror symmetry runs; empty if unclear."""


def guess_orientation(mesh: Mesh) -> Orientation:
    """Guess up from what the mesh could stand on, and front from its mirror symmetry."""
    vertices = mesh.vertices.double().cpu().numpy()
    used = vertices[np.unique(mesh.faces.cpu().numpy())]
    centre, diagonal = (used.min(axis=0) + used.max(axis=0)) / 2, np.linalg.norm(np.ptp(used, 0))
    points = (used - centre) / diagonal
    up = _guess_up(points)
    across = [axis for axis in range(3) if axis != up % 3]
    symmetric = [axis for axis in across if _asymmetry(points, axis) < ASYMMETRY]
    if len(symmetric) != 1:
        return Orientation(AXES[up], ())
    (forward,) = set(across) - set(symmetric)
    return Orientation(AXES[up], (AXES[forward], AXES[forward + 3]))


def _guess_up(points: NDArray[np.float64]) -> int:
    """Index into AXES of the direction whose opposite side is the best to stand on."""
    contacts = np.array([_contact(points, axis, sign) for sign in (-1, 1) for axis in range(3)])
    # A side is the bottom as far as it is broader than the top above it. On the y axis the sign is
    # left alone: the rim of a bowl is broader than its foot.
    stands = contacts[:3] - contacts[3:]
    axis = int(np.abs(stands).argmax())
    if axis == 1 or abs(stands[axis]) < abs(stands[1]) + CLEARLY_BROADER:
        return 1
    return axis if stands[axis] > 0 else axis + 3


def _contact(points: NDArray[np.float64], axis: int, sign: int) -> float:
    """Area of ground enclosed by the points touched, as a share of the footprint's.

    Args:
        points: float[point, 3], of diagonal 1.
        axis: Of the ground's normal.
        sign: -1 stands on the side of the least coordinates, 1 on that of the greatest.
    """
    heights = -sign * points[:, axis]
    ground = np.delete(points, axis, axis=1)
    whole = _hull_area(ground)
    return _hull_area(ground[heights <= heights.min() + CONTACT_DEPTH]) / whole if whole else 0.0


def _hull_area(points: NDArray[np.float64]) -> float:
    """Area of the convex hull of float[point, 2]; 0 where they are too few or on a line."""
    if len(points) < 3:
        return 0.0
    try:
        return float(ConvexHull(points).volume)
    except QhullError:
        return 0.0


def _asymmetry(points: NDArray[np.float64], axis: int) -> float:
    """Mean distance from the mirror image of the points to the nearest point."""
    some = points[:: len(points) // MOST_POINTS + 1]
    mirrored = some * np.where(np.arange(3) == axis, -1, 1)
    return float(KDTree(points).query(mirrored)[0].mean())
