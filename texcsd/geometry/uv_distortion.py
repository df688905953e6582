"""How evenly the uv of a mesh spread the texture over its surface."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.mesh import Mesh
from texcsd.geometry.normals import face_normals
from texcsd.geometry.uv_inspection import uv_areas, without_area


@dataclass(frozen=True)
class Spread:
    """How a value is distributed over the surface: by area, not by face."""

    low: float
    """5 % of the surface have less."""
    median: float
    high: float
    """5 % of the surface have more."""


@dataclass(frozen=True)
class UvDistortion:
    """Measurements of uv. Spreads leave out faces without area, on the surface or in the uv."""

    lowest: tuple[float, float]
    """Least u and least v."""
    highest: tuple[float, float]
    """Greatest u and greatest v."""
    mirrored_faces: int
    """Faces that lie in the texture as in a mirror: letters on them read backwards."""
    mirrored_area_fraction: float
    """Their share of the surface area."""
    texels_per_unit: Spread
    """Texels along a unit of length; the root of the texels on a unit of area."""
    area_stretch: Spread
    """Texels on a unit of area over their mean: 1 everywhere where the texture is spread evenly."""
    angle_stretch: Spread
    """Greatest over least texels per unit length of all directions: 1 where angles are kept."""


def measure_distortion(mesh: Mesh, texture_size: int) -> UvDistortion | None:
    """Measure the uv of a mesh; None where it has none, none that are numbers, or none with area.

    Args:
        mesh: In any pose and scale, on any device.
        texture_size: Side of the texture in texels.
    """
    if mesh.uv is None or mesh.uv_faces is None:
        return None
    uv = mesh.uv.double().cpu().numpy()[mesh.uv_faces.cpu().numpy()]
    vertices, faces = mesh.vertices.double().cpu().numpy(), mesh.faces.cpu().numpy()
    areas = face_normals(vertices, faces)[1]
    shares = areas / areas.sum()
    if not np.isfinite(uv).all() or not uv_areas(uv).any():
        return None
    sound = (areas > 0) & ~without_area(uv, shares)
    mirrored = sound & (uv_areas(uv) < 0)
    most, least = _scales(vertices[faces[sound]], uv[sound])
    density = np.abs(uv_areas(uv[sound])) / areas[sound]
    mean = (density * areas[sound]).sum() / areas[sound].sum()
    return UvDistortion(
        lowest=(float(uv[..., 0].min()), float(uv[..., 1].min())),
        highest=(float(uv[..., 0].max()), float(uv[..., 1].max())),
        mirrored_faces=int(mirrored.sum()),
        mirrored_area_fraction=float(shares[mirrored].sum()),
        texels_per_unit=_spread(texture_size * np.sqrt(density), areas[sound]),
        area_stretch=_spread(density / mean, areas[sound]),
        angle_stretch=_spread(most / least, areas[sound]),
    )


def _scales(
    corners: NDArray[np.float64], uv: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the greatest and the least uv per unit length of each face, float[face].

    They are the singular values of the linear map from the plane of a face to uv.

    Args:
        corners: float[face, 3, 3], positions.
        uv: float[face, 3, 2].
    """
    along, across = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    length = np.linalg.norm(along, axis=1)
    shift = (along * across).sum(axis=1) / length
    height = np.linalg.norm(np.cross(along, across), axis=1) / length
    # The map's columns: what one unit along the first edge, and one at right angles, do to uv.
    right = (uv[:, 1] - uv[:, 0]) / length[:, None]
    up = (uv[:, 2] - uv[:, 0] - shift[:, None] * right) / height[:, None]
    squares = (right**2 + up**2).sum(axis=1)
    doubled = 2 * np.abs(right[:, 0] * up[:, 1] - right[:, 1] * up[:, 0])
    total = np.sqrt(squares + doubled)
    difference = np.sqrt(np.maximum(squares - doubled, 0))
    # (total - difference) / 2 would cancel for slivers in the texture.
    return (total + difference) / 2, doubled / (total + difference)


def _spread(values: NDArray[np.float64], areas: NDArray[np.float64]) -> Spread:
    order = np.argsort(values)
    cumulative = np.cumsum(areas[order])
    at = np.searchsorted(cumulative, np.array([0.05, 0.5, 0.95]) * cumulative[-1])
    return Spread(*values[order][np.minimum(at, len(values) - 1)].tolist())
