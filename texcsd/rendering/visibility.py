"""What of a mesh is seen: its faces by cameras, and points from afar. On the CPU."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from texcsd.geometry.kernel import kernel
from texcsd.geometry.mesh import Mesh
from texcsd.geometry.normals import face_normals, weld_vertices
from texcsd.rendering import operations
from texcsd.rendering.cameras import Cameras, look_at

FEW_PIXELS = 8.0
"""A face that covers fewer may lie between the pixel centres, and is judged by its middle."""
DEPTH_TOLERANCE = 0.5
"""In pixels: how far what is seen may lie behind the plane of the face that its pixel shows. On a
finely meshed bulge the neighbour's plane passes above it by about that."""


def count_views(mesh: Mesh, cameras: Cameras, size: int) -> NDArray[np.int64]:
    """Count for every face the views that see some of it, int64[face].

    Both sides count, as in painting. Small faces that no pixel centre falls upon count where their
    middle is not hidden, and faces that repeat another are seen with it. Faces without area are
    never seen.

    Args:
        mesh: Fits the unit sphere, is on the CPU; needs no uv.
        cameras: On the CPU.
        size: Side of the views in pixels.
    """
    corners = mesh.vertices.float()[mesh.faces]
    middles = corners.mean(1)
    crosses = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    counts = np.zeros(len(mesh.faces), np.int64)
    for index in range(len(cameras)):
        counts += _seen(mesh, middles, crosses, cameras.one(index), size)
    return _with_repeats(mesh, counts)


def seen_from_afar(mesh: Mesh, points: Tensor, directions: Tensor, size: int) -> Tensor:
    """Tell which points of a mesh are not hidden by it, bool[point, direction].

    Both sides of a face can be seen, and hide what is behind them.

    Args:
        mesh: Fits the unit sphere, is on the CPU; needs no uv.
        points: float[point, 3], of its surface.
        directions: float[direction, 3], unit, towards an eye far away.
        size: Side of the views that decide, in pixels.
    """
    normals, _ = face_normals(mesh.vertices.double().numpy(), mesh.faces.numpy())
    planes = torch.from_numpy(normals).float(), mesh.vertices.float()[mesh.faces[:, 0]]
    seen = [_in_front(mesh, planes, points.float(), one, size) for one in directions.float()]
    return torch.stack(seen, 1)


def _in_front(
    mesh: Mesh, planes: tuple[Tensor, Tensor], points: Tensor, direction: Tensor, size: int
) -> Tensor:
    """bool[point]: those that no face, given by unit normal and a point, hides from a direction."""
    rotation = look_at(direction[None], torch.zeros(1, 3))[0, :3, :3]
    x, y, towards = (mesh.vertices.float() @ rotation).unbind(1)
    clip_positions = torch.stack([x, y, -towards, torch.ones_like(x)], 1)
    ids = operations.rasterize(clip_positions[None], mesh.faces, (size, size)).triangle_ids[0]
    column, row = ((points @ rotation[:, :2] + 1) / 2 * size).long().clamp(0, size - 1).unbind(1)
    shown = ids[row, column].long()
    normals, places = (of_faces[shown.clamp(min=0)] for of_faces in planes)
    facing = normals @ direction
    depth = torch.linalg.vecdot(normals, places - points) * facing.sign()
    return (shown < 0) | (depth <= DEPTH_TOLERANCE * 2 / size * facing.abs())


def _with_repeats(mesh: Mesh, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give faces with the same three places, of which pixels show one, its count."""
    places = weld_vertices(mesh.vertices.double().numpy())[1][mesh.faces.numpy()]
    same = weld_vertices(np.sort(places, axis=1).astype(np.float64))[1]
    most = np.zeros(len(counts), np.int64)
    np.maximum.at(most, same, counts)
    return most[same]


def _seen(
    mesh: Mesh, middles: Tensor, crosses: Tensor, camera: Cameras, size: int
) -> NDArray[np.bool_]:
    """Tell which faces one camera sees, bool[face]."""
    clip_positions = camera.clip_positions(mesh.vertices)
    ids = operations.rasterize(clip_positions, mesh.faces, (size, size)).triangle_ids[0].numpy()
    seen = np.zeros(len(mesh.faces), np.bool_)
    seen[ids[ids >= 0]] = True
    clip_middles = camera.clip_positions(middles)[0].numpy()
    pixel = float(camera.view_width) / size
    _add_small(
        seen, ids, clip_middles, middles.numpy(), crosses.numpy(), camera.eyes[0].numpy(), pixel
    )
    return seen


@kernel
def _add_small(seen, ids, clip_middles, middles, crosses, eye, pixel):
    """Mark the faces that cover few pixels and lie no deeper than what their pixel shows.

    Args:
        seen: bool[face], changed.
        ids: int32[size, size], the face at each pixel, -1 in the background.
        clip_middles: float32[face, 4], the middles as the camera projects them.
        middles: float32[face, 3].
        crosses: float32[face, 3], normals as long as twice the area.
        eye: float32[3].
        pixel: Side of a pixel where the camera looks at.
    """
    size = len(ids)
    for face in range(len(seen)):
        x, y, _, w = clip_middles[face]
        if seen[face] or w <= 0 or abs(x) >= w or abs(y) >= w:
            continue
        shown = ids[int((y / w + 1) / 2 * size), int((x / w + 1) / 2 * size)]
        if shown < 0:
            continue
        doubled_area = depth = facing = squared_distance = 0.0
        for axis in range(3):
            towards = eye[axis] - middles[face, axis]
            squared_distance += towards * towards
            doubled_area += crosses[face, axis] * towards
            facing += crosses[shown, axis] * towards
            depth += crosses[shown, axis] * (middles[shown, axis] - middles[face, axis])
        distance = np.sqrt(squared_distance)
        pixels = abs(doubled_area) / (2 * distance * pixel * pixel)
        # Along the line of sight, behind the plane of the face shown.
        in_front = depth * distance * np.sign(facing) <= DEPTH_TOLERANCE * pixel * abs(facing)
        seen[face] = 0 < pixels < FEW_PIXELS and in_front
