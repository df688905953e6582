"""How far a run is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO

BAR_WIDTH = 30
"""Characters, where the terminal is wide enough."""

SECONDS_BETWEEN_REDRAWS = 0.1
SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Shows the steps done, the time left and the seconds per step.

    The first `update` only says where the run stands: the time before it (loading, compiling) and
    the steps before it (of an earlier process) count neither as time nor as work.
    """

    def __init__(
        self,
        total: int,
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is shown before the first `update`.

        Args:
            total: Steps of the whole run.
            quiet: Show nothing at all.
            stream: Where to write; the standard error stream by default.
            clock: Seconds from any origin.
        """
        self._total = total
        self._stream = sys.stderr if stream is None else stream
        self._on_terminal = self._stream.isatty()
        self.quiet = quiet
        self._clock = clock
        self._first: tuple[int, float] | None = None
        self._shown_at = -float("inf")
        self._bar_is_open = False

    def of_another_stage(self, total: int) -> Progress:
        """Shows the steps of what is done before, in the same way."""
        return Progress(total, self.quiet, self._stream, self._clock)

    def __enter__(self) -> Progress:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the line of the bar, also when the run was interrupted."""
        if self._bar_is_open:
            self._write("\n")
            self._bar_is_open = False

    def update(self, step: int) -> None:
        """Says that `step` steps of the total are done."""
        now = self._clock()
        if self._first is None:
            self._first = (step, now)
        interval = SECONDS_BETWEEN_REDRAWS if self._on_terminal else SECONDS_BETWEEN_LINES
        if self.quiet or (now - self._shown_at < interval and step < self._total):
            return
        self._shown_at = now
        text = self._text(step, now)
        self._write(self._bar(step, text) if self._on_terminal else f"{text}\n")
        self._bar_is_open = self._on_terminal

    def _text(self, step: int, now: float) -> str:
        text = f"step {step}/{self._total}"
        first_step, first_time = self._first or (step, now)
        if step == first_step:
            return text
        seconds = (now - first_time) / (step - first_step)
        if step == self._total:
            return f"{text}, {duration(now - first_time)}, {seconds:.2f} s/step"
        return f"{text}, {duration(seconds * (self._total - step))} left, {seconds:.2f} s/step"

    def _bar(self, step: int, text: str) -> str:
        # One column stays free: a full line would wrap, and the carriage return would not undo it.
        columns = shutil.get_terminal_size().columns - 1
        width = min(BAR_WIDTH, columns - len(text) - 3)
        filled = width * step // self._total
        bar = f"[{'#' * filled}{'.' * (width - filled)}] " if width >= 5 else ""
        return "\r" + (bar + text)[:columns].ljust(columns)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class StepListener:
    """Takes the place of Progress where somebody else shows how far a run is."""

    quiet = True

    def __init__(self, on_step: Callable[[int], None]) -> None:
        """Passes every update on."""
        self.update = on_step

    def of_another_stage(self, total: int) -> StepListener:
        """Tells of no step yet, as often as the other stage makes one: listeners may end the run.

        The steps that are listened to are those of painting.
        """
        return StepListener(lambda step: self.update(0))

    def __enter__(self) -> StepListener:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Has nothing to end."""


def duration(seconds: float) -> str:
    """Such as 0:42 or 1:02:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
