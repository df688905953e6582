"""What of the user's file will not look, or not work, as expected once it is painted."""

from __future__ import annotations

import re
from collections.abc import Collection
from os.path import isfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.file_materials import GLTF_SUFFIXES
from texcsd.geometry.gltf_document import GltfDocument, open_document
from texcsd.geometry.gltf_meshopt import without_fallback_mark
from texcsd.geometry.mesh import Mesh, Part
from texcsd.geometry.vertex_colors import parts_with_vertex_colors, ply_has_colors
from texcsd.output.gltf_images import image_beside, is_beside
from texcsd.output.gltf_patch import variant_materials
from texcsd.output.gltf_seams import next_coordinate_set

Tree = dict[str, Any]

MOST_NAMES = 8
"""Named in a message."""
LONGEST_NAME = 60
SETS_EVERYWHERE = 2
"""Coordinate sets that every glTF reader should support, by the specification."""
POINTER = "KHR_animation_pointer"


def input_warnings(
    mesh_path: Path,
    mesh: Mesh,
    uv_kept: NDArray[np.bool_],
    edited: bool,
    file_names: Collection[str],
) -> list[str]:
    """Say what of the input the paint collides with, and what the output cannot hold.

    Args:
        mesh_path: The input, which has been found sound enough to be patched.
        mesh: As loaded from it; what shows a texture with a negative number is not painted.
        uv_kept: bool[face], whether its uv are the input's.
        edited: Whether materials keep all but their base colour.
        file_names: Of the files of the result.
    """
    try:
        warnings = _about_vertex_colors(mesh_path, mesh, file_names)
        if mesh_path.suffix.lower() in GLTF_SUFFIXES:
            warnings += _about_gltf(open_document(mesh_path), mesh, uv_kept, edited, file_names)
        return warnings
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # Nothing that painting needs is broken, or it would have been refused.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        return [f"what paint collides with was not found out: the file is not valid ({reason})"]


def _about_vertex_colors(mesh_path: Path, mesh: Mesh, file_names: Collection[str]) -> list[str]:
    """The attribute is the user's, so it stays; the preview, the paint alone, would be a lie."""
    if mesh_path.suffix.lower() == ".ply" and ply_has_colors(mesh_path):
        return ["vertex colours are not in the result, which shows the texture alone"]
    parts = parts_with_vertex_colors(mesh_path, mesh)
    if not parts:
        return []
    if mesh_path.suffix.lower() != ".obj":
        return [
            f"{_listed(parts)}: vertex colours (COLOR_0) come back as they were, and glTF viewers "
            "multiply the texture by them; the preview shows it alone: to see it so, make them "
            "white in the input, or remove them"
        ]
    kept = any(name.endswith(".obj") for name in file_names)
    stay = "come back in the OBJ, where many programs multiply the texture by them"
    return [
        f"{_listed(parts)}: vertex colours (of `v` lines) "
        + (f"{stay}; neither the preview nor a GLB has them" if kept else "are not in the GLB")
    ]


def _about_gltf(
    document: GltfDocument,
    mesh: Mesh,
    uv_kept: NDArray[np.bool_],
    edited: bool,
    file_names: Collection[str],
) -> list[str]:
    tree, numbers = document.tree, mesh.texture_numbers().cpu().numpy()
    parts = [part for part in mesh.parts if numbers[part.first_face] >= 0]
    unwrapped = [part for part in parts if not uv_kept[part.first_face]]
    painted = _materials_of(tree, parts)
    replaced = painted & _shared_materials(tree, parts) if edited else painted
    return [
        *_about_coordinate_sets(tree, unwrapped),
        *_about_animations(tree, replaced),
        *_about_vrm(tree, painted),
        *_about_images(document),
        *_about_buffers(document),
        *_about_chunks(document, file_names),
    ]


def _primitive(tree: Tree, part: Part) -> Tree:
    assert part.source is not None
    return tree["meshes"][part.source.mesh]["primitives"][part.source.primitive]


def _materials_of(tree: Tree, parts: list[Part]) -> set[int]:
    """The numbers of the materials that parts wear."""
    primitives = (_primitive(tree, part) for part in parts)
    return {primitive["material"] for primitive in primitives if "material" in primitive}


