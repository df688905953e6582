"""What a mesh file says about itself that painting has no use for: polygons, materials, units."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from texcsd.geometry.gltf_document import open_document

LONGEST_HEADER = 1 << 16


@dataclass(frozen=True)
class FileSummary:
    """Read beside the mesh, of a file that loads without error."""

    polygons: int | None
    """Faces as the file has them; None where the format has only triangles, or does not tell."""
    materials: tuple[str, ...]
    """Names of the materials that faces use, in order of first use."""
    unit: str | None
    """What a length of 1 is; None where the format does not say."""


def summarize_file(path: Path) -> FileSummary:
    """Read the summary of a mesh file."""
    extension = path.suffix.lower()
    if extension in (".glb", ".gltf"):
        return FileSummary(None, _gltf_materials(open_document(path).tree), "metre")
    if extension == ".obj":
        content = path.read_bytes()
        names = re.findall(rb"^[ \t]*usemtl[ \t]+(.+?)[ \t\r]*$", content, re.MULTILINE)
        polygons = len(re.findall(rb"^[ \t]*fo?[ \t]", content, re.MULTILINE))
        return FileSummary(polygons, _in_order([n.decode(errors="replace") for n in names]), None)
    return FileSummary(_header_polygons(path), (), None)


def _header_polygons(path: Path) -> int | None:
    """Return the number of faces in the header of PLY or OFF."""
    with path.open("rb") as file:
        header = file.read(LONGEST_HEADER)
    if path.suffix.lower() == ".ply":
        found = re.search(rb"[\r\n]element[ \t]+face[ \t]+(\d+)", header)
    elif path.suffix.lower() == ".off":
        found = re.match(rb"\s*(?:ST)?C?N?OFF\s*\d+\s+(\d+)", re.sub(rb"#.*", b"", header))
    else:
        return None
    return int(found[1]) if found else None


def _gltf_materials(tree: dict[str, Any]) -> tuple[str, ...]:
    materials = tree.get("materials", [])
    used = [
        primitive["material"]
        for mesh in tree.get("meshes", [])
        for primitive in mesh["primitives"]
        if "material" in primitive
    ]
    return _in_order([str(materials[index].get("name", f"material_{index}")) for index in used])


def _in_order(names: list[str]) -> tuple[str, ...]:
    """Leave out the repetitions."""
    return tuple(dict.fromkeys(names))
