"""Two OBJ files compared as text: the one that came in, and the same with a texture in it."""

from __future__ import annotations

import re
from typing import Any

from texcsd.geometry.obj_file import BYTE_ORDER_MARK, FACE_KEYWORDS, logical_lines, split_keyword

UV = re.compile(r"(?<=\d)/-?\d*(/-?\d*)?")
"""What follows the vertex of a corner: its uv and, in the group, its normal."""


def compare_obj(before: bytes, after: bytes, uv_kept: bool) -> dict[str, Any]:
    """Return whether all lines but those of the paint are equal, and how many polygons were cut."""
    old, new = _lines(before, uv_kept), _lines(after, uv_kept)
    equal, cut, place = True, 0, 0
    for line in old:
        keyword, corners = split_keyword(line)
        words = _words(corners)
        while keyword != "usemtl" and split_keyword(_at(new, place))[0] == "usemtl":
            place += 1
        if _at(new, place) == line:
            place += 1
        elif keyword in FACE_KEYWORDS and len(words) > 3 and not uv_kept:
            pieces = [
                _words(split_keyword(piece)[1]) for piece in new[place : place + len(words) - 2]
            ]
            equal &= all(len(piece) == 3 and {*piece} <= {*words} for piece in pieces)
            place, cut = place + len(words) - 2, cut + 1
        else:
            equal = False
            place += 1
    return {"lines": equal and place == len(new), "polygons_cut": cut}


def _lines(content: bytes, uv_kept: bool) -> list[str]:
    """Return all lines that paint does not change; without the uv of corners if they are new."""
    text = content.decode("utf-8", "surrogateescape").removeprefix(BYTE_ORDER_MARK)
    kept = []
    for line in logical_lines(text):
        keyword = split_keyword(line)[0]
        if keyword == "mtllib" or (keyword == "vt" and not uv_kept):
            continue
        corners = keyword in FACE_KEYWORDS or keyword == "l"
        if corners and not uv_kept:
            elements, mark, comment = line.partition("#")
            elements = UV.sub(lambda corner: (corner[1] or "").rstrip("/"), elements)
            line = elements + mark + comment
        kept.append(line)
    return kept


def _at(lines: list[str], place: int) -> str:
    return lines[place] if place < len(lines) else ""


def _words(corners: str) -> list[str]:
    return corners.partition("#")[0].split()
