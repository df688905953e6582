"""The three bitstreams of meshopt compression, decoded.

After the text of the glTF extensions EXT_meshopt_compression and KHR_meshopt_compression, appendix
A, where all that is not explained here is: https://github.com/KhronosGroup/glTF/tree/main/extensions
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.file_part import DamagedFileError
from texcsd.geometry.kernel import kernel

PLAIN_ATTRIBUTES, ATTRIBUTES_WITH_MODES = 0xA0, 0xA1
TRIANGLES, INDICES = 0xE1, 0xD1
LEAST_TAILS = {PLAIN_ATTRIBUTES: 32, ATTRIBUTES_WITH_MODES: 24}
TABLE_SIZE, INDICES_TAIL = 16, 4
BLOCK_BYTES, BLOCK_ELEMENTS, GROUP = 8192, 256, 16
"""Attributes come in blocks of at most so many bytes and elements, these in groups."""
FIFO = 16
WORD = 0xFFFFFFFF

ENDS_EARLY, NOT_WRITTEN, TOO_LONG = -1, -2, -3
REASONS = {
    ENDS_EARLY: "it ends before its values do",
    NOT_WRITTEN: "it refers to a vertex or an edge before the first one",
    TOO_LONG: "it has a number of more than five bytes",
}

NEXT, LAST, AT, EDGES, VERTICES = range(5)
"""Of what is known while triangles are decoded: the next new index; the last index that was stored
as such; where to read on; how many edges and vertices were remembered."""


def decode_attributes(stream: bytes, count: int, stride: int) -> NDArray[np.uint8]:
    """Decode mode 0, of version 0 or 1, to uint8[count, stride].

    Args:
        stream: As compressed, from the header to the tail.
        count: Elements.
        stride: Bytes of an element, a multiple of 4 up to 256.

    Raises:
        DamagedFileError: It is not such a stream, or of another length.
    """
    data = _with_header(stream, *LEAST_TAILS)
    modes_size = stride // 4 if data[0] == ATTRIBUTES_WITH_MODES else 0
    end = len(data) - max(stride + modes_size, LEAST_TAILS[int(data[0])])
    block = min(BLOCK_BYTES // stride // GROUP * GROUP, BLOCK_ELEMENTS)
    # Zeros take next to nothing, but every block something: no short stream claims gigabytes.
    if end < 1 + -(-count // block) * (modes_size or stride):
        raise DamagedFileError(REASONS[ENDS_EARLY])
    modes = np.zeros(stride // 4, np.uint8)
    modes[:modes_size] = data[len(data) - modes_size :]
    if ((modes & 15) > 2).any() or (modes[(modes & 15) < 2] > 15).any():
        raise DamagedFileError("it has channels of an unknown mode")
    baseline = data[len(data) - modes_size - stride :][:stride].copy()
    values = np.empty((count, stride), np.uint8)
    _check_end(_decode_attributes(data, end, modes_size > 0, modes, baseline, block, values), end)
    return values


def decode_triangles(stream: bytes, count: int, stride: int) -> NDArray[np.uint8]:
    """Decode mode 1, the corners of triangles, to uint8[count, stride]: `<u2` or `<u4`.

    Args and errors are those of `decode_attributes`; count is a multiple of 3, stride 2 or 4.
    """
    data = _with_header(stream, TRIANGLES)
    end = len(data) - TABLE_SIZE
    if end < 1 + count // 3:
        raise DamagedFileError(REASONS[ENDS_EARLY])
    table = data[end:]
    if table[-2:].any() or (table >> 4 == 15).any() or (table & 15 == 15).any():
        raise DamagedFileError("its table of vertices is not valid")
    corners = np.empty((count // 3, 3), np.uint32)
    _check_end(_decode_triangles(data, end, table, corners), end)
    return _as_bytes(corners, stride)


def decode_indices(stream: bytes, count: int, stride: int) -> NDArray[np.uint8]:
    """Decode mode 2, a sequence of indices, to uint8[count, stride]: `<u2` or `<u4`.

    Args and errors are those of `decode_attributes`; stride is 2 or 4.
    """
    data = _with_header(stream, INDICES)
    end = len(data) - INDICES_TAIL
    if end < 1 + count:
        raise DamagedFileError(REASONS[ENDS_EARLY])
    indices = np.empty(count, np.uint32)
    _check_end(_decode_indices(data, end, indices), end)
    return _as_bytes(indices, stride)


def _with_header(stream: bytes, *known: int) -> NDArray[np.uint8]:
    data = np.frombuffer(stream, np.uint8)
    if not len(data) or data[0] not in known:
        raise DamagedFileError(f"it begins with {bytes(data[:1]).hex() or 'nothing'}")
    return data


def _check_end(reached: int, end: int) -> None:
    if reached < 0:
        raise DamagedFileError(REASONS[reached])
    if reached != end:
        raise DamagedFileError(f"it has {end - reached:,} bytes more than its values take")


def _as_bytes(indices: NDArray[np.uint32], stride: int) -> NDArray[np.uint8]:
    return indices.astype("<u2" if stride == 2 else "<u4").view(np.uint8).reshape(-1, stride)


@kernel
def _decode_attributes(
    data: Any, end: int, has_modes: bool, modes: Any, last: Any, block: int, values: Any
) -> int:
    """Fill in the values; return where the next byte would be read, or what is wrong."""
    count, stride = values.shape
    deltas = np.empty((stride, block), np.uint8)
    at = 1
    for first in range(0, count, block):
        size = min(block, count - first)
        controls = at
        if has_modes:
            at += stride // 4
            if at > end:
                return ENDS_EARLY
        for byte in range(stride):
            control = -1
            if has_modes:
                control = int(data[controls + byte // 4]) >> (byte % 4 * 2) & 3
            at = _read_deltas(data, at, end, control, size, deltas, byte)
            if at < 0:
                return at
        for channel in range(stride // 4):
            _add_up(deltas, channel, int(modes[channel]), last, first, size, values)
    return at


@kernel
def _read_deltas(
    data: Any, at: int, end: int, control: int, size: int, deltas: Any, byte: int
) -> int:
    """Read one byte of all elements of a block; return where to read on, or what is wrong.

    The control is -1 in version 0, which has none.
    """
    if control == 3 and at + size > end:
        return ENDS_EARLY
    if control >= 2:  # as they are, and not in groups; or all zero
        for row in range(size):
            deltas[byte, row] = data[at + row] if control == 3 else 0
        return at + size * (control - 2)
    groups = (size + GROUP - 1) // GROUP
    header = at
    at += (groups + 3) // 4
    if at > end:
        return ENDS_EARLY
    for group in range(groups):
        # Bits of a delta: 0, 2, 4, 8 in version 0; then 0, 1, 2, 4 or 1, 2, 4, 8.
        kind = int(data[header + group // 4]) >> (group % 4 * 2) & 3
        bits = 0 if kind == 0 and control != 1 else 1 << kind
        if control == 0:
            bits //= 2
        at = _read_group(data, at, end, bits, deltas, byte, group * GROUP)
        if at < 0:
            return at
    return at


@kernel
def _read_group(data: Any, at: int, end: int, bits: int, deltas: Any, byte: int, first: int) -> int:
    """Read 16 deltas of so many bits; those with all bits set follow as bytes of their own."""
    extra = at + 2 * bits
    if extra > end:
        return ENDS_EARLY
    sentinel = (1 << bits) - 1
    for index in range(GROUP):
        bit = index * bits
        shift = bit & 7
        if bits > 1:  # from the highest bits of a byte to the lowest
            shift = 8 - bits - shift
        delta = 0
        if bits > 0:
            delta = int(data[at + bit // 8]) >> shift & sentinel
        if delta == sentinel and 0 < bits < 8:
            if extra >= end:
                return ENDS_EARLY
            delta = int(data[extra])
            extra += 1
        deltas[byte, first + index] = delta
    return extra


@kernel
def _add_up(
    deltas: Any, channel: int, mode: int, last: Any, first: int, size: int, values: Any
) -> None:
    """Fill in four bytes of every element from their differences; `last` goes along.

    The mode tells whether a difference is of a byte, of two, or, as exclusive or, of four; those
    were rotated to the left, to have their zeros on top.
    """
    width, rotation = 1 << (mode & 15), mode >> 4
    for byte in range(4 * channel, 4 * channel + 4, width):
        value = 0
        for part in range(width):
            value |= int(last[byte + part]) << 8 * part
        for row in range(size):
            delta = 0
            for part in range(width):
                delta |= int(deltas[byte + part, row]) << 8 * part
            if width == 4:
                value ^= (delta >> rotation | delta << (32 - rotation)) & WORD
            else:
                value += _signed(delta)
            for part in range(width):
                values[first + row, byte + part] = value >> 8 * part & 255
        for part in range(width):
            last[byte + part] = value >> 8 * part & 255


@kernel
def _decode_triangles(data: Any, end: int, table: Any, corners: Any) -> int:
    """Fill in the corners; return where the next byte would be read, or what is wrong."""
    known = np.zeros(5, np.int64)
    edges, vertices = np.zeros((FIFO, 2), np.int64), np.zeros(FIFO, np.int64)
    known[AT] = 1 + len(corners)
    for triangle in range(len(corners)):
        code = int(data[1 + triangle])
        if code < 0xF0:
            status = _add_to_edge(code, data, end, known, edges, vertices, corners[triangle])
        else:
            status = _add_apart(code, data, end, table, known, edges, vertices, corners[triangle])
        if status < 0:
            return status
    return known[AT]


@kernel
def _add_to_edge(
    code: int, data: Any, end: int, known: Any, edges: Any, vertices: Any, corners: Any
) -> int:
    """Decode a triangle at an edge that is remembered; return what is wrong, or 0."""
    back, kind = code >> 4, code & 15
    if back >= known[EDGES]:
        return NOT_WRITTEN
    edge = (known[EDGES] - 1 - back) % FIFO
    a, b = edges[edge, 0], edges[edge, 1]
    if kind == 13 or kind == 14:  # the index before or after the last one
        known[LAST] = (known[LAST] + 2 * kind - 27) & WORD
        c = known[LAST]
    else:
        c = _next_corner(kind + 1 if 0 < kind < 13 else kind, data, end, known, vertices)
    if c < 0:
        return c
    if kind == 0 or kind >= 13:
        _remember_vertex(c, known, vertices)
    _remember_edge(c, b, known, edges)
    _remember_edge(a, c, known, edges)
    corners[0], corners[1], corners[2] = a, b, c
    return 0


@kernel
def _add_apart(
    code: int, data: Any, end: int, table: Any, known: Any, edges: Any, vertices: Any, corners: Any
) -> int:
    """Decode a triangle at no such edge; return what is wrong, or 0."""
    kind_of_a = 0
    if code < 0xFE:
        pair = int(table[code & 15])
    else:
        if known[AT] >= end:
            return ENDS_EARLY
        pair = int(data[known[AT]])
        known[AT] += 1
        if pair == 0:
            known[NEXT] = 0
        if code == 0xFF:
            kind_of_a = 15
    a = _next_corner(kind_of_a, data, end, known, vertices)
    b = _next_corner(pair >> 4, data, end, known, vertices)
    c = _next_corner(pair & 15, data, end, known, vertices)
    if min(a, b, c) < 0:
        return min(a, b, c)
    _remember_edge(b, a, known, edges)
    _remember_edge(c, b, known, edges)
    _remember_edge(a, c, known, edges)
    _remember_vertex(a, known, vertices)
    if pair >> 4 == 0 or pair >> 4 == 15:
        _remember_vertex(b, known, vertices)
    if pair & 15 == 0 or pair & 15 == 15:
        _remember_vertex(c, known, vertices)
    corners[0], corners[1], corners[2] = a, b, c
    return 0


@kernel
def _next_corner(kind: int, data: Any, end: int, known: Any, vertices: Any) -> int:
    """Return a new vertex (0), one remembered (1 is the last of them), or one stored (15)."""
    if kind == 0:
        index = known[NEXT]
        known[NEXT] = (index + 1) & WORD
        return index
    if kind < 15:
        if kind > known[VERTICES]:
            return NOT_WRITTEN
        return vertices[(known[VERTICES] - kind) % FIFO]
    number = _read_number(data, end, known)
    if number < 0:
        return number
    known[LAST] = (known[LAST] + _signed(number)) & WORD
    return known[LAST]


@kernel
def _remember_vertex(vertex: int, known: Any, vertices: Any) -> None:
    vertices[known[VERTICES] % FIFO] = vertex
    known[VERTICES] += 1


@kernel
def _remember_edge(start: int, end: int, known: Any, edges: Any) -> None:
    edges[known[EDGES] % FIFO, 0] = start
    edges[known[EDGES] % FIFO, 1] = end
    known[EDGES] += 1


@kernel
def _read_number(data: Any, end: int, known: Any) -> int:
    """Read 32 bits from one to five bytes of seven bits each, the lowest first (LEB128)."""
    number = 0
    for part in range(5):
        if known[AT] >= end:
            return ENDS_EARLY
        byte = int(data[known[AT]])
        known[AT] += 1
        number |= (byte & 127) << 7 * part
        if byte < 128:
            return number & WORD
    return TOO_LONG


@kernel
def _signed(number: int) -> int:
    """Undo the zigzag of 0, -1, 1, -2, 2, ... that has small numbers for small differences."""
    return number >> 1 ^ -(number & 1)


@kernel
def _decode_indices(data: Any, end: int, indices: Any) -> int:
    """Fill in the indices; return where the next byte would be read, or what is wrong."""
    known, last = np.zeros(5, np.int64), np.zeros(2, np.int64)
    known[AT] = 1
    for place in range(len(indices)):
        number = _read_number(data, end, known)
        if number < 0:
            return number
        baseline = number & 1
        last[baseline] = (last[baseline] + _signed(number >> 1)) & WORD
        indices[place] = last[baseline]
    return known[AT]
