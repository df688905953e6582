"""Who does what next, and what is tried again. The crew is a script of news."""

import itertools
from collections import defaultdict, deque

import pytest
from batching_fakes import make_jobs

from texcsd.batching import schedule
from texcsd.batching.crews import Report
from texcsd.batching.records import Job, Outcome
from texcsd.batching.schedule import Event, run_jobs

PAINTED = Outcome("painted", 1.0)


def failed(kind) -> Outcome:
    return Outcome("failed", 1.0, kind, "why")


class ScriptedCrew:
    """Ends every job at once, by default well."""

    def __init__(self, size: int = 1) -> None:
        self.size = size
        self.script: dict[str, deque] = defaultdict(deque)
        """News by job; `None` is silence for ever."""
        self.started: list[tuple[int, Job]] = []
        self.at_work: dict[int, Job] = {}
        self.stopped: list[int] = []
        self.closed = False

    def start(self, worker: int, job: Job) -> None:
        assert worker not in self.at_work and not self.closed
        self.started.append((worker, job))
        self.at_work[worker] = job

    def wait(self, seconds: float) -> list[Report]:
        reports = []
        for worker, job in list(self.at_work.items()):
            news = self.script[job.name].popleft() if self.script[job.name] else PAINTED
            if news is None:
                self.script[job.name].append(None)
                continue
            if isinstance(news, Outcome):
                del self.at_work[worker]
            reports.append(Report(worker, news))
        return reports

    def stop(self, worker: int) -> None:
        self.stopped.append(worker)
        self.at_work.pop(worker, None)

    def close(self) -> None:
        self.closed = True


def kinds(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.kind, event.job.name) for event in events]


def test_every_job_is_started_and_ends_and_steps_are_passed_on() -> None:
    crew = ScriptedCrew(size=2)
    crew.script["job-0"].extend([1, 2, PAINTED])
    events = list(run_jobs(make_jobs(3), crew))
    assert kinds(events)[:2] == [("started", "job-0"), ("started", "job-1")]
    assert [event.step for event in events if event.kind == "step"] == [1, 2]
    ended = {event.job.name: event.outcome for event in events if event.kind == "ended"}
    assert ended == dict.fromkeys(["job-0", "job-1", "job-2"], PAINTED)
    assert crew.closed


def test_a_failure_does_not_stop_the_rest() -> None:
    crew = ScriptedCrew()
    crew.script["job-0"].append(failed("problem"))
    events = list(run_jobs(make_jobs(3), crew))
    assert [e.outcome.status for e in events if e.outcome] == ["failed", "painted", "painted"]
    assert len(crew.started) == 3


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (1, 2), (3, 4)])
def test_after_a_crash_a_job_is_tried_again_but_not_for_ever(retries, attempts) -> None:
    crew = ScriptedCrew()
    crew.script["job-0"].extend([failed("crash")] * 9)
    events = list(run_jobs(make_jobs(2), crew, retries=retries))
    names = [job.name for _, job in crew.started]
    assert names.count("job-0") == attempts and names.count("job-1") == 1
    assert [e.outcome.kind for e in events if e.kind == "ended"].count("crash") == 1


def test_out_of_memory_it_is_tried_once_with_half_the_views() -> None:
    crew = ScriptedCrew()
    crew.script["job-0"].extend([failed("out of memory")] * 3)
    jobs = make_jobs(1)  # With the usual 6.
    events = list(run_jobs(jobs, crew))
    assert [job.settings.views for _, job in crew.started] == [0, 3]
    assert crew.stopped == [0, 0], "the memory is free again"
    assert crew.started[1][1].first_settings == jobs[0].settings
    assert kinds(events)[-1] == ("ended", "job-0") and events[-1].outcome.kind == "out of memory"


def test_one_view_cannot_be_halved() -> None:
    crew = ScriptedCrew()
    crew.script["job-0"].append(failed("out of memory"))
    assert len(list(run_jobs(make_jobs(1, views=1), crew))) == 2


@pytest.fixture
def clock(monkeypatch):
    """Goes on when the schedule sleeps, and by one with every look at it."""
    now = [0.0]

    def read() -> float:
        now[0] += 1.0
        return now[0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(schedule.time, "sleep", sleep)
    return read


def test_a_job_another_batch_is_at_is_held_back_until_that_has_done_it(clock) -> None:
    crew = ScriptedCrew()
    done = Outcome("already painted", 1.0)
    crew.script["job-0"].extend([failed("in use")] * 3 + [done])
    events = list(run_jobs(make_jobs(3), crew, clock=clock))
    tried = [job.name for _, job in crew.started]
    assert tried.count("job-0") == 4 and tried[:2] == ["job-0", "job-1"]
    assert [e.outcome.status for e in events if e.kind == "ended"].count("failed") == 0
    # Told are the first time, and the end.
    told = [event.kind for event in events if event.job.name == "job-0"]
    assert told == ["started", "retried", "ended"] and events[-1].outcome == done


def test_a_job_is_held_back_for_some_time_between_two_tries(clock) -> None:
    crew, times = ScriptedCrew(), []
    start = crew.start
    crew.start = lambda worker, job: (times.append(clock()), start(worker, job))
    crew.script["job-0"].extend([failed("in use")] * 3)
    list(run_jobs(make_jobs(1), crew, clock=clock))
    assert len(times) == 4
    assert min(b - a for a, b in itertools.pairwise(times)) >= schedule.SECONDS_HELD_BACK


def test_a_job_that_was_held_back_is_tried_again_after_a_crash_as_any_other(clock) -> None:
    crew = ScriptedCrew()
    crew.script["job-0"].extend([failed("in use"), failed("crash")])
    events = list(run_jobs(make_jobs(1), crew, clock=clock))
    assert [event.kind for event in events] == ["started", "retried", "retried", "started", "ended"]


def test_a_full_disk_ends_it_and_what_was_not_begun_is_left_out() -> None:
    crew = ScriptedCrew(size=2)
    crew.script["job-0"].append(failed("disk full"))
    crew.script["job-1"].extend([1, 2, PAINTED])
    events = list(run_jobs(make_jobs(4), crew))
    assert [job.name for _, job in crew.started] == ["job-0", "job-1"]
    left = [name for kind, name in kinds(events) if kind == "left out"]
    assert left == ["job-2", "job-3"]
    assert kinds(events)[-1] == ("ended", "job-1"), "who is at work may end"


def test_a_worker_that_hangs_is_ended_some_time_after_the_limit() -> None:
    crew = ScriptedCrew()
    crew.script["job-0"].append(None)
    clock = iter(range(0, 10_000, 10))
    events = list(run_jobs(make_jobs(2), crew, time_limit=100, clock=lambda: next(clock)))
    assert crew.stopped == [0]
    (hung,) = [e for e in events if e.outcome and e.outcome.kind == "time limit"]
    assert hung.job.name == "job-0"
    assert 100 + schedule.SECONDS_OF_GRACE < hung.outcome.seconds < 130 + schedule.SECONDS_OF_GRACE
    assert kinds(events)[-1] == ("ended", "job-1")


def test_the_crew_is_closed_when_nobody_listens_any_more() -> None:
    crew = ScriptedCrew()
    events = run_jobs(make_jobs(2), crew)
    next(events)
    events.close()
    assert crew.closed
