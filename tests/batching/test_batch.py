"""Whole batches, in turn in this process: what is done, what is left, and what a person finds."""

import errno
import functools
import itertools
import json
import os
import random
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch
from quick_worker import KILLED_ONCE, QuickWorker

import texcsd
from texcsd import checkpoint
from texcsd.batching import batch as batch_module
from texcsd.batching import schedule
from texcsd.batching.batch import batch
from texcsd.batching.results import BatchResult
from texcsd.errors import TexcsdError
from texcsd.result_folder import claim_folder


def run(assets: Path, output: Path, **options) -> BatchResult:
    chosen = {"prompt": "gold", "steps": 4, "texture_size": 16, "executor": "in-turn", **options}
    return batch(assets, output, quiet=True, **chosen)


def statuses(result: BatchResult) -> dict[str, str]:
    return {one.job.name: one.kind or one.status for one in result.results}


def pictures(output: Path) -> dict[str, bytes]:
    """Everything but what tells of times, by name."""
    files = [path for path in output.rglob("*") if path.is_file()]
    told = ("run.json", "batch.jsonl", "index.html")
    return {p.relative_to(output).as_posix(): p.read_bytes() for p in files if p.name not in told}


def logged(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "batch.jsonl").read_text().splitlines()]


def test_a_broken_mesh_does_not_stop_the_others(assets, tmp_path, synthesis) -> None:
    result = run(assets, tmp_path / "out")
    assert statuses(result) == {
        "cube-gold": "painted",
        "points-gold": "problem",
        "vase-gold": "painted",
        "chairs/stool-gold": "painted",
    }
    (failed,) = result.failed
    assert "no faces" in failed.reason
    assert synthesis.models_loaded == 1
    lines = [(line["event"], line["job"]) for line in logged(tmp_path / "out")]
    assert lines.count(("started", "cube-gold")) == lines.count(("painted", "cube-gold")) == 1
    assert ("failed", "points-gold") in lines
    assert (tmp_path / "out" / "index.html").is_file()


def test_a_second_run_does_only_what_is_missing(assets, tmp_path, synthesis) -> None:
    run(assets, tmp_path / "out")
    taken = synthesis.steps_taken
    (assets / "points.obj").write_text((assets / "cube.obj").read_text() + "# mended\n")
    again = run(assets, tmp_path / "out")
    assert statuses(again).pop("points-gold") == "painted"
    assert [*statuses(again).values()].count("already painted") == 3
    assert synthesis.steps_taken == taken + 4


def test_a_job_is_the_same_in_any_company_and_as_painted_alone(assets, tmp_path, synthesis) -> None:
    table = tmp_path / "table.csv"
    table.write_text("mesh,prompt\nvase.obj,gold\ncube.obj,oak\ncube.obj,gold\n")
    run(assets, tmp_path / "all", exclude=["points.obj"])
    run(assets, tmp_path / "some", prompts=table, prompt="lava")
    everything, some = pictures(tmp_path / "all"), pictures(tmp_path / "some")
    shared = everything.keys() & some.keys()
    assert {name.split("/")[0] for name in shared} == {"cube-gold", "vase-gold"}
    assert all(everything[name] == some[name] for name in shared)
    settings = json.loads((tmp_path / "all/cube-gold/run.json").read_text())["settings"]
    texcsd.paint(assets / "cube.obj", output=tmp_path / "alone", quiet=True, **settings)
    for name, content in pictures(tmp_path / "alone").items():
        assert everything[f"cube-gold/{name}"] == content


def test_other_settings_are_refused_or_repainted_as_asked(assets, tmp_path, synthesis) -> None:
    run(assets, tmp_path / "out", include=["cube.obj"])
    before = pictures(tmp_path / "out")
    refused = run(assets, tmp_path / "out", include=["cube.obj"], seed=1)
    assert statuses(refused) == {"cube-gold": "refused"}
    assert pictures(tmp_path / "out") == before
    repainted = run(assets, tmp_path / "out", include=["cube.obj"], seed=1, on_change="repaint")
    assert statuses(repainted) == {"cube-gold": "painted"}
    assert pictures(tmp_path / "out") != before
    kept = run(assets, tmp_path / "out", include=["cube.obj"], seed=1, on_change="repaint")
    assert statuses(kept) == {"cube-gold": "already painted"}


