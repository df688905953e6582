"""What run.json says about where a result came from: the input and the versions."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from texcsd.errors import TexcsdError
from texcsd.geometry.gltf_meshopt import buffers_of_twins
from texcsd.geometry.mesh import Mesh
from texcsd.geometry.names import path_of_uri

PACKAGES = (
    "torch", "numpy", "numba", "trimesh", "xatlas", "libigl", "diffusers", "transformers",
)  # fmt: skip
"""Whose versions a report names."""


def input_sha256(mesh_path: Path, *others: Path) -> str:
    """Of the mesh file and, for glTF, of the buffers beside it: of where its geometry is.

    Others are what an editing reads besides: the texture, the mask.
    """
    if mesh_path.is_dir():
        raise TexcsdError(f"{mesh_path}: is a folder; give one mesh file")
    digest = hashlib.sha256()
    for path in [mesh_path, *_gltf_buffers(mesh_path), *others]:
        try:
            with open(path, "rb") as file:
                for block in iter(lambda file=file: file.read(1 << 20), b""):
                    digest.update(block)
        except OSError as error:
            reason = f"cannot be read ({error.strerror})"
            if path == mesh_path or path in others:
                raise TexcsdError(f"{path}: {reason}; check the path") from error
            raise TexcsdError(
                f'{mesh_path}: its data file "{path.name}" {reason}; put it beside the mesh'
            ) from error
    return digest.hexdigest()


def describe_input(mesh_path: Path, sha256: str, mesh: Mesh) -> dict[str, Any]:
    """Where the mesh came from and what was in it."""
    return {
        "path": str(mesh_path),
        "sha256": sha256,
        "vertices": len(mesh.vertices),
        "triangles": len(mesh.faces),
        "parts": [part.name for part in mesh.parts],
    }


def describe_versions() -> dict[str, str | None]:
    """Of Python, the platform and the packages a result depends on; None for one not installed."""
    versions: dict[str, str | None] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def _gltf_buffers(mesh_path: Path) -> Iterator[Path]:
    """Files of a glTF's buffers; loading will say what is wrong with any others, and read none."""
    if mesh_path.suffix.lower() != ".gltf" or not mesh_path.exists():
        return
    folder = mesh_path.parent.resolve()
    try:
        tree = json.loads(mesh_path.read_bytes())
        uris = {n: buffer.get("uri", "data:") for n, buffer in enumerate(tree["buffers"])}
        names = {n: path_of_uri(uri) for n, uri in uris.items() if not uri.startswith("data:")}
        paths = {n: (folder / name).resolve() for n, name in names.items()}
        twins = buffers_of_twins(tree)  # which may be missing
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return
    for number, path in paths.items():
        if path.is_relative_to(folder) and (number not in twins or path.is_file()):
            yield path
