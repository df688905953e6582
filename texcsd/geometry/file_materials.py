"""Which material each face of a glTF or an OBJ wears, and which image gives its base colour."""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from texcsd.errors import TexcsdError
from texcsd.geometry.file_part import DamagedFileError
from texcsd.geometry.gltf_coordinates import SPECULAR, base_color_infos
from texcsd.geometry.gltf_document import GltfDocument, open_document
from texcsd.geometry.mesh import Mesh
from texcsd.geometry.names import path_of_uri
from texcsd.geometry.obj_file import FACE_KEYWORDS, logical_lines, split_keyword, split_lines

GLTF_SUFFIXES = (".glb", ".gltf")
WHITE = (1.0, 1.0, 1.0)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
LOOKUP_OPTION = re.compile(r"-([sot])((?:\s+[+-]?[\d.]+(?:[eE][+-]?\d+)?){1,3})")
IMAGE_STATEMENT = re.compile(r"(map_|bump$|disp$|decal$|refl$|norm$)", re.IGNORECASE)
BASE_COLOR_STATEMENTS = ("map_kd", "map_ka")
"""Exporters repeat the image of the first in the second."""
ORIGINALS = "original"
"""Folder for images of the input beside a mesh that was painted in part, or edited."""
MOST_NAMES = 12
"""Named in a message."""


@dataclass(frozen=True)
class Materials:
    """The materials of a file, by their number."""

    names: tuple[str, ...]
    images: tuple[str | None, ...]
    """Of each material what `read_image` knows the base colour's image by; None without one."""
    colors: tuple[tuple[float, float, float], ...]
    """Of each material the sRGB colour that surfaces have without an image."""
    of_faces: NDArray[np.int64]
    """int64[face], the number of the material each face wears, -1 for none."""


def read_any_materials(path: Path, mesh: Mesh) -> Materials:
    """Read the materials as `read_materials` does; of a format without any, there are none."""
    if path.suffix.lower() in (*GLTF_SUFFIXES, ".obj"):
        return read_materials(path, mesh)
    return Materials((), (), (), np.full(len(mesh.faces), -1))


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


def other_slots(path: Path, image: str) -> list[str]:
    """Say where the materials of a glTF show an image besides their base colour.

    Such as "emissiveTexture of Lamp". Where an OBJ does so is not looked at.
    """
    if path.suffix.lower() not in GLTF_SUFFIXES:
        return []
    tree, found = open_document(path).tree, []
    for number, material in enumerate(tree.get("materials", [])):
        base = [id(info) for info in base_color_infos(material)]
        for slot, info in _texture_infos(material):
            if id(info) not in base and image_of_texture(tree, info["index"]) == image:
                found.append(f"{slot} of {material.get('name', f'material_{number}')}")
    return found


def moved_lookups(path: Path, image: str) -> list[str]:
    """Options of an OBJ's `map_Kd` by which an image is scaled or moved, such as "-s 2 2 1"."""
    if path.suffix.lower() != ".obj":
        return []
    found: list[str] = []
    for library in _libraries(path, _obj_lines(path)):
        folder = _folder_of(path, library)
        for keyword, rest, _ in _statements([library]):
            if keyword.lower() == "map_kd":
                options, file = _split_statement(path, folder, rest)
                moved = any(
                    float(number) != (kind == "s")
                    for kind, numbers in LOOKUP_OPTION.findall(options)
                    for number in numbers.split()
                )
                found += [options] if moved and f"{folder}/{file}" == image else []
    return list(dict.fromkeys(found))


