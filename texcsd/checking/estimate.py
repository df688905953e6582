"""What a painting will take, by constants measured once; see tests/benchmarks/RESULTS.md.

The section "Time and memory by triangles, texels and views" there has the runs they were taken
from: two idle cores of a processor with AVX-512 and bfloat16, with the embedded model. Of the other
models only one of Stable Diffusion 1.5's size was timed, on an H100 (section "On a GPU"); theirs is
calculated from that by what they compute and hold (section "The models by name, counted").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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
SECONDS_PER_VIEW_AND_TRIANGLE = 2e-8
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

GIBIBYTE = 2**30
BYTES_TO_PAINT = 0.65 * GIBIBYTE
BYTES_PER_VIEW = 9e6
BYTES_PER_TEXEL = 136.0
BYTES_PER_LATTICE_TRIANGLE = 4500.0
BYTES_TO_LOAD = 0.35 * GIBIBYTE
BYTES_TO_LOAD_A_TRIANGLE = 1200.0
"""The text of an OBJ; other formats take less."""


class CountedModel(NamedTuple):
    """What a model computes and holds, counted by tests/benchmarks/count_models.py."""

    weights: float
    """GiB, in half precision, with a ControlNet if it has one by default."""
    text_encoders: float
    """GiB, likewise; they are freed once the prompts are encoded."""
    prediction: float
    """TFLOP of a noise prediction, with the ControlNet."""
    encoding: float
    """TFLOP of encoding a view twice, as for its gradient, and of that; 0 without a VAE."""
    image_size: int


TIMED_MODEL = "stable-diffusion-1.5"
MODELS = {
    TIMED_MODEL: CountedModel(2.43, 0.23, 1.087, 3.384, 512),
    "stable-diffusion-2-depth": CountedModel(1.77, 0.63, 0.804, 3.384, 512),
    "stable-diffusion-2.1": CountedModel(1.77, 0.63, 2.149, 8.001, 768),
    "sdxl": CountedModel(7.27, 1.52, 9.782, 15.187, 1024),
    "deepfloyd-if": CountedModel(8.02, 10.75, 2.879, 0.0, 64),
}
"""Those that `--model` knows by name, but for the embedded one."""
PREDICTIONS = 3
"""Of a view: for the prompt, the negative prompt and the empty one."""
SECONDS_TO_RENDER_AND_UPDATE = 0.007
"""Of one step, for any number of views."""
LEAST_SECONDS_TO_PREDICT = 0.051
"""Of one step: with few views, a GPU waits for the processor."""
SECONDS_PER_TFLOP_PREDICTED = 0.0619 / (4 * PREDICTIONS * MODELS[TIMED_MODEL].prediction)
SECONDS_PER_TFLOP_ENCODED = 0.0595 / MODELS[TIMED_MODEL].encoding
"""Slower than predictions: in float32 when it was timed."""
WORKING_GIBIBYTES, VIEW_GIBIBYTES = 5.93 - MODELS[TIMED_MODEL].weights, 0.17
"""Besides the weights, for images of the timed model's size: once, and for every view."""


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


def estimate_on_gpu(name: str, on_cpu: Estimate, steps: int, views: int) -> Estimate:
    """Estimate the same with another model on an H100, as TIMED_MODEL was timed there.

    Args:
        name: Of MODELS.
        on_cpu: With the embedded model, of a single step: what is left is to load and to write.
        steps: Optimisation steps.
        views: Rendered in each step.

    Returns:
        The time without that to load the model; the memory is the GPU's, and what is needed: a view
        encoded at a time. More is used where there is more.
    """
    model = MODELS[name]
    predicting = views * PREDICTIONS * model.prediction * SECONDS_PER_TFLOP_PREDICTED
    step = (
        SECONDS_TO_RENDER_AND_UPDATE
        + max(predicting, LEAST_SECONDS_TO_PREDICT)
        + views * model.encoding * SECONDS_PER_TFLOP_ENCODED
    )
    images = (model.image_size / MODELS[TIMED_MODEL].image_size) ** 2
    working = images * (WORKING_GIBIBYTES + VIEW_GIBIBYTES * views)
    # The text encoders are there beside the rest of the model, but gone before painting begins.
    memory = model.weights + max(model.text_encoders, working)
    return Estimate(on_cpu.seconds + steps * step, memory * GIBIBYTE)
