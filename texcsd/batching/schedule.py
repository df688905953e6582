"""Which worker does which job when, and what is tried again: one loop for all crews."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from texcsd.batching.crews import Crew
from texcsd.batching.records import Job, Outcome

SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_HELD_BACK = 5.0
"""Until a job that another batch is at is tried again."""
SECONDS_OF_GRACE = 60.0
"""A worker notices a time limit between two steps; one that hangs is ended this much later."""

EventKind = Literal["started", "step", "retried", "ended", "left out"]


@dataclass(frozen=True)
class Event:
    """What happened to a job."""

    kind: EventKind
    job: Job
    """As it will be tried next, if the event is `retried`."""
    worker: int | None = None
    step: int = 0
    """Steps done, of a `step`."""
    outcome: Outcome | None = None
    """Of what `ended` or is to be `retried`."""


@dataclass(frozen=True)
class Attempt:
    """A job, and what has happened to it so far."""

    job: Job
    crashes: int = 0
    was_in_use: bool = False
    held_until: float = -math.inf
    """By the clock of the schedule."""
    started_at: float = 0.0


def run_jobs(
    jobs: Sequence[Job],
    crew: Crew,
    *,
    retries: int = 1,
    time_limit: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Event, None, None]:
    """Do all jobs and tell what happens; a full disk ends it before new ones are started.

    A job that another batch is at is held back, and tried again until that one has done it, or has
    given it up; only the first time is told.

    Args:
        jobs: In the order in which they are begun.
        crew: Who does them; closed at the end, however that comes about.
        retries: How often a job is tried again after its worker crashed.
        time_limit: Seconds after which a worker is ended, and its job has failed.
        clock: Seconds from any origin.
    """
    waiting = deque(Attempt(job) for job in jobs)
    running: dict[int, Attempt] = {}
    try:
        while waiting or running:
            for worker in range(crew.size):
                attempt = None if worker in running else _take_next(waiting, clock())
                if attempt is not None:
                    running[worker] = attempt
                    crew.start(worker, attempt.job)
                    if not attempt.was_in_use:
                        yield Event("started", attempt.job, worker)
            if not running:  # All that is left is held back.
                time.sleep(SECONDS_BETWEEN_LOOKS)
            for worker, news in _all_news(crew, running, time_limit, clock):
                if isinstance(news, int):
                    yield Event("step", running[worker].job, worker, news)
                    continue
                attempt = running.pop(worker)
                if news.kind == "crash":  # Nobody was left to take the time.
                    news = replace(news, seconds=clock() - attempt.started_at)
                elif news.kind == "out of memory":
                    crew.stop(worker)  # A process seldom gives all of it back.
                again = next_attempt(attempt, news, retries, clock())
                if again is not None:
                    waiting.append(again)
                    if not (attempt.was_in_use and again.was_in_use):
                        yield Event("retried", again.job, worker, outcome=news)
                    continue
                yield Event("ended", attempt.job, worker, outcome=news)
                if news.kind == "disk full":
                    yield from (Event("left out", left.job) for left in waiting)
                    waiting.clear()
    finally:
        crew.close()


def _take_next(waiting: deque[Attempt], now: float) -> Attempt | None:
    """The first one that is not held back, taken out."""
    for attempt in waiting:
        if attempt.held_until <= now:
            waiting.remove(attempt)
            return replace(attempt, started_at=now)
    return None


def _all_news(
    crew: Crew, running: dict[int, Attempt], time_limit: float | None, clock: Callable[[], float]
) -> Iterator[tuple[int, int | Outcome]]:
    """What workers report, and the outcome of those that hang."""
    for report in crew.wait(SECONDS_BETWEEN_LOOKS):
        if report.worker in running:
            yield report.worker, report.news
    for worker, attempt in list(running.items()):
        seconds = clock() - attempt.started_at
        if time_limit is not None and seconds > time_limit + SECONDS_OF_GRACE:
            crew.stop(worker)
            reason = f"hung: no end {seconds:.0f} s after its start"
            yield worker, Outcome("failed", seconds, "time limit", reason)


def next_attempt(attempt: Attempt, outcome: Outcome, retries: int, now: float) -> Attempt | None:
    """What to try after an outcome, if anything."""
    if outcome.kind == "in use":
        return replace(attempt, was_in_use=True, held_until=now + SECONDS_HELD_BACK)
    attempt = replace(attempt, was_in_use=False)
    job = attempt.job
    if outcome.kind == "crash" and attempt.crashes < retries:
        return replace(attempt, crashes=attempt.crashes + 1)
    views = job.settings.most_views
    if outcome.kind == "out of memory" and job.first_settings is None and views > 1:
        return replace(attempt, job=with_fewer_views(job, views // 2))
    return None


def with_fewer_views(job: Job, views: int) -> Job:
    """The job as it is tried after it ran out of memory."""
    fewer = replace(job.settings, views=views)
    return replace(job, settings=fewer, first_settings=job.settings)
