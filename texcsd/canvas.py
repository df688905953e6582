"""What is painted on: a mesh with uv, its textures, and the looks of what is not painted."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from texcsd.geometry.file_materials import (
    kept_materials,
    missing_libraries,
    named_faces,
    read_any_materials,
)
from texcsd.geometry.mesh import Mesh
from texcsd.geometry.names import readable
from texcsd.geometry.texture_layout import (
    BASE_COLOR,
    TextureSlot,
    lay_out_textures,
    refuse_shared_primitives,
)
from texcsd.original import Original, read_looks
from texcsd.result_folder import Unfinished
from texcsd.settings import PaintSettings


@dataclass(frozen=True)
class Canvas:
    """A mesh ready to be painted."""

    mesh: Mesh
    slots: list[TextureSlot]
    """By the number of the texture."""
    looks: dict[int, NDArray[np.uint8]]
    """By the negative numbers of textures that are not painted, uint8[rows, columns, 3]."""
    look_names: dict[int, str]
    """By these numbers, what the materials of the input are called."""
    kept_files: dict[str, Path]
    """Images of the input that an OBJ that is painted in part, or edited, goes on showing, by their
    names there."""
    warnings: list[str]

    @property
    def uv_kept(self) -> NDArray[np.bool_]:
        """bool[face], whether its uv are the input's."""
        numbers = self.mesh.texture_numbers().cpu().numpy()
        kept = np.array([slot.uv_source == "input" for slot in self.slots])
        return kept[numbers.clip(min=0)] | (numbers < 0)

    @property
    def uv_source(self) -> str:
        """Where the uv come from, such as "input" or "input and xatlas"."""
        return " and ".join(dict.fromkeys(slot.uv_source for slot in self.slots))

    @property
    def material_names(self) -> dict[int, str] | None:
        """Of new materials, by the number of the texture; None if there is one for all."""
        if self.mesh.textures is None:
            return None
        return self.look_names | {number: slot.name for number, slot in enumerate(self.slots)}


def lay_out(
    mesh_path: Path, mesh: Mesh, settings: PaintSettings, original: Original | None = None
) -> Unfinished:
    """Find the uv and the textures of a painting.

    Args:
        mesh_path: The input.
        mesh: As loaded.
        settings: Everything the user chose.
        original: For an editing, the texture it starts from.

    Raises:
        TexcsdError: The uv cannot be kept as asked, or nothing has the name in `only`.
    """
    started = time.perf_counter()
    if original is not None:
        mesh, slots, warnings = _edited(mesh_path, mesh, original), [_edited_slot(original)], []
    else:
        materials, chosen = read_any_materials(mesh_path, mesh), None
        if settings.only:
            chosen = named_faces(mesh_path, mesh, materials, settings.only)
            refuse_shared_primitives(mesh_path, mesh, chosen)
        size, per_material = settings.texture_size, settings.per_material
        layout = lay_out_textures(mesh, materials, per_material, settings.unwrap, size, chosen)
        mesh, slots, warnings = layout.mesh, layout.slots, layout.warnings
    assert mesh.uv is not None and mesh.uv_faces is not None
    tensors = {"uv": mesh.uv, "uv_faces": mesh.uv_faces}
    notes: dict[str, Any] = {
        "slots": [asdict(slot) for slot in slots],
        "warnings": warnings,
        "seconds": time.perf_counter() - started,
    }
    return Unfinished(
        tensors if mesh.textures is None else tensors | {"textures": mesh.textures}, notes
    )


def _edited(mesh_path: Path, mesh: Mesh, original: Original) -> Mesh:
    """With the number of the texture, and by their materials those of faces that show another."""
    if original.shown.all():
        return mesh
    others = -2 - read_any_materials(mesh_path, mesh).of_faces
    return replace(mesh, textures=torch.from_numpy(np.where(original.shown, 0, others)))


def _edited_slot(original: Original) -> TextureSlot:
    name = BASE_COLOR if original.shown.all() else original.materials[0]
    return TextureSlot(readable(name) or BASE_COLOR, original.materials, "input", 0.0, 0.0)


def make_canvas(mesh_path: Path, mesh: Mesh, unfinished: Unfinished, edited: bool) -> Canvas:
    """Put together what `lay_out` found with what the file shows besides.

    Args:
        mesh_path: The input.
        mesh: As given to `lay_out`.
        unfinished: What it returned, perhaps some time ago.
        edited: Whether materials keep all but their base colour.
    """
    mesh = replace(mesh, **unfinished.atlas)
    slots = [TextureSlot(**slot) for slot in unfinished.notes["slots"]]
    warnings = unfinished.notes["warnings"]
    obj, in_part = mesh_path.suffix.lower() == ".obj", bool((mesh.texture_numbers() < 0).any())
    base_colors = {name: "" for slot in slots for name in slot.materials} if edited else {}
    files: dict[str, Path] = {}
    if obj and (edited or in_part):
        files = kept_materials(mesh_path, base_colors).files
        warnings = warnings + [
            f'its material library "{name}" is not in its folder or below; of materials that are '
            "not painted, only the names come back"
            for name in missing_libraries(mesh_path)
        ]
    if not in_part:
        return Canvas(mesh, slots, {}, {}, files, warnings)
    materials = read_any_materials(mesh_path, mesh)
    looks, notes = read_looks(mesh_path, mesh, materials)
    names = {number: readable(materials.names[-2 - number]) for number in looks if number < -1}
    return Canvas(mesh, slots, looks, names, files, warnings + notes)
