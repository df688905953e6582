"""How well the embedded model knows a place: `python place.py [WEIGHTS] [--size X]` here.

The model is shown noise, more or less of an image in it, and told the caption and where every pixel
lies. Prints, for each prompt and timestep, how its guess of the clean image correlates with the
image, over the pixels of the object and without their mean colour. At timestep 999 there is nothing
but noise: what is right there, the model knows from caption and place alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from texcsd.embedded import scenes as world
from texcsd.embedded.captions import Look, usual_look
from texcsd.embedded.materials import COLORS, MATERIALS
from texcsd.embedded.model import TextToImage, build_scheduler, load_pipeline
from texcsd.embedded.patterns import Style
from texcsd.embedded.scenes import Scenes, random_scenes

TIMESTEPS = (999, 950, 900, 800, 600)
SHAPES = 12
DEFAULT_WEIGHTS = Path(__file__).parents[2] / "texcsd" / "embedded" / "weights"


def looks() -> list[Look]:
    """The materials every release is looked at in, captioned as a user would."""
    names = ("leather", "brick", "wood", "zebra", "gold", "grass", "lava")
    found = {material.words[0]: material for material in MATERIALS}
    red, blue, white, black = (
        torch.tensor(COLORS[name]) for name in ("red", "blue", "white", "black")
    )
    plaid = Look(found["plaid"], Style(red, black), "red plaid", 0.0)
    striped = Style(blue, white)
    stripes = Look(found["stripes"], striped, "blue and white stripes", 0.0)
    return [*(usual_look(found[name]) for name in names), plaid, stripes]


@torch.no_grad()
def guess(model: TextToImage, scenes: Scenes, timestep: int) -> Tensor:
    """The clean image the model sees in a noisy one, float[n, 3, 64, 64] in [-1, 1]."""
    clean = scenes.images.permute(0, 3, 1, 2) * 2 - 1
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(timestep))
    alpha_cumprod = build_scheduler().alphas_cumprod[timestep]
    alpha, sigma = alpha_cumprod.sqrt(), (1 - alpha_cumprod).sqrt()
    noisy = alpha * clean + sigma * noise
    geometry = scenes.geometry.permute(0, 3, 1, 2)
    at = torch.full((len(clean),), timestep)
    velocity = model(noisy, at, scenes.captions, geometry, scenes.view_width)
    return alpha * noisy - sigma * velocity


def correlation(guessed: Tensor, scenes: Scenes) -> float:
    """Mean over the images of Pearson's correlation over the object's pixels, mean colour aside."""
    values = []
    for image, truth, geometry in zip(guessed, scenes.images, scenes.geometry, strict=True):
        seen = geometry[..., 0] > 0
        first, second = image.permute(1, 2, 0)[seen], truth[seen]
        first, second = first - first.mean(0), second - second.mean(0)
        values.append((first * second).sum() / (first.norm() * second.norm()).clamp(min=1e-6))
    return torch.stack(values).mean().item()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", nargs="?", type=Path, default=DEFAULT_WEIGHTS)
    parser.add_argument("--size", type=float)
    arguments = parser.parse_args()
    if arguments.size:
        world.PATTERN_SCALE = (arguments.size, arguments.size)
    model = TextToImage().eval()
    load_pipeline(model, arguments.weights)
    print(f"| prompt | {' | '.join(map(str, TIMESTEPS))} |")
    print("|---" * (1 + len(TIMESTEPS)) + "|")
    for look in looks():
        scenes = random_scenes(SHAPES, 1, torch.Generator().manual_seed(77), looks=[look])
        values = [correlation(guess(model, scenes, timestep), scenes) for timestep in TIMESTEPS]
        print(f"| {look.caption} | {' | '.join(f'{value:.2f}' for value in values)} |")


if __name__ == "__main__":
    main()
