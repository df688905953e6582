"""The painted mesh as files: a glTF or an OBJ is patched, and anything can be written as GLB."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from texcsd.errors import TexcsdError
from texcsd.geometry.file_materials import kept_materials, read_any_materials
from texcsd.geometry.file_part import DamagedFileError
from texcsd.geometry.gltf_document import GltfDocument, open_document
from texcsd.geometry.mesh import Mesh, bounding_sphere
from texcsd.output.gltf import new_gltf
from texcsd.output.gltf_buffer import glb_container
from texcsd.output.gltf_patch import patch_gltf
from texcsd.output.gltf_reshape import reshape_gltf
from texcsd.output.obj_patch import patch_obj
from texcsd.output.obj_reshape import reshape_obj

FILES = {"glb": ("glb",), "gltf": ("gltf", "bin"), "obj": ("obj", "mtl")}
"""What each format consists of."""
DIGITS = 8
"""Of a displaced position in a text file, after the first of the mesh's size."""


def mesh_file_names(mesh_path: Path, choice: str = "auto") -> dict[str, str]:
    """Name the files that a painting of this mesh writes; "mesh" is the one to open.

    Args:
        mesh_path: The input.
        choice: "auto" for a GLB and, if the input is OBJ or .gltf, that; "same" for the input's
            format alone; or "glb", "gltf" or "obj".

    Raises:
        TexcsdError: That format cannot be made of this mesh.
    """
    extensions = [extension for name in _formats(mesh_path, choice) for extension in FILES[name]]
    names = {
        "mesh" if index == 0 else extension: f"{mesh_path.stem}.{extension}"
        for index, extension in enumerate(extensions)
    }
    if "mtl" in names:
        # An OBJ may name several libraries in a line, with spaces between them.
        names["mtl"] = re.sub(r"\s", "_", names["mtl"])
    return names


def _formats(mesh_path: Path, choice: str) -> list[str]:
    own = mesh_path.suffix.lower()[1:]
    if choice == "auto":
        return ["glb", own] if own in ("gltf", "obj") else ["glb"]
    wanted = own if choice == "same" else choice
    if wanted not in FILES:
        raise TexcsdError(
            f"{mesh_path}: format same is not to be had, texcsd writes no "
            f"{own.upper()}; choose glb or gltf"
        )
    if wanted == "obj" and own != "obj":
        raise TexcsdError(
            f"{mesh_path}: format obj is for an OBJ, which is patched; this is "
            f"{own.upper()}, choose glb or gltf"
        )
    return [wanted]


def texture_key(number: int) -> str:
    """What the file of a texture is called among the outputs: base_color, base_color_2, ..."""
    return f"base_color_{number + 1}" if number else "base_color"


def normal_key(number: int) -> str:
    """What the file of a normal map is called among the outputs: normal, normal_2, ..."""
    return f"normal_{number + 1}" if number else "normal"


def mesh_file_contents(
    mesh_path: Path,
    mesh: Mesh,
    uv_kept: bool,
    pictures: Mapping[int, bytes],
    outputs: Mapping[str, str],
    keep_materials: bool = False,
    shape: Mesh | None = None,
    material_names: Mapping[int, str] | None = None,
    normal_maps: Mapping[int, bytes] | None = None,
) -> dict[str, bytes]:
    """Write the files that `mesh_file_names` names.

    Args:
        mesh_path: Where the mesh was loaded from.
        mesh: As loaded; its uv are those that were painted. Of a glTF it may be only some parts.
        uv_kept: Whether these are the uv of the file, all of them.
        pictures: The base colour by the number of the texture, row 0 on top; a negative number is
            that of one that was not painted.
        outputs: Names of all files of the result; see `texture_key` for those of the textures.
        keep_materials: Leave all of a material but the texture as it is.
        shape: The same mesh with its vertices displaced, if they are to be.
        material_names: Of new materials, by the number of the texture.
        normal_maps: As pictures, of the textures that have one; see `normal_key` for the files.

    Raises:
        TexcsdError: The file is too broken to put a texture into it.
    """
    wanted = {Path(name).suffix[1:]: key for key, name in outputs.items()}
    contents: dict[str, bytes] = {}
    if "glb" in wanted or "gltf" in wanted:
        tree, binary, chunks = _gltf(
            mesh_path, mesh, pictures, keep_materials, shape, material_names, normal_maps
        )
        contents["glb"] = glb_container(tree, binary, chunks)
        if "gltf" in wanted:
            contents |= {"gltf": _gltf_text(tree, outputs["bin"]), "bin": binary}
    if "obj" in wanted:
        material = re.sub(r"\s", "_", mesh_path.stem)
        images = {n: outputs[texture_key(n)] for n in pictures if n >= 0}
        reliefs = {n: outputs[normal_key(n)] for n in normal_maps or {}}
        edited, in_part = images if keep_materials else {}, any(n < 0 for n in pictures)
        rest = _kept_blocks(mesh_path, mesh, edited) if edited or in_part else {}
        text = mesh_path.read_bytes()
        files = patch_obj(text, mesh, uv_kept, outputs["mtl"], images, material, rest, reliefs)
        has_normals = bool(reliefs) or re.search(rb"^\s*vn\s", text, re.MULTILINE) is not None
        normals = shape if has_normals else None
        obj = reshape_obj(files.obj, _rounded(mesh, shape), normals=normals) if shape else files.obj
        contents |= {"obj": obj, "mtl": files.mtl}
    return {wanted[suffix]: content for suffix, content in contents.items() if suffix in wanted}


