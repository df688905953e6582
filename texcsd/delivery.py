"""The files of a finished painting: how they are called, written, and read back to be compared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from texcsd.canvas import Canvas
from texcsd.checkpoint import write_bytes_atomically
from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import Mesh, load_mesh
from texcsd.geometry.names import unique_names
from texcsd.geometry.texture_layout import BASE_COLOR
from texcsd.original import Original
from texcsd.output.bake import TextureMaps
from texcsd.output.damage import measure_damage, measure_kept_texels
from texcsd.output.gltf import NORMAL_MAP
from texcsd.output.mesh_files import (
    mesh_file_contents,
    mesh_file_names,
    normal_key,
    texture_key,
)
from texcsd.output.preview import (
    can_write_mp4,
    preview_png,
    turntable_frames,
    turntable_gif,
    turntable_mp4,
)
from texcsd.output.viewer import viewer_html
from texcsd.settings import PaintSettings

LONGEST_NAME = 60
SHAPE_PICTURE = "shape.png"


def output_names(
    mesh_path: Path, settings: PaintSettings, canvas: Canvas, normal_maps: Sequence[int] = ()
) -> dict[str, str]:
    """Name the files of a painting, in its folder, by what they are.

    Args:
        mesh_path: The input.
        settings: Everything the user chose.
        canvas: What is painted on.
        normal_maps: The numbers of those of its textures that get one.
    """
    textures = [slot.name for slot in canvas.slots]
    reliefs = [
        NORMAL_MAP if textures[n] == BASE_COLOR else f"{textures[n]} normal" for n in normal_maps
    ]
    files = [f"textures/{name}.png" for name in _file_names(textures + reliefs)]
    keys = [*map(texture_key, range(len(textures))), *map(normal_key, normal_maps)]
    mesh_files = mesh_file_names(mesh_path, settings.format)
    kept_files = canvas.kept_files if "mtl" in mesh_files else {}
    return {
        **mesh_files,
        **({"shape": SHAPE_PICTURE} if settings.displace or settings.dmtet else {}),
        **dict(zip(keys, files, strict=True)),
        **{kept_key(number): name for number, name in enumerate(kept_files)},
        "preview": "preview.png",
        "turntable": "turntable.gif",
        **({"film": "turntable.mp4"} if can_write_mp4() else {}),
        "viewer": "viewer.html",
    }


def kept_key(number: int) -> str:
    """What a file of the input that comes along is called among the outputs: kept_1, ..."""
    return f"kept_{number + 1}"


def _file_names(textures: Sequence[str]) -> list[str]:
    """Make names for files, all different on any file system."""
    words = (re.sub(r"[^\w-]+", "_", texture).strip("_") for texture in textures)
    return unique_names([word[:LONGEST_NAME].lower() or "texture" for word in words])


def with_alpha(base_color: NDArray[np.uint8], original: Original | None) -> NDArray[np.uint8]:
    """The base colour with the alpha that the original has, if it has one."""
    if original is None or original.alpha is None:
        return base_color
    return np.dstack([base_color, original.alpha])


def read_kept_texels(path: Path, original: Original) -> dict[str, Any]:
    """What of the original is in the written texture, measured there."""
    kept = measure_kept_texels(path, original.pixels, original.may_change)
    return {"edit": {"texels_that_may_change": int(original.may_change.sum()), **kept}}


def canvas_files(
    mesh_path: Path,
    canvas: Canvas,
    pngs: Mapping[int, bytes],
    outputs: Mapping[str, str],
    edited: bool,
    shape: Mesh | None,
    normal_maps: Mapping[int, bytes],
) -> dict[str, bytes]:
    """Write the mesh files of a painting; see `mesh_file_contents`."""
    uv_kept, names = bool(canvas.uv_kept.all()), canvas.material_names
    return mesh_file_contents(
        mesh_path, canvas.mesh, uv_kept, pngs, outputs, edited, shape, names, normal_maps
    )


def copy_kept_files(folder: Path, canvas: Canvas, outputs: dict[str, str]) -> None:
    """Copy the images that an OBJ painted in part goes on showing."""
    for number, source in enumerate(canvas.kept_files.values()):
        if kept_key(number) in outputs:
            write_outputs(folder, outputs, {kept_key(number): source.read_bytes()})


def describe_textures(
    canvas: Canvas, baked: Sequence[TextureMaps], outputs: Mapping[str, str]
) -> list[dict[str, Any]]:
    """What run.json says about every texture."""
    return [
        {
            "file": outputs[texture_key(number)],
            "materials": list(slot.materials),
            "uv_source": slot.uv_source,
            "shared_fraction": round(slot.shared_fraction, 4),
            "outside_fraction": round(slot.outside_fraction, 4),
            "texels": maps.texels,
            "unseen_texels": maps.unseen_texels,
        }
        for number, (slot, maps) in enumerate(zip(canvas.slots, baked, strict=True))
    ]


def write_outputs(folder: Path, outputs: dict[str, str], contents: dict[str, bytes]) -> None:
    """Write files under their names, each at once or not at all."""
    for key, content in contents.items():
        path = folder / outputs[key]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomically(path, content)


def read_damage(
    folder: Path,
    names: list[str],
    mesh_path: Path,
    mesh: Mesh,
    uv_kept: NDArray[np.bool_] | bool,
    shape: Mesh | None,
) -> dict[str, Any]:
    """Compares every written mesh file with the input; if one is damaged, deletes them all."""
    try:
        old = load_mesh(mesh_path)
        return {
            name: measure_damage(mesh_path, folder / name, mesh, uv_kept, shape, old)
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
    base_colors: Mapping[int, NDArray[np.uint8]],
    pngs: Mapping[int, bytes],
    name: str,
    normal_maps: Mapping[int, NDArray[np.uint8]],
) -> list[str]:
    """Write the textures and what shows the object; return warnings.

    Args:
        folder: Of the result.
        outputs: Names of all files by their keys; a film that cannot be made is taken out.
        fitted: Fitted to the unit sphere, in the shape that was painted, upright.
        mesh: The same in the size of the file.
        base_colors: By the number of the texture, uint8[rows, columns, 3], row 0 on top; those with
            a negative number were not painted.
        pngs: The same as files, perhaps with an alpha.
        name: Of the object.
        normal_maps: Likewise, of those textures that have one.
    """
    frames, warnings = turntable_frames(fitted, base_colors, normal_maps), []
    names = {number: Path(outputs[texture_key(number)]).stem for number in pngs if number >= 0}
    pictures = {texture_key(number): png for number, png in pngs.items() if number >= 0} | {
        "preview": preview_png(fitted, base_colors, names, normal_maps),
        "turntable": turntable_gif(frames),
        "viewer": viewer_html(mesh, base_colors, name, normal_maps),
    }
    if "film" in outputs:
        try:
            pictures["film"] = turntable_mp4(frames)
        except TexcsdError as error:
            del outputs["film"]
            warnings.append(str(error))
    write_outputs(folder, outputs, pictures)
    return warnings
