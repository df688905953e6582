"""Paint a few meshes with each variant of a setting: the table behind the defaults.

    python tests/benchmarks/ablation.py "steps=150" "steps=300" "steps=300 learning_rate=0.05"

Each argument is one variant: settings as name=value, and lights=camera or lights=none instead of
those of painting, which are other ones in every view. Prints a Markdown table (distance to the
prompt's material, smaller is better; paintings recognised; correlation and sharpness beside the
material at the very same places, from afar and near; wall time; share of rendering) and leaves a
sheet of pictures.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import torch
from beside_the_material import compare
from fidelity import (
    RECOGNISABLE,
    nearest_materials,
    orbit_surface,
    reference_patches,
    render_map,
)
from PIL import Image
from torch import Tensor

from texcsd.geometry.mesh import Mesh, fit_to_unit_sphere, load_mesh
from texcsd.geometry.uv_atlas import ensure_uv
from texcsd.guidance.denoiser import load_denoiser
from texcsd.guidance.score import Denoiser
from texcsd.progress import Progress
from texcsd.rendering.cameras import Cameras
from texcsd.rendering.rasterize import Surface
from texcsd.rendering.shading import Lights, camera_lights
from texcsd.settings import PaintSettings, options
from texcsd.synthesis import synthesize

ASSETS = Path(__file__).parent.parent.parent / "assets"


def parse_variant(text: str) -> dict:
    """Settings from "name=value name=value", in the types of the settings."""
    kinds = {option.name: option.kind for option in options()} | {"lights": str}
    pairs = (item.split("=", 1) for item in text.split())
    return {name: kinds[name](value) for name, value in pairs}


def lit_by(lights: str | None) -> AbstractContextManager[object]:
    """Inside, views are painted in the light of previews ("camera") or in none ("none")."""
    if lights is None:
        return nullcontext()
    chosen = {"camera": _preview_light, "none": _no_light}[lights]
    return patch("texcsd.synthesis.random_lights", chosen)


def _preview_light(cameras: Cameras, generator: torch.Generator) -> Lights:
    return camera_lights(cameras)


def _no_light(cameras: Cameras, generator: torch.Generator) -> Lights:
    lights = camera_lights(cameras)
    return replace(lights, ambient=torch.ones_like(lights.ambient))


class Subject(NamedTuple):
    """A mesh to paint, and what it looks like in all materials."""

    mesh: Mesh
    surface: Surface
    lights: Tensor
    references: dict[str, list[Tensor]]


class Outcome(NamedTuple):
    """What became of one variant."""

    distance: float
    """Mean, to the prompts' own materials."""
    recognised: str
    """Paintings nearest to their own material, of all."""
    alike: Tensor
    """float[3], of `beside_the_material`: mean correlation, sharpness, and sharpness near."""
    seconds: float
    """Mean of a painting."""
    share: float
    """Of rendering and updating in that."""
    pictures: Tensor
    """float[size, paintings * size, 3]."""


def load_subjects(names: list[str]) -> list[Subject]:
    """Meshes by path, or by their name in assets/, with UVs."""
    subjects = []
    for name in names:
        path = Path(name) if Path(name).exists() else ASSETS / name
        mesh, _, _ = ensure_uv(load_mesh(path), "auto", 1024)
        mesh = fit_to_unit_sphere(mesh)
        surface, lights = orbit_surface(mesh)
        subjects.append(Subject(mesh, surface, lights, reference_patches(surface, lights)))
    return subjects


def paint_all(
    denoiser: Denoiser, subjects: list[Subject], prompts: list[str], variant: dict
) -> Outcome:
    """Paint every mesh with every prompt, and compare with the materials themselves."""
    distances, recognised, pictures, seconds, share, alike = [], 0, [], [], [], []
    given = {name: value for name, value in variant.items() if name != "lights"}
    for mesh, surface, lights, references in subjects:
        for prompt in prompts:
            settings = PaintSettings(prompt=prompt, **given)
            started = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder, lit_by(variant.get("lights")):
                quiet = Progress(settings.steps, quiet=True)
                result = synthesize(mesh, denoiser, settings, Path(folder), quiet)
            seconds.append(time.perf_counter() - started)
            share.append(1 - result.seconds["denoise"] / sum(result.seconds.values()))
            size = denoiser.pattern_scale(prompt)
            alike.append(compare(mesh, result.base_color_maps[0], settings, size)[:3])
            images = render_map(surface, lights, result.base_color_maps[0])
            found = nearest_materials(images, surface, references)
            material = RECOGNISABLE.get(prompt, prompt)
            distances.append(found.get(material, float("nan")))
            recognised += next(iter(found)) == material
            pictures.append(images[1])
    count = len(distances)
    means = (sum(values) / count for values in (distances, seconds, share))
    distance, mean_seconds, mean_share = means
    recognised_of = f"{recognised}/{count}"
    mean_alike = torch.stack(alike).mean(0)
    return Outcome(
        distance, recognised_of, mean_alike, mean_seconds, mean_share, torch.cat(pictures, 1)
    )


def save_sheet(rows: list[Tensor], path: str) -> None:
    """A row of pictures for each variant."""
    pixels = (torch.cat(rows) * 255).round().to(torch.uint8).numpy()
    Image.fromarray(pixels).save(path)


def main() -> None:
    """Paint and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variants", nargs="+")
    parser.add_argument("--meshes", nargs="+", default=["armchair.obj", "animal.obj"])
    parser.add_argument("--prompts", nargs="+", default=list(RECOGNISABLE))
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--sheet", default="ablation.png")
    arguments = parser.parse_args()
    denoiser, subjects = load_denoiser(arguments.model), load_subjects(arguments.meshes)
    rows = []
    print(
        "| variant | distance | recognised | correlation | sharpness | near | seconds "
        "| render and update |"
    )
    print("|---" * 8 + "|", flush=True)
    for variant in arguments.variants:
        found = paint_all(denoiser, subjects, arguments.prompts, parse_variant(variant))
        print(
            f"| {variant} | {found.distance:.4f} | {found.recognised} "
            + "".join(f"| {number:.2f} " for number in found.alike.tolist())
            + f"| {found.seconds:.0f} | {found.share:.0%} |",
            flush=True,
        )
        rows.append(found.pictures)
        save_sheet(rows, arguments.sheet)


if __name__ == "__main__":
    main()
