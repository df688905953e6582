"""A bar on a terminal, lines elsewhere; earlier work and loading do not count."""

import io

import pytest

from texcsd import progress
from texcsd.progress import Progress, StepListener


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run(stream: io.StringIO, steps: range, seconds_per_step: float, total: int) -> None:
    clock = Clock()
    with Progress(total, stream=stream, clock=clock) as shown:
        for step in steps:
            shown.update(step)
            clock.now += seconds_per_step


def test_the_terminal_shows_one_bar_that_ends_in_one_line() -> None:
    stream = Terminal()
    run(stream, range(0, 11), 2.0, 10)
    drawn = stream.getvalue().split("\r")[1:]
    assert len(drawn) == 11
    assert drawn[5].rstrip() == f"[{'#' * 15}{'.' * 15}] step 5/10, 0:10 left, 2.00 s/step"
    assert drawn[10] == f"[{'#' * 30}] step 10/10, 0:20, 2.00 s/step".ljust(79) + "\n"
    assert stream.getvalue().count("\n") == 1


def test_steps_of_an_earlier_process_count_neither_as_time_nor_as_work() -> None:
    stream = Terminal()
    run(stream, range(50, 61), 3.0, 100)
    assert "step 60/100, 2:00 left, 3.00 s/step" in stream.getvalue()


@pytest.mark.parametrize("columns", [8, 20, 40, 200])
def test_a_bar_never_fills_the_line(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = Terminal()
    run(stream, range(0, 11), 4000.0, 10)
    assert {len(part.rstrip("\n")) for part in stream.getvalue().split("\r")[1:]} == {columns - 1}


def test_a_fast_run_is_not_redrawn_at_every_step() -> None:
    stream = Terminal()
    run(stream, range(0, 1001), 0.001, 1000)
    assert stream.getvalue().count("\r") == pytest.approx(
        1 + 1.0 / progress.SECONDS_BETWEEN_REDRAWS, abs=2
    )
    assert "step 1000/1000" in stream.getvalue()


def test_elsewhere_it_is_plain_lines_now_and_then() -> None:
    stream = io.StringIO()
    run(stream, range(0, 31), 1.0, 30)
    assert stream.getvalue().splitlines() == [
        "step 0/30",
        "step 10/30, 0:20 left, 1.00 s/step",
        "step 20/30, 0:10 left, 1.00 s/step",
        "step 30/30, 0:30, 1.00 s/step",
    ]


def test_an_interrupted_bar_leaves_the_cursor_on_a_new_line() -> None:
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt), Progress(10, stream=stream) as shown:
        shown.update(0)
        raise KeyboardInterrupt
    assert stream.getvalue().endswith("\n")


def test_quiet_shows_nothing() -> None:
    stream = Terminal()
    with Progress(2, quiet=True, stream=stream) as shown:
        for step in range(3):
            shown.update(step)
    assert stream.getvalue() == ""


def test_a_listener_hears_of_every_step_of_another_stage_as_of_no_step_yet():
    heard: list[int] = []
    with StepListener(heard.append).of_another_stage(3) as stage:
        for step in range(4):
            stage.update(step)
    assert heard == [0, 0, 0, 0]
