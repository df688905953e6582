"""What becomes of meshes of others: `python tests/benchmarks/shapes_of_others.py MESH... > table`.

Instead of a model, which would take minutes for each, waves move the surface: held by tetrahedra,
moved, extracted, reduced, its normal map baked, as the file has it and inside-out; and displaced,
with faces cut small. Needs libigl.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from texcsd.displaced import LONGEST_EDGE
from texcsd.errors import TexcsdError
from texcsd.geometry.close_surface import CloseSurface
from texcsd.geometry.displacement import SMALLEST_COSINE, Displacement
from texcsd.geometry.mesh import Mesh, fit_to_unit_sphere, load_mesh
from texcsd.geometry.mesh_inspection import inspect_surface
from texcsd.geometry.remeshing import describe_topology
from texcsd.geometry.subdivision import subdivide
from texcsd.geometry.uv_atlas import ensure_uv
from texcsd.new_shape import _extracted, _reduced, hold
from texcsd.output.normal_maps import bake_normals_by_place
from texcsd.rendering.outlines import outline_overlap
from texcsd.settings import PaintSettings

SETTINGS = PaintSettings("x", dmtet=True, dmtet_resolution=64, displace_detail=0.05)
LIMIT = 0.03


def waves(points: Tensor) -> Tensor:
    """Heights float32[point] between -LIMIT and LIMIT."""
    return LIMIT * torch.sin(20 * points).prod(1)


def inside_out(mesh: Mesh) -> Mesh:
    """The same surface with all faces wound the other way round, and their normals."""
    turned = mesh.faces.flip(1), mesh.normal_faces.flip(1)
    return replace(mesh, faces=turned[0], normal_faces=turned[1], normals=-mesh.normals)


def reshaped(mesh: Mesh) -> str:
    """Columns of the table for a new shape."""
    start = hold(mesh, SETTINGS, "cpu")
    with torch.no_grad():
        start.tetrahedra.values[:, 0] = waves(start.tetrahedra.grid.vertices)
    finer = _extracted(start.tetrahedra)
    shape = _reduced(finer, 0)
    found = describe_topology(shape.vertices, shape.faces)
    unwrapped = ensure_uv(shape, "always", 256)[0]
    relief = bake_normals_by_place(unwrapped, 256, CloseSurface(finer).normals)
    assert found["watertight"] and (relief[..., 2] > 127).all()
    likeness = start.model.compare(shape, start.tetrahedra.cell_size)
    said = "; ".join(text.split(";")[0] for text in start.warnings)
    return (
        f"{start.likeness.outline_overlap:.3f} | {likeness.outline_overlap:.3f} | "
        f"{found['faces']:,} | {found['components']} | {found['genus']} | {said}"
    )


def displaced(mesh: Mesh) -> str:
    """Columns of the table for relief."""
    fitted = fit_to_unit_sphere(mesh)
    fine = subdivide(fitted, LONGEST_EDGE * SETTINGS.displace_detail).mesh
    displacement = Displacement(fine, LIMIT, SETTINGS.displace_detail)
    displacement.follow(waves(displacement.rest)[:, None])
    after = displacement.apply(fine, 1.0)
    assert after.vertices[after.faces].isfinite().all() and after.normals.isfinite().all()
    before, now = (_crosses(each) for each in (fine, after))
    sound = torch.linalg.vector_norm(before, dim=1) > 1e-7  # others are rounding
    assert torch.cosine_similarity(before[sound], now[sound]).min() > SMALLEST_COSINE - 1e-3
    return f"{len(fine.faces):,} | {outline_overlap(fine, after)[0]:.3f}"


def _crosses(mesh: Mesh) -> Tensor:
    corners = mesh.vertices[mesh.faces].double()
    return torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def row(path: Path) -> str:
    """One line of the table."""
    started = time.process_time()
    try:
        mesh = load_mesh(path)
        surface = inspect_surface(mesh)
        broken = f"{surface.boundary_edges} / {surface.nonmanifold_edges}"
        relief, columns = displaced(mesh), [reshaped(each) for each in (mesh, inside_out(mesh))]
    except TexcsdError as error:
        return f"| {path.name} | refused: {error} |"
    same = "as well" if columns[0] == columns[1] else columns[1].replace("|", ",")
    seconds = time.process_time() - started
    name = f"{path.name} | {len(mesh.faces):,} | {broken}"
    return f"| {name} | {relief} | {columns[0]} | {same} | {seconds:.0f} |"


def main() -> None:
    """Print the table."""
    print("| mesh | triangles | open / non-manifold edges | cut into | outlines displaced "
          "| outlines held | outlines reshaped | faces | components | handles | said "
          "| inside-out | CPU s |")  # fmt: skip
    print("|---" * 13 + "|")
    for name in sys.argv[1:]:
        print(row(Path(name)), flush=True)


if __name__ == "__main__":
    main()
