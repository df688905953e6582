"""The mesh as the file has it, and what painting needs of it: normals, fitting, sampling."""

import dataclasses
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from texcsd.errors import TexcsdError
from texcsd.geometry.file_part import FilePart, GltfSource
from texcsd.geometry.mesh_files import read_parts
from texcsd.geometry.normals import face_normals, leave_out_unused, smooth_normals


@dataclass(frozen=True)
class Part:
    """One mesh instance of the file: a run of faces."""

    name: str
    first_face: int
    face_count: int
    source: GltfSource | None = None
    """Where in a glTF file it comes from."""


@dataclass(frozen=True)
class Mesh:
    """Triangles with separate indices for positions, uv and normals.

    Degenerate faces and unused vertices of the file are kept.
    """

    vertices: Tensor
    """float[vertex, 3]: float64 in the file's pose as loaded, float32 after fit_to_unit_sphere."""
    faces: Tensor
    """int64[face, 3] into vertices; polygons are triangulated."""
    uv: Tensor | None
    """float32[texture_vertex, 2], origin bottom-left (v up)."""
    uv_faces: Tensor | None
    """int64[face, 3] into uv."""
    normals: Tensor
    """float32[normal, 3], unit."""
    normal_faces: Tensor
    """int64[face, 3] into normals."""
    parts: tuple[Part, ...]
    """Every mesh instance of the file, in order; together they cover all faces."""
    polygons: Tensor | None = None
    """int64[face], ascending: the polygon of the file each triangle was cut from; None if each is
    one."""
    textures: Tensor | None = None
    """int64[face], the number of the texture that each face shows, negative for one that is not
    painted; None if all show number 0."""

    def to(self, device: torch.device | str) -> "Mesh":
        """Return the same mesh with every tensor on the device."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        tensors = {name: value for name, value in fields.items() if name != "parts"}
        return replace(self, **{k: None if t is None else t.to(device) for k, t in tensors.items()})

    def texture_numbers(self) -> Tensor:
        """int64[face], `textures` also where all show number 0."""
        return torch.zeros_like(self.faces[:, 0]) if self.textures is None else self.textures


def load_mesh(path: str | Path) -> Mesh:
    """Load OBJ, GLB, glTF, PLY, STL or OFF as one mesh in the pose the file gives.

    Positions and their order are the file's, bit for bit where no node transforms them; nothing is
    merged. Only STL, which cannot share vertices, is welded by exact position. The instances of a
    scene follow each other, each with its name in `parts`. Textures are not opened.

    Normals are the file's where all of a part's are finite and agree with its faces, otherwise
    smoothed over edges of less than 40 degrees, also across vertices that are repeated.
    Where only some faces have uv, the others have three equal uv: no area in the texture.

    Raises:
        TexcsdError: The file cannot be read or has no surface that can be painted.
    """
    path = Path(path)
    parts = read_parts(path)
    vertices, faces = _join([(part.vertices, part.faces) for part in parts])
    if not face_normals(vertices, faces)[1].any():
        raise TexcsdError(
            f"{path}: all {len(faces):,} faces have zero area, there is no surface to paint; "
            "check the export (a scale of 0, or all vertices in one place)."
        )
    uv, uv_faces = _join_uv(parts)
    normals, normal_faces = _join([_part_normals(part) for part in parts])
    return Mesh(
        vertices=torch.from_numpy(vertices),
        faces=torch.from_numpy(faces),
        uv=uv,
        uv_faces=uv_faces,
        normals=torch.from_numpy(normals),
        normal_faces=torch.from_numpy(normal_faces),
        parts=_part_table(parts),
        polygons=_join_polygons(parts),
    )


def with_faces(mesh: Mesh, faces: Tensor) -> Mesh:
    """Return the mesh with some of its faces alone, and without parts.

    Args:
        mesh: Any.
        faces: int64[chosen], or bool[face].
    """
    chosen = faces.to(mesh.faces.device)
    names = ("faces", "uv_faces", "normal_faces", "polygons", "textures")
    tensors = {name: getattr(mesh, name) for name in names}
    return replace(
        mesh, parts=(), **{k: None if t is None else t[chosen] for k, t in tensors.items()}
    )


def fit_to_unit_sphere(mesh: Mesh) -> Mesh:
    """Return the mesh in float32, its box centred at the origin, its farthest vertex at radius 1.

    Only vertices that faces use count. Everything but the vertices is shared with the input.
    """
    centre, radius = bounding_sphere(mesh)
    return replace(mesh, vertices=((mesh.vertices.double() - centre) / radius).float())


def bounding_sphere(mesh: Mesh) -> tuple[Tensor, Tensor]:
    """The centre of the mesh's box, float64[3], and from there the distance of its farthest vertex.

    Only vertices that faces use count.
    """
    used = mesh.vertices.double()[mesh.faces.unique()]
    centre = (used.amin(0) + used.amax(0)) / 2
    return centre, torch.linalg.vector_norm(used - centre, dim=1).max()


def enclosed_volume(mesh: Mesh) -> float:
    """Of a closed mesh, in its units; of an open one, that between its faces and its middle."""
    corners = mesh.vertices.double()[mesh.faces]
    corners = corners - corners.mean((0, 1))
    return abs(float((corners[:, 0] * _crosses(corners)).sum()) / 6)


class SurfaceSampler:
    """Draws points of a mesh, uniformly by area; what that takes is computed once."""

    def __init__(self, mesh: Mesh) -> None:
        """Takes a mesh of any scale on the CPU; the points have the dtype of its vertices."""
        self.mesh = mesh
        normals, areas = face_normals(mesh.vertices.double().numpy(), mesh.faces.numpy())
        self.normals = torch.from_numpy(normals)
        """float64[face, 3], unit."""
        self.cumulative_areas = torch.from_numpy(areas.cumsum())
        """float64[face], the area of each face and all before it."""

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draws points.

        Args:
            count: Number of points.
            generator: Source of all randomness.

        Returns:
            Positions float[count, 3] and unit normals of their faces float[count, 3].
        """
        mesh, cumulative = self.mesh, self.cumulative_areas
        numbers = torch.rand(count, 3, generator=generator, dtype=torch.float64)
        chosen = torch.searchsorted(cumulative, numbers[:, 0] * cumulative[-1], right=True)
        chosen = chosen.clamp(max=len(cumulative) - 1)
        root = numbers[:, 1].sqrt()
        weights = torch.stack([1 - root, root * (1 - numbers[:, 2]), root * numbers[:, 2]], dim=1)
        positions = (mesh.vertices[mesh.faces[chosen]].double() * weights[:, :, None]).sum(1)
        return positions.to(mesh.vertices.dtype), self.normals[chosen].to(mesh.vertices.dtype)


