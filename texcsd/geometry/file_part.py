"""What a mesh file holds, as plain arrays: the common result of every reader."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.normals import leave_out_unused


class DamagedFileError(ValueError):
    """The content of a file contradicts its format; the message says how, without the file."""


@dataclass(frozen=True)
class GltfSource:
    """The primitive of a glTF file that a part shows; several parts may show the same."""

    mesh: int
    primitive: int
    """Its number within the mesh."""
    mirrored: bool = False
    """Whether the part's node mirrors it, so that its faces are wound the other way round."""
    pose: NDArray[np.float64] | None = field(default=None, compare=False)
    """float64[4, 4], that of the part's node; None under a skin, which has many."""
    node_name: str = field(default="", compare=False)
    """What the part is called, but for the number that tells primitives of a node apart."""


@dataclass(frozen=True)
class FilePart:
    """One mesh instance of a file, in the file's pose."""

    name: str
    vertices: NDArray[np.float64]
    """float64[vertex, 3]."""
    faces: NDArray[np.int64]
    """int64[face, 3] into vertices."""
    uv: NDArray[np.float64] | None = None
    """float64[texture_vertex, 2], origin bottom-left."""
    uv_faces: NDArray[np.int64] | None = None
    """int64[face, 3] into uv."""
    normals: NDArray[np.float64] | None = None
    """float64[normal, 3] as the file has them: any length, perhaps nonsense."""
    normal_faces: NDArray[np.int64] | None = None
    """int64[face, 3] into normals."""
    source: GltfSource | None = None
    """None for a part of any other format."""
    polygons: NDArray[np.int64] | None = None
    """int64[face], ascending: the polygon of the file each triangle was cut from; None if each is
    one."""


def place_part(part: FilePart, matrix: NDArray[np.float64]) -> FilePart:
    """Bring a part into the pose its node gives it; a mirroring node turns the winding round."""
    if np.array_equal(matrix, np.eye(4)):
        return part
    linear = matrix[:3, :3]
    part = replace(part, vertices=part.vertices @ linear.T + matrix[:3, 3])
    mirrored = bool(np.linalg.det(linear) < 0)
    if part.normals is not None:
        # Cofactors are the inverse transpose without its division: flattening stays finite.
        rows = [np.cross(linear[(i + 1) % 3], linear[(i + 2) % 3]) for i in range(3)]
        part = replace(part, normals=part.normals @ np.stack(rows).T * (-1 if mirrored else 1))
    if not mirrored:
        return part
    return replace(
        part,
        faces=part.faces[:, ::-1],
        uv_faces=None if part.uv_faces is None else part.uv_faces[:, ::-1],
        normal_faces=None if part.normal_faces is None else part.normal_faces[:, ::-1],
        source=None if part.source is None else replace(part.source, mirrored=True),
    )


def without_unused(part: FilePart) -> FilePart:
    """Return the part with no more vertices, uv or normals than it has corners."""
    vertices, faces = leave_out_unused(part.vertices, part.faces)
    part = replace(part, vertices=vertices, faces=faces)
    if part.uv is not None and part.uv_faces is not None:
        uv, uv_faces = leave_out_unused(part.uv, part.uv_faces)
        part = replace(part, uv=uv, uv_faces=uv_faces)
    if part.normals is not None and part.normal_faces is not None:
        normals, normal_faces = leave_out_unused(part.normals, part.normal_faces)
        part = replace(part, normals=normals, normal_faces=normal_faces)
    return part


def check_indices(part: FilePart) -> FilePart:
    """Refuse faces without vertices; drop uv and normals that the faces refer to in vain."""
    wrong = part.faces[(part.faces < 0) | (part.faces >= len(part.vertices))]
    if len(wrong):
        raise DamagedFileError(
            f"a face refers to vertex number {int(wrong[0])} (counted from 0), but there are only "
            f"{len(part.vertices):,} vertices"
        )
    if not _within(part.uv_faces, part.uv):
        part = replace(part, uv=None, uv_faces=None)
    if not _within(part.normal_faces, part.normals):
        part = replace(part, normals=None, normal_faces=None)
    return part


def _within(faces: NDArray[np.int64] | None, values: NDArray[np.float64] | None) -> bool:
    if faces is None or values is None or len(faces) == 0:
        return False
    return int(faces.min()) >= 0 and int(faces.max()) < len(values)
