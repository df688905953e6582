"""Signed distances on tetrahedra to a surface: the geometry of deep marching tetrahedra.

"Deep Marching Tetrahedra", Shen et al. 2021. The grid is a body-centred cubic lattice, whose
tetrahedra are all alike and nearly regular. It is built from a list of cells, so that it can be
kept to those near a surface and grow with that, not with the volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
"""Of a tetrahedron, by its corners."""


KEY_BITS = 20
"""Of each of a place's coordinates; lattices have at most a few hundred layers."""
X, Y, Z = 1 << 2 * KEY_BITS, 1 << KEY_BITS, 1
"""What a step along an axis adds to the key of a place."""
WAYS = 2 * Z, 2 * Y, X - Y - Z, X - Y + Z, X + Y - Z, X + Y + Z, 2 * X
"""Likewise from a vertex to its neighbours that come after it, in half cells."""
QUARTERS = [[0, 1, 2, 3], [0, 1, 3, 4], [0, 1, 4, 5], [0, 1, 5, 2]]
"""The tetrahedra of an octahedron: its tips, 0 and 1, and two neighbours of the four between."""
CONNECTIONS = [(a, b) for a in (0, 1) for b in range(a + 1, 6)] + [(2, 3), (3, 4), (4, 5), (2, 5)]
"""Its edges, and the one from tip to tip."""
QUARTER_EDGES = [
    [CONNECTIONS.index((min(four[a], four[b]), max(four[a], four[b]))) for a, b in EDGES]
    for four in QUARTERS
]
"""Which of them the edges of its tetrahedra are."""
NONE_INSIDE, ALL_INSIDE = 0, 0x01010101
"""Four truth values, a byte each, as one integer."""


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
    middles = place_keys(2 * cells + 1).sort().values
    octahedra = [_octahedra(middles, axis) for axis in range(3)]
    corner_keys = torch.cat([keys[:, 2:].reshape(-1) for keys, _ in octahedra]).unique()
    vertex_keys = torch.cat([middles, corner_keys]).sort().values
    # Each vertex begins at most one edge for each of WAYS, so that none has to be sorted.
    ends = vertex_keys.new_full((len(vertex_keys), len(WAYS)), -1)
    corners, slots = [], []
    for keys, steps in octahedra:
        corners.append(_searched(vertex_keys, keys))
        begun = [_begin_edge(ends, corners[-1], steps, pair) for pair in CONNECTIONS]
        slots.append(torch.stack(begun, 1))
    begins = ends.view(-1) >= 0
    number = begins.cumsum(0) - 1
    edges = torch.stack([begins.nonzero()[:, 0] // len(WAYS), ends.view(-1)[begins]], 1)
    tetrahedra = torch.cat(corners)[:, QUARTERS].view(-1, 4)
    edges_of = number[torch.cat(slots)][:, QUARTER_EDGES].view(-1, 6)
    places = key_places(vertex_keys)
    vertices = (places.double() * (cell_size / 2)).float()
    return TetrahedralGrid(vertices, places, tetrahedra, edges, edges_of)


def _octahedra(middles: Tensor, axis: int) -> tuple[Tensor, list[int]]:
    """The faces between cells that follow one another along an axis, and the cells' middles.

    Args:
        middles: int64[cell], keys of the middles of cells, in order.
        axis: 0, 1 or 2.

    Returns:
        Keys of the middles below and above and of the face's corners, in half cells, int64[face,
        6], and what each adds to the first.
    """
    along, right, up = (X, Y, Z)[axis:] + (X, Y, Z)[:axis]
    ring = [along - right - up, along + right - up, along + right + up, along - right + up]
    steps = [0, 2 * along, *ring]
    _, there = find_keys(middles, middles + 2 * along)
    return middles[there, None] + torch.tensor(steps, device=middles.device), steps


def _begin_edge(ends: Tensor, corners: Tensor, steps: list[int], pair: tuple[int, int]) -> Tensor:
    """Note where an edge of octahedra ends; returns which of all the edges it is, int64[face].

    Args:
        ends: int64[vertex, way], changed.
        corners: Of the octahedra, int64[face, 6].
        steps: From the first of their keys to each.
        pair: Of corners.
    """
    first, second = sorted(pair, key=lambda corner: steps[corner])
    way = WAYS.index(steps[second] - steps[first])
    ends[corners[:, first], way] = corners[:, second]
    return corners[:, first] * len(WAYS) + way


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
    corners = inside[grid.tetrahedra]
    # Most have all four on one side: read as one integer each, they are sorted out at once.
    four = corners.view(torch.int32)[:, 0]
    cut = ((four != NONE_INSIDE) & (four != ALL_INSIDE)).nonzero()[:, 0]
    case = (corners[cut] * torch.tensor([1, 2, 4, 8], device=cut.device)).sum(1)
    table = _triangles().to(case.device)[case]  # [cut, 2, 3], -1 for no triangle
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
    return X * x + Y * y + Z * z


def key_places(keys: Tensor) -> Tensor:
    """The places int64[key, 3] that `place_keys` made int64[key] of."""
    mask = (1 << KEY_BITS) - 1
    axes = [keys >> 2 * KEY_BITS, keys >> KEY_BITS & mask, keys & mask]
    return torch.stack(axes, 1) - (1 << KEY_BITS - 1)


def find_keys(keys: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Where each wanted key is among keys that ascend, int64, and whether it is there, bool."""
    found = _searched(keys, wanted).clamp(max=len(keys) - 1)
    return found, keys[found] == wanted


def _searched(keys: Tensor, wanted: Tensor) -> Tensor:
    """As `torch.searchsorted`."""
    if keys.is_cuda:
        return torch.searchsorted(keys, wanted)
    # NumPy goes on from the place it found last: for keys nearly in order thrice as fast.
    return torch.from_numpy(np.searchsorted(keys.numpy(), wanted.numpy()))