def test_a_spoilt_result_is_noticed_and_repainted_as_asked(assets, tmp_path, synthesis) -> None:
    run(assets, tmp_path / "out", include=["cube.obj"])
    before = pictures(tmp_path / "out")
    (tmp_path / "out/cube-gold/textures/base_color.png").write_bytes(b"")
    assert statuses(run(assets, tmp_path / "out", include=["cube.obj"])) == {"cube-gold": "refused"}
    run(assets, tmp_path / "out", include=["cube.obj"], on_change="repaint")
    assert pictures(tmp_path / "out") == before


def test_out_of_memory_ends_with_fewer_views_and_later_runs_know(
    assets, tmp_path, synthesis
) -> None:
    synthesis.raise_at["gold", 2] = MemoryError()
    result = run(assets, tmp_path / "out", include=["cube.obj"], views=6)
    assert statuses(result) == {"cube-gold": "painted"}
    report = json.loads((tmp_path / "out/cube-gold/run.json").read_text())
    assert report["settings"]["views"] == 3
    (retried,) = [line for line in logged(tmp_path / "out") if line["event"] == "retried"]
    assert (retried["kind"], retried["views"]) == ("out of memory", 3)
    again = run(assets, tmp_path / "out", include=["cube.obj"], views=6)
    assert statuses(again) == {"cube-gold": "already painted"}
    assert "3 views" in (tmp_path / "out" / "index.html").read_text()
    other = run(assets, tmp_path / "out", include=["cube.obj"], views=5)
    assert statuses(other) == {"cube-gold": "refused"}


def test_two_batches_never_work_on_one_job_and_both_end_with_all_done(
    assets, tmp_path, synthesis, monkeypatch
) -> None:
    """The other one paints the cube, and has done so when this one has painted the rest."""
    other, write, painted = ExitStack(), batch_module.EventLog.write, []
    run(assets, tmp_path / "other", include=["cube.obj"])
    folder = tmp_path / "out" / "cube-gold"
    other.enter_context(claim_folder(folder))

    def noting(self, event) -> None:
        write(self, event)
        painted.extend([event.job.name] if event.kind == "ended" else [])
        if len(painted) == 2 and not (folder / "run.json").exists():
            shutil.copytree(tmp_path / "other" / "cube-gold", folder, dirs_exist_ok=True)
            other.close()

    monkeypatch.setattr(batch_module.EventLog, "write", noting)
    monkeypatch.setattr(schedule, "SECONDS_HELD_BACK", 0.05)
    result = run(assets, tmp_path / "out", exclude=["points.obj"])
    assert painted[-1] == "cube-gold" and not result.unfinished
    assert statuses(result).pop("cube-gold") == "already painted"
    assert synthesis.steps_taken == 3 * 4, "four for each of the three, wherever"
    (waited,) = [line for line in logged(tmp_path / "out") if line["event"] == "retried"]
    assert (waited["job"], waited["kind"]) == ("cube-gold", "in use")


