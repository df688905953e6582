"""The container of PLY: a header of elements and their properties, then text or binary rows."""

import re
import struct
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.file_part import DamagedFileError

TYPES = {
    **{"char": "i1", "short": "i2", "int": "i4", "int8": "i1", "int16": "i2", "int32": "i4"},
    **{"uchar": "u1", "ushort": "u2", "uint": "u4", "uint8": "u1", "uint16": "u2", "uint32": "u4"},
    **{"float": "f4", "double": "f8", "float16": "f2", "float32": "f4", "float64": "f8"},
    **{"int64": "i8", "uint64": "u8"},
}
"""Of numpy, by the names in headers; some are no standard, but found."""
STRUCT_CODES = {
    **{"i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q"},
    **{"f2": "e", "f4": "f", "f8": "d"},
}
BYTE_ORDERS = {"ascii": "<", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass(frozen=True)
class _Property:
    name: str
    type: str
    """Such as "f4"; that of the items of a list."""
    stored: str
    """Such as ">f4"."""
    length_stored: str | None
    """Such as ">u1", if it is a list."""


@dataclass
class _Element:
    name: str
    count: int
    properties: list[_Property] = field(default_factory=list)


@dataclass(frozen=True)
class Column:
    """A property of all rows of an element."""

    values: NDArray[Any]
    """[row], int64 or float; of a list those of all rows, one after the other."""
    lengths: NDArray[np.int64] | None
    """int64[row], if it is a list."""


Columns = dict[str, Column]


def read_elements(data: bytes) -> dict[str, Columns]:
    """Return the properties of every element that has rows."""
    header, body = _split_header(data)
    form, elements = _parse_header(header)
    lines = None
    if form == "ascii":
        body, lines = _numbers(body)
    position, found = 0, {}
    for element in elements:
        if not element.count or not element.properties:
            continue
        own = None if lines is None else lines[: element.count + 1]
        found[element.name], position = _read_rows(body, position, element, own)
        lines = None if lines is None else lines[element.count :]
    rest, unit = (len(body) - position, "byte(s)") if lines is None else (len(lines) - 1, "line(s)")
    if rest:
        raise DamagedFileError(f"it has {rest:,} {unit} more than its header tells of")
    return found


def _split_header(data: bytes) -> tuple[str, bytes]:
    """Return the header, and all that follows it."""
    begin = re.match(rb"[ \t]*ply[ \t]*(\r\n|\n|\r)", data, re.IGNORECASE)
    if begin is None:
        raise DamagedFileError('it does not begin with a line "ply"')
    # After "\r" alone nothing else may be taken for the end of a line: the content begins there.
    end = rb"\r[ \t]*end_header[ \t]*\r" if begin[1] == b"\r" else rb"\n\s*end_header[ \t\r]*\n"
    found = re.compile(end).search(data, begin.end() - 1)
    if found is None:
        raise DamagedFileError('its header has no end, a line "end_header"')
    return data[begin.end() : found.start()].decode("utf-8", "replace"), data[found.end() :]


def _parse_header(header: str) -> tuple[str, list[_Element]]:
    """Return the format, a key of BYTE_ORDERS, and the elements."""
    form, elements = "", list[_Element]()
    for line in re.split(r"[\r\n]+", header):
        words = line.split()
        if words[:1] == ["format"]:
            form = words[1] if len(words) > 1 else ""
        elif words[:1] == ["element"] and len(words) == 3 and words[2].isdecimal():
            elements.append(_Element(words[1], int(words[2])))
        elif words[:1] == ["property"] and elements and TYPES.keys() >= set(_types(words)):
            elements[-1].properties.append(_property(words, form))
        elif words[:1] in (["element"], ["property"]):
            raise DamagedFileError(f'its header has the line "{line.strip()[:50]}"')
    if form not in BYTE_ORDERS:
        raise DamagedFileError(f'its header has the format "{form[:50]}"')
    return form, elements


def _types(words: list[str]) -> list[str]:
    """Return the types that a line of the header names; of one that is none, the line."""
    if words[1:2] == ["list"]:
        return words[2:4] if len(words) == 5 else words
    return words[1:2] if len(words) == 3 else words


def _property(words: list[str], form: str) -> _Property:
    types = [TYPES[name] for name in _types(words)]
    # Text becomes float64, whatever it is, and is read as if it were binary.
    order = BYTE_ORDERS.get(form, "<")
    stored = ["<f8" if form == "ascii" else order + kind for kind in types]
    return _Property(words[-1], types[-1], stored[-1], stored[0] if len(types) == 2 else None)


def _numbers(text: bytes) -> tuple[bytes, NDArray[np.int64]]:
    """Return the numbers as if they were a binary file, and where the lines begin in it.

    Returns:
        The numbers as float64, and int64[line + 1]: the last is the end. Empty lines are left out.
    """
    counts = [len(line.split()) for line in text.splitlines()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            numbers = np.fromstring(text.strip(), "<f8", sep=" ")
    except (DeprecationWarning, ValueError) as error:
        raise DamagedFileError("there is something among its numbers that is none") from error
    counts = np.array([0, *(count for count in counts if count)], np.int64)
    return numbers.tobytes(), np.cumsum(counts) * numbers.itemsize


def _read_rows(
    data: bytes, position: int, element: _Element, lines: NDArray[np.int64] | None
) -> tuple[Columns, int]:
    """Read all rows of an element, and say where they end.

    Args:
        data: The content of the file.
        position: Where the first row starts.
        element: Which; it has rows.
        lines: int64[row + 1], where each row starts, whatever is behind the one before, if known.
    """
    _, lengths, _ = _walk(data, position, element, 1, lines)
    row = _row_type(element, lengths[0])
    start = position if lines is None else int(lines[0])
    end = start + element.count * row.itemsize
    if end <= len(data) and (lines is None or (np.diff(lines) == row.itemsize).all()):
        rows = np.frombuffer(data, row, element.count, start)
        names = [name for name in row.names or () if name.startswith("length")]
        if all((rows[name] == rows[name][0]).all() for name in names):
            lengths = lengths.repeat(element.count, axis=0)
            return _columns(element, lengths, [(np.arange(element.count), rows)]), end
    starts, lengths, end = _walk(data, position, element, element.count, lines)
    return _columns(element, lengths, _alike(data, element, starts, lengths)), end


def _walk(
    data: bytes,
    position: int,
    element: _Element,
    count: int,
    lines: NDArray[np.int64] | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Find where rows start, int64[row], how long their lists are, int64[row, list], and the end.

    Where a row starts, only the rows before it tell, unless `lines` do.
    """
    lists, skip = _lists(element)
    bounds = None if lines is None else lines.tolist()
    starts, lengths = [], []
    try:
        for row in range(count):
            start, end = (position, len(data)) if bounds is None else bounds[row : row + 2]
            position = start
            for before, unpack, length_size, size in lists:
                length = int(unpack(data, position + before)[0])
                lengths.append(length)
                position += before + length_size + length * size
            position += skip
            if not start < position <= end:
                raise DamagedFileError(_ended(element, row))
            starts.append(start)
    except (struct.error, ValueError, OverflowError) as error:
        raise DamagedFileError(_ended(element, len(starts))) from error
    table = np.array(lengths, np.int64).reshape(count, len(lists))
    if (table < 0).any():
        raise DamagedFileError(_ended(element, int((table < 0).any(axis=1).argmax())))
    return np.array(starts, np.int64), table, position


def _lists(element: _Element) -> tuple[list[tuple[int, Callable[..., Any], int, int]], int]:
    """What to do to get to the end of a row.

    Returns:
        For every list how many bytes are before it, what reads its length, and the bytes of the
        length and of an item; and the bytes after the last one.
    """
    lists, skip = [], 0
    for one in element.properties:
        size = np.dtype(one.stored).itemsize
        if one.length_stored is None:
            skip += size
            continue
        length = struct.Struct(one.length_stored[0] + STRUCT_CODES[one.length_stored[1:]])
        lists.append((skip, length.unpack_from, length.size, size))
        skip = 0
    return lists, skip


def _ended(element: _Element, row: int) -> str:
    return (
        f"it ends, or is damaged, in row {row + 1:,} of {element.count:,} of its element "
        f'"{element.name}"; export it again'
    )


def _row_type(element: _Element, lengths: Iterable[int]) -> np.dtype[np.void]:
    """The type of a row whose lists have these lengths; its fields are numbered."""
    fields, of_lists = [], iter(lengths)
    for number, one in enumerate(element.properties):
        if one.length_stored is None:
            fields.append((f"{number}", one.stored))
        else:
            fields.append((f"length {number}", one.length_stored))
            fields.append((f"{number}", one.stored, (int(next(of_lists)),)))
    return np.dtype(fields)


Rows = tuple[NDArray[np.int64], NDArray[np.void]]
"""The numbers of some rows whose lists are equally long, and these rows."""


def _alike(
    data: bytes, element: _Element, starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> Iterable[Rows]:
    content = np.frombuffer(data, np.uint8)
    kinds, kind_of = np.unique(lengths, axis=0, return_inverse=True)
    for kind, of_lists in enumerate(kinds):
        which = np.flatnonzero(kind_of.reshape(-1) == kind)
        row = _row_type(element, of_lists)
        found = content[starts[which, None] + np.arange(row.itemsize)]
        yield which, found.view(row)[:, 0]


def _columns(element: _Element, lengths: NDArray[np.int64], pieces: Iterable[Rows]) -> Columns:
    """Put the rows of an element together again, by property."""
    of_lists = iter(lengths.T)
    sizes = [
        np.ones(element.count, np.int64) if one.length_stored is None else next(of_lists)
        for one in element.properties
    ]
    kinds = [one.type if one.type[0] == "f" else "i8" for one in element.properties]
    values = [np.empty(int(size.sum()), kind) for size, kind in zip(sizes, kinds, strict=True)]
    starts = [np.cumsum(size) - size for size in sizes]
    for which, rows in pieces:
        for number in range(len(values)):
            found = rows[f"{number}"]
            found = found if found.ndim == 2 else found[:, None]
            places = starts[number][which, None] + np.arange(found.shape[1])
            values[number][places] = found
    return {
        one.name: Column(found, None if one.length_stored is None else size)
        for one, found, size in zip(element.properties, values, sizes, strict=True)
    }
