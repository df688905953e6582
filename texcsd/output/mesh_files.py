"""The painted mesh as files: a glTF is patched, other formats are written as GLB."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from texcsd.errors import TexcsdError
from texcsd.geometry.file_part import DamagedFileError
from texcsd.geometry.gltf_document import open_document
from texcsd.geometry.mesh import Mesh
from texcsd.output.gltf import glb_bytes
from texcsd.output.gltf_buffer import glb_container
from texcsd.output.gltf_patch import patch_gltf


def mesh_file_names(mesh_path: Path) -> dict[str, str]:
    """Name the files that a painting of this mesh writes; "mesh" is the one with all in it."""
    stem = mesh_path.stem
    names = {"mesh": f"{stem}.glb"}
    if mesh_path.suffix.lower() == ".gltf":
        names |= {"gltf": f"{stem}.gltf", "bin": f"{stem}.bin"}
    return names


def mesh_file_contents(mesh_path: Path, mesh: Mesh, png: bytes) -> dict[str, bytes]:
    """Write the files that `mesh_file_names` names.

    Args:
        mesh_path: Where the mesh was loaded from.
        mesh: As loaded; its uv are those that were painted.
        png: The base colour, row 0 on top.

    Raises:
        TexcsdError: The file is too broken to put a texture into it.
    """
    stem, suffix = mesh_path.stem, mesh_path.suffix.lower()
    if suffix not in (".glb", ".gltf"):
        return {"mesh": glb_bytes(mesh, png, stem)}
    try:
        document = patch_gltf(open_document(mesh_path), mesh, png, stem)
        assert document.binary_chunk is not None
        contents = {"mesh": glb_container(document.tree, document.binary_chunk)}
    except DamagedFileError as error:
        raise TexcsdError(f"{mesh_path}: no texture can be put into it: {error}.") from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # Enough of it was sound to be loaded; the rest may be anything.
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        raise TexcsdError(
            f"{mesh_path}: no texture can be put into it ({reason}); its JSON is not valid glTF, "
            "export it again."
        ) from error
    if suffix == ".gltf":
        contents["gltf"] = _gltf_bytes(document.tree, f"{stem}.bin")
        contents["bin"] = document.binary_chunk
    return contents


def _gltf_bytes(tree: dict[str, Any], buffer_name: str) -> bytes:
    (described,) = tree["buffers"]
    tree = tree | {"buffers": [described | {"uri": quote(buffer_name)}]}
    return (json.dumps(tree, indent=2, allow_nan=False) + "\n").encode()
