"""A judge of paintings that never saw the painter: a small network that names materials.

    python classifier.py train judge.safetensors
    python classifier.py prompts > prompts.csv
    texcsd batch MESHES --prompts prompts.csv -o outputs
    python classifier.py judge judge.safetensors outputs

It learns from renderings of the embedded model's world alone, of other seeds, blurred, recoloured
and noisy as paintings may be, and knows neither captions nor places. Then it names the material of
finished results, from eight views of the mesh each, among the materials in CHOICES, and says in how
many of the views it would have said the same.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from fidelity import read_painting
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from texcsd.embedded.captions import UNKNOWN, look_of
from texcsd.embedded.materials import MATERIALS
from texcsd.embedded.scenes import random_scenes
from texcsd.geometry.mesh import Mesh
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.rasterize import rasterize_mesh
from texcsd.rendering.shading import camera_lights, downsample, shade
from texcsd.rendering.texture import sample_map

CHOICES = (
    "leather brick wood zebra gold grass lava plaid stripes marble denim wool leopard rust tiles "
    "camouflage ice fur cobblestone checkerboard"
).split()
MATERIALS_CHOSEN = [material for material in MATERIALS if material.words[0] in CHOICES]
NAMES = [material.words[0] for material in MATERIALS_CHOSEN]
VIEWS, SIZE = 8, 64
SHAPES, LOOKS = 8, 6
SEED = 7_000_000
"""Far from the seeds that the model is trained with."""


class Renderings(IterableDataset):
    """Endless batches of images float[n, 3, 64, 64] with the numbers of their materials."""

    def __init__(self, first: int) -> None:
        self.first = first

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        worker = get_worker_info()
        index, stride = (self.first + worker.id, worker.num_workers) if worker else (self.first, 1)
        while True:
            generator = torch.Generator().manual_seed(SEED + index)
            numbers = torch.randint(len(NAMES), (LOOKS,), generator=generator)
            looks = [look_of(MATERIALS_CHOSEN[number], generator) for number in numbers.tolist()]
            scenes = random_scenes(SHAPES, LOOKS, generator, looks=looks)
            yield scenes.images.permute(0, 3, 1, 2), numbers.repeat(SHAPES)
            index += stride


def build_network() -> nn.Module:
    """Four stages of two convolutions, then the mean over the image."""
    layers: list[nn.Module] = []
    channels = 3
    for width in (48, 96, 160, 224):
        for stride in (2, 1):
            layers += [nn.Conv2d(channels, width, 3, stride, 1), nn.GroupNorm(8, width), nn.SiLU()]
            channels = width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, *head, nn.Linear(channels, len(NAMES)))


def augment(images: Tensor) -> Tensor:
    """Mirror, brighten, tint, blur and add noise, each image in its own way."""
    count, device = len(images), images.device
    one = lambda: torch.rand(count, 1, 1, 1, device=device)  # noqa: E731
    images = torch.where(one() < 0.5, images.flip(3), images)
    blurred = nn.functional.avg_pool2d(images, 3, 1, 1)
    images = torch.lerp(images, blurred, one() * (one() < 0.5))
    tint = 1 + 0.24 * (torch.rand(count, 3, 1, 1, device=device) - 0.5)
    images = images * tint * (0.8 + 0.4 * one())
    return (images + 0.06 * one() * torch.randn_like(images)).clamp(0, 1) * 2 - 1


def train(arguments: argparse.Namespace) -> None:
    """Learn for `steps`, from what is there if anything; print accuracy on fresh renderings."""
    path, steps, device = arguments.network, arguments.steps, arguments.device
    torch.manual_seed(arguments.first_chunk)
    network = build_network().to(device)
    if path.exists():
        network.load_state_dict(load_file(path))
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    stream = iter(
        DataLoader(
            Renderings(arguments.first_chunk), batch_size=None, num_workers=arguments.workers
        )
    )
    kept: list[tuple[Tensor, Tensor]] = []
    right, started = 0.0, time.time()
    for step in range(steps):
        fresh = next(stream)
        # Every rendering is used twice more, in other tints.
        kept = [*kept[-400:], fresh]
        chosen = [fresh] + [
            kept[i] for i in torch.randint(len(kept), (arguments.batch_chunks - 1,))
        ]
        images, labels = (torch.cat(part).to(device) for part in zip(*chosen, strict=True))
        with torch.autocast(device, torch.bfloat16):
            logits = network(augment(images))
        loss = nn.functional.cross_entropy(logits.float(), labels, label_smoothing=0.05)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        guessed = logits[: SHAPES * LOOKS].argmax(1)
        right = 0.98 * right + 0.02 * (guessed == labels[: SHAPES * LOOKS]).float().mean().item()
        if (step + 1) % 100 == 0:
            part = right / (1 - 0.98 ** (step + 1))
            seconds = time.time() - started
            print(
                f"step {step + 1}: {part:.0%} of fresh renderings right, {seconds:.0f} s",
                flush=True,
            )
            save_file({k: v.cpu() for k, v in network.state_dict().items()}, path)
    save_file({k: v.cpu() for k, v in network.state_dict().items()}, path)


def views_of(mesh: Mesh, base_color: Tensor) -> Tensor:
    """The mesh from eight sides, half of them as near as it fits, half nearer, on grey.

    Returns:
        float[view, 3, 64, 64].
    """
    images = []
    for width, elevation in ((2.2, 20), (1.2, 35)):
        cameras = orbit_cameras(VIEWS // 2, elevation_degrees=elevation, view_width=width)
        if width > 2:
            cameras = cameras.zoomed_to(mesh.vertices, 0.9)
        surface = rasterize_mesh(mesh, cameras, 2 * SIZE, 2 * SIZE)
        background = torch.full((1, 1, 1, 3), 0.5)
        shaded = shade(sample_map(base_color, surface), surface, camera_lights(cameras), background)
        images.append(downsample(shaded, 2))
    return torch.cat(images).permute(0, 3, 1, 2)


@torch.no_grad()
def judge(network: nn.Module, mesh: Mesh, base_color: Tensor) -> tuple[list[str], int]:
    """CHOICES, from the likeliest to the least likely, and in how many views the first leads."""
    scores = network(views_of(mesh, base_color) * 2 - 1).log_softmax(1)
    order = scores.mean(0).argsort(descending=True)
    agreeing = int((scores.argmax(1) == order[0]).sum())
    return [NAMES[number] for number in order.tolist()], agreeing


def expected(prompt: str) -> str | None:
    """The one of CHOICES that a prompt names, by any of its words; None if it names another."""
    for material in MATERIALS_CHOSEN:
        if any(f" {word} " in f" {prompt} " for word in material.words):
            return material.words[0]
    return None


def judge_results(path: Path, folders: list[Path]) -> None:
    """Print a table of what every result folder looks like, and how many were named rightly."""
    network = build_network().eval()
    network.load_state_dict(load_file(path))
    right, total = 0, 0
    agreement: list[int] = []
    for folder in sorted(found.parent for place in folders for found in place.rglob("run.json")):
        report, mesh, base_color = read_painting(folder)
        named = expected(report["prompt"])
        found, agreeing = judge(network, mesh, base_color)
        right, total = right + (found[0] == named), total + (named is not None)
        agreement.append(agreeing)
        print(f"| {folder.name} | {named} | {', '.join(found[:3])} | {agreeing} |", flush=True)
    print(f"{right} of {total} named rightly among {len(CHOICES)}")
    print(f"{np.mean(agreement):.1f} of {VIEWS} views, in the mean, are named as all together")


def draw_prompts(count: int, draw: int) -> list[str]:
    """Captions in random words, colours and finishes: each of CHOICES once, then again."""
    generator = torch.Generator().manual_seed(SEED - draw)
    captions: list[str] = []
    while len(captions) < count:
        for number in torch.randperm(len(NAMES), generator=generator).tolist():
            caption = look_of(MATERIALS_CHOSEN[number], generator).caption
            captions.append(caption.replace(UNKNOWN, "thing"))
    return captions[:count]


def main() -> None:
    """Parse the command line, train, draw prompts or judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("train", "prompts", "judge"))
    parser.add_argument("network", type=Path, nargs="?", default=Path("judge.safetensors"))
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument(
        "--first-chunk", type=int, default=0, help="of renderings: where one left off"
    )
    parser.add_argument("--batch-chunks", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--count", type=int, default=30, help="of prompts")
    parser.add_argument("--draw", type=int, default=1, help="of prompts: others with another one")
    arguments = parser.parse_args()
    if arguments.what == "prompts":
        print(
            "prompt",
            *(f'"{caption}"' for caption in draw_prompts(arguments.count, arguments.draw)),
            sep="\n",
        )
        return
    if arguments.what == "judge":
        judge_results(arguments.network, arguments.folders)
        return
    train(arguments)


if __name__ == "__main__":
    main()
