"""Mesh files to plain arrays; everything that can be wrong with one becomes a TexcsdError."""

import codecs
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from texcsd.errors import TexcsdError
from texcsd.geometry.file_part import DamagedFileError, FilePart, check_indices
from texcsd.geometry.gltf_file import read_gltf
from texcsd.geometry.normals import weld_vertices
from texcsd.geometry.obj_file import read_obj
from texcsd.geometry.polygons import triangulate

EXTENSIONS = (".obj", ".glb", ".gltf", ".ply", ".stl", ".off")
FARTHEST = 1e100
"""Coordinates from here on overflow where areas are computed."""


def read_parts(path: Path) -> list[FilePart]:
    """Read every mesh of a file that has faces, in the file's order and pose.

    Raises:
        TexcsdError: The file is not there, not a mesh, damaged, or has no finite triangle.
    """
    _check_path(path)
    try:
        with _silence():
            parts = [check_indices(part) for part in _read(path)]
    except DamagedFileError as error:
        raise TexcsdError(f"{path}: cannot be read: {error}.") from error
    except MemoryError as error:
        raise TexcsdError(f"{path}: does not fit into memory; decimate it first.") from error
    except Exception as error:  # a damaged file breaks parsers anywhere: there is no common base
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        raise TexcsdError(
            f"{path}: cannot be read as {path.suffix[1:].upper()} ({reason}); "
            "it is damaged or incomplete, export it again."
        ) from error
    points = sum({id(part.vertices): len(part.vertices) for part in parts}.values())
    parts = [part for part in parts if len(part.faces)]
    if not parts:
        found = f"only {points:,} point(s)" if points else "and no points either"
        raise TexcsdError(f"{path}: no faces, {found}; texcsd needs a triangle mesh.")
    _check_finite(parts, path)
    return parts


def _check_path(path: Path) -> None:
    known = ", ".join(extension[1:].upper() for extension in EXTENSIONS)
    if path.is_dir():
        raise TexcsdError(f"{path}: is a folder; give one mesh file ({known}).")
    if not path.exists():
        raise TexcsdError(f"{path}: no such file; check the path.")
    if path.suffix.lower() not in EXTENSIONS:
        received = f'extension "{path.suffix}"' if path.suffix else "a name without extension"
        raise TexcsdError(f"{path}: {received} is not supported; convert it to one of {known}.")
    try:
        with path.open("rb") as file:
            beginning = file.read(2)
    except OSError as error:
        raise TexcsdError(f"{path}: cannot be opened ({error.strerror}).") from error
    if not beginning:
        raise TexcsdError(f"{path}: the file is empty (0 bytes); export it again.")
    if beginning in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise TexcsdError(f"{path}: its text is UTF-16, not UTF-8; save it as UTF-8.")


def _read(path: Path) -> list[FilePart]:
    extension = path.suffix.lower()
    if extension == ".obj":
        return read_obj(path)
    if extension in (".glb", ".gltf"):
        return read_gltf(path)
    return {".ply": _read_ply, ".stl": _read_stl, ".off": _read_off}[extension](path)


def _read_stl(path: Path) -> list[FilePart]:
    from trimesh.exchange.stl import load_stl

    with path.open("rb") as file:
        loaded = load_stl(file)
    solids = loaded.get("geometry", {path.stem: loaded})
    if not solids and b"facet" in path.read_bytes():
        raise DamagedFileError('it has facets but no "endsolid"; export it again')
    return [_weld(FilePart(name or path.stem, *_arrays(solid))) for name, solid in solids.items()]


def _read_off(path: Path) -> list[FilePart]:
    from trimesh.exchange.off import load_off

    with path.open("rb") as file:
        loaded = load_off(file)
    if len(loaded["faces"]) == 0:
        loaded["faces"] = _loose_off_faces(path, len(loaded["vertices"]))
    return [FilePart(path.stem, *_arrays(loaded))]