def test_a_full_disk_stops_it_cleanly_and_it_goes_on_when_there_is_room(
    assets, tmp_path, synthesis, monkeypatch
) -> None:
    undisturbed = tmp_path / "undisturbed"
    run(assets, undisturbed, exclude=["points.obj"])
    synced, room = os.fsync, iter(range(15))

    def fsync_until_full(file: int) -> None:
        if next(room, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(file)

    with monkeypatch.context() as full:
        full.setattr(checkpoint.os, "fsync", fsync_until_full)
        result = run(assets, tmp_path / "out", exclude=["points.obj"])
    assert statuses(result) == {
        "cube-gold": "painted",
        "vase-gold": "disk full",
        "chairs/stool-gold": "not done",
    }
    assert not list((tmp_path / "out").rglob("*.partial")), "nothing half written stays"
    assert not run(assets, tmp_path / "out", exclude=["points.obj"]).unfinished
    assert pictures(tmp_path / "out") == pictures(undisturbed)


def test_an_interruption_gets_out_and_leaves_a_gallery(assets, tmp_path, synthesis) -> None:
    calls = iter(range(3))

    def interrupt_the_main_thread() -> None:
        if next(calls, None) is None:
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.05)

    synthesis.every_step = interrupt_the_main_thread
    # A process started in the background by a shell ignores the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(assets, tmp_path / "out", steps=1000)
    finally:
        signal.signal(signal.SIGINT, before)
    assert "not done" in (tmp_path / "out" / "index.html").read_text()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"workers": -1}, "workers is -1"),
        ({"time_limit": 0}, "time_limit is 0"),
        ({"prompts": "no.csv"}, "cannot be read"),
    ],
)
def test_wrong_options_are_an_error_before_anything_is_made(
    assets, tmp_path, synthesis, options, says
) -> None:
    with pytest.raises(TexcsdError, match=says):
        run(assets, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_without_folder_and_table_there_is_nothing_to_do(tmp_path) -> None:
    with pytest.raises(TexcsdError, match="nothing to paint"):
        batch(output=tmp_path, prompt="gold")


@pytest.mark.slow
def test_two_processes_paint_what_is_painted_in_turn_even_if_one_is_killed(
    assets, tmp_path, synthesis, monkeypatch
) -> None:
    run(assets, tmp_path / "turn")
    monkeypatch.setattr(batch_module, "Worker", QuickWorker)
    monkeypatch.setenv(KILLED_ONCE, str(tmp_path / "killed-once"))
    result = run(assets, tmp_path / "out", executor="processes", workers=2)
    assert (tmp_path / "killed-once").exists()
    assert statuses(result)["cube-gold"] == "painted"
    assert {one.job.name: one.attempts for one in result.results}["cube-gold"] == 2
    assert [one.kind for one in result.unfinished] == ["problem"]
    assert pictures(tmp_path / "out") == pictures(tmp_path / "turn")


def run_and_be_killed(assets: Path, output: Path, moment: int, synthesis, jobs: dict) -> bool:
    """Runs the batch in a copy of this process, until the moment; whether it was killed then.

    Moments are steps, and the calls of the system between which files are not yet what they will
    be: each comes before one, and so after another.
    """
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        moments = itertools.count(1)

        def pass_or_be_killed(*arguments, do=lambda: None) -> None:
            if next(moments) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            do(*arguments)

        try:
            for name in ("fsync", "replace"):
                do = functools.partial(pass_or_be_killed, do=getattr(os, name))
                setattr(checkpoint.os, name, do)
            synthesis.every_step = pass_or_be_killed
            run(assets, output, **jobs)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="copies this process, to be quick")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_killed_at_twenty_random_moments_it_ends_bit_for_bit_the_same(
    assets, tmp_path, synthesis
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("prompt\ngold\noak\n")
    jobs = {"prompts": table, "exclude": ["points.obj"], "steps": 8}
    run(assets, tmp_path / "undisturbed", **jobs)
    # One thread: those of OpenMP are missing in a copy of the process.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    choice = random.Random(0)
    kills = sum(
        run_and_be_killed(assets, tmp_path / "out", choice.randint(1, 30), synthesis, jobs)
        for _ in range(20)
    )
    torch.set_num_threads(threads)
    assert kills >= 15, "it was done too soon to be killed"
    assert list((tmp_path / "out").rglob("run.json")), "it was killed too soon to do anything"
    assert not run(assets, tmp_path / "out", **jobs).unfinished
    assert pictures(tmp_path / "out") == pictures(tmp_path / "undisturbed")
    assert not list((tmp_path / "out").rglob("unfinished"))


def test_results_can_be_compared_because_the_fake_depends_on_every_step(
    assets, tmp_path, synthesis
) -> None:
    few = run(assets, tmp_path / "few", include=["cube.obj"])
    run(assets, tmp_path / "more", include=["cube.obj"], steps=5)
    assert few.results[0].attempts == 1
    one, two = (pictures(tmp_path / name) for name in ("few", "more"))
    name = "cube-gold/textures/base_color.png"
    assert not np.array_equal(one[name], two[name])


def test_workers_share_the_cores_and_have_a_gpu_each(monkeypatch) -> None:
    monkeypatch.setattr(batch_module, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    threads = [batch_module._environment(3, 0, worker)["OMP_NUM_THREADS"] for worker in range(3)]
    assert threads == ["2", "2", "2"]
    assert "CUDA_VISIBLE_DEVICES" not in batch_module._environment(3, 0, 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    gpus = [batch_module._environment(3, 2, w)["CUDA_VISIBLE_DEVICES"] for w in range(3)]
    assert gpus == ["4", "6", "4"]
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert "OMP_NUM_THREADS" not in batch_module._environment(3, 0, 0)
