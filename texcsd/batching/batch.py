"""Many meshes and prompts in, a folder of results with a gallery out; run again, it goes on."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import torch

from texcsd.batching.board import Board
from texcsd.batching.crews import Crew, InTurn, Processes
from texcsd.batching.gallery import GALLERY, GalleryKeeper
from texcsd.batching.jobs import Assets, plan_jobs
from texcsd.batching.log import LOG, EventLog, remember_memory_limits
from texcsd.batching.published import PublishedResults
from texcsd.batching.records import Job, Outcome
from texcsd.batching.results import BatchResult, Standings
from texcsd.batching.schedule import Event, run_jobs
from texcsd.batching.table import Row, read_table
from texcsd.batching.worker import Orders, Worker, failure, find_state
from texcsd.errors import TexcsdError

logger = logging.getLogger(__name__)

Executor = Literal["processes", "in-turn", "ray"]


def batch(
    assets: str | Path | None = None,
    output: str | Path = "painted",
    *,
    prompts: str | Path | None = None,
    include: Collection[str] = (),
    exclude: Collection[str] = (),
    executor: Executor = "processes",
    workers: int = 0,
    ray_address: str | None = None,
    on_change: Literal["refuse", "repaint"] = "refuse",
    retries: int = 1,
    time_limit: float | None = None,
    publish: str | None = None,
    offline: bool = False,
    quiet: bool = False,
    **settings: Any,
) -> BatchResult:
    """Paints many meshes; called again with the same arguments, it does only what is missing.

    Every job has a folder of its own in `output`, as `paint` makes it; beside them are index.html,
    a gallery, and batch.jsonl, a line for everything that happened. What a job looks like depends
    on its mesh, prompt and settings alone, not on other jobs, their order, the executor or the
    number of workers. A job that fails does not stop the others.

    With the executor "processes", a script that calls this needs `if __name__ == "__main__":`,
    because worker processes import it.

    Args:
        assets: A folder, searched with all folders in it, or one mesh. By default the folder of
            the table.
        output: The folder for the results.
        prompts: A table (.csv, .jsonl, .toml): columns `mesh` (a path or pattern below `assets`;
            all meshes if not given), `prompt`, `name` (of the result's folder), and any setting.
        include: Patterns of meshes, such as `*.glb` or `chairs/*`; all if empty.
        exclude: Patterns of meshes to leave out.
        executor: "processes" survives crashes; "in-turn" does all in this process; "ray" on a
            cluster whose machines see all files under the same paths.
        workers: How many processes; 0 for one per GPU, or one per two CPU cores.
        ray_address: Of a running cluster, such as "auto"; by default one is started here.
        on_change: What to do with folders that hold a painting of other settings or of another
            mesh, or whose files were changed.
        retries: How often a job is tried again after its process crashed.
        time_limit: Seconds that a job may take.
        publish: A URL of fsspec, such as s3://bucket/painted, that finished results are copied to,
            and from which they are taken if the output folder has none.
        offline: Download no model.
        quiet: Show failures only.
        **settings: Fields of PaintSettings, for rows that do not say otherwise. Without a seed,
            every job gets its own, made from its name.

    Raises:
        TexcsdError: Before anything is painted: rows are wrong, or the folder cannot be used. What
            goes wrong later is in the result.
    """
    output = Path(output)
    jobs = plan(assets, output, prompts, include, exclude, settings)
    orders = Orders(on_change == "repaint", time_limit, offline, publish)
    _check_numbers(workers, retries, time_limit)
    published = None if publish is None else PublishedResults(publish)
    _make_folder(output)
    standings, log = Standings(jobs), EventLog(output / LOG)
    todo = []
    for job in jobs:
        outcome = look_up(job, orders, published)
        if outcome is None:
            todo.append(job)
        else:
            standings.note(Event("ended", job, outcome=outcome))
            log.write(Event("ended", job, outcome=outcome))
    crew = make_crew(executor, workers, len(todo), orders, ray_address)
    events = run_jobs(todo, crew, retries=retries, time_limit=time_limit)
    with Board(todo, quiet) as board, GalleryKeeper(output, standings) as gallery, closing(events):
        for result in standings.results:
            board.tell(result)
        for event in events:
            standings.note(event)
            log.write(event)
            board.show(event)
            gallery.show(event)
    if published is not None:
        _publish_overview(published, output)
    return BatchResult(output, standings.results)


def plan(
    assets: str | Path | None,
    output: Path,
    prompts: str | Path | None,
    include: Collection[str],
    exclude: Collection[str],
    settings: Mapping[str, Any],
) -> list[Job]:
    """The jobs that these arguments of `batch` ask for.

    Raises:
        TexcsdError: Something cannot be read, or jobs cannot be done as they were asked for.
    """
    rows = [Row("", {}, is_text=False)] if prompts is None else read_table(Path(prompts))
    if assets is None:
        if prompts is None:
            raise TexcsdError("nothing to paint; give a folder of meshes or a table")
        assets = Path(prompts).parent
    found = Assets(Path(assets), output, include, exclude)
    return remember_memory_limits(plan_jobs(found, rows, settings, output), output / LOG)


def look_up(job: Job, orders: Orders, published: PublishedResults | None) -> Outcome | None:
    """How a job ends without a worker: it is done, or cannot be; None if it is to be done."""
    try:
        if published is not None:
            published.fetch(job)
        finished = find_state(job, orders.repaint) == "finished"
        finished = finished and (published is None or published.holds(job))
    except TexcsdError as error:
        return failure(error, 0.0)
    return Outcome("already painted") if finished else None


def make_crew(
    executor: Executor, workers: int, jobs: int, orders: Orders, ray_address: str | None
) -> Crew:
    """The workers for so many jobs."""
    make_painter = functools.partial(Worker, orders)
    if executor == "in-turn" or jobs == 0:
        return InTurn(make_painter)
    if executor == "ray":
        from texcsd.batching.ray_crew import RayActors

        return RayActors(make_painter, min(workers, jobs), ray_address)
    gpus = torch.cuda.device_count()
    size = max(1, min(workers or gpus or cores() // 2, jobs))
    return Processes(make_painter, size, functools.partial(_environment, size, gpus))


def cores() -> int:
    """CPU cores that this process may use."""
    affinity: Sequence[int] | set[int] = getattr(os, "sched_getaffinity", lambda _: ())(0)
    return len(affinity) or os.cpu_count() or 1


def _environment(size: int, gpus: int, worker: int) -> dict[str, str]:
    """What a worker process sees: its share of the cores, and one GPU."""
    variables = {
        "OMP_WAIT_POLICY": "PASSIVE",
        # They would tear the board apart.
        "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "ignore"),
    }
    if "OMP_NUM_THREADS" not in os.environ:
        variables["OMP_NUM_THREADS"] = str(max(1, cores() // size))
    if gpus:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(gpus))))
        variables["CUDA_VISIBLE_DEVICES"] = visible.split(",")[worker % gpus]
    return variables


def _check_numbers(workers: int, retries: int, time_limit: float | None) -> None:
    if workers < 0 or retries < 0:
        raise TexcsdError(f"workers is {workers}, retries is {retries}; choose 0 or more")
    if time_limit is not None and not time_limit > 0:
        raise TexcsdError(f"time_limit is {time_limit}; choose a number of seconds above 0")


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TexcsdError(
            f"{output}: cannot be made a folder ({error.strerror}); choose another with -o"
        ) from error


def _publish_overview(published: PublishedResults, output: Path) -> None:
    try:
        for name in (GALLERY, LOG):
            published.publish_file(output / name)
    except (TexcsdError, FileNotFoundError) as error:  # The disk was full, or the other one.
        logger.warning("%s", error)
