"""One mesh and one prompt in, one result folder out; resumes or skips what was begun or done.

Painting and editing are one job: an editing starts from the texture that the mesh has.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from texcsd import __version__
from texcsd.canvas import lay_out, make_canvas
from texcsd.caveats import warnings_about
from texcsd.checkpoint import json_bytes, write_bytes_atomically
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
from texcsd.displaced import displace, plan_relief
from texcsd.errors import TexcsdError
from texcsd.geometry.file_materials import files_beside
from texcsd.geometry.mesh import Mesh, fit_to_unit_sphere, load_mesh, with_faces
from texcsd.geometry.upright import turn_mesh, upright_rotation
from texcsd.guidance.denoiser import load_denoiser
from texcsd.guidance.hub import progress_shown
from texcsd.live_view import LiveView, live_view
from texcsd.memory import Memory
from texcsd.new_shape import bake_relief, hold, in_frame_of, make_new_shape
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
    REPORT,
    RESHAPED,
    SHAPE,
    UNFINISHED,
    Request,
    Unfinished,
    claim_folder,
    default_folder,
    delete_painting,
    delete_unfinished,
    file_sha256,
    finished_report,
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

LIVE_PORT = 8080
BLANK_PNG = png_bytes(np.zeros((1, 1, 3), np.uint8))

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PaintResult:
    """Where a finished painting is, and what is known about it."""

    folder: Path
    report: dict[str, Any]
    """The content of run.json."""
    already_painted: bool
    """Whether it was found finished, so that nothing was computed."""

    @property
    def mesh(self) -> Path:
        """The mesh with its texture: the GLB, or what the setting `format` asks for instead."""
        return self.folder / self.report["outputs"]["mesh"]

    @property
    def glb(self) -> Path:
        """The mesh with its texture as GLB; an error if the setting `format` rules it out."""
        if self.mesh.suffix != ".glb":
            raise TexcsdError(f"{self.mesh}: is no GLB; paint with format glb, or take `mesh`")
        return self.mesh

    @property
    def base_color(self) -> Path:
        """The texture, a PNG in sRGB; the first if there are several."""
        return self.folder / self.report["outputs"]["base_color"]

    @property
    def textures(self) -> list[Path]:
        """All textures; `report["textures"]` says which materials each is of."""
        return [self.folder / texture["file"] for texture in self.report["textures"]]

    @property
    def preview(self) -> Path:
        """The contact sheet, a PNG."""
        return self.folder / self.report["outputs"]["preview"]

    @property
    def turntable(self) -> Path:
        """One turn around the object, a GIF."""
        return self.folder / self.report["outputs"]["turntable"]

    @property
    def viewer(self) -> Path:
        """A page to turn the object in a browser."""
        return self.folder / self.report["outputs"]["viewer"]


def paint(
    mesh_path: str | Path,
    prompt: str,
    output: str | Path | None = None,
    *,
    overwrite: bool = False,
    quiet: bool = False,
    offline: bool = False,
    live: bool = False,
    live_port: int = LIVE_PORT,
    memory: Memory | None = None,
    on_step: Callable[[int], None] | None = None,
    **options: Any,
) -> PaintResult:
    """Paints a mesh from a prompt and writes the results into a folder.

    Called again with the same arguments it goes on where it was stopped, or returns at once if it
    was done. Anything else in the folder is an error, never replaced silently.

    Args:
        mesh_path: OBJ, GLB, glTF, PLY, STL or OFF. It is only read.
        prompt: What it is to look like.
        output: The folder; by default outputs/<mesh>-<prompt>.
        overwrite: Delete what texcsd wrote there before, and paint anew.
        quiet: Show no progress.
        offline: Download no model; use what was downloaded before.
        live: Show the object in a browser while it is painted, at the address that is logged; needs
            texcsd[live]. The texture is the same bit for bit.
        live_port: Where on this machine; if it is taken, another one serves.
        memory: Given to every painting of a process, keeps the model and the uv for the next one.
        on_step: Called with the number of steps done, instead of showing progress: with 0 after
            every step for the shape. What it raises ends the run, which goes on when called again.
        **options: Any other field of PaintSettings.

    Raises:
        TexcsdError: Something the user can put right, said in one line.
    """
    settings = PaintSettings(prompt=prompt, **options)
    mesh_path = Path(mesh_path)
    folder = default_folder(mesh_path, prompt) if output is None else Path(output)
    memory = Memory(keep=False) if memory is None else memory
    progress = Progress(settings.steps, quiet) if on_step is None else StepListener(on_step)
    port = live_port if live else None
    return _run(mesh_path, settings, folder, overwrite, offline, memory, progress, port)


def edit(
    mesh_path: str | Path,
    source_prompt: str,
    prompt: str,
    output: str | Path | None = None,
    *,
    overwrite: bool = False,
    quiet: bool = False,
    offline: bool = False,
    live: bool = False,
    live_port: int = LIVE_PORT,
    **options: Any,
) -> PaintResult:
    """Changes the base colour that a mesh has, from what one prompt says to what another says.

    All else is as for `paint`: the result folder, going on after a stop, the seed.

    Args:
        mesh_path: GLB, glTF or OBJ with a base colour texture. It is only read.
        source_prompt: What the texture looks like now.
        prompt: What it is to look like.
        output: The folder; by default outputs/<mesh>-<source prompt>-to-<prompt>.
        overwrite: Delete what texcsd wrote there before, and edit anew.
        quiet: Show no progress.
        offline: Download no model; use what was downloaded before.
        live: As for `paint`.
        live_port: As for `paint`.
        **options: Any other field of EditSettings, such as `mask` and `only`.

    Raises:
        TexcsdError: Something the user can put right, said in one line.
    """
    if "mask" in options:
        options["mask"] = os.fspath(options["mask"])
    settings = EditSettings(prompt=prompt, source_prompt=source_prompt, **options)
    mesh_path = Path(mesh_path)
    name = f"{source_prompt} to {prompt}"
    folder = default_folder(mesh_path, name) if output is None else Path(output)
    memory, progress = Memory(keep=False), Progress(settings.steps, quiet)
    port = live_port if live else None
    return _run(mesh_path, settings, folder, overwrite, offline, memory, progress, port)


def _run(
    mesh_path: Path,
    settings: PaintSettings,
    folder: Path,
    overwrite: bool,
    offline: bool,
    memory: Memory,
    progress: Progress | StepListener,
    live_port: int | None,
) -> PaintResult:
    started = time.perf_counter()
    request = Request(settings.to_json(), _inputs_sha256(mesh_path, settings))
    with claim_folder(folder):
        report = None if overwrite else finished_report(folder, request)
        if report is not None:
            delete_unfinished(folder)  # Still there if the last process was killed at the very end.
            return PaintResult(folder, report, already_painted=True)
        with live_view(live_port) as view:
            report = _paint(
                folder, mesh_path, settings, request, overwrite, offline, memory, progress, view
            )
        report["seconds"]["total"] = round(time.perf_counter() - started, 3)
        write_bytes_atomically(folder / REPORT, json_bytes(report))
        delete_unfinished(folder)
    return PaintResult(folder, report, already_painted=False)


def find_painting(mesh_path: Path, settings: PaintSettings, folder: Path) -> PaintResult | None:
    """The finished painting in the folder, its files verified; None if it is to be painted still.

    Raises:
        AnotherPaintingError: The folder holds a painting of another mesh or of other settings,
            finished or not, or files were changed or are gone.
        TexcsdError: The mesh cannot be read, or something in the folder.
    """
    request = Request(settings.to_json(), _inputs_sha256(mesh_path, settings))
    report = finished_report(folder, request)
    if report is not None:
        return PaintResult(folder, report, already_painted=True)
    load_unfinished(folder, request)
    return None


def _paint(
    folder: Path,
    mesh_path: Path,
    settings: PaintSettings,
    request: Request,
    overwrite: bool,
    offline: bool,
    memory: Memory,
    progress: Progress | StepListener,
    view: LiveView | None,
) -> dict[str, Any]:
    """Paints and writes everything but the report, which it returns."""
    mesh_file_names(mesh_path, settings.format)  # One that is not to be had is refused at once.
    unfinished = None if overwrite else load_unfinished(folder, request)
    device = _resolve_device(settings.device)
    select_rasterizer(settings.rasterizer, torch.device(device))
    mesh = whole_mesh = load_mesh(mesh_path)
    original, warnings = None, []
    if isinstance(settings, EditSettings):
        size, mask, only = settings.texture_size, settings.mask, settings.only
        original = read_original(mesh_path, mesh, size, mask, only)
        warnings += _warn(original.warnings)
        settings = dataclasses.replace(settings, texture_size=original.size)
    choices = (
        settings.model,
        device,
        settings.controlnet,
        settings.vae,
        {"auto": None, "on": True, "off": False}[settings.vae_checkpointing],
        offline,
    )
    with progress_shown(not progress.quiet), enough_memory(settings):
        denoiser = memory.recall("denoiser", choices, lambda: load_denoiser(*choices))
    model = {
        "name": settings.model,
        "licence": denoiser.licence,
        "weights_sha256": denoiser.weights_sha256,
        "negative_prompt": choose_negative_prompt(settings, denoiser),
        "prior_scale": choose_prior_scale(settings, denoiser),
        # Of a word for a size in the prompt; that of the settings comes on top.
        "pattern_scale": denoiser.pattern_scale(settings.prompt),
    }
    texture = choose_texture(settings, denoiser)
    warnings += _warn(warnings_about(settings, denoiser))
    if unfinished is None or settings.views:
        views = choose_views(settings, denoiser)
    else:  # Another number, as another amount of memory is free now, would end with other bits.
        views = unfinished.notes["views"]
    if views < settings.most_views:
        warnings += _warn([_few_views(views, settings)])
    settings = dataclasses.replace(settings, views=views)
    resumed, edited = unfinished is not None, original is not None
    source, reshaped = mesh_path, None
    if settings.dmtet:
        held = hold(mesh, settings, device)
        if unfinished is None:
            refuse_foreign_files(folder, [SHAPE_PICTURE], mesh_path)
            begun = Unfinished({}, {"views": views})
            _begin(folder, request, begun, [SHAPE_PICTURE], overwrite)
        shape_file, source = folder / SHAPE, folder / RESHAPED / f"{mesh_path.stem}.obj"
        reshaped = make_new_shape(held, denoiser, settings, shape_file, source, progress)
        warnings += _warn(reshaped.warnings)
        mesh = load_mesh(source)
    laid_out = unfinished is not None and bool(unfinished.atlas)
    if unfinished is None or not laid_out:
        looks_sha256 = input_sha256(mesh_path, *files_beside(mesh_path))
        made_from = (request.input_sha256, looks_sha256, *_layout_choices(settings))
        unfinished = memory.recall(
            "atlas", made_from, lambda: lay_out(source, mesh, settings, original)
        )
        notes = unfinished.notes | {"views": views}
        unfinished = dataclasses.replace(unfinished, notes=notes)
    canvas = make_canvas(source, mesh, unfinished, edited=original is not None)
    mesh = canvas.mesh
    fitted = fit_to_unit_sphere(mesh) if reshaped is None else in_frame_of(whole_mesh, mesh)
    relief = plan_relief(source, canvas, fitted, settings) if settings.displace else None
    reliefs = relief.normal_maps if relief else []
    if reshaped is not None and len(mesh.faces) < len(reshaped.finer.faces):
        reliefs = [0]
    outputs = output_names(mesh_path, settings, canvas, reliefs)
    refuse_foreign_files(folder, outputs.values(), mesh_path)
    if not laid_out:
        # What cannot be written is refused now, not after the painting.
        blank = dict.fromkeys([*canvas.looks, *range(len(canvas.slots))], BLANK_PNG)
        shape = mesh if settings.displace else None
        blank_reliefs = dict.fromkeys(reliefs, BLANK_PNG)
        canvas_files(source, canvas, blank, outputs, edited, shape, blank_reliefs)
        _begin(folder, request, unfinished, outputs.values(), overwrite and not settings.dmtet)
    warnings += _warn(canvas.warnings + (relief.warnings if relief else []))
    warnings += _warn(input_warnings(source, mesh, canvas.uv_kept, edited, outputs.values()))
    going_on = "going on with" if resumed else "editing" if edited else "painting"
    logger.info("%s %s, %d triangles, uv: %s", going_on, folder, len(mesh.faces), canvas.uv_source)
    start, displaced, painted = original, None, fitted
    normal_maps: dict[int, NDArray[np.uint8]] = {}
    if reshaped is not None:
        write_outputs(folder, outputs, {"shape": reshaped.picture})
        size = settings.texture_size
        start = carried_over(mesh_path, whole_mesh, mesh, size)
        normal_maps = {number: bake_relief(reshaped, fitted, size) for number in reliefs}
    if relief is not None:
        shape_file = folder / SHAPE
        displaced = displace(mesh, fitted, relief, denoiser, settings, device, shape_file, progress)
        fitted, painted, normal_maps = displaced.fitted, displaced.finer, displaced.normal_maps
        write_outputs(folder, outputs, {"shape": displaced.picture})
        warnings += _warn(displaced.warnings)
    shape, rotation = displaced.shape if displaced else None, upright_rotation(*settings.axes)
    upright = turn_mesh(fitted, rotation)
    if view is not None:
        view.begin(upright, canvas.looks, settings.steps, f"{mesh_path.name}: {settings.prompt}")
    watch = None if view is None else view.update
    with progress:
        checkpoints, looks = folder / UNFINISHED, texture_maps(canvas.looks, device)
        # A displaced mesh is painted with all the faces it was shaped with, which show the relief.
        reliefs_shown = texture_maps({} if displaced else normal_maps, device)
        result = synthesize(
            painted.to(device),
            denoiser,
            settings,
            checkpoints,
            progress,
            start,
            looks,
            reliefs_shown,
            watch,
        )
    warnings += _warn([text for text in result.warnings if text not in warnings])
    del denoiser  # Free its memory: baking at a large texture size needs it.
    started = time.perf_counter()
    baked = _bake(fitted, result, original)
    # It is read again, to be patched.
    if _inputs_sha256(mesh_path, settings) != request.input_sha256:
        raise TexcsdError(
            f"{mesh_path}: was changed while it was painted; put it back and repeat the command, or"
            " paint anew with --overwrite"
        )
    pictures = canvas.looks | {number: maps.base_color for number, maps in enumerate(baked)}
    pngs = {
        number: png_bytes(with_alpha(picture, original) if number >= 0 else picture)
        for number, picture in pictures.items()
    }
    normal_pngs = {number: png_bytes(picture) for number, picture in normal_maps.items()}
    mesh_files = canvas_files(source, canvas, pngs, outputs, edited, shape, normal_pngs)
    write_outputs(folder, outputs, mesh_files)
    write_outputs(folder, outputs, {normal_key(n): png for n, png in normal_pngs.items()})
    copy_kept_files(folder, canvas, outputs)
    names = [outputs[key] for key in mesh_files]
    damage = read_damage(folder, names, source, mesh, canvas.uv_kept, shape)
    warnings += _warn(
        write_pictures(
            folder,
            outputs,
            upright,
            turn_mesh(shape or mesh, rotation),
            pictures,
            pngs,
            mesh_path.stem,
            normal_maps,
        )
    )
    kept = {} if original is None else read_kept_texels(folder / outputs["base_color"], original)
    seconds = {
        "unwrap": unfinished.notes["seconds"],
        **({"shape": refined.seconds} if (refined := displaced or reshaped) else {}),
        **result.seconds,
        "bake_and_write": time.perf_counter() - started,
    }
    texels, unseen = (sum(getattr(m, name) for m in baked) for name in ("texels", "unseen_texels"))
    return {
        "texcsd": __version__,
        "prompt": settings.prompt,
        "seed": settings.seed,
        "settings": dict(request.settings),
        "input": describe_input(mesh_path, request.input_sha256, whole_mesh),
        "model": model,
        "device": device,
        "uv_source": canvas.uv_source,
        "texture": texture,
        "views": views,
        "textures": describe_textures(canvas, baked, outputs),
        "texels": texels,
        "unseen_texels": unseen,
        "unseen_fraction": unseen / max(1, texels),
        "seams": measure_seams(fitted, pictures),
        "damage": damage,
        **({"shape": refined.report} if refined else {}),
        **({"texture_carried_over": start is not None} if reshaped else {}),
        **kept,
        "resumed": resumed,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "warnings": warnings,
        "outputs": outputs,
        "outputs_sha256": {name: file_sha256(folder / name) for name in outputs.values()},
        "versions": describe_versions(),
    }


def _begin(
    folder: Path,
    request: Request,
    unfinished: Unfinished,
    outputs: Iterable[str],
    overwrite: bool,
) -> None:
    """Take the folder: mesh, model and prompt are known to be good, an older painting may go."""
    three_js()
    if overwrite:
        delete_painting(folder)
    save_unfinished(folder, request, unfinished, outputs)


def _bake(fitted: Mesh, result: SynthesisResult, original: Original | None) -> list[TextureMaps]:
    if original is None:
        baked = bake_textures(fitted, result.base_color_maps, result.seen)
        return blend_seams(fitted, baked)
    part = with_faces(fitted, fitted.texture_numbers() == 0)
    learned = result.base_color_maps[0], result.seen[0]
    baked = bake_texture(part, *learned, original.pixels, original.may_change)
    return blend_seams(fitted, [baked], original.may_change)


def _few_views(views: int, settings: PaintSettings) -> str:
    return (
        f"the GPU has room for {views} views in a step instead of {settings.most_views} with "
        f"{settings.model}, which makes another texture; --views {settings.most_views} tries it"
    )


def _inputs_sha256(mesh_path: Path, settings: PaintSettings) -> str:
    edited = isinstance(settings, EditSettings)
    mask = [Path(settings.mask)] if edited and settings.mask else []
    looks = files_beside(mesh_path) if edited or settings.only or settings.dmtet else []
    return input_sha256(mesh_path, *looks, *mask)


def _layout_choices(settings: PaintSettings) -> tuple[str | int, ...]:
    """The settings that textures and uv depend on, besides the mesh."""
    if settings.dmtet:
        return (repr(settings),)
    return settings.unwrap, settings.texture_size, settings.per_material, settings.only


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


def _warn(warnings: list[str]) -> list[str]:
    """Logs each warning; returns a new list of them."""
    for text in warnings:
        logger.warning(text)
    return list(warnings)
