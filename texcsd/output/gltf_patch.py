"""A painted texture put into a copy of the user's own glTF file; everything else stays as it is.

The JSON is the input's and the binary begins with the input's: nodes, skins, animations, morph
targets, cameras, extras and extensions, known here or not, are passed on without being understood.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from texcsd.geometry.file_part import DamagedFileError
from texcsd.geometry.gltf_coordinates import base_color_lookup
from texcsd.geometry.gltf_document import GltfDocument
from texcsd.geometry.instances import without_repeats
from texcsd.geometry.mesh import Mesh
from texcsd.output.gltf import NORMAL_MAP, painted_material
from texcsd.output.gltf_buffer import GltfBuffer
from texcsd.output.gltf_seams import give_coordinates

Lookup = dict[str, Any]
"""A glTF textureInfo: which texture, and by which coordinates."""

KEPT_OF_MATERIALS = ("name", "extras", "doubleSided", "normalTexture", "occlusionTexture")
"""What tells of the shape, not of the stuff that is painted over; so painted surfaces are opaque
and have no extension that would colour them otherwise."""

SIGNATURES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"RIFF": "image/webp",
    b"\xabKTX": "image/ktx2",
}


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
    namesake beside it.

    Args:
        document: As opened; it is not changed.
        mesh: As loaded from that document; its uv are those that were painted. What shows a texture
            with a negative number was not painted, and stays as it is.
        pictures: The base colour by the number of the texture, row 0 on top; embedded as they are.
        name: For the material of surfaces that have none.
        keep_materials: Leave materials and samplers as they are but for the texture: for one that
            was edited rather than painted anew.
        normal_maps: Of those textures that get one, as pictures; see `with_own_normals`.

    Returns:
        A document with a single buffer, which is its binary chunk.

    Raises:
        DamagedFileError: A buffer is missing or too short.
    """
    buffer = copy_with_one_buffer(document)
    _embed_images(document, buffer)
    once = without_repeats(mesh)
    assert once.uv is not None and once.uv_faces is not None
    corner_uv = once.uv[once.uv_faces].cpu().numpy()
    primitives, lookups = primitives_by_place(buffer), {}
    normal_maps, textures, reliefs = normal_maps or {}, dict[int, int](), dict[int, int]()
    numbers = once.texture_numbers().cpu().numpy()
    for part in once.parts:
        assert part.source is not None
        number = int(numbers[part.first_face])
        if number < 0:
            continue
        place = part.source.mesh, part.source.primitive
        painted = corner_uv[part.first_face : part.first_face + part.face_count]
        painted = painted[:, ::-1] if part.source.mirrored else painted
        lookup = give_coordinates(document, buffer, primitives[place], painted)
        if number not in textures:
            shown = corner_uv[numbers == number].reshape(-1, 2)
            textures[number] = buffer.append_texture(pictures[number], shown)
            if number in normal_maps:
                relief = buffer.append_texture(normal_maps[number], shown, NORMAL_MAP)
                reliefs[textures[number]] = relief
        lookups[place] = {"index": textures[number]} | lookup
    if keep_materials:
        _keep_sampler(buffer, next(iter(lookups)), textures[0])
    _paint_materials(buffer, lookups, reliefs, name, keep_materials)
    return replace(document, tree=buffer.tree, binary_chunk=bytes(buffer.data), buffers={})


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
    """Copy the tree; put all buffers into one, the first at its start."""
    tree, data, starts = copy.deepcopy(document.tree), bytearray(), []
    for index, described in enumerate(tree.get("buffers", [])):
        content = document.buffer(index)
        if len(content) < described["byteLength"]:
            raise DamagedFileError(f"buffer {index} ends before the data does")
        data += b"\0" * (-len(data) % 4)
        starts.append(len(data))
        data += content
    for view in tree.get("bufferViews", []):
        # Compressed twins of a view, as of meshopt, lie in a buffer, too.
        for place in (view, *view.get("extensions", {}).values()):
            if place.get("buffer"):
                place["byteOffset"] = place.get("byteOffset", 0) + starts[place["buffer"]]
                place["buffer"] = 0
    if tree.get("buffers"):
        tree["buffers"] = [{k: v for k, v in tree["buffers"][0].items() if k != "uri"}]
    return GltfBuffer(tree, data)


def _embed_images(document: GltfDocument, buffer: GltfBuffer) -> None:
    """Take in the images beside the file, since it will lie elsewhere; a missing one stays so."""
    for image in buffer.tree.get("images", []):
        uri = image.get("uri", "data:")
        if uri.startswith("data:") or "://" in uri:
            continue
        try:
            content = document.file(uri, "an image").read_bytes()
        except OSError:
            continue
        for signature, mime_type in SIGNATURES.items():
            if content.startswith(signature):
                del image["uri"]
                image["mimeType"] = mime_type
                image["bufferView"] = buffer.append_view(content)


def primitives_by_place(buffer: GltfBuffer) -> dict[tuple[int, int], dict[str, Any]]:
    """Return every primitive by the numbers of its mesh and its own."""
    return {
        (index, number): primitive
        for index, mesh in enumerate(buffer.tree["meshes"])
        for number, primitive in enumerate(mesh["primitives"])
    }


def _keep_sampler(buffer: GltfBuffer, place: tuple[int, int], texture: int) -> None:
    """Look the new texture up as the one was that this primitive has."""
    material = buffer.tree["materials"][primitives_by_place(buffer)[place]["material"]]
    old = buffer.tree["textures"][material["pbrMetallicRoughness"]["baseColorTexture"]["index"]]
    if "sampler" in old:
        buffer.tree["textures"][texture]["sampler"] = old["sampler"]
        buffer.tree["samplers"].pop()  # The one that was appended with the texture.


def _edited_material(before: dict[str, Any], texture: int) -> dict[str, Any]:
    material = copy.deepcopy(before)
    material["pbrMetallicRoughness"]["baseColorTexture"]["index"] = texture
    return material


def _paint_materials(
    buffer: GltfBuffer,
    lookups: dict[tuple[int, int], Lookup],
    reliefs: dict[int, int],
    name: str,
    keep_materials: bool,
) -> None:
    """Give the painted primitives a material with their texture, in place of the one they have.

    By the number of that, `reliefs` names the normal map beside it, if there is one.
    """
    primitives = primitives_by_place(buffer)
    users: dict[int | None, list[Lookup | None]] = {}
    for place, primitive in primitives.items():
        users.setdefault(primitive.get("material"), []).append(lookups.get(place))
    numbers: dict[tuple[int | None, str], int] = {}
    for place, lookup in lookups.items():
        old = primitives[place].get("material")
        kind = old, json.dumps(lookup, sort_keys=True)
        if kind not in numbers:
            before = {"name": name} if old is None else buffer.tree["materials"][old]
            kept = {key: before[key] for key in KEPT_OF_MATERIALS if key in before}
            if lookup["index"] in reliefs:
                kept["normalTexture"] = lookup | {"index": reliefs[lookup["index"]]}
            if keep_materials:
                material = _edited_material(before, lookup["index"])
            else:
                material = painted_material(kept, lookup)
            if old is None or any(user != lookup for user in users[old]):
                numbers[kind] = buffer.append("materials", material)
            else:
                buffer.tree["materials"][old] = material
                numbers[kind] = old
        primitives[place]["material"] = numbers[kind]
