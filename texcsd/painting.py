"""The stages of a painting, one after the other, from the mesh file to the files of the result.

Each takes what the ones before it have found and returns what it finds itself; nothing is written
into the folder before it is known that mesh, model, prompt and outputs are good.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from texcsd import __version__
from texcsd.canvas import Canvas, lay_out, make_canvas
from texcsd.caveats import warnings_about
from texcsd.delivery import (
    SHAPE_PICTURE,
    canvas_files,
    copy_kept_files,
    describe_textures,
    output_names,
    read_damage,
    read_kept_texels,
    with_alpha,
    write_outputs,
    write_pictures,
)
from texcsd.displaced import Displaced, Relief, displace, plan_relief
from texcsd.errors import TexcsdError
from texcsd.geometry.file_materials import files_beside
from texcsd.geometry.mesh import Mesh, fit_to_unit_sphere, load_mesh, with_faces
from texcsd.geometry.upright import turn_mesh, upright_rotation
from texcsd.guidance.denoiser import load_denoiser
from texcsd.guidance.hub import progress_shown
from texcsd.guidance.score import Denoiser
from texcsd.live_view import LiveView
from texcsd.memory import Memory
from texcsd.new_shape import NewShape, bake_relief, hold, in_frame_of, make_new_shape
from texcsd.original import Original, carried_over, read_original
from texcsd.output.bake import TextureMaps, bake_texture, bake_textures
from texcsd.output.gltf import png_bytes
from texcsd.output.input_warnings import input_warnings
from texcsd.output.mesh_files import mesh_file_names, normal_key
from texcsd.output.preview import texture_maps
from texcsd.output.seam_blending import blend_seams
from texcsd.output.seams import measure_seams
from texcsd.output.viewer import three_js
from texcsd.progress import Progress, StepListener
from texcsd.rendering.operations import select_rasterizer
from texcsd.report import describe_input, describe_versions, input_sha256
from texcsd.result_folder import (
    RESHAPED,
    SHAPE,
    UNFINISHED,
    Request,
    Unfinished,
    delete_painting,
    file_sha256,
    load_unfinished,
    refuse_foreign_files,
    save_unfinished,
)
from texcsd.settings import EditSettings, PaintSettings
from texcsd.synthesis import (
    SynthesisResult,
    choose_negative_prompt,
    choose_prior_scale,
    choose_texture,
    choose_views,
    enough_memory,
    synthesize,
)

BLANK_PNG = png_bytes(np.zeros((1, 1, 3), np.uint8))

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What is asked for, and the means to do it."""

    folder: Path
    """Of the result; nobody else works in it."""
    mesh_path: Path
    settings: PaintSettings
    request: Request
    """The same as far as it decides about the result, to compare with what is in the folder."""
    overwrite: bool
    offline: bool
    memory: Memory
    progress: Progress | StepListener
    view: LiveView | None
    warnings: list[str] = field(default_factory=list)
    """All that was warned of so far."""

    def warn(self, texts: Iterable[str]) -> None:
        """Log warnings, and keep them for the report."""
        for text in texts:
            logger.warning(text)
            self.warnings.append(text)


@dataclass(frozen=True)
class Setup:
    """What is painted, and how."""

    mesh: Mesh
    """As loaded."""
    original: Original | None
    """Of an editing, the texture it starts from."""
    device: str
    settings: PaintSettings
    """With the number of views, and the texture size of an editing."""
    model: dict[str, Any]
    """For the report."""
    texture: str
    """How the texture is learned."""


@dataclass(frozen=True)
class Source:
    """The mesh that is painted."""

    path: Path
    """Its file: the input, or that of its new shape."""
    mesh: Mesh
    """As loaded."""
    new_shape: NewShape | None


@dataclass(frozen=True)
class Layout:
    """Where the textures go, and what the files of the result are called."""

    canvas: Canvas
    fitted: Mesh
    """The canvas' mesh, fitted to the unit sphere."""
    relief: Relief | None
    """Planned for it, if it is to be displaced."""
    normal_maps: list[int]
    """The numbers of the textures that get one."""
    outputs: dict[str, str]
    seconds: float


@dataclass(frozen=True)
class Surface:
    """What is seen while it is painted, and what is delivered."""

    painted: Mesh
    """Perhaps in finer faces than are delivered, which show all relief."""
    shown_normal_maps: dict[int, NDArray[np.uint8]]
    """By the number of the texture, what the faces that are painted do not show."""
    start: Original | None
    """The texture that painting starts from."""
    fitted: Mesh
    """To be delivered, in the frame of the input fitted to the unit sphere."""
    normal_maps: dict[int, NDArray[np.uint8]]
    shape: Mesh | None = None
    """In the pose of the file, if vertices were displaced."""
    refined: NewShape | Displaced | None = None


