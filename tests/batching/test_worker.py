"""One job after another: what is made of errors, and what of folders that hold something."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from texcsd import displaced, refinement
from texcsd.batching.records import Job
from texcsd.batching.schedule import with_fewer_views
from texcsd.batching.worker import Orders, Worker, failure_kind, find_state
from texcsd.errors import TexcsdError
from texcsd.result_folder import AnotherPaintingError, FolderInUseError, claim_folder
from texcsd.settings import PaintSettings


@pytest.fixture
def task(assets: Path, tmp_path: Path) -> Job:
    settings = PaintSettings("gold", steps=3, views=4, texture_size=16)
    return Job("cube-gold", assets / "cube.obj", tmp_path / "out" / "cube-gold", settings)


def paint(job: Job, **orders):
    return Worker(Orders(**orders)).paint(job, lambda step: None)


def changed(job: Job, **settings) -> Job:
    return replace(job, settings=replace(job.settings, **settings))


def test_a_job_is_painted_once(task, synthesis) -> None:
    steps: list[int] = []
    assert Worker(Orders()).paint(task, steps.append).status == "painted"
    assert steps == [0, 1, 2, 3]
    assert paint(task).status == "already painted"
    assert synthesis.steps_taken == 3


def test_the_model_is_loaded_once_for_many_jobs(task, synthesis) -> None:
    worker = Worker(Orders())
    for number in range(3):
        job = replace(task, folder=task.folder / str(number))
        assert worker.paint(job, lambda step: None).status == "painted"
    assert synthesis.models_loaded == 1


def test_an_error_is_an_outcome_and_the_next_job_is_done(task, synthesis) -> None:
    synthesis.raise_at["gold", 1] = RuntimeError("no\nluck")
    worker = Worker(Orders())
    outcome = worker.paint(task, lambda step: None)
    assert (outcome.kind, outcome.reason) == ("internal error", "RuntimeError: no luck")
    assert worker.paint(task, lambda step: None).status == "painted"
    assert synthesis.steps_taken == 3, "it went on from the checkpoint"


def test_the_outcome_of_a_mesh_whose_name_is_no_utf8_can_be_printed(task, synthesis) -> None:
    outcome = paint(replace(task, mesh=Path("caf\udce9.obj")))
    assert outcome.kind == "problem" and outcome.reason.encode().startswith(b"caf\\udce9.obj: ")


def test_an_interruption_gets_out(task, synthesis) -> None:
    synthesis.raise_at["gold", 1] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        paint(task)


def test_other_settings_are_refused_or_replaced_as_ordered(task, synthesis) -> None:
    paint(task)
    other = changed(task, seed=5)
    assert paint(other).kind == "refused"
    assert paint(task).status == "already painted"
    assert paint(other, repaint=True).status == "painted"
    assert paint(other, repaint=True).status == "already painted"
    assert paint(task).kind == "refused"


def test_a_changed_mesh_is_refused_or_replaced_as_ordered(task, synthesis) -> None:
    paint(task)
    task.mesh.write_text(task.mesh.read_text() + "# changed\n")
    assert "the mesh file was another one" in paint(task).reason
    assert paint(task, repaint=True).status == "painted"


def test_what_ran_out_of_memory_is_replaced_by_fewer_views_and_nothing_else(
    task, synthesis
) -> None:
    synthesis.raise_at["gold", 2] = MemoryError()
    assert paint(task).kind == "out of memory"
    assert paint(changed(task, views=2)).kind == "refused"
    fewer = with_fewer_views(task, 2)
    assert find_state(fewer, repaint=False) == "to be replaced"
    assert paint(fewer).status == "painted"
    assert paint(fewer).status == "already painted"
    with pytest.raises(AnotherPaintingError):
        find_state(with_fewer_views(changed(task, seed=9), 2), repaint=False)


def test_a_job_that_takes_too_long_goes_on_in_the_next_run(task, synthesis) -> None:
    outcome = paint(task, time_limit=1e-9)
    assert outcome.kind == "time limit"
    assert paint(task).status == "painted"
    assert synthesis.steps_taken == 3


def test_whatever_the_time_limit_every_attempt_takes_a_step_so_that_the_job_ends(
    task, synthesis
) -> None:
    outcomes = [paint(task, time_limit=1e-9).status for _ in range(4)]
    assert outcomes == ["failed", "failed", "failed", "painted"]
    assert synthesis.steps_taken == 3


def shaped(task: Job, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job that begins with a shape, whose guidance is none."""
    monkeypatch.setattr(displaced, "shape_png", lambda before, after, normal_maps: b"shape")
    monkeypatch.setattr(refinement, "encode_prompts", lambda settings, denoiser: None)
    monkeypatch.setattr(refinement, "_take_step", advance)
    return changed(task, displace=0.05, displace_steps=4, displace_detail=0.5)


def advance(shape: refinement.Refinement, *_: object) -> None:
    shape.step += 1


def test_a_time_limit_holds_for_the_shape_too(task, synthesis, monkeypatch) -> None:
    job = shaped(task, monkeypatch)
    ends = [paint(job, time_limit=1e-9).status for _ in range(8)]
    assert ends == ["failed"] * 7 + ["painted"], "four steps for the shape, three of painting"


def test_an_interruption_gets_out_of_the_shape_too(task, synthesis, monkeypatch) -> None:
    job, heard = shaped(task, monkeypatch), []

    def on_step(step: int) -> None:
        heard.append(step)
        if len(heard) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Worker(Orders()).paint(job, on_step)
    assert heard == [0, 0, 0] and synthesis.steps_taken == 0
    assert Worker(Orders()).paint(job, heard.append).status == "painted"
    assert heard[3:] == [0, 0, 0, 0, 1, 2, 3], "the two steps for the shape were kept"


def test_a_folder_another_process_paints_into_is_left_alone(task, synthesis) -> None:
    with claim_folder(task.folder):
        assert paint(task).kind == "in use"
    assert synthesis.steps_taken == 0


def raised_from(cause: Exception) -> TexcsdError:
    try:
        raise TexcsdError("cannot be written") from cause
    except TexcsdError as error:
        return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (raised_from(OSError(errno.ENOSPC, "full")), "disk full"),
        (OSError(errno.EDQUOT, "quota"), "disk full"),
        (raised_from(OSError(errno.EACCES, "no")), "problem"),
        (raised_from(torch.cuda.OutOfMemoryError("CUDA")), "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes"), "out of memory"),
        (RuntimeError("shape mismatch"), "internal error"),
        (FolderInUseError("x"), "in use"),
        (AnotherPaintingError("x"), "refused"),
    ],
)
def test_the_kind_of_a_failure_is_that_of_its_cause(error, kind) -> None:
    assert failure_kind(error) == kind
