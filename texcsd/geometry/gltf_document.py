"""The container of glTF 2.0 and GLB: JSON, buffers and the numbers in them."""

import base64
import binascii
import json
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.file_part import DamagedFileError
from texcsd.geometry.gltf_draco import compressed_accessors, decode, values_of
from texcsd.geometry.gltf_meshopt import buffers_of_twins, compression_of
from texcsd.geometry.names import path_of_uri

COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
MOST_ZEROS = 1 << 26
"""Values of an accessor without data of its own, which costs its file nothing."""
COLUMNS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


@dataclass(frozen=True)
class GltfDocument:
    """An open file; its buffers are read when something in them is asked for.

    So a buffer that is missing does not matter when only animations or images were in it.
    """

    tree: dict[str, Any]
    folder: Path
    binary_chunk: bytes | None
    buffers: dict[int, bytes]
    """Those read so far."""
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    """What a GLB holds after its JSON and its binary: kinds of four bytes, and contents."""

    def accessor(self, index: int) -> NDArray[np.float64]:
        """Return the numbers of an accessor, [count, columns]; normalised integers as fractions."""
        values = self.raw_accessor(index)
        if values.dtype.kind == "f" or not self.tree["accessors"][index].get("normalized"):
            return values.astype(np.float64)
        return np.maximum(values / np.iinfo(values.dtype).max, -1.0)

    def raw_accessor(self, index: int) -> NDArray[Any]:
        """Return the numbers of an accessor as they are stored, [count, columns]."""
        accessor = self.tree["accessors"][index]
        if accessor["type"] not in COLUMNS:
            raise DamagedFileError(f"accessor {index} has the type {accessor['type']}")
        columns, component = COLUMNS[accessor["type"]], accessor["componentType"]
        if index in self._compressed:
            return self._decompressed(index, component, (int(accessor["count"]), columns))
        values = self._view(accessor, component, int(accessor["count"]), columns)
        sparse = accessor.get("sparse")
        if sparse:
            at = self._view(
                sparse["indices"], sparse["indices"]["componentType"], sparse["count"], 1
            )
            values = values.copy()
            values[at[:, 0]] = self._view(sparse["values"], component, sparse["count"], columns)
        return values

    @cached_property
    def _compressed(self) -> dict[int, tuple[int, int | None]]:
        return compressed_accessors(self.tree)

    @cached_property
    def _decoded(self) -> dict[int, Any]:
        """What Draco has decoded so far, by buffer view."""
        return {}

    def _decompressed(self, index: int, component: int, shape: tuple[int, int]) -> NDArray[Any]:
        view, attribute = self._compressed[index]
        if view not in self._decoded:
            self._decoded[view] = decode(self.view(view))
        values = values_of(self._decoded[view], attribute)
        if values.shape != shape:
            raise DamagedFileError(
                f"accessor {index} claims {shape[0]:,} x {shape[1]} values, its Draco-compressed "
                f"geometry has {values.shape[0]:,} x {values.shape[1]}"
            )
        return values.astype(COMPONENTS[component])

    def _view(
        self, source: dict[str, Any], component: int, count: int, columns: int
    ) -> NDArray[Any]:
        """Return numbers from the buffer view that an accessor names, zeros where it names none."""
        dtype = np.dtype(COMPONENTS[component])
        if "bufferView" not in source:
            if count > MOST_ZEROS:
                raise DamagedFileError(f"an accessor claims {count:,} values and has no data")
            return np.zeros((count, columns), dtype)
        view = self.tree["bufferViews"][source["bufferView"]]
        start, row = source.get("byteOffset", 0), dtype.itemsize * columns
        stride = view.get("byteStride", row)
        if stride < row or min(start, view.get("byteOffset", 0), count) < 0:
            raise DamagedFileError(
                f"buffer view {source['bufferView']} has elements that overlap, or begin before it"
            )
        if compression_of(view) is None:
            data, holder = self.buffer(view["buffer"]), f"buffer {view['buffer']}"
            start += view.get("byteOffset", 0)
        else:
            data, holder = self.view(source["bufferView"]), f"buffer view {source['bufferView']}"
        if count and start + stride * (count - 1) + row > len(data):
            raise DamagedFileError(f"{holder} ends before the data does")
        return np.ndarray((count, columns), dtype, data, start, (stride, dtype.itemsize))

    def view(self, index: int) -> bytes:
        """Return the content of a buffer view, decompressed if meshopt has compressed it."""
        view = self.tree["bufferViews"][index]
        compressed = compression_of(view)
        if compressed is None:
            return self._piece(view)
        if index not in self._decompressed_views:
            # Few files need numba, which is slow to import.
            from texcsd.geometry.meshopt import decompress

            try:
                content = decompress(compressed, view["byteLength"], self._piece(compressed))
            except DamagedFileError as error:
                raise DamagedFileError(
                    f"its buffer view {index}, compressed by meshopt, cannot be read, {error}"
                ) from error
            self._decompressed_views[index] = content
        return self._decompressed_views[index]

    @cached_property
    def _decompressed_views(self) -> dict[int, bytes]:
        """What meshopt has decompressed so far, by buffer view."""
        return {}

    def _piece(self, place: dict[str, Any]) -> bytes:
        """Return the bytes of a buffer that a view or its extension refers to."""
        start = place.get("byteOffset", 0)
        content = self.buffer(place["buffer"])[start : start + place["byteLength"]]
        if start < 0 or len(content) < place["byteLength"]:
            raise DamagedFileError(f"buffer {place['buffer']} ends before the data does")
        return content

    def empty_buffers(self) -> set[int]:
        """Return the numbers of the buffers without data: of twins of compressed views, left out.

        Nothing needs them but programs that do not know the compression.
        """
        return {index for index in buffers_of_twins(self.tree) if not self._is_there(index)}

    def _is_there(self, index: int) -> bool:
        uri = self.tree["buffers"][index].get("uri")
        if uri is None:
            return index == 0 and self.binary_chunk is not None
        return uri.startswith("data:") or self.file(uri, f"buffer {index}").is_file()

    def buffer(self, index: int) -> bytes:
        """Return the content of a buffer; it is read when it is first asked for."""
        if index not in self.buffers:
            self.buffers[index] = self._read_buffer(index)
        return self.buffers[index]

    def _read_buffer(self, index: int) -> bytes:
        uri = self.tree["buffers"][index].get("uri")
        if uri is None:
            if index > 0 or self.binary_chunk is None:
                raise DamagedFileError(f"buffer {index} has no data")
            return self.binary_chunk
        if not isinstance(uri, str):
            raise DamagedFileError(f"the uri of buffer {index} is {uri!r:.50}, not text")
        if uri.startswith("data:"):
            try:
                return base64.b64decode(uri.partition(",")[2])
            except binascii.Error as error:
                raise DamagedFileError(f"buffer {index} is not valid base64") from error
        try:
            return self.file(uri, f"buffer {index}").read_bytes()
        except OSError as error:
            raise DamagedFileError(
                f'its data file "{path_of_uri(uri)}" is missing or unreadable; put it beside the '
                "mesh"
            ) from error

    def file(self, uri: str, what: str) -> Path:
        """Return the path of a file that the document refers to, whether it exists or not.

        Raises:
            DamagedFileError: It is not in the folder of the mesh or below, so it is not looked at.
        """
        if "://" in uri:
            raise DamagedFileError(f"{what} is at {uri[:100]}; download it and refer to the file")
        folder = self.folder.resolve()
        try:
            path = (folder / path_of_uri(uri)).resolve()
        except ValueError as error:  # a zero byte, or half a character
            raise DamagedFileError(f"{what} is at {uri[:100]!a}, no name of a file") from error
        if not path.is_relative_to(folder):
            raise DamagedFileError(
                f'{what}, "{path_of_uri(uri)[:100]}", is outside the folder of the mesh, where no '
                "file is read; put it into that folder"
            )
        return path


