"""Which faces go into which texture: one for every material that has usable uv of its own.

Materials that showed one image go on sharing one. Those whose uv cannot be painted through are
unwrapped, all of them into one atlas, which is one more texture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from texcsd.errors import TexcsdError
from texcsd.geometry.file_materials import Materials
from texcsd.geometry.instances import first_parts, repeat_uv, without_repeats
from texcsd.geometry.mesh import Mesh, with_faces
from texcsd.geometry.uv_atlas import UvReport, ensure_uv, inspect_uv, keeps_uv, warnings_about_uv

MOST_TEXELS = 8192**2
"""Of all textures together: what the largest single one has."""
BASE_COLOR = "base_color"
"""Name of the only texture, or of one for faces without a material."""


@dataclass(frozen=True)
class TextureSlot:
    """One texture to paint."""

    name: str
    materials: tuple[str, ...]
    """Names of the materials of its faces; those without one are left out."""
    uv_source: str
    """As `ensure_uv` gives it: "input" where uv were kept."""
    shared_fraction: float
    """Of its texels that faces cover, how many several do; 0 of a new atlas."""
    outside_fraction: float
    """Of its surface, how much lies outside [0, 1], where the texture repeats."""


@dataclass(frozen=True)
class TextureLayout:
    """The uv to paint through, and the textures they lead to."""

    mesh: Mesh
    """With these uv, and the numbers of the textures: -1 for what is not painted and wears no
    material, -2 - n where that is material n."""
    slots: list[TextureSlot]
    """By number."""
    warnings: list[str]


def lay_out_textures(
    mesh: Mesh,
    materials: Materials,
    per_material: Literal["auto", "on", "off"],
    unwrap: Literal["auto", "always", "never"],
    texture_size: int,
    chosen: NDArray[np.bool_] | None = None,
) -> TextureLayout:
    """Decide which textures there are to be, and give the mesh the uv for them.

    Args:
        mesh: As loaded.
        materials: Of its faces.
        per_material: "off" puts all into one texture; with "auto" that is so, too, where there
            would be more texels than the largest texture has.
        unwrap: As for `ensure_uv`.
        texture_size: Side of every texture in texels.
        chosen: bool[face], those to paint; the others keep what they have. None for all.

    Raises:
        TexcsdError: uv are to be kept that cannot be, or there would be too many texels.
    """
    groups, members = _group_faces(materials, len(mesh.faces), per_material)
    if len(members) == 1 and chosen is None:
        return _one_texture(mesh, members[0], unwrap, texture_size)
    groups = groups if chosen is None else np.where(chosen, groups, -1)
    once = without_repeats(replace(mesh, textures=torch.from_numpy(groups)))
    reports = {
        group: inspect_uv(with_faces(once, once.texture_numbers() == group))
        for group in np.unique(groups[groups >= 0]).tolist()
    }
    kept = [
        group
        for group, report in reports.items()
        if unwrap != "always" and keeps_uv(report, unwrap)
    ]
    count = len(kept) + (len(kept) < len(reports))
    if count > 1 and count * texture_size**2 > MOST_TEXELS:
        text = f"{count} textures of {texture_size} x {texture_size}"
        if per_material == "on":
            raise TexcsdError(
                f"{text} are too many; lower --texture-size, or choose --per-material off"
            )
        layout = lay_out_textures(mesh, materials, "off", unwrap, texture_size, chosen)
        text += " would be too many: all materials share one; lower --texture-size to change that"
        return replace(layout, warnings=[text, *layout.warnings])
    warnings = [
        f"{_name(members[group])} was unwrapped because {report.reason}."
        for group, report in reports.items()
        if group not in kept and unwrap != "always" and report.present
    ]
    if not kept and chosen is None:
        everything = tuple(name for names in members for name in names)
        layout = _one_texture(mesh, everything, "always", texture_size)
        return replace(layout, warnings=warnings + layout.warnings)
    slots = []
    for group in kept:
        warnings += [
            f"{_name(members[group])}: {text}" for text in warnings_about_uv(reports[group])
        ]
        slots.append(_slot(_name(members[group]), members[group], "input", reports[group]))
    number_of = {group: number for number, group in enumerate(kept)}
    rest = [group for group in reports if group not in kept]
    if rest:
        once, source, notes = _unwrap_groups(once, rest, texture_size)
        warnings += notes
        number_of |= dict.fromkeys(rest, len(slots))
        names = tuple(name for group in rest for name in members[group])
        slots.append(_slot("atlas" if len(rest) > 1 else _name(names), names, source, None))
    numbers = [
        number_of.get(group, -2 - material)
        for group, material in zip(groups.tolist(), materials.of_faces.tolist(), strict=True)
    ]
    laid_out = replace(repeat_uv(mesh, once), textures=torch.tensor(numbers), parts=mesh.parts)
    return TextureLayout(laid_out, _with_unique_names(slots), warnings)


def refuse_shared_primitives(path: Path, mesh: Mesh, chosen: NDArray[np.bool_]) -> None:
    """Raise if a primitive is to be painted that another node shows and that one is not to be."""
    for number, first in enumerate(first_parts(mesh)):
        part, other = mesh.parts[number], mesh.parts[first]
        if chosen[part.first_face] != chosen[other.first_face]:
            raise TexcsdError(
                f"{path}: {part.name} and {other.name} show the same geometry, so that one cannot "
                "be painted without the other; choose both by the name of their material"
            )


def _group_faces(
    materials: Materials, face_count: int, per_material: str
) -> tuple[NDArray[np.int64], list[tuple[str, ...]]]:
    """Number the images that faces show, int64[face], and name the materials of each."""
    groups, members = np.zeros(face_count, np.int64), []
    known: dict[str, int] = {}
    for number in dict.fromkeys(materials.of_faces.tolist()):
        image = materials.images[number] if number >= 0 else None
        key = f"material {number}" if image is None else f"image {image}"
        group = known.setdefault("all" if per_material == "off" else key, len(known))
        members += [()] if group == len(members) else []
        members[group] += (materials.names[number],) if number >= 0 else ()
        groups[materials.of_faces == number] = group
    return groups, members


def _one_texture(
    mesh: Mesh,
    materials: tuple[str, ...],
    unwrap: Literal["auto", "always", "never"],
    texture_size: int,
) -> TextureLayout:
    laid_out, source, notes = ensure_uv(mesh, unwrap, texture_size)
    report = inspect_uv(without_repeats(laid_out)) if source == "input" else None
    slot = _slot(BASE_COLOR, materials, source, report)
    return TextureLayout(laid_out, [slot], notes)


def _unwrap_groups(mesh: Mesh, groups: list[int], texture_size: int) -> tuple[Mesh, str, list[str]]:
    """Give the faces of these groups new uv in one texture, after all that there are."""
    chosen = torch.isin(mesh.texture_numbers(), torch.tensor(groups))
    unwrapped, source, notes = ensure_uv(with_faces(mesh, chosen), "always", texture_size)
    assert unwrapped.uv is not None and unwrapped.uv_faces is not None
    if mesh.uv is None or mesh.uv_faces is None:
        uv, uv_faces = torch.zeros(0, 2), torch.zeros_like(mesh.faces)
    else:
        uv, uv_faces = mesh.uv, mesh.uv_faces.clone()
    uv_faces[chosen] = unwrapped.uv_faces + len(uv)
    used, uv_faces = uv_faces.unique(return_inverse=True)
    return replace(mesh, uv=torch.cat([uv, unwrapped.uv])[used], uv_faces=uv_faces), source, notes


def _name(materials: tuple[str, ...]) -> str:
    return materials[0] if materials and materials[0] else BASE_COLOR


def _slot(
    name: str, materials: tuple[str, ...], source: str, report: UvReport | None
) -> TextureSlot:
    shared = report.overlap_fraction if report else 0.0
    return TextureSlot(name, materials, source, shared, report.outside_fraction if report else 0.0)


def _with_unique_names(slots: list[TextureSlot]) -> list[TextureSlot]:
    """Number the names that occur before, as in skin, skin_2."""
    taken: dict[str, Any] = {}
    for slot in slots:
        name, number = slot.name, 1
        while name in taken:
            number += 1
            name = f"{slot.name}_{number}"
        taken[name] = replace(slot, name=name)
    return [*taken.values()]
