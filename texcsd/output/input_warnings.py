"""What of the user's file will not look, or not work, as expected once it is painted."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from texcsd.geometry.file_materials import GLTF_SUFFIXES
from texcsd.geometry.gltf_document import GltfDocument, open_document
from texcsd.geometry.mesh import Mesh
from texcsd.geometry.vertex_colors import parts_with_vertex_colors
from texcsd.output.gltf_images import image_beside, is_beside

MOST_NAMES = 8
"""Named in a message."""


def input_warnings(mesh_path: Path, mesh: Mesh, file_names: Collection[str]) -> list[str]:
    """Say what of the input the paint collides with, and what the output cannot hold.

    Args:
        mesh_path: The input, which has been found sound enough to be patched.
        mesh: As loaded from it; what shows a texture with a negative number is not painted.
        file_names: Of the files of the result.
    """
    warnings = _about_vertex_colors(mesh_path, mesh, file_names)
    if mesh_path.suffix.lower() in GLTF_SUFFIXES:
        document = open_document(mesh_path)
        warnings += _about_chunks(document, file_names) + _about_buffers(document.tree)
        warnings += _about_images(document)
    return warnings


def _about_vertex_colors(mesh_path: Path, mesh: Mesh, file_names: Collection[str]) -> list[str]:
    """The attribute is the user's, so it stays; the preview, the paint alone, would be a lie."""
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


def _about_chunks(document: GltfDocument, file_names: Collection[str]) -> list[str]:
    if not document.chunks or any(name.endswith(".glb") for name in file_names):
        return []
    kinds = _listed([repr(kind)[2:-1] for kind, _ in document.chunks])
    return [f"a .gltf has no place for more chunks of a GLB: {kinds}; --format glb keeps them"]


def _about_buffers(tree: dict[str, Any]) -> list[str]:
    """The first buffer stays what it is and grows; what describes others fits none any more."""
    lost = [
        f"{', '.join(sorted(keys))} of buffer {number}"
        for number, buffer in enumerate(tree.get("buffers", []))
        if number and (keys := buffer.keys() - {"uri", "byteLength"})
    ]
    if not lost:
        return []
    return [f"buffers are joined into one, with their content; lost are {'; '.join(lost)}"]


def _about_images(document: GltfDocument) -> list[str]:
    """Those that stay references, which a folder for the result alone does not satisfy."""
    left = [
        image
        for image in document.tree.get("images", [])
        if is_beside(image) and image_beside(document, image) is None
    ]
    missing = [image for image in left if not document.file(image["uri"], "an image").is_file()]
    warnings = []
    if missing:
        warnings.append(f"images that are not there are still missing: {_uris(missing)}")
    if len(left) > len(missing):
        unknown = _uris([image for image in left if image not in missing])
        warnings.append(f"not taken in, as texcsd does not know them to be images: {unknown}")
    return warnings


def _uris(images: list[dict[str, Any]]) -> str:
    return _listed([unquote(image["uri"]) for image in images])


def _listed(names: list[str]) -> str:
    names = list(dict.fromkeys(names))
    shown = ", ".join(f'"{name}"' for name in names[:MOST_NAMES])
    more = len(names) - MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