def open_document(path: Path) -> GltfDocument:
    """Open a .glb or .gltf file; which of both it is, its first bytes tell."""
    data = path.read_bytes()
    binary, chunks = None, ()
    if data[:4] == b"glTF":
        data, binary, chunks = _split_glb(data)
    elif path.suffix.lower() == ".glb":
        raise DamagedFileError("it does not start with the GLB signature")
    try:
        tree = json.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DamagedFileError(f"its JSON is broken, {error}") from error
    if not isinstance(tree, dict):
        raise DamagedFileError("its JSON is not an object")
    version = str(tree.get("asset", {}).get("version", "2.0"))
    if not version.startswith("2"):
        raise DamagedFileError(f"it is glTF {version or 'of no version'}, only glTF 2 is supported")
    return GltfDocument(tree, path.parent, binary, {}, chunks)


def _split_glb(data: bytes) -> tuple[bytes, bytes | None, tuple[tuple[bytes, bytes], ...]]:
    """Return the JSON, the binary if there is one, and all further chunks in order."""
    if len(data) < 20:
        raise DamagedFileError(f"it ends after {len(data)} bytes, inside the header")
    version, total = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise DamagedFileError(f"it is GLB version {version}, only version 2 is supported")
    if len(data) < total:
        raise DamagedFileError(f"it has {len(data):,} of {total:,} bytes, the rest is missing")
    known, others, offset = dict[bytes, bytes](), [], 12
    while offset + 8 <= total:
        length, kind = struct.unpack_from("<I4s", data, offset)
        content = data[offset + 8 : min(offset + 8 + length, total)]
        if kind in (b"JSON", b"BIN\0") and kind not in known:
            known[kind] = content
        else:
            others.append((kind, content))
        offset += 8 + length
    if b"JSON" not in known:
        raise DamagedFileError("it has no JSON chunk")
    # Spaces are to pad it; some writers take zeros, as the binary has them.
    return known[b"JSON"].rstrip(b"\0"), known.get(b"BIN\0"), tuple(others)
