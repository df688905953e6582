"""Where the time and memory of a painting go: `python tests/benchmarks/benchmark_paint.py [MESH]`.

Shares of one run, not seconds to compare between machines. Run it alone on the machine.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import texcsd

ASSETS = Path(__file__).parent.parent.parent / "assets"


def main() -> None:
    """Paint once and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mesh", nargs="?", default=ASSETS / "armchair.obj")
    parser.add_argument("--prompt", default="a leather armchair")
    for name in ("steps", "views", "texture_size"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=argparse.SUPPRESS)
    arguments = parser.parse_args()
    names = {"steps", "views", "texture_size"}
    options = {name: value for name, value in vars(arguments).items() if name in names}
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = texcsd.paint(
            arguments.mesh, arguments.prompt, folder, quiet=True, **options
        ).report
    wall = time.perf_counter() - started
    seconds = report["seconds"]
    steps = report["settings"]["steps"]
    loop = {name: seconds[name] for name in ("render", "denoise", "update")}
    total = sum(loop.values())
    views = report["views"]
    print(f"{report['input']['triangles']} triangles, {steps} steps of {views} views")
    print("| part | seconds per step | share of a step |")
    print("|---|---|---|")
    for name, value in loop.items():
        print(f"| {name} | {value / steps:.4f} | {value / total:.0%} |")
    # Kilobytes on Linux, bytes on macOS.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"wall {wall:.0f} s, of which steps {total:.0f} s; peak memory {peak:.2f} GiB (Linux)")


if __name__ == "__main__":
    main()
