"""Train the embedded model with one choice changed at a time: the table behind those choices.

    python tests/benchmarks/ablation_training.py RUNS --minutes 1 --device cuda [--only NAME...]
    python tests/benchmarks/ablation_training.py RUNS --steps 600 --batch 16 --small-world --compile

Every variant begins at random weights and is given the same time, so a larger network sees fewer
images; or, with --steps, the same number of images. A CPU learns too little of the whole world in
an hour to tell variants apart: --small-world has the materials alone that are asked about. Prints a
Markdown table: images seen, and how many in a second; how the guess of the clean image correlates
with the image at some timesteps (see `place.py`); and paintings, as in `ablation.py`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import cast
from unittest.mock import patch

import torch
from ablation import load_subjects, paint_all, save_sheet
from diffusers import DDIMScheduler
from place import correlation, looks
from torch import Tensor

from texcsd.embedded import captions, model, scenes, train
from texcsd.guidance import pixel_denoiser
from texcsd.guidance.denoiser import load_denoiser
from texcsd.guidance.score import Denoiser

TIMESTEPS = (999, 900, 600)
SHAPES = 8
PAINTED = ["leather", "brick", "zebra"]
Change = tuple[object, str, object]
"""Module, attribute, value."""


def scheduler(**changes: str) -> Callable[[], DDIMScheduler]:
    """`build_scheduler` with another configuration."""
    config = {**model.build_scheduler().config, **changes}
    return lambda: cast(DDIMScheduler, DDIMScheduler.from_config(config))


def noise_target(clean: Tensor, noise: Tensor, alpha_cumprod: Tensor) -> tuple[Tensor, Tensor]:
    """The noisy image and the noise."""
    return train_target(clean, noise, alpha_cumprod)[0], noise


def sample_target(clean: Tensor, noise: Tensor, alpha_cumprod: Tensor) -> tuple[Tensor, Tensor]:
    """The noisy image and the clean one."""
    return train_target(clean, noise, alpha_cumprod)[0], clean


def uniform_timesteps(count: int, generator: torch.Generator) -> Tensor:
    """int[count] below 1000, all alike."""
    return torch.randint(1000, (count,), generator=generator)


def unet(*widths: int) -> Callable:
    """`build_unet` with other numbers of channels."""

    def build():
        config = {**build_unet().config, "block_out_channels": widths}
        return type(build_unet()).from_config(config)

    return build


build_unet, train_target = model.build_unet, train.velocity_target
BUILT, SIZED = (model, train), (scenes, model, train)
VARIANTS: dict[str, list[Change]] = {
    "as shipped": [],
    "predicts noise": [
        *((module, "build_scheduler", scheduler(prediction_type="epsilon")) for module in BUILT),
        (train, "velocity_target", noise_target),
    ],
    "predicts the image": [
        *((module, "build_scheduler", scheduler(prediction_type="sample")) for module in BUILT),
        (train, "velocity_target", sample_target),
    ],
    "scaled linear schedule": [
        (module, "build_scheduler", scheduler(beta_schedule="scaled_linear")) for module in BUILT
    ],
    "all timesteps alike": [(train, "draw_timesteps", uniform_timesteps)],
    "background counts fully": [(train, "BACKGROUND_WEIGHT", 1.0)],
    "no caption dropped": [(train, "CAPTION_DROPOUT", 0.0)],
    "captions dropped 0.3": [(train, "CAPTION_DROPOUT", 0.3)],
    "half the channels": [(model, "build_unet", unet(48, 64, 80))],
    "1.5 times the channels": [(model, "build_unet", unet(128, 192, 208))],
    "96 pixels": [(module, "IMAGE_SIZE", 96) for module in SIZED],
    "size of a pixel not told": [
        (module, "view_width_label", torch.zeros_like) for module in (model, pixel_denoiser)
    ],
}
"""Name to what is replaced."""


def small_world() -> list[Change]:
    """The materials alone that the paintings and `knowledge` are of, each as often."""
    names = {look.material.words[0] for look in looks()}
    few = tuple(material for material in captions.MATERIALS if material.words[0] in names)
    return [(captions, "MATERIALS", few), (captions, "_WEIGHTS", torch.ones(len(few)))]


def train_variant(folder: Path, arguments: argparse.Namespace) -> tuple[int, float]:
    """Train with the defaults of the command line but for the time; images, and per second."""
    command = ["--run", str(folder), "--minutes", str(arguments.minutes), "--cooldown", "0.4"]
    command += ["--steps", str(arguments.steps), "--save-every", "1000000"]
    command += ["--device", arguments.device, "--fill", str(arguments.fill)]
    command += ["--replay", str(arguments.replay)]
    command += ["--workers", str(arguments.workers), "--batch", str(arguments.batch)]
    started = time.perf_counter()
    train.main([*command, *(["--compile"] if arguments.compile else [])])
    images = json.loads((folder / "weights" / "training.json").read_text())["images"]
    return images, images / (time.perf_counter() - started)


@torch.no_grad()
def knowledge(denoiser: Denoiser, timestep: int) -> float:
    """Mean correlation of the guessed clean image with the image, over a few materials."""
    values = []
    for look in looks():
        found = scenes.random_scenes(SHAPES, 1, torch.Generator().manual_seed(77), looks=[look])
        clean = denoiser.encode_images(found.images)
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(timestep))
        alpha = denoiser.alphas_cumprod[timestep]
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        embeddings = denoiser.encode_prompts([look.caption]).expand(SHAPES, -1, -1)
        at = torch.full((SHAPES,), timestep)
        geometry = found.geometry.permute(0, 3, 1, 2)
        predicted = denoiser.predict_noise(noisy, at, embeddings, geometry, found.view_width)
        guessed = (noisy - (1 - alpha).sqrt() * predicted) / alpha.sqrt()
        values.append(correlation(guessed, found))
    return sum(values) / len(values)


def main() -> None:
    """Train, measure and paint; print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, help="folder for the weights of each variant")
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--minutes", type=float, help="1, or as long as the steps take")
    parser.add_argument("--steps", type=int, help="the same for every variant, instead of the time")
    parser.add_argument("--small-world", action="store_true")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--fill", type=int, default=1500, help="scenes rendered before training")
    parser.add_argument("--replay", type=int, default=16_380, help="scenes kept for reuse")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--paint-steps", type=int, default=60)
    arguments = parser.parse_args()
    arguments.minutes = arguments.minutes or (1e6 if arguments.steps else 1.0)
    arguments.steps = arguments.steps or 1_000_000
    subjects, rows = load_subjects(["animal.obj"]), []
    settings = {"steps": arguments.paint_steps, "texture_size": 512}
    known = " | ".join(f"knows at {timestep}" for timestep in TIMESTEPS)
    print(f"| variant | images | per second | {known} | distance | recognised | s per painting |")
    print(f"|---|---|---|{'---|' * len(TIMESTEPS)}---|---|---|", flush=True)
    for name in arguments.only:
        folder = arguments.runs / name.replace(" ", "-")
        with ExitStack() as stack:
            for change in [*VARIANTS[name], *(small_world() if arguments.small_world else [])]:
                stack.enter_context(patch.object(*change))
            images, speed = train_variant(folder, arguments)
            denoiser = load_denoiser(str(folder / "weights"))
            known = " | ".join(f"{knowledge(denoiser, timestep):.2f}" for timestep in TIMESTEPS)
            found = paint_all(denoiser, subjects, PAINTED, settings)
        print(
            f"| {name} | {images:,} | {speed:.0f} | {known} "
            f"| {found.distance:.4f} | {found.recognised} | {found.seconds:.0f} |",
            flush=True,
        )
        rows.append(found.pictures)
        save_sheet(rows, str(arguments.runs / "sheet.png"))


if __name__ == "__main__":
    main()
