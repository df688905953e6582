"""A painted texture put into a copy of the user's own OBJ, as text: line by line, as it was."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
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
UV_NUMBER = re.compile(r"(?<!\S)(-?\d+/)(\d+)")
"""The vertex and the uv of a corner such as 7/3/1 or -1/3; none in 7//1, nor in 7/-3/1."""


@dataclass(frozen=True)
class ObjFiles:
    """An OBJ and the material library that it names."""

    obj: bytes
    mtl: bytes


def patch_obj(
    content: bytes,
    mesh: Mesh,
    uv_kept: bool,
    mtl_name: str,
    images: Mapping[int, str],
    material: str,
    rest: Mapping[str, str] | None = None,
    normal_maps: Mapping[int, str] | None = None,
) -> ObjFiles:
    """Put textures into an OBJ.

    Every line but `mtllib` stays, to the byte. With new uv, the `vt` lines are replaced by theirs,
    and the corners of faces get their numbers; a polygon that a seam runs through, if there is
    any, becomes its triangles. Materials keep their names; faces before the first get `material`.
    Of one that is painted in part, the painted faces get another.

    Args:
        content: The OBJ.
        mesh: As loaded from it; its uv are those that were painted. What shows a texture with a
            negative number was not painted.
        uv_kept: Whether these are the uv of the file, all of them.
        mtl_name: Name of the MTL file, without whitespace.
        images: Paths of the textures from there, by number.
        material: Name without whitespace.
        rest: By name, what to write into the MTL for materials that are not painted, or edited.
        normal_maps: Paths likewise, of the textures that have one.
    """
    # Whatever is not UTF-8 comes back as the bytes it was.
    text = content.decode("utf-8", "surrogateescape")
    mark = text[: text.startswith(BYTE_ORDER_MARK)]
    text = text.removeprefix(mark)
    end = "\r\n" if "\r\n" in text else "\n"
    lines = logical_lines(text)
    named, textures = _with_materials(lines, _texture_of_polygons(mesh), material, end)
    lines = _with_library(named, f"mtllib {mtl_name}{end}")
    if not uv_kept:
        lines = _with_uv(lines, _painted_uv(text, mesh), end)
    blocks = [
        (rest or {}).get(name, "")
        if number < 0 or name in (rest or {})
        else _material(name, images[number], (normal_maps or {}).get(number), end)
        for name, number in textures.items()
    ]
    mtl = (end * 2).join(filter(None, blocks)) + end
    return ObjFiles(
        "".join([mark, *lines]).encode("utf-8", "surrogateescape"),
        mtl.encode("utf-8", "surrogateescape"),
    )


def _texture_of_polygons(mesh: Mesh) -> list[int]:
    """The number of the texture of every polygon, an `f` line of three corners or more."""
    assert mesh.polygons is not None
    first = np.unique(mesh.polygons.cpu().numpy(), return_index=True)[1]
    return mesh.texture_numbers().cpu().numpy()[first].tolist()


def _with_materials(
    lines: list[str], textures: list[int], material: str, end: str
) -> tuple[list[str], dict[str, int]]:
    """Name a material where faces have none, and another where only some of its faces are painted.

    Args:
        lines: Logical lines.
        textures: Of all polygons, in order.
        material: For faces without one.
        end: Of a line.

    Returns:
        The lines, and by the materials that they name the number of the texture.
    """
    keywords = [split_keyword(line) for line in lines]
    labels = _labels(keywords, textures, material)
    result: list[str] = []
    shown = {label: number for (_, number), label in labels.items()}
    in_part = any(number < 0 for number in textures)
    numbers, named, in_force = iter(textures), "", ""
    for line, (keyword, rest) in zip(lines, keywords, strict=True):
        if keyword == "usemtl":
            named = in_force = rest
            shown.setdefault(named, -1 if in_part else 0)
        elif _is_polygon(keyword, rest):
            label = labels[named, next(numbers)]
            result += [f"usemtl {label}{end}"] if label != in_force else []
            in_force = label
        result.append(line)
    return result, shown


def _labels(
    keywords: list[tuple[str, str]], textures: list[int], material: str
) -> dict[tuple[str, int], str]:
    """What to call a material in the output, by its name in the input and a texture it shows."""
    numbers, named = iter(textures), ""
    wearers: dict[tuple[str, int], None] = {}
    names = set()
    for keyword, rest in keywords:
        if keyword == "usemtl":
            named = rest
            names.add(named)
        elif _is_polygon(keyword, rest):
            wearers[named, next(numbers)] = None
    unpainted = {name for name, number in wearers if number < 0}
    labels: dict[tuple[str, int], str] = {}
    for name, number in wearers:
        label = name
        if name in unpainted and (number >= 0 or not name):
            suffix = "painted" if number >= 0 else "unpainted"
            label = _free(f"{name or material}_{suffix}", names)
        labels[name, number] = label or _free(material, names)
    return labels


def _free(name: str, taken: Collection[str]) -> str:
    """The name, or one like it that is not taken."""
    variants = (f"{name}_{number}" for number in itertools.count(2))
    return next(n for n in itertools.chain([name], variants) if n not in taken)


def _is_polygon(keyword: str, rest: str) -> bool:
    return keyword in FACE_KEYWORDS and len(rest.partition("#")[0].split()) > 2


