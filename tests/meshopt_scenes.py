"""A plain encoder of meshopt's bitstreams, after the text of the extensions, and GLBs made with it.

It tries what the format offers rather than to be good: what it writes is compressed, but not well.
"""

from __future__ import annotations

import json
import struct

import numpy as np
from mesh_file_trials import glb_of

EXT, KHR = "EXT_meshopt_compression", "KHR_meshopt_compression"
WIDTHS = {None: (0, 2, 4, 8), 0: (0, 1, 2, 4), 1: (1, 2, 4, 8)}
"""Bits of a delta by the control mode of version 1, or in version 0."""
SIZES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
COLUMNS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


def encode_attributes(
    rows: np.ndarray, channels: bytes | None = None, controls: bytes | None = None
) -> bytes:
    """Encode uint8[element, stride]; in version 1 if channel modes are given.

    Args:
        rows: What to encode.
        channels: The mode of every four bytes.
        controls: Of every byte of an element, the control mode.
    """
    rows, stride = np.asarray(rows, np.uint8), rows.shape[1]
    modes = channels or bytes(stride // 4)
    controls = controls or bytes(stride)
    baseline, data = rows[:1] if len(rows) else np.zeros((1, stride), np.uint8), b""
    block = min(8192 // stride // 16 * 16, 256)
    before = np.concatenate([baseline, rows])[:-1]
    for first in range(0, len(rows), block):
        chosen = slice(first, first + block)
        if channels is not None:
            data += packed(controls)
        for channel, mode in enumerate(modes):
            columns = slice(4 * channel, 4 * channel + 4)
            deltas = differences(rows[chosen, columns], before[chosen, columns], mode)
            for byte, plane in enumerate(deltas.T):
                control = None if channels is None else controls[4 * channel + byte]
                data += encode_plane(plane, control)
    tail = baseline.tobytes() + (channels or b"")
    return (b"\xa0" if channels is None else b"\xa1") + data + padded(tail, channels is not None)


def padded(tail: bytes, has_channels: bool) -> bytes:
    return bytes(max(0, (24 if has_channels else 32) - len(tail))) + tail


def packed(pairs: bytes) -> bytes:
    """Numbers of two bits, four to a byte, the first in the lowest bits."""
    pairs += bytes(-len(pairs) % 4)
    quads = [pairs[at : at + 4] for at in range(0, len(pairs), 4)]
    return bytes(a | b << 2 | c << 4 | d << 6 for a, b, c, d in quads)


def differences(now: np.ndarray, before: np.ndarray, mode: int) -> np.ndarray:
    """What is stored of four bytes of each element, uint8[element, 4], by the channel's mode."""
    kind = ("u1", "<u2", "<u4")[mode & 15]
    now, before = (np.ascontiguousarray(values).view(kind) for values in (now, before))
    if kind == "<u4":
        changed, turn = (now ^ before).astype(np.uint64), mode >> 4
        stored = (changed << turn | changed >> (32 - turn)) & 0xFFFFFFFF
    else:
        bits = 8 * now.itemsize
        delta = (now.astype(int) - before + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
        stored = np.where(delta < 0, -2 * delta - 1, 2 * delta)
    return stored.astype(kind).view(np.uint8).reshape(len(now), 4)


def encode_plane(deltas: np.ndarray, control: int | None) -> bytes:
    """Encode one byte of all elements of a block."""
    if control == 3:
        return deltas.tobytes()
    if control == 2:
        assert not deltas.any()
        return b""
    groups = np.pad(deltas, (0, -len(deltas) % 16)).reshape(-1, 16)
    kinds, data = b"", b""
    for group in groups:
        found = [encode_group(group, bits) for bits in WIDTHS[control]]
        sizes = [len(each) if each is not None else 99 for each in found]
        best = int(np.argmin(sizes))
        kinds, data = kinds + bytes([best]), data + (found[best] or b"")
    return packed(kinds) + data


def encode_group(deltas: np.ndarray, bits: int) -> bytes | None:
    """Encode 16 deltas with so many bits; None if zero bits cannot tell them."""
    if bits == 0:
        return None if deltas.any() else b""
    if bits == 8:
        return deltas.tobytes()
    sentinel = (1 << bits) - 1
    small = np.minimum(deltas, sentinel).reshape(-1, 8 // bits)
    shifts = np.arange(0, 8, bits)
    stored = (small << (shifts if bits == 1 else shifts[::-1])).sum(axis=1).astype(np.uint8)
    return stored.tobytes() + deltas[deltas >= sentinel].tobytes()


def encode_number(number: int) -> bytes:
    """LEB128 of 32 bits."""
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def zigzag(difference: int) -> int:
    """Of 32 bits, signed."""
    difference = (difference + (1 << 31)) % (1 << 32) - (1 << 31)
    return -2 * difference - 1 if difference < 0 else 2 * difference


def encode_indices(indices: np.ndarray) -> bytes:
    """Encode mode 2; the two baselines take turns."""
    last, data = [0, 0], b"\xd1"
    for place, index in enumerate(np.ravel(indices).tolist()):
        baseline = place % 2
        data += encode_number(zigzag(index - last[baseline]) << 1 | baseline)
        last[baseline] = index
    return data + bytes(4)


class TriangleEncoder:
    """Mode 1, with every way of the format to tell a triangle, the shortest first."""

    TABLE = bytes([0x00, 0x12, 0x21, 0x10, 0x01, 0xEE, 0x20, 0x02, 0, 0, 0, 0, 0, 0, 0, 0])

    def __init__(self) -> None:
        self.next, self.last = 0, 0
        self.edges: list[tuple[int, int]] = []
        self.vertices: list[int] = []
        self.codes, self.data = b"", b""

    def encode(self, faces: np.ndarray) -> bytes:
        for face in np.reshape(faces, (-1, 3)).tolist():
            if not self.add_to_edge(*face):
                self.add_apart(*face)
        return b"\xe1" + self.codes + self.data + self.TABLE

    def add_to_edge(self, a: int, b: int, c: int) -> bool:
        if (a, b) not in self.edges[:15]:
            return False
        if c == self.next:
            kind, self.next = 0, self.next + 1
        elif c in self.vertices[1:13]:
            kind = self.vertices.index(c, 1)
        elif abs(c - self.last) == 1:
            kind, self.last = 13 if c < self.last else 14, c
        else:
            kind = 15
            self.store(c)
        self.codes += bytes([self.edges.index((a, b)) << 4 | kind])
        if kind == 0 or kind > 12:
            self.vertices.insert(0, c)
        self.edges[:0] = [(a, c), (c, b)]
        return True

    def add_apart(self, a: int, b: int, c: int) -> None:
        stored, self.data, first = self.data, b"", self.next
        kinds = [self.corner(a, remembered=False), self.corner(b), self.corner(c)]
        if kinds == [15, 0, 0] and first > 0:  # these would begin the new indices at 0 again
            self.next, kinds = first, [15, 15, 15]
            self.store(b)
            self.store(c)
        pair = kinds[1] << 4 | kinds[2]
        if kinds[0] == 0 and pair in self.TABLE[:14]:
            self.codes += bytes([0xF0 | self.TABLE.index(pair)])
            self.data = stored
        else:
            self.codes += bytes([0xFE if kinds[0] == 0 else 0xFF])
            self.data = stored + bytes([pair]) + self.data
        for corner, kind in zip((a, b, c), [0, *kinds[1:]], strict=True):
            if kind in (0, 15):
                self.vertices.insert(0, corner)
        self.edges[:0] = [(a, c), (c, b), (b, a)]

    def corner(self, index: int, remembered: bool = True) -> int:
        """Say how a corner is told: as new (0), by what is remembered, or stored (15)."""
        if index == self.next:
            self.next += 1
            return 0
        if remembered and index in self.vertices[:14]:
            return self.vertices.index(index) + 1
        self.store(index)
        return 15

    def store(self, index: int) -> None:
        self.data += encode_number(zigzag(index - self.last))
        self.last = index


def compressed(glb: bytes, extension: str = EXT, fallback: str | None = None) -> bytes:
    """A GLB with every buffer view compressed that the format can compress, without a filter.

    Args:
        glb: With no buffer but its binary chunk, where views follow each other.
        extension: With KHR, attributes are of version 1.
        fallback: The uri of the buffer with the same things plainly; it is left out without one.
    """
    size = struct.unpack_from("<I", glb, 12)[0]
    tree, plain = json.loads(glb[20 : 20 + size]), glb[28 + size :]
    kinds, data = _kinds_of_views(tree), b""
    for number, view in enumerate(tree["bufferViews"]):
        start = view.get("byteOffset", 0)
        content = plain[start : start + view["byteLength"]]
        mode, stride = kinds.get(number, ("", 1))
        place = {"buffer": 0, "byteOffset": len(data)}
        if mode:
            content = _stream(content, mode, stride, extension)
            place |= {"byteLength": len(content), "byteStride": stride, "mode": mode}
            place |= {"count": view["byteLength"] // stride}
            view |= {"buffer": 1, "extensions": {extension: place}}
        else:
            view |= place
        data += content + bytes(-len(content) % 4)
    mark = {"extensions": {extension: {"fallback": True}}}
    described = {"byteLength": len(plain)} | mark | ({"uri": fallback} if fallback else {})
    tree["buffers"] = [tree["buffers"][0] | {"byteLength": len(data)}, described]
    tree.setdefault("extensionsUsed", []).append(extension)
    if not fallback:
        tree.setdefault("extensionsRequired", []).append(extension)
    return glb_of(tree, data)


def _kinds_of_views(tree: dict) -> dict[int, tuple[str, int]]:
    """The mode and the stride of every view that can be compressed."""
    lists = set()
    for mesh in tree["meshes"]:
        for primitive in mesh["primitives"]:
            if "indices" in primitive:
                mode = "TRIANGLES" if primitive.get("mode", 4) == 4 else "INDICES"
                lists.add((primitive["indices"], mode))
    kinds = {}
    for number, accessor in enumerate(tree["accessors"]):
        sparse = accessor.get("sparse", {})
        size = SIZES[accessor["componentType"]] * COLUMNS[accessor["type"]]
        for source in (accessor, sparse.get("values", {})):
            if "bufferView" in source:
                stride = tree["bufferViews"][source["bufferView"]].get("byteStride", size)
                if stride % 4 == 0:
                    kinds[source["bufferView"]] = "ATTRIBUTES", stride
        for mode in [mode for index, mode in lists if index == number]:
            kinds[accessor["bufferView"]] = mode, size
        if sparse.get("indices", {}).get("componentType") in (5123, 5125):
            size = SIZES[sparse["indices"]["componentType"]]
            kinds[sparse["indices"]["bufferView"]] = "INDICES", size
    return kinds


def _stream(content: bytes, mode: str, stride: int, extension: str) -> bytes:
    if mode == "ATTRIBUTES":
        rows = np.frombuffer(content, np.uint8).reshape(-1, stride)
        channels = bytes(n % 3 for n in range(stride // 4)) if extension == KHR else None
        controls = bytes(n % 2 for n in range(stride))
        return encode_attributes(rows, channels, controls)
    indices = np.frombuffer(content, "<u2" if stride == 2 else "<u4")
    return TriangleEncoder().encode(indices) if mode == "TRIANGLES" else encode_indices(indices)
