"""The log: lines for programs, and the memory of what ran out of memory."""

import json
import logging
from dataclasses import replace
from pathlib import Path

from batching_fakes import make_jobs

from texcsd.batching.log import EventLog, remember_memory_limits
from texcsd.batching.records import Outcome
from texcsd.batching.schedule import Event, with_fewer_views


def test_a_line_per_event_but_none_per_step(tmp_path) -> None:
    (job,) = make_jobs(1)
    log = EventLog(tmp_path / "log")
    log.write(Event("started", job, 1))
    log.write(Event("step", job, 1, step=3))
    log.write(Event("ended", job, 1, outcome=Outcome("failed", 2.0, "crash", "signal")))
    started, failed = (json.loads(line) for line in (tmp_path / "log").read_text().splitlines())
    assert (started["event"], started["job"], started["worker"]) == ("started", "job-0", 1)
    assert (failed["event"], failed["kind"], failed["reason"]) == ("failed", "crash", "signal")


def test_fewer_views_are_remembered_for_these_settings_only(tmp_path) -> None:
    path = tmp_path / "log"
    job, other = make_jobs(2, views=6)
    assert remember_memory_limits([job, other], path) == [job, other]
    fewer = with_fewer_views(job, 3)
    lack = Outcome("failed", 1.0, "out of memory", "out of memory")
    EventLog(path).write(Event("retried", fewer, 0, outcome=lack))
    with open(path, "a") as file:
        file.write('{"event": "retr')  # Cut off by a kill.
    assert remember_memory_limits([job, other], path) == [fewer, other]
    more = replace(job, settings=replace(job.settings, views=8))
    assert remember_memory_limits([more], path) == [more]


def test_a_mesh_whose_name_is_no_utf8_has_its_line(tmp_path) -> None:
    (job,) = make_jobs(1)
    EventLog(tmp_path / "log").write(Event("started", replace(job, mesh=Path("caf\udce9.obj")), 0))
    line = (tmp_path / "log").read_text(encoding="utf-8")
    assert json.loads(line)["mesh"] == "caf\udce9.obj"


def test_what_ends_lines_elsewhere_may_be_in_a_remembered_prompt(tmp_path) -> None:
    (job,) = make_jobs(1, views=6)
    job = replace(job, settings=replace(job.settings, prompt="red\u2028leather"))
    fewer = with_fewer_views(job, 3)
    lack = Outcome("failed", 1.0, "out of memory", "out of memory")
    EventLog(tmp_path / "log").write(Event("retried", fewer, 0, outcome=lack))
    assert remember_memory_limits([job], tmp_path / "log") == [fewer]


def test_a_log_that_cannot_be_written_is_said_once_and_stops_nothing(tmp_path, caplog) -> None:
    (job,) = make_jobs(1)
    log = EventLog(tmp_path / "no folder" / "log")
    with caplog.at_level(logging.WARNING):
        log.write(Event("started", job, 0))
        log.write(Event("started", job, 0))
    assert len(caplog.records) == 1
