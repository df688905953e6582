"""Everything that is measured of a mesh file: numbers, no judgement."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from texcsd.geometry.file_materials import read_any_materials
from texcsd.geometry.file_summary import FileSummary, summarize_file
from texcsd.geometry.instances import without_repeats
from texcsd.geometry.mesh import Mesh, fit_to_unit_sphere, load_mesh
from texcsd.geometry.mesh_inspection import SurfaceReport, inspect_surface
from texcsd.geometry.normals import face_normals
from texcsd.geometry.orientation import Orientation, guess_orientation
from texcsd.geometry.texture_layout import TexturePlan, plan_textures
from texcsd.geometry.uv_atlas import UvReport, inspect_uv
from texcsd.geometry.uv_distortion import UvDistortion, measure_distortion
from texcsd.geometry.vertex_colors import parts_with_vertex_colors
from texcsd.rendering.cameras import random_cameras, surrounding_cameras
from texcsd.rendering.viewpoints import Viewpoints
from texcsd.rendering.visibility import count_views

PAINTING_VIEWS, PAINTING_VIEW_SIZE = 96, 128
"""A sample of the views painting draws, and how many pixels it renders of each."""
SURROUNDING_VIEWS, SURROUNDING_VIEW_SIZE = 64, 256


@dataclass(frozen=True)
class Bounds:
    """Of the vertices that faces use, in the units of the file."""

    lowest: tuple[float, ...]
    highest: tuple[float, ...]
    size: tuple[float, ...]


@dataclass(frozen=True)
class Visibility:
    """What cameras see, of faces that have an area. Fractions are of the surface area."""

    painting_views: int
    """Number of random views, drawn as painting draws them."""
    unseen_faces: int
    """Faces in none of these views; rarely seen ones may be among them by chance."""
    unseen_area_fraction: float
    surrounding_views: int
    """Number of further views, from all around."""
    enclosed_faces: int
    """Faces in none of all these views: enclosed, or deep inside."""
    enclosed_area_fraction: float


@dataclass(frozen=True)
class Facts:
    """A mesh and all that was measured of it."""

    fitted: Mesh
    """The mesh, fitted to the unit sphere."""
    file: FileSummary
    bounds: Bounds
    area: float
    """Of the surface, in squared radii of the object."""
    orientation: Orientation
    surface: SurfaceReport
    uv: UvReport
    """Of all faces in one square."""
    textures: TexturePlan
    """As painting with the default settings takes them, each with a report of its own."""
    distortion: UvDistortion | None
    visibility: Visibility
    view_shares: NDArray[np.float64]
    """float[face], of the random views that see it."""
    tinted_parts: list[str]
    """Names of those whose vertex colours a texture will be multiplied by."""


def gather_facts(path: Path, texture_size: int, close_up_fraction: float) -> Facts:
    """Load and measure a mesh file.

    Args:
        path: As load_mesh takes it.
        texture_size: Side of the texture in texels, for the density of texels.
        close_up_fraction: Of the views painting draws.

    Raises:
        TexcsdError: The mesh cannot be painted.
    """
    mesh = load_mesh(path)
    fitted = fit_to_unit_sphere(mesh)
    visibility, view_shares = _look(fitted, close_up_fraction)
    return Facts(
        fitted=fitted,
        file=summarize_file(path),
        bounds=_bounds(mesh),
        area=float(face_normals(fitted.vertices.double().numpy(), fitted.faces.numpy())[1].sum()),
        orientation=guess_orientation(mesh),
        surface=inspect_surface(mesh),
        uv=inspect_uv(without_repeats(mesh)),
        textures=plan_textures(mesh, read_any_materials(path, mesh), "auto", "auto", texture_size),
        distortion=measure_distortion(mesh, texture_size),
        visibility=visibility,
        view_shares=view_shares,
        tinted_parts=parts_with_vertex_colors(path, mesh),
    )


def _bounds(mesh: Mesh) -> Bounds:
    used = mesh.vertices[mesh.faces.unique()]
    lowest, highest = used.amin(0), used.amax(0)
    return Bounds(*(tuple(row.tolist()) for row in (lowest, highest, highest - lowest)))


def _look(mesh: Mesh, close_up_fraction: float) -> tuple[Visibility, NDArray[np.float64]]:
    """See what cameras see of a fitted mesh."""
    generator = torch.Generator().manual_seed(0)
    looked_at = Viewpoints(mesh, mesh, generator).draw(PAINTING_VIEWS, generator)
    cameras = random_cameras(*looked_at, generator, close_up_fraction)
    counts = count_views(mesh, cameras, PAINTING_VIEW_SIZE)
    around = count_views(mesh, surrounding_cameras(SURROUNDING_VIEWS), SURROUNDING_VIEW_SIZE)
    areas = face_normals(mesh.vertices.double().numpy(), mesh.faces.numpy())[1]
    unseen = (counts == 0) & (areas > 0)
    enclosed = unseen & (around == 0)
    visibility = Visibility(
        painting_views=PAINTING_VIEWS,
        unseen_faces=int(unseen.sum()),
        unseen_area_fraction=float(areas[unseen].sum() / areas.sum()),
        surrounding_views=SURROUNDING_VIEWS,
        enclosed_faces=int(enclosed.sum()),
        enclosed_area_fraction=float(areas[enclosed].sum() / areas.sum()),
    )
    return visibility, counts / PAINTING_VIEWS
