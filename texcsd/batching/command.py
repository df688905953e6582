"""`texcsd batch`: its options, and what it prints. Nothing heavy is imported before it runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from texcsd.errors import TexcsdError
from texcsd.settings import chosen_settings, options

EPILOG = """\
examples:
  texcsd batch assets/ --prompt "weathered oak" -o painted
  texcsd batch assets/ --prompts prompts.csv -o painted --dry-run
  texcsd batch assets/ --prompt "rusty steel" --include "props/*" --exclude "*_low.obj"

a prompts.csv, of which only the prompt is needed; without a mesh, a row is for all:
  mesh,prompt,seed,steps
  chairs/*.glb,weathered oak,,
  vase.ply,white marble,7,500

without a seed in the table or with --seed, every job gets its own, made from its name

exit status: 0 all jobs are done, 1 some are not, and a table tells why, 2 wrong usage,
130 interrupted (the same command goes on where it stopped)
"""


def add_batch_arguments(parser: argparse.ArgumentParser) -> None:
    """Those that `texcsd paint` does not have."""
    parser.add_argument(
        "assets",
        metavar="ASSETS",
        type=Path,
        nargs="?",
        help="A folder of meshes, searched with all folders in it. (default: the table's)",
    )
    for option in options():
        if option.name == "prompt":
            parser.add_argument("--prompt", metavar="T", help=option.help)
    parser.add_argument(
        "--prompts",
        metavar="TABLE",
        type=Path,
        help="A .csv, .jsonl or .toml ([[job]]) with the columns mesh, prompt, name of the result's"
        " folder, and any setting; what a row does not say is taken from the options here.",
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, default=Path("painted"),
        help="Where the results go. (default: painted)",
    )  # fmt: skip
    for name, what in (("include", "Paint only meshes"), ("exclude", "Leave out meshes")):
        parser.add_argument(
            f"--{name}", metavar="PATTERN", action="append", default=[],
            help=f'{what} whose path or name matches, as in "chairs/*" or "*.glb"; repeatable.',
        )  # fmt: skip
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="List the jobs, check every mesh, estimate the time; paint nothing.",
    )
    _add_how(parser)


def _add_how(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--executor",
        choices=("processes", "in-turn", "ray"),
        default="processes",
        help="Processes of their own survive crashes; in turn, all is done in this one; ray is for"
        ' clusters (pip install "texcsd[ray]"). (default: processes)',
    )
    parser.add_argument(
        "--ray-address", metavar="A", help='Of a Ray cluster, or "auto". (default: a new one here)'
    )
    parser.add_argument(
        "--workers", metavar="N", type=int, default=0,
        help="How many processes, which share the CPU's cores; 0 for one per GPU, or one per two"
        " cores. (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--on-change", choices=("refuse", "repaint"), default="refuse",
        help="What to do with a result of other settings or of another mesh, or whose files were"
        " changed. (default: refuse)",
    )  # fmt: skip
    parser.add_argument(
        "--retries", metavar="N", type=int, default=1,
        help="How often a job is tried again after its process crashed. (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--time-limit", metavar="SECONDS", type=float, help="That a job may take. (default: none)"
    )
    parser.add_argument(
        "--publish",
        metavar="URL",
        help="Also copy finished results there, as to s3://bucket/painted, and take from there what"
        " the output folder lacks: any URL of fsspec.",
    )


def run_batch(parsed: argparse.Namespace) -> None:
    """Paints, or says what would be painted, and raises if anything is left to be done."""
    from texcsd.batching.jobs import BadJobsError

    try:
        run = _dry_run if parsed.dry_run else _run
        run(parsed, chosen_settings(vars(parsed), parsed.config))
    except BadJobsError as error:
        print(*error.problems, sep="\n")
        count = len(error.problems)
        raise TexcsdError(f"{count} problem(s), listed above; nothing was painted") from error


def _run(parsed: argparse.Namespace, settings: dict[str, Any]) -> None:
    from texcsd.batching.batch import batch
    from texcsd.batching.gallery import GALLERY
    from texcsd.batching.results import summary_table

    result = batch(
        parsed.assets,
        parsed.output,
        prompts=parsed.prompts,
        include=parsed.include,
        exclude=parsed.exclude,
        executor=parsed.executor,
        workers=parsed.workers,
        ray_address=parsed.ray_address,
        on_change=parsed.on_change,
        retries=parsed.retries,
        time_limit=parsed.time_limit,
        publish=parsed.publish,
        offline=parsed.offline,
        quiet=parsed.quiet,
        **settings,
    )
    if not parsed.quiet:
        print(*summary_table(result.results), sep="\n")
        print(f"gallery: {result.folder / GALLERY}")
    left = result.unfinished
    if any(job.kind == "disk full" for job in left):
        raise TexcsdError(
            f"{result.folder}: the disk is full, {len(left)} of {len(result.results)} jobs are not "
            "done; make room and repeat the command"
        )
    if left:
        raise TexcsdError(
            f"{result.folder}: {len(left)} of {len(result.results)} jobs are not done; the "
            "table says why; the same command does only what is missing"
        )


def _dry_run(parsed: argparse.Namespace, settings: dict[str, Any]) -> None:
    from texcsd.batching.batch import plan
    from texcsd.batching.dry_run import forecast, forecast_line
    from texcsd.progress import duration

    jobs = plan(
        parsed.assets, parsed.output, parsed.prompts, parsed.include, parsed.exclude, settings
    )
    seconds, failing = 0.0, 0
    for expected in forecast(jobs, parsed.on_change == "repaint"):
        print(forecast_line(expected), flush=True)
        seconds += expected.seconds
        failing += expected.state is None
    print(f"{len(jobs)} jobs, about {duration(seconds)} on one thread of a CPU")
    if failing:
        raise TexcsdError(f"{failing} of {len(jobs)} jobs cannot be done; nothing was painted")
