"""The shape, refined before it is painted: the guidance moves the vertices of the mesh.

The steps are those of painting, but what is rendered has no texture, and its light and silhouettes
carry the gradient to the vertices: what the prompt wants lighter or darker becomes relief.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from texcsd.checkpoint import load_tensors, save_tensors
from texcsd.geometry.displacement import Displacement
from texcsd.geometry.mesh import Mesh
from texcsd.guidance.score import Denoiser, PromptEmbeddings, scheduled, surrogate_loss
from texcsd.progress import Progress, StepListener
from texcsd.rendering.cameras import Cameras
from texcsd.rendering.shading import downsample, random_lights
from texcsd.rendering.shape import Shape, ShapeView, normal_maps, render_shape, shade_shape
from texcsd.rendering.transfer import send
from texcsd.rendering.viewpoints import Viewpoints
from texcsd.settings import PaintSettings
from texcsd.synthesis import (
    FINAL_RATE,
    SECONDS_BETWEEN_CHECKPOINTS,
    SUPERSAMPLING,
    describe_lost_views,
    encode_prompts,
    enough_memory,
    find_viewpoints,
    guide,
    random_backgrounds,
    step_cameras,
    step_generator,
    told_geometry,
)

FIRST_STEP = -1000
"""Steps of painting count up from 0; these count down, so that none shares its random numbers."""
LEARNING_RATE = 0.5
"""Of the shape, in the first step, as a part of the most that a vertex may move."""
COLOR_RATE = 0.05
"""Of the colour, before the sigmoid."""


class ChangingShape(Protocol):
    """A shape as an optimisation sees it, however it is made of numbers."""

    device: torch.device
    """Where it is rendered."""
    step: int
    """Steps done."""
    lost_views: Tensor
    """Of all steps, those for which the model predicted what is not finite: int[]."""

    def render(self, cameras: Cameras, size: int) -> ShapeView:
        """The shape as it is now."""
        ...

    def color(self, view: ShapeView) -> Tensor:
        """Of the view, as `shade_shape` takes it."""
        ...

    def regularization(self) -> Tensor:
        """What the shape last rendered is to keep small whatever the guidance says: a scalar."""
        ...

    def advance(self, pace: float) -> None:
        """Finish a step: change along the gradients, at this part of the full rate."""
        ...

    def save(self) -> None:
        """Write the checkpoint, replacing the last one."""
        ...


class Refinement:
    """All that changes while vertices are displaced, and so all that its checkpoint holds."""

    def __init__(self, mesh: Mesh, settings: PaintSettings, path: Path) -> None:
        """Begin, or take up what the checkpoint at `path` holds.

        Args:
            mesh: Fitted to the unit sphere.
            settings: How far, how smoothly, and how long.
            path: The checkpoint; its folder exists.
        """
        self.path = path
        self.device = mesh.vertices.device
        self.step = 0
        self.lost_views = torch.zeros((), dtype=torch.int64, device=self.device)
        self.displacement = Displacement(mesh, settings.displace, settings.displace_detail)
        self.color_logits = torch.zeros(3, device=self.device, requires_grad=True)
        """Of the whole object: the prompt's colour is not to be had by bending the surface."""
        self._restore()

    def save(self) -> None:
        """Write the checkpoint, replacing the last one."""
        tensors = {"heights": self.displacement.heights, "color": self.color_logits}
        tensors |= self.displacement.optimizer.moments | {"lost_views": self.lost_views}
        save_tensors(self.path, tensors, {"step": self.step})

    def _restore(self) -> None:
        loaded = load_tensors(self.path)
        if loaded is None:
            return
        tensors, state = loaded
        optimizer = self.displacement.optimizer
        self.step = optimizer.steps = state["step"]
        self.lost_views = tensors.get("lost_views", self.lost_views).to(self.device)
        with torch.no_grad():
            self.displacement.heights.copy_(tensors["heights"])
            self.color_logits.copy_(tensors["color"])
            for name, moment in optimizer.moments.items():
                moment.copy_(tensors[name])

    def advance(self, pace: float) -> None:
        """Finish a step: move the vertices and the colour along their gradients."""
        self.displacement.step(pace * LEARNING_RATE)
        assert self.color_logits.grad is not None
        with torch.no_grad():
            self.color_logits -= pace * COLOR_RATE * self.color_logits.grad.sign()
        self.color_logits.grad = None
        self.step += 1

    def color(self, view: ShapeView) -> Tensor:
        """float32[3]."""
        return torch.sigmoid(self.color_logits)

    def regularization(self) -> Tensor:
        """Nothing: the steps themselves are smooth, and bounded."""
        return self.color_logits.new_zeros(())

    def render(self, cameras: Cameras, size: int) -> ShapeView:
        """The shape as it is now."""
        positions, normals = self.displacement.shape()
        faces, edges = self.displacement.faces, self.displacement.edges
        shape = Shape(positions, faces, normals, self.displacement.normal_faces, edges)
        return render_shape(shape, cameras, size, size)


