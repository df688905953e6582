"""A painted texture put into a copy of the user's own OBJ, as text: line by line, as it was."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.mesh import Mesh
from texcsd.geometry.normals import weld_vertices
from texcsd.geometry.obj_file import (
    BYTE_ORDER_MARK,
    FACE_KEYWORDS,
    logical_lines,
    read_polygons,
    split_keyword,
)

WORD = re.compile(r"[^\s\\]+")
"""A word of a logical line; a backslash may follow it, and the end of a line after that."""


@dataclass(frozen=True)
class ObjFiles:
    """An OBJ and the material library that it names."""

    obj: bytes
    mtl: bytes


def patch_obj(
    content: bytes, mesh: Mesh, uv_kept: bool, mtl_name: str, image: str, material: str
) -> ObjFiles:
    """Put a texture into an OBJ.

    Every line but `mtllib` stays, to the byte. With new uv, the `vt` lines are replaced by theirs,
    and the corners of faces get their numbers; a polygon that a seam runs through, if there is
    any, becomes its triangles. Materials keep their names; faces before the first get `material`.

    Args:
        content: The OBJ.
        mesh: As loaded from it; its uv are those that were painted.
        uv_kept: Whether these are the uv of the file.
        mtl_name: Name of the MTL file, without whitespace.
        image: Path of the texture from there.
        material: Name without whitespace.
    """
    # Whatever is not UTF-8 comes back as the bytes it was.
    text = content.decode("utf-8", "surrogateescape")
    mark = text[: text.startswith(BYTE_ORDER_MARK)]
    text = text.removeprefix(mark)
    end = "\r\n" if "\r\n" in text else "\n"
    lines = logical_lines(text)
    if not uv_kept:
        lines = _with_uv(lines, _painted_uv(text, mesh), end)
    lines = _with_library(lines, f"mtllib {mtl_name}{end}", f"usemtl {material}{end}")
    words = (split_keyword(line) for line in lines)
    names = dict.fromkeys(rest.strip() for keyword, rest in words if keyword == "usemtl")
    mtl = (end * 2).join(_material(name, image, end) for name in names) + end
    return ObjFiles(
        "".join([mark, *lines]).encode("utf-8", "surrogateescape"),
        mtl.encode("utf-8", "surrogateescape"),
    )


def _with_library(lines: list[str], library: str, use_material: str) -> list[str]:
    """Replace the `mtllib` lines by one; name a material before the first face if none is named."""
    keywords = [split_keyword(line)[0] for line in lines]
    first_face = next(i for i, keyword in enumerate(keywords) if keyword in FACE_KEYWORDS)
    if "mtllib" in keywords:
        place = keywords.index("mtllib")
    else:  # below the comments that open the file
        place = next(i for i, word in enumerate(keywords) if word and not word.startswith("#"))
    named = "usemtl" in keywords[:first_face]
    result = []
    for index, line in enumerate(lines):
        result += [library] if index == place else []
        result += [use_material] if index == first_face and not named else []
        result += [line] if keywords[index] != "mtllib" else []
    return result


def _material(name: str, image: str, end: str) -> str:
    """Matte and not metallic, as in the GLB."""
    rows = (f"newmtl {name}", "Kd 1 1 1", "Ks 0 0 0", "Pr 0.6", "Pm 0", f"map_Kd {image}")
    return end.join(rows)


@dataclass(frozen=True)
class _PaintedUv:
    """New uv by the polygons of the file, those `f` lines that have three corners or more."""

    values: NDArray[np.float32]
    """float32[texture_vertex, 2], each once."""
    counts: NDArray[np.int64]
    """int64[polygon], corners of each."""
    corners: NDArray[np.int64]
    """int64[corner] into values."""
    pieces: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]
    """For each polygon with a seam inside its triangles, int64[triangle, 3] into its own corners,
    and their uv, int64[triangle, 3] into values."""


def _painted_uv(text: str, mesh: Mesh) -> _PaintedUv:
    assert mesh.uv is not None and mesh.uv_faces is not None
    counts, triangles = read_polygons(text)
    values = mesh.uv.cpu().numpy()
    first, distinct = weld_vertices(values.astype(np.float64))
    uv_faces = distinct[mesh.uv_faces.cpu().numpy()]
    # A triangle without area has one point for all its corners; its neighbours know better.
    flat = (uv_faces == np.roll(uv_faces, 1, axis=1)).any(axis=1)
    corners = np.zeros(int(counts.sum()), np.int64)
    corners[triangles[flat]] = uv_faces[flat]
    corners[triangles[~flat]] = uv_faces[~flat]
    cut = ~flat & (corners[triangles] != uv_faces).any(axis=1)
    polygon_of = np.repeat(np.arange(len(counts)), counts - 2)
    starts = np.cumsum(counts) - counts
    pieces = {}
    for polygon in np.unique(polygon_of[cut]).tolist():
        mine = slice(*np.searchsorted(polygon_of, [polygon, polygon + 1]))
        pieces[polygon] = triangles[mine] - starts[polygon], uv_faces[mine]
    return _PaintedUv(values[first], counts, corners, pieces)


def _with_uv(lines: list[str], painted: _PaintedUv, end: str) -> list[str]:
    """Put the new `vt` lines where the first old one or the first face was, and use them."""
    uv_lines = [f"vt {_decimal(u)} {_decimal(v)}{end}" for u, v in painted.values]
    result: list[str] = []
    polygon = corner = 0
    for line in lines:
        keyword, rest = split_keyword(line)
        if keyword == "vt" or keyword in FACE_KEYWORDS:
            result += uv_lines
            uv_lines = []
        if keyword in FACE_KEYWORDS and len(rest.partition("#")[0].split()) > 2:
            count = int(painted.counts[polygon])
            numbers = painted.corners[corner : corner + count]
            if polygon in painted.pieces:
                result += _in_pieces(line, *painted.pieces[polygon], end)
            else:
                result.append(_numbered(line, numbers))
            polygon, corner = polygon + 1, corner + count
        elif keyword in FACE_KEYWORDS or keyword == "l":
            result.append(_numbered(line, None))
        elif keyword != "vt":
            result.append(line)
    return result


def _numbered(line: str, numbers: Iterable[int] | None) -> str:
    """Give the corners of a face these uv, counted from 0, or none; all else stays as it is."""
    elements, mark, comment = line.partition("#")
    keyword = WORD.search(elements)
    assert keyword is not None
    corners = iter(()) if numbers is None else iter(numbers)
    body = WORD.sub(lambda word: _corner(word[0], next(corners, None)), elements[keyword.end() :])
    return elements[: keyword.end()] + body + mark + comment


def _corner(word: str, number: int | None) -> str:
    """Write a corner such as 7/3/1 with another uv, counted from 0, or with none."""
    vertex, _, others = word.partition("/")
    normal = others.partition("/")[2]
    if number is None:
        return f"{vertex}//{normal}" if normal else vertex
    return f"{vertex}/{number + 1}/{normal}" if normal else f"{vertex}/{number + 1}"


def _in_pieces(
    line: str, triangles: NDArray[np.int64], uv_faces: NDArray[np.int64], end: str
) -> list[str]:
    """Write a polygon as its triangles, each on a line."""
    keyword, *words = WORD.findall(line.partition("#")[0])
    return [
        " ".join([keyword, *_corners(words, triangle, numbers)]) + end
        for triangle, numbers in zip(triangles, uv_faces, strict=True)
    ]


def _corners(words: Sequence[str], places: Iterable[int], numbers: Iterable[int]) -> list[str]:
    return [_corner(words[place], number) for place, number in zip(places, numbers, strict=True)]


def _decimal(value: np.float32) -> str:
    """The shortest text that is read as this float32."""
    return np.format_float_positional(value, unique=True, trim="0")
