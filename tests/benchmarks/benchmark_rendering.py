"""What a step of painting spends on rendering, part by part.

    python tests/benchmarks/benchmark_rendering.py [--threads N] [--texture-size N] [--views N]

Prints milliseconds, the best of several repetitions. The processor's time is what to compare on a
busy machine; the last column is that as a multiple of a yardstick that depends on the machine only,
adding two tensors of the texture's size.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "rendering"))
from rendering_shapes import make_sphere

from texcsd.rendering.cameras import random_cameras
from texcsd.rendering.rasterize import rasterize_mesh, rasterize_uv
from texcsd.rendering.shading import downsample, random_lights, shade
from texcsd.rendering.texture import Material, TexelPyramid, sample_map

RINGS = 71
"""A sphere of so many rings has 20,164 triangles."""


def best_times(function: Callable[[], object], repetitions: int = 15) -> tuple[float, float]:
    """Shortest wall and processor time, in milliseconds, after one call to compile and warm up."""
    function()
    times = []
    for _ in range(repetitions):
        wall, processor = time.perf_counter(), time.process_time()
        function()
        times.append((time.perf_counter() - wall, time.process_time() - processor))
    return 1000 * min(t[0] for t in times), 1000 * min(t[1] for t in times)


def measure(texture_size: int, views: int, image_size: int) -> dict[str, tuple[float, float]]:
    """Wall and processor milliseconds of each part of a step."""
    generator = torch.Generator().manual_seed(0)
    mesh = make_sphere(RINGS)
    chosen = torch.randint(len(mesh.vertices), (views,), generator=generator)
    cameras = random_cameras(mesh.vertices[chosen], mesh.normals[chosen], generator)
    lights, background = random_lights(cameras, generator), torch.rand(views, 1, 1, 3)
    pyramid = TexelPyramid(texture_size, generator=generator)
    optimizer = torch.optim.Adam(pyramid.parameters(), lr=0.02, fused=True)

    surface = rasterize_mesh(mesh, cameras, image_size, image_size)
    composed = pyramid.compose()
    leaf = composed.detach().requires_grad_()
    colors = sample_map(leaf, surface).base_color
    bare = colors.detach().requires_grad_()
    images = downsample(shade(Material(bare), surface, lights, background), 2)
    upstream = {name: torch.randn_like(t) for name, t in
                {"map": composed, "colors": colors, "images": images}.items()}  # fmt: skip

    def optimize() -> None:
        for parameter in pyramid.parameters():
            parameter.grad = (
                torch.ones_like(parameter) if parameter.grad is None else parameter.grad
            )
        optimizer.step()

    def whole_step() -> None:
        seen = rasterize_mesh(mesh, cameras, image_size, image_size)
        shaded = shade(sample_map(pyramid.compose(), seen), seen, lights, background)
        optimizer.zero_grad()
        downsample(shaded, 2).backward(upstream["images"])
        optimizer.step()

    def backward(output: torch.Tensor, name: str) -> Callable[[], object]:
        inputs = (
            list(pyramid.parameters()) if name == "map" else [leaf if name == "colors" else bare]
        )
        return lambda: torch.autograd.grad(output, inputs, upstream[name], retain_graph=True)

    parts = {
        "yardstick: add two textures": lambda: leaf.detach() + composed.detach(),
        "rasterize_mesh": lambda: rasterize_mesh(mesh, cameras, image_size, image_size),
        "compose": pyramid.compose,
        "sample_map": lambda: sample_map(leaf, surface),
        "shade, downsample": lambda: downsample(
            shade(Material(bare), surface, lights, background), 2
        ),
        "backward of shade, downsample": backward(images, "images"),
        "backward of sample_map": backward(colors, "colors"),
        "backward of compose": backward(composed, "map"),
        "Adam": optimize,
        "the whole step, all of these": whole_step,
        "rasterize_uv, once per painting": lambda: rasterize_uv(mesh, texture_size, texture_size),
    }
    return {name: best_times(function) for name, function in parts.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--texture-size", type=int, default=1024)
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--image-size", type=int, default=128)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    times = measure(arguments.texture_size, arguments.views, arguments.image_size)
    yardstick = next(iter(times.values()))[1]
    print(
        f"{arguments.views} views of {arguments.image_size} x {arguments.image_size}, "
        f"texture {arguments.texture_size}, 20,164 triangles, {arguments.threads} thread(s)"
    )
    print(f"{'':34s} {'wall':>8s} {'processor':>12s}")
    for name, (wall, processor) in times.items():
        print(f"{name:34s} {wall:8.1f} {processor:9.1f} ms {processor / yardstick:8.1f} x")


if __name__ == "__main__":
    main()
