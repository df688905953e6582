"""From the user's mesh to one with another shape, and a file of it to be painted like any other.

Before anything is optimised it is measured how much of the mesh the tetrahedra can hold.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from texcsd.checkpoint import write_bytes_atomically
from texcsd.errors import TexcsdError
from texcsd.geometry.close_surface import CloseSurface
from texcsd.geometry.dmtet import (
    THINNEST,
    THINNEST_FOR_CUBES,
    DeepMarchingTetrahedra,
    cell_size,
    vertex_normals,
)
from texcsd.geometry.isosurface import choose_extraction
from texcsd.geometry.mesh import (
    Mesh,
    Part,
    SurfaceSampler,
    bounding_sphere,
    enclosed_volume,
    fit_to_unit_sphere,
)
from texcsd.geometry.remeshing import decimate, describe_topology, without_cavities
from texcsd.geometry.signed_distance import SignedDistance
from texcsd.guidance.score import Denoiser
from texcsd.output.normal_maps import bake_normals_by_place
from texcsd.output.obj import new_obj
from texcsd.output.preview import shape_png
from texcsd.progress import Progress, StepListener
from texcsd.refinement import optimize_shape
from texcsd.rendering.likeness import Likeness, Model
from texcsd.reshaping import Reshaping
from texcsd.settings import PaintSettings

LEAST_OVERLAP = 0.97
"""Of the outlines; with less the object is hardly the user's any more."""
MOST_LOST = 0.02
"""Of the visible surface of a part."""
MOST_PARTS_NAMED = 5


@dataclass(frozen=True)
class Start:
    """A mesh as tetrahedra hold it, before it is changed."""

    mesh: Mesh
    """As loaded."""
    fitted: Mesh
    model: Model
    """To compare with."""
    tetrahedra: DeepMarchingTetrahedra
    shape: Mesh
    """What the tetrahedra make of the mesh."""
    likeness: Likeness
    isosurface: str
    warnings: list[str]
    seconds: float


@dataclass(frozen=True)
class NewShape:
    """A mesh in its new shape, and what is known about it."""

    path: Path
    """An OBJ in the pose of the input, without uv."""
    finer: Mesh
    """With all the faces that were found, in the frame of the input fitted to the unit sphere."""
    report: dict[str, Any]
    picture: bytes
    """A PNG, before and after."""
    seconds: float
    warnings: list[str]


def hold(mesh: Mesh, settings: PaintSettings, device: str) -> Start:
    """Turn a mesh into signed distances, and see what is lost by that.

    Raises:
        TexcsdError: libigl or kaolin is needed and not installed; or the setting `strict` is on,
            and too much is lost.
    """
    started = time.perf_counter()
    isosurface, extract = choose_extraction(settings.isosurface)
    fitted, size = fit_to_unit_sphere(mesh), cell_size(settings.dmtet_resolution)
    thinnest = THINNEST_FOR_CUBES if isosurface == "flexicubes" else THINNEST
    distance = SignedDistance(fitted, thinnest * size)
    tetrahedra = DeepMarchingTetrahedra(
        distance,
        SurfaceSampler(fitted),
        settings.dmtet_resolution,
        settings.dmtet_strength,
        settings.displace_detail,
        extract,
        device,
    )
    model, shape = Model(fitted, distance), _extracted(tetrahedra)
    likeness = model.compare(shape, near=size)
    warnings = _losses(likeness, size)
    if settings.strict and warnings:
        raise TexcsdError(f"{warnings[0]} (refused because of --strict)")
    seconds = time.perf_counter() - started
    return Start(mesh, fitted, model, tetrahedra, shape, likeness, isosurface, warnings, seconds)


def make_new_shape(
    start: Start,
    denoiser: Denoiser,
    settings: PaintSettings,
    checkpoint: Path,
    path: Path,
    progress: Progress | StepListener,
) -> NewShape:
    """Optimise the shape, going on from a checkpoint if there is one, and write it to a file.

    Args:
        start: The mesh.
        denoiser: Decides what matches the prompt.
        settings: Everything the user chose.
        checkpoint: Where the state of the optimisation is, or is to be.
        path: Of the OBJ.
        progress: Told after every step.

    Raises:
        KeyboardInterrupt: Passed on.
        TexcsdError: The target for the number of faces cannot be met; or the setting `strict` is
            on, and too little is left of the outlines.
    """
    started = time.perf_counter()
    reshaping = Reshaping(start.tetrahedra, checkpoint)
    with progress.of_another_stage(settings.dmtet_steps) as own:
        steps = settings.dmtet_steps
        lost_views = optimize_shape(reshaping, steps, start.fitted, denoiser, settings, own)
    finer = _extracted(start.tetrahedra)
    shape = _reduced(finer, settings.target_faces)
    likeness = start.model.compare(shape, near=start.tetrahedra.cell_size)
    warnings = start.warnings + _estrangement(likeness)
    if settings.strict and warnings:
        raise TexcsdError(f"{warnings[-1]} (refused because of --strict)")
    warnings = warnings + lost_views
    path.parent.mkdir(exist_ok=True)
    write_bytes_atomically(path, new_obj(_in_pose_of(start.mesh, shape, path.stem)))
    volumes = enclosed_volume(start.shape), enclosed_volume(shape)
    report = {
        "isosurface": start.isosurface,
        "begun_with": start.likeness.report(),
        **likeness.report(),
        "volume_ratio": volumes[1] / volumes[0],
        **describe_topology(shape.vertices, shape.faces),
    }
    picture = shape_png(_without_uv(start.fitted), _without_uv(shape))
    seconds = start.seconds + time.perf_counter() - started
    return NewShape(path, finer, report, picture, seconds, warnings)


