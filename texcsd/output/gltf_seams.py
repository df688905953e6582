"""Painted texture coordinates for a glTF primitive, and the copies of vertices that seams force."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.gltf_coordinates import base_color_lookup, read_coordinates
from texcsd.geometry.gltf_document import GltfDocument
from texcsd.geometry.gltf_draco import DRACO, is_compressed
from texcsd.geometry.gltf_file import TRIANGLES, primitive_faces
from texcsd.geometry.gltf_meshopt import reads_compressed
from texcsd.geometry.normals import weld_vertices
from texcsd.output.gltf_buffer import GltfBuffer


def give_coordinates(
    document: GltfDocument,
    buffer: GltfBuffer,
    primitive: dict[str, Any],
    corner_uv: NDArray[np.float32],
) -> dict[str, Any]:
    """Make sure that the primitive has the painted coordinates; keep its own where it has them.

    One that Draco compressed is stored plainly if it gets new ones, which it could not hold; one
    that meshopt did, only if vertices are copied.

    Args:
        document: The input.
        buffer: What new coordinates are appended to.
        primitive: Of the output; it gets what is new.
        corner_uv: float[face, 3, 2], origin bottom-left, for the faces in the file's order.

    Returns:
        Which coordinates these are, as a glTF textureInfo without its `index`.
    """
    faces = primitive_faces(document, primitive)
    lookup = base_color_lookup(document.tree, primitive)
    own = read_coordinates(document, primitive, lookup)
    if own is not None and len(own) > faces.max():
        if np.array_equal(own.astype(np.float32)[faces], corner_uv):
            return lookup
    return _add_coordinates(document, buffer, primitive, faces, corner_uv)


def next_coordinate_set(attributes: dict[str, int]) -> int:
    """Return the number of the set that new coordinates of a primitive become: the first free."""
    return next(n for n in range(len(attributes) + 1) if f"TEXCOORD_{n}" not in attributes)


def _add_coordinates(
    document: GltfDocument,
    buffer: GltfBuffer,
    primitive: dict[str, Any],
    faces: NDArray[np.int64],
    corner_uv: NDArray[np.float32],
) -> dict[str, Any]:
    attributes = primitive["attributes"]
    vertex_count = document.tree["accessors"][attributes["POSITION"]]["count"]
    uv = corner_uv.reshape(-1, 2)
    copied, indices = _split(
        faces.reshape(-1), weld_vertices(uv.astype(np.float64))[1], vertex_count
    )
    compressed = _without_draco(primitive)
    if compressed or len(copied):
        for named in (attributes, *primitive.get("targets", [])):
            for name, index in named.items():
                values = document.raw_accessor(index)
                values = np.concatenate([values, values[copied]])
                accessor = document.tree["accessors"][index]
                if compressed or reads_compressed(document.tree, accessor):
                    accessor = _with_bounds_of(values, accessor)
                named[name] = buffer.append_copy(accessor, values)
        primitive["indices"] = buffer.append_indices(indices, vertex_count + len(copied))
        if "mode" in primitive:
            primitive["mode"] = TRIANGLES
    from_top = np.zeros((vertex_count + len(copied), 2), np.float32)
    from_top[indices] = np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1)
    number = next_coordinate_set(attributes)
    attributes[f"TEXCOORD_{number}"] = buffer.append_attribute(from_top)
    return {"texCoord": number} if number else {}


def _without_draco(primitive: dict[str, Any]) -> bool:
    """Take the compressed geometry from a primitive; tell whether it had one."""
    if not is_compressed(primitive):
        return False
    del primitive["extensions"][DRACO]
    if not primitive["extensions"]:
        del primitive["extensions"]
    return True


def _with_bounds_of(values: NDArray[Any], accessor: dict[str, Any]) -> dict[str, Any]:
    """The accessor with these values' bounds if it has any: compression has moved them a little."""
    bounds = {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
    return accessor | {key: bound for key, bound in bounds.items() if key in accessor}


def _split(
    corners: NDArray[np.int64], uv_ids: NDArray[np.int64], vertex_count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Part the corners of a vertex that have different uv; the first of them keep the vertex.

    Args:
        corners: int64[corner], the vertex of each.
        uv_ids: int64[corner], equal where the uv are.
        vertex_count: Number of vertices, used or not.

    Returns:
        int64[copy], the vertex each added one is a copy of; int64[corner], the vertex of each now.
    """
    pairs, first, pair_of_corner = np.unique(
        corners * (int(uv_ids.max()) + 1) + uv_ids, return_index=True, return_inverse=True
    )
    order = np.argsort(first)
    vertices = corners[first[order]]
    keeps = np.zeros(len(pairs), bool)
    keeps[np.unique(vertices, return_index=True)[1]] = True
    copied = vertices[~keeps]
    new_index = np.empty(len(pairs), np.int64)
    new_index[order[keeps]] = vertices[keeps]
    new_index[order[~keeps]] = vertex_count + np.arange(len(copied))
    return copied, new_index[pair_of_corner.reshape(-1)]
