"""Paints every mesh file of public collections, quickly, and says what became of each: CORPUS.md.

    python tests/benchmarks/corpus.py FOLDER --fetch --table tests/benchmarks/CORPUS.md

Every subfolder of FOLDER is a collection; `--fetch` clones those of COLLECTIONS that are not there.
Every file is painted by the command line, in a process of its own and within a time limit, with few
steps and a small texture, since what is asked is not how it looks but whether it comes back whole:
painted, with the damage that was measured, or refused in one line. Anything else (a traceback, a
crash, no end) is a failure, and the exit status is 1. The processes are forks of this one (not on
Windows), which has loaded the model; their pictures are few and small.

What was found is kept in FOLDER/outcomes.jsonl, so that the same command again goes on where it was
stopped, with the files that failed and those that are missing, and writes the whole table.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from texcsd import cli, painting
from texcsd.guidance.denoiser import load_denoiser
from texcsd.output import preview

COLLECTIONS = (
    "https://github.com/KhronosGroup/glTF-Sample-Assets",
    "https://github.com/DRx3D/glTF-Sample-Assets-OLD",
    "https://github.com/sbtron/glTF-Sample-Models",
    "https://github.com/kcoley/glTF-Asset-Generator",
    "https://github.com/webgltf/webgltf-sample-models",
    "https://github.com/revelryengine/sample-models",
    "https://github.com/KhronosGroup/glTF-Blender-IO",
    "https://github.com/alecjacobson/common-3d-test-models",
    "https://github.com/mikedh/trimesh",
    "https://github.com/donmccurdy/glTF-Transform",
    "https://github.com/CesiumGS/gltf-pipeline",
    "https://github.com/CesiumGS/obj2gltf",
    "https://github.com/syoyo/tinygltf",
    "https://github.com/tinyobjloader/tinyobjloader",
    "https://github.com/gltf-rs/gltf",
    "https://github.com/needle-tools/UnityGLTF-Interactivity-Sample-Assets",
    "https://github.com/assimp/assimp",
    "https://github.com/pmndrs/market-assets",
    "https://github.com/google/draco",
    "https://github.com/libigl/libigl-tutorial-data",
    "https://github.com/gkjohnson/3d-demo-data",
    "https://github.com/PyMesh/PyMesh",
)
EXTENSIONS = (".obj", ".glb", ".gltf", ".ply", ".stl", ".off")
LONGEST_REASON = 240
HEAD = """\
# Every mesh of some public collections, painted

Made by `python tests/benchmarks/corpus.py FOLDER --fetch --table CORPUS.md`: each file in a process
of its own, with {time_limit} s at most, by `texcsd paint FILE brick {options}`.
"Damage" is what `run.json` says about the mesh files read back: the largest differences of
positions (in units of the mesh) and of UVs that were kept, and what seams have split. Collections
that could not be had: {missing}. Where a data file cannot be read, the copy that was had lacks it.

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
    if arguments.fetch:
        fetch(arguments.folder)
    settings = {"time_limit": arguments.time_limit, "options": arguments.options}
    record = arguments.folder / "outcomes.jsonl"
    outcomes = read_record(record, settings)
    context = multiprocessing.get_context("fork")
    prepare()
    for name, path in mesh_files(arguments.folder):
        if name in outcomes and outcomes[name].kind != "failed":
            continue
        outcome = paint(context, name, path, arguments.options.split(), arguments.time_limit)
        outcomes[name] = outcome
        with record.open("a") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")
        print(f"{outcome.seconds:6.1f} s  {name}: {outcome.kind}, {outcome.text}", flush=True)
    if arguments.table:
        found = [outcomes[name] for name, _ in mesh_files(arguments.folder)]
        head = HEAD.format(**settings, missing=missing(arguments.folder))
        arguments.table.write_text(head + table(found))
    print(counts(outcomes.values()))
    return int(any(outcome.kind == "failed" for outcome in outcomes.values()))


def fetch(folder: Path) -> None:
    """Clone the collections that are not there; one that cannot be had is passed over."""
    folder.mkdir(parents=True, exist_ok=True)
    for address in COLLECTIONS:
        place = folder / address.rpartition("/")[2]
        if not place.exists():
            command = ["git", "clone", "--quiet", "--depth", "1", address, str(place)]
            if subprocess.run(command, check=False).returncode:
                print(f"{address} cannot be fetched", flush=True)


def missing(folder: Path) -> str:
    """The names of COLLECTIONS that are not there."""
    names = (address.rpartition("/")[2] for address in COLLECTIONS)
    return ", ".join(name for name in names if not (folder / name).exists()) or "none"


def read_record(record: Path, settings: dict) -> dict[str, Outcome]:
    """What an earlier run has found, by name; begin a record if there is none."""
    if not record.exists():
        record.write_text(json.dumps(settings) + "\n")
    first, *lines = (json.loads(line) for line in record.read_text().splitlines())
    if first != settings:
        sys.exit(f"{record}: is of {first}, not of {settings}; delete it, or choose those again")
    return {line["name"]: Outcome(**line) for line in lines}


def prepare() -> None:
    """Load what every painting needs, and shorten what takes long and is looked at by nobody."""
    denoiser = load_denoiser("embedded", "cpu")
    painting.load_denoiser = lambda *_: denoiser
    preview.FRAMES, preview.FRAME_SIZE, preview.VIEW_SIZE = 3, 48, 48


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="of the collections")
    parser.add_argument("--fetch", action="store_true", help="clone the collections first")
    parser.add_argument("--table", type=Path, help="a Markdown file to write the table to")
    parser.add_argument("--time-limit", type=int, default=120, help="seconds per file")
    parser.add_argument(
        "--options", default="--steps 2 --views 1 --texture-size 64", help="for texcsd paint"
    )
    return parser.parse_args()


def mesh_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """All mesh files of the collections, and what to call them."""
    for path in sorted(folder.glob("*/**/*")):
        if path.suffix.lower() in EXTENSIONS and path.is_file():
            yield path.relative_to(folder).as_posix(), path


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
        text = text.replace(f"{path}: ", "")
        for parent in (path.parent, path.resolve().parent):
            text = text.replace(str(parent), ".")
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
    for key, noun in (
        ("vertices_copied", "vertices copied"),
        ("polygons_cut", "polygons cut"),
        ("primitives_decompressed", "primitives decompressed"),
    ):
        count = max(found.get(key, 0) for found in files)
        damage += [f"{count:,} {noun}"] if count else []
    return text, ", ".join(damage) or "0"


def table(outcomes: list[Outcome]) -> str:
    collections = Counter(outcome.name.partition("/")[0] for outcome in outcomes)
    listed = ", ".join(f"{name} ({count})" for name, count in collections.items())
    lines = [f"{listed}.", "", f"{counts(outcomes)}.", ""]
    lines += ["| file | | | damage | s |", "|---|---|---|---|---|"]
    for outcome in outcomes:
        cells = outcome.name, outcome.kind, outcome.text, outcome.damage, f"{outcome.seconds:.0f}"
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def counts(outcomes: Collection[Outcome]) -> str:
    found = Counter(outcome.kind for outcome in outcomes)
    kinds = ", ".join(f"{found[kind]} {kind}" for kind in ("painted", "refused", "failed"))
    return f"{len(outcomes)} files: {kinds}"


if __name__ == "__main__":
    sys.exit(main())
