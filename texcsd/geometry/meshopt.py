"""The content of a glTF buffer view that meshopt has compressed, from its stream of bytes."""

from typing import Any

import numpy as np

from texcsd.geometry import meshopt_filters as filters
from texcsd.geometry import meshopt_streams as streams
from texcsd.geometry.file_part import DamagedFileError

DECODERS = {
    "ATTRIBUTES": streams.decode_attributes,
    "TRIANGLES": streams.decode_triangles,
    "INDICES": streams.decode_indices,
}
FILTERS = {
    "OCTAHEDRAL": filters.octahedral,
    "QUATERNION": filters.quaternion,
    "EXPONENTIAL": filters.exponential,
    "COLOR": filters.color,
}
FILTERED_STRIDES = {"OCTAHEDRAL": (4, 8), "QUATERNION": (8,), "COLOR": (4, 8)}


def decompress(described: dict[str, Any], size: int, stream: bytes) -> bytes:
    """Decode a stream of one of the modes, and apply its filter if it has one.

    Args:
        described: The mode, the filter, the number of elements and their stride, as the extension
            EXT_meshopt_compression or KHR_meshopt_compression of the buffer view has them.
        size: Of the buffer view, in bytes.
        stream: What is compressed.

    Raises:
        DamagedFileError: They contradict each other, or the stream is broken.
    """
    mode: Any = described.get("mode")
    name: Any = described.get("filter", "NONE")
    count: Any = described.get("count")
    stride: Any = described.get("byteStride")
    if not _is_valid(mode, name, count, stride) or count * stride != size:
        raise DamagedFileError(
            f"{size!r} bytes cannot be {count!r:.20} elements of {stride!r:.20} bytes, mode "
            f"{mode!r:.20}, filter {name!r:.20}"
        )
    elements = DECODERS[mode](stream, count, stride)
    if name != "NONE":
        with np.errstate(all="ignore"):  # of elements that are no vectors, anything may come
            elements = FILTERS[name](elements)
    return elements.tobytes()


def _is_valid(mode: Any, name: Any, count: Any, stride: Any) -> bool:
    if [type(each) for each in (mode, name, count, stride)] != [str, str, int, int] or count < 0:
        return False
    if mode == "ATTRIBUTES":
        filtered = name in FILTERS and stride in FILTERED_STRIDES.get(name, (stride,))
        return stride in range(4, 257, 4) and (name == "NONE" or filtered)
    whole = mode == "INDICES" or (mode == "TRIANGLES" and count % 3 == 0)
    return whole and stride in (2, 4) and name == "NONE"