def paint_mesh(job: Job) -> dict[str, Any]:
    """Paint and write everything but the report, which is returned."""
    mesh_file_names(job.mesh_path, job.settings.format)  # One not to be had is refused at once.
    begun = None if job.overwrite else load_unfinished(job.folder, job.request)
    setup, denoiser = _set_up(job, begun)
    source = _shape(job, setup, denoiser, begun)
    layout = _lay_out(job, setup, source, begun)
    doing = "going on with" if begun else "editing" if setup.original else "painting"
    faces, uv_source = len(layout.canvas.mesh.faces), layout.canvas.uv_source
    logger.info("%s %s, %d triangles, uv: %s", doing, job.folder, faces, uv_source)
    surface = _refine(job, setup, source, layout, denoiser)
    result = _paint(job, setup, layout, surface, denoiser)
    del denoiser  # Free its memory: baking at a large texture size needs it.
    started = time.perf_counter()
    baked = _bake(surface.fitted, result, setup.original)
    written = _write(job, setup, source, layout, surface, baked)
    seconds = {
        "unwrap": layout.seconds,
        **({"shape": surface.refined.seconds} if surface.refined else {}),
        **result.seconds,
        "bake_and_write": time.perf_counter() - started,
    }
    texels, unseen = (sum(getattr(m, name) for m in baked) for name in ("texels", "unseen_texels"))
    return {
        "texcsd": __version__,
        "prompt": setup.settings.prompt,
        "seed": setup.settings.seed,
        "settings": dict(job.request.settings),
        "input": describe_input(job.mesh_path, job.request.input_sha256, setup.mesh),
        "model": setup.model,
        "device": setup.device,
        "uv_source": uv_source,
        "texture": setup.texture,
        "views": setup.settings.views,
        "textures": describe_textures(layout.canvas, baked, layout.outputs),
        "texels": texels,
        "unseen_texels": unseen,
        "unseen_fraction": unseen / max(1, texels),
        **written,
        **({"shape": surface.refined.report} if surface.refined else {}),
        **({"texture_carried_over": surface.start is not None} if source.new_shape else {}),
        "resumed": begun is not None,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "warnings": job.warnings,
        "outputs": layout.outputs,
        "outputs_sha256": {n: file_sha256(job.folder / n) for n in layout.outputs.values()},
        "versions": describe_versions(),
    }


def inputs_sha256(mesh_path: Path, settings: PaintSettings) -> str:
    """Of all files that the result depends on."""
    edited = isinstance(settings, EditSettings)
    mask = [Path(settings.mask)] if edited and settings.mask else []
    looks = files_beside(mesh_path) if edited or settings.only or settings.dmtet else []
    return input_sha256(mesh_path, *looks, *mask)


def _set_up(job: Job, begun: Unfinished | None) -> tuple[Setup, Denoiser]:
    """Load the mesh and the model, and choose what the settings leave open."""
    settings, device, original = job.settings, _resolve_device(job.settings.device), None
    select_rasterizer(settings.rasterizer, torch.device(device))
    mesh = load_mesh(job.mesh_path)
    if isinstance(settings, EditSettings):
        size, mask, only = settings.texture_size, settings.mask, settings.only
        original = read_original(job.mesh_path, mesh, size, mask, only)
        job.warn(original.warnings)
        settings = dataclasses.replace(settings, texture_size=original.size)
    denoiser = _load_model(job, settings, device)
    model, texture = _describe_model(settings, denoiser), choose_texture(settings, denoiser)
    job.warn(warnings_about(settings, denoiser))
    if begun is None or settings.views:
        views = choose_views(settings, denoiser)
    else:  # Another number, as another amount of memory is free now, would end with other bits.
        views = begun.notes["views"]
    if views < settings.most_views:
        job.warn([_few_views(views, settings)])
    settings = dataclasses.replace(settings, views=views)
    return Setup(mesh, original, device, settings, model, texture), denoiser


