"""The edges of a triangle mesh, and the vertices that face them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Edges:
    """Every edge of a mesh once; depends on its faces only, so it is found once per topology."""

    vertices: Tensor
    """int64[edge, 2], the smaller index first."""
    opposite: Tensor
    """int64[edge, 2], the third vertices of two of its faces, or twice that of its only one."""
    paired: Tensor
    """bool[edge], whether it has exactly two faces; false on borders and where more meet."""
    faces: Tensor
    """int64[edge, 2], the faces that `opposite` has its vertices from."""

    def of_faces(self, first: int, last: int) -> Edges:
        """The edges of faces first to last - 1; those at the border of them stay paired."""
        chosen = ((self.faces >= first) & (self.faces < last)).any(1)
        values = self.vertices, self.opposite, self.paired, self.faces
        return Edges(*(value[chosen] for value in values))


def find_edges(faces: Tensor) -> Edges:
    """Finds the edges of int64[face, 3]; faces that use a vertex twice have fewer than three.

    Faces are neighbours if they share indices: weld vertices of equal positions first.
    """
    start, end, third = (faces.roll(-turn, 1).reshape(-1) for turn in range(3))
    real = start != end
    low, high = torch.minimum(start, end)[real], torch.maximum(start, end)[real]
    count = int(faces.max()) + 1 if faces.numel() else 1
    # One sorted integer per edge: far quicker than unique rows.
    keys, order = (low * count + high).sort(stable=True)
    keys, sizes = keys.unique_consecutive(return_counts=True)
    last = sizes.cumsum(0) - 1
    sides = order[torch.stack([last - sizes + 1, last], 1)]
    return Edges(
        vertices=torch.stack([keys // count, keys % count], 1),
        opposite=third[real][sides],
        paired=sizes == 2,
        faces=real.nonzero().squeeze(1)[sides] // 3,
    )
