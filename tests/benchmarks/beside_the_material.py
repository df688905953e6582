"""Paintings beside the material they were asked for: `python beside_the_material.py OUTPUTS`.

    texcsd batch MESHES --prompts prompts.csv -o outputs
    python beside_the_material.py outputs

The embedded model's materials are functions of space, and a painting's seed tells where its own was
told to begin. So each prompt's material is put on the same mesh at the very same places, and both
are seen from the same six sides, without light. Compared are, over all pixels of the object,

- how the colours correlate, the mean colour aside: whether the marks are where the model was told;
- sharpness: root mean square difference of neighbouring pixels, in the painting by the material's;
  once more in views that are NEAR wide, of an object 2 wide;
- saturation of HSV, (max - min) / max of a pixel's channels; chroma, max - min; and contrast, the
  standard deviation of a channel: whether it is as colourful, no more and no less.

Prompts must name a material of the vocabulary, and the model must be the embedded one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from fidelity import SIZE, VIEWS, orbit_surface, read_painting
from torch import Tensor

from texcsd.embedded.captions import FINISHES, MODIFIERS, Look, modified_color, usual_look
from texcsd.embedded.materials import COLOR_SYNONYMS, COLORS, MATERIALS, Material
from texcsd.embedded.patterns import Style
from texcsd.geometry.mesh import Mesh
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.rasterize import Surface, rasterize_mesh
from texcsd.rendering.texture import sample_map
from texcsd.settings import PaintSettings
from texcsd.synthesis import told_geometry

PHRASES = {phrase: material for material in MATERIALS for phrase in material.words if phrase}
NEAR = 0.9
HEADINGS = (
    *("correlation", "sharpness", "near"),
    *("saturation, painted", "itself"),
    *("chroma, painted", "itself"),
    *("contrast, painted", "itself"),
)
COLOR_NAMES = {name: name for name in COLORS} | {
    word: name for name, words in COLOR_SYNONYMS.items() for word in words
}


def look_of_prompt(prompt: str) -> Look:
    """What a prompt in the words of the vocabulary describes."""
    words, material = prompt.lower().split(), material_of(prompt)
    usual = usual_look(material)
    colors = []
    for before, word in zip(["", *words], words, strict=False):
        if word in COLOR_NAMES:
            modifier = next((name for name, of in MODIFIERS.items() if before in of), None)
            colors.append(torch.tensor(modified_color(COLORS[COLOR_NAMES[word]], modifier)))
    finish = next((f for f, of in FINISHES.items() if any(word in of for word in words)), "")
    style = Style(*[*colors, usual.style.second][:2]) if colors else usual.style
    return Look(material, style, prompt, material.shine, finish)


def material_of(prompt: str) -> Material:
    """What a prompt names with the longest of its phrases; a finish, if it names nothing else."""
    named = [phrase for phrase in PHRASES if f" {phrase} " in f" {prompt.lower()} "]
    if not named:
        raise SystemExit(f"{prompt!r} names no material of the vocabulary")
    finishes = {word for words in FINISHES.values() for word in words}
    return PHRASES[max(named, key=lambda phrase: (phrase not in finishes, len(phrase)))]


def colorfulness(colors: Tensor) -> Tensor:
    """Saturation, chroma and contrast of float[n, 3]; float[3]."""
    most, least = colors.amax(1), colors.amin(1)
    chroma = most - least
    return torch.stack([(chroma / (most + 1e-6)).mean(), chroma.mean(), colors.std(0).mean()])


def sharpness(colors: Tensor, seen: Tensor) -> Tensor:
    """Root mean square difference of neighbours among the pixels bool[n, rows, columns] seen."""
    across = (colors[:, :, 1:] - colors[:, :, :-1])[seen[:, :, 1:] & seen[:, :, :-1]]
    down = (colors[:, 1:] - colors[:, :-1])[seen[:, 1:] & seen[:, :-1]]
    return torch.cat([across, down]).square().mean().sqrt()


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson's, of float[n, 3] without their mean colours."""
    first, second = first - first.mean(0), second - second.mean(0)
    return (first * second).sum() / (first.norm() * second.norm()).clamp(min=1e-6)


def compare(mesh: Mesh, base_color: Tensor, settings: PaintSettings, size: float) -> Tensor:
    """The numbers of a painting, in the order of HEADINGS.

    Args:
        mesh: That is painted.
        base_color: float[1, rows, columns, 3].
        settings: It was painted with, the embedded model's prompt among them.
        size: Of the pattern, that the prompt asks for: `Denoiser.pattern_scale`.
    """
    surface, _ = orbit_surface(mesh)
    near = rasterize_mesh(mesh, orbit_cameras(VIEWS, 30, view_width=NEAR), SIZE, SIZE)
    (painted, itself, seen), close = (
        _both(of, base_color, settings, size) for of in (surface, near)
    )
    sharp = [
        sharpness(first, of) / sharpness(second, of)
        for first, second, of in ((painted, itself, seen), close)
    ]
    painted, itself = painted[seen], itself[seen]
    colors = torch.stack([colorfulness(painted), colorfulness(itself)], 1)
    return torch.stack([correlation(painted, itself), *sharp, *colors.flatten()])


def _both(
    surface: Surface, base_color: Tensor, settings: PaintSettings, size: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Painting and material, float[view, rows, columns, 3] each, and where there is an object."""
    seen, told = surface.coverage[..., 0] > 0, told_geometry(surface, settings, size)
    painted = sample_map(base_color, surface).base_color
    itself, look = torch.zeros_like(painted), look_of_prompt(settings.prompt)
    itself[seen] = look.base_color(told.positions[seen], told.normals[seen])
    return painted, itself, seen


def measure(folder: Path) -> tuple[str, Tensor]:
    """The prompt of a result and the numbers of its row."""
    report, mesh, base_color = read_painting(folder)
    size = report["model"]["pattern_scale"]
    return report["prompt"], compare(mesh, base_color, PaintSettings(**report["settings"]), size)


def main() -> None:
    """Print a row for every result, and their means."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, help="with results, at any depth")
    found = []
    print("| prompt | " + " | ".join(HEADINGS) + " |")
    print("|---" * (1 + len(HEADINGS)) + "|")
    for folder in parser.parse_args().folders:
        for report in sorted(folder.rglob("run.json")):
            prompt, numbers = measure(report.parent)
            found.append(numbers)
            print_row(prompt, numbers)
    print_row(f"mean of {len(found)}", torch.stack(found).mean(0))


def print_row(name: str, numbers: Tensor) -> None:
    print(f"| {name} | " + " | ".join(f"{number:.2f}" for number in numbers) + " |", flush=True)


if __name__ == "__main__":
    main()
