"""A surface looked up from points close to it, such as those of a coarser version of it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from texcsd.geometry.mesh import Mesh
from texcsd.geometry.signed_distance import corner_weights

FARTHEST = 3.0
"""Times the distance to the nearest point: what a ray finds beyond that is another part."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class CloseSurface:
    """The normals of a surface, found from points beside it."""

    def __init__(self, mesh: Mesh) -> None:
        """Take up a mesh that may have any scale and needs no uv; libigl has to be installed."""
        import igl  # pyright: ignore[reportMissingImports]

        self._vertices = mesh.vertices.detach().double().cpu().numpy()
        self._faces = mesh.faces.cpu().numpy()
        self._corner_normals = mesh.normals.double().cpu().numpy()[mesh.normal_faces.cpu().numpy()]
        self._tree = igl.AABB()
        self._tree.init(self._vertices, self._faces)

    def normals(self, points: Tensor, directions: Tensor) -> Tensor:
        """Unit normals float32[point, 3] of the surface where rays from the points meet it.

        Each point looks both ways along its direction, and takes what is nearer of all that faces
        as it does. Where there is nothing, or only something far away, it takes the nearest point;
        where that faces the other way, as in crevices, the direction itself.

        Args:
            points: float[point, 3].
            directions: float[point, 3], unit, outwards.
        """
        origins, outwards = (values.double().cpu().numpy() for values in (points, directions))
        squared, faces, places = self._tree.squared_distance(self._vertices, self._faces, origins)
        faces = np.asarray(faces).reshape(-1)
        corners = self._vertices[self._faces[faces]]
        found = self._interpolated(faces, corner_weights(corners, np.reshape(places, (-1, 3))))
        nearest = FARTHEST * np.sqrt(np.reshape(squared, -1))
        for sign in (1.0, -1.0):
            faces, distance, second_and_third = map(
                np.asarray,
                self._tree.intersect_ray_first(
                    self._vertices, self._faces, origins, sign * outwards
                ),
            )
            # What libigl returns for a ray that meets nothing is memory as it was, any number.
            second_and_third = np.where(faces[:, None] >= 0, second_and_third, 0.0)
            weights = np.concatenate(
                [1 - second_and_third.sum(1, keepdims=True), second_and_third], 1
            )
            normals = self._interpolated(np.maximum(faces, 0), weights)
            taken = (faces >= 0) & (distance <= nearest) & ((normals * outwards).sum(1) > 0)
            found[taken], nearest[taken] = normals[taken], distance[taken]
        away = (found * outwards).sum(1, keepdims=True) <= 0
        return torch.from_numpy(np.where(away, outwards, found).astype(np.float32)).to(
            points.device
        )

    def _interpolated(self, faces: IntArray, weights: FloatArray) -> FloatArray:
        normals = np.einsum("pc,pcx->px", weights, self._corner_normals[faces])
        return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
