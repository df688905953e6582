"""How long the stages of a computation take, on a GPU, too, which works behind the processor."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Stopwatch:
    """Adds up seconds by stage: of the clock, or on a GPU those between events in its stream.

    To stop the clock when the GPU is done would make it wait for the processor at every stage.
    """

    def __init__(self, stages: list[str], device: torch.device) -> None:
        """No time has passed.

        Args:
            stages: Their names.
            device: That computes.
        """
        self._seconds = dict.fromkeys(stages, 0.0)
        self._on_gpu = device.type == "cuda"
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the time spent inside to a stage."""
        if self._on_gpu:
            started, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            started.record()
            yield
            ended.record()
            self._events.append((stage, started, ended))
            return
        began = time.perf_counter()
        yield
        self._seconds[stage] += time.perf_counter() - began

    def add(self, seconds: dict[str, float]) -> None:
        """Adds what an earlier process took."""
        for stage, value in seconds.items():
            self._seconds[stage] += value

    def seconds(self) -> dict[str, float]:
        """By stage, so far; waits for a GPU."""
        for stage, started, ended in self._events:
            ended.synchronize()
            self._seconds[stage] += started.elapsed_time(ended) / 1000
        self._events.clear()
        return dict(self._seconds)