def _with_library(lines: list[str], library: str) -> list[str]:
    """Replace the `mtllib` lines by one."""
    keywords = [split_keyword(line)[0] for line in lines]
    if "mtllib" in keywords:
        place = keywords.index("mtllib")
    else:  # below the comments that open the file
        place = next(i for i, word in enumerate(keywords) if word and not word.startswith("#"))
    result = []
    for index, line in enumerate(lines):
        result += [library] if index == place else []
        result += [line] if keywords[index] != "mtllib" else []
    return result


def _material(name: str, image: str, normal_map: str | None, end: str) -> str:
    """Matte and not metallic, as in the GLB.

    A normal map stands there twice: `norm` is the word for it, but Blender and others look for one
    in `map_Bump`.
    """
    rows = [f"newmtl {name}", "Kd 1 1 1", "Ks 0 0 0", "Pr 0.6", "Pm 0", f"map_Kd {image}"]
    rows += [f"norm {normal_map}", f"map_Bump -bm 1 {normal_map}"] if normal_map else []
    return end.join(rows)


@dataclass(frozen=True)
class _PaintedUv:
    """New uv by the polygons of the file, those `f` lines that have three corners or more."""

    values: NDArray[np.float32]
    """float32[texture_vertex, 2], of the painted polygons, each once."""
    counts: NDArray[np.int64]
    """int64[polygon], corners of each."""
    corners: NDArray[np.int64]
    """int64[corner] into values."""
    pieces: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]
    """For each polygon with a seam inside its triangles, int64[triangle, 3] into its own corners,
    and their uv, int64[triangle, 3] into values."""
    kept: NDArray[np.bool_]
    """bool[polygon], whether it is not painted and keeps what uv it has."""


def _painted_uv(text: str, mesh: Mesh) -> _PaintedUv:
    assert mesh.uv is not None and mesh.uv_faces is not None
    counts, triangles = read_polygons(text)
    kept = np.array(_texture_of_polygons(mesh)) < 0
    polygon_of = np.repeat(np.arange(len(counts)), counts - 2)
    values = mesh.uv.cpu().numpy()
    first, distinct = weld_vertices(values.astype(np.float64))
    uv_faces = distinct[mesh.uv_faces.cpu().numpy()]
    used, numbers = np.unique(uv_faces[~kept[polygon_of]], return_inverse=True)
    uv_faces[~kept[polygon_of]] = numbers.reshape(-1, 3)
    # A triangle without area has one point for all its corners; its neighbours know better.
    flat = (uv_faces == np.roll(uv_faces, 1, axis=1)).any(axis=1)
    corners = np.zeros(int(counts.sum()), np.int64)
    corners[triangles[flat]] = uv_faces[flat]
    corners[triangles[~flat]] = uv_faces[~flat]
    cut = ~flat & (corners[triangles] != uv_faces).any(axis=1) & ~kept[polygon_of]
    starts = np.cumsum(counts) - counts
    pieces = {}
    for polygon in np.unique(polygon_of[cut]).tolist():
        mine = slice(*np.searchsorted(polygon_of, [polygon, polygon + 1]))
        pieces[polygon] = triangles[mine] - starts[polygon], uv_faces[mine]
    return _PaintedUv(values[first][used], counts, corners, pieces, kept)


def _with_uv(lines: list[str], painted: _PaintedUv, end: str) -> list[str]:
    """Put the new `vt` lines where the first old one or the first face was, and use them.

    If some polygons are not painted, the old lines stay, too, and so do the corners that use them,
    but for their numbers, which now count the new lines in.
    """
    in_part, added = bool(painted.kept.any()), len(painted.values)
    uv_lines = [f"vt {_decimal(u)} {_decimal(v)}{end}" for u, v in painted.values]
    result: list[str] = []
    polygon = corner = 0
    for line in lines:
        keyword, rest = split_keyword(line)
        if keyword == "vt" or keyword in FACE_KEYWORDS:
            result += uv_lines
            uv_lines = []
        if _is_polygon(keyword, rest):
            count = int(painted.counts[polygon])
            numbers = painted.corners[corner : corner + count]
            if painted.kept[polygon]:
                result.append(_shifted(line, added))
            elif polygon in painted.pieces:
                result += _in_pieces(line, *painted.pieces[polygon], end)
            else:
                result.append(_numbered(line, numbers))
            polygon, corner = polygon + 1, corner + count
        elif keyword in FACE_KEYWORDS or keyword == "l":
            result.append(_shifted(line, added) if in_part else _numbered(line, ()))
        elif keyword != "vt" or in_part:
            result.append(line)
    return result


def _shifted(line: str, added: int) -> str:
    """Give the corners of a face the uv they had, after so many new ones; relative ones stay."""
    elements, mark, comment = line.partition("#")
    shifted = UV_NUMBER.sub(lambda corner: f"{corner[1]}{int(corner[2]) + added}", elements)
    return shifted + mark + comment


def _numbered(line: str, numbers: Iterable[int]) -> str:
    """Give the corners of a face these uv, counted from 0, or none; all else stays as it is."""
    elements, mark, comment = line.partition("#")
    keyword = WORD.search(elements)
    assert keyword is not None
    corners = iter(numbers)
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