def _texture_infos(part: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every textureInfo of a material and its extensions, after the name of its slot."""
    for key, value in part.items():
        if key.endswith("Texture") and isinstance(value, dict) and "index" in value:
            yield key, value
        elif isinstance(value, dict):
            yield from _texture_infos(value)


@dataclass(frozen=True)
class KeptMaterials:
    """The materials of an OBJ for a library that will lie in another folder."""

    blocks: dict[str, str]
    """By name, the lines from `newmtl` on; images are looked for below ORIGINALS."""
    files: dict[str, Path]
    """The images by the name they are to have there."""


def kept_materials(path: Path, base_colors: Mapping[str, str] | None = None) -> KeptMaterials:
    """Read all materials of an OBJ, to be passed on as they are.

    Args:
        path: The OBJ.
        base_colors: By name, the images that those which were edited have instead of theirs.
    """
    base_colors = base_colors or {}
    blocks: dict[str, str] = {}
    files: dict[str, Path] = {}
    for library in _libraries(path, _obj_lines(path)):
        folder = _folder_of(path, library)
        name = None
        for line in split_lines(_text(library)):
            keyword, rest = split_keyword(line)
            if keyword == "newmtl":
                name = None if rest in blocks else rest
            if name is None:
                continue
            if IMAGE_STATEMENT.match(keyword):
                options, image = _split_statement(path, folder, rest)
                file = _beside(path, f"{folder}/{image}")
                if name in base_colors and keyword.lower() in BASE_COLOR_STATEMENTS:
                    line = " ".join(filter(None, [keyword, options, base_colors[name]]))
                elif file is not None:
                    place = file.relative_to(path.parent.resolve()).as_posix()
                    files[f"{ORIGINALS}/{place}"] = file
                    line = " ".join(filter(None, [keyword, options, f"{ORIGINALS}/{place}"]))
            blocks[name] = f"{blocks[name]}\n{line}" if name in blocks else line
    return KeptMaterials(blocks, files)


def library_text(path: Path) -> str:
    """All that the material libraries of an OBJ say."""
    return "\n".join(map(_text, _libraries(path, _obj_lines(path))))


def library_blocks(text: str) -> dict[str, list[str]]:
    """The lines of each material of a library that say anything, by its name; the first counts."""
    blocks: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in split_lines(text):
        keyword, rest = split_keyword(line)
        if keyword == "newmtl":
            lines = []
            blocks.setdefault(rest, lines)
        if line.strip():
            lines.append(line)
    return blocks


def named_faces(path: Path, mesh: Mesh, materials: Materials, name: str) -> NDArray[np.bool_]:
    """Find the faces of the parts, or with the material, of that name, bool[face].

    Raises:
        TexcsdError: Nothing that has faces is called so.
    """
    chosen = np.isin(
        materials.of_faces, [n for n, known in enumerate(materials.names) if known == name]
    )
    nodes = [part.source.node_name if part.source else part.name for part in mesh.parts]
    parts = [part.name for part in mesh.parts]
    chosen |= _faces_of_parts(mesh, nodes, name)
    if not chosen.any():
        # "wheel_1" is the first primitive of "wheel", unless a node is really called so.
        chosen = _faces_of_parts(mesh, parts, name)
    if not chosen.any():
        known = dict.fromkeys([*materials.names, *nodes, *parts])
        nearest = difflib.get_close_matches(name, known, n=MOST_NAMES, cutoff=0.0)
        raise TexcsdError(
            f'{path}: no material, node or object with faces is named "{name}"; choose one of: '
            + ", ".join(nearest)
        )
    return chosen


def _faces_of_parts(mesh: Mesh, names: list[str], name: str) -> NDArray[np.bool_]:
    """Find the faces of the parts to which the names, in their order, give this one, bool[face]."""
    return np.repeat([called == name for called in names], [p.face_count for p in mesh.parts])


def files_beside(path: Path) -> list[Path]:
    """Return the files beside a mesh that its base colours may depend on, if they exist.

    Of a mesh that cannot be read there are none.
    """
    try:
        return _files_beside(path)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []  # Loading it will say what is wrong with it.


def _files_beside(path: Path) -> list[Path]:
    libraries: list[Path] = []
    names: list[str] = []
    if path.suffix.lower() in GLTF_SUFFIXES:
        images = open_document(path).tree.get("images", [])
        uris = [str(image.get("uri", "data:")) for image in images]
        names = [path_of_uri(uri) for uri in uris if not uri.startswith("data:")]
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
        tuple(_gltf_color(material) for material in materials),
        of_faces,
    )


def _gltf_image_number(tree: dict[str, Any], material: dict[str, Any]) -> str | None:
    infos = base_color_infos(material)
    return image_of_texture(tree, infos[0]["index"]) if infos else None


def image_of_texture(tree: dict[str, Any], index: int) -> str | None:
    """Return what `Materials` knows the image of a glTF texture by; None if it has none."""
    texture = tree["textures"][index]
    # Where an extension (WebP, KTX2) offers the image in another format, this is the fallback.
    sources = [texture, *texture.get("extensions", {}).values()]
    return next((str(source["source"]) for source in sources if "source" in source), None)


def _gltf_color(material: dict[str, Any]) -> tuple[float, float, float]:
    specular = material.get("extensions", {}).get(SPECULAR, {})
    factor = specular.get("diffuseFactor", (1, 1, 1, 1))
    factor = material.get("pbrMetallicRoughness", {}).get("baseColorFactor", factor)
    linear = np.clip(np.array(factor[:3], np.float64), 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = srgb.tolist()
    return red, green, blue


def _gltf_image(document: GltfDocument, path: Path, described: dict[str, Any]) -> bytes:
    if "bufferView" in described:
        return document.view(described["bufferView"])
    uri = described["uri"]
    if uri.startswith("data:"):
        return base64.b64decode(uri.partition(",")[2])
    return _read_beside(path, path_of_uri(uri))


def _obj_materials(path: Path, mesh: Mesh) -> Materials:
    lines = _obj_lines(path)
    libraries = _libraries(path, lines)
    images, colors = _library_images(path, libraries), _library_colors(libraries)
    names: dict[str, int] = {}
    current, of_polygons = -1, []
    for keyword, rest in lines:
        if keyword == "usemtl":
            current = names.setdefault(rest, len(names))
        elif keyword in FACE_KEYWORDS and len(rest.partition("#")[0].split()) > 2:
            of_polygons.append(current)
    assert mesh.polygons is not None
    return Materials(
        tuple(names),
        tuple(images.get(name) for name in names),
        tuple(colors.get(name, WHITE) for name in names),
        np.array(of_polygons, np.int64)[mesh.polygons.cpu().numpy()],
    )


def _obj_lines(path: Path) -> list[tuple[str, str]]:
    return [split_keyword(line) for line in logical_lines(_text(path))]


def _text(path: Path) -> str:
    """What a file says; names that are not UTF-8 stay distinct, and can be written as they were."""
    return path.read_bytes().decode("utf-8", "surrogateescape")


def missing_libraries(path: Path) -> list[str]:
    """The material libraries that an OBJ names, but that are not in its folder or below."""
    named = [rest for keyword, rest in _obj_lines(path) if keyword == "mtllib"]
    return [name for name in dict.fromkeys(named) if not _named_libraries(path, name)]


def _libraries(path: Path, lines: list[tuple[str, str]]) -> list[Path]:
    """Return the material libraries that exist."""
    named = [rest for keyword, rest in lines if keyword == "mtllib"]
    return [file for name in named for file in _named_libraries(path, name)]


def _named_libraries(path: Path, name: str) -> list[Path]:
    """Return what an `mtllib` line names: a file, or several whose names have no spaces."""
    name = name.strip('"').replace("\\", "/")
    whole = _in_any_case(path, name)
    several = [_in_any_case(path, word) for word in name.split()]
    return [file for file in ([whole] if whole else several) if file is not None]


def _in_any_case(path: Path, name: str) -> Path | None:
    """Return a file beside the mesh; where names differ by case, one that differs in no more."""
    exact = _beside(path, name)
    if exact is not None or "\0" in name:
        return exact
    folder, place = path.parent.resolve(), (path.parent / name).resolve().parent
    others = sorted(place.iterdir()) if place.is_relative_to(folder) and place.is_dir() else []
    same = [other for other in others if other.name.lower() == Path(name).name.lower()]
    return next((other for other in same if other.is_file()), None)


def _folder_of(path: Path, library: Path) -> str:
    """Where a library lies, as a path from the folder of the mesh."""
    return library.parent.relative_to(path.parent.resolve()).as_posix()


def _library_images(path: Path, libraries: list[Path]) -> dict[str, str]:
    """Return the image of each material that has one, as a path from the folder of the mesh."""
    images: dict[str, str] = {}
    for library in libraries:
        folder = _folder_of(path, library)
        for keyword, rest, name in _statements([library]):
            if keyword.lower() == "map_kd" and rest:
                images.setdefault(name, _image_name(path, folder, rest))
    return images


def _library_colors(libraries: list[Path]) -> dict[str, tuple[float, float, float]]:
    """Return the `Kd` of each material that has one of three numbers."""
    colors: dict[str, tuple[float, float, float]] = {}
    for keyword, rest, name in _statements(libraries):
        words = rest.partition("#")[0].split()
        if keyword == "Kd" and len(words) == 3 and all(NUMBER.fullmatch(word) for word in words):
            red, green, blue = (min(max(float(word), 0.0), 1.0) for word in words)
            colors.setdefault(name, (red, green, blue))
    return colors


def _statements(libraries: list[Path]) -> Iterator[tuple[str, str, str]]:
    """Yield keyword and rest of every line of material libraries, and the material it is about."""
    for library in libraries:
        name = ""
        for line in split_lines(_text(library)):
            keyword, rest = split_keyword(line)
            name = rest if keyword == "newmtl" else name
            yield keyword, rest, name


def _image_name(path: Path, folder: str, statement: str) -> str:
    """Return the file in a `map_Kd`, as a path from the folder of the mesh."""
    return f"{folder}/{_split_statement(path, folder, statement)[1]}"


def _split_statement(path: Path, folder: str, statement: str) -> tuple[str, str]:
    """Return options such as -s 1 1 1, and the file: all of it or, after these, its end."""
    words = statement.replace("\\", "/").split(" ")
    pairs = [(" ".join(words[:start]), " ".join(words[start:])) for start in range(len(words))]
    return next((pair for pair in pairs if _beside(path, f"{folder}/{pair[1]}")), pairs[0])


def _beside(path: Path, name: str) -> Path | None:
    """Return a file that exists in the folder of the mesh or below; others are not looked at."""
    folder = path.parent.resolve()
    try:
        file = (folder / name).resolve()
    except ValueError:  # a zero byte, or half a character: no name of a file
        return None
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
