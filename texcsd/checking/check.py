"""One mesh file in, a report out, and on request pictures."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from texcsd import __version__
from texcsd.checking.estimate import (
    MODELS,
    TIMED_MODEL,
    Estimate,
    estimate_job,
    estimate_on_gpu,
    estimate_painting,
)
from texcsd.checking.facts import Facts, gather_facts
from texcsd.checking.findings import find_notes, find_problems
from texcsd.checkpoint import json_bytes, write_bytes_atomically
from texcsd.errors import TexcsdError
from texcsd.geometry.uv_atlas import warnings_about_uv
from texcsd.output.check_pictures import coverage_png, orbit_png, uv_layout_png
from texcsd.report import describe_input, input_sha256
from texcsd.settings import CHECKED, PaintSettings

REPORT = "report.json"
PICTURES = ("orbit.png", "coverage.png", "uv_layout.png")
FORMAT = 1
"""Of the report: grows when a key changes its meaning or goes; new keys may come any time."""


@dataclass(frozen=True)
class CheckResult:
    """What is known about a mesh that can be painted."""

    report: dict[str, Any]
    """The content of report.json, plain JSON values."""
    folder: Path | None
    """Where the report and the pictures are, if they were asked for."""

    @property
    def problems(self) -> list[str]:
        """What an artist would want to fix, a line each."""
        return [problem["text"] for problem in self.report["problems"]]


def check(
    mesh_path: str | Path,
    output: str | Path | None = None,
    **options: Any,
) -> CheckResult:
    """Tells what painting a mesh will run into, without painting it.

    Takes seconds on a CPU. Writes nothing without `output`.

    Args:
        mesh_path: OBJ, GLB, glTF, PLY, STL or OFF. It is only read.
        output: A folder for report.json, orbit.png, coverage.png and, where there are uv to show,
            uv_layout.png.
        **options: Of the settings of `paint`, those in CHECKED: the texture size, for the density
            of texels and the estimate, and what the estimate counts in besides.

    Raises:
        TexcsdError: The mesh cannot be painted, or the folder not be written to.
    """
    mesh_path = Path(mesh_path)
    if unknown := options.keys() - {*CHECKED}:
        raise TypeError(f"check has no option {', '.join(sorted(unknown))}")
    settings = PaintSettings(prompt="check", **options)
    if output is not None:
        _refuse_foreign_files(Path(output))
    sha256 = input_sha256(mesh_path)
    facts = gather_facts(mesh_path, settings.texture_size, settings.close_up_fraction)
    report = _report(mesh_path, sha256, facts, settings)
    if output is None:
        return CheckResult(report, None)
    _write(Path(output), report, facts)
    return CheckResult(report, Path(output))


def _report(mesh_path: Path, sha256: str, facts: Facts, settings: PaintSettings) -> dict[str, Any]:
    report = {
        "texcsd": __version__,
        "check": FORMAT,
        "input": {
            **describe_input(mesh_path, sha256, facts.fitted),
            **asdict(facts.file),
            "bounds": asdict(facts.bounds),
        },
        "orientation": asdict(facts.orientation),
        "surface": asdict(facts.surface),
        "uv": {
            **asdict(facts.uv),
            "texture_size": settings.texture_size,
            "distortion": None if facts.distortion is None else asdict(facts.distortion),
        },
        "visibility": asdict(facts.visibility),
        "painting": _painting(facts, settings),
        "problems": [asdict(problem) for problem in find_problems(facts)],
        "notes": find_notes(facts),
    }
    # Tuples become lists, as whoever reads the file has them.
    return json.loads(json.dumps(report))


def _painting(facts: Facts, settings: PaintSettings) -> dict[str, Any]:
    """What painting would do, with the default settings but for those in CHECKED."""
    plan = facts.textures
    kept = [group for group in plan.groups if group.kept]
    lost = [group for group in plan.groups if not group.kept]
    if len(plan.groups) == 1:
        warnings = warnings_about_uv(plan.groups[0].report) if kept else []
    else:
        warnings = [text for group in plan.groups for text in group.warnings]
    seen_area = facts.area * (1 - facts.visibility.enclosed_area_fraction)
    triangles, unwrap = len(facts.fitted.faces), bool(lost)
    embedded = estimate_job(settings, triangles, seen_area, unwrap, plan.texture_count)
    one_step = estimate_painting(
        triangles, 1, settings.most_views, settings.texture_size, unwrap, plan.texture_count
    )
    reasons = dict.fromkeys(group.report.reason for group in lost)
    return {
        "uv": "unwrapped" if not kept else "partly kept" if lost else "kept",
        "reason": "; ".join(filter(None, reasons)) or "they are usable",
        "textures": plan.texture_count,
        "warnings": plan.warnings + warnings,
        "shape_steps": _shape_steps(settings),
        "seen_area": round(seen_area, 4),
        "steps": settings.steps,
        "views": settings.most_views,
        "seconds": round(embedded.seconds, 1),
        "memory_bytes": round(embedded.memory_bytes),
        "models": _models(embedded, one_step, settings),
    }


def _models(embedded: Estimate, one_step: Estimate, settings: PaintSettings) -> dict[str, Any]:
    """The estimates by name of the model, and what they rest on."""
    steps = settings.steps + _shape_steps(settings)
    estimates = [("embedded", "two idle CPU cores", "measured", embedded)]
    for name in MODELS:
        basis = "measured" if name == TIMED_MODEL else "calculated"
        estimate = estimate_on_gpu(name, one_step, steps, settings.most_views)
        estimates.append((name, "an H100", basis, estimate))
    return {
        name: {
            "on": device,
            "basis": basis,
            "seconds": round(estimate.seconds, 1),
            "memory_bytes": round(estimate.memory_bytes),
        }
        for name, device, basis, estimate in estimates
    }


def _shape_steps(settings: PaintSettings) -> int:
    if settings.dmtet:
        return settings.dmtet_steps
    return settings.displace_steps if settings.displace else 0


def _refuse_foreign_files(folder: Path) -> None:
    """Raises if a file that no check wrote is where one would write."""
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        report = None
    ours = isinstance(report, dict) and {"texcsd", "check"} <= {*report}
    for name in (REPORT, *PICTURES):
        if os.path.lexists(folder / name) and not ours:
            raise TexcsdError(
                f"{folder / name}: is in the way, and not of a check; choose another folder with -o"
            )


def _write(folder: Path, report: dict[str, Any], facts: Facts) -> None:
    """Writes the report first: it says that the pictures beside it are ours."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TexcsdError(
            f"{folder}: cannot be made a folder ({error.strerror}); choose another with -o"
        ) from error
    write_bytes_atomically(folder / REPORT, json_bytes(report))
    up = facts.orientation.up
    caption = f"painting takes +y as up and +z as the front; the mesh seems to stand with {up} up"
    orbit, coverage, layout = (folder / name for name in PICTURES)
    write_bytes_atomically(orbit, orbit_png(facts.fitted, caption))
    write_bytes_atomically(coverage, coverage_png(facts.fitted, facts.view_shares))
    if facts.uv.finite:
        write_bytes_atomically(layout, uv_layout_png(facts.fitted))
    else:
        layout.unlink(missing_ok=True)  # Of an earlier check, when the mesh had uv.
