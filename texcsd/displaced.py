"""The shape of a mesh refined before it is painted, and what that has done to it.

The relief is worked out on a mesh whose faces were cut small enough for it. Vertices of the user's
mesh take what they can show of it, and a normal map the rest.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from texcsd.canvas import Canvas
from texcsd.geometry.displacement import Displacement
from texcsd.geometry.gltf_document import open_document
from texcsd.geometry.mesh import Mesh, bounding_sphere, enclosed_volume
from texcsd.geometry.subdivision import MOST_FACES, Subdivision, subdivide
from texcsd.geometry.upright import turn_mesh, upright_rotation
from texcsd.guidance.score import Denoiser
from texcsd.output.gltf_patch import with_own_normals
from texcsd.output.normal_maps import bake_normal_maps, bake_normals_by_uv
from texcsd.output.preview import shape_png
from texcsd.progress import Progress, StepListener
from texcsd.refinement import refine
from texcsd.rendering.outlines import outline_overlap
from texcsd.settings import PaintSettings

LONGEST_EDGE = 1.5
"""Of the faces that relief is worked out on, in sizes of its finest detail."""
MOST_SHARED = 0.01
"""Of a texture that gets a normal map, what several faces may show: their relief differs."""


@dataclass(frozen=True)
class Relief:
    """Where the relief of a mesh is to be worked out, and which textures get a normal map of it."""

    subdivision: Subdivision
    """Of the mesh fitted to the unit sphere."""
    normal_maps: list[int]
    """By the numbers of the textures."""
    warnings: list[str]


@dataclass(frozen=True)
class Displaced:
    """A mesh whose vertices were displaced, and what is known about it."""

    fitted: Mesh
    """In the frame of the input fitted to the unit sphere, and so perhaps a little beyond it."""
    finer: Mesh
    """The same with all of the relief, in smaller faces; to be painted."""
    shape: Mesh
    """In the pose of the file."""
    normal_maps: dict[int, NDArray[np.uint8]]
    """By the number of the texture, what the finer one has and the mesh has not."""
    report: dict[str, float]
    picture: bytes
    """A PNG, before and after."""
    seconds: float
    warnings: list[str]


def plan_relief(mesh_path: Path, canvas: Canvas, fitted: Mesh, settings: PaintSettings) -> Relief:
    """Cut the faces small enough for the relief, and see where there may be normal maps of it.

    Args:
        mesh_path: The input.
        canvas: What is painted on.
        fitted: Its mesh, fitted to the unit sphere.
        settings: Everything the user chose.
    """
    subdivision = subdivide(fitted, LONGEST_EDGE * settings.displace_detail)
    if len(subdivision.parents) == len(fitted.faces):
        return Relief(subdivision, [], [])
    numbers, warnings = list(range(len(canvas.slots))), []
    shared = [n for n in numbers if canvas.slots[n].shared_fraction > MOST_SHARED]
    own = set[int]()
    if mesh_path.suffix.lower() in (".glb", ".gltf"):
        own = with_own_normals(open_document(mesh_path), canvas.mesh)
    for unfit, reason in (
        (shared, "several faces show the same texels"),
        (sorted(own - {*shared}), "its normal map, tangents or texture transform stay"),
    ):
        names = ", ".join(canvas.slots[number].name for number in unfit)
        if unfit:
            warnings.append(f"{names}: relief finer than the faces is left out, because {reason}")
    fit = [number for number in numbers if number not in own and number not in shared]
    return Relief(subdivision, fit, warnings)


def displace(
    mesh: Mesh,
    fitted: Mesh,
    relief: Relief,
    denoiser: Denoiser,
    settings: PaintSettings,
    device: str,
    checkpoint: Path,
    progress: Progress | StepListener,
) -> Displaced:
    """Refine the shape of a mesh, going on from a checkpoint if there is one.

    Args:
        mesh: In the pose of the file.
        fitted: The same, fitted to the unit sphere.
        relief: Planned for it.
        denoiser: Decides what matches the prompt.
        settings: Everything the user chose.
        device: Where to compute.
        checkpoint: The file that holds the refinement, unfinished or finished.
        progress: Told after every step.
    """
    started = time.perf_counter()
    finer = relief.subdivision.mesh
    with progress.of_another_stage(settings.displace_steps) as own:
        displacement, warnings = refine(finer.to(device), denoiser, settings, checkpoint, own)
    of_vertices = _of_vertices(fitted, relief.subdivision, displacement, settings)
    after, rotation = of_vertices.apply(fitted, 1.0), upright_rotation(*settings.axes)
    finer, numbers = displacement.apply(finer, 1.0), relief.normal_maps
    size = settings.texture_size
    normal_maps = bake_normal_maps(
        [after, finer], numbers, lambda one, other: bake_normals_by_uv(one, other, size)
    )
    return Displaced(
        fitted=after,
        finer=finer,
        shape=of_vertices.apply(mesh, float(bounding_sphere(mesh)[1])),
        normal_maps=normal_maps,
        report=_describe_shape(fitted, after, finer),
        picture=shape_png(turn_mesh(fitted, rotation), turn_mesh(after, rotation), normal_maps),
        seconds=time.perf_counter() - started,
        warnings=warnings + _coarseness(displacement.edge_length, settings),
    )


def _of_vertices(
    fitted: Mesh, subdivision: Subdivision, displacement: Displacement, settings: PaintSettings
) -> Displacement:
    """What the vertices of the mesh itself can show of a displacement of its smaller faces."""
    if len(subdivision.parents) == len(fitted.faces):
        return displacement
    of_vertices = Displacement(fitted, settings.displace, settings.displace_detail)
    heights = displacement.heights.detach()[displacement.place].cpu()
    of_vertices.follow(subdivision.means(heights, of_vertices.faces, len(of_vertices.rest)))
    return of_vertices


def _coarseness(edge_length: float, settings: PaintSettings) -> list[str]:
    if edge_length <= 2 * settings.displace_detail:
        return []
    return [
        f"faces cut into {MOST_FACES:,} still have edges of {edge_length:.2g} radii on average, too"
        f" long for relief of {settings.displace_detail:g}; raise --displace-detail"
    ]


def _describe_shape(before: Mesh, after: Mesh, finer: Mesh) -> dict[str, float]:
    """How far the displaced mesh is from the input; lengths in radii of the object."""
    used = before.faces.unique()
    moved = torch.linalg.vector_norm((after.vertices - before.vertices)[used].double(), dim=1)
    overlap, least_overlap = outline_overlap(before, after)
    volumes = enclosed_volume(before), enclosed_volume(after)
    return {
        "mean_displacement": moved.mean().item(),
        "q99_displacement": moved.quantile(0.99).item(),
        "max_displacement": moved.max().item(),
        "faces_worked_on": len(finer.faces),
        "outline_overlap": overlap,
        "least_outline_overlap": least_overlap,
        "volume_ratio": volumes[1] / volumes[0] if volumes[0] else 1.0,
    }
