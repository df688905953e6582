"""Whether paintings are as colourful as the material they were asked for, no more and no less.

    texcsd batch MESHES --prompts prompts.csv -o outputs
    python saturation.py outputs

The embedded model's materials are functions of space: each prompt's own is put on the same mesh,
and seen from the same six sides, without light. Saturation is that of HSV, (max - min) / max of a
pixel's channels, chroma is max - min, and contrast the standard deviation of a channel; each is the
mean over all pixels of the object. Prompts must name a material of the vocabulary.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from fidelity import orbit_surface, read_painting
from torch import Tensor

from texcsd.embedded.captions import FINISHES, MODIFIERS, Look, _modified, usual_look
from texcsd.embedded.materials import COLOR_SYNONYMS, COLORS, MATERIALS, Material
from texcsd.embedded.patterns import Style
from texcsd.embedded.scenes import PATTERN_OFFSET
from texcsd.rendering.texture import sample_map

PHRASES = {phrase: material for material in MATERIALS for phrase in material.words if phrase}
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
            colors.append(torch.tensor(_modified(COLORS[COLOR_NAMES[word]], modifier)))
    finish = next((f for f, of in FINISHES.items() if any(word in of for word in words)), "")
    style = Style(*[*colors, usual.style.second][:2]) if colors else usual.style
    return Look(material, style, prompt, material.shine, finish)


def material_of(prompt: str) -> Material:
    """The material that a prompt names with the longest of its phrases."""
    named = [phrase for phrase in PHRASES if f" {phrase} " in f" {prompt.lower()} "]
    if not named:
        raise SystemExit(f"{prompt!r} names no material of the vocabulary")
    return PHRASES[max(named, key=len)]


def colorfulness(colors: Tensor) -> Tensor:
    """Saturation, chroma and contrast of float[n, 3]; float[3]."""
    most, least = colors.amax(1), colors.amin(1)
    chroma = most - least
    return torch.stack([(chroma / (most + 1e-6)).mean(), chroma.mean(), colors.std(0).mean()])


def measure(folder: Path) -> tuple[str, Tensor, Tensor]:
    """The prompt of a result, and the colourfulness of the painting and of the material itself."""
    report, mesh, base_color = read_painting(folder)
    surface, _ = orbit_surface(mesh)
    seen = surface.coverage[..., 0] > 0
    painted = sample_map(base_color, surface).base_color[seen]
    points = surface.positions[seen] + PATTERN_OFFSET / 2
    itself = look_of_prompt(report["prompt"]).base_color(points, surface.normals[seen])
    return report["prompt"], colorfulness(painted), colorfulness(itself)


def main() -> None:
    """Print a row for every result, and their means."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, help="with results, at any depth")
    found = []
    print("| prompt | saturation, painted | itself | chroma | itself | contrast | itself |")
    print("|---|---|---|---|---|---|---|")
    for folder in parser.parse_args().folders:
        for report in sorted(folder.rglob("run.json")):
            prompt, *both = measure(report.parent)
            found.append(torch.stack(both, 1).flatten())
            print_row(prompt, found[-1])
    print_row(f"mean of {len(found)}", torch.stack(found).mean(0))


def print_row(name: str, numbers: Tensor) -> None:
    print(f"| {name} | " + " | ".join(f"{number:.2f}" for number in numbers) + " |", flush=True)


if __name__ == "__main__":
    main()