def _kept_blocks(mesh_path: Path, mesh: Mesh, edited: Mapping[int, str]) -> dict[str, str]:
    """What the MTL says of all materials but those that are painted; and of edited ones.

    Args:
        mesh_path: An OBJ.
        mesh: With the numbers of the textures.
        edited: The paths of edited images by these numbers.
    """
    materials, numbers = read_any_materials(mesh_path, mesh), mesh.texture_numbers().tolist()
    pairs = set(zip(materials.of_faces.tolist(), numbers, strict=True))
    named = [(materials.names[material], number) for material, number in pairs if material >= 0]
    base_colors = {name: edited[number] for name, number in named if number in edited}
    blocks = kept_materials(mesh_path, base_colors).blocks
    # What only lines wear is in no pair, and not painted either.
    painted = {name for name, number in named if number >= 0} - base_colors.keys()
    in_part = {name for name, number in named if number < 0}
    return {name: block for name, block in blocks.items() if name in in_part or name not in painted}


def _rounded(mesh: Mesh, shape: Mesh) -> NDArray[np.float64]:
    """The displaced positions, float64[vertex, 3], without digits that nobody needs."""
    before, after = mesh.vertices.cpu().numpy(), shape.vertices.cpu().numpy()
    decimals = DIGITS - int(np.floor(np.log10(float(bounding_sphere(shape)[1]))))
    return np.where(before == after, before, after.round(decimals))


def _gltf(
    mesh_path: Path,
    mesh: Mesh,
    pictures: Mapping[int, bytes],
    keep_materials: bool,
    shape: Mesh | None,
    material_names: Mapping[int, str] | None,
    normal_maps: Mapping[int, bytes] | None,
) -> tuple[dict[str, Any], bytes, tuple[tuple[bytes, bytes], ...]]:
    """Return the tree, the buffer with the data, and further chunks of a GLB."""
    if mesh_path.suffix.lower() not in (".glb", ".gltf"):
        name = mesh_path.stem
        buffer = new_gltf(shape or mesh, pictures, name, material_names, normal_maps)
        return buffer.tree, bytes(buffer.data), ()
    try:
        document = open_document(mesh_path)
        if shape is not None:
            document = _reshaped(mesh_path, document, shape)
        document = patch_gltf(document, mesh, pictures, mesh_path.stem, keep_materials, normal_maps)
        json.dumps(document.tree, allow_nan=False)
    except TexcsdError:
        raise
    except DamagedFileError as error:
        raise TexcsdError(f"{mesh_path}: no texture can be put into it: {error}.") from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # Enough of it was sound to be loaded; the rest may be anything.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        raise TexcsdError(
            f"{mesh_path}: no texture can be put into it ({reason}); its JSON is not valid glTF, "
            "export it again."
        ) from error
    assert document.binary_chunk is not None
    return document.tree, document.binary_chunk, document.chunks


def _reshaped(mesh_path: Path, document: GltfDocument, shape: Mesh) -> GltfDocument:
    try:
        return reshape_gltf(document, shape)
    except DamagedFileError as error:
        raise TexcsdError(f"{mesh_path}: its vertices cannot be displaced: {error}.") from error


def _gltf_text(tree: dict[str, Any], buffer_name: str) -> bytes:
    first, *empty = tree["buffers"]
    named = first | {"uri": quote(buffer_name, errors="surrogateescape")}
    tree = tree | {"buffers": [named, *empty]}
    return (json.dumps(tree, indent=2, allow_nan=False) + "\n").encode()
