"""Jobs and how they end: what passes between processes, and therefore loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from texcsd.settings import PaintSettings

Status = Literal["painted", "already painted", "failed"]
FailureKind = Literal[
    "problem", "refused", "in use", "out of memory", "disk full", "time limit", "crash",
    "internal error",
]  # fmt: skip


def printable(text: str) -> str:
    """The text with names of files in it that are no UTF-8, as every terminal and file takes it."""
    return text.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True)
class Job:
    """One mesh to be painted from one prompt."""

    name: str
    """Its identity: the folder of its result below the output folder, with `/`."""
    mesh: Path
    folder: Path
    settings: PaintSettings
    first_settings: PaintSettings | None = None
    """What was asked for, if the job ran out of memory and `settings` has fewer views."""


@dataclass(frozen=True)
class Outcome:
    """How one attempt at a job ended."""

    status: Status
    seconds: float = 0.0
    kind: FailureKind | None = None
    """Of a failure; decides whether the job is tried again."""
    reason: str = ""
    """Of a failure, one line."""
