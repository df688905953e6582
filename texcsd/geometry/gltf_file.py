"""glTF 2.0 and GLB to arrays: every triangle primitive of the scene, in its nodes' pose.

Our own because trimesh's reader drops the uv of primitives without a material, reads normalised
integers and sparse accessors as raw numbers, and returns the nodes in another order.
Images are never opened: a texture that cannot be read is no obstacle to painting a new one.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.file_part import (
    DamagedFileError,
    FilePart,
    GltfSource,
    check_indices,
    place_part,
    without_unused,
)
from texcsd.geometry.gltf_coordinates import base_color_lookup, read_coordinates
from texcsd.geometry.gltf_document import GltfDocument, open_document
from texcsd.geometry.gltf_draco import is_compressed

TRIANGLES, TRIANGLE_STRIP, TRIANGLE_FAN = 4, 5, 6


def read_gltf(path: Path) -> list[FilePart]:
    """Read the parts of the file's default scene, node by node, depth first, as listed."""
    document = open_document(path)
    tree = document.tree
    nodes = tree.get("nodes", [])
    scenes = tree.get("scenes", [])
    if scenes:
        roots = scenes[tree.get("scene", 0)].get("nodes", [])
    else:
        children = {child for node in nodes for child in node.get("children", [])}
        roots = [index for index in range(len(nodes)) if index not in children]
    poses = _global_poses(nodes, roots)
    pools = _pools(tree)
    parts = []
    for index, pose in poses.items():
        if "mesh" in nodes[index]:
            parts += _node_parts(document, nodes[index], index, pose, poses, pools)
    return parts


def primitive_faces(document: GltfDocument, primitive: dict[str, Any]) -> NDArray[np.int64]:
    """Return the triangles of a primitive, int64[face, 3]; none if it is of points or lines.

    Strips and fans become triangles; those that only join two strips are left out.
    """
    mode = primitive.get("mode", TRIANGLES)
    if mode not in (TRIANGLES, TRIANGLE_STRIP, TRIANGLE_FAN):
        return np.zeros((0, 3), np.int64)
    if "indices" in primitive:
        indices = document.accessor(primitive["indices"]).astype(np.int64).reshape(-1)
    elif is_compressed(primitive):
        raise DamagedFileError("a Draco-compressed primitive has no indices")
    else:
        indices = np.arange(
            document.tree["accessors"][primitive["attributes"]["POSITION"]]["count"]
        )
    return _faces(indices, mode)


def _global_poses(nodes: list[dict[str, Any]], roots: list[int]) -> dict[int, NDArray[np.float64]]:
    """Return the pose of every node the scene reaches, depth first in the order listed."""
    poses: dict[int, NDArray[np.float64]] = {}
    stack = [(root, np.eye(4)) for root in reversed(roots)]
    while stack:
        index, parent = stack.pop()
        if index in poses:
            continue
        poses[index] = parent @ _local_pose(nodes[index])
        stack += [(child, poses[index]) for child in reversed(nodes[index].get("children", []))]
    return poses


def _local_pose(node: dict[str, Any]) -> NDArray[np.float64]:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    x, y, z, w = np.array(node.get("rotation", (0, 0, 0, 1)), np.float64)
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, :3] *= np.array(node.get("scale", (1, 1, 1)), np.float64)
    pose[:3, 3] = node.get("translation", (0, 0, 0))
    return pose


def _pools(tree: dict[str, Any]) -> set[int]:
    """Return the position accessors that several primitives take their vertices from.

    Every part has its own vertices; of a pool, the whole of it would be in memory once for each.
    """
    primitives = [primitive for mesh in tree.get("meshes", []) for primitive in mesh["primitives"]]
    uses = Counter(primitive.get("attributes", {}).get("POSITION") for primitive in primitives)
    return {accessor for accessor, count in uses.items() if accessor is not None and count > 1}


def _node_parts(
    document: GltfDocument,
    node: dict[str, Any],
    index: int,
    pose: NDArray[np.float64],
    poses: dict[int, NDArray[np.float64]],
    pools: set[int],
) -> list[FilePart]:
    mesh = document.tree["meshes"][node["mesh"]]
    name = str(node.get("name") or mesh.get("name") or f"node_{index}")
    parts = []
    for number, primitive in enumerate(mesh["primitives"]):
        part = _primitive_part(document, primitive, name)
        if part is None:
            continue
        held = None if "skin" in node else pose
        source = GltfSource(node["mesh"], number, pose=held, node_name=name)
        part = replace(check_indices(part), source=source)
        if "skin" in node:
            part = _skinned(document, node["skin"], primitive, part, poses)
        else:
            part = place_part(part, pose)
        shared = primitive["attributes"]["POSITION"] in pools
        parts.append(without_unused(part) if shared else part)
    if len(parts) > 1:
        parts = [replace(part, name=f"{name}_{i + 1}") for i, part in enumerate(parts)]
    return parts


def _primitive_part(
    document: GltfDocument, primitive: dict[str, Any], name: str
) -> FilePart | None:
    attributes = primitive.get("attributes", {})
    if "POSITION" not in attributes:
        return None
    vertices = document.accessor(attributes["POSITION"]).reshape(-1, 3)
    faces = primitive_faces(document, primitive)
    if len(faces) == 0:
        return FilePart(name, vertices, faces)
    uv = read_coordinates(document, primitive, base_color_lookup(document.tree, primitive))
    normals = None
    if "NORMAL" in attributes:
        normals = document.accessor(attributes["NORMAL"]).reshape(-1, 3)
    return FilePart(
        name,
        vertices,
        faces,
        uv,
        None if uv is None else faces,
        normals,
        None if normals is None else faces,
    )


def _faces(indices: NDArray[np.int64], mode: int) -> NDArray[np.int64]:
    if mode == TRIANGLES:
        return indices[: len(indices) // 3 * 3].reshape(-1, 3)
    count = max(len(indices) - 2, 0)
    step = np.arange(count)
    if mode == TRIANGLE_FAN:
        return indices[np.stack([np.zeros_like(step), step + 1, step + 2], axis=1)]
    odd = step % 2
    faces = indices[np.stack([step, step + 1 + odd, step + 2 - odd], axis=1)]
    return faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]  # strips are joined by these


def _skinned(
    document: GltfDocument,
    skin_index: int,
    primitive: dict[str, Any],
    part: FilePart,
    poses: dict[int, NDArray[np.float64]],
) -> FilePart:
    """Bend a part to the pose of its joints; the pose of its own node is void, says glTF."""
    skin = document.tree["skins"][skin_index]
    attributes = primitive["attributes"]
    if "JOINTS_0" not in attributes or "WEIGHTS_0" not in attributes:
        return part
    joints = document.accessor(attributes["JOINTS_0"]).astype(np.int64).reshape(-1, 4)
    weights = document.accessor(attributes["WEIGHTS_0"]).reshape(-1, 4)
    matrices = np.stack([poses.get(joint, np.eye(4)) for joint in skin["joints"]])
    if "inverseBindMatrices" in skin:
        inverse = document.accessor(skin["inverseBindMatrices"]).reshape(-1, 4, 4)
        matrices = matrices @ inverse.transpose(0, 2, 1)[: len(matrices)]
    if len(joints) != len(part.vertices) or joints.max(initial=0) >= len(matrices):
        raise DamagedFileError("a skin refers to joints that do not exist")
    weights = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    blended = np.einsum("vj,vjab->vab", weights, matrices[joints])
    vertices = np.einsum("vab,vb->va", blended[:, :3, :3], part.vertices) + blended[:, :3, 3]
    return replace(part, vertices=vertices, normals=None, normal_faces=None)
