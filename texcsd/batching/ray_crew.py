"""Workers on a Ray cluster: actors, each of which keeps its model. Imports ray when it is used."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from texcsd.batching.crews import SECONDS_TO_SAVE, MakePainter, Report, crash
from texcsd.batching.records import Job, Outcome
from texcsd.errors import TexcsdError

SECONDS_BETWEEN_STEPS = 1.0
"""How often an actor is asked for its step."""
CORES_PER_WORKER = 2


class Actor:
    """A worker in a process of the cluster. `step` is answered while it paints."""

    def __init__(self, make_painter: MakePainter, folder: str) -> None:
        """Go to the folder of the driver, which every machine has to see under the same path."""
        os.chdir(folder)
        self._painter = make_painter()
        self._step = 0
        self._interrupted = False

    def paint(self, job: Job) -> Outcome:
        """Do a job."""
        self._step = 0
        return self._painter.paint(job, self._on_step)

    def step(self) -> int:
        """Of the job it is at."""
        return self._step

    def interrupt(self) -> None:
        """Have the job end at its next step, its checkpoint saved."""
        self._interrupted = True

    def _on_step(self, step: int) -> None:
        self._step = step
        if self._interrupted:
            raise KeyboardInterrupt


@dataclass
class Hired:
    """An actor, and the answers that are awaited from it. They are small: no images, no meshes."""

    actor: Any
    placed: Any
    """Answered as soon as the cluster has found room for the actor."""
    is_placed: bool = False
    outcome: Any = None
    """Of the job it is at, if it is at one."""
    job: Job | None = None
    step: Any = None
    asked_at: float = 0.0


class RayActors:
    """Every worker is an actor, wherever the cluster has room; dead ones are replaced."""

    def __init__(self, make_painter: MakePainter, size: int, address: str | None) -> None:
        """Connects to a cluster, or starts one on this machine.

        Args:
            make_painter: Is called in each actor.
            size: Number of workers; 0 for one per GPU, or one per two CPU cores of the cluster.
            address: Of a cluster, `auto` for the one this machine belongs to; None for a new one.
        """
        self._ray = _import_ray()
        self._was_connected = self._ray.is_initialized()
        if not self._was_connected:
            self._connect(address)
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        gpus = sum(int(machine.get("GPU", 0)) for machine in machines)
        cores = [int(machine["CPU"]) for machine in machines if machine.get("CPU", 0) >= 1]
        self.size = size or gpus or max(1, sum(cores) // CORES_PER_WORKER)
        # No more than a machine has, or no machine would have room for an actor.
        threads = max(1, min([CORES_PER_WORKER, sum(cores) // self.size, *cores]))
        self._remote = self._ray.remote(
            num_cpus=threads,
            num_gpus=min(gpus, 1),
            max_concurrency=2,  # To answer while it paints.
            max_restarts=0,  # The schedule tries again, and counts.
            runtime_env={"env_vars": _variables(threads)},
        )(Actor)
        self._make_painter = make_painter
        self._hired: dict[int, Hired] = {}

    def start(self, worker: int, job: Job) -> None:
        """See Crew."""
        if worker not in self._hired:
            actor = self._remote.remote(self._make_painter, os.getcwd())
            self._hired[worker] = Hired(actor, actor.step.remote())
        self._begin(self._hired[worker], job)

    def wait(self, seconds: float) -> list[Report]:
        """See Crew."""
        at_work = {hired.outcome: worker for worker, hired in self._at_work()}
        ended, _ = self._ray.wait(list(at_work), timeout=seconds) if at_work else ([], [])
        reports = [self._end(at_work[outcome]) for outcome in ended]
        self._note_places()
        return [*self._steps(), *reports]

    def stop(self, worker: int) -> None:
        """See Crew."""
        self._ray.kill(self._hired.pop(worker).actor)

    def close(self) -> None:
        """See Crew."""
        at_work = [hired for _, hired in self._at_work() if hired.is_placed]
        for hired in at_work:
            hired.actor.interrupt.remote()
        if at_work:
            outcomes = [hired.outcome for hired in at_work]
            self._ray.wait(outcomes, num_returns=len(outcomes), timeout=SECONDS_TO_SAVE)
        for worker in list(self._hired):
            self.stop(worker)
        if not self._was_connected:
            self._ray.shutdown()

    def _connect(self, address: str | None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            self._ray.init(address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise TexcsdError(
                f"Ray at {address or 'this machine'} cannot be reached ({reason}); check "
                "--ray-address, or `ray status`"
            ) from error

    def _at_work(self) -> Iterator[tuple[int, Hired]]:
        return ((worker, hired) for worker, hired in self._hired.items() if hired.job is not None)

    def _begin(self, hired: Hired, job: Job) -> None:
        hired.job, hired.step = job, None
        hired.outcome = hired.actor.paint.remote(job)

    def _end(self, worker: int) -> Report:
        hired = self._hired[worker]
        try:
            outcome = self._ray.get(hired.outcome)
        except self._ray.exceptions.RayError as error:
            reason = " ".join(str(error).split())
            del self._hired[worker]
            return Report(worker, crash(None, f"its actor or machine was lost ({reason[:200]})"))
        hired.job = None
        return Report(worker, outcome)

    def _note_places(self) -> None:
        """Give jobs whose actor finds no room, as after the loss of a machine, to idle actors."""
        for hired in self._hired.values():
            if not hired.is_placed:
                hired.is_placed = bool(self._ray.wait([hired.placed], timeout=0)[0])
        idle = [w for w, hired in self._hired.items() if hired.job is None and hired.is_placed]
        for worker, hired in list(self._at_work()):
            if not hired.is_placed and idle and hired.job is not None:
                job = hired.job
                self.stop(worker)
                self._hired[worker] = self._hired.pop(idle.pop())
                self._begin(self._hired[worker], job)

    def _steps(self) -> Iterator[Report]:
        now = time.monotonic()
        for worker, hired in self._at_work():
            if hired.step is not None and self._ray.wait([hired.step], timeout=0)[0]:
                with suppress(self._ray.exceptions.RayError):  # `wait` will hear of its end.
                    yield Report(worker, self._ray.get(hired.step))
                hired.step = None
            elif hired.step is None and now - hired.asked_at > SECONDS_BETWEEN_STEPS:
                hired.step, hired.asked_at = hired.actor.step.remote(), now


def _import_ray() -> Any:
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise TexcsdError(
            'ray is not installed; pip install "texcsd[ray]", or use --executor processes'
        ) from error
    return ray


def _variables(threads: int) -> dict[str, str]:
    names = ("TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY", "HF_HOME", "HF_HUB_OFFLINE")
    ours = {name: os.environ[name] for name in names if name in os.environ}
    return {
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
        "OMP_WAIT_POLICY": "PASSIVE",
        **ours,
    }
