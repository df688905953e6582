"""Is the classifier score enough? The claims of arXiv 2310.19415, tried on the embedded model.

    python examples/06_the_claims_of_the_paper.py [FIGURE]

Paints a few prompts with parts of the score and with SDS, all for the same number of noise
predictions. A material of the embedded model is a known function of the place in space, so every
painting can be compared with what it should be. Prints a table and draws a figure.
"""

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

import texcsd
from texcsd.embedded.captions import usual_look
from texcsd.embedded.materials import MATERIALS
from texcsd.embedded.scenes import PATTERN_OFFSET
from texcsd.geometry.mesh import fit_to_unit_sphere, load_mesh
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.rasterize import Surface, rasterize_mesh
from texcsd.rendering.shading import camera_lights, shade
from texcsd.rendering.texture import Material, sample_map
from texcsd.synthesis import step_generator

MESH = Path(__file__).parent.parent / "assets" / "armchair.obj"
PROMPTS = ("leather", "grass", "zebra", "snake")
SEED, VIEWS, SIZE, LABEL = 0, 6, 160, 16
PREDICTIONS = 120
"""Of the noise in each view of a painting."""
CSD, PRIOR = "positive=1, unconditional=-1", "positive=1, noise=-1"
VARIANTS = {
    "classifier score alone": (2, {"weights": CSD}),
    "prior alone": (1, {"weights": PRIOR}),
    "SDS, scale 7.5": (2, {"guidance": "sds", "guidance_scale": 7.5}),
    "SDS, scale 30": (2, {"guidance": "sds", "guidance_scale": 30.0}),
    "SDS, scale 100": (2, {"guidance": "sds", "guidance_scale": 100.0}),
    "CSD, negative 1 to 0.5": (
        3,
        {
            "negative_prompt": "blurry, noisy, dull",
            "weights": "positive=1, negative=-1:-0.5, unconditional=0:-0.5",
        },
    ),
    "CSD, prior 3 (default)": (2, {"prior_scale": 3.0}),
}
"""Name to the predictions of a step and the settings."""


class Likeness(NamedTuple):
    """A painting beside the material itself."""

    correlation: float
    """Of colours over the surface; 1 if the pattern is the material's, wherever one looks."""
    color_shift: float
    """Distance of the mean colours, sRGB in [0, 1]."""
    contrast: float
    """Standard deviation of the colours, as a multiple of the material's."""
    saturation: float
    """Mean difference of the largest and the smallest channel, as a multiple of the material's."""


def true_colors(surface: Surface, prompt: str) -> Tensor:
    """What the surface looks like, made of the material itself; float[view, h, w, 3]."""
    (material,) = (material for material in MATERIALS if material.words[0] == prompt)
    colors = torch.zeros_like(surface.positions)
    seen = surface.coverage[..., 0] > 0
    # The seed decides where patterns begin.
    offset = PATTERN_OFFSET * torch.rand(3, generator=step_generator(SEED, -2))
    places = surface.positions[seen] + offset
    colors[seen] = usual_look(material).base_color(places, surface.normals[seen])
    return colors


def compare(painted: Tensor, true: Tensor) -> Likeness:
    """Both float[n, 3]."""
    shift = (painted.mean(0) - true.mean(0)).norm()
    first, second = painted - painted.mean(0), true - true.mean(0)
    chroma = [(colors.amax(1) - colors.amin(1)).mean() for colors in (painted, true)]
    correlation = (first * second).sum() / (first.norm() * second.norm())
    values = (correlation, shift, first.norm() / second.norm(), chroma[0] / chroma[1])
    return Likeness(*(value.item() for value in values))


def paint(prompt: str, per_step: int, settings: dict, folder: str) -> tuple[Surface, Tensor]:
    """The painted mesh seen from around, and its colours float[view, h, w, 3]."""
    steps = PREDICTIONS // per_step
    result = texcsd.paint(
        MESH, prompt, folder, seed=SEED, steps=steps, texture_size=512, **settings
    )
    mesh = fit_to_unit_sphere(load_mesh(result.glb))
    surface = rasterize_mesh(mesh, orbit_cameras(VIEWS, elevation_degrees=20), SIZE, SIZE)
    texture = np.asarray(Image.open(result.base_color).convert("RGB"), np.float32) / 255
    return surface, sample_map(torch.from_numpy(texture)[None], surface).base_color


def picture(surface: Surface, colors: Tensor) -> Image.Image:
    """The first view, lit."""
    lights = camera_lights(orbit_cameras(VIEWS, elevation_degrees=20))
    background = torch.ones(1, 1, 1, 3)
    image = shade(Material(colors), surface, lights, background)[0]
    return Image.fromarray((image * 255).round().to(torch.uint8).numpy())


def main() -> None:
    """Print the table, a row for each variant, and draw the figure, a column for each."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "claims.png")
    figure = Image.new("RGB", (SIZE * (len(VARIANTS) + 1), LABEL + SIZE * len(PROMPTS)), "white")
    draw = ImageDraw.Draw(figure)
    print("| variant | predictions x steps | correlation | colour shift | contrast | saturation |")
    print("|---|---|---|---|---|---|", flush=True)
    for column, (name, (per_step, settings)) in enumerate(VARIANTS.items()):
        draw.text((column * SIZE + 4, 2), name, fill="black")
        found = []
        for row, prompt in enumerate(PROMPTS):
            with tempfile.TemporaryDirectory() as folder:
                surface, painted = paint(prompt, per_step, settings, folder)
            true, seen = true_colors(surface, prompt), surface.coverage[..., 0] > 0
            found.append(compare(painted[seen], true[seen]))
            figure.paste(picture(surface, painted), (column * SIZE, LABEL + row * SIZE))
            figure.paste(picture(surface, true), (len(VARIANTS) * SIZE, LABEL + row * SIZE))
        means = " | ".join(f"{mean:.2f}" for mean in np.mean(found, axis=0))
        print(f"| {name} | {per_step} x {PREDICTIONS // per_step} | {means} |", flush=True)
    draw.text((len(VARIANTS) * SIZE + 4, 2), "the material itself", fill="black")
    figure.save(path)
    print(path)


if __name__ == "__main__":
    main()
