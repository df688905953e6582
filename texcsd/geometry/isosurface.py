"""Which surface a field of distances has: our marching tetrahedra, or what kaolin offers."""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor

from texcsd.errors import TexcsdError
from texcsd.geometry.dmtet import Extract
from texcsd.geometry.tetrahedra import TetrahedralGrid, find_keys, marching_tetrahedra, place_keys

CORNERS = ((0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 1))
"""Of a cube, in the order of kaolin."""


def choose_extraction(name: str) -> tuple[str, Extract]:
    """The way that was asked for, and its name; "auto" takes kaolin's where it is installed.

    Raises:
        TexcsdError: It needs kaolin, which is not installed.
    """
    installed = find_spec("kaolin") is not None
    if name == "tetrahedra" or (name == "auto" and not installed):
        return "tetrahedra", marching_tetrahedra
    if not installed:
        raise TexcsdError(
            f"isosurface {name} needs NVIDIA's kaolin, which is not installed; see its page for the"
            " wheel that fits your PyTorch, or leave --isosurface out"
        )
    return ("flexicubes", FlexiCubes()) if name == "flexicubes" else ("kaolin", kaolin_tetrahedra)


def kaolin_tetrahedra(
    grid: TetrahedralGrid, positions: Tensor, distances: Tensor
) -> tuple[Tensor, Tensor]:
    """The same surface as `marching_tetrahedra`, its vertices and faces in another order."""
    from kaolin.ops.conversions import (  # pyright: ignore[reportMissingImports]
        marching_tetrahedra as extract,
    )

    # Kaolin's fields are positive inside, and its tetrahedra are wound the other way round.
    vertices, faces = extract(positions[None], grid.tetrahedra, -distances[None])
    return vertices[0], faces[0].flip(1)


class FlexiCubes:
    """The surface by kaolin's FlexiCubes, on the cubes of the lattice; their middles have no say.

    "Flexible isosurface extraction for gradient-based mesh optimization", Shen et al. 2023, with
    all its weights alike: what is learned is where lattice vertices are, and their distances.
    """

    def __init__(self) -> None:
        self._grid: TetrahedralGrid | None = None

    def __call__(
        self, grid: TetrahedralGrid, positions: Tensor, distances: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `marching_tetrahedra`."""
        from kaolin.ops.conversions import (  # pyright: ignore[reportMissingImports]
            FlexiCubes as Extraction,
        )

        if grid is not self._grid:
            self._grid, (self._cubes, self._extent) = grid, _dense_cubes(grid)
        extraction = Extraction(device=str(positions.device))
        return extraction(positions, distances, self._cubes, self._extent)[:2]


def _dense_cubes(grid: TetrahedralGrid) -> tuple[Tensor, list[int]]:
    """The corners of every cube of a box around the lattice, and how many cubes it has each way.

    Returns:
        int64[cube, 8] into lattice vertices, z fastest, one vertex for all corners of cubes that
        the lattice does not have; and the extent along x, y and z.
    """
    corners = grid.places[(grid.places % 2 == 0).all(1)]
    shifts = 2 * torch.tensor(CORNERS, device=corners.device)
    wanted, present = place_keys(corners[:, None] + shifts), place_keys(grid.places)
    found, there = find_keys(present, wanted)
    whole = there.all(1)
    lowest = corners.amin(0)
    cells = (corners[whole] - lowest) // 2
    x, y, z = extent = [int(size) for size in (corners.amax(0) - lowest) // 2]
    cubes = torch.zeros(x * y * z, 8, dtype=torch.int64, device=corners.device)
    cubes[(cells[:, 0] * y + cells[:, 1]) * z + cells[:, 2]] = found[whole]
    return cubes, extent
