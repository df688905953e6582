"""A random look: a material in some colours, and a caption that describes it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from texcsd.embedded.materials import COLOR_SYNONYMS, COLORS, MATERIALS, Material
from texcsd.embedded.noise import fractal, mix, noise, step
from texcsd.embedded.patterns import Style, rgb, shaded, strands

OBJECTS = (
    "armchair chair sofa couch table stool bench bed desk shelf lamp vase mug cup teapot pot bowl "
    "bottle plate jar box chest barrel crate cow horse dog cat bunny rabbit bear fish bird duck "
    "elephant animal creature dragon dinosaur bust statue sculpture head figure man woman toy doll "
    "robot car house building tower shoe boot bag hat helmet shield sword tree ball sphere cube "
    "torus ring shape object thing model pillow cushion wall floor pawn king knot part bracket gear"
).split()

DEFECTS = ("blurry", "noisy", "oversaturated", "dull")
"""Words for spoilt images: what a negative prompt can push away from."""

MODIFIERS = {"dark": ("dark", "deep"), "light": ("light", "pale"), "bright": ("bright", "vivid")}
FINISHES = {
    "shiny": ("shiny", "glossy", "polished"),
    "matte": ("matte",),
    "worn": ("worn", "old", "weathered", "dirty"),
    "scratched": ("scratched",),
    "mossy": ("mossy", "overgrown"),
    "snowy": ("snowy",),
}
SIZES = {
    "huge": 2.8,
    "large": 2.0,
    "big": 2.0,
    "coarse": 2.0,
    "small": 0.5,
    "fine": 0.5,
    "tiny": 0.35,
}
"""How many times as large as usual a pattern is. No caption says it: the model is told places in
pattern space, and those who tell it scale them (`Vocabulary.pattern_scale`)."""
FILLERS = ("a", "an", "the", "of", "made", "with", "and", "texture", "pattern", "in", "from", "on")
UNKNOWN = "[UNK]"


@dataclass(frozen=True)
class Look:
    """A material instance with its caption."""

    material: Material
    style: Style
    caption: str
    shine: float
    finish: str = ""
    """One of FINISHES, or none."""

    def base_color(self, points: Tensor, normals: Tensor) -> Tensor:
        """SRGB base colour float[n, 3] at points float[n, 3] of pattern space, normals unit."""
        style = Style(self.style.first.to(points), self.style.second.to(points))
        color = self.material.paint(points, normals, style)
        return _finished(color, self.finish, points, normals)


def _finished(color: Tensor, finish: str, points: Tensor, normals: Tensor) -> Tensor:
    """What has settled on the surface, or been done to it."""
    if finish == "worn":
        dirt = fractal(points / 0.3, 4, 0.6)
        color = mix(color, rgb(points, 0.24, 0.20, 0.15), 0.55 * step(0.54, 0.16, dirt[:, 3]))
        return color * (0.88 + 0.12 * dirt[:, 2:3])
    if finish == "scratched":
        lines = strands(points, normals, 0.0375)[:, [0, 3]] + strands(points, normals, 0.075)[:, :2]
        thin = 1 - step(0.02, 0.05, (lines - 1).abs().amin(1))
        rubbed = step(0.42, 0.15, noise(points / 0.15)[:, 2])
        return mix(color, 0.35 * color + 0.58, 0.85 * thin * rubbed)
    if finish == "mossy":
        grown = 0.2 * normals[:, 1] + fractal(points / 0.15, 3)[:, 1]
        green = shaded(rgb(points, 0.30, 0.40, 0.12), 0.6 + 0.8 * noise(points / 0.0375)[:, 0])
        return mix(color, green, step(0.57, 0.08, grown))
    if finish == "snowy":
        lying = normals[:, 1] + 1.2 * (fractal(points / 0.15, 2)[:, 0] - 0.5)
        return mix(color, rgb(points, 0.94, 0.96, 0.98), step(0.35, 0.15, lying))
    return color


def _chance(generator: torch.Generator, probability: float) -> bool:
    return bool(torch.rand((), generator=generator) < probability)


def _choose(options, generator: torch.Generator):
    return options[int(torch.randint(len(options), (), generator=generator))]


_WEIGHTS = torch.tensor([material.weight for material in MATERIALS])


def _jitter(color: tuple[float, ...], generator: torch.Generator) -> Tensor:
    """A shade near `color`: brightness by up to 10 %, each channel by up to 0.04."""
    brightness = 0.90 + 0.2 * torch.rand((), generator=generator)
    shift = 0.08 * (torch.rand(3, generator=generator) - 0.5)
    return (torch.tensor(color) * brightness + shift).clamp(0.02, 0.98)


def modified_color(color: tuple[float, ...], modifier: str | None) -> tuple[float, ...]:
    """What one of MODIFIERS makes of an sRGB colour."""
    if modifier == "dark":
        return tuple(0.45 * c for c in color)
    if modifier == "light":
        return tuple(c + 0.5 * (1 - c) for c in color)
    if modifier == "bright":
        return tuple(min(0.98, 1.25 * c) for c in color)
    return color


def _colors(
    material: Material, generator: torch.Generator
) -> tuple[tuple[float, ...], tuple[float, ...], str]:
    """First and second colour, and the words for them ("" where the palette decides)."""
    first, second = _choose(material.palette, generator)
    names = list(COLORS)
    if material.colors == 0 or _chance(generator, material.usual):
        return first, second, ""
    name = _choose(names, generator)
    word = _choose(COLOR_SYNONYMS.get(name, (name,)), generator)
    if material.colors == 2 and _chance(generator, 0.75):
        other = _choose([n for n in names if n != name], generator)
        if _chance(generator, 0.4):
            other = "white" if name != "white" else "black"
        other_word = _choose(COLOR_SYNONYMS.get(other, (other,)), generator)
        joint = " and " if _chance(generator, 0.8) else " "
        # The words come in the order of the colours: else their places could not be told apart.
        return COLORS[name], COLORS[other], word + joint + other_word
    modifier = _choose([*MODIFIERS], generator) if _chance(generator, 0.2) else None
    if modifier:
        word = f"{_choose(MODIFIERS[modifier], generator)} {word}"
    if material.contrast:
        contrast = _choose([c for c in material.contrast if c != name] or ["black"], generator)
        second = COLORS[contrast]
    return modified_color(COLORS[name], modifier), second, word


def _sentence(words: str, generator: torch.Generator) -> str:
    """The words for a look inside one of the phrasings people use."""
    thing = UNKNOWN if _chance(generator, 0.15) else _choose(OBJECTS, generator)
    article = _choose(("a ", "the ", "", "an "), generator)
    return _choose(
        (
            words,
            words,
            f"{article}{words} {thing}",
            f"{article}{words} {thing}",
            f"{article}{thing} made of {words}",
            f"{article}{thing} with {words}",
            f"{article}{thing} in {words}",
            f"{words} {_choose(('texture', 'pattern'), generator)}",
        ),
        generator,
    )


def look_of(material: Material, generator: torch.Generator) -> Look:
    """The material with random colours, finish and caption."""
    first, second, color_words = _colors(material, generator)
    finish = _choose([*FINISHES], generator) if _chance(generator, 0.25) else ""
    finish_word = _choose(FINISHES[finish], generator) if finish else ""
    material_word = _choose(material.words, generator)
    if not material_word and not color_words:
        material_word = material.words[0]
    words = " ".join(word for word in (finish_word, color_words, material_word) if word)
    style = Style(_jitter(first, generator), _jitter(second, generator))
    shine = {"shiny": max(material.shine, 0.45), "matte": 0.0}.get(finish, material.shine)
    return Look(material, style, _sentence(words, generator), shine, finish)


def random_look(generator: torch.Generator) -> Look:
    """A material drawn by weight, in a random look."""
    index = int(torch.multinomial(_WEIGHTS, 1, generator=generator))
    return look_of(MATERIALS[index], generator)


def usual_look(material: Material) -> Look:
    """The material as its plain name alone describes it, in its first palette."""
    style = Style(*(torch.tensor(color) for color in material.palette[0]))
    return Look(material, style, material.words[0], material.shine)


def vocabulary() -> dict[str, list[str]]:
    """Every word a caption can contain, by role.

    `surface` words say what a thing looks like; a prompt needs at least one. `context` words are
    understood but change nothing. `defects` are for negative prompts.
    """
    phrases = [word for material in MATERIALS for word in material.words]
    phrases += [w for name in COLORS for w in COLOR_SYNONYMS.get(name, (name,))]
    phrases += [w for group in (MODIFIERS, FINISHES) for words in group.values() for w in words]
    surface = sorted({word for phrase in phrases for word in phrase.split()})
    context = sorted({*OBJECTS, *FILLERS} - set(surface))
    return {"surface": surface, "context": context, "defects": list(DEFECTS)}
