"""A mesh and its texture as one binary glTF 2.0 file, written directly: a header, JSON, numbers.

Specification: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html
"""

from __future__ import annotations

import io
import json
import struct
from importlib import metadata

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from texcsd.geometry.mesh import Mesh, Part

_FLOAT, _UNSIGNED_SHORT, _UNSIGNED_INT = 5126, 5123, 5125
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_LINEAR, _LINEAR_MIPMAP_LINEAR = 9729, 9987
_REPEAT, _CLAMP_TO_EDGE = 10497, 33071


def png_bytes(base_color: NDArray[np.uint8]) -> bytes:
    """Write uint8[height, width, 3] as an RGB PNG; the same pixels give the same bytes."""
    stream = io.BytesIO()
    Image.fromarray(base_color).save(stream, format="PNG", compress_level=6)
    return stream.getvalue()


def glb_bytes(mesh: Mesh, maps_png: bytes, name: str) -> bytes:
    """Write the mesh with its texture as a GLB file; the same arguments give the same bytes.

    One node and mesh per part, under the part's name; a name that occurs twice gets a number.
    Positions are exactly `mesh.vertices` as float32. Only where float32 would cost more than a
    millionth of the mesh's size, in a small mesh far from the origin, they are relative to the
    centre of its box, and the nodes' translation puts them back. Vertices stay in the mesh's
    order; they are repeated only where one position has several normals or uv. Faces without area
    are kept; parts without faces and vertices without faces are left out.

    Args:
        mesh: In the pose and scale to write; has uv.
        maps_png: The base colour as a PNG file, row 0 on top; embedded as it is.
        name: Of the material and the scene.

    Returns:
        A GLB file.
    """
    if mesh.uv is None or mesh.uv_faces is None:
        raise ValueError("a mesh needs uv to be written with a texture")
    vertices = mesh.vertices.detach().cpu().numpy().astype(np.float64)
    offset = _offset_from_origin(vertices[np.unique(mesh.faces.cpu().numpy())])
    uv = mesh.uv.cpu().numpy().astype(np.float32)
    uv_from_top = np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1)  # glTF's v starts on top
    attributes = {
        "POSITION": ((vertices - offset).astype(np.float32), mesh.faces.cpu().numpy()),
        "NORMAL": (mesh.normals.cpu().numpy(), mesh.normal_faces.cpu().numpy()),
        "TEXCOORD_0": (uv_from_top, mesh.uv_faces.cpu().numpy()),
    }
    buffer = _Buffer()
    names = _unique_names([part.name for part in mesh.parts])
    meshes, nodes = [], []
    for part, part_name in zip(mesh.parts, names, strict=True):
        if part.face_count == 0:
            continue
        node = {"mesh": len(meshes), "name": part_name}
        nodes.append(node | ({"translation": offset.tolist()} if offset.any() else {}))
        meshes.append({"name": part_name, "primitives": [_primitive(attributes, part, buffer)]})
    image_view = buffer.append_view(maps_png)
    tiled = bool(uv.size) and bool((uv < 0).any() or (uv > 1).any())
    document = {
        "asset": {"version": "2.0", "generator": _generator()},
        "scene": 0,
        "scenes": [{"name": name, "nodes": list(range(len(nodes)))}],
        "nodes": nodes,
        "meshes": meshes,
        "materials": [_material(name)],
        "textures": [{"sampler": 0, "source": 0}],
        "samplers": [_sampler(_REPEAT if tiled else _CLAMP_TO_EDGE)],
        "images": [{"name": "base_color", "mimeType": "image/png", "bufferView": image_view}],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    return _glb_container(document, bytes(buffer.data))


class _Buffer:
    """The one binary buffer, and the views and accessors into it, while they are collected."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, object]] = []
        self.accessors: list[dict[str, object]] = []

    def append_view(self, content: bytes, target: int | None = None) -> int:
        view: dict[str, object] = {
            "buffer": 0,
            "byteOffset": len(self.data),
            "byteLength": len(content),
        }
        self.views.append(view if target is None else view | {"target": target})
        self.data += content + b"\0" * (-len(content) % 4)
        return len(self.views) - 1

    def append_attribute(self, values: NDArray[np.float32]) -> int:
        accessor: dict[str, object] = {
            "bufferView": self.append_view(values.astype("<f4").tobytes(), _ARRAY_BUFFER),
            "componentType": _FLOAT,
            "count": len(values),
            "type": f"VEC{values.shape[1]}",
            # Required for positions only. A float32 is exact in JSON, written as the double it is.
            "min": values.min(axis=0).tolist(),
            "max": values.max(axis=0).tolist(),
        }
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def append_indices(self, indices: NDArray[np.int64], vertex_count: int) -> int:
        # 65535 is reserved: it restarts a primitive.
        small = vertex_count <= 65535
        content = indices.astype("<u2" if small else "<u4").tobytes()
        accessor: dict[str, object] = {
            "bufferView": self.append_view(content, _ELEMENT_ARRAY_BUFFER),
            "componentType": _UNSIGNED_SHORT if small else _UNSIGNED_INT,
            "count": len(indices),
            "type": "SCALAR",
        }
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def _primitive(
    attributes: dict[str, tuple[NDArray[np.float32], NDArray[np.int64]]],
    part: Part,
    buffer: _Buffer,
) -> dict[str, object]:
    """Append a part's triangles to the buffer; return the primitive that refers to them."""
    chosen = slice(part.first_face, part.first_face + part.face_count)
    corners = [faces[chosen].reshape(-1) for _, faces in attributes.values()]
    picked, indices = _merge_corners(corners)
    accessors = {
        attribute: buffer.append_attribute(values[corner[picked]])
        for (attribute, (values, _)), corner in zip(attributes.items(), corners, strict=True)
    }
    return {
        "attributes": accessors,
        "indices": buffer.append_indices(indices, len(picked)),
        "material": 0,
        "mode": 4,
    }


def _merge_corners(
    corners: list[NDArray[np.int64]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Make one vertex per combination of indices, in order of the first, the second, the third.

    Args:
        corners: For each attribute, int64[corner], the index into its values.

    Returns:
        int64[vertex], a corner each vertex can be copied from; int64[corner], each corner's vertex.
    """
    vertex = corners[0]
    for ids in corners[1:]:
        # Ranks instead of ids: the product of three index ranges could leave 64 bits.
        rank = np.unique(vertex, return_inverse=True)[1].astype(np.int64)
        vertex = rank * (int(ids.max()) + 1) + ids
    _, picked, indices = np.unique(vertex, return_index=True, return_inverse=True)
    return picked.astype(np.int64), indices.astype(np.int64)


def _offset_from_origin(vertices: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[3], to subtract so that float32 keeps the shape to a millionth of its size."""
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    error = np.abs(vertices.astype(np.float32) - vertices).max()
    if error <= 1e-6 * (high - low).max():
        return np.zeros(3)
    # Exact in float32, as most readers keep translations.
    return ((low + high) / 2).astype(np.float32).astype(np.float64)


def _unique_names(names: list[str]) -> list[str]:
    """The names in order; one that was already used gets _2, _3 and so on, as far as is free."""
    taken: set[str] = set(names)
    given: set[str] = set()
    unique = []
    for name in names:
        number, candidate = 1, name or "mesh"
        while candidate in given or (number > 1 and candidate in taken):
            number += 1
            candidate = f"{name or 'mesh'}_{number}"
        given.add(candidate)
        unique.append(candidate)
    return unique


def _material(name: str) -> dict[str, object]:
    """Matte and not metallic; two-sided, since an input's winding is not known to be right."""
    return {
        "name": name,
        "doubleSided": True,
        "pbrMetallicRoughness": {
            "baseColorTexture": {"index": 0},
            "metallicFactor": 0,
            "roughnessFactor": 0.6,
        },
    }


def _sampler(wrap: int) -> dict[str, int]:
    return {
        "magFilter": _LINEAR,
        "minFilter": _LINEAR_MIPMAP_LINEAR,
        "wrapS": wrap,
        "wrapT": wrap,
    }


def _generator() -> str:
    try:
        return f"texcsd {metadata.version('texcsd')}"
    except metadata.PackageNotFoundError:  # run from a source tree
        return "texcsd"


def _glb_container(document: dict[str, object], binary: bytes) -> bytes:
    """Put together the two chunks of a GLB; JSON is padded to 4 bytes, binary already is."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    length = 12 + 8 + len(text) + 8 + len(binary)
    return b"".join(
        [
            struct.pack("<4sII", b"glTF", 2, length),
            struct.pack("<I4s", len(text), b"JSON"),
            text,
            struct.pack("<I4s", len(binary), b"BIN\0"),
            binary,
        ]
    )
