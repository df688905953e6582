"""How every job of a batch stands, while it runs and at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from texcsd.batching.records import Job
from texcsd.batching.schedule import Event
from texcsd.progress import duration

NOUNS = ("painted", "already painted", "failed", "not done")


@dataclass
class JobResult:
    """How one job stands."""

    job: Job
    status: str = "not done"
    """`painted`, `already painted`, `failed` or `not done`."""
    reason: str = ""
    """Of a failure, one line."""
    kind: str | None = None
    """Of a failure, such as `crash`: see worker.FailureKind."""
    seconds: float = 0.0
    """That its attempts in this run took."""
    attempts: int = 0


@dataclass(frozen=True)
class BatchResult:
    """A batch that has come to its end."""

    folder: Path
    results: Sequence[JobResult]
    """One per job, in the order of the plan."""

    @property
    def failed(self) -> list[JobResult]:
        """Jobs that have failed."""
        return [result for result in self.results if result.status == "failed"]

    @property
    def unfinished(self) -> list[JobResult]:
        """Jobs that have failed or were not begun."""
        return [result for result in self.results if result.status in ("failed", "not done")]


class Standings:
    """Keeps up with the events of a batch."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        """Nothing is done yet."""
        self._results = {job.name: JobResult(job) for job in jobs}

    @property
    def results(self) -> list[JobResult]:
        """One per job, in the order of the plan."""
        return list(self._results.values())

    def note(self, event: Event) -> None:
        """Change the result of the event's job."""
        result = self._results[event.job.name]
        result.job = event.job
        if event.kind == "started":
            result.attempts += 1
        if event.outcome is not None:
            result.seconds += event.outcome.seconds
        if event.kind == "ended" and event.outcome is not None:
            result.status, result.kind = event.outcome.status, event.outcome.kind
            result.reason = event.outcome.reason


def summary_table(results: Sequence[JobResult]) -> list[str]:
    """Lines for people: how many of each, and what failed and why."""
    counts = Counter(result.status for result in results)
    lines = [", ".join(f"{counts[noun]} {noun}" for noun in NOUNS if counts[noun])]
    width = max((len(result.job.name) for result in results), default=0)
    for result in results:
        if result.status in ("painted", "failed"):
            again = f", {result.attempts} attempts" if result.attempts > 1 else ""
            line = f"  {result.status:<8} {duration(result.seconds):>7}  {result.job.name:<{width}}"
            reason = f"  {result.kind}: {result.reason}" if result.kind else ""
            lines.append(f"{line}{reason}{again}".rstrip())
    return lines
