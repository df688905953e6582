"""uv for painting: the user's own where one texture fits them, otherwise an atlas of new charts.

xatlas makes the best charts but crashes on some meshes and runs for hours on others. So it works in
a child process with a time limit, then once more on pieces it cannot flood, and when both fail the
planar projections of `charts` take over, which need nothing but numpy.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from texcsd.errors import TexcsdError
from texcsd.geometry import _unwrap
from texcsd.geometry.charts import group_by_axis, project_boxes
from texcsd.geometry.instances import repeat_uv, without_repeats
from texcsd.geometry.mesh import Mesh
from texcsd.geometry.normals import face_normals, weld_vertices
from texcsd.geometry.uv_inspection import UvReport, inspect_uv

__all__ = [
    "UvReport",
    "ensure_uv",
    "inspect_uv",
    "keeps_uv",
    "unwrap_mesh",
    "warnings_about_uv",
]

UvSource = Literal["input", "xatlas", "xatlas-presplit", "box"]

LARGEST_PACKING = 1024
"""xatlas searches places texel by texel: above this it only gets slower. Padding scales along."""
MANY_FACES = 20_000
"""From here on xatlas gets a limit on chart area: 6 to 18 times faster, for more charts."""
FACES_PER_HUNDRED_CHARTS = 60_000
FIRST_ATTEMPT = 0.6
"""Share of the time limit for xatlas on the whole mesh; the rest is for its second attempt."""
PADDING_RESERVE = 1.5
"""xatlas overshoots the resolution asked for by up to this factor, and padding shrinks with it."""
RUNS_FOR_POLYGONS = 6
"""xatlas sees triangles only; it gets this many tries at leaving the polygons of the file whole."""
MOST_LONE_POLYGONS = 0.2
FEW_POLYGONS = 16
"""Charts of single polygons for a larger share of them, and for more than a few, would make a poor
atlas."""
MOST_NEW_OVERLAP = 0.01
MOST_NEW_AREA_WITHOUT_UV = 0.001


class _RungError(RuntimeError):
    """One way to unwrap did not work; the message completes "xatlas ..."."""


@dataclass(frozen=True)
class _Surface:
    """The faces an atlas is made of: welded, no degenerate ones, none twice, of size about one."""

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    """int[kept, 3] into vertices."""
    kept: NDArray[np.int64]
    """int[kept], their numbers in the mesh."""
    places: NDArray[np.int64]
    """int[face, 3] into vertices, for all faces of the mesh."""
    polygons: NDArray[np.int64]
    """int[kept], the polygon each is a part of."""


def ensure_uv(
    mesh: Mesh,
    mode: Literal["auto", "always", "never"],
    texture_size: int,
    timeout_seconds: float = 120.0,
) -> tuple[Mesh, UvSource, list[str]]:
    """Return the mesh with uv that one texture can be painted through.

    Parts that show the same glTF primitive have the same uv, now as before.

    Args:
        mesh: In any pose and scale.
        mode: "auto" keeps usable uv and unwraps otherwise, "always" unwraps, "never" keeps
            whatever uv there are.
        texture_size: Side of the texture in texels, for the padding between charts.
        timeout_seconds: For both attempts of xatlas together.

    Returns:
        The mesh, where its uv come from, and warnings for the user.

    Raises:
        TexcsdError: The mode is "never" and there are no uv, or none that are numbers.
    """
    once, source, notes = _ensure_uv(without_repeats(mesh), mode, texture_size, timeout_seconds)
    return repeat_uv(mesh, once), source, notes


def _ensure_uv(
    mesh: Mesh,
    mode: Literal["auto", "always", "never"],
    texture_size: int,
    timeout_seconds: float,
) -> tuple[Mesh, UvSource, list[str]]:
    if mode == "always":
        return _unwrap_with_notes(mesh, texture_size, _padding(texture_size), timeout_seconds)
    report = inspect_uv(mesh)
    if keeps_uv(report, mode):
        return mesh, "input", warnings_about_uv(report)
    mesh, source, notes = _unwrap_with_notes(
        mesh, texture_size, _padding(texture_size), timeout_seconds
    )
    if report.present:
        notes.insert(0, f"the mesh was unwrapped anew because {report.reason}.")
    return mesh, source, notes


def keeps_uv(report: UvReport, mode: Literal["auto", "never"]) -> bool:
    """Decide whether ensure_uv keeps the uv that were inspected or makes new ones.

    Raises:
        TexcsdError: The mode is "never" and there are no uv, or none that are numbers.
    """
    if mode == "never" and not report.finite:
        raise TexcsdError(
            f"cannot keep the uv: {report.reason}; unwrap the mesh with --unwrap auto or in a "
            "modelling program."
        )
    return report.usable or mode == "never"


def warnings_about_uv(report: UvReport) -> list[str]:
    """Say what to expect of uv that are kept."""
    if report.reason is not None:
        return [f"the uv were kept as asked, although {report.reason}."]
    warnings = []
    if report.outside_fraction > 0:
        warnings.append(
            f"{report.outside_fraction:.1%} of the surface lies outside the texture, which repeats "
            "there; --unwrap always avoids it."
        )
    if report.overlap_fraction > MOST_NEW_OVERLAP:
        warnings.append(
            f"{report.overlap_fraction:.0%} of the used texture is shared by several places of "
            "the surface (mirrored or repeated parts), which will look alike; --unwrap always "
            "parts them."
        )
    return warnings


def unwrap_mesh(
    mesh: Mesh, texture_size: int, padding: int, timeout_seconds: float
) -> tuple[Mesh, UvSource]:
    """Give a mesh new uv; nothing else of it changes. The same mesh gets the same uv.

    Every face gets area in the texture unless it is less than a texel small, no two overlap but
    for rounding, and u and v have one scale. Degenerate faces get a point, and faces that repeat
    another share its uv.

    Args:
        mesh: In any pose and scale.
        texture_size: Side of the texture in texels.
        padding: Least distance between charts in texels.
        timeout_seconds: For both attempts of xatlas together.

    Returns:
        The mesh and the way that worked: "xatlas", "xatlas-presplit" or "box".
    """
    return _unwrap_with_notes(mesh, texture_size, padding, timeout_seconds)[:2]


def _padding(texture_size: int) -> int:
    """Return texels between charts: two mip levels down from 1024 there is still one."""
    return max(2, texture_size // 256)


def _unwrap_with_notes(
    mesh: Mesh, texture_size: int, padding: int, timeout_seconds: float
) -> tuple[Mesh, UvSource, list[str]]:
    surface = _prepare(mesh)
    one_group = np.zeros(len(surface.faces), np.int64)
    rungs: list[tuple[UvSource, Callable[[], NDArray[np.int64]], float]] = [
        ("xatlas", lambda: one_group, FIRST_ATTEMPT),
        (
            "xatlas-presplit",
            lambda: group_by_axis(surface.vertices, surface.faces),
            1 - FIRST_ATTEMPT,
        ),
    ]
    notes = []
    for source, groups, share in rungs:
        try:
            seconds = timeout_seconds * share
            uv, uv_faces = _unwrap_polygons(surface, groups(), texture_size, padding, seconds)
            unwrapped = _with_uv(mesh, surface, uv, uv_faces)
            _check_atlas(unwrapped)
            return unwrapped, source, notes
        except _RungError as error:
            notes.append(f"{source} {error}; unwrapped in a simpler way instead.")
    uv, uv_faces = project_boxes(surface.vertices, surface.faces, texture_size, padding)
    return _with_uv(mesh, surface, uv, uv_faces), "box", notes


def _prepare(mesh: Mesh) -> _Surface:
    vertices = mesh.vertices.double().cpu().numpy()
    first, place_of = weld_vertices(vertices)
    places = place_of[mesh.faces.cpu().numpy()]
    vertices = vertices[first]
    sound = np.flatnonzero(face_normals(vertices, places)[1] > 0)
    kept = sound[np.sort(weld_vertices(np.sort(places[sound], axis=1).astype(np.float64))[0])]
    used = vertices[np.unique(places[kept])]
    centre = (used.min(axis=0) + used.max(axis=0)) / 2
    vertices = (vertices - centre) / np.abs(used - centre).max()
    polygons = kept if mesh.polygons is None else mesh.polygons.cpu().numpy()[kept]
    return _Surface(vertices, places[kept], kept, places, polygons)


def _unwrap_polygons(
    surface: _Surface,
    groups: NDArray[np.int64],
    texture_size: int,
    padding: int,
    timeout_seconds: float,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Run xatlas; as long as a seam cuts polygons of the file, again with those as charts."""
    end = time.monotonic() + timeout_seconds
    best = _run_xatlas(surface, groups, texture_size, padding, timeout_seconds)
    cut = _cut_polygons(surface, best[1])
    alone, fewest = cut, len(cut)
    most_alone = max(MOST_LONE_POLYGONS * len(np.unique(surface.polygons)), FEW_POLYGONS)
    for _ in range(RUNS_FOR_POLYGONS - 1):
        if fewest == 0 or len(alone) > most_alone:
            break
        lone = np.isin(surface.polygons, alone)
        groups_now = np.where(lone, groups.max() + 1 + surface.polygons, groups)
        flat = _flatten_polygons(surface, np.flatnonzero(lone))
        try:
            left = max(end - time.monotonic(), 0.0)
            result = _run_xatlas(flat, groups_now, texture_size, padding, left)
        except _RungError:
            break  # the best so far has seams within polygons, but is an atlas
        cut = _cut_polygons(surface, result[1])
        if len(cut) < fewest:
            best, fewest = result, len(cut)
        alone = np.union1d(alone, cut)
    return best