def _shared_materials(tree: Tree, parts: list[Part]) -> set[int]:
    """The numbers of the materials that others wear, or variants name, besides these parts."""
    own = [id(_primitive(tree, part)) for part in parts]
    shared = set[int]()
    for mesh in tree["meshes"]:
        for primitive in mesh["primitives"]:
            shared |= variant_materials(primitive)
            if id(primitive) not in own and "material" in primitive:
                shared.add(primitive["material"])
    return shared


def _about_coordinate_sets(tree: Tree, unwrapped: list[Part]) -> list[str]:
    numbers = {
        part.name: next_coordinate_set(_primitive(tree, part)["attributes"]) for part in unwrapped
    }
    late = {name: number for name, number in numbers.items() if number >= SETS_EVERYWHERE}
    if not late:
        return []
    sets = ", ".join(f"TEXCOORD_{number}" for number in sorted({*late.values()}))
    return [
        f"{_listed([*late])}: the new uv are in {sets}, since the sets before are taken; some "
        f"programs read only {SETS_EVERYWHERE}: look at the result in yours, or remove a set from "
        "the input"
    ]


def _about_animations(tree: Tree, replaced: set[int]) -> list[str]:
    """Pointers stay, but the painted material may not have what they point to, or not be there."""
    warnings = []
    for number, animation in enumerate(tree.get("animations", [])):
        materials = set[int]()
        for channel in animation["channels"]:
            pointer = channel["target"].get("extensions", {}).get(POINTER, {}).get("pointer", "")
            found = re.match(r"/materials/(\d+)/", pointer)
            materials |= {int(found[1])} & replaced if found else set()
        if materials:
            name = animation.get("name", f"animation_{number}")
            warnings.append(
                f'animation "{name}" changes materials, {_material_names(tree, materials)}, which '
                "the paint replaces: it may do nothing any more"
            )
    return warnings


def _about_vrm(tree: Tree, painted: set[int]) -> list[str]:
    """VRM 0 describes every material a second time; VRM 1 does so within the material."""
    described = tree.get("extensions", {}).get("VRM", {}).get("materialProperties", [])
    stale = {
        number
        for number, properties in enumerate(described)
        if number in painted and properties.get("textureProperties")
    }
    if not stale:
        return []
    return [
        f"materials {_material_names(tree, stale)}: the extension VRM still gives them their old "
        "textures, which VRM programs show instead of the paint"
    ]


def _material_names(tree: Tree, numbers: set[int]) -> str:
    materials = tree["materials"]
    return _listed([materials[n].get("name", f"material_{n}") for n in sorted(numbers)])


def _about_images(document: GltfDocument) -> list[str]:
    """Those that stay references, which a folder for the result alone does not satisfy."""
    left = [
        image
        for image in document.tree.get("images", [])
        if is_beside(image) and image_beside(document, image) is None
    ]
    missing = [image for image in left if not isfile(document.file(image["uri"], "an image"))]
    warnings = []
    if missing:
        warnings.append(f"images that are not there are still missing: {_uris(missing)}")
    if len(left) > len(missing):
        unknown = _uris([image for image in left if image not in missing])
        warnings.append(f"not taken in, as texcsd does not know them to be images: {unknown}")
    return warnings


def _uris(images: list[Tree]) -> str:
    return _listed([unquote(image["uri"]) for image in images])


def _about_buffers(document: GltfDocument) -> list[str]:
    """The first buffer stays what it is and grows; what describes others fits none any more.

    Empty ones stay. No other remains one that holds nothing but what is compressed elsewhere.
    """
    empty, lost = document.empty_buffers(), list[str]()
    joined = [n for n in range(len(document.tree.get("buffers", []))) if n not in empty]
    for number in joined[1:]:
        described = without_fallback_mark(document.tree["buffers"][number])
        if keys := described.keys() - {"uri", "byteLength"}:
            lost.append(f"{', '.join(sorted(keys))} of buffer {number}")
    if not lost:
        return []
    return [f"buffers are joined into one, with their content; lost are {'; '.join(lost)}"]


def _about_chunks(document: GltfDocument, file_names: Collection[str]) -> list[str]:
    if not document.chunks or any(name.endswith(".glb") for name in file_names):
        return []
    kinds = _listed([repr(kind)[2:-1] for kind, _ in document.chunks])
    return [f"a .gltf has no place for more chunks of a GLB: {kinds}; --format glb keeps them"]


def _listed(names: list[str]) -> str:
    names = list(dict.fromkeys(" ".join(str(name).split())[:LONGEST_NAME] for name in names))
    shown = ", ".join(f'"{name}"' for name in names[:MOST_NAMES])
    more = len(names) - MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
