"""Mesh files to plain arrays; everything that can be wrong with one becomes a TexcsdError."""

import codecs
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from texcsd.errors import TexcsdError
from texcsd.geometry.file_part import DamagedFileError, FilePart, check_indices
from texcsd.geometry.gltf_file import read_gltf
from texcsd.geometry.obj_file import read_obj
from texcsd.geometry.off_file import read_off
from texcsd.geometry.ply_file import read_ply
from texcsd.geometry.stl_file import read_stl

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
    return {".ply": read_ply, ".stl": read_stl, ".off": read_off}[extension](path)


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
