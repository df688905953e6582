"""The shape of a mesh refined before it is painted, and what that has done to it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from texcsd.geometry.mesh import Mesh, bounding_sphere, enclosed_volume
from texcsd.geometry.upright import turn_mesh, upright_rotation
from texcsd.guidance.score import Denoiser
from texcsd.output.preview import shape_png
from texcsd.progress import Progress, StepListener
from texcsd.refinement import refine
from texcsd.rendering.outlines import outline_overlap
from texcsd.settings import PaintSettings


@dataclass(frozen=True)
class Displaced:
    """A mesh whose vertices were displaced, and what is known about it."""

    fitted: Mesh
    """In the frame of the input fitted to the unit sphere, and so perhaps a little beyond it."""
    shape: Mesh
    """In the pose of the file."""
    report: dict[str, float]
    picture: bytes
    """A PNG, before and after."""
    seconds: float
    warnings: list[str]


def displace(
    mesh: Mesh,
    fitted: Mesh,
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
        denoiser: Decides what matches the prompt.
        settings: Everything the user chose.
        device: Where to compute.
        checkpoint: The file that holds the refinement, unfinished or finished.
        progress: Told after every step.
    """
    started = time.perf_counter()
    with progress.of_another_stage(settings.displace_steps) as own:
        displacement = refine(fitted.to(device), denoiser, settings, checkpoint, own)
    after, rotation = displacement.apply(fitted, 1.0), upright_rotation(*settings.axes)
    return Displaced(
        fitted=after,
        shape=displacement.apply(mesh, float(bounding_sphere(mesh)[1])),
        report=_describe_shape(fitted, after),
        picture=shape_png(turn_mesh(fitted, rotation), turn_mesh(after, rotation)),
        seconds=time.perf_counter() - started,
        warnings=_coarseness(displacement.edge_length, settings),
    )


def _coarseness(edge_length: float, settings: PaintSettings) -> list[str]:
    if edge_length <= 2 * settings.displace_detail:
        return []
    return [
        f"the edges of the mesh are {edge_length:.2g} radii long on average, too long for relief of"
        f" {settings.displace_detail:g}; subdivide it for finer relief"
    ]


def _describe_shape(before: Mesh, after: Mesh) -> dict[str, float]:
    """How far the displaced mesh is from the input; lengths in radii of the object."""
    used = before.faces.unique()
    moved = torch.linalg.vector_norm((after.vertices - before.vertices)[used].double(), dim=1)
    overlap, least_overlap = outline_overlap(before, after)
    volumes = enclosed_volume(before), enclosed_volume(after)
    return {
        "mean_displacement": moved.mean().item(),
        "q99_displacement": moved.quantile(0.99).item(),
        "max_displacement": moved.max().item(),
        "outline_overlap": overlap,
        "least_outline_overlap": least_overlap,
        "volume_ratio": volumes[1] / volumes[0] if volumes[0] else 1.0,
    }
