"""A batch killed at random moments ends as one left in peace: `batch_under_kills.py MESHES`.

    python tests/benchmarks/batch_under_kills.py meshes/ --kills 20 --steps 6 -o kills/

Paints all meshes of a folder twice: undisturbed, and killed (SIGKILL) again and again, half of the
time the batch and half of the time one of its workers. Compares every file by its hash.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

PROMPTS = ("gold", "zebra", "red plaid", "oak", "blue and white stripes", "brick", "lava", "marble")


def main() -> int:
    """Run all, print what was killed and what differs; 0 if nothing does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("meshes", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("kills"))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--most-seconds", type=float, default=60.0, help="between two kills")
    parser.add_argument("--workers", default="1")
    parser.add_argument("--steps", default="6")
    parser.add_argument("--texture-size", default="256")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    table = write_table(arguments.meshes, arguments.output / "jobs.jsonl")
    options = ["--steps", arguments.steps, "--texture-size", arguments.texture_size, "--views", "4"]
    words = [sys.executable, "-m", "texcsd", "batch", arguments.meshes, "--prompts", table]
    words += [*options, "--workers", arguments.workers, "--quiet"]
    peaceful, killed = arguments.output / "peaceful", arguments.output / "killed"
    choice = random.Random(0)
    for number in range(arguments.kills):
        run_and_kill([*words, "-o", killed], choice, choice.uniform(1, arguments.most_seconds))
        print(f"kill {number + 1}: {len(hashes(killed))} finished", flush=True)
    subprocess.run([*words, "-o", killed])
    subprocess.run([*words, "-o", peaceful])
    same = hashes(peaceful) == hashes(killed)
    print(f"{len(hashes(peaceful))} finished; bit for bit the same: {same}")
    return 0 if same else 1


def write_table(meshes: Path, path: Path) -> Path:
    """A job per mesh, prompts in turn."""
    names = sorted(p.relative_to(meshes).as_posix() for p in meshes.rglob("*") if p.is_file())
    jobs = [
        {"mesh": name, "prompt": PROMPTS[index % len(PROMPTS)]} for index, name in enumerate(names)
    ]
    path.write_text("\n".join(json.dumps(job) for job in jobs))
    return path


def run_and_kill(words: list, choice: random.Random, seconds: float) -> None:
    """Run the batch for so long, then kill it, or one of its workers and then it."""
    batch = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    workers = Path(f"/proc/{batch.pid}/task/{batch.pid}/children")
    if choice.random() < 0.5 and workers.exists():
        for worker in workers.read_text().split()[-1:]:
            os.kill(int(worker), signal.SIGKILL)
        time.sleep(seconds / 4)
    batch.kill()
    batch.wait()


def hashes(folder: Path) -> dict[str, dict[str, str]]:
    """Of all files of all finished jobs."""
    return {
        report.parent.relative_to(folder).as_posix(): json.loads(report.read_text())[
            "outputs_sha256"
        ]
        for report in folder.rglob("run.json")
    }


if __name__ == "__main__":
    sys.exit(main())
