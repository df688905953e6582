"""How much of its outlines a shape shares with another."""

from __future__ import annotations

from texcsd.geometry.mesh import Mesh
from texcsd.rendering import operations
from texcsd.rendering.cameras import surrounding_cameras

VIEWS, SIZE = 12, 256


def outline_overlap(first: Mesh, second: Mesh) -> tuple[float, float]:
    """Intersection over union of the silhouettes seen from all around: the mean and the least.

    Args:
        first: Fits the unit sphere, hardly exceeds it at most; needs no uv.
        second: Likewise.
    """
    cameras = surrounding_cameras(VIEWS, view_width=2.3).to(first.vertices.device)
    covered = []
    for mesh in (first, second):
        clip_positions = cameras.clip_positions(mesh.vertices)
        found = operations.rasterize(clip_positions, mesh.faces, (SIZE, SIZE))
        covered.append(found.triangle_ids >= 0)
    both = (covered[0] & covered[1]).sum((1, 2))
    either = (covered[0] | covered[1]).sum((1, 2)).clamp(min=1)
    overlap = both / either
    return overlap.mean().item(), overlap.min().item()
