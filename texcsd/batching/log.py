"""batch.jsonl: a line for everything that happened to a job, over all runs of a batch."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from texcsd.batching.records import Job, printable
from texcsd.batching.schedule import Event, with_fewer_views

LOG = "batch.jsonl"

logger = logging.getLogger(__name__)


class EventLog:
    """Appends to the log; a disk that is full costs lines, and not the batch."""

    def __init__(self, path: Path) -> None:
        """The folder of the path exists."""
        self._path = path
        self._failed = False

    def write(self, event: Event) -> None:
        """Add the line of an event. Steps have none."""
        if event.kind == "step":
            return
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "event": event.kind if event.outcome is None else _name(event),
            "job": event.job.name,
            "mesh": str(event.job.mesh),
            "prompt": event.job.settings.prompt,
            "seed": event.job.settings.seed,
        }
        if event.worker is not None:
            line["worker"] = event.worker
        if event.outcome is not None:
            line["seconds"] = round(event.outcome.seconds, 3)
            if event.outcome.status == "failed":
                line |= {"kind": event.outcome.kind, "reason": event.outcome.reason}
        if event.job.first_settings is not None:
            line |= {
                "views": event.job.settings.views,
                "views_asked_for": event.job.first_settings.views,
            }
        self._append(printable(json.dumps(line, ensure_ascii=False)))

    def _append(self, line: str) -> None:
        try:
            # Opened for each line, in one write: two batches may share the file.
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            if not self._failed:
                logger.warning("%s: cannot be written (%s)", self._path, error.strerror)
            self._failed = True


def remember_memory_limits(jobs: list[Job], path: Path) -> list[Job]:
    """The jobs, those with fewer views that ran out of memory in an earlier run.

    Their results have fewer views, and would else be taken for those of other settings.
    """
    views = {(line["job"], line["views_asked_for"]): line["views"] for line in _retried_lines(path)}
    remembered = []
    for job in jobs:
        fewer = views.get((job.name, job.settings.views))
        remembered.append(job if fewer is None else with_fewer_views(job, fewer))
    return remembered


def _name(event: Event) -> str:
    return "retried" if event.kind == "retried" or event.outcome is None else event.outcome.status


def _retried_lines(path: Path) -> list[dict[str, Any]]:
    """Lines of retries with fewer views; a line that was cut off by a kill is none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return []
    found = []
    for text in lines:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and line.get("event") == "retried" and "views_asked_for" in line:
            found.append(line)
    return found
