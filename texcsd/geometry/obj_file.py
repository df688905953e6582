"""Wavefront OBJ to arrays: indices for positions, uv and normals stay separate, as in the file.

Our own because trimesh's reader reorders faces by material, repeats vertices at uv seams and drops
the uv of objects that mix triangles with quads.
"""

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.file_part import DamagedFileError, FilePart
from texcsd.geometry.polygons import triangulate

FACE_KEYWORDS = ("f", "fo")
BYTE_ORDER_MARK = "\ufeff"
"""Some editors begin a file with it."""
BLANKS = " \t\r\n\v\f"
"""Those of Unicode may be the end of a name."""
CONTINUATION = re.compile(r"\\(\r\n|\n|\r)")


@dataclass
class _Object:
    """The faces of one `o` section; with no such line the whole file is one."""

    name: str
    faces: list[list[str]] = field(default_factory=list)
    """Corner tokens per polygon, such as "7/3/1", all counted from 1."""


def read_obj(path: Path) -> list[FilePart]:
    """Read polygons, positions, uv and normals of an OBJ; materials and textures are not opened.

    Every part shares the file's whole vertex array, so that positions and their order are the
    file's. Polygons are triangulated as fans from the corner that suits their shape best.
    """
    objects, lines = _parse_lines(path.read_bytes().decode("utf-8", "replace"), path.stem)
    vertices = _numbers(lines["v"], 3, "v")
    uv = _numbers(lines["vt"], 2, "vt")
    normals = _numbers(lines["vn"], 3, "vn")
    parts = [_part(found, vertices, uv, normals) for found in objects if found.faces]
    return parts or [FilePart(path.stem, vertices, np.zeros((0, 3), np.int64))]


