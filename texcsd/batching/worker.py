"""What does one job after another in one process, and makes an outcome of whatever happens."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from texcsd.batching.published import PublishedResults
from texcsd.batching.records import FailureKind, Job, Outcome, printable
from texcsd.errors import TexcsdError
from texcsd.job import find_painting, paint
from texcsd.memory import Memory
from texcsd.result_folder import AnotherPaintingError, FolderInUseError

OUT_OF_MEMORY_WORDS = ("can't allocate memory", "not enough memory", "out of memory")
"""In the messages of plain RuntimeErrors, by PyTorch's allocators."""

State = Literal["finished", "to be painted", "to be replaced"]


class TimeLimitError(TexcsdError):
    """A job took longer than it may."""


@dataclass(frozen=True)
class Orders:
    """What holds for all jobs of a batch."""

    repaint: bool = False
    """Whether a folder that holds another painting is painted anew, instead of refused."""
    time_limit: float | None = None
    """Seconds that an attempt at a job may take."""
    offline: bool = False
    publish: str | None = None
    """URL that finished results are copied to."""


class Worker:
    """Keeps the model and the UVs of the last job for the next one."""

    def __init__(self, orders: Orders) -> None:
        """Loads nothing yet."""
        self._orders = orders
        self._memory = Memory()
        self._published = None if orders.publish is None else PublishedResults(orders.publish)

    def paint(self, job: Job, on_step: Callable[[int], None]) -> Outcome:
        """Do the job, whatever of it is left to do; only KeyboardInterrupt gets out.

        Args:
            job: What to paint.
            on_step: Called with the number of steps done.
        """
        started, begun = time.monotonic(), False

        def on_step_in_time(step: int) -> None:
            nonlocal begun
            on_step(step)
            # What comes first is where the attempt begins. It takes a step in any case: else, with
            # too short a limit, one attempt after another would end where the last one did.
            if begun:
                self._check_time(time.monotonic() - started)
            begun = True

        try:
            with _job_messages_off():
                done = paint(
                    job.mesh,
                    overwrite=find_state(job, self._orders.repaint) == "to be replaced",
                    output=job.folder,
                    offline=self._orders.offline,
                    memory=self._memory,
                    on_step=on_step_in_time,
                    **job.settings.to_json(),
                ).already_painted
            if self._published is not None:
                self._published.publish(job)
        except Exception as error:
            return failure(error, time.monotonic() - started)
        return Outcome("already painted" if done else "painted", time.monotonic() - started)

    def _check_time(self, seconds: float) -> None:
        limit = self._orders.time_limit
        if limit is not None and seconds > limit:
            raise TimeLimitError(
                f"took longer than {limit:g} s; a second run goes on from its checkpoint, or raise "
                "--time-limit"
            )


def find_state(job: Job, repaint: bool) -> State:
    """How far the job is, by what is in its folder.

    Raises:
        AnotherPaintingError: The folder holds another painting, and that one may not go.
        TexcsdError: The mesh or the folder cannot be read.
    """
    try:
        done = find_painting(job.mesh, job.settings, job.folder)
    except AnotherPaintingError:
        if repaint:
            return "to be replaced"
        if job.first_settings is None:
            raise
        # What was begun before the job ran out of memory may go, and nothing else.
        find_painting(job.mesh, job.first_settings, job.folder)
        return "to be replaced"
    return "to be painted" if done is None else "finished"


def failure(error: Exception, seconds: float) -> Outcome:
    """The outcome of a job that raised."""
    text = printable(" ".join(str(error).split()))
    kind = failure_kind(error)
    if kind == "internal error":
        text = f"{type(error).__name__}: {text}"
    elif kind == "out of memory":
        text = f"needs more memory than there is ({text}); lower --views, or --workers"
    return Outcome("failed", seconds, kind, text)


def failure_kind(error: Exception) -> FailureKind:
    """What a job failed of, also if the cause was wrapped in an error for the user."""
    causes = [*_causes(error)]
    if any(getattr(cause, "errno", None) in (errno.ENOSPC, errno.EDQUOT) for cause in causes):
        return "disk full"
    if any(_is_out_of_memory(cause) for cause in causes):
        return "out of memory"
    kinds: list[tuple[type[Exception], FailureKind]] = [
        (FolderInUseError, "in use"),
        (AnotherPaintingError, "refused"),
        (TimeLimitError, "time limit"),
        (TexcsdError, "problem"),
        (Exception, "internal error"),
    ]
    return next(kind for type_, kind in kinds if isinstance(error, type_))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error).lower() for words in OUT_OF_MEMORY_WORDS
    )


@contextmanager
def _job_messages_off() -> Iterator[None]:
    """What a painting says is in its report; here it would tear the progress of many apart."""
    logger = logging.getLogger("texcsd.painting")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