def _resolve_device(device: str) -> str:
    """The device in PyTorch's words; "auto" takes a GPU if PyTorch sees one."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise TexcsdError(
            f"device is cuda, but PyTorch {torch.__version__} sees no NVIDIA GPU; use --device cpu,"
            " or install a CUDA build of PyTorch"
        )
    return device


def _load_model(job: Job, settings: PaintSettings, device: str) -> Denoiser:
    choices = (
        settings.model,
        device,
        settings.controlnet,
        settings.vae,
        {"auto": None, "on": True, "off": False}[settings.vae_checkpointing],
        job.offline,
    )
    with progress_shown(not job.progress.quiet), enough_memory(settings):
        return job.memory.recall("denoiser", choices, lambda: load_denoiser(*choices))


def _describe_model(settings: PaintSettings, denoiser: Denoiser) -> dict[str, Any]:
    return {
        "name": settings.model,
        "licence": denoiser.licence,
        "weights_sha256": denoiser.weights_sha256,
        "negative_prompt": choose_negative_prompt(settings, denoiser),
        "prior_scale": choose_prior_scale(settings, denoiser),
        # Of a word for a size in the prompt; that of the settings comes on top.
        "pattern_scale": denoiser.pattern_scale(settings.prompt),
    }


def _few_views(views: int, settings: PaintSettings) -> str:
    return (
        f"the GPU has room for {views} views in a step instead of {settings.most_views} with "
        f"{settings.model}, which makes another texture; --views {settings.most_views} tries it"
    )


def _shape(job: Job, setup: Setup, denoiser: Denoiser, begun: Unfinished | None) -> Source:
    """The mesh in the shape that it is painted in: with dmtet, another one."""
    if not setup.settings.dmtet:
        return Source(job.mesh_path, setup.mesh, None)
    held = hold(setup.mesh, setup.settings, setup.device)
    if begun is None:
        refuse_foreign_files(job.folder, [SHAPE_PICTURE], job.mesh_path)
        notes = {"views": setup.settings.views}
        _begin(job, Unfinished({}, notes), [SHAPE_PICTURE], job.overwrite)
    checkpoint, path = job.folder / SHAPE, job.folder / RESHAPED / f"{job.mesh_path.stem}.obj"
    new_shape = make_new_shape(held, denoiser, setup.settings, checkpoint, path, job.progress)
    job.warn(new_shape.warnings)
    return Source(path, load_mesh(path), new_shape)


def _begin(job: Job, unfinished: Unfinished, outputs: Iterable[str], overwrite: bool) -> None:
    """Take the folder: mesh, model and prompt are known to be good, an older painting may go."""
    three_js()
    if overwrite:
        delete_painting(job.folder)
    save_unfinished(job.folder, job.request, unfinished, outputs)


def _lay_out(job: Job, setup: Setup, source: Source, begun: Unfinished | None) -> Layout:
    """Find uv and textures, or take those of a painting that was begun; then the folder is ours."""
    laid_out, settings = begun is not None and bool(begun.atlas), setup.settings
    unfinished = begun if begun and laid_out else _new_layout(job, setup, source)
    edited = setup.original is not None
    canvas = make_canvas(source.path, source.mesh, unfinished, edited)
    mesh, reshaped = canvas.mesh, source.new_shape is not None
    fitted = in_frame_of(setup.mesh, mesh) if reshaped else fit_to_unit_sphere(mesh)
    relief = plan_relief(source.path, canvas, fitted, settings) if settings.displace else None
    normal_maps = _normal_maps(source, canvas, relief)
    outputs = output_names(job.mesh_path, settings, canvas, normal_maps)
    refuse_foreign_files(job.folder, outputs.values(), job.mesh_path)
    seconds = unfinished.notes["seconds"]
    layout = Layout(canvas, fitted, relief, normal_maps, outputs, seconds)
    if not laid_out:
        _refuse_what_cannot_be_written(setup, source, layout)
        _begin(job, unfinished, outputs.values(), job.overwrite and not settings.dmtet)
    job.warn(canvas.warnings + (relief.warnings if relief else []))
    job.warn(input_warnings(source.path, mesh, canvas.uv_kept, edited, outputs.values()))
    return layout


def _new_layout(job: Job, setup: Setup, source: Source) -> Unfinished:
    settings = setup.settings
    choices = settings.unwrap, settings.texture_size, settings.per_material, settings.only
    looks_sha256 = input_sha256(job.mesh_path, *files_beside(job.mesh_path))
    made_from = (
        job.request.input_sha256,
        looks_sha256,
        *((repr(settings),) if settings.dmtet else choices),
    )
    unfinished = job.memory.recall(
        "atlas", made_from, lambda: lay_out(source.path, source.mesh, settings, setup.original)
    )
    notes = unfinished.notes | {"views": settings.views}
    return dataclasses.replace(unfinished, notes=notes)


def _normal_maps(source: Source, canvas: Canvas, relief: Relief | None) -> list[int]:
    """The numbers of the textures that get one, of what the faces do not show."""
    if relief is not None:
        return relief.normal_maps
    new_shape = source.new_shape
    reduced = new_shape is not None and len(canvas.mesh.faces) < len(new_shape.finer.faces)
    return [0] if reduced else []


def _refuse_what_cannot_be_written(setup: Setup, source: Source, layout: Layout) -> None:
    """Now, not after the painting."""
    canvas, edited = layout.canvas, setup.original is not None
    blank = dict.fromkeys([*canvas.looks, *range(len(canvas.slots))], BLANK_PNG)
    shape = canvas.mesh if setup.settings.displace else None
    reliefs = dict.fromkeys(layout.normal_maps, BLANK_PNG)
    canvas_files(source.path, canvas, blank, layout.outputs, edited, shape, reliefs)


def _refine(job: Job, setup: Setup, source: Source, layout: Layout, denoiser: Denoiser) -> Surface:
    """The surface to paint: as it is, displaced, or in its new shape."""
    fitted, settings = layout.fitted, setup.settings
    if source.new_shape is not None:
        write_outputs(job.folder, layout.outputs, {"shape": source.new_shape.picture})
        size = settings.texture_size
        start = carried_over(job.mesh_path, setup.mesh, layout.canvas.mesh, size)
        maps = {n: bake_relief(source.new_shape, fitted, size) for n in layout.normal_maps}
        return Surface(fitted, maps, start, fitted, maps, refined=source.new_shape)
    if layout.relief is None:
        return Surface(fitted, {}, setup.original, fitted, {})
    mesh, checkpoint = layout.canvas.mesh, job.folder / SHAPE
    displaced = displace(
        mesh, fitted, layout.relief, denoiser, settings, setup.device, checkpoint, job.progress
    )
    write_outputs(job.folder, layout.outputs, {"shape": displaced.picture})
    job.warn(displaced.warnings)
    return Surface(
        displaced.finer,
        {},
        setup.original,
        displaced.fitted,
        displaced.normal_maps,
        displaced.shape,
        displaced,
    )


def _paint(
    job: Job, setup: Setup, layout: Layout, surface: Surface, denoiser: Denoiser
) -> SynthesisResult:
    """Learn the textures, shown in the browser if asked for."""
    settings, looks, watch = setup.settings, layout.canvas.looks, None
    if job.view is not None:
        upright = turn_mesh(surface.fitted, upright_rotation(*settings.axes))
        title = f"{job.mesh_path.name}: {settings.prompt}"
        job.view.begin(upright, looks, settings.steps, title)
        watch = job.view.update
    with job.progress:
        result = synthesize(
            surface.painted.to(setup.device),
            denoiser,
            settings,
            job.folder / UNFINISHED,
            job.progress,
            surface.start,
            texture_maps(looks, setup.device),
            texture_maps(surface.shown_normal_maps, setup.device),
            watch,
        )
    job.warn([text for text in result.warnings if text not in job.warnings])
    return result


def _bake(fitted: Mesh, result: SynthesisResult, original: Original | None) -> list[TextureMaps]:
    if original is None:
        baked = bake_textures(fitted, result.base_color_maps, result.seen)
        return blend_seams(fitted, baked)
    part = with_faces(fitted, fitted.texture_numbers() == 0)
    learned = result.base_color_maps[0], result.seen[0]
    baked = bake_texture(part, *learned, original.pixels, original.may_change)
    return blend_seams(fitted, [baked], original.may_change)


def _write(
    job: Job,
    setup: Setup,
    source: Source,
    layout: Layout,
    surface: Surface,
    baked: list[TextureMaps],
) -> dict[str, Any]:
    """Write meshes, textures and pictures, and return what is measured in them."""
    # The mesh is read again, to be patched.
    if inputs_sha256(job.mesh_path, setup.settings) != job.request.input_sha256:
        raise TexcsdError(
            f"{job.mesh_path}: was changed while it was painted; put it back and repeat the"
            " command, or paint anew with --overwrite"
        )
    folder, canvas, outputs, original = job.folder, layout.canvas, layout.outputs, setup.original
    pictures = canvas.looks | {number: maps.base_color for number, maps in enumerate(baked)}
    pngs = {
        number: png_bytes(with_alpha(picture, original) if number >= 0 else picture)
        for number, picture in pictures.items()
    }
    normal_pngs = {number: png_bytes(picture) for number, picture in surface.normal_maps.items()}
    edited, shape = original is not None, surface.shape
    files = canvas_files(source.path, canvas, pngs, outputs, edited, shape, normal_pngs)
    write_outputs(folder, outputs, files)
    write_outputs(folder, outputs, {normal_key(n): png for n, png in normal_pngs.items()})
    copy_kept_files(folder, canvas, outputs)
    names = [outputs[key] for key in files]
    damage = read_damage(folder, names, source.path, canvas.mesh, canvas.uv_kept, shape)
    rotation = upright_rotation(*setup.settings.axes)
    upright, posed = (turn_mesh(m, rotation) for m in (surface.fitted, shape or canvas.mesh))
    name, normal_maps = job.mesh_path.stem, surface.normal_maps
    job.warn(write_pictures(folder, outputs, upright, posed, pictures, pngs, name, normal_maps))
    kept = {} if original is None else read_kept_texels(folder / outputs["base_color"], original)
    return {"seams": measure_seams(surface.fitted, pictures), "damage": damage, **kept}
