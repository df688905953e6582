"""Colours that a mesh file gives to vertices; viewers multiply a texture by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.file_materials import GLTF_SUFFIXES
from texcsd.geometry.gltf_document import GltfDocument, open_document
from texcsd.geometry.gltf_file import primitive_faces
from texcsd.geometry.mesh import Mesh, Part
from texcsd.geometry.obj_file import logical_lines, split_keyword
from texcsd.geometry.ply_elements import read_elements

LEAST_WHITE = 1 - 0.5 / 255
"""From here on a colour is white in 8 bits, and a texture multiplied by it stays as it is."""


def parts_with_vertex_colors(path: Path, mesh: Mesh) -> list[str]:
    """Name the painted parts that have a vertex colour other than white, in `COLOR_0` or on `v`.

    Args:
        path: The input. Formats other than GLB, glTF and OBJ come back without such colours.
        mesh: As loaded from it; what shows a texture with a negative number is not painted.
    """
    numbers = mesh.texture_numbers().cpu().numpy()
    painted = [part for part in mesh.parts if numbers[part.first_face] >= 0]
    if path.suffix.lower() in GLTF_SUFFIXES:
        return _gltf_parts(path, painted)
    if path.suffix.lower() == ".obj":
        return _obj_parts(path, mesh, numbers >= 0)
    return []


def ply_has_colors(path: Path) -> bool:
    """Tell whether a PLY gives a vertex a colour other than white, in 8 bits or as fractions."""
    vertex = read_elements(path.read_bytes()).get("vertex", {})
    colors = [vertex[name].values for name in ("red", "green", "blue") if name in vertex]
    return any(
        values.min() < (255 if values.dtype.kind == "i" else LEAST_WHITE) for values in colors
    )


def _gltf_parts(path: Path, painted: list[Part]) -> list[str]:
    document, names = open_document(path), []
    for part in painted:
        assert part.source is not None
        primitive = document.tree["meshes"][part.source.mesh]["primitives"][part.source.primitive]
        if "COLOR_0" in primitive["attributes"] and _is_tinted(document, primitive):
            names.append(part.name)
    return names


def _is_tinted(document: GltfDocument, primitive: dict[str, Any]) -> bool:
    """Tell whether a vertex that a triangle uses has a colour that can be read."""
    try:
        colors = document.accessor(primitive["attributes"]["COLOR_0"])
        used = colors[np.unique(primitive_faces(document, primitive))]
    except (LookupError, TypeError, ValueError):
        return False
    # Painted surfaces are opaque, so alpha is of no account.
    return bool((used[:, :3] < LEAST_WHITE).any())


def _obj_parts(path: Path, mesh: Mesh, painted: NDArray[np.bool_]) -> list[str]:
    text = path.read_bytes().decode("utf-8", "replace")
    lines = (split_keyword(line) for line in logical_lines(text))
    colored = np.array([_has_color(rest) for keyword, rest in lines if keyword == "v"], bool)
    if not colored.any():
        return []
    shows = colored[mesh.faces.cpu().numpy()].any(axis=1) & painted
    return [part.name for part in mesh.parts if shows[part.first_face :][: part.face_count].any()]


def _has_color(vertex: str) -> bool:
    """Tell whether a colour other than white follows the position, as many scanners write it."""
    try:
        color = [float(word) for word in vertex.partition("#")[0].split()[3:6]]
    except ValueError:
        return False
    return len(color) == 3 and min(color) < LEAST_WHITE
