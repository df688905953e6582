"""Other positions put into an OBJ, as text; everything else stays as it is, but for normals."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.obj_file import BYTE_ORDER_MARK, FACE_KEYWORDS, logical_lines, split_keyword

WORD = re.compile(r"[^\s\\]+")


def reshape_obj(content: bytes, vertices: NDArray[np.float64], respell: bool = False) -> bytes:
    """Give the `v` lines these positions.

    A number that has not changed stays as it is written; others get all the digits they need.
    Normals (`vn`) would fit no longer, and are left out: readers make their own, and smoothing
    groups tell them how.

    Args:
        content: The OBJ.
        vertices: float64[vertex, 3], one for every `v` line.
        respell: Write all numbers anew, so that equal positions are equal text.
    """
    text = content.decode("utf-8", "surrogateescape")
    mark = text[: text.startswith(BYTE_ORDER_MARK)]
    rows = iter(vertices.tolist())
    lines = []
    for line in logical_lines(text.removeprefix(mark)):
        keyword, _ = split_keyword(line)
        if keyword == "v":
            lines.append(_with_numbers(line, iter(next(rows)), respell))
        elif keyword in FACE_KEYWORDS:
            elements, sign, comment = line.partition("#")
            lines.append(WORD.sub(_without_normal, elements) + sign + comment)
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


def _without_normal(word: re.Match[str]) -> str:
    """Write a corner such as 7/3/1 as 7/3, and 7//1 as 7."""
    vertex, _, others = word[0].partition("/")
    uv = others.partition("/")[0]
    return f"{vertex}/{uv}" if uv else vertex
