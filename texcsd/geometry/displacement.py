"""A mesh whose vertices move a little: by less than a limit, and without turning a face over.

Topology, uv, names and groups stay; vertices at one position move together, so seams stay closed.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from texcsd.geometry.edges import find_edges
from texcsd.geometry.large_steps import LargeSteps
from texcsd.geometry.mesh import Mesh
from texcsd.geometry.normals import weld_vertices

SMALLEST_COSINE = 0.05
"""Between the normal of a face now and in the input; below, its corners are held back."""
SMALLEST_CROSS = 1e-10
"""Twice the area of a face that counts; smaller ones have no direction in float32."""
MOST_HALVINGS = 30
"""Of a step around faces that turn too far; thereafter it is 0 there."""


class Displacement:
    """Offsets of the positions of a mesh, as something to optimise."""

    def __init__(self, mesh: Mesh, limit: float, detail: float) -> None:
        """Begin with no displacement at all.

        Args:
            mesh: Fitted to the unit sphere.
            limit: Most that a vertex may move.
            detail: About the size of the smallest relief.
        """
        device = mesh.vertices.device
        first, place = weld_vertices(mesh.vertices.double().cpu().numpy())
        self.place = torch.from_numpy(place).to(device)
        """int64[vertex], the position each vertex of the mesh is at."""
        self.rest = mesh.vertices[torch.from_numpy(first).to(device)].float()
        """float32[position, 3], of the input."""
        self.faces = self.place[mesh.faces]
        """int64[face, 3] into positions."""
        self.edges = find_edges(self.faces)
        self.limit = limit
        self.heights = torch.zeros_like(self.rest[:, :1], requires_grad=True)
        """float32[position, 1], along the normals, before they are limited: what is optimised."""
        ends = self.rest[self.edges.vertices]
        self.edge_length = torch.linalg.vector_norm(ends[:, 1] - ends[:, 0], dim=1).mean().item()
        """The mean; relief finer than this there cannot be."""
        smoothness = (detail / max(self.edge_length, 1e-6)) ** 2
        self.optimizer = LargeSteps(self.edges.vertices, len(self.rest), 1, smoothness)
        self._rest_crosses = _crosses(self.rest, self.faces)
        self._sound = torch.linalg.vector_norm(self._rest_crosses, dim=1) > SMALLEST_CROSS
        self._normals = _Normals(mesh, self.faces, self._rest_crosses)
        # By angle: how a side is cut into triangles must not turn the direction of its corners.
        weights = _corner_angles(self.rest, self.faces)[..., None]
        pulls = (weights * mesh.normals.float()[mesh.normal_faces]).reshape(-1, 3)
        sums = torch.zeros_like(self.rest).index_add(0, self.faces.reshape(-1), pulls)
        self._directions = torch.nn.functional.normalize(sums, dim=1)

    def offsets(self) -> Tensor:
        """float32[position, 3], differentiable, shorter than the limit."""
        return self._directions * self.limit * torch.tanh(self.heights / self.limit)

    def shape(self) -> tuple[Tensor, Tensor]:
        """Positions float32[position, 3] and normals float32[normal, 3], differentiable.

        Normals change by as much as those of the faces around do; where nothing moved, they are the
        input's, with its creases. `normal_faces` indexes them.
        """
        positions = self.rest + self.offsets()
        return positions, self._normals.moved(_crosses(positions, self.faces))

    @property
    def normal_faces(self) -> Tensor:
        """int64[face, 3] into the normals."""
        return self._normals.faces

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Moves along the gradient that has come to the heights, as far as no face turns over."""
        assert self.heights.grad is not None
        before = self.heights.clone()
        self.heights += self.optimizer.step(self.heights.grad, learning_rate * self.limit)
        self.heights.grad = None
        self._hold_back(before)

    @torch.no_grad()
    def follow(self, heights: Tensor) -> None:
        """Takes on these heights, float32[position, 1], as far as no face turns over."""
        self.heights.copy_(heights)
        self._hold_back(torch.zeros_like(self.heights))

    def _hold_back(self, before: Tensor) -> None:
        """Shortens the step where a face has turned too far, until none has; before, none had."""
        halvings = 0
        while (turned := self._turned_faces()).any():
            corners = self.faces[turned].unique()
            share = 0.5 if halvings < MOST_HALVINGS else 0.0
            self.heights[corners] = before[corners].lerp(self.heights[corners], share)
            halvings += 1

    def _turned_faces(self) -> Tensor:
        """bool[face]; faces that had no area in the input may do what they like."""
        crosses = _crosses(self.rest + self.offsets(), self.faces)
        cosines = torch.nn.functional.cosine_similarity(
            crosses, self._rest_crosses, eps=SMALLEST_CROSS**2
        )
        return (cosines < SMALLEST_COSINE) & self._sound

    @torch.no_grad()
    def apply(self, mesh: Mesh, radius: float) -> Mesh:
        """The mesh with its vertices displaced.

        Args:
            mesh: The one of the beginning, in any pose that differs from it by scale and place.
            radius: Its size, relative to the one of the beginning.
        """
        offsets, (_, normals) = self.offsets()[self.place], self.shape()
        moved = mesh.vertices + radius * offsets.to(mesh.vertices)
        normals, normal_faces = normals.to(mesh.normals), self.normal_faces.to(mesh.faces)
        return replace(mesh, vertices=moved, normals=normals, normal_faces=normal_faces)


class _Normals:
    """Normals that follow their faces."""

    def __init__(self, mesh: Mesh, faces: Tensor, crosses: Tensor) -> None:
        """One normal per position and normal of the mesh: a file may use one at many places."""
        pairs = faces * len(mesh.normals) + mesh.normal_faces
        keys, self.faces = pairs.unique(return_inverse=True)
        self._before = mesh.normals[keys % len(mesh.normals)].float()
        # Some faces may be wound the other way round than their normals say.
        agrees = (self._before[self.faces] * crosses[:, None]).sum(2, keepdim=True)
        self._sign = torch.where(agrees < 0, -1.0, 1.0)
        self._of_faces_before = self._of_faces(crosses)

    def _of_faces(self, crosses: Tensor) -> Tensor:
        corners = (self._sign * crosses[:, None]).reshape(-1, 3)
        sums = torch.zeros_like(self._before).index_add(0, self.faces.reshape(-1), corners)
        return torch.nn.functional.normalize(sums, dim=1, eps=1e-20)

    def moved(self, crosses: Tensor) -> Tensor:
        change = self._of_faces(crosses) - self._of_faces_before
        return torch.nn.functional.normalize(self._before + change, dim=1)


def _crosses(positions: Tensor, faces: Tensor) -> Tensor:
    """float[face, 3], normals as long as twice the area."""
    corners = positions[faces]
    return torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def _corner_angles(positions: Tensor, faces: Tensor) -> Tensor:
    """float[face, 3], in radians; of a face without area any finite number."""
    corners = positions[faces]
    ahead, behind = corners.roll(-1, 1) - corners, corners.roll(1, 1) - corners
    cosines = torch.nn.functional.cosine_similarity(ahead, behind, dim=2, eps=1e-12)
    return torch.acos(cosines.clamp(-1, 1))
