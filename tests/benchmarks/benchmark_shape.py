"""Steps of the shape against steps of the texture: `python tests/benchmarks/benchmark_shape.py`.

Side by side on subdivided spheres with the embedded model, in turns; the medians and their ratio.
Then the same for shapes of tetrahedra (which needs libigl), on the armchair.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import trimesh

from texcsd.geometry.mesh import Mesh, Part, fit_to_unit_sphere, load_mesh
from texcsd.geometry.normals import smooth_normals
from texcsd.geometry.uv_atlas import ensure_uv
from texcsd.guidance.denoiser import load_denoiser
from texcsd.guidance.score import Denoiser
from texcsd.new_shape import hold
from texcsd.progress import Progress
from texcsd.refinement import optimize_shape, refine
from texcsd.reshaping import Reshaping
from texcsd.settings import PaintSettings
from texcsd.synthesis import synthesize

STEPS, ROUNDS = 8, 3
ARMCHAIR = Path(__file__).parents[2] / "assets/armchair.obj"


def sphere(subdivisions: int) -> Mesh:
    """A unit sphere, unwrapped."""
    ball = trimesh.creation.icosphere(subdivisions=subdivisions)
    vertices, faces = np.array(ball.vertices), np.array(ball.faces)
    normals, normal_faces = map(torch.from_numpy, smooth_normals(vertices, faces))
    vertices, faces = torch.from_numpy(vertices), torch.from_numpy(faces)
    parts = (Part("sphere", 0, len(faces)),)
    mesh = Mesh(vertices, faces, None, None, normals, normal_faces, parts)
    return fit_to_unit_sphere(ensure_uv(mesh, "auto", 1024)[0])


def reshape_armchair(denoiser: Denoiser) -> None:
    """Print a row per resolution: steps of tetrahedra against those of the texture, in turns."""
    mesh = fit_to_unit_sphere(load_mesh(ARMCHAIR))
    unwrapped = ensure_uv(mesh, "auto", 1024)[0]
    print("| resolution | triangles | extraction, s | shape, s per step | texture | ratio |")
    print("|---|---|---|---|---|---|")
    for resolution in (32, 64, 128):
        settings = PaintSettings("brick", dmtet=True, dmtet_resolution=resolution, steps=STEPS)
        start = hold(mesh, settings, "cpu")
        seconds: dict[str, list[float]] = {"extraction": [], "shape": [], "texture": []}
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as name:
                folder, progress = Path(name), Progress(STEPS, quiet=True)
                started = time.perf_counter()
                start.tetrahedra.surface()
                seconds["extraction"].append(time.perf_counter() - started)
                shape = Reshaping(start.tetrahedra, folder / "s.safetensors")
                started = time.perf_counter()
                optimize_shape(shape, STEPS, start.fitted, denoiser, settings, progress)
                seconds["shape"].append((time.perf_counter() - started) / STEPS)
                started = time.perf_counter()
                synthesize(unwrapped, denoiser, settings, folder, progress)
                seconds["texture"].append((time.perf_counter() - started) / STEPS)
        extraction, shape, texture = (statistics.median(times) for times in seconds.values())
        print(
            f"| {resolution} | {len(start.shape.faces):,} | {extraction:.3f} | {shape:.2f} |"
            f" {texture:.2f} | {shape / texture:.2f} |"
        )


def main() -> None:
    """Print a row per mesh."""
    denoiser = load_denoiser("embedded")
    settings = PaintSettings("brick", displace=0.03, displace_steps=STEPS, steps=STEPS)
    print("| triangles | shape, s per step | texture, s per step | ratio |")
    print("|---|---|---|---|")
    for subdivisions in (4, 5, 6):
        mesh = sphere(subdivisions)
        seconds: dict[str, list[float]] = {"shape": [], "texture": []}
        for turn in range(ROUNDS + 1):
            for kind in seconds:
                with tempfile.TemporaryDirectory() as name:
                    folder, progress = Path(name), Progress(STEPS, quiet=True)
                    started = time.perf_counter()
                    if kind == "shape":
                        refine(mesh, denoiser, settings, folder / "s.safetensors", progress)
                    else:
                        synthesize(mesh, denoiser, settings, folder, progress)
                    if turn:  # the first one only warms up
                        seconds[kind].append((time.perf_counter() - started) / STEPS)
        shape, texture = (statistics.median(times) for times in seconds.values())
        print(f"| {len(mesh.faces):,} | {shape:.2f} | {texture:.2f} | {shape / texture:.2f} |")
    reshape_armchair(denoiser)


if __name__ == "__main__":
    main()
