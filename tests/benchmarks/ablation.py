"""Paint a few meshes with each variant of a setting: the table behind the defaults.

    python tests/benchmarks/ablation.py "steps=150" "steps=300" "steps=300 learning_rate=0.05"

Each argument is one variant: settings as name=value. Prints a Markdown table (distance to the
prompt's material, smaller is better; paintings recognised; wall time; share of rendering) and
leaves a sheet of pictures.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch
from fidelity import (
    RECOGNISABLE,
    nearest_materials,
    orbit_surface,
    reference_patches,
    render_map,
)
from PIL import Image

from texcsd.geometry.mesh import fit_to_unit_sphere, load_mesh
from texcsd.geometry.uv_atlas import ensure_uv
from texcsd.guidance.denoiser import load_denoiser
from texcsd.progress import Progress
from texcsd.settings import PaintSettings, options
from texcsd.synthesis import synthesize

ASSETS = Path(__file__).parent.parent.parent / "assets"


def parse_variant(text: str) -> dict:
    """Settings from "name=value name=value", in the types of the settings."""
    kinds = {option.name: option.kind for option in options()}
    pairs = (item.split("=", 1) for item in text.split())
    return {name: kinds[name](value) for name, value in pairs}


def main() -> None:
    """Paint and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variants", nargs="+")
    parser.add_argument("--meshes", nargs="+", default=["armchair.obj", "animal.obj"])
    parser.add_argument("--prompts", nargs="+", default=list(RECOGNISABLE))
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--sheet", default="ablation.png")
    arguments = parser.parse_args()
    denoiser = load_denoiser(arguments.model)
    meshes = []
    for name in arguments.meshes:
        path = Path(name) if Path(name).exists() else ASSETS / name
        mesh, _, _ = ensure_uv(load_mesh(path), "auto", 1024)
        mesh = fit_to_unit_sphere(mesh)
        surface, lights = orbit_surface(mesh)
        meshes.append((mesh, surface, lights, reference_patches(surface, lights)))
    rows = []
    print("| variant | distance | recognised | seconds | render and update |")
    print("|---|---|---|---|---|", flush=True)
    for variant in arguments.variants:
        distances, recognised, pictures, seconds, share = [], 0, [], [], []
        for mesh, surface, lights, references in meshes:
            for prompt in arguments.prompts:
                settings = PaintSettings(prompt=prompt, **parse_variant(variant))
                started = time.perf_counter()
                with tempfile.TemporaryDirectory() as folder:
                    quiet = Progress(settings.steps, quiet=True)
                    result = synthesize(mesh, denoiser, settings, Path(folder), quiet)
                seconds.append(time.perf_counter() - started)
                total = sum(result.seconds.values())
                share.append(1 - result.seconds["denoise"] / total)
                images = render_map(surface, lights, result.base_color_maps[0])
                found = nearest_materials(images, surface, references)
                material = RECOGNISABLE.get(prompt, prompt)
                distances.append(found.get(material, float("nan")))
                recognised += next(iter(found)) == material
                pictures.append(images[1])
        count = len(distances)
        print(
            f"| {variant} | {sum(distances) / count:.4f} | {recognised}/{count} "
            f"| {sum(seconds) / count:.0f} | {sum(share) / count:.0%} |",
            flush=True,
        )
        rows.append(torch.cat(pictures, 1))
        pixels = (torch.cat(rows) * 255).round().to(torch.uint8).numpy()
        Image.fromarray(pixels).save(arguments.sheet)


if __name__ == "__main__":
    main()
