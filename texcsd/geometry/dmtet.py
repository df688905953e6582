"""A mesh as signed distances on tetrahedra, so that its surface may change in every way.

"Deep marching tetrahedra", Shen et al. 2021. Distances begin as those to the user's mesh, exactly,
and only what is added to them is learned; so a surface that learns nothing is the mesh, to within
the lattice. Tetrahedra exist in a band around the surface, and the band follows it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn import functional

from texcsd.geometry.large_steps import LargeSteps
from texcsd.geometry.mesh import SurfaceSampler
from texcsd.geometry.signed_distance import SignedDistance
from texcsd.geometry.tetrahedra import (
    TetrahedralGrid,
    X,
    Y,
    Z,
    find_keys,
    key_places,
    lattice,
    marching_tetrahedra,
    place_keys,
)

BAND = 2
"""Cells on either side of those that the surface passes through."""
SAMPLES_PER_CELL = 16
"""Points of the surface, per square of a cell's side, to find the cells it passes through."""
LARGEST_OFFSET = 0.25
"""Of a cell. Tetrahedra are 0.7 high: so none turns over, whichever way its corners go."""
LARGEST_STEP = 0.5
"""Of a cell: the surface must not leave the band before the band can follow."""
THINNEST = 1.12
"""Of a cell: no point is farther than 0.56 cells from a lattice vertex (the root of 5, over 4), so
that thicker plates have vertices in them everywhere, and no holes."""
THINNEST_FOR_CUBES = 1.74
"""The same where only corners of cells count: they may be half a diagonal away."""
MOST_ERODED = 0.25
"""Of the thickness of a part, from either side: so thin parts are not eaten away."""
NO_EROSION = 1e-6
"""In radii. Of none at all, nothing would be differentiable."""
SMALLEST_DISTANCE = 0.01
"""Of a cell. Nearer to a vertex of the lattice, faces would shrink to points."""

Extract = Callable[[TetrahedralGrid, Tensor, Tensor], tuple[Tensor, Tensor]]
"""As `marching_tetrahedra`."""


