"""One mesh and one prompt in, one result folder out; resumes or skips what was begun or done.

Painting and editing are one job: an editing starts from the texture that the mesh has.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from texcsd.checkpoint import json_bytes, write_bytes_atomically
from texcsd.errors import TexcsdError
from texcsd.live_view import live_view
from texcsd.memory import Memory
from texcsd.painting import Job, inputs_sha256, paint_mesh
from texcsd.progress import Progress, StepListener
from texcsd.result_folder import (
    REPORT,
    Request,
    claim_folder,
    default_folder,
    delete_unfinished,
    finished_report,
    load_unfinished,
)
from texcsd.settings import EditSettings, PaintSettings

LIVE_PORT = 8080


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
    request = Request(settings.to_json(), inputs_sha256(mesh_path, settings))
    with claim_folder(folder):
        report = None if overwrite else finished_report(folder, request)
        if report is not None:
            delete_unfinished(folder)  # Still there if the last process was killed at the very end.
            return PaintResult(folder, report, already_painted=True)
        with live_view(live_port) as view:
            job = Job(
                folder, mesh_path, settings, request, overwrite, offline, memory, progress, view
            )
            report = paint_mesh(job)
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
    request = Request(settings.to_json(), inputs_sha256(mesh_path, settings))
    report = finished_report(folder, request)
    if report is not None:
        return PaintResult(folder, report, already_painted=True)
    load_unfinished(folder, request)
    return None
