"""Other positions and normals put into a copy of the user's own glTF; everything else stays."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.file_part import DamagedFileError, GltfSource
from texcsd.geometry.gltf_document import GltfDocument
from texcsd.geometry.gltf_draco import is_compressed
from texcsd.geometry.gltf_file import primitive_faces
from texcsd.geometry.instances import first_parts
from texcsd.geometry.mesh import Mesh
from texcsd.output.gltf_buffer import GltfBuffer
from texcsd.output.gltf_patch import copy_with_one_buffer, primitives_by_place

RESHAPED = ("POSITION", "NORMAL")
GROWN = ("accessors", "bufferViews")
COMPARED_APART = (*GROWN, "buffers", "meshes")


def reshape_gltf(document: GltfDocument, shape: Mesh) -> GltfDocument:
    """Give the primitives the positions of a mesh, and its normals where they have any.

    New accessors are appended, and the primitives refer to them; the old ones stay, unused.
    Vertices that no face uses stay where they are; morph targets are relative, and stay.

    Args:
        document: As opened; it is not changed.
        shape: As loaded from that document, but with its vertices displaced.

    Raises:
        DamagedFileError: There are skins or instances, which move vertices in more than one way.
    """
    buffer = copy_with_one_buffer(document)
    primitives = primitives_by_place(buffer)
    _refuse_what_moves(shape, primitives)
    vertices, normals = shape.vertices.cpu().numpy(), shape.normals.cpu().numpy()
    corners = vertices[shape.faces.cpu().numpy()]
    corner_normals = normals[shape.normal_faces.cpu().numpy()].astype(np.float64)
    for part in shape.parts:
        assert part.source is not None and part.source.pose is not None
        primitive = primitives[part.source.mesh, part.source.primitive]
        chosen = slice(part.first_face, part.first_face + part.face_count)
        linear, place = part.source.pose[:3, :3], part.source.pose[:3, 3]
        local = {
            "POSITION": (corners[chosen] - place) @ np.linalg.inv(linear).T,
            "NORMAL": _unit(corner_normals[chosen] @ linear),
        }
        for name in RESHAPED:
            if name in primitive["attributes"]:
                _replace_attribute(document, buffer, primitive, name, part.source, local[name])
    return replace(document, tree=buffer.tree, binary_chunk=bytes(buffer.data), buffers={})


def only_reshaped(before: GltfDocument, after: GltfDocument) -> bool:
    """Tell whether a document is another one with `RESHAPED` attributes replaced, and no more."""
    old, new = before.tree, after.tree
    meshes = copy.deepcopy(new["meshes"])
    for was, now in zip(old["meshes"], meshes, strict=True):
        for first, second in zip(was["primitives"], now["primitives"], strict=True):
            first, second = first["attributes"], second["attributes"]
            second |= {name: first[name] for name in RESHAPED if name in first}
    views = range(len(old.get("bufferViews", [])))
    return (
        meshes == old["meshes"]
        and new.keys() <= old.keys() | set(COMPARED_APART)
        and all(new[key] == old[key] for key in old if key not in COMPARED_APART)
        and new["accessors"][: len(old["accessors"])] == old["accessors"]
        and all(before.view(index) == after.view(index) for index in views)
    )


def _refuse_what_moves(shape: Mesh, primitives: dict[tuple[int, int], dict[str, Any]]) -> None:
    if first_parts(shape) != list(range(len(shape.parts))):
        raise DamagedFileError("it has instances, which share their vertices; make them real first")
    for part in shape.parts:
        assert part.source is not None
        if part.source.pose is None:
            raise DamagedFileError("it has a skin, which moves its vertices; displace it before")
        if np.linalg.cond(part.source.pose[:3, :3]) > 1e6:
            raise DamagedFileError(f'a node flattens "{part.name}", so there is no way back')
        primitive = primitives[part.source.mesh, part.source.primitive]
        if is_compressed(primitive):
            raise DamagedFileError("it is Draco-compressed; export it without compression")


def _replace_attribute(
    document: GltfDocument,
    buffer: GltfBuffer,
    primitive: dict[str, Any],
    name: str,
    source: GltfSource,
    corners: NDArray[np.float64],
) -> None:
    """Append the values at the corners, float[face, 3, 3], as the attribute of the primitive."""
    faces = primitive_faces(document, primitive)
    values = document.accessor(primitive["attributes"][name]).astype(np.float32)
    values[faces] = corners[:, ::-1] if source.mirrored else corners
    primitive["attributes"][name] = buffer.append_attribute(values)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-30)