class DeepMarchingTetrahedra:
    """Signed distances and offsets of lattice vertices, as something to optimise."""

    def __init__(
        self,
        distance: SignedDistance,
        sampler: SurfaceSampler,
        resolution: int,
        limit: float,
        detail: float,
        extract: Extract = marching_tetrahedra,
        device: torch.device | str = "cpu",
    ) -> None:
        """Begin with the shape of a mesh.

        Args:
            distance: To the mesh, which fits the unit sphere.
            sampler: Of the same mesh.
            resolution: Layers of lattice vertices from one side of the unit sphere to the other;
                there are two of them to a cell.
            limit: Most that the surface may move, in radii of the sphere.
            detail: About the size of the finest relief.
            extract: Turns distances into a surface.
            device: Where to keep them.
        """
        self.cell_size = cell_size(resolution)
        self.limit = limit
        self.largest_offset = min(LARGEST_OFFSET * self.cell_size, limit)
        self._smoothness = (detail / self.cell_size) ** 2
        self._distance, self._extract = distance, extract
        area = float(sampler.cumulative_areas[-1])
        count = int(SAMPLES_PER_CELL * area / self.cell_size**2) + 1
        points, _ = sampler.draw(count, torch.Generator().manual_seed(0))
        self._lay(_grown(self._cells_at(points.to(device)), BAND))
        # Surfaces inside of others are not there any more, and need no cells.
        self._lay_around(self._extracted()[0])

    def _lay(self, cells: Tensor) -> None:
        """Put tetrahedra there, with the distances of the mesh and nothing learned."""
        self._lay_lattice(cells)
        self.rest = self._distance(self.grid.vertices)
        """float32[vertex], to the mesh of the beginning."""
        self.erosion = self._erosion(self.grid.vertices)
        """float32[vertex], most that the surface may move inwards there."""
        self._begin(torch.zeros(len(self.rest), 4, device=cells.device))

    def _lay_lattice(self, cells: Tensor) -> None:
        self.cells = cells
        """int64[cell, 3], distinct, in lexicographic order."""
        self.grid = lattice(cells, self.cell_size)
        keys = self._cell_keys = place_keys(cells)
        inner = torch.ones(len(keys), dtype=torch.bool, device=keys.device)
        # Axis after axis: of a cell's neighbours, too, all neighbours along the axes before count.
        for step in (X, Y, Z):
            inner = inner & _of(inner, keys, keys - step) & _of(inner, keys, keys + step)
        self._inner = inner
        """bool[cell], whether there are cells all around it."""

    def _erosion(self, points: Tensor) -> Tensor:
        thinnest = self._distance.thinnest
        deep_enough = max(self.limit / MOST_ERODED, thinnest + 2 * self.limit)
        thickness = self._distance.thickness(points, deep_enough)
        # What the lattice can hardly hold any more may grow only, or would be torn.
        spare = (thickness - thinnest) / 2
        return torch.minimum(MOST_ERODED * thickness, spare).clamp(NO_EROSION, self.limit)

    def _begin(self, values: Tensor) -> None:
        self.values = values.requires_grad_()
        """float32[vertex, 4], the change of the distance and the offset, before they are limited:
        what is optimised."""
        self.optimizer = LargeSteps(self.grid.edges, len(values), 4, self._smoothness)

    def changes(self) -> Tensor:
        """float32[vertex], of the distances, differentiable, smaller than the limit.

        Inwards, where distances grow, also smaller than a part of what is there, and so small that
        enough is left for the lattice.
        """
        values = self.values[:, 0]
        most = torch.where(values > 0, self.erosion, self.limit)
        return most * torch.tanh(values / most)

    def offsets(self) -> Tensor:
        """float32[vertex, 3], differentiable, shorter than the longest allowed."""
        return limited(self.values[:, 1:], self.largest_offset)

    def distances(self) -> Tensor:
        """float32[vertex], negative inside; differentiable."""
        distances = self.rest + self.changes()
        least = SMALLEST_DISTANCE * self.cell_size
        away = torch.where(distances < 0, -least, least)
        clear = torch.where(distances.abs() < least, away, distances)
        return distances + (clear - distances).detach()

    def surface(self) -> tuple[Tensor, Tensor]:
        """Vertices float32[surface vertex, 3], differentiable, and faces int64[face, 3].

        Of a gradient that comes to a vertex, what runs along the surface is left out: it would not
        change the shape, but where an edge of the lattice hardly leaves the surface, it would be
        enormous.

        If the surface has come to the rim of the band, the band is moved first, and `values` are
        others from then on.
        """
        vertices, faces = self._extracted()
        while not self._band_holds(vertices):
            self._lay_around(vertices)
            vertices, faces = self._extracted()
        if vertices.requires_grad:
            normals = vertex_normals(vertices.detach(), faces)
            vertices.register_hook(
                lambda gradient: (gradient * normals).sum(1, keepdim=True) * normals
            )
        return vertices, faces

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Move along the gradient that has come to the values.

        Args:
            learning_rate: As a part of the limit.
        """
        assert self.values.grad is not None
        step = self.optimizer.step(self.values.grad, learning_rate * self.limit)
        most = LARGEST_STEP * self.cell_size
        self.values += step.clamp(-most, most)
        self.values.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """All that changes, for a checkpoint."""
        return {"cells": self.cells, "values": self.values, **self.optimizer.moments}

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor], steps: int) -> None:
        """Take up what `tensors` gave after that many steps."""
        self._lay(tensors["cells"].to(self.cells.device))
        self._begin(tensors["values"].to(self.cells.device))
        self.optimizer.steps = steps
        for name, moment in self.optimizer.moments.items():
            moment.copy_(tensors[name])

    def _extracted(self) -> tuple[Tensor, Tensor]:
        positions = self.grid.vertices + self.offsets()
        return self._extract(self.grid, positions, self.distances())

    def _cells_at(self, points: Tensor) -> Tensor:
        """int64[cell, 3], the cells that float[point, 3] lie in."""
        return key_places(place_keys(torch.floor(points / self.cell_size).long()).unique())

    def _band_holds(self, vertices: Tensor) -> bool:
        """Whether there is at least one cell more on either side of the surface."""
        keys = place_keys(torch.floor(vertices.detach() / self.cell_size).long())
        return bool(_of(self._inner, self._cell_keys, keys).all())

    @torch.no_grad()
    def _lay_around(self, vertices: Tensor) -> None:
        """Move the band; what was learned goes along, and on to where nothing was yet."""
        grid, values, optimizer = self.grid, self.values, self.optimizer
        self._lay_lattice(_grown(self._cells_at(vertices), BAND))
        before, now = place_keys(grid.places), place_keys(self.grid.places)
        source, known = find_keys(before, now)
        new = ~known
        self.rest, self.erosion = self.rest[source], self.erosion[source]
        moments = {name: moment[source] for name, moment in optimizer.moments.items()}
        if new.any():
            points = self.grid.vertices[new]
            self.rest[new], self.erosion[new] = self._distance(points), self._erosion(points)
            source[new] = _nearest(grid.vertices, points)
        self._begin(values.detach()[source])
        self.optimizer.steps = optimizer.steps
        for name, moment in self.optimizer.moments.items():
            moment.copy_(torch.where(new[:, None], torch.zeros_like(moment), moments[name]))


def cell_size(resolution: int) -> float:
    """Of a lattice with this many layers of vertices, two to a cell, across the unit sphere."""
    return 4 / resolution


def limited(values: Tensor, most: float) -> Tensor:
    """Vectors float[n, 3] in their directions, shorter than `most`; short ones hardly change."""
    # The root of 0 has no slope.
    lengths = (values.square().sum(1, keepdim=True) / most**2 + 1e-10).sqrt()
    return values * (torch.tanh(lengths) / lengths)


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """float[vertex, 3], unit, weighted by area, so that slivers have no say; differentiable."""
    corners = vertices[faces]
    crosses = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sums = torch.zeros_like(vertices).index_add(
        0, faces.reshape(-1), crosses.repeat_interleave(3, dim=0)
    )
    return functional.normalize(sums, dim=1, eps=1e-20)


def _nearest(vertices: Tensor, points: Tensor) -> Tensor:
    """Which of the vertices, float32[vertex, 3], is next to each of float32[point, 3], int64."""
    # Built in a third of the time; the few queries need no better tree.
    tree = KDTree(vertices.cpu().numpy(), balanced_tree=False, compact_nodes=False, leafsize=64)
    _, nearest = tree.query(points.cpu().numpy())
    return torch.from_numpy(nearest).to(points.device)


def _of(flags: Tensor, keys: Tensor, wanted: Tensor) -> Tensor:
    """The flag bool[key] of each wanted key; none if it is not among the keys, which ascend."""
    found, there = find_keys(keys, wanted)
    return there & flags[found]


def _grown(cells: Tensor, layers: int) -> Tensor:
    """The cells and those up to so many layers around them, distinct and in order."""
    keys = place_keys(cells)
    for step in (X, Y, Z):
        keys = torch.cat([keys + count * step for count in range(-layers, layers + 1)]).unique()
    return key_places(keys)
