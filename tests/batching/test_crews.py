"""Workers in this process and in others: what is heard of them, whatever happens to them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from batching_fakes import make_jobs
from obedient_painter import ObedientPainter

from texcsd.batching.crews import Crew, InTurn, Processes, Report
from texcsd.batching.records import Job, Outcome
from texcsd.settings import PaintSettings

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def job(prompt: str = "paint", folder: Path = Path("out")) -> Job:
    return Job("job", Path("mesh.obj"), folder, PaintSettings(prompt))


def outcome(crew: Crew, worker: int) -> Outcome:
    """Waits for the end of a worker's job."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for report in crew.wait(1.0):
            if report.worker == worker and isinstance(report.news, Outcome):
                return report.news
    raise AssertionError("nothing was heard")


def first_step(crew: Crew) -> Report:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for report in crew.wait(1.0):
            return report
    raise AssertionError("nothing was heard")


@pytest.fixture
def crew():
    crew = Processes(ObedientPainter, 2, lambda worker: {"OMP_NUM_THREADS": str(worker + 5)})
    yield crew
    crew.close()


def test_a_process_keeps_its_painter_and_has_its_own_environment(crew) -> None:
    before = dict(os.environ)
    crew.start(0, job())
    crew.start(1, job())
    first = [outcome(crew, 0).reason.split()]
    crew.start(0, job())
    first.append(outcome(crew, 0).reason.split())
    assert first[0][0] == first[1][0] != str(os.getpid())
    assert [done for _, done, _ in first] == ["1", "2"]
    assert {threads for _, _, threads in first} == {"5"}
    assert dict(os.environ) == before


@posix
def test_a_killed_process_is_an_outcome_and_the_next_job_has_a_new_one(crew) -> None:
    crew.start(0, job("be killed"))
    end = outcome(crew, 0)
    assert (end.status, end.kind) == ("failed", "crash") and "SIGKILL" in end.reason
    crew.start(0, job("exit"))
    assert "status 3" in outcome(crew, 0).reason
    crew.start(0, job())
    assert outcome(crew, 0).status == "painted"


def test_a_hanging_process_can_be_ended_and_its_place_taken(crew) -> None:
    crew.start(0, job("hang"))
    assert first_step(crew) == Report(0, 1)
    crew.stop(0)
    crew.start(0, job())
    assert outcome(crew, 0).status == "painted"


@posix
def test_closing_interrupts_work_so_that_it_can_be_saved(crew, tmp_path) -> None:
    crew.start(0, job("wait to be interrupted", tmp_path / "saved"))
    assert first_step(crew) == Report(0, 1)
    crew.close()
    assert (tmp_path / "saved").is_dir()


ORPHANS = """
import os, signal, sys
sys.path[:0] = {path}
from pathlib import Path
from texcsd.batching.crews import Processes
from texcsd.batching.records import Job
from texcsd.settings import PaintSettings
from obedient_painter import ObedientPainter

if __name__ == "__main__":
    crew = Processes(ObedientPainter, 1)
    crew.start(0, Job("job", Path("mesh.obj"), Path("out"), PaintSettings("hang")))
    while not crew.wait(1.0):
        pass
    print(crew._hired[0][0].pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@posix
def test_workers_end_with_a_parent_that_is_killed(tmp_path) -> None:
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS.format(path=[str(Path(__file__).parent)]))
    run = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL, run.stderr
    worker = int(run.stdout)
    deadline = time.monotonic() + 20
    while _runs(worker):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.05)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or status.read_text().split()[2] != "Z"


class CountingPainter:
    def __init__(self) -> None:
        self.interrupted = False

    def paint(self, job: Job, on_step) -> Outcome:
        try:
            for step in range(job.settings.steps):
                on_step(step)
                time.sleep(0.001)
        except KeyboardInterrupt:
            self.interrupted = True
            raise
        return Outcome("painted")


def test_in_turn_steps_and_outcomes_come_in_order() -> None:
    crew = InTurn(CountingPainter)
    for name in make_jobs(2, steps=3):
        crew.start(0, name)
        news = []
        while not news or not isinstance(news[-1], Outcome):
            news += [report.news for report in crew.wait(5.0)]
        assert news == [0, 1, 2, Outcome("painted")]
    crew.close()


def test_in_turn_closing_interrupts_at_the_next_step() -> None:
    painter = CountingPainter()
    crew = InTurn(lambda: painter)
    crew.start(0, make_jobs(1, steps=1_000_000)[0])
    crew.wait(5.0)
    crew.close()
    assert painter.interrupted
