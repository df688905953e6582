"""Triangles cut into smaller ones without a change of shape, and values brought back from them.

Edges that are too long are halved, each for all faces that it has, so that no cracks open.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from texcsd.geometry.mesh import Mesh
from texcsd.geometry.normals import weld_vertices

MOST_FACES = 80_000
"""Many enough for most relief, and few enough to be rendered again and again."""
CHILDREN = (
    ((0, 1, 2),),
    ((0, 3, 2), (3, 1, 2)),
    ((0, 1, 4), (0, 4, 2)),
    ((3, 1, 4), (0, 3, 4), (0, 4, 2)),
    ((0, 1, 5), (5, 1, 2)),
    ((0, 3, 5), (3, 1, 2), (3, 2, 5)),
    ((5, 4, 2), (0, 1, 4), (0, 4, 5)),
    ((0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)),
)
"""By the edges of a face that are halved, as bits: what becomes of it. 0, 1 and 2 are its corners,
3, 4 and 5 the middles of the edges that begin there."""


@dataclass(frozen=True)
class Subdivision:
    """A mesh of smaller faces, and where they lie in those of the one it was made of."""

    mesh: Mesh
    """In the same shape, with uv and normals interpolated; it has no parts."""
    parents: Tensor
    """int64[face], ascending, the face that each is a piece of."""
    weights: Tensor
    """float64[face, 3, 3], its corners in terms of the corners of its parent."""

    def means(self, values: Tensor, faces: Tensor, count: int) -> Tensor:
        """Mean values around the vertices of the coarse mesh, by hat functions.

        Args:
            values: float[fine vertex, columns], of the mesh.
            faces: int64[coarse face, 3], vertices of the coarse one.
            count: Number of these.

        Returns:
            float[vertex, columns]; 0 for those without a face that has an area.
        """
        corners = self.mesh.vertices[self.mesh.faces].double()
        sides = corners[:, 1:] - corners[:, :1]
        areas = torch.linalg.vector_norm(torch.linalg.cross(sides[:, 0], sides[:, 1]), dim=1)
        shares = (self.weights.to(areas) * areas[:, None, None]).sum(1)
        of_corners = values[self.mesh.faces].double()
        pulls = torch.einsum("fij,fic,f->fjc", self.weights.to(areas), of_corners, areas)
        into = faces[self.parents].reshape(-1)
        sums = pulls.new_zeros(count, values.shape[1]).index_add(0, into, pulls.flatten(0, 1))
        totals = shares.new_zeros(count).index_add(0, into, shares.reshape(-1))
        return (sums / totals.clamp(min=1e-30)[:, None]).to(values)


def subdivide(mesh: Mesh, longest: float, most_faces: int = MOST_FACES) -> Subdivision:
    """Halve all edges longer than `longest`, again and again, while there are no more faces.

    Args:
        mesh: On the CPU.
        longest: In units of the mesh.
        most_faces: A round that would make more is left out.
    """
    places = mesh.vertices.double()[mesh.faces]
    parents = torch.arange(len(mesh.faces))
    weights = torch.eye(3, dtype=torch.float64).expand(len(parents), 3, 3)
    while True:
        # An edge is as long seen from its other face: halves and sums of float32 are exact.
        corners = weights @ places[parents]
        long = torch.linalg.vector_norm(corners.roll(-1, 1) - corners, dim=2) > longest
        if not long.any() or len(parents) + int(long.sum()) > most_faces:
            return Subdivision(_pieces(mesh, parents, weights), parents, weights)
        face, weights = _halved(weights, long)
        parents = parents[face]


def _halved(weights: Tensor, long: Tensor) -> tuple[Tensor, Tensor]:
    """Cut faces, float64[face, 3, 3], at their long edges, bool[face, 3].

    Returns:
        int64[piece], the face each is of, ascending; and the pieces, float64[piece, 3, 3].
    """
    middles = (weights + weights.roll(-1, 1)) / 2
    points = torch.cat([weights, middles], 1)
    table = torch.full((len(CHILDREN), 4, 3), -1)
    for case, children in enumerate(CHILDREN):
        table[case, : len(children)] = torch.tensor(children)
    chosen = table[(long * torch.tensor([1, 2, 4])).sum(1)]
    face, child = (chosen[..., 0] >= 0).nonzero(as_tuple=True)
    return face, points[face[:, None], chosen[face, child]]


def _pieces(mesh: Mesh, parents: Tensor, weights: Tensor) -> Mesh:
    """The mesh of these pieces of its faces; equal positions and normals stand once."""
    positions = (weights @ mesh.vertices.double()[mesh.faces[parents]]).reshape(-1, 3)
    first, place = weld_vertices(positions.numpy())
    of_parents = mesh.normals.double()[mesh.normal_faces[parents]]
    normals = weights @ of_parents
    lengths = torch.linalg.vector_norm(normals, dim=2, keepdim=True)
    normals = torch.where(lengths > 1e-6, normals / lengths.clamp(min=1e-6), of_parents)
    normals = normals.float().reshape(-1, 3)
    distinct, number = weld_vertices(normals.double().numpy())
    uv = uv_faces = None
    if mesh.uv is not None and mesh.uv_faces is not None:
        uv = (weights @ mesh.uv.double()[mesh.uv_faces[parents]]).float().reshape(-1, 2)
        uv_faces = torch.arange(len(uv)).view(-1, 3)
    return replace(
        mesh,
        vertices=positions[torch.from_numpy(first)].to(mesh.vertices.dtype),
        faces=_as_faces(place),
        uv=uv,
        uv_faces=uv_faces,
        normals=normals[torch.from_numpy(distinct)],
        normal_faces=_as_faces(number),
        parts=(),
        polygons=None,
        textures=None if mesh.textures is None else mesh.textures[parents],
    )


def _as_faces(numbers: np.ndarray) -> Tensor:
    return torch.from_numpy(numbers).view(-1, 3)