def _loose_off_faces(path: Path, vertex_count: int) -> NDArray[np.int64]:
    """Read quads or triangles of an OFF without its lines, which some writers break anywhere."""
    lines = (line.partition("#")[0] for line in path.read_text(errors="replace").splitlines())
    words = " ".join(lines).removeprefix("OFF").split()[3 + 3 * vertex_count :]
    size = int(words[0]) if words else 3
    rows = np.array(words[: len(words) // (size + 1) * (size + 1)], np.int64).reshape(-1, size + 1)
    return rows[:, 1:] if size in (3, 4) and (rows[:, 0] == size).all() else rows[:0, :3]


def _read_ply(path: Path) -> list[FilePart]:
    """Read PLY as it is; a second reading, split at seams, tells the uv of every corner."""
    from trimesh.exchange.ply import load_ply

    def load(fix_texture: bool) -> dict[str, Any]:
        with path.open("rb") as file:
            return load_ply(file, fix_texture=fix_texture, skip_materials=True)

    loaded = load(fix_texture=False)
    strips = loaded["metadata"]["_ply_raw"].get("tristrips")
    if loaded.get("faces") is None and strips and strips["length"]:
        loaded["faces"] = _strip_faces(strips["data"])
    part = FilePart(path.stem, *_arrays(loaded))
    normals = loaded.get("vertex_normals")
    if normals is not None and len(part.faces):
        part = replace(part, normals=np.asarray(normals, np.float64), normal_faces=part.faces)
    if "visual" not in loaded:
        return [part]
    split = load(fix_texture=True)
    _, uv_faces = _arrays(split)
    return [replace(part, uv=np.asarray(split["visual"].uv, np.float64), uv_faces=uv_faces)]


def _strip_faces(data: Any) -> NDArray[np.int64]:
    """Cut the triangle strips of scanned PLY files, each ended by -1; trimesh passes over them."""
    lists = data[data.dtype.names[0]]["f1"] if isinstance(data, np.ndarray) else list(data.values())
    chain = np.concatenate([np.append(np.ravel(strip), -1) for strip in lists]).astype(np.int64)
    if len(chain) < 3:
        return np.zeros((0, 3), np.int64)
    corners = np.stack([chain[:-2], chain[1:-1], chain[2:]], axis=1)
    begins = np.append(0, np.flatnonzero(chain == -1) + 1)
    position = np.arange(len(corners))
    odd = (position - begins[np.searchsorted(begins, position, side="right") - 1]) % 2 == 1
    corners[odd] = corners[odd][:, [0, 2, 1]]
    different = (corners != np.roll(corners, 1, axis=1)).all(axis=1)
    return corners[different & (corners >= 0).all(axis=1)]


def _arrays(loaded: dict[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return vertices and triangles of what a loader of trimesh returned; it keeps quads."""
    vertices = np.asarray(loaded.get("vertices", ()), np.float64).reshape(-1, 3)
    polygons = loaded.get("faces")
    if polygons is None or len(polygons) == 0:
        return vertices, np.zeros((0, 3), np.int64)
    polygons = np.asarray(polygons, np.int64)
    corners = triangulate(np.full(len(polygons), polygons.shape[1]), polygons.ravel(), vertices)
    return vertices, polygons.ravel()[corners]


def _weld(part: FilePart) -> FilePart:
    """Join the repeated corners of STL, the one format that cannot share vertices."""
    first, place_of = weld_vertices(part.vertices)
    return FilePart(part.name, part.vertices[first], place_of[part.faces])


def _check_finite(parts: list[FilePart], path: Path) -> None:
    bad = 0
    for part in parts:
        used = part.vertices[np.unique(part.faces)]
        bad += int((~(np.abs(used) < FARTHEST)).any(axis=1).sum())
    if bad:
        raise TexcsdError(
            f"{path}: {bad:,} vertex positions are not finite (NaN, infinite or beyond "
            f"{FARTHEST:g}); repair the mesh and export it again."
        )


@contextmanager
def _silence() -> Iterator[None]:
    """Keep trimesh's log and numpy's warnings off the terminal while a file is read."""
    logger = logging.getLogger("trimesh")
    disabled, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = disabled
