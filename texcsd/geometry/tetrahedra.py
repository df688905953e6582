"""Signed distances on tetrahedra to a surface: the geometry of deep marching tetrahedra.

"Deep Marching Tetrahedra", Shen et al. 2021. The grid is a body-centred cubic lattice, whose
tetrahedra are all alike and nearly regular. It is built from a list of cells, so that it can be
kept to those near a surface and grow with that, not with the volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
"""Of a tetrahedron, by its corners."""


KEY_BITS = 20
"""Of each of a place's coordinates; lattices have at most a few hundred layers."""


@dataclass(frozen=True)
class TetrahedralGrid:
    """Tetrahedra that fill the space around a surface."""

    vertices: Tensor
    """float32[vertex, 3]."""
    places: Tensor
    """int64[vertex, 3], the same in half cells: odd in the middles of cells, even at corners; in
    lexicographic order."""
    tetrahedra: Tensor
    """int64[tetrahedron, 4], all of positive volume."""
    edges: Tensor
    """int64[edge, 2], each once."""
    edges_of: Tensor
    """int64[tetrahedron, 6] into edges, in the order of EDGES."""


def lattice(cells: Tensor, cell_size: float) -> TetrahedralGrid:
    """Tetrahedra between the middles of neighbouring cells and the edges of the face they share.

    Args:
        cells: int64[cell, 3], distinct; cell (i, j, k) begins at that times its size. Surfaces have
            to keep half a cell away from where the cells end.
        cell_size: Length of their edges.
    """
    keys, order = place_keys(cells).sort()
    tetrahedra = []
    for axis in range(3):
        step = torch.zeros(3, dtype=torch.int64, device=cells.device)
        step[axis] = 1
        above = place_keys(cells[order] + step)
        found = torch.searchsorted(keys, above).clamp(max=len(keys) - 1)
        tetrahedra.append(_around_faces(cells[order][keys[found] == above], axis))
    # In half cells, of which there may be twice as many.
    vertex_keys, indices = place_keys(torch.cat(tetrahedra)).unique(return_inverse=True)
    places = key_places(vertex_keys)
    first, second = indices[:, torch.tensor(EDGES, device=cells.device)].unbind(-1)
    pairs = torch.minimum(first, second) * len(places) + torch.maximum(first, second)
    edge_keys, edges_of = pairs.unique(return_inverse=True)
    edges = torch.stack([edge_keys // len(places), edge_keys % len(places)], 1)
    vertices = (places.double() * (cell_size / 2)).float()
    return TetrahedralGrid(vertices, places, indices, edges, edges_of)


def _around_faces(lower: Tensor, axis: int) -> Tensor:
    """The four tetrahedra at the upper face of each cell, int64[4 * cell, 4, 3], in half cells."""
    unit = 2 * torch.eye(3, dtype=torch.int64, device=lower.device)
    along, right, up = (unit[(axis + turn) % 3] for turn in range(3))
    middle = 2 * lower + 1
    corner = 2 * lower + along
    ring = [corner, corner + right, corner + right + up, corner + up, corner]
    return torch.cat(
        [
            torch.stack([middle, middle + along, first, second], 1)
            for first, second in pairwise(ring)
        ]
    )


def marching_tetrahedra(
    grid: TetrahedralGrid, positions: Tensor, distances: Tensor
) -> tuple[Tensor, Tensor]:
    """The surface where the distance, linear within each tetrahedron, is zero.

    Closed, except where it leaves the grid, and wound so that normals point to positive distances.

    Args:
        grid: Topology.
        positions: float[vertex, 3], where its vertices are; differentiable.
        distances: float[vertex], negative inside; differentiable. 0 counts as outside.

    Returns:
        float[surface vertex, 3] and int64[face, 3].
    """
    inside = distances.detach() < 0
    crossed = inside[grid.edges[:, 0]] != inside[grid.edges[:, 1]]
    ends = grid.edges[crossed]
    first, second = distances[ends].unbind(1)
    share = (first / (first - second))[:, None]
    vertices = torch.lerp(positions[ends[:, 0]], positions[ends[:, 1]], share)
    number = crossed.cumsum(0) - 1
    bits = torch.tensor([1, 2, 4, 8], dtype=torch.uint8, device=inside.device)
    case = (inside.to(torch.uint8)[grid.tetrahedra] * bits).sum(1, dtype=torch.uint8)
    # Most have all their corners on one side.
    cut = ((case > 0) & (case < 15)).nonzero()[:, 0]
    table = _triangles().to(case.device)[case[cut].long()]  # [cut, 2, 3], -1 for no triangle
    which, triangle = (table[..., 0] >= 0).nonzero(as_tuple=True)
    edges = grid.edges_of[cut[which][:, None], table[which, triangle]]
    return vertices, number[edges]


@cache
def _triangles() -> Tensor:
    """By the corners that are inside, as bits: int64[16, 2, 3] edges of up to two triangles."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    middles = np.array([corners[[a, b]].mean(0) for a, b in EDGES])
    table = np.full((16, 2, 3), -1)
    for case in range(1, 15):
        inner = [corner for corner in range(4) if case >> corner & 1]
        outer = [corner for corner in range(4) if corner not in inner]
        ring = [(a, b) for a in inner for b in outer]
        if len(ring) == 4:  # around the quadrilateral
            ring = [ring[0], ring[1], ring[3], ring[2]]
        loop = [EDGES.index((min(pair), max(pair))) for pair in ring]
        outwards = corners[outer].mean(0) - corners[inner].mean(0)
        a, b, c = middles[loop[:3]]
        if np.cross(b - a, c - a) @ outwards < 0:
            loop.reverse()
        # Either diagonal of a quadrilateral would do; this is the one that kaolin takes.
        start = loop.index(min(edge for edge in loop if edge > 0))
        loop = loop[start:] + loop[:start]
        for number in range(len(loop) - 2):
            table[case, number] = loop[0], loop[number + 1], loop[number + 2]
    return torch.from_numpy(table)


def place_keys(places: Tensor) -> Tensor:
    """One integer for each int64[..., 3], in the same order."""
    x, y, z = (places + (1 << KEY_BITS - 1)).unbind(-1)
    return (x << 2 * KEY_BITS) + (y << KEY_BITS) + z


def key_places(keys: Tensor) -> Tensor:
    """The places int64[key, 3] that `place_keys` made int64[key] of."""
    mask = (1 << KEY_BITS) - 1
    axes = [keys >> 2 * KEY_BITS, keys >> KEY_BITS & mask, keys & mask]
    return torch.stack(axes, 1) - (1 << KEY_BITS - 1)
