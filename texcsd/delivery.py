"""The files of a finished painting: how they are called, written, and read back to be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from texcsd.checkpoint import write_bytes_atomically
from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import Mesh
from texcsd.original import Original
from texcsd.output.damage import measure_damage, measure_kept_texels
from texcsd.output.mesh_files import mesh_file_names
from texcsd.output.preview import (
    can_write_mp4,
    preview_png,
    turntable_frames,
    turntable_gif,
    turntable_mp4,
)
from texcsd.output.viewer import viewer_html
from texcsd.settings import PaintSettings


def output_names(mesh_path: Path, settings: PaintSettings) -> dict[str, str]:
    """Name the files of a painting, in its folder, by what they are."""
    return {
        **mesh_file_names(mesh_path, settings.format),
        **({"shape": "shape.png"} if settings.displace else {}),
        "base_color": "textures/base_color.png",
        "preview": "preview.png",
        "turntable": "turntable.gif",
        **({"film": "turntable.mp4"} if can_write_mp4() else {}),
        "viewer": "viewer.html",
    }


def with_alpha(base_color: NDArray[np.uint8], original: Original | None) -> NDArray[np.uint8]:
    """The base colour with the alpha that the original has, if it has one."""
    if original is None or original.alpha is None:
        return base_color
    return np.dstack([base_color, original.alpha])


def read_kept_texels(path: Path, original: Original) -> dict[str, Any]:
    """What of the original is in the written texture, measured there."""
    kept = measure_kept_texels(path, original.pixels, original.may_change)
    return {"edit": {"texels_that_may_change": int(original.may_change.sum()), **kept}}


def write_outputs(folder: Path, outputs: dict[str, str], contents: dict[str, bytes]) -> None:
    """Write files under their names, each at once or not at all."""
    for key, content in contents.items():
        path = folder / outputs[key]
        path.parent.mkdir(exist_ok=True)
        write_bytes_atomically(path, content)


def read_damage(
    folder: Path,
    names: list[str],
    mesh_path: Path,
    mesh: Mesh,
    uv_kept: bool,
    shape: Mesh | None,
) -> dict[str, Any]:
    """Compares every written mesh file with the input; if one is damaged, deletes them all."""
    try:
        return {
            name: measure_damage(mesh_path, folder / name, mesh, uv_kept, shape)
            for name in names
            if Path(name).suffix in (".glb", ".gltf", ".obj")
        }
    except TexcsdError:
        for name in names:
            (folder / name).unlink(missing_ok=True)
        raise


def write_pictures(
    folder: Path,
    outputs: dict[str, str],
    fitted: Mesh,
    mesh: Mesh,
    base_color: NDArray[np.uint8],
    png: bytes,
    name: str,
) -> list[str]:
    """Write the texture and what shows the object; return warnings.

    Args:
        folder: Of the result.
        outputs: Names of all files by their keys; a film that cannot be made is taken out.
        fitted: Fitted to the unit sphere, in the shape that was painted.
        mesh: The same in the pose of the file.
        base_color: uint8[size, size, 3], row 0 on top.
        png: The same as a file, perhaps with an alpha.
        name: Of the object.
    """
    frames, warnings = turntable_frames(fitted, base_color), []
    pictures = {
        "base_color": png,
        "preview": preview_png(fitted, base_color),
        "turntable": turntable_gif(frames),
        "viewer": viewer_html(mesh, base_color, name),
    }
    if "film" in outputs:
        try:
            pictures["film"] = turntable_mp4(frames)
        except TexcsdError as error:
            del outputs["film"]
            warnings.append(str(error))
    write_outputs(folder, outputs, pictures)
    return warnings
