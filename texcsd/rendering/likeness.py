"""How much of a mesh is left in another that was made of it: outlines, places, parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from texcsd.geometry.mesh import Mesh, SurfaceSampler
from texcsd.geometry.signed_distance import SignedDistance
from texcsd.rendering.outlines import outline_overlap

POINTS = 20_000
"""Of each surface, to measure distances at."""
LEAST_POINTS = 200
"""Of each part."""


@dataclass(frozen=True)
class Likeness:
    """What a mesh has in common with another; lengths in the units of both."""

    outline_overlap: float
    """Intersection over union of the silhouettes, the mean over views from all around."""
    least_outline_overlap: float
    """Of the view where it is least."""
    distances: Tensor
    """float32[point], how far points of the new surface are from the old one."""
    lost: dict[str, float]
    """By name of a part, the share of its surface that lies outside the new one, and not near."""

    def report(self) -> dict[str, float]:
        """For run.json; lengths in radii of the object, if the meshes fit the unit sphere."""
        return {
            "mean_distance": self.distances.mean().item(),
            "q99_distance": self.distances.quantile(0.99).item(),
            "max_distance": self.distances.max().item(),
            "outline_overlap": self.outline_overlap,
            "least_outline_overlap": self.least_outline_overlap,
        }


class Model:
    """A mesh that others are compared with; what that takes is computed once."""

    def __init__(self, mesh: Mesh, distance: SignedDistance) -> None:
        """Take up a mesh.

        Args:
            mesh: Fits the unit sphere, is on the CPU; needs no uv.
            distance: To the mesh.
        """
        self.mesh, self.distance = mesh, distance
        self._points: dict[str, Tensor] = {}
        generator = torch.Generator().manual_seed(0)
        for part in mesh.parts:
            faces = slice(part.first_face, part.first_face + part.face_count)
            some = replace(mesh, faces=mesh.faces[faces], normal_faces=mesh.normal_faces[faces])
            count = max(LEAST_POINTS, POINTS * part.face_count // len(mesh.faces))
            points, _ = SurfaceSampler(some).draw(count, generator)
            before = self._points.get(part.name, points[:0])
            self._points[part.name] = torch.cat([before, points])

    def compare(self, mesh: Mesh, near: float) -> Likeness:
        """Compare a mesh with this one.

        Args:
            mesh: Hardly exceeds the unit sphere, is on the CPU; needs no uv.
            near: How far outside the new surface a point counts as lost.
        """
        points, _ = SurfaceSampler(mesh).draw(POINTS, torch.Generator().manual_seed(0))
        # What is inside the new surface is not lost, only covered, as it was by other parts.
        distance = SignedDistance(mesh, 0.0)
        lost = {
            name: (distance(places) > near).float().mean().item()
            for name, places in self._points.items()
        }
        overlap = outline_overlap(self.mesh, mesh)
        return Likeness(*overlap, self.distance.unsigned(points), lost)
