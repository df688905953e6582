"""What a batch would do: every mesh looked at, every job timed, nothing painted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from texcsd.batching.records import Job, printable
from texcsd.batching.worker import State, find_state
from texcsd.checking.check import check
from texcsd.checking.estimate import estimate_job
from texcsd.errors import TexcsdError
from texcsd.progress import duration


@dataclass(frozen=True)
class Forecast:
    """What is to be expected of a job."""

    job: Job
    state: State | None
    """None if it cannot be painted."""
    triangles: int = 0
    seconds: float = 0.0
    """On two idle cores of a CPU with the embedded model; 0 if it is finished."""
    problems: Sequence[str] = ()
    """What `texcsd check` finds, or why it cannot be painted."""


def forecast(jobs: Sequence[Job], repaint: bool) -> Iterator[Forecast]:
    """Looks at one job after another; a mesh of several jobs is checked once."""
    checked: dict[Path, dict[str, Any] | TexcsdError] = {}
    for job in jobs:
        if job.mesh not in checked:
            try:
                checked[job.mesh] = check(job.mesh).report
            except TexcsdError as error:
                checked[job.mesh] = error
        found = checked[job.mesh]
        try:
            if isinstance(found, TexcsdError):
                raise found
            yield _forecast(job, find_state(job, repaint), found)
        except TexcsdError as error:
            yield Forecast(job, None, problems=[printable(str(error))])


def forecast_line(expected: Forecast) -> str:
    """For people."""
    job = expected.job
    if expected.state is None:
        return f"FAILS  {job.name}: {'; '.join(expected.problems)}"
    time = "-" if expected.state == "finished" else duration(expected.seconds)
    problems = f"; {len(expected.problems)} problem(s): texcsd check" if expected.problems else ""
    return (
        f"{time:>7}  {job.name}: {expected.state}, {expected.triangles:,} triangles, "
        f"{job.settings.steps} steps{problems}"
    )


def _forecast(job: Job, state: State, report: dict[str, Any]) -> Forecast:
    settings, triangles = job.settings, report["input"]["triangles"]
    unwraps = settings.unwrap == "always" or report["painting"]["uv"] != "kept"
    textures = report["painting"]["textures"] if settings.per_material != "off" else 1
    area = report["painting"]["seen_area"]
    estimate = estimate_job(settings, triangles, area, unwraps, textures)
    seconds = 0.0 if state == "finished" else estimate.seconds
    problems = [problem["text"] for problem in report["problems"]]
    return Forecast(job, state, triangles, seconds, problems)
