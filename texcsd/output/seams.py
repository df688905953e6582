"""How visible the seams of a texture are: colours on both sides of edges, on seams and off them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
class Edges:
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
    points: FloatArray
    """float64[edge, end, 3], on the mesh."""

    def where(self, chosen: NDArray[np.bool_]) -> Edges:
        """Return some of the edges."""
        return Edges(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    @property
    def apart(self) -> NDArray[np.bool_]:
        """bool[edge], whether its sides lie in different places, or in different textures."""
        distances = np.abs(self.ends[:, 0] - self.ends[:, 1]).max(axis=(1, 2))
        return np.asarray(distances > SAME_UV) | (self.textures[:, 0] != self.textures[:, 1])

    def sample(self, count: int, offset: float = 0.0) -> tuple[FloatArray, FloatArray, IntArray]:
        """Place points evenly along all edges, or beside them, at most a third into the face.

        Args:
            count: Of the points.
            offset: How far beside them.

        Returns:
            float64[point, side, 2] the uv, float64[point, 3] the points on the edges themselves,
            int64[point, side] the numbers of the textures.
        """
        ends = np.cumsum(self.lengths)
        along = (np.arange(count) + 0.5) / count * ends[-1]
        edge = np.searchsorted(ends, along).clip(max=len(ends) - 1)
        share = ((ends[edge] - along) / self.lengths[edge])[:, None]
        points = share * self.points[edge, 0] + (1 - share) * self.points[edge, 1]
        share = share[:, None]
        on_edge = share * self.ends[edge, :, 0] + (1 - share) * self.ends[edge, :, 1]
        inwards = np.minimum(offset / np.maximum(self.heights[edge], 1e-30), 1 / 3)[..., None]
        uv = (1 - inwards) * on_edge + inwards * self.opposite[edge]
        return uv, points, self.textures[edge]


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
    edges = _edges(mesh)
    painted, apart = (edges.textures >= 0).all(axis=1), edges.apart
    pictures = [picture for number, picture in base_colors.items() if number >= 0]
    texel = np.sqrt(area_of_texel(mesh, pictures))
    return {
        "seam_edges": int((apart & painted).sum()),
        "across_seams": _mean_difference(edges.where(apart & painted), texel, base_colors),
        "within_charts": _mean_difference(edges.where(~apart & painted), texel, base_colors),
    }


def seams(mesh: Mesh) -> Edges:
    """Find the seams between painted faces."""
    edges = _edges(mesh)
    return edges.where(edges.apart & (edges.textures >= 0).all(axis=1))


def area_of_texel(mesh: Mesh, pictures: Sequence[NDArray[np.uint8]]) -> float:
    """Return the area of a mesh for every texel of its textures."""
    vertices = mesh.vertices.double().cpu().numpy()
    area = face_normals(vertices, mesh.faces.cpu().numpy())[1].sum()
    return float(area / sum(picture[..., 0].size for picture in pictures))


def _edges(mesh: Mesh) -> Edges:
    """Find the edges between two faces; those of one face alone, or of three, are left out."""
    assert mesh.uv is not None and mesh.uv_faces is not None
    vertices = mesh.vertices.double().cpu().numpy()
    places = weld_vertices(vertices)[1][mesh.faces.cpu().numpy()]
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
    return Edges(
        lengths=lengths[:, 0],
        ends=np.stack([uv[face, corners[0]], uv[face, corners[1]]], axis=2),
        opposite=uv[face, corners[2]],
        heights=areas / np.maximum(lengths, 1e-30),
        textures=textures[face],
        points=np.stack([a[:, 0], b[:, 0]], axis=1),
    )


def _mean_difference(
    edges: Edges, offset: float, base_colors: Mapping[int, NDArray[np.uint8]]
) -> float | None:
    """Sample points a little beside all edges, and compare both sides."""
    if not edges.lengths.sum() > 0:
        return None
    uv, _, shown = edges.sample(SAMPLES, offset)
    colors = look_up(base_colors, uv, shown)
    return round(float(np.abs(colors[:, 0] - colors[:, 1]).mean()), 3)


def look_up(
    base_colors: Mapping[int, NDArray[np.uint8]], uv: FloatArray, shown: IntArray
) -> FloatArray:
    """Look up each point in the texture that it shows, float64[point, side, 3].

    Args:
        base_colors: By the number of the texture.
        uv: float64[point, side, 2].
        shown: int64[point, side], the numbers.
    """
    colors = np.zeros((*shown.shape, 3))
    for number in np.unique(shown).tolist():
        colors[shown == number] = _look_up(base_colors[number], uv[shown == number])
    return colors


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
