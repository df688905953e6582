"""Closed surfaces of triangles, fewer of them, and what can be counted of them."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from texcsd.geometry.edges import find_edges


def decimate(vertices: Tensor, faces: Tensor, target_faces: int) -> tuple[Tensor, Tensor]:
    """Collapse edges until about so many faces are left; the surface stays closed and manifold.

    By libigl's version of "Surface simplification using quadric error metrics", Garland and
    Heckbert 1997, which collapses only edges whose collapse leaves a manifold.

    Args:
        vertices: float32[vertex, 3] of a closed manifold.
        faces: int64[face, 3].
        target_faces: Of the result.

    Returns:
        Vertices and faces, of the dtypes given.
    """
    import igl  # pyright: ignore[reportMissingImports]

    simplified = igl.qslim(
        np.asfortranarray(vertices.double().cpu().numpy()),
        np.asfortranarray(faces.int().cpu().numpy()),
        target_faces,
    )
    places, fewer = (torch.from_numpy(np.ascontiguousarray(array)) for array in simplified[:2])
    return places.to(vertices), fewer.to(faces)


def without_cavities(vertices: Tensor, faces: Tensor) -> tuple[Tensor, Tensor]:
    """Fill the hollows that nobody can see: closed components that face inwards.

    Args:
        vertices: float[vertex, 3] of a closed manifold whose normals point outwards.
        faces: int64[face, 3]; every vertex has faces.

    Returns:
        Vertices and faces of what is left.
    """
    count, component = _components(len(vertices), faces)
    corners = vertices.double()[faces]
    volumes = (torch.linalg.cross(corners[:, 0], corners[:, 1]) * corners[:, 2]).sum(1)
    of_face = component[faces[:, 0]]
    total = torch.zeros(count, dtype=torch.float64).index_add(0, of_face, volumes)
    kept, used = faces[total[of_face] > 0], total[component] > 0
    return vertices[used], (used.cumsum(0) - 1)[kept]


def _components(count: int, faces: Tensor) -> tuple[int, Tensor]:
    """How many components there are, and that of every vertex, int64[vertex]."""
    start, end = faces.cpu().numpy(), faces.roll(1, 1).cpu().numpy()
    links = (np.ones(faces.numel()), (start.ravel(), end.ravel()))
    found, labels = connected_components(coo_array(links, shape=(count, count)), directed=False)
    return int(found), torch.from_numpy(labels.astype(np.int64))


def describe_topology(vertices: Tensor, faces: Tensor) -> dict[str, int | bool | None]:
    """Count what a surface consists of.

    Args:
        vertices: float[vertex, 3].
        faces: int64[face, 3]; every vertex has faces.

    Returns:
        By name: `faces`, `vertices`, `components`, `genus` (handles of all of them together, None
        if it is not closed) and `watertight`, whether every edge has two faces.
    """
    edges = find_edges(faces)
    components, _ = _components(len(vertices), faces)
    watertight = bool(edges.paired.all())
    characteristic = len(vertices) - len(edges.vertices) + len(faces)
    return {
        "faces": len(faces),
        "vertices": len(vertices),
        "components": components,
        "genus": (2 * components - characteristic) // 2 if watertight else None,
        "watertight": watertight,
    }
