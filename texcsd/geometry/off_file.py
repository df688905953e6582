"""OFF to arrays: positions, and polygons of any size; colours, normals and uv are passed over.

Our own because trimesh's reader fails where polygons of more than four corners are among others,
and puts triangles before quads.
"""

import re
from itertools import chain
from pathlib import Path

import numpy as np

from texcsd.geometry.file_part import DamagedFileError, FilePart
from texcsd.geometry.polygons import cut_polygons

HEADER = re.compile(r"\s*(ST)?C?N?OFF\s*(?P<vertices>\d+)\s+(?P<faces>\d+)([ \t]+\d+)?")
"""The keyword tells what stands behind the positions of a vertex; then how many there are."""


def read_off(path: Path) -> list[FilePart]:
    """Read the faces of an OFF."""
    text = re.sub(r"#[^\r\n]*", "", path.read_bytes().decode("utf-8", "replace"))
    header = HEADER.match(text)
    if header is None:
        raise DamagedFileError(
            'it does not begin with "OFF" and the numbers of vertices and faces, as text'
        )
    vertex_count, face_count = int(header["vertices"]), int(header["faces"])
    lines = [words for words in map(str.split, text[header.end() :].splitlines()) if words]
    if not _are_rows(lines, vertex_count, face_count):
        lines = _rows(list(chain.from_iterable(lines)), vertex_count, face_count)
    positions = [line[:3] for line in lines[:vertex_count]]
    vertices = np.array(positions, np.float64).reshape(-1, 3)
    polygons = [line[1 : 1 + int(line[0])] for line in lines[vertex_count:][:face_count]]
    polygon_vertices = np.array(list(chain.from_iterable(polygons)), np.int64)
    counts = np.array(list(map(len, polygons)), np.int64)
    corners, polygon_of = cut_polygons(counts, polygon_vertices, vertices)
    return [FilePart(path.stem, vertices, polygon_vertices[corners], polygons=polygon_of)]


def _are_rows(lines: list[list[str]], vertex_count: int, face_count: int) -> bool:
    """Tell whether every vertex and every face has a line of its own."""
    faces = lines[vertex_count : vertex_count + face_count]
    return (
        len(lines) >= vertex_count + face_count
        and all(len(line) >= 3 for line in lines[:vertex_count])
        and all(0 <= int(line[0]) < len(line) for line in faces)
    )


def _rows(words: list[str], vertex_count: int, face_count: int) -> list[list[str]]:
    """Cut the words into rows of vertices and faces; some writers break their lines anywhere."""
    ended = f"it ends before its {vertex_count:,} vertices and {face_count:,} faces do"
    if len(words) < 3 * vertex_count + face_count:
        raise DamagedFileError(f"{ended}; export it again")
    position = 3 * vertex_count
    rows = [words[start : start + 3] for start in range(0, position, 3)]
    for _ in range(face_count):
        size = int(words[position]) if position < len(words) else 0
        rows.append(words[position : position + 1 + size])
        if len(rows[-1]) != 1 + size:
            raise DamagedFileError(f"{ended}; export it again")
        position += 1 + size
    return rows
