"""What a person sees while a batch runs: redrawn on a terminal, lines elsewhere."""

import io

import pytest
from batching_fakes import make_jobs

from texcsd.batching.board import Board
from texcsd.batching.records import Outcome
from texcsd.batching.results import JobResult, summary_table
from texcsd.batching.schedule import Event, with_fewer_views

FAILED = Outcome("failed", 3.0, "problem", "no faces")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        """What is to be seen: understands going up and erasing."""
        lines = [""]
        for part in self.getvalue().split("\x1b["):
            if part[:1].isdigit() and part[1:2] == "F":
                lines = [*lines[: len(lines) - 1 - int(part[0])], ""]
                part = part[2:]
            part = part.removeprefix("J")
            first, *rest = part.split("\n")
            lines = [*lines[:-1], lines[-1] + first, *rest]
        return lines[:-1]


@pytest.fixture
def clock():
    now = [0.0]

    def read() -> float:
        return now[0]

    read.now = now
    return read


def test_a_terminal_shows_a_bar_the_workers_and_what_ended(clock) -> None:
    stream, jobs = Terminal(), make_jobs(4, steps=10)
    with Board(jobs, stream=stream, clock=clock) as board:
        board.show(Event("started", jobs[0], 0))
        board.show(Event("started", jobs[1], 1))
        clock.now[0] = 10.0
        board.show(Event("ended", jobs[0], 0, outcome=Outcome("painted", 10.0)))
        clock.now[0] = 20.0
        board.show(Event("ended", jobs[1], 1, outcome=FAILED))
        board.show(Event("started", jobs[2], 1))
        clock.now[0] = 21.0
        board.show(Event("step", jobs[2], 1, step=0))
        clock.now[0] = 30.0
        board.show(Event("step", jobs[2], 1, step=5))
        assert stream.screen() == [
            "1/4 painted job-0, 0:10",
            "2/4 FAILED job-1: no faces",
            "[###################...........] 2/4 jobs, 1 failed, 0:18 left",
            "  2  job-2  step 5/10",
        ]
    assert stream.screen() == ["1/4 painted job-0, 0:10", "2/4 FAILED job-1: no faces"]


def test_a_job_that_another_batch_is_at_is_said_to_wait(clock) -> None:
    stream, (job,) = io.StringIO(), make_jobs(1)
    in_use = Outcome("failed", kind="in use", reason="x: another texcsd paints into it; wait")
    with Board([job], stream=stream, clock=clock) as board:
        board.show(Event("started", job, 0))
        board.show(Event("retried", job, 0, outcome=in_use))
    assert stream.getvalue() == "job-0 waits: another texcsd is at it\n"


def test_elsewhere_every_end_is_a_line_and_nothing_is_redrawn(clock) -> None:
    stream, jobs = io.StringIO(), make_jobs(2)
    with Board(jobs, stream=stream, clock=clock) as board:
        board.show(Event("started", jobs[0], 0))
        clock.now[0] = 60.0
        board.show(Event("step", jobs[0], 0, step=5))
        fewer = with_fewer_views(jobs[0], 3)
        lack = Outcome("failed", kind="out of memory", reason="out of memory")
        board.show(Event("retried", fewer, 0, outcome=lack))
        board.show(Event("started", fewer, 0))
        board.show(Event("ended", fewer, 0, outcome=Outcome("painted", 60.0)))
    assert stream.getvalue().splitlines() == [
        "trying job-0 again with 3 views: out of memory",
        "1/2 painted job-0, 1:00, 1:00 left",
    ]


def test_steps_of_an_earlier_run_count_neither_as_time_nor_as_work(clock) -> None:
    stream, jobs = Terminal(), make_jobs(1, steps=100)
    with Board(jobs, stream=stream, clock=clock) as board:
        board.show(Event("started", jobs[0], 0))
        board.show(Event("step", jobs[0], 0, step=80))
        clock.now[0] = 10.0
        board.show(Event("step", jobs[0], 0, step=90))
        assert stream.screen()[0].endswith("0/1 jobs, 0:10 left")


def test_quiet_shows_failures_only() -> None:
    stream, jobs = Terminal(), make_jobs(2)
    with Board(jobs, quiet=True, stream=stream) as board:
        board.tell(JobResult(jobs[0], "failed", "other settings"))
        board.show(Event("ended", jobs[0], 0, outcome=Outcome("painted", 1.0)))
        board.show(Event("ended", jobs[1], 0, outcome=FAILED))
    assert stream.getvalue() == "FAILED job-0: other settings\n2/2 FAILED job-1: no faces\n"


def test_the_table_counts_and_says_why() -> None:
    one, two, three, four = make_jobs(4)
    table = summary_table(
        [
            JobResult(one, "painted", seconds=61.0, attempts=2),
            JobResult(two, "already painted"),
            JobResult(three, "failed", "no faces", "problem"),
            JobResult(four),
        ]
    )
    assert table == [
        "1 painted, 1 already painted, 1 failed, 1 not done",
        "  painted     1:01  job-0, 2 attempts",
        "  failed      0:00  job-2  problem: no faces",
    ]