def refine(
    mesh: Mesh,
    denoiser: Denoiser,
    settings: PaintSettings,
    path: Path,
    progress: Progress | StepListener,
) -> tuple[Displacement, list[str]]:
    """Displace the vertices of a mesh by score distillation, going on from a checkpoint if any.

    Args:
        mesh: Fitted to the unit sphere, on the denoiser's device.
        denoiser: Decides what matches the prompt.
        settings: Everything the user chose.
        path: Where the checkpoint is to be; it stays, so that a later call has nothing to do.
        progress: Told after every step.

    Returns:
        What became of the vertices, and warnings.

    Raises:
        KeyboardInterrupt: See `optimize_shape`.
        TexcsdError: See `optimize_shape`.
    """
    refinement = Refinement(mesh, settings, path)
    steps = settings.displace_steps
    warnings = optimize_shape(refinement, steps, mesh, denoiser, settings, progress)
    return refinement.displacement, warnings


def optimize_shape(
    shape: ChangingShape,
    steps: int,
    mesh: Mesh,
    denoiser: Denoiser,
    settings: PaintSettings,
    progress: Progress | StepListener,
) -> list[str]:
    """Change a shape by score distillation until it has done its steps, and save it.

    Args:
        shape: As it is to begin, or go on.
        steps: Of the whole run.
        mesh: As it was, fitted to the unit sphere: what close-ups look at.
        denoiser: Decides what matches the prompt.
        settings: Everything the user chose.
        progress: Told after every step.

    Returns:
        Warnings.

    Raises:
        KeyboardInterrupt: Passed on, as any other exception; the checkpoint is that of the last
            step, or, where it came in the midst of one, that of a few seconds ago.
        TexcsdError: The method needs a negative prompt, or the GPU more memory; or the model has
            predicted nothing but what is not finite.
    """
    if shape.step < steps:
        _take_steps(shape, steps, mesh, denoiser, settings, progress)
    return describe_lost_views(shape.lost_views, shape.step, settings)


def _take_steps(
    shape: ChangingShape,
    steps: int,
    mesh: Mesh,
    denoiser: Denoiser,
    settings: PaintSettings,
    progress: Progress | StepListener,
) -> None:
    with enough_memory(settings):
        prompts = encode_prompts(settings, denoiser)
    viewpoints = find_viewpoints(mesh, mesh, settings)
    saved_at, in_step = time.monotonic(), False
    progress.update(shape.step)
    try:
        while shape.step < steps:
            done = shape.step / max(1, steps - 1)
            with deterministic_sums(shape.device), enough_memory(settings):
                in_step = True
                _take_step(shape, done, viewpoints, denoiser, prompts, settings)
                in_step = False
            progress.update(shape.step)
            if time.monotonic() - saved_at > SECONDS_BETWEEN_CHECKPOINTS:
                shape.save()
                saved_at = time.monotonic()
                describe_lost_views(shape.lost_views, shape.step, settings)
    except BaseException:
        if not in_step:  # Even to render a shape may change it; the last checkpoint has to do.
            shape.save()
        raise
    shape.save()


@contextmanager
def deterministic_sums(device: torch.device) -> Iterator[None]:
    """On a CPU, add gradients of vertices that many pixels show in an order that never changes."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(before or device.type == "cpu")
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _take_step(
    shape: ChangingShape,
    done: float,
    viewpoints: Viewpoints,
    denoiser: Denoiser,
    prompts: PromptEmbeddings,
    settings: PaintSettings,
) -> None:
    generator = step_generator(settings.seed, FIRST_STEP - shape.step)
    cameras = step_cameras(viewpoints, settings, generator, shape.device)
    view = shape.render(cameras, SUPERSAMPLING * denoiser.image_size)
    images = _images(view, shape.color(view), cameras, denoiser, generator)
    images = downsample(images, SUPERSAMPLING)
    geometry = told_geometry(view.surface, settings, prompts.pattern_scale)
    clean, direction, lost_views = guide(
        images, geometry, cameras, denoiser, prompts, settings, generator, done
    )
    # As heavy as if every pixel had a part in it.
    loss = surrogate_loss(clean, direction) + clean[0].numel() * shape.regularization()
    loss.backward()
    shape.lost_views += lost_views
    shape.advance(scheduled("linear", 1.0, FINAL_RATE, done))


def _images(
    view: ShapeView,
    color: Tensor,
    cameras: Cameras,
    denoiser: Denoiser,
    generator: torch.Generator,
) -> Tensor:
    """The views without texture in random light, float[view, size, size, 3].

    Models that were trained on pictures of all kinds have a say in the outlines, too, and see every
    other view as a normal map, as the authors of classifier score distillation refine shapes. The
    embedded one knows stuff, not things: to outlines it would only add noise.
    """
    background = send(random_backgrounds(len(cameras), generator), color.device)
    images = shade_shape(view, color, random_lights(cameras, generator), background)
    if not denoiser.knows_sides:
        return images
    every_other = torch.arange(len(cameras), device=color.device)[:, None, None, None] % 2 == 1
    return view.antialias(torch.where(every_other, normal_maps(view, cameras), images))
