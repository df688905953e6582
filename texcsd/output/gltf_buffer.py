"""The one binary buffer of a glTF file while it grows, and the GLB container around it."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOAT, _UNSIGNED_SHORT, _UNSIGNED_INT = 5126, 5123, 5125
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_LINEAR, _LINEAR_MIPMAP_LINEAR = 9729, 9987
_REPEAT, _CLAMP_TO_EDGE = 10497, 33071


class GltfBuffer:
    """A glTF tree and its first buffer, the only one with data.

    Appends to both, and changes nothing that is there.
    """

    def __init__(self, tree: dict[str, Any], data: bytes | bytearray) -> None:
        self.tree = tree
        self.data = bytearray(data)
        if data:
            self._note_length()

    def append(self, key: str, value: dict[str, Any]) -> int:
        """Append to one of the tree's lists, such as "materials"; return the number it got."""
        self.tree.setdefault(key, []).append(value)
        return len(self.tree[key]) - 1

    def append_view(self, content: bytes, **more: int) -> int:
        """Append a buffer view of its own for the content."""
        self.data += b"\0" * (-len(self.data) % 4)
        start = len(self.data)
        self.data += content
        self._note_length()
        view = {"buffer": 0, "byteOffset": start, "byteLength": len(content)}
        return self.append("bufferViews", view | more)

    def append_attribute(self, values: NDArray[np.float32]) -> int:
        """Append an accessor for float[vertex, columns]."""
        content = values.astype("<f4").tobytes()
        accessor = {
            "bufferView": self.append_view(content, target=_ARRAY_BUFFER),
            "componentType": _FLOAT,
            "count": len(values),
            "type": f"VEC{values.shape[1]}",
            # Required for positions only. A float32 is exact in JSON, written as the double it is.
            "min": values.min(axis=0).tolist(),
            "max": values.max(axis=0).tolist(),
        }
        return self.append("accessors", accessor)

    def append_copy(self, accessor: dict[str, Any], values: NDArray[Any]) -> int:
        """Append an accessor like the given one, but with these values as they are stored.

        Args:
            accessor: Of the input. Its bounds are kept, so no value may be a new one.
            values: [vertex, columns], of the accessor's component type.
        """
        size = values.dtype.itemsize * values.shape[1]
        stride = size + -size % 4  # vertex attributes start at multiples of 4 bytes
        rows = np.zeros((len(values), stride), np.uint8)
        rows[:, :size] = np.ascontiguousarray(values).view(np.uint8).reshape(-1, size)
        more = {"target": _ARRAY_BUFFER} | ({} if stride == size else {"byteStride": stride})
        kept = {k: v for k, v in accessor.items() if k not in ("byteOffset", "sparse")}
        view = self.append_view(rows.tobytes(), **more)
        return self.append("accessors", kept | {"bufferView": view, "count": len(values)})

    def append_indices(self, indices: NDArray[np.int64], vertex_count: int) -> int:
        """Append an accessor for int[corner], in 16 bits where they do."""
        # 65535 is reserved: it restarts a primitive.
        small = vertex_count <= 65535
        content = indices.astype("<u2" if small else "<u4").tobytes()
        accessor = {
            "bufferView": self.append_view(content, target=_ELEMENT_ARRAY_BUFFER),
            "componentType": _UNSIGNED_SHORT if small else _UNSIGNED_INT,
            "count": len(indices),
            "type": "SCALAR",
        }
        return self.append("accessors", accessor)

    def append_image(self, picture: bytes, name: str = "base_color") -> int:
        """Append a PNG or JPEG as it is."""
        view = self.append_view(picture)
        kind = "jpeg" if picture.startswith(b"\xff\xd8") else "png"
        image = {"name": name, "mimeType": f"image/{kind}", "bufferView": view}
        return self.append("images", image)

    def append_texture(
        self, picture: bytes, uv: NDArray[np.floating], name: str = "base_color"
    ) -> int:
        """Append a PNG or JPEG that repeats only if the uv float[texture_vertex, 2] need it."""
        tiled = bool(((uv < 0) | (uv > 1)).any())
        wrap = _REPEAT if tiled else _CLAMP_TO_EDGE
        sampler = {"magFilter": _LINEAR, "minFilter": _LINEAR_MIPMAP_LINEAR}
        numbers = {
            "sampler": self.append("samplers", sampler | {"wrapS": wrap, "wrapT": wrap}),
            "source": self.append_image(picture, name),
        }
        return self.append("textures", numbers)

    def _note_length(self) -> None:
        buffers = self.tree.setdefault("buffers", [{}])
        buffers[0]["byteLength"] = len(self.data)


def glb_container(
    tree: dict[str, Any], binary: bytes, more: Sequence[tuple[bytes, bytes]] = ()
) -> bytes:
    """Put together the two chunks of a GLB, each padded to 4 bytes, and more of them as they are.

    Args:
        tree: The JSON.
        binary: The first buffer, the only one with data.
        more: Kinds of four bytes, and contents.
    """
    text = json.dumps(tree, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = [(b"JSON", text), (b"BIN\0", binary), *more]
    body = b"".join(struct.pack("<I4s", len(content), kind) + content for kind, content in chunks)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body