def bake_relief(new_shape: NewShape, fitted: Mesh, size: int) -> NDArray[np.uint8]:
    """The normal map, uint8[size, size, 3], of what was lost with the faces that were left out.

    Args:
        new_shape: That the mesh was made of.
        fitted: The mesh in its frame, with uv.
        size: Side of the map in texels.
    """
    return bake_normals_by_place(fitted, size, CloseSurface(new_shape.finer).normals)


def in_frame_of(mesh: Mesh, reshaped: Mesh) -> Mesh:
    """The reshaped mesh where it is when the other one fits the unit sphere.

    So that patterns, which have their places in space, are painted where they were modelled.
    """
    centre, radius = bounding_sphere(mesh)
    return replace(reshaped, vertices=((reshaped.vertices - centre) / radius).float())


def _extracted(tetrahedra: DeepMarchingTetrahedra) -> Mesh:
    """The surface as it is, on the CPU, without hollows that nobody can see."""
    with torch.no_grad():
        vertices, faces = (values.cpu() for values in tetrahedra.surface())
    vertices, faces = without_cavities(vertices, faces)
    if not len(faces):
        raise TexcsdError(
            "nothing of the mesh is left as a surface at this dmtet_resolution; choose a higher"
            " one, or --displace"
        )
    return _mesh(vertices, faces)


def _reduced(shape: Mesh, target_faces: int) -> Mesh:
    """With so many faces, 0 for half of what it has; a shape that has fewer stays as it is."""
    target = target_faces or len(shape.faces) // 2
    if target >= len(shape.faces):
        return shape
    return _mesh(*decimate(shape.vertices, shape.faces, target))


def _mesh(vertices: Tensor, faces: Tensor) -> Mesh:
    normals = vertex_normals(vertices, faces)
    parts = (Part("shape", 0, len(faces)),)
    return Mesh(vertices, faces, None, None, normals, faces, parts)


def _in_pose_of(mesh: Mesh, shape: Mesh, name: str) -> Mesh:
    centre, radius = bounding_sphere(mesh)
    vertices = (shape.vertices.double() * radius + centre).float()
    return replace(shape, vertices=vertices, parts=(Part(name, 0, len(shape.faces)),))


def _without_uv(mesh: Mesh) -> Mesh:
    """The mesh with one uv for all corners, to be seen in one colour."""
    return replace(mesh, uv=torch.zeros(1, 2), uv_faces=torch.zeros_like(mesh.faces))


def _losses(likeness: Likeness, cell: float) -> list[str]:
    """What the tetrahedra do not hold of the mesh."""
    remedy = "choose a higher --dmtet-resolution, or --displace, which keeps all faces"
    warnings = []
    worst = sorted(likeness.lost.items(), key=lambda item: -item[1])
    named = [f"{share:.0%} of {name}" for name, share in worst if share > MOST_LOST]
    if named:
        more = len(named) - MOST_PARTS_NAMED
        text = ", ".join(named[:MOST_PARTS_NAMED]) + (f" and {more} more" if more > 0 else "")
        warnings.append(f"the tetrahedra lose {text}; {remedy}")
    if likeness.distances.quantile(0.99) > 2 * cell:
        share = (likeness.distances > 2 * cell).float().mean().item()
        warnings.append(
            f"{share:.0%} of the new surface is where the mesh has none: it closes openings; give"
            " open surfaces a thickness, or use --displace"
        )
    if likeness.outline_overlap < LEAST_OVERLAP:
        warnings.append(
            f"outlines overlap by {likeness.outline_overlap:.1%} only before anything is changed;"
            f" {remedy}"
        )
    return warnings


def _estrangement(likeness: Likeness) -> list[str]:
    """Whether the object in its new shape is hardly the user's any more."""
    if likeness.outline_overlap >= LEAST_OVERLAP:
        return []
    return [
        f"outlines of the new shape and the old overlap by {likeness.outline_overlap:.1%} only;"
        " lower --dmtet-strength, or use --displace"
    ]