def _flatten_polygons(surface: _Surface, members: NDArray[np.int64]) -> _Surface:
    """Give the polygons of these faces vertices of their own in a plane, which needs no seam."""
    polygons, polygon_of = np.unique(surface.polygons[members], return_inverse=True)
    faces = surface.faces[members]
    corners = surface.vertices[faces]
    normals = np.zeros((len(polygons), 3))
    np.add.at(
        normals,
        polygon_of,
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]),
    )
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    pairs = np.stack([np.repeat(polygon_of, 3), faces.ravel()], axis=1)
    pairs, vertex_of_corner = np.unique(pairs, axis=0, return_inverse=True)
    points, normals = surface.vertices[pairs[:, 1]], normals[pairs[:, 0]]
    points = points - (points * normals).sum(axis=1, keepdims=True) * normals
    own_faces = surface.faces.copy()
    own_faces[members] = vertex_of_corner.reshape(-1, 3) + len(surface.vertices)
    return replace(surface, vertices=np.concatenate([surface.vertices, points]), faces=own_faces)


def _cut_polygons(surface: _Surface, uv_faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the polygons of which one vertex has two places in the texture."""
    corners = np.stack([np.repeat(surface.polygons, 3), surface.faces.ravel()], axis=1)
    with_uv = np.unique(np.column_stack([corners, uv_faces.ravel()]), axis=0)
    vertices, count = np.unique(with_uv[:, :2], axis=0, return_counts=True)
    return np.unique(vertices[count > 1, 0])


def _run_xatlas(
    surface: _Surface,
    groups: NDArray[np.int64],
    texture_size: int,
    padding: int,
    timeout_seconds: float,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    resolution = min(texture_size, LARGEST_PACKING)
    needed = padding * resolution / texture_size
    many = len(surface.faces) > MANY_FACES
    area = face_normals(surface.vertices, surface.faces)[1].sum()
    charts = 100 * min(max(len(surface.faces) / FACES_PER_HUNDRED_CHARTS, 1), 5)
    result = _run_child(
        timeout_seconds,
        vertices=surface.vertices.astype(np.float32),
        faces=surface.faces.astype(np.uint32),
        groups=groups,
        resolution=resolution,
        padding=int(np.ceil(needed * PADDING_RESERVE)),
        max_cost=1.0 if many else 2.0,
        max_chart_area=area / charts if many else 0.0,
    )
    # One factor for u and v, and half the padding along the border of the texture.
    margin = needed / 2 / resolution
    scale = (1 - 2 * margin) / result["size"].max()
    return np.clip(result["uv"] * scale + margin, 0.0, 1.0), result["uv_faces"]


def _run_child(timeout_seconds: float, **inputs: object) -> dict[str, NDArray]:
    """Run xatlas in a process that may crash or hang without harm."""
    root = str(Path(_unwrap.__file__).parents[2])
    # The user's own path first, as everywhere; ours last, where it may be all of site-packages.
    paths = [os.environ.get("PYTHONPATH", ""), root]
    with tempfile.TemporaryDirectory(prefix="texcsd-unwrap-") as folder:
        source, target = Path(folder, "in.npz"), Path(folder, "out.npz")
        np.savez(source, **inputs)  # type: ignore[arg-type]
        try:
            done = subprocess.run(
                [sys.executable, "-m", "texcsd.geometry._unwrap", str(source), str(target)],
                cwd=folder,  # python -m puts it on the path: it must hold nothing of the user's
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _RungError(f"took longer than {timeout_seconds:g} s") from error
        except OSError as error:
            raise _RungError(f"could not be started ({error})") from error
        if done.returncode == _unwrap.NO_XATLAS:
            raise _RungError("is not installed")
        if done.returncode != 0 or not target.exists():
            raise _RungError(f"crashed (status {done.returncode})")
        with np.load(target) as arrays:
            return dict(arrays)


def _with_uv(
    mesh: Mesh, surface: _Surface, uv: NDArray[np.float64], kept_uv_faces: NDArray[np.int64]
) -> Mesh:
    """Return the mesh with uv of the kept faces; copies share them, other faces get a point."""
    uv_of_place = np.zeros(len(surface.vertices), np.int64)
    uv_of_place[surface.faces] = kept_uv_faces
    uv_faces = np.repeat(uv_of_place[surface.places[:, :1]], 3, axis=1)
    # A copy has the same places in another order: both are matched by sorting their corners.
    order = np.argsort(surface.places, axis=1)
    same = weld_vertices(np.take_along_axis(surface.places, order, axis=1).astype(np.float64))[1]
    original_of = np.full(int(same.max()) + 1, -1, np.int64)
    original_of[same[surface.kept]] = np.arange(len(surface.kept))
    copies = np.flatnonzero(original_of[same] >= 0)
    originals = original_of[same[copies]]
    values = np.take_along_axis(kept_uv_faces[originals], order[surface.kept[originals]], axis=1)
    matched = np.empty_like(values)
    np.put_along_axis(matched, order[copies], values, axis=1)
    uv_faces[copies] = matched
    device = mesh.faces.device
    return replace(
        mesh,
        uv=torch.from_numpy(uv.astype(np.float32)).to(device),
        uv_faces=torch.from_numpy(uv_faces).to(device),
    )


def _check_atlas(mesh: Mesh) -> None:
    """Refuse an atlas of xatlas that breaks what unwrap_mesh promises."""
    report = inspect_uv(mesh)
    if not (report.finite and report.inside_unit_square):
        raise _RungError("returned uv outside the unit square")
    if report.overlap_fraction > MOST_NEW_OVERLAP:
        raise _RungError(f"returned an atlas that overlaps by {report.overlap_fraction:.1%}")
    if report.zero_area_fraction > MOST_NEW_AREA_WITHOUT_UV:
        raise _RungError(f"left {report.zero_area_fraction:.1%} of the surface without texels")
