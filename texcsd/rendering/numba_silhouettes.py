"""A kernel that tells silhouettes from other edges; what `antialias` has in torch for GPUs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from texcsd.geometry.edges import Edges
from texcsd.geometry.kernel import kernel
from texcsd.rendering.numba_kernel import as_array, cut, run_pieces

EDGES_PER_PIECE = 1 << 16


def are_silhouettes(clip_positions: Tensor, edges: Edges) -> Tensor:
    """bool[view, edge], as `antialias` takes them, given float[view, vertex, 4]."""
    points = as_array(clip_positions, np.float64)
    tensors = edges.vertices, edges.opposite, edges.paired
    vertices, opposite, paired = (tensor.numpy() for tensor in tensors)
    found = np.zeros((len(points), len(vertices)), np.bool_)
    pieces = [
        (view, *piece)
        for view in range(len(points))
        for piece in cut(len(vertices), EDGES_PER_PIECE)
    ]

    def run(piece: tuple[int, int, int]) -> None:
        view, first, last = piece
        _find(points[view], vertices, opposite, paired, first, last, found[view])

    run_pieces(run, pieces)
    return torch.from_numpy(found)


@kernel
def _find(points, vertices, opposite, paired, first, last, found):
    """Fills found bool[edge] from first to last - 1, for points float64[vertex, 4]."""
    for edge in range(first, last):
        start, end = points[vertices[edge, 0]], points[vertices[edge, 1]]
        # No numbers fail every comparison.
        if not (_is_sound(start) and _is_sound(end)):
            continue
        if not paired[edge]:
            found[edge] = True
            continue
        # The plane through the eye and the edge; homogeneous, so right also behind the eye.
        ax, ay, aw = start[0], start[1], start[3]
        bx, by, bw = end[0], end[1], end[3]
        x, y, w = ay * bw - aw * by, aw * bx - ax * bw, ax * by - ay * bx
        one, other = points[opposite[edge, 0]], points[opposite[edge, 1]]
        side = x * one[0] + y * one[1] + w * one[3]
        found[edge] = side * (x * other[0] + y * other[1] + w * other[3]) >= 0


@kernel
def _is_sound(point):
    return (
        np.isfinite(point[0])
        and np.isfinite(point[1])
        and np.isfinite(point[2])
        and 0 < point[3] < np.inf
    )
