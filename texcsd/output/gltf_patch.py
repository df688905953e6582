"""A painted texture put into a copy of the user's own glTF file; everything else stays as it is.

The JSON is the input's and the binary begins with the input's: nodes, skins, animations, morph
targets, cameras, extras and extensions, known here or not, are passed on without being understood.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from texcsd.geometry.file_materials import image_of_texture
from texcsd.geometry.file_part import DamagedFileError
from texcsd.geometry.gltf_coordinates import SPECULAR, base_color_infos, base_color_lookup
from texcsd.geometry.gltf_document import GltfDocument
from texcsd.geometry.gltf_draco import uses_draco, without_declaration_of_draco
from texcsd.geometry.gltf_meshopt import without_fallback_mark
from texcsd.geometry.instances import without_repeats
from texcsd.geometry.mesh import Mesh, Part
from texcsd.output.gltf import NORMAL_MAP, painted_material
from texcsd.output.gltf_buffer import GltfBuffer
from texcsd.output.gltf_images import embed_images
from texcsd.output.gltf_seams import give_coordinates

Lookup = dict[str, Any]
"""A glTF textureInfo: which texture, and by which coordinates."""

Place = tuple[int, int]
"""Of a primitive: the numbers of its mesh and its own."""

KEPT_OF_MATERIALS = ("name", "extras", "doubleSided", "normalTexture", "occlusionTexture")
"""What tells of the shape, not of the stuff that is painted over; so painted surfaces are opaque
and have no extension that would colour them otherwise."""


def patch_gltf(
    document: GltfDocument,
    mesh: Mesh,
    pictures: Mapping[int, bytes],
    name: str,
    keep_materials: bool = False,
    normal_maps: Mapping[int, bytes] | None = None,
) -> GltfDocument:
    """Put the textures into a copy of the document.

    Primitives whose coordinates were painted keep them, and every attribute, as they are. Others
    get their coordinates as one more set; where a seam runs through a vertex, its copies follow
    after all vertices of the primitive, each with all its attributes and morph targets.
    A material whose surfaces are all painted alike is replaced; any other stays, with a painted
    namesake beside it, and so does one that belongs to a variant of the file.

    Args:
        document: As opened; it is not changed.
        mesh: As loaded from that document; its uv are those that were painted. What shows a texture
            with a negative number was not painted, and stays as it is.
        pictures: The base colour by the number of the texture, row 0 on top; embedded as they are.
        name: For the material of surfaces that have none.
        keep_materials: Leave coordinates, materials and samplers as they are but for the image: for
            one that was edited rather than painted anew.
        normal_maps: Of those textures that get one, as pictures; see `with_own_normals`.

    Returns:
        A document with a single buffer, which is its binary chunk, but for empty ones.

    Raises:
        DamagedFileError: A buffer is missing or too short; or a material that is to be kept has two
            base colours.
    """
    buffer = copy_with_one_buffer(document)
    embed_images(document, buffer)
    once = without_repeats(mesh)
    numbers = once.texture_numbers().cpu().numpy()
    painted = {
        (part.source.mesh, part.source.primitive): (part, int(numbers[part.first_face]))
        for part in once.parts
        if part.source is not None and numbers[part.first_face] >= 0
    }
    if keep_materials:
        image, textures = buffer.append_image(pictures[0]), dict[int, int]()
        lookups = {place: Lookup() for place in painted}
        new = partial(_edited_material, buffer, image, textures)
    else:
        given = pictures, normal_maps or {}
        lookups, reliefs = _painted_lookups(document, buffer, once, painted, *given)
        new = partial(_material_in_paint, reliefs)
    _paint_materials(buffer, lookups, name, new)
    tree = buffer.tree
    if uses_draco(document.tree) and not uses_draco(tree):
        tree = without_declaration_of_draco(tree)
    return replace(document, tree=tree, binary_chunk=bytes(buffer.data), buffers={})


def _painted_lookups(
    document: GltfDocument,
    buffer: GltfBuffer,
    once: Mesh,
    painted: Mapping[Place, tuple[Part, int]],
    pictures: Mapping[int, bytes],
    normal_maps: Mapping[int, bytes],
) -> tuple[dict[Place, Lookup], dict[int, int]]:
    """Append the textures, and coordinates where primitives lack them; say how to look them up.

    Returns:
        How to look up the paint of each primitive; and the normal map beside a texture, by its
        number, where there is one.
    """
    assert once.uv is not None and once.uv_faces is not None
    corner_uv = once.uv[once.uv_faces].cpu().numpy()
    numbers = once.texture_numbers().cpu().numpy()
    primitives, lookups = primitives_by_place(buffer), dict[Place, Lookup]()
    textures, reliefs = dict[int, int](), dict[int, int]()
    for place, (part, number) in painted.items():
        uv = corner_uv[part.first_face : part.first_face + part.face_count]
        uv = uv[:, ::-1] if part.source is not None and part.source.mirrored else uv
        lookup = give_coordinates(document, buffer, primitives[place], uv)
        if number not in textures:
            shown = corner_uv[numbers == number].reshape(-1, 2)
            textures[number] = buffer.append_texture(pictures[number], shown)
            if number in normal_maps:
                relief = buffer.append_texture(normal_maps[number], shown, NORMAL_MAP)
                reliefs[textures[number]] = relief
        lookups[place] = {"index": textures[number]} | lookup
    return lookups, reliefs


def with_own_normals(document: GltfDocument, mesh: Mesh) -> set[int]:
    """The textures of a mesh loaded from the document that can get no normal map.

    Their surfaces have one, which is kept; or tangents, which would not fit ours; or their uv are
    transformed, which readers may or may not count in when they find tangents.
    """
    numbers, found = mesh.texture_numbers().cpu().numpy(), set[int]()
    for part in mesh.parts:
        assert part.source is not None
        primitive = document.tree["meshes"][part.source.mesh]["primitives"][part.source.primitive]
        material = primitive.get("material")
        has_map = material is not None and "normalTexture" in document.tree["materials"][material]
        transformed = "extensions" in base_color_lookup(document.tree, primitive)
        if has_map or transformed or "TANGENT" in primitive["attributes"]:
            found.add(int(numbers[part.first_face]))
    return found


def copy_with_one_buffer(document: GltfDocument) -> GltfBuffer:
    """Copy the tree; put all buffers into one, the first of them at its start.

    Only those that are empty stay apart, behind it: twins of what meshopt compressed, left out.
    """
    tree, data = copy.deepcopy(document.tree), bytearray()
    first, empty, moves = dict[str, Any](), list[dict[str, Any]](), list[tuple[int, int]]()
    left_out = document.empty_buffers()
    for index, described in enumerate(tree.get("buffers", [])):
        if index in left_out:
            empty.append(described)
            moves.append((len(empty), 0))
            continue
        content = document.buffer(index)
        if len(content) < described["byteLength"]:
            raise DamagedFileError(f"buffer {index} ends before the data does")
        data += b"\0" * (-len(data) % 4)
        first = first or {k: v for k, v in without_fallback_mark(described).items() if k != "uri"}
        moves.append((0, len(data)))
        data += content
    for view in tree.get("bufferViews", []):
        # What a view is compressed to lies in a buffer, too.
        for place in (view, *view.get("extensions", {}).values()):
            if "buffer" in place:
                place["buffer"], start = moves[place["buffer"]]
                if start:
                    place["byteOffset"] = place.get("byteOffset", 0) + start
    if moves:
        tree["buffers"] = [first, *empty]
    return GltfBuffer(tree, data)


def primitives_by_place(buffer: GltfBuffer) -> dict[Place, dict[str, Any]]:
    """Return every primitive by the numbers of its mesh and its own."""
    return {
        (index, number): primitive
        for index, mesh in enumerate(buffer.tree["meshes"])
        for number, primitive in enumerate(mesh["primitives"])
    }


def _material_in_paint(
    reliefs: dict[int, int], before: dict[str, Any], lookup: Lookup
) -> dict[str, Any]:
    """The material with what is kept of it, the texture, and the normal map beside that."""
    kept = {key: before[key] for key in KEPT_OF_MATERIALS if key in before}
    if lookup["index"] in reliefs:
        kept["normalTexture"] = lookup | {"index": reliefs[lookup["index"]]}
    return painted_material(kept, lookup)


def _edited_material(
    buffer: GltfBuffer, image: int, textures: dict[int, int], before: dict[str, Any], _: Lookup
) -> dict[str, Any]:
    """The material with another image in its base colour, looked up as the one before.

    Args:
        buffer: What textures are appended to.
        image: Number of the new image.
        textures: Those with the new image by those they stand for; grows.
        before: The material.
    """
    material = copy.deepcopy(before)
    infos = base_color_infos(material)
    if len({image_of_texture(buffer.tree, info["index"]) for info in infos}) > 1:
        raise DamagedFileError(
            f"its material {before.get('name', '')} has two base colours, one of them for "
            f"{SPECULAR}; export it without that extension (or: npx @gltf-transform/cli metalrough "
            "in.glb out.glb)"
        )
    for info in infos:
        old = info["index"]
        if old not in textures:
            kept = {k: v for k, v in buffer.tree["textures"][old].items() if k == "sampler"}
            textures[old] = buffer.append("textures", kept | {"source": image})
        info["index"] = textures[old]
    return material


def _paint_materials(
    buffer: GltfBuffer,
    lookups: dict[Place, Lookup],
    name: str,
    new: Callable[[dict[str, Any], Lookup], dict[str, Any]],
) -> None:
    """Give the painted primitives a material with their texture, in place of the one they have.

    Args:
        buffer: Is changed.
        lookups: Of the painted primitives.
        name: For materials of those that have none.
        new: What becomes of a material, given the lookup.
    """
    primitives = primitives_by_place(buffer)
    users: dict[int | None, list[Lookup | None]] = {}
    for place, primitive in primitives.items():
        users.setdefault(primitive.get("material"), []).append(lookups.get(place))
        # What is painted is none of the variants: a material that one names stays as it is.
        for material in variant_materials(primitive):
            users.setdefault(material, []).append(None)
    numbers: dict[tuple[int | None, str], int] = {}
    for place, lookup in lookups.items():
        old = primitives[place].get("material")
        kind = old, json.dumps(lookup, sort_keys=True)
        if kind not in numbers:
            before = {"name": name} if old is None else buffer.tree["materials"][old]
            material = new(before, lookup)
            if old is None or any(user != lookup for user in users[old]):
                numbers[kind] = buffer.append("materials", material)
            else:
                buffer.tree["materials"][old] = material
                numbers[kind] = old
        primitives[place]["material"] = numbers[kind]


def variant_materials(primitive: dict[str, Any]) -> set[int]:
    """Return the numbers of the materials that variants of the file give to a primitive."""
    variants = primitive.get("extensions", {}).get("KHR_materials_variants", {})
    return {mapping["material"] for mapping in variants.get("mappings", [])}
