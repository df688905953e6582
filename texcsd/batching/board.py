"""How far a batch is: an overall bar and a line per worker on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from texcsd.batching.records import Job
from texcsd.batching.results import JobResult
from texcsd.batching.schedule import Event
from texcsd.progress import duration

BAR_WIDTH = 30
SECONDS_BETWEEN_REDRAWS = 0.2
UP_AND_CLEAR = "\x1b[{lines}F\x1b[J"
"""To the beginning of the line that many lines above, and all below it erased."""


class Board:
    """Shows the events of a batch as they come."""

    def __init__(
        self,
        jobs: Sequence[Job],
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is shown before the first event.

        Args:
            jobs: That are to be done, without those that were done before.
            quiet: Show nothing but failures.
            stream: Where to write; the standard error stream by default.
            clock: Seconds from any origin.
        """
        self._stream = sys.stderr if stream is None else stream
        self._on_terminal = self._stream.isatty() and not quiet
        self._quiet = quiet
        self._clock = clock
        self._started_at = clock()
        self._work = {job.name: job.settings.steps * job.settings.most_views for job in jobs}
        self._ended: dict[str, str] = {}
        """Status by job."""
        self._running: dict[int, tuple[Job, int]] = {}
        """Job and steps done, by worker."""
        self._first_step: dict[str, int] = {}
        """Where a job stood when it was begun here: the steps before cost no time."""
        self._drawn_lines = 0
        self._drawn_at = -float("inf")

    def __enter__(self) -> Board:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves only the lines of what ended."""
        self._erase()

    def show(self, event: Event) -> None:
        """Say what happened."""
        self._keep_up(event)
        line = self._line(event)
        if line is not None:
            self._erase()
            self._write(f"{line}\n")
        now = self._clock()
        due = line is not None or now - self._drawn_at >= SECONDS_BETWEEN_REDRAWS
        if self._on_terminal and due:
            self._draw(now)

    def tell(self, result: JobResult) -> None:
        """Say what is wrong with a job that no worker will see."""
        if result.status == "failed":
            self._write(f"FAILED {result.job.name}: {result.reason}\n")

    def _keep_up(self, event: Event) -> None:
        if event.worker is None:
            return
        if event.kind in ("started", "step"):
            if event.kind == "step":
                self._first_step.setdefault(event.job.name, event.step)
            self._running[event.worker] = (event.job, event.step)
        else:
            self._running.pop(event.worker, None)
        if event.kind == "ended" and event.outcome is not None:
            self._ended[event.job.name] = event.outcome.status

    def _line(self, event: Event) -> str | None:
        """What is said of an event once and for all."""
        outcome, name = event.outcome, event.job.name
        if outcome is None:
            return None
        count = f"{len(self._ended)}/{len(self._work)}"
        if outcome.kind == "in use":
            return None if self._quiet else f"{name} waits: another texcsd is at it"
        if event.kind == "retried":
            views = event.job.settings.views
            how = f" with {views} views" if outcome.kind == "out of memory" else ""
            return None if self._quiet else f"trying {name} again{how}: {outcome.reason}"
        if outcome.status == "failed":
            return f"{count} FAILED {name}: {outcome.reason}"
        if self._quiet:
            return None
        left = f", {self._left()}" if not self._on_terminal and self._left() else ""
        return f"{count} {outcome.status} {name}, {duration(outcome.seconds)}{left}"

    def _left(self) -> str:
        """Such as `1:02:03 left`; nothing before anything is known."""
        share = self._share_done()
        if not 0 < share < 1:
            return ""
        seconds = self._clock() - self._started_at
        return f"{duration(seconds * (1 - share) / share)} left"

    def _share_done(self) -> float:
        """Of the steps times views that are to be done here."""
        total = sum(self._work.values())
        done = sum(self._work[name] for name in self._ended)
        for job, step in self._running.values():
            first = self._first_step.get(job.name, 0)
            rest = max(1, job.settings.steps - first)
            done += self._work[job.name] * max(0, step - first) / rest
        return done / max(1, total)

    def _draw(self, now: float) -> None:
        self._erase()
        self._drawn_at = now
        columns = shutil.get_terminal_size().columns - 1
        lines = [self._bar(), *(self._worker_line(worker) for worker in sorted(self._running))]
        self._write("".join(f"{line[:columns]}\n" for line in lines))
        self._drawn_lines = len(lines)

    def _bar(self) -> str:
        filled = round(BAR_WIDTH * self._share_done())
        failed = sum(status == "failed" for status in self._ended.values())
        texts = [f"{len(self._ended)}/{len(self._work)} jobs"]
        texts += [f"{failed} failed"] if failed else []
        texts += [left] if (left := self._left()) else []
        return f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {', '.join(texts)}"

    def _worker_line(self, worker: int) -> str:
        job, step = self._running[worker]
        where = f"step {step}/{job.settings.steps}" if step else "preparing"
        where = "baking and writing" if step == job.settings.steps else where
        return f"  {worker + 1}  {job.name}  {where}"

    def _erase(self) -> None:
        if self._drawn_lines:
            self._write(UP_AND_CLEAR.format(lines=self._drawn_lines))
            self._drawn_lines = 0

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