def read_polygons(text: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the polygons of an OBJ as `read_obj` triangulates them.

    Returns:
        int64[polygon], the corners of each `f` line with more than two, in the file's order;
        int64[face, 3], for each triangle its corners, counted over all these polygons.
    """
    objects, lines = _parse_lines(text, "")
    polygons = _polygons(face for found in objects for face in found.faces)
    return polygons.counts, polygons.triangulate(_numbers(lines["v"], 3, "v"))


def split_lines(text: str) -> list[str]:
    """Split a text into lines without their ends, as `logical_lines` does, but for backslashes."""
    return [line.rstrip("\r\n") for line in io.StringIO(text, newline="")]


def logical_lines(text: str) -> list[str]:
    """Split a text into lines with their ends; after a backslash a line goes on in the next.

    What Unicode has for line breaks besides, such as U+0085, may be part of a name.
    """
    lines = list(io.StringIO(text, newline=""))
    if CONTINUATION.search(text) is None:
        return lines
    joined, goes_on = [], False
    for line in lines:
        if goes_on:
            joined[-1] += line
        else:
            joined.append(line)
        goes_on = CONTINUATION.search(line) is not None
    return joined


def split_keyword(line: str) -> tuple[str, str]:
    """Return the keyword of a logical line, such as "f", and what follows it between blanks."""
    if "\\" in line:
        line = CONTINUATION.sub(" ", line)
    words = line.strip(BLANKS).removeprefix(BYTE_ORDER_MARK).replace("\t", " ")
    keyword, _, rest = words.partition(" ")
    return keyword, rest.lstrip(" ")


def _parse_lines(text: str, stem: str) -> tuple[list[_Object], dict[str, list[str]]]:
    lines: dict[str, list[str]] = {"v": [], "vt": [], "vn": []}
    objects = [_Object(stem)]
    for line in logical_lines(text):
        keyword, rest = split_keyword(line)
        if keyword in lines:
            lines[keyword].append(rest)
        elif keyword in FACE_KEYWORDS:
            objects[-1].faces.append(_absolute(rest, lines))
        elif keyword == "o":
            if objects[-1].faces:
                objects.append(_Object(rest or stem))
            else:
                objects[-1].name = rest or stem
    return objects, lines


def _absolute(polygon: str, lines: dict[str, list[str]]) -> list[str]:
    """Split a face line into corners; negative indices count back from the latest element."""
    polygon = polygon.partition("#")[0]
    if "-" not in polygon:
        return polygon.split()
    counts = (len(lines["v"]), len(lines["vt"]), len(lines["vn"]))
    return [
        "/".join(
            str(count + 1 + int(index)) if index.startswith("-") else index
            for index, count in zip(corner.split("/"), counts, strict=False)
        )
        for corner in polygon.split()
    ]


def _numbers(lines: list[str], columns: int, keyword: str) -> NDArray[np.float64]:
    """Parse the first columns of every line; further ones (weights, colours) are not ours."""
    # A comment, but not within a word: 1.#IND is what some programs write for no number.
    rows = [f" {line}".partition(" #")[0].split()[:columns] for line in lines]
    if any(len(row) != columns for row in rows):
        if keyword != "vt":
            bad = next(i for i, row in enumerate(rows) if len(row) != columns)
            raise DamagedFileError(f'line "{keyword} {lines[bad][:50]}" needs {columns} numbers')
        rows = [[*row, "0", "0"][:columns] for row in rows]
    return np.array(_parse(float, chain.from_iterable(rows)), np.float64).reshape(-1, columns)


def _parse(kind: type, words: Iterable[str]) -> list:
    try:
        return list(map(kind, words))
    except ValueError as error:
        raise DamagedFileError(str(error)) from error


def _part(
    found: _Object,
    vertices: NDArray[np.float64],
    uv: NDArray[np.float64],
    normals: NDArray[np.float64],
) -> FilePart:
    polygons = _polygons(found.faces)
    corners = polygons.triangulate(vertices)
    faces, uv_faces, normal_faces = (polygons.corners[corners, kind] for kind in range(3))
    with_uv = (uv_faces >= 0).all(axis=1)
    uv_faces[~with_uv] = 0  # all three corners on one point: no area, counted as such
    has_uv, has_normals = with_uv.any(), len(faces) > 0 and (normal_faces >= 0).all()
    return FilePart(
        found.name,
        vertices,
        faces,
        uv if has_uv else None,
        uv_faces if has_uv else None,
        normals if has_normals else None,
        normal_faces if has_normals else None,
        polygons=np.repeat(np.arange(len(polygons.counts)), polygons.counts - 2),
    )


@dataclass(frozen=True)
class _Polygons:
    counts: NDArray[np.int64]
    """int64[polygon], corners of each."""
    corners: NDArray[np.int64]
    """int64[corner, 3], counted from 0: vertex, uv, normal; -1 where a corner has none."""

    def triangulate(self, vertices: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return int64[face, 3] into the corners."""
        return triangulate(self.counts, self.corners[:, 0], vertices)


def _polygons(faces: Iterable[list[str]]) -> _Polygons:
    """Leave out faces that are only a point or a line."""
    polygons = [corners for corners in faces if len(corners) > 2]
    counts = np.array([len(corners) for corners in polygons], np.int64)
    return _Polygons(counts, _corner_indices(list(chain.from_iterable(polygons))))


def _corner_indices(corners: list[str]) -> NDArray[np.int64]:
    """Return int64[corner, 3], counted from 0: vertex, uv, normal; -1 where a corner has none."""
    slashes = {corner.count("/") for corner in corners}
    text = " ".join(corners).replace("//", "/0/")
    if slashes == {1} or slashes == {2} or slashes == {0}:
        columns = slashes.pop() + 1
        flat = np.array(_parse(int, text.replace("/", " ").split()), np.int64)
        if len(flat) == columns * len(corners):
            indices = np.zeros((len(corners), 3), np.int64)
            indices[:, :columns] = flat.reshape(-1, columns)
            return indices - 1
    rows = [[*corner.split("/"), "0", "0"][:3] for corner in text.split()]
    words = (word or "0" for word in chain.from_iterable(rows))
    return np.array(_parse(int, words), np.int64).reshape(-1, 3) - 1
