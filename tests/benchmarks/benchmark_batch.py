"""What a job of a batch costs beside a run of its own.

    python tests/benchmarks/benchmark_batch.py --jobs 4 --steps 10

Ratios of wall times of one run of this script, not seconds to compare between machines. The Ray
row needs the extra texcsd[ray].
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MESH = Path(__file__).parent.parent.parent / "assets" / "mug.obj"
PROMPTS = ("gold", "oak", "red plaid", "white marble", "zebra", "lava", "ice", "brick")


def main() -> None:
    """Paint the same jobs in every way, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=4, choices=range(1, len(PROMPTS) + 1))
    parser.add_argument("--steps", default="10")
    arguments = parser.parse_args()
    prompts = PROMPTS[: arguments.jobs]
    options = ["--steps", arguments.steps, "--texture-size", "256", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        # Once before, so that nobody has to compile.
        texcsd("paint", MESH, "gold", "-o", place / "first", *options)
        single = sum(
            texcsd("paint", MESH, prompt, "-o", place / prompt, *options) for prompt in prompts
        )
        table = place / "prompts.csv"
        table.write_text("\n".join(["prompt", *prompts]))
        print("| way | time per job, of a run of its own |\n|---|---|\n| single runs | 1.00 |")
        for executor in ("in-turn", "processes", "ray"):
            if executor == "ray" and importlib.util.find_spec("ray") is None:
                continue
            words = ["--prompts", table, "-o", place / executor, "--executor", executor]
            seconds = texcsd("batch", MESH, *words, "--workers", "1", *options)
            print(f"| batch, {executor}, one worker | {seconds / single:.2f} |", flush=True)
    print(f"{len(prompts)} jobs of {arguments.steps} steps; single runs took {single:.0f} s")


def texcsd(*words: str | Path) -> float:
    """Seconds that a command takes."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "texcsd", *words], check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
