"""How visible the seams of a texture are: colours on both sides of edges, on seams and off them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from texcsd.geometry.mesh import Mesh
from texcsd.geometry.normals import face_normals, weld_vertices

SAMPLES = 20_000
"""Points compared on each kind of edge; more would not change the second digit."""
SAME_UV = 1e-5
"""Coordinates this close are one place of the texture: a hundredth of a texel at 1024."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class _Edges:
    """Edges with a face on either side, side by side; both sides run the same way along it."""

    lengths: FloatArray
    """float64[edge]."""
    ends: FloatArray
    """float64[edge, side, end, 2], uv."""
    opposite: FloatArray
    """float64[edge, side, 2], uv of the third corner of the face."""
    heights: FloatArray
    """float64[edge, side], of that corner over the edge."""
    textures: IntArray
    """int64[edge, side], the number of the texture."""

    def where(self, chosen: NDArray[np.bool_]) -> _Edges:
        return _Edges(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


def measure_seams(mesh: Mesh, base_colors: Mapping[int, NDArray[np.uint8]]) -> dict[str, Any]:
    """Compare the colours a texel's width to the left and to the right of edges.

    Across an edge that is no seam they differ as the pattern does; across a seam that nobody can
    see they differ as much, and not more. Where two textures meet is a seam, too; what was not
    painted does not count.

    Args:
        mesh: In any scale; has uv.
        base_colors: By the number of the texture, uint8[rows, columns, 3], row 0 on top.

    Returns:
        `seam_edges`, and the mean absolute difference of the channels, of 255: `across_seams` and
        `within_charts`; None where there are no such edges.
    """
    vertices = mesh.vertices.double().cpu().numpy()
    places = weld_vertices(vertices)[1][mesh.faces.cpu().numpy()]
    edges = _edges(mesh, vertices, places)
    distances = np.abs(edges.ends[:, 0] - edges.ends[:, 1]).max(axis=(1, 2))
    apart = np.asarray(distances > SAME_UV) | (edges.textures[:, 0] != edges.textures[:, 1])
    painted = (edges.textures >= 0).all(axis=1)
    area = face_normals(vertices, mesh.faces.cpu().numpy())[1].sum()
    texels = sum(picture[..., 0].size for number, picture in base_colors.items() if number >= 0)
    texel = np.sqrt(area / texels)
    return {
        "seam_edges": int((apart & painted).sum()),
        "across_seams": _mean_difference(edges.where(apart & painted), texel, base_colors),
        "within_charts": _mean_difference(edges.where(~apart & painted), texel, base_colors),
    }


def _edges(mesh: Mesh, vertices: FloatArray, places: IntArray) -> _Edges:
    """Find the edges between two faces; those of one face alone, or of three, are left out."""
    assert mesh.uv is not None and mesh.uv_faces is not None
    start, end = places.ravel(), np.roll(places, -1, axis=1).ravel()
    # One number per face and corner: the edge from that corner to the next, named by its places.
    names = np.minimum(start, end) * len(vertices) + np.maximum(start, end)
    order = np.argsort(names, kind="stable")
    _, first, count = np.unique(names[order], return_index=True, return_counts=True)
    pairs = np.stack([order[first[count == 2]], order[first[count == 2] + 1]], axis=1)
    pairs = pairs[start[pairs[:, 0]] != end[pairs[:, 0]]]
    face, corner = pairs // 3, pairs % 3
    backwards = start[pairs] > end[pairs]
    corners = [np.where(backwards, (corner + 1) % 3, corner)]
    corners += [np.where(backwards, corner, (corner + 1) % 3), (corner + 2) % 3]
    uv = mesh.uv.double().cpu().numpy()[mesh.uv_faces.cpu().numpy()]
    textures = mesh.texture_numbers().cpu().numpy()
    points = vertices[mesh.faces.cpu().numpy()]
    a, b, c = (points[face, place] for place in corners)
    lengths = np.linalg.norm(b - a, axis=2)
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=2)
    return _Edges(
        lengths=lengths[:, 0],
        ends=np.stack([uv[face, corners[0]], uv[face, corners[1]]], axis=2),
        opposite=uv[face, corners[2]],
        heights=areas / np.maximum(lengths, 1e-30),
        textures=textures[face],
    )


def _mean_difference(
    edges: _Edges, offset: float, base_colors: Mapping[int, NDArray[np.uint8]]
) -> float | None:
    """Sample points evenly along all edges; look beside them, at most a third into the face."""
    if not edges.lengths.sum() > 0:
        return None
    ends = np.cumsum(edges.lengths)
    along = (np.arange(SAMPLES) + 0.5) / SAMPLES * ends[-1]
    edge = np.searchsorted(ends, along).clip(max=len(ends) - 1)
    share = ((ends[edge] - along) / edges.lengths[edge])[:, None, None]
    on_edge = share * edges.ends[edge, :, 0] + (1 - share) * edges.ends[edge, :, 1]
    inwards = np.minimum(offset / np.maximum(edges.heights[edge], 1e-30), 1 / 3)[..., None]
    uv = (1 - inwards) * on_edge + inwards * edges.opposite[edge]
    colors, shown = np.zeros((*uv.shape[:2], 3)), edges.textures[edge]
    for number in np.unique(shown).tolist():
        colors[shown == number] = _look_up(base_colors[number], uv[shown == number])
    return round(float(np.abs(colors[:, 0] - colors[:, 1]).mean()), 3)


def _look_up(base_color: NDArray[np.uint8], uv: FloatArray) -> FloatArray:
    """Bilinear, float64[point, 3]; the texture repeats."""
    height, width = base_color.shape[:2]
    rows, columns = (1 - uv[..., 1]) * height - 0.5, uv[..., 0] * width - 0.5
    channels = [
        map_coordinates(
            base_color[..., k].astype(np.float64), [rows, columns], order=1, mode="grid-wrap"
        )
        for k in range(3)
    ]
    return np.stack(channels, axis=-1)
