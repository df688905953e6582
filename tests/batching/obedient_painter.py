"""A painter for worker processes that does what the prompt says. Loads nothing heavy."""

import os
import signal
import time
from collections.abc import Callable

from texcsd.batching.records import Job, Outcome


class ObedientPainter:
    def __init__(self) -> None:
        self.jobs_done = 0

    def paint(self, job: Job, on_step: Callable[[int], None]) -> Outcome:
        if job.settings.prompt == "wait to be interrupted":
            try:
                on_step(1)
                time.sleep(1000)
            except KeyboardInterrupt:
                job.folder.mkdir()  # As a checkpoint is saved.
                raise
        on_step(1)
        if job.settings.prompt == "be killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if job.settings.prompt == "exit":
            os._exit(3)
        if job.settings.prompt == "hang":
            time.sleep(1000)
        self.jobs_done += 1
        threads = os.environ.get("OMP_NUM_THREADS", "")
        return Outcome("painted", reason=f"{os.getpid()} {self.jobs_done} {threads}")
