"""What a painting will take, by constants measured once; see tests/benchmarks/RESULTS.md.

The section "Time and memory by triangles, texels and views" there has the runs they were taken
from: two idle cores of a processor with AVX-512 and bfloat16, with the embedded model. Of the other
models only one of Stable Diffusion 1.5's size was timed, on an H100 (section "On a GPU").
"""

from __future__ import annotations

from dataclasses import dataclass

from texcsd.geometry.dmtet import cell_size
from texcsd.geometry.subdivision import MOST_FACES
from texcsd.settings import PaintSettings

SECONDS_TO_START = 4.3
"""Imports and the embedded model."""
SECONDS_TO_LOAD_A_TRIANGLE = 8.5e-6
SECONDS_TO_UNWRAP_A_TRIANGLE = 7e-5
MOST_SECONDS_TO_UNWRAP = 120.0
"""The time limit of xatlas."""
SECONDS_PER_VIEW = 0.0336
"""Of one step: denoising and shading."""
SECONDS_PER_VIEW_AND_TRIANGLE = 6e-8
"""Of one step: rasterization."""
SECONDS_PER_TEXEL = 1.5e-8
"""Of one step: composing the texture and updating it; the mean over all steps."""
SECONDS_PER_VIEW_AND_SHAPE_TRIANGLE = 3.5e-7
"""Of one step that refines the shape; what it takes besides, is what a step of painting takes."""
FINER_TRIANGLES = 3.2
"""That relief is worked out on, per area and square of its detail, of meshes with larger faces."""
LATTICE_TRIANGLES = 12.3
"""Of the surface of tetrahedra, per area and square of a cell."""
SECONDS_TO_HOLD_A_TRIANGLE = 1.5e-4
"""Signed distances, and what is measured of the shape."""
SECONDS_TO_WRITE = 6.5
"""Baking, previews and files, besides what depends on the sizes below."""
SECONDS_TO_WRITE_A_TEXEL = 8.1e-7
SECONDS_TO_WRITE_A_TRIANGLE = 6.6e-6

SECONDS_PER_LATENT_STEP, SECONDS_PER_LATENT_VIEW = 0.062, 0.061

GIBIBYTE = 2**30
BYTES_OF_LATENT_MODEL, BYTES_PER_LATENT_VIEW = 5.93 * GIBIBYTE, 0.17 * GIBIBYTE
"""Of the GPU, with a depth ControlNet."""
BYTES_TO_PAINT = 0.65 * GIBIBYTE
BYTES_PER_VIEW = 9e6
BYTES_PER_TEXEL = 136.0
BYTES_PER_LATTICE_TRIANGLE = 4500.0
BYTES_TO_LOAD = 0.35 * GIBIBYTE
BYTES_TO_LOAD_A_TRIANGLE = 1200.0
"""The text of an OBJ; other formats take less."""


@dataclass(frozen=True)
class Estimate:
    """Of a painting."""

    seconds: float
    memory_bytes: float
    """At its peak."""


def estimate_job(
    settings: PaintSettings, triangles: int, area: float, unwrap: bool, textures: int
) -> Estimate:
    """Estimate the time and memory of a job, with the stage for the shape if there is one.

    Args:
        settings: Everything the user chose.
        triangles: Of the mesh.
        area: Of its surface that can be seen, in squared radii of the object.
        unwrap: Whether new uv will be made, if the faces stay.
        textures: How many there will be, if the faces stay.
    """
    shaping = Estimate(0.0, 0.0)
    if settings.displace:
        # What is painted has the small faces, too.
        finer = int(FINER_TRIANGLES * area / settings.displace_detail**2)
        triangles = max(triangles, min(finer, MOST_FACES))
        shaping = _estimate_shaping(triangles, settings.displace_steps, settings.most_views)
    if settings.dmtet:
        found = int(LATTICE_TRIANGLES * area / cell_size(settings.dmtet_resolution) ** 2)
        shaping = _estimate_shaping(found, settings.dmtet_steps, settings.most_views)
        seconds = shaping.seconds + SECONDS_TO_HOLD_A_TRIANGLE * found
        shaping = Estimate(seconds, BYTES_PER_LATTICE_TRIANGLE * found)
        triangles, unwrap, textures = settings.target_faces or found // 2, True, 1
    painting = estimate_painting(
        triangles, settings.steps, settings.most_views, settings.texture_size, unwrap, textures
    )
    return Estimate(
        shaping.seconds + painting.seconds, shaping.memory_bytes + painting.memory_bytes
    )


def _estimate_shaping(triangles: int, steps: int, views: int) -> Estimate:
    view = SECONDS_PER_VIEW + SECONDS_PER_VIEW_AND_SHAPE_TRIANGLE * triangles
    return Estimate(steps * views * view, 0.0)


def estimate_painting(
    triangles: int, steps: int, views: int, texture_size: int, unwrap: bool, textures: int = 1
) -> Estimate:
    """Estimate the time and memory of a painting with the embedded model on two idle cores.

    Args:
        triangles: Of the mesh.
        steps: Optimisation steps.
        views: Rendered in each step.
        texture_size: Side of the texture in texels.
        unwrap: Whether new uv will be made.
        textures: How many of that size.
    """
    texels = textures * texture_size**2
    unwrapping = min(SECONDS_TO_UNWRAP_A_TRIANGLE * triangles, MOST_SECONDS_TO_UNWRAP)
    view = SECONDS_PER_VIEW + SECONDS_PER_VIEW_AND_TRIANGLE * triangles
    seconds = (
        SECONDS_TO_START
        + SECONDS_TO_LOAD_A_TRIANGLE * triangles
        + (unwrapping if unwrap else 0.0)
        + steps * (views * view + SECONDS_PER_TEXEL * texels)
        + SECONDS_TO_WRITE
        + SECONDS_TO_WRITE_A_TEXEL * texels
        + SECONDS_TO_WRITE_A_TRIANGLE * triangles
    )
    # The texts of a large file are gone again before painting begins.
    loading = BYTES_TO_LOAD + BYTES_TO_LOAD_A_TRIANGLE * triangles
    painting = BYTES_TO_PAINT + BYTES_PER_VIEW * views + BYTES_PER_TEXEL * texels
    return Estimate(seconds, max(loading, painting))


def estimate_latent_painting(on_cpu: Estimate, steps: int, views: int) -> Estimate:
    """Estimate the same with Stable Diffusion 1.5 and its depth ControlNet on an H100.

    Args:
        on_cpu: With the embedded model, of a single step: what is left is to load and to write.
        steps: Optimisation steps.
        views: Rendered in each step.

    Returns:
        The time without that to load the model; the memory is the GPU's.
    """
    step = SECONDS_PER_LATENT_STEP + SECONDS_PER_LATENT_VIEW * views
    memory = BYTES_OF_LATENT_MODEL + BYTES_PER_LATENT_VIEW * views
    return Estimate(on_cpu.seconds + steps * step, memory)
