"""Parts that show the same glTF primitive: they share its coordinates, so they share their texels.

An instanced mesh stays instanced; to the atlas it is there once.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from texcsd.geometry.mesh import Mesh, Part, with_faces


def without_repeats(mesh: Mesh) -> Mesh:
    """Return the mesh without the parts that show a primitive that an earlier part shows."""
    return with_parts(mesh, [n for n, first in enumerate(first_parts(mesh)) if first == n])


def with_parts(mesh: Mesh, numbers: Sequence[int]) -> Mesh:
    """Return the mesh with the faces of these parts alone, in this order."""
    kept = [mesh.parts[number] for number in numbers]
    if len(kept) == len(mesh.parts):
        return mesh
    starts = torch.tensor([0, *(part.face_count for part in kept)]).cumsum(0).tolist()
    rows = torch.cat([torch.arange(*_span(part)) for part in kept])
    parts = tuple(
        replace(part, first_face=start) for part, start in zip(kept, starts, strict=False)
    )
    return replace(with_faces(mesh, rows), parts=parts)


def repeat_uv(mesh: Mesh, once: Mesh) -> Mesh:
    """Return the mesh with the uv of `once`, which is that mesh without its repeats."""
    if len(once.parts) == len(mesh.parts):
        return once
    shown = {part.source: part for part in once.parts if part.source is not None}
    by_place = {(source.mesh, source.primitive): part for source, part in shown.items()}
    uv_faces = [_uv_faces_for(part, by_place, once) for part in mesh.parts]
    return replace(mesh, uv=once.uv, uv_faces=torch.cat(uv_faces))


def first_parts(mesh: Mesh) -> list[int]:
    """Return for every part the number of the first that shows the same, mostly its own."""
    seen: dict[tuple[int, int], int] = {}
    return [
        number
        if part.source is None
        else seen.setdefault((part.source.mesh, part.source.primitive), number)
        for number, part in enumerate(mesh.parts)
    ]


def _uv_faces_for(part: Part, by_place: dict[tuple[int, int], Part], once: Mesh) -> Tensor:
    """Return int64[face, 3]; a mirroring node turns the corners of a face round."""
    assert part.source is not None and once.uv_faces is not None
    shown = by_place[part.source.mesh, part.source.primitive]
    assert shown.source is not None
    uv_faces = once.uv_faces[slice(*_span(shown))]
    return uv_faces.flip(1) if shown.source.mirrored != part.source.mirrored else uv_faces


def _span(part: Part) -> tuple[int, int]:
    return part.first_face, part.first_face + part.face_count
