"""Paints every mesh file of some folders, quickly, and says what became of each: CORPUS.md.

    python tests/benchmarks/corpus.py FOLDER... --table tests/benchmarks/CORPUS.md

Every file is painted by the command line, in a process of its own and within a time limit, with few
steps and a small texture, since what is asked is not how it looks but whether it comes back whole:
painted, with the damage that was measured, or refused in one line. Anything else (a traceback, a
crash, no end) is a failure, and the exit status is 1. The processes are forks of this one (not on
Windows), which has loaded the model; their pictures are few and small.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from texcsd import cli, job
from texcsd.guidance.denoiser import load_denoiser
from texcsd.output import preview

EXTENSIONS = (".obj", ".glb", ".gltf", ".ply", ".stl", ".off")
LONGEST_REASON = 160
HEAD = """\
# Every mesh of some public collections, painted

Made by `python tests/benchmarks/corpus.py FOLDER...`: each file in a process of its own, with
{seconds} s at most, by `texcsd paint FILE brick {options}`.
"Damage" is what `run.json` says about the mesh files read back: the largest differences of
positions (in units of the mesh) and of UVs that were kept, and what seams have split.

"""


@dataclass
class Outcome:
    """What became of a file."""

    name: str
    kind: str
    """painted, refused or failed."""
    text: str
    damage: str
    seconds: float


def main() -> int:
    arguments = parse_arguments()
    context = multiprocessing.get_context("fork")
    prepare()
    outcomes = []
    for name, path in mesh_files(arguments.folders):
        outcome = paint(context, name, path, arguments.options.split(), arguments.time_limit)
        outcomes.append(outcome)
        print(f"{outcome.seconds:6.1f} s  {name}: {outcome.kind}, {outcome.text}", flush=True)
        if arguments.table:  # Anew after each file: whoever interrupts it has what there is.
            head = HEAD.format(seconds=arguments.time_limit, options=arguments.options)
            arguments.table.write_text(head + table(outcomes))
    print(counts(outcomes))
    return int(any(outcome.kind == "failed" for outcome in outcomes))


def prepare() -> None:
    """Load what every painting needs, and shorten what takes long and is looked at by nobody."""
    denoiser = load_denoiser("embedded", "cpu")
    job.load_denoiser = lambda *_: denoiser
    preview.FRAMES, preview.FRAME_SIZE, preview.VIEW_SIZE = 3, 48, 48


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", metavar="FOLDER", type=Path, nargs="+")
    parser.add_argument("--table", type=Path, help="a Markdown file to write the table to")
    parser.add_argument("--time-limit", type=int, default=120, help="seconds per file")
    parser.add_argument(
        "--options", default="--steps 2 --views 1 --texture-size 64", help="for texcsd paint"
    )
    return parser.parse_args()


def mesh_files(folders: list[Path]) -> Iterator[tuple[str, Path]]:
    """All mesh files below the folders, and what to call them."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in EXTENSIONS and path.is_file():
                yield f"{folder.resolve().name}/{path.relative_to(folder).as_posix()}", path


def paint(context, name: str, path: Path, options: list[str], time_limit: int) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="texcsd-corpus-") as scratch:
        output, log = Path(scratch, "result"), Path(scratch, "log")
        arguments = ["paint", str(path), "brick", "-o", str(output), "--quiet", *options]
        started = time.monotonic()
        process = context.Process(target=run, args=(arguments, str(log)))
        process.start()
        process.join(time_limit)
        seconds = time.monotonic() - started
        if process.exitcode is None:
            process.kill()
            process.join()
            return Outcome(name, "failed", f"no end after {time_limit} s", "", seconds)
        printed = [line for line in log.read_text().splitlines() if "warning: " not in line]
        kind, text, damage = judge(process.exitcode, printed, output / "run.json")
        text = text.replace(f"{path}: ", "").replace(str(path.parent), ".")
        return Outcome(name, kind, text[:LONGEST_REASON], damage, seconds)


def run(arguments: list[str], log: str) -> None:
    """In a process of its own."""
    with open(log, "w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        status = cli.main(arguments)
    os._exit(status)


def judge(exitcode: int, printed: list[str], report: Path) -> tuple[str, str, str]:
    """Kind, text and damage of an ended process."""
    if exitcode == 0 and not printed and report.is_file():
        return "painted", *describe(json.loads(report.read_text()))
    said = printed[-1].removeprefix("texcsd: ") if printed else ""
    if exitcode == 1 and len(printed) == 1 and "internal error" not in said:
        return "refused", said, ""
    return "failed", f"exit status {exitcode}: {said or 'nothing was said'}", ""


def describe(report: dict) -> tuple[str, str]:
    textures, files = len(report["textures"]), report["damage"].values()
    text = f"{textures} texture{'s' * (textures > 1)}, UVs: {report['uv_source']}"
    moved = max(found["max_position_delta"] for found in files)
    uv = [found["max_uv_delta"] for found in files if found["max_uv_delta"] is not None]
    damage = [f"positions {moved:.1g}"] if moved else []
    damage += [f"UVs {max(uv):.1g}"] if uv and max(uv) else []
    for key, noun in (("vertices_copied", "vertices copied"), ("polygons_cut", "polygons cut")):
        count = max(found.get(key, 0) for found in files)
        damage += [f"{count:,} {noun}"] if count else []
    return text, ", ".join(damage) or "0"


def table(outcomes: list[Outcome]) -> str:
    lines = [f"{counts(outcomes)}.", "", "| file | | | damage | s |", "|---|---|---|---|---|"]
    for outcome in outcomes:
        cells = outcome.name, outcome.kind, outcome.text, outcome.damage, f"{outcome.seconds:.0f}"
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def counts(outcomes: list[Outcome]) -> str:
    found = Counter(outcome.kind for outcome in outcomes)
    kinds = ", ".join(f"{found[kind]} {kind}" for kind in ("painted", "refused", "failed"))
    return f"{len(outcomes)} files: {kinds}"


if __name__ == "__main__":
    sys.exit(main())
