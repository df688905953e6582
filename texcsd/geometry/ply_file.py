"""PLY to arrays: positions, polygons of any size, normals, and the uv of vertices or of corners.

Our own because trimesh's reader takes every polygon of a binary file for as large as the first,
which those of Blender are not, and puts triangles before quads.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.file_part import DamagedFileError, FilePart
from texcsd.geometry.normals import weld_vertices
from texcsd.geometry.ply_elements import Column, Columns, read_elements
from texcsd.geometry.polygons import cut_polygons

INDICES = ("vertex_indices", "vertex_index")
COORDINATES = (("texture_u", "texture_v"), ("u", "v"), ("s", "t"))
"""What exporters call the uv of vertices."""


def read_ply(path: Path) -> list[FilePart]:
    """Read the faces of a PLY, or its triangle strips if it has no faces.

    Where only some faces have uv, the others have three equal uv.
    """
    elements = read_elements(path.read_bytes())
    vertices = _together(elements.get("vertex", {}), "x", "y", "z")
    if vertices is None:
        if "vertex" in elements:
            raise DamagedFileError("its vertices have no x, y and z")
        vertices = np.zeros((0, 3))
    face = elements.get("face", {})
    indices = _indices(face)
    if indices is None:
        strips = _indices(elements.get("tristrips", {}))
        faces = np.zeros((0, 3), np.int64) if strips is None else _strip_faces(strips)
        return [_with_attributes(FilePart(path.stem, vertices, faces), elements)]
    assert indices.lengths is not None
    corners, polygons = cut_polygons(indices.lengths, indices.values, vertices)
    part = FilePart(path.stem, vertices, indices.values[corners], polygons=polygons)
    part = _with_attributes(part, elements)
    uv, has_uv = _corner_uv(indices.lengths, face.get("texcoord"))
    return [_with_corner_uv(part, uv[corners], has_uv[corners[:, 0]]) if has_uv.any() else part]


def _with_attributes(part: FilePart, elements: dict[str, Columns]) -> FilePart:
    """Give a part the normals and uv of its vertices, if there are any."""
    vertex = elements.get("vertex", {})
    normals = _together(vertex, "nx", "ny", "nz")
    if normals is not None:
        part = replace(part, normals=normals, normal_faces=part.faces)
    found = (_together(vertex, *names) for names in COORDINATES)
    uv = next((values for values in found if values is not None), None)
    return part if uv is None else replace(part, uv=uv, uv_faces=part.faces)


def _together(columns: Columns, *names: str) -> NDArray[np.float64] | None:
    """Return float64[row, name] if there are properties of all these names, none of them a list."""
    if any(name not in columns or columns[name].lengths is not None for name in names):
        return None
    return np.stack([columns[name].values.astype(np.float64) for name in names], axis=1)


def _indices(columns: Columns) -> Column | None:
    """Return the list of vertices of an element; by whatever name, if it is the only one."""
    lists = {name: column for name, column in columns.items() if column.lengths is not None}
    named = [lists[name] for name in INDICES if name in lists]
    if not named and len(lists) == 1:
        named = list(lists.values())
    return named[0] if named else None


def _corner_uv(
    lengths: NDArray[np.int64], found: Column | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return float64[corner, 2], and bool[corner], whether there are uv, two for each corner."""
    uv, has_uv = np.zeros((int(lengths.sum()), 2)), np.zeros(int(lengths.sum()), dtype=bool)
    if found is not None and found.lengths is not None:
        complete = found.lengths == 2 * lengths
        has_uv = np.repeat(complete, lengths)
        uv[has_uv] = found.values[np.repeat(complete, found.lengths)].reshape(-1, 2)
    return uv, has_uv


def _with_corner_uv(part: FilePart, uv: NDArray[np.float64], has_uv: NDArray[np.bool_]) -> FilePart:
    """Give a part the uv of its corners, float64[face, 3, 2]; equal ones of a vertex are one."""
    pairs = np.column_stack([part.faces.reshape(-1).astype(np.float64), uv.reshape(-1, 2)])
    first, uv_faces = weld_vertices(pairs)
    uv_faces = uv_faces.reshape(-1, 3)
    uv_faces[~has_uv] = 0  # all three corners on one point: no area, counted as such
    return replace(part, uv=pairs[first, 1:], uv_faces=uv_faces)


def _strip_faces(strips: Column) -> NDArray[np.int64]:
    """Cut triangle strips into faces, int64[face, 3]; within a list, too, -1 ends a strip."""
    assert strips.lengths is not None
    ends = np.cumsum(strips.lengths)
    chain = np.insert(strips.values, ends, -1)
    if len(chain) < 3:
        return np.zeros((0, 3), np.int64)
    corners = np.stack([chain[:-2], chain[1:-1], chain[2:]], axis=1)
    begins = np.append(0, np.flatnonzero(chain == -1) + 1)
    position = np.arange(len(corners))
    odd = (position - begins[np.searchsorted(begins, position, side="right") - 1]) % 2 == 1
    corners[odd] = corners[odd][:, [0, 2, 1]]
    different = (corners != np.roll(corners, 1, axis=1)).all(axis=1)
    return corners[different & (corners >= 0).all(axis=1)]
