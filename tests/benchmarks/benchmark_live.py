"""What `--live` costs a painting: `python tests/benchmarks/benchmark_live.py [MESH] [--steps N]`.

The same painting with the live view, which a browser's stand-in in another process looks at, and
without, in turns. Processor time of the painting process is compared, which other work on the
machine changes less than the clock.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import statistics
import tempfile
import time
from pathlib import Path

import texcsd
from texcsd import live_view
from texcsd.memory import Memory

ASSETS = Path(__file__).parent.parent.parent / "assets"
UPDATES: list[int] = []


def main() -> None:
    """Paint in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mesh", nargs="?", type=Path, default=ASSETS / "armchair.obj")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    count_updates()
    memory, port = Memory(), free_port()
    seconds: dict[bool, list[float]] = {False: [], True: []}
    processor_time(arguments.mesh, 2, memory, None)  # Compiles and loads.
    for _ in range(arguments.rounds):
        for live in seconds:
            spent = processor_time(arguments.mesh, arguments.steps, memory, port if live else None)
            seconds[live].append(spent / arguments.steps)
    updates = sum(UPDATES) / arguments.rounds
    alone, watched = (statistics.median(seconds[live]) for live in (False, True))
    print(f"alone {alone:.3f} s a step, watched {watched:.3f}: {watched / alone - 1:+.1%}")
    print(f"{updates:.0f} updates in {arguments.steps} steps; all: {seconds}")


def processor_time(mesh: Path, steps: int, memory: Memory, port: int | None) -> float:
    """Seconds of this process between the first step and the last."""
    marks: dict[int, float] = {}

    def on_step(step: int) -> None:
        marks[step] = time.process_time()

    live = {} if port is None else {"live": True, "live_port": port}
    client = multiprocessing.Process(target=look, args=(port,), daemon=True)
    if port is not None:
        client.start()
    with tempfile.TemporaryDirectory() as folder:
        texcsd.paint(mesh, "brick", folder, steps=steps, memory=memory, on_step=on_step, **live)
    if port is not None:
        client.kill()
    return marks[steps] - marks[0]


def look(port: int) -> None:
    """Read what a browser would be sent."""
    import viser  # pyright: ignore[reportMissingImports]
    from websockets.exceptions import ConnectionClosed  # pyright: ignore[reportMissingImports]
    from websockets.sync.client import connect  # pyright: ignore[reportMissingImports]

    while True:
        try:
            protocols = [f"viser-v{viser.__version__}"]
            address = f"ws://{live_view.HOST}:{port}"
            with connect(address, subprotocols=protocols, max_size=None) as connection:
                while True:
                    connection.recv()
        except (OSError, ConnectionClosed):
            time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((live_view.HOST, 0))
        return probe.getsockname()[1]


def count_updates() -> None:
    show = live_view.LiveView._show

    def counted(view: live_view.LiveView, glb: bytes) -> None:
        UPDATES.append(1)
        show(view, glb)

    live_view.LiveView._show = counted


if __name__ == "__main__":
    main()
