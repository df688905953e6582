"""Other positions and normals put into an OBJ, as text; everything else stays as it is."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.mesh import Mesh
from texcsd.geometry.obj_file import (
    BYTE_ORDER_MARK,
    FACE_KEYWORDS,
    logical_lines,
    read_polygons,
    split_keyword,
)

WORD = re.compile(r"[^\s\\]+")


def reshape_obj(
    content: bytes,
    vertices: NDArray[np.float64],
    respell: bool = False,
    normals: Mesh | None = None,
) -> bytes:
    """Give the `v` lines these positions.

    A number that has not changed stays as it is written; others get all the digits they need.
    Normals (`vn`) would fit no longer: they are replaced, or left out. Without any, readers make
    their own, and smoothing groups tell them how.

    Args:
        content: The OBJ.
        vertices: float64[vertex, 3], one for every `v` line.
        respell: Write all numbers anew, so that equal positions are equal text.
        normals: The mesh loaded from the OBJ, whose normals are to be the new ones.
    """
    text = content.decode("utf-8", "surrogateescape")
    mark = text[: text.startswith(BYTE_ORDER_MARK)]
    text = text.removeprefix(mark)
    end = "\r\n" if "\r\n" in text else "\n"
    normal_lines, numbers = ([], iter(())) if normals is None else _numbered_normals(text, normals)
    rows = iter(vertices.tolist())
    lines = []
    for line in logical_lines(text):
        keyword, _ = split_keyword(line)
        if keyword == "vn" or keyword in FACE_KEYWORDS:
            lines += [normal + end for normal in normal_lines]
            normal_lines = []
        if keyword == "v":
            lines.append(_with_numbers(line, iter(next(rows)), respell))
        elif keyword in FACE_KEYWORDS:
            lines.append(_with_normals(line, numbers))
        elif keyword != "vn":
            lines.append(line)
    return "".join([mark, *lines]).encode("utf-8", "surrogateescape")


def _with_numbers(line: str, numbers: Iterator[float], respell: bool) -> str:
    keyword = WORD.search(line)
    assert keyword is not None

    def replace(word: re.Match[str]) -> str:
        number = next(numbers, None)
        if number is None or not math.isfinite(number):
            return word[0]
        if float(word[0]) == number and not respell:
            return word[0]
        return repr(number)

    return line[: keyword.end()] + WORD.sub(replace, line[keyword.end() :])


def _numbered_normals(text: str, mesh: Mesh) -> tuple[list[str], Iterator[int]]:
    """The `vn` lines of a mesh loaded from this OBJ, and the number of each polygon's corner."""
    counts, triangles = read_polygons(text)
    used, faces = np.unique(mesh.normal_faces.cpu().numpy(), return_inverse=True)
    corners = np.zeros(int(counts.sum()), np.int64)
    corners[triangles] = faces.reshape(-1, 3)
    lines = [f"vn {x:.6g} {y:.6g} {z:.6g}" for x, y, z in mesh.normals.cpu().numpy()[used].tolist()]
    return lines, iter((corners + 1).tolist())


def _with_normals(line: str, numbers: Iterator[int]) -> str:
    """Give the corners of a face the next numbers, or none where there are none left."""
    elements, sign, comment = line.partition("#")
    keyword = WORD.search(elements)
    assert keyword is not None
    is_polygon = len(elements.split()) > 3
    corners = elements[keyword.end() :]
    body = WORD.sub(lambda word: _corner(word[0], next(numbers, 0) if is_polygon else 0), corners)
    return elements[: keyword.end()] + body + sign + comment


def _corner(word: str, normal: int) -> str:
    """Write a corner such as 7/3/1 with another normal, or with none for 0."""
    vertex, _, others = word.partition("/")
    uv = others.partition("/")[0]
    if normal:
        return f"{vertex}/{uv}/{normal}"
    return f"{vertex}/{uv}" if uv else vertex
