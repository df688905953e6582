"""Which material each face of a glTF or an OBJ wears, and which image gives its base colour."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from texcsd.errors import TexcsdError
from texcsd.geometry.file_part import DamagedFileError
from texcsd.geometry.gltf_document import GltfDocument, open_document
from texcsd.geometry.mesh import Mesh
from texcsd.geometry.obj_file import FACE_KEYWORDS, logical_lines, split_keyword

GLTF_SUFFIXES = (".glb", ".gltf")


@dataclass(frozen=True)
class Materials:
    """The materials of a file, by their number."""

    names: tuple[str, ...]
    images: tuple[str | None, ...]
    """Of each material what `read_image` knows the base colour's image by; None without one."""
    of_faces: NDArray[np.int64]
    """int64[face], the number of the material each face wears, -1 for none."""


def read_materials(path: Path, mesh: Mesh) -> Materials:
    """Read the materials of a mesh file.

    Args:
        path: GLB, glTF or OBJ.
        mesh: As loaded from it.

    Raises:
        TexcsdError: A file of another format, or a material library that cannot be read.
    """
    if path.suffix.lower() in GLTF_SUFFIXES:
        try:
            return _gltf_materials(open_document(path).tree, mesh)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise TexcsdError(
                f"{path}: its materials cannot be read ({type(error).__name__}: {error}); export "
                "it again"
            ) from error
    if path.suffix.lower() == ".obj":
        return _obj_materials(path, mesh)
    raise TexcsdError(
        f"{path}: the texture of {path.suffix[1:].upper()} is not read; convert it to GLB"
    )


def read_image(path: Path, image: str) -> bytes:
    """Return the content of the file of an image that `Materials` names.

    Raises:
        TexcsdError: It is missing, not readable, or outside the folder of the mesh.
    """
    if path.suffix.lower() not in GLTF_SUFFIXES:
        return _read_beside(path, image)
    document = open_document(path)
    try:
        return _gltf_image(document, path, document.tree["images"][int(image)])
    except (DamagedFileError, binascii.Error, LookupError, TypeError) as error:
        raise TexcsdError(f"{path}: its image {image} cannot be read ({error})") from error


def files_beside(path: Path) -> list[Path]:
    """Return the files beside a mesh that its base colours may depend on, if they exist.

    Of a mesh that cannot be read there are none.
    """
    try:
        return _files_beside(path)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return []  # Loading it will say what is wrong with it.


def _files_beside(path: Path) -> list[Path]:
    libraries: list[Path] = []
    names: list[str] = []
    if path.suffix.lower() in GLTF_SUFFIXES:
        images = open_document(path).tree.get("images", [])
        uris = [str(image.get("uri", "data:")) for image in images]
        names = [unquote(uri) for uri in uris if not uri.startswith("data:")]
    elif path.suffix.lower() == ".obj":
        libraries = _libraries(path, _obj_lines(path))
        names = [*_library_images(path, libraries).values()]
    found = [_beside(path, name) for name in names]
    return [*dict.fromkeys(libraries + [file for file in found if file is not None])]


def _gltf_materials(tree: dict[str, Any], mesh: Mesh) -> Materials:
    of_faces = np.full(len(mesh.faces), -1, np.int64)
    for part in mesh.parts:
        assert part.source is not None
        primitive = tree["meshes"][part.source.mesh]["primitives"][part.source.primitive]
        span = slice(part.first_face, part.first_face + part.face_count)
        of_faces[span] = primitive.get("material", -1)
    materials = tree.get("materials", [])
    return Materials(
        tuple(str(material.get("name", f"material_{i}")) for i, material in enumerate(materials)),
        tuple(_gltf_image_number(tree, material) for material in materials),
        of_faces,
    )


def _gltf_image_number(tree: dict[str, Any], material: dict[str, Any]) -> str | None:
    info = material.get("pbrMetallicRoughness", {}).get("baseColorTexture")
    if info is None:
        return None
    texture = tree["textures"][info["index"]]
    # Where an extension (WebP, KTX2) offers the image in another format, this is the fallback.
    sources = [texture, *texture.get("extensions", {}).values()]
    return next((str(source["source"]) for source in sources if "source" in source), None)


def _gltf_image(document: GltfDocument, path: Path, described: dict[str, Any]) -> bytes:
    if "bufferView" in described:
        return document.view(described["bufferView"])
    uri = described["uri"]
    if uri.startswith("data:"):
        return base64.b64decode(uri.partition(",")[2])
    return _read_beside(path, unquote(uri))


def _obj_materials(path: Path, mesh: Mesh) -> Materials:
    lines = _obj_lines(path)
    images = _library_images(path, _libraries(path, lines))
    names: dict[str, int] = {}
    current, of_polygons = -1, []
    for keyword, rest in lines:
        if keyword == "usemtl":
            current = names.setdefault(rest.strip(), len(names))
        elif keyword in FACE_KEYWORDS and len(rest.partition("#")[0].split()) > 2:
            of_polygons.append(current)
    assert mesh.polygons is not None
    return Materials(
        tuple(names),
        tuple(images.get(name) for name in names),
        np.array(of_polygons, np.int64)[mesh.polygons.cpu().numpy()],
    )


def _obj_lines(path: Path) -> list[tuple[str, str]]:
    text = path.read_bytes().decode("utf-8", "replace")
    return [split_keyword(line) for line in logical_lines(text)]


def _libraries(path: Path, lines: list[tuple[str, str]]) -> list[Path]:
    """Return the material libraries that exist; a line names one, or several without spaces."""
    found: list[Path] = []
    for keyword, rest in lines:
        if keyword == "mtllib":
            whole = _beside(path, rest.strip())
            several = [_beside(path, word) for word in rest.split()]
            found += [file for file in ([whole] if whole else several) if file is not None]
    return found


def _library_images(path: Path, libraries: list[Path]) -> dict[str, str]:
    """Return the image of each material that has one, as a path from the folder of the mesh."""
    images: dict[str, str] = {}
    for library in libraries:
        folder = library.parent.relative_to(path.parent.resolve()).as_posix()
        name = ""
        for line in library.read_bytes().decode("utf-8", "replace").splitlines():
            keyword, rest = split_keyword(line)
            if keyword == "newmtl":
                name = rest.strip()
            elif keyword.lower() == "map_kd" and rest.strip():
                images.setdefault(name, _image_name(path, folder, rest.strip()))
    return images


def _image_name(path: Path, folder: str, statement: str) -> str:
    """Return the file in a `map_Kd`: all of it or, after options such as -s 1 1 1, its end."""
    words = statement.replace("\\", "/").split(" ")
    candidates = [f"{folder}/{' '.join(words[start:])}" for start in range(len(words))]
    return next((name for name in candidates if _beside(path, name)), candidates[0])


def _beside(path: Path, name: str) -> Path | None:
    """Return a file that exists in the folder of the mesh or below; others are not looked at."""
    folder = path.parent.resolve()
    file = (folder / name).resolve()
    return file if file.is_relative_to(folder) and file.is_file() else None


def _read_beside(path: Path, name: str) -> bytes:
    file = _beside(path, name)
    if file is None:
        raise TexcsdError(
            f'{path}: its texture "{name}" is not there; put it into the folder of the mesh'
        )
    try:
        return file.read_bytes()
    except OSError as error:
        raise TexcsdError(f"{file}: cannot be read ({error.strerror}); check its rights") from error
