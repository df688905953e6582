"""A mesh and its texture as one binary glTF 2.0 file, written directly: a header, JSON, numbers.

Specification: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from texcsd.geometry.mesh import Mesh, Part
from texcsd.geometry.names import unique_names
from texcsd.output.gltf_buffer import GltfBuffer, glb_container

NORMAL_MAP = "normal"
"""Name of the image."""


def png_bytes(base_color: NDArray[np.uint8]) -> bytes:
    """Write uint8[height, width, 3] as an RGB PNG; the same pixels give the same bytes."""
    stream = io.BytesIO()
    Image.fromarray(base_color).save(stream, format="PNG", compress_level=6)
    return stream.getvalue()


def glb_bytes(
    mesh: Mesh,
    pictures: Mapping[int, bytes],
    name: str,
    normal_maps: Mapping[int, bytes] | None = None,
) -> bytes:
    """Write `new_gltf` as a GLB file; the same arguments give the same bytes."""
    buffer = new_gltf(mesh, pictures, name, normal_maps=normal_maps)
    return glb_container(buffer.tree, bytes(buffer.data))


def new_gltf(
    mesh: Mesh,
    pictures: Mapping[int, bytes],
    name: str,
    material_names: Mapping[int, str] | None = None,
    normal_maps: Mapping[int, bytes] | None = None,
) -> GltfBuffer:
    """Make a glTF of the mesh with its textures.

    One node and mesh per part, under the part's name; a name that occurs twice gets a number. Faces
    of a part that show different textures become primitives of their own, as in `pieces`.
    Positions are exactly `mesh.vertices` as float32. Only where float32 would cost more than a
    millionth of the mesh's size, in a small mesh far from the origin, they are relative to the
    centre of its box, and the nodes' translation puts them back. Vertices stay in the mesh's
    order; they are repeated only where one position has several normals or uv. Faces without area
    are kept; parts without faces and vertices without faces are left out.

    Args:
        mesh: In the pose and scale to write; has uv.
        pictures: The base colour as PNG or JPEG files, by the number of the texture, row 0 on top;
            embedded as they are.
        name: Of the scene, and of materials without one. Materials are two-sided, since the winding
            of an input without materials is not known to be right.
        material_names: By the number of the texture.
        normal_maps: PNG or JPEG files likewise, of the textures that have one; in tangent space, by
            tangents that readers find themselves (MikkTSpace), as the specification asks them to.
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
    buffer = GltfBuffer({}, b"")
    names = unique_names([part.name for part in mesh.parts])
    meshes, nodes, materials = [], [], []
    numbers = {number: index for index, number in enumerate(sorted(pictures))}
    for number, picture in sorted(pictures.items()):
        shown = mesh.uv_faces[mesh.texture_numbers() == number].unique().cpu().numpy()
        texture = buffer.append_texture(picture, uv[shown])
        named = {"name": (material_names or {}).get(number, name), "doubleSided": True}
        if normal_maps and number in normal_maps:
            relief = buffer.append_texture(normal_maps[number], uv[shown], NORMAL_MAP)
            named |= {"normalTexture": {"index": relief}}
        materials.append(painted_material(named, {"index": texture}))
    for part, part_name in zip(mesh.parts, names, strict=True):
        primitives = [
            _primitive(attributes, rows, buffer) | {"material": numbers[number]}
            for number, rows in pieces(mesh, part)
        ]
        if not primitives:
            continue
        node = {"mesh": len(meshes), "name": part_name}
        nodes.append(node | ({"translation": offset.tolist()} if offset.any() else {}))
        meshes.append({"name": part_name, "primitives": primitives})
    buffer.tree |= {
        "asset": {"version": "2.0", "generator": _generator()},
        "scene": 0,
        "scenes": [{"name": name, "nodes": list(range(len(nodes)))}],
        "nodes": nodes,
        "meshes": meshes,
        "materials": materials,
    }
    return buffer


def pieces(mesh: Mesh, part: Part) -> list[tuple[int, NDArray[np.int64]]]:
    """Return by texture, in ascending order, its number and the faces of a part that show it."""
    rows = np.arange(part.first_face, part.first_face + part.face_count)
    textures = mesh.texture_numbers().cpu().numpy()[rows]
    return [(number, rows[textures == number]) for number in np.unique(textures).tolist()]


def _primitive(
    attributes: dict[str, tuple[NDArray[np.float32], NDArray[np.int64]]],
    rows: NDArray[np.int64],
    buffer: GltfBuffer,
) -> dict[str, object]:
    """Append some triangles to the buffer; return the primitive that refers to them."""
    corners = [faces[rows].reshape(-1) for _, faces in attributes.values()]
    picked, indices = _merge_corners(corners)
    accessors = {
        attribute: buffer.append_attribute(values[corner[picked]])
        for (attribute, (values, _)), corner in zip(attributes.items(), corners, strict=True)
    }
    return {
        "attributes": accessors,
        "indices": buffer.append_indices(indices, len(picked)),
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


def painted_material(kept: dict[str, Any], texture: dict[str, Any]) -> dict[str, Any]:
    """Matte and not metallic, with what is kept of another material and a glTF textureInfo."""
    return {
        **kept,
        "pbrMetallicRoughness": {
            "baseColorTexture": texture,
            "metallicFactor": 0,
            "roughnessFactor": 0.6,
        },
    }


def _generator() -> str:
    try:
        return f"texcsd {metadata.version('texcsd')}"
    except metadata.PackageNotFoundError:  # run from a source tree
        return "texcsd"
