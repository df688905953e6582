"""Workers that differ only in where they work: in this process, or in processes of their own.

A crew is told to start a job, and asked what has happened since. Who does what next, and what is
tried again, is decided once, in `schedule`.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from texcsd.batching.records import Job, Outcome

SECONDS_TO_SAVE = 10.0
"""How long an interrupted worker may take to save its checkpoint."""


class Painter(Protocol):
    """What does jobs: see worker.Worker."""

    def paint(self, job: Job, on_step: Callable[[int], None]) -> Outcome:
        """Do a job; an exception other than KeyboardInterrupt is a mistake of the program."""
        ...


MakePainter = Callable[[], Painter]


@dataclass(frozen=True)
class Report:
    """News of a worker: a step of its job, or how the job ended."""

    worker: int
    news: int | Outcome


class Crew(Protocol):
    """Workers, numbered from 0; each does one job at a time."""

    size: int

    def start(self, worker: int, job: Job) -> None:
        """Have an idle worker do a job."""
        ...

    def wait(self, seconds: float) -> list[Report]:
        """What has happened, as soon as something has, or nothing after that time."""
        ...

    def stop(self, worker: int) -> None:
        """End a worker; nothing more is heard of its job. The next job has another."""
        ...

    def close(self) -> None:
        """End all workers; those at work save a checkpoint if they can."""
        ...


class InTurn:
    """One worker, in a thread of this process: starts fastest, but a crash takes all down."""

    size = 1

    def __init__(self, make_painter: MakePainter) -> None:
        """Makes the painter at once."""
        self._painter = make_painter()
        self._news: queue.Queue[Report] = queue.Queue()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self, worker: int, job: Job) -> None:
        """See Crew."""
        self._thread = threading.Thread(target=self._work, args=(worker, job), daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> list[Report]:
        """See Crew."""
        with suppress(queue.Empty):
            return [self._news.get(timeout=seconds)]
        return []

    def stop(self, worker: int) -> None:
        """Cannot end a thread that hangs; waits for its next step."""
        self.close()
        self._stopping = False

    def close(self) -> None:
        """See Crew."""
        self._stopping = True
        if self._thread is not None:
            self._thread.join()

    def _work(self, worker: int, job: Job) -> None:
        def on_step(step: int) -> None:
            self._news.put(Report(worker, step))
            if self._stopping:
                raise KeyboardInterrupt  # Has the checkpoint saved, as an interruption does.

        with suppress(KeyboardInterrupt):
            self._news.put(Report(worker, self._painter.paint(job, on_step)))


class Processes:
    """Every worker is a process of its own: one may crash, and another takes its place."""

    def __init__(
        self,
        make_painter: MakePainter,
        size: int,
        environments: Callable[[int], Mapping[str, str]] = lambda worker: {},
    ) -> None:
        """Starts no process yet.

        Args:
            make_painter: Is called in each process, and therefore pickled: a class or a partial.
            size: Number of workers.
            environments: Variables for the process of a worker, such as its number of threads.
        """
        self.size = size
        self._make_painter = make_painter
        self._environments = environments
        # Neither a copy of this process with its threads, nor a server that outlives it.
        self._context = multiprocessing.get_context("spawn")
        self._hired: dict[int, tuple[BaseProcess, Connection]] = {}

    def start(self, worker: int, job: Job) -> None:
        """See Crew; also starts the process, if there is none."""
        if worker in self._hired and not self._hired[worker][0].is_alive():
            self.stop(worker)
        if worker not in self._hired:
            self._hire(worker)
        with suppress(OSError):  # Died just now: `wait` will notice.
            self._hired[worker][1].send(job)

    def wait(self, seconds: float) -> list[Report]:
        """See Crew."""
        workers = {connection: worker for worker, (_, connection) in self._hired.items()}
        reports = []
        for connection in wait(list(workers), seconds):
            assert isinstance(connection, Connection)
            worker = workers[connection]
            try:
                reports.append(Report(worker, connection.recv()))
            except (EOFError, OSError):
                process = self._hired[worker][0]
                process.join(SECONDS_TO_SAVE)
                reports.append(Report(worker, crash(process.exitcode)))
                self.stop(worker)
        return reports

    def stop(self, worker: int) -> None:
        """See Crew."""
        process, connection = self._hired.pop(worker)
        process.kill()
        process.join()
        connection.close()

    def close(self) -> None:
        """See Crew."""
        for process, _ in self._hired.values():
            process.terminate()
        for process, _ in self._hired.values():
            process.join(SECONDS_TO_SAVE)
        for worker in list(self._hired):
            self.stop(worker)

    def _hire(self, worker: int) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_serve, args=(theirs, self._make_painter), daemon=False
        )
        with _environment(self._environments(worker)):
            process.start()
        theirs.close()  # Or the end of the process would not close the connection.
        self._hired[worker] = (process, ours)


def crash(exit_code: int | None, reason: str = "") -> Outcome:
    """The outcome of a job whose process ended by itself."""
    if reason:
        return Outcome("failed", kind="crash", reason=reason)
    if exit_code is not None and exit_code < 0:
        with suppress(ValueError):
            name = signal.Signals(-exit_code).name
            hint = "; out of memory, perhaps" if name == "SIGKILL" else ""
            reason = f"its process was ended by signal {-exit_code} ({name}){hint}"
            return Outcome("failed", kind="crash", reason=reason)
    return Outcome("failed", kind="crash", reason=f"its process ended with status {exit_code}")


def _serve(connection: Connection, make_painter: MakePainter) -> None:
    """What a worker process does, until it is told to end or its parent is gone."""
    # Ctrl-C reaches all processes of a terminal; the parent decides what comes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(KeyboardInterrupt, EOFError, BrokenPipeError):
        painter = make_painter()
        while True:
            connection.send(painter.paint(connection.recv(), connection.send))


def _end_with_parent() -> None:
    """A killed parent cannot end its workers; they would keep its folders locked."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Has processes that are started meanwhile see these variables."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
