"""Signed distance to any mesh: open, cutting into itself, inside-out, or as thin as a sheet.

What is inside is decided by generalised winding numbers: "Fast winding numbers for soups and
clouds", Barill et al. 2018, as libigl computes them. They need no closed surface.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import Mesh

DEPTHS = (0.25, 0.5, 0.75, 1.0)
"""Where the thickness of the surface is probed, as parts of the deepest place."""
ASIDE = 1e-6 * np.array([0.27, 0.53, 0.80])
"""Added to points, so that none is on the surface, where it is not known which way is in: lattices
and models are often aligned with the axes, but not with this."""


class SignedDistance:
    """The distance to a mesh, negative inside; what is too thin is as if it were thicker.

    A point is inside if the mesh winds around it by more than half a turn, either way: a mesh that
    is inside-out has the same inside. A sheet has none, and no lattice would notice a plate much
    thinner than its cells. So the surface is moved outwards wherever less than `thinnest` lies
    behind it, by half of what is missing.
    """

    def __init__(self, mesh: Mesh, thinnest: float) -> None:
        """Take up a mesh.

        Args:
            mesh: Of any scale; needs no uv.
            thinnest: Least thickness that is left, in units of the mesh; 0 leaves all as it is.

        Raises:
            TexcsdError: libigl is not installed.
        """
        try:
            import igl  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise TexcsdError(
                'reshaping needs libigl; install it with pip install "texcsd[dmtet]"'
            ) from error
        self.thinnest = thinnest
        self._vertices = mesh.vertices.detach().double().cpu().numpy()
        self._faces = mesh.faces.cpu().numpy()
        self._tree, self._windings = igl.AABB(), igl.FastWindingNumberBVH()
        self._tree.init(self._vertices, self._faces)
        self._windings.init(self._vertices, self._faces)

    def __call__(self, points: Tensor) -> Tensor:
        """float32[point] at float[point, 3], on their device."""
        places = _beside(points)
        distance, _, nearest = self._to_surface(places)
        inside = self._are_inside(places)
        signed = np.where(inside, -distance, distance)
        near = distance < self.thinnest  # Farther away it makes no difference to the surface.
        if near.any():
            behind = self._behind(places[near], nearest[near], inside[near], self.thinnest)
            signed[near] -= (self.thinnest - behind) / 2
        return torch.from_numpy(signed.astype(np.float32)).to(points.device)

    def unsigned(self, points: Tensor) -> Tensor:
        """float32[point], the distance to the surface as it is, at float[point, 3]."""
        distance, _, _ = self._to_surface(points.detach().double().cpu().numpy())
        return torch.from_numpy(distance.astype(np.float32)).to(points.device)

    def thickness(self, points: Tensor, most: float) -> Tensor:
        """float32[point], how much lies behind the surface where it is nearest to float[point, 3].

        It is probed at a few depths down to `most`, and never more than that, and not thickened.
        """
        places = _beside(points)
        _, _, nearest = self._to_surface(places)
        behind = self._behind(places, nearest, self._are_inside(places), most)
        return torch.from_numpy(behind.astype(np.float32)).to(points.device)

    def nearest(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Where the surface is nearest to float[point, 3].

        Returns:
            Faces int64[point], and the weights float32[point, 3] of their corners.
        """
        _, faces, places = self._to_surface(points.detach().double().cpu().numpy())
        weights = corner_weights(self._vertices[self._faces[faces]], places)
        faces = torch.from_numpy(faces).to(points.device)
        return faces, torch.from_numpy(weights.astype(np.float32)).to(points.device)

    def _to_surface(
        self, points: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
        """Distances float64[point], the nearest faces, and the places there, float64[point, 3]."""
        squared, faces, nearest = self._tree.squared_distance(self._vertices, self._faces, points)
        distance, faces = np.sqrt(squared).reshape(-1), np.asarray(faces).reshape(-1)
        return distance, faces, np.asarray(nearest).reshape(-1, 3)

    def _are_inside(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.abs(self._windings.winding_number(points)) > 0.5

    def _behind(
        self,
        points: NDArray[np.float64],
        nearest: NDArray[np.float64],
        inside: NDArray[np.bool_],
        most: float,
    ) -> NDArray[np.float64]:
        """As `thickness`, float64[point], with what is known of the points."""
        inwards = np.where(inside[:, None], points - nearest, nearest - points)
        inwards /= np.maximum(np.linalg.norm(inwards, axis=1, keepdims=True), 1e-12)
        behind = np.ones(len(points), bool)
        thickness = np.zeros(len(points))
        for depth in DEPTHS:
            behind &= self._are_inside(nearest + depth * most * inwards)
            thickness += behind * most / len(DEPTHS)
        return thickness


def _beside(points: Tensor) -> NDArray[np.float64]:
    return points.detach().double().cpu().numpy() + ASIDE


def corner_weights(
    corners: NDArray[np.float64], places: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weights float64[point, 3] of corners float64[point, 3, 3] at float64[point, 3] in between."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    cross = np.cross(b - a, c - a)
    whole = np.maximum((cross**2).sum(1), 1e-300)
    second = (np.cross(places - a, c - a) * cross).sum(1) / whole
    third = (np.cross(b - a, places - a) * cross).sum(1) / whole
    return np.stack([1 - second - third, second, third], 1).clip(0, 1)
