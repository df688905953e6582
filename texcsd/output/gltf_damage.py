"""Two glTF documents compared: the one that came in, and the same with a texture in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.gltf_coordinates import base_color_infos
from texcsd.geometry.gltf_document import GltfDocument
from texcsd.geometry.gltf_draco import (
    DRACO,
    is_compressed,
    uses_draco,
    without_declaration_of_draco,
)
from texcsd.geometry.gltf_file import primitive_faces
from texcsd.geometry.gltf_meshopt import shows_compressed, without_fallback_mark
from texcsd.geometry.mesh import Mesh
from texcsd.output.gltf_images import image_beside
from texcsd.output.gltf_patch import (
    KEPT_OF_MATERIALS,
    variant_materials,
)

Tree = dict[str, Any]

GROWN = ("textures", "samplers", "accessors")
"""Lists to which something may have been appended."""
COMPARED_APART = (*GROWN, "images", "materials", "meshes", "bufferViews", "buffers")
PLACE = ("buffer", "byteOffset")
VERTICES = ("attributes", "targets", "indices", "mode", "material")
"""What a seam or the paint may change of a primitive."""


def compare_gltf(
    before: GltfDocument, after: GltfDocument, painted: Mesh, reshaped: bool = False
) -> dict[str, Any]:
    """Return True or False for everything there is, by its name, and the number of new vertices.

    If primitives are compressed no more, which new coordinates take, these are counted, too.
    Where the mesh was reshaped, materials may also get a normal map if they have none; these are
    counted.
    """
    old, new = before.tree, after.tree
    if uses_draco(old) and not uses_draco(new):
        old = without_declaration_of_draco(old)
    found: dict[str, Any] = {
        key: new.get(key) == value for key, value in old.items() if key not in COMPARED_APART
    }
    found["nothing_else_added"] = new.keys() <= old.keys() | set(COMPARED_APART)
    for key in GROWN:
        found[key] = new.get(key, [])[: len(old.get(key, []))] == old.get(key, [])
    found["buffers"] = _same_buffers(before, after)
    found["binary"] = _same_binary(before, after)
    if before.chunks and after.binary_chunk is not None:  # A .gltf has no place for them.
        found["chunks"] = before.chunks == after.chunks
    found["images"] = _same_images(before, after)
    found["materials"] = all(
        was == now or _is_painted(was, now, len(old.get("textures", [])), reshaped)
        for was, now in zip(old.get("materials", []), new["materials"], strict=False)
    ) and len(new["materials"]) >= len(old.get("materials", []))
    of_variants = [
        number
        for mesh in old["meshes"]
        for primitive in mesh["primitives"]
        for number in variant_materials(primitive)
    ]
    if of_variants:
        found["variants"] = all(old["materials"][n] == new["materials"][n] for n in of_variants)
    if reshaped:
        of_old = [material.get("normalTexture") for material in old.get("materials", [])]
        of_new = [material.get("normalTexture") for material in new["materials"]]
        found["normal_maps_added"] = sum(map(bool, of_new)) - sum(map(bool, of_old))
    numbers = painted.texture_numbers().cpu().numpy()
    places = {
        (part.source.mesh, part.source.primitive)
        for part in painted.parts
        if part.source and numbers[part.first_face] >= 0
    }
    return found | _compare_meshes(before, after, places)


def _is_painted(was: Tree, now: Tree, old_textures: int, reshaped: bool) -> bool:
    """Tell whether a material differs in the paint only: a texture that the input does not have.

    If it was reshaped, also in a normal map that it does not have.
    """
    if reshaped and "normalTexture" not in was:
        relief = now.get("normalTexture", {"index": old_textures})
        if relief["index"] < old_textures:
            return False
        now = _without(now, "normalTexture")
    textures = [info.get("index", -1) for info in base_color_infos(now)]
    same = all(was.get(key) == now.get(key) for key in KEPT_OF_MATERIALS)
    return same and min(textures, default=-1) >= old_textures


def _same_buffers(before: GltfDocument, after: GltfDocument) -> bool:
    """Tell whether there is the first one with data, grown, and the empty ones as they were.

    `input_warnings` is about the others.
    """
    empty = before.empty_buffers()
    old = [buffer for n, buffer in enumerate(before.tree.get("buffers", [])) if n not in empty][:1]
    first, *rest = after.tree["buffers"]
    described = [_without(without_fallback_mark(buffer), "uri", "byteLength") for buffer in old]
    return rest == [before.tree["buffers"][n] for n in sorted(empty)] and (
        described in ([], [_without(first, "uri", "byteLength")])
    )


def _same_binary(before: GltfDocument, after: GltfDocument) -> bool:
    """Tell whether every view is the same piece of a buffer that came along as a whole.

    Or of an empty one, which stays apart; and whether what meshopt made of it is, likewise.
    """
    old, new = (document.tree.get("bufferViews", []) for document in (before, after))
    moves = _moves(old, new)
    if moves is None or len(new) < len(old):
        return False
    whole = after.buffer(0)
    for number, index in enumerate(sorted(before.empty_buffers()), start=1):
        if moves.pop(index) != (number, 0):
            return False
    return all(
        number == 0 and whole[start : start + len(before.buffer(index))] == before.buffer(index)
        for index, (number, start) in moves.items()
    )


def _moves(old: list[Tree], new: list[Tree]) -> dict[int, tuple[int, int]] | None:
    """Where what buffer views refer to has gone, by the number of the buffer.

    Returns:
        The number of the buffer it is in now, and how much farther on; None if the views tell
        different things, or differ in anything else.
    """
    moves = dict[int, tuple[int, int]]()
    for one, other in zip(old, new, strict=False):
        if one.get("extensions", {}).keys() != other.get("extensions", {}).keys():
            return None
        for was, now in zip(_places(one), _places(other), strict=True):
            if _without(was, *PLACE) != _without(now, *PLACE):
                return None
            if "buffer" in was:
                move = now["buffer"], now.get("byteOffset", 0) - was.get("byteOffset", 0)
                if moves.setdefault(was["buffer"], move) != move:
                    return None
    return moves


def _places(view: Tree) -> list[Tree]:
    """The view without its extensions, and these by name: each may refer to a piece of a buffer."""
    extensions = view.get("extensions", {})
    return [_without(view, "extensions"), *(extensions[name] for name in sorted(extensions))]


def _same_images(before: GltfDocument, after: GltfDocument) -> bool:
    old, new = (document.tree.get("images", []) for document in (before, after))
    return len(new) >= len(old) and all(
        _same_image(before, after, was, now) for was, now in zip(old, new, strict=False)
    )


def _same_image(before: GltfDocument, after: GltfDocument, was: Tree, now: Tree) -> bool:
    """Tell whether an image is where it was or, if it was in a file, is in the buffer now."""
    found = image_beside(before, was)
    if found is None:
        return was == now
    content, media_type = found
    kept = {"mimeType": media_type} | _without(was, "uri")
    return _without(now, "bufferView") == kept and after.view(now["bufferView"]) == content


def _compare_meshes(
    before: GltfDocument, after: GltfDocument, painted: set[tuple[int, int]]
) -> dict[str, Any]:
    names = ("meshes", "attributes", "material_names", "materials_of_the_rest")
    found: dict[str, Any] = dict.fromkeys(names, True)
    found |= {"max_position_delta": 0.0, "vertices_copied": 0}
    old, new = before.tree["meshes"], after.tree["meshes"]
    found["meshes"] = len(old) == len(new)
    for index, (was, now) in enumerate(zip(old, new, strict=False)):
        pairs = list(zip(was["primitives"], now["primitives"], strict=False))
        found["meshes"] &= len(was["primitives"]) == len(now["primitives"])
        found["meshes"] &= _without(was, "primitives") == _without(now, "primitives")
        for number, (first, second) in enumerate(pairs):
            if (index, number) not in painted:
                found["meshes"] &= first == second
                found["materials_of_the_rest"] &= _material(before, first) == _material(
                    after, second
                )
                continue
            if is_compressed(first) and not is_compressed(second):
                found["primitives_decompressed"] = found.get("primitives_decompressed", 0) + 1
                first = _plain(first)
            elif shows_compressed(before.tree, first) and not shows_compressed(after.tree, second):
                found["primitives_decompressed"] = found.get("primitives_decompressed", 0) + 1
            found["meshes"] &= _without(first, *VERTICES) == _without(second, *VERTICES)
            found["attributes"] &= _same_attributes(before, after, first, second)
            moved = _corners(after, second) - _corners(before, first)
            found["max_position_delta"] = max(
                found["max_position_delta"], float(np.abs(moved).max(initial=0.0))
            )
            found["vertices_copied"] += _count(after, second) - _count(before, first)
            if "material" in first:
                name = before.tree["materials"][first["material"]].get("name")
                painted_name = after.tree["materials"][second["material"]].get("name")
                found["material_names"] &= name == painted_name
    return found


def _plain(primitive: Tree) -> Tree:
    """A primitive without its compressed geometry."""
    extensions = _without(primitive["extensions"], DRACO)
    plain = _without(primitive, "extensions")
    return plain | {"extensions": extensions} if extensions else plain


def _without(tree: Tree, *keys: str) -> Tree:
    return {key: value for key, value in tree.items() if key not in keys}


def _corners(document: GltfDocument, primitive: Tree) -> NDArray[np.float64]:
    """Return the positions at the corners of the triangles, float64[face, 3, 3], in no pose."""
    positions = document.accessor(primitive["attributes"]["POSITION"])
    return positions[primitive_faces(document, primitive)]


def _material(document: GltfDocument, primitive: Tree) -> Tree | None:
    number = primitive.get("material")
    return None if number is None else document.tree["materials"][number]


def _count(document: GltfDocument, primitive: Tree) -> int:
    return document.tree["accessors"][primitive["attributes"]["POSITION"]]["count"]


def _same_attributes(before: GltfDocument, after: GltfDocument, was: Tree, now: Tree) -> bool:
    """Tell whether the old vertices and all corners of triangles have what they had, to the bit."""
    added = now["attributes"].keys() - was["attributes"].keys()
    old_targets, new_targets = was.get("targets", []), now.get("targets", [])
    if len(added) > 1 or not all(name.startswith("TEXCOORD_") for name in added):
        return False
    if len(old_targets) != len(new_targets):
        return False
    pairs = [
        (was["attributes"], _without(now["attributes"], *added)),
        *zip(old_targets, new_targets, strict=True),
    ]
    if was.get("indices") == now.get("indices") and "indices" in was:
        return all(first == second for first, second in pairs)
    old_faces, new_faces = primitive_faces(before, was), primitive_faces(after, now)
    for first, second in pairs:
        if first.keys() != second.keys():
            return False
        for name in first:
            old, new = before.raw_accessor(first[name]), after.raw_accessor(second[name])
            same_kind = old.dtype == new.dtype and old.shape[1] == new.shape[1]
            if not same_kind or new[: len(old)].tobytes() != old.tobytes():
                return False
            if not np.array_equal(_bits(old)[old_faces], _bits(new)[new_faces]):
                return False
    return True


def _bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the rows as bytes, so that NaN equals NaN."""
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
