"""A worker for processes of their own, with the quick fake of a painting."""

import os
import signal
from pathlib import Path

from batching_fakes import FakeSynthesis
from quick_pictures import QUICK_PICTURES

from texcsd import delivery, painting
from texcsd.batching.worker import Orders, Worker

KILLED_ONCE = "KILLED_ONCE"
"""Variable with the path of a file that says that a worker has been killed."""


class QuickWorker(Worker):
    def __init__(self, orders: Orders) -> None:
        super().__init__(orders)
        self.synthesis = FakeSynthesis()
        self.synthesis.every_step = self.be_killed_once
        painting.synthesize = self.synthesis
        painting.load_denoiser = self.synthesis.load_denoiser
        for name, quick in QUICK_PICTURES.items():
            setattr(delivery, name, quick)

    def be_killed_once(self) -> None:
        """In the third step of the first mesh."""
        if self.job_name == "cube-gold" and self.synthesis.steps_taken == 2:
            try:
                Path(os.environ[KILLED_ONCE]).touch(exist_ok=False)
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)

    def paint(self, job, on_step):
        self.job_name = job.name
        return super().paint(job, on_step)
