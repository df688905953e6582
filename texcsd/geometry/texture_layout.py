"""Which faces go into which texture: one for every material that has usable uv of its own.

Materials that showed one image go on sharing one. Those whose uv cannot be painted through are
unwrapped, all of them into one atlas, which is one more texture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from texcsd.errors import TexcsdError
from texcsd.geometry.file_materials import Materials
from texcsd.geometry.instances import first_parts, repeat_uv, without_repeats
from texcsd.geometry.mesh import Mesh, with_faces
from texcsd.geometry.names import readable, unique_names
from texcsd.geometry.uv_atlas import UvReport, ensure_uv, inspect_uv, keeps_uv, warnings_about_uv

MOST_TEXELS = 8192**2
"""Of all textures together: what the largest single one has."""
BASE_COLOR = "base_color"
"""Name of the only texture, or of one for faces without a material."""
ATLAS = "atlas"
"""Name of the one for all materials that were unwrapped."""
Unwrap = Literal["auto", "always", "never"]


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


@dataclass(frozen=True)
class TextureGroup:
    """The faces that could have a texture of their own."""

    number: int
    materials: tuple[str, ...]
    report: UvReport
    kept: bool
    """Whether they keep their uv."""

    @property
    def name(self) -> str:
        """That of the first material."""
        return readable(self.materials[0]) if any(self.materials[:1]) else BASE_COLOR

    @property
    def warnings(self) -> list[str]:
        """What the user should know about their uv."""
        if self.kept:
            return [f"{self.name}: {text}" for text in warnings_about_uv(self.report)]
        reason = self.report.reason if self.report.present else None
        return [f"{self.name} was unwrapped because {reason}."] if reason else []


@dataclass(frozen=True)
class TexturePlan:
    """Which groups of faces keep their uv; the others will share an atlas."""

    once: Mesh
    """Without the parts that repeat another; its textures are the groups, -1 if not chosen."""
    of_faces: NDArray[np.int64]
    """int64[face] of the whole mesh, likewise."""
    groups: list[TextureGroup]
    warnings: list[str]

    @property
    def texture_count(self) -> int:
        """How many textures there will be."""
        kept = sum(group.kept for group in self.groups)
        return kept + (kept < len(self.groups))


def plan_textures(
    mesh: Mesh,
    materials: Materials,
    per_material: Literal["auto", "on", "off"],
    unwrap: Unwrap,
    texture_size: int,
    chosen: NDArray[np.bool_] | None = None,
) -> TexturePlan:
    """Decide which textures there are to be; for the arguments see `lay_out_textures`.

    Raises:
        TexcsdError: uv are to be kept that cannot be, or there would be too many texels.
    """
    of_faces, members = _group_faces(materials, chosen, per_material)
    once = without_repeats(replace(mesh, textures=torch.from_numpy(of_faces)))
    plan = TexturePlan(once, of_faces, _inspect_groups(once, members, unwrap), [])
    count = plan.texture_count
    if count == 1 or count * texture_size**2 <= MOST_TEXELS:
        return plan
    text = f"{count} textures of {texture_size} x {texture_size} are too many"
    if per_material == "on":
        raise TexcsdError(f"{text}; lower --texture-size, or choose --per-material off")
    text += ": all materials share one; lower --texture-size to give each its own"
    plan = plan_textures(mesh, materials, "off", unwrap, texture_size, chosen)
    return replace(plan, warnings=[text, *plan.warnings])


def lay_out_textures(
    mesh: Mesh,
    materials: Materials,
    per_material: Literal["auto", "on", "off"],
    unwrap: Unwrap,
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
    plan = plan_textures(mesh, materials, per_material, unwrap, texture_size, chosen)
    everything = tuple(name for group in plan.groups for name in group.materials)
    if chosen is None and len(plan.groups) == 1:
        layout = _one_texture(mesh, everything, unwrap, texture_size)
        return replace(layout, warnings=plan.warnings + layout.warnings)
    warnings = list(plan.warnings)
    if unwrap != "always":
        warnings += [text for group in plan.groups for text in group.warnings]
    if chosen is None and not any(group.kept for group in plan.groups):
        layout = _one_texture(mesh, everything, "always", texture_size)
        return replace(layout, warnings=warnings + layout.warnings)
    once, slots, number_of, notes = _slots(plan.once, plan.groups, texture_size)
    # What is not painted is numbered by its material.
    pairs = zip(plan.of_faces.tolist(), materials.of_faces.tolist(), strict=True)
    numbers = [number_of.get(group, -2 - material) for group, material in pairs]
    laid_out = replace(repeat_uv(mesh, once), textures=torch.tensor(numbers), parts=mesh.parts)
    return TextureLayout(laid_out, _with_unique_names(slots), warnings + notes)


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
    materials: Materials, chosen: NDArray[np.bool_] | None, per_material: str
) -> tuple[NDArray[np.int64], list[tuple[str, ...]]]:
    """Number the images that chosen faces show, int64[face], and name the materials of each."""
    of_faces = materials.of_faces
    groups, members = np.full(len(of_faces), -1), []
    chosen = np.ones(len(of_faces), bool) if chosen is None else chosen
    known: dict[str, int] = {}
    for number in dict.fromkeys(of_faces[chosen].tolist()):
        image = materials.images[number] if number >= 0 else None
        key = f"material {number}" if image is None else f"image {image}"
        group = known.setdefault("all" if per_material == "off" else key, len(known))
        members += [()] if group == len(members) else []
        members[group] += (materials.names[number],) if number >= 0 else ()
        groups[chosen & (of_faces == number)] = group
    return groups, members


def _inspect_groups(
    mesh: Mesh, members: list[tuple[str, ...]], unwrap: Unwrap
) -> list[TextureGroup]:
    """Decide for every group of faces, which are the textures of the mesh, about its uv."""
    found = []
    for number in mesh.texture_numbers().unique().tolist():
        if number >= 0:
            report = inspect_uv(with_faces(mesh, mesh.texture_numbers() == number))
            kept = unwrap != "always" and keeps_uv(report, unwrap)
            found.append(TextureGroup(number, members[number], report, kept))
    return found


def _one_texture(
    mesh: Mesh, materials: tuple[str, ...], unwrap: Unwrap, texture_size: int
) -> TextureLayout:
    laid_out, source, notes = ensure_uv(mesh, unwrap, texture_size)
    report = inspect_uv(without_repeats(laid_out)) if source == "input" else None
    return TextureLayout(laid_out, [_slot(BASE_COLOR, materials, source, report)], notes)


def _slots(
    once: Mesh, found: list[TextureGroup], texture_size: int
) -> tuple[Mesh, list[TextureSlot], dict[int, int], list[str]]:
    """Give a texture to each group that keeps its uv, and one to all others, which get new ones.

    Returns:
        The mesh with these uv, the textures, their numbers by those of the groups, and notes.
    """
    slots, number_of, notes = [], dict[int, int](), list[str]()
    for group in found:
        if group.kept:
            number_of[group.number] = len(slots)
            slots.append(_slot(group.name, group.materials, "input", group.report))
    rest = [group for group in found if not group.kept]
    if rest:
        once, source, notes = _unwrap_groups(once, [group.number for group in rest], texture_size)
        number_of |= {group.number: len(slots) for group in rest}
        materials = tuple(name for group in rest for name in group.materials)
        slots.append(_slot(rest[0].name if len(rest) == 1 else ATLAS, materials, source, None))
    return once, slots, number_of, notes


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


def _slot(
    name: str, materials: tuple[str, ...], source: str, report: UvReport | None
) -> TextureSlot:
    shared = report.overlap_fraction if report else 0.0
    return TextureSlot(name, materials, source, shared, report.outside_fraction if report else 0.0)


def _with_unique_names(slots: list[TextureSlot]) -> list[TextureSlot]:
    names = unique_names([slot.name for slot in slots])
    return [replace(slot, name=name) for slot, name in zip(slots, names, strict=True)]