def is_inside_out(mesh: Mesh) -> bool:
    """Tell whether the front sides of the mesh as a whole look inwards."""
    corners = mesh.vertices.double()[mesh.faces]
    crosses = _crosses(corners)
    doubled_areas = torch.linalg.vector_norm(crosses, dim=1)
    # Whether they enclose a clearly negative volume about their centre of area.
    centre = (corners.mean(1) * doubled_areas[:, None]).sum(0) / doubled_areas.sum()
    six_volumes = ((corners[:, 0] - centre) * crosses).sum()
    return bool(six_volumes < -1e-3 * doubled_areas.sum() ** 1.5)


def _crosses(corners: Tensor) -> Tensor:
    """Normals float[face, 3] of float[face, 3, 3], as long as twice the area."""
    return torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def _join(
    pairs: list[tuple[NDArray[Any], NDArray[np.int64]]],
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Put values and the faces that index them one after the other; shared values stand once."""
    starts: dict[int, int] = {}
    values, faces, count = [], [], 0
    for value, face in pairs:
        if id(value) not in starts:
            starts[id(value)] = count
            values.append(value)
            count += len(value)
        faces.append(face + starts[id(value)])
    return np.concatenate(values), np.concatenate(faces)


def _join_uv(parts: list[FilePart]) -> tuple[Tensor | None, Tensor | None]:
    pairs = [
        (part.uv, part.uv_faces)
        for part in parts
        if part.uv is not None and part.uv_faces is not None
    ]
    if not pairs:
        return None, None
    uv = pairs[0][0]
    pairs = [
        (uv, np.zeros_like(part.faces))
        if part.uv is None or part.uv_faces is None
        else (part.uv, part.uv_faces)
        for part in parts
    ]
    uv, uv_faces = _join(pairs)
    return torch.from_numpy(uv.astype(np.float32)), torch.from_numpy(uv_faces)


def _join_polygons(parts: list[FilePart]) -> Tensor | None:
    joined, count = [], 0
    for part in parts:
        if part.polygons is None:
            return None
        joined.append(part.polygons + count)
        count += int(part.polygons[-1]) + 1
    return torch.from_numpy(np.concatenate(joined))


def _part_normals(part: FilePart) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the file's normals when they are finite, not zero and agree with the faces."""
    if part.normals is None or part.normal_faces is None:
        return smooth_normals(part.vertices, part.faces)
    normals, normal_faces = leave_out_unused(part.normals, part.normal_faces)
    lengths = np.linalg.norm(normals, axis=1)
    sound = np.isfinite(lengths) & (lengths > 1e-6)
    unit = np.where(sound[:, None], normals, [0.0, 1.0, 0.0])
    unit = unit / np.where(sound, lengths, 1.0)[:, None]
    flat, areas = face_normals(part.vertices, part.faces)
    agreement = np.abs((unit[normal_faces] * flat[:, None]).sum(axis=2)).mean(axis=1)
    if not sound[normal_faces].all() or (agreement * areas).sum() < 0.7 * areas.sum():
        return smooth_normals(part.vertices, part.faces)
    return unit.astype(np.float32), normal_faces


def _part_table(parts: list[FilePart]) -> tuple[Part, ...]:
    counts = [len(part.faces) for part in parts]
    starts = np.cumsum([0, *counts[:-1]])
    return tuple(
        Part(part.name, int(start), count, part.source)
        for part, start, count in zip(parts, starts, counts, strict=True)
    )
