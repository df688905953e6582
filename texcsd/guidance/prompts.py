"""The words of a prompt: those a small model knows, and those that tell the side looked at."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from texcsd.errors import TexcsdError

SIDES = ("front view", "side view", "back view", "overhead view")
FRONT, SIDE = 0, 1
"""Their places among SIDES."""
OVERHEAD_FROM, OVERHEAD_AT = 45.0, 75.0
"""Degrees of elevation at which a view begins to be, and is, from overhead."""


@dataclass(frozen=True)
class Vocabulary:
    """The words a small model was trained on, by role."""

    surface: frozenset[str]
    """Materials, patterns, colours, finishes: a prompt needs at least one."""
    context: frozenset[str]
    """Objects and little words: understood, but they do not change the surface."""
    defects: frozenset[str]
    """Words for spoilt pictures, for negative prompts."""
    sizes: Mapping[str, float] = field(default_factory=dict)
    """How many times as large as usual a pattern is, by the word for it; the model knows none."""

    @classmethod
    def read(cls, path: Path) -> Vocabulary:
        """From the JSON file beside a model's weights."""
        content = json.loads(path.read_text(encoding="utf-8"))
        roles = (frozenset(content[role]) for role in ("surface", "context", "defects"))
        sizes = dict(content.get("sizes", {}))
        return cls(*roles, sizes={word: float(size) for word, size in sizes.items()})

    def check(self, prompt: str, negative: bool = False) -> list[str]:
        """Warnings that name the words the model does not know.

        Args:
            prompt: Of the user.
            negative: Whether it is to be moved away from, and need not say what a surface looks
                like.

        Raises:
            TexcsdError: No word says what the surface looks like; the nearest known are named.
        """
        words = split_words(prompt)
        if negative and not words:
            return [f'no word is in "{prompt}", and so it has no effect']
        if not words:
            raise TexcsdError(f'no word is in "{prompt}"; say what to paint, such as "red leather"')
        known = self.surface | self.context | self.defects | {*self.sizes}
        unknown = [word for word in words if word not in known]
        if not (negative or self.names_surface(prompt)):
            raise TexcsdError(
                f'the model knows no material, pattern or colour in "{prompt}"; '
                f"nearest words it knows: {', '.join(self._nearest(unknown or words))}"
            )
        return [
            f'the model does not know "{word}" and ignores it; '
            f"nearest: {', '.join(self._nearest([word], 3))}"
            for word in dict.fromkeys(unknown)
        ]

    def names_surface(self, prompt: str) -> bool:
        """Whether a word says what a surface looks like."""
        return not self.surface.isdisjoint(split_words(prompt))

    def pattern_scale(self, prompt: str) -> float:
        """How many times as large as usual the prompt wants the pattern; 1 if it does not say.

        A size belongs to what follows: "large brick" is of large bricks, a "large armchair" is not.
        """
        words = split_words(prompt)
        for word, following in zip(words, [*words, ""][1:], strict=True):
            if word in self.sizes and following in self.surface:
                return self.sizes[word]
        return 1.0

    def without_sizes(self, prompt: str) -> str:
        """What is left for the model to read."""
        return " ".join(word for word in split_words(prompt) if word not in self.sizes)

    def _nearest(self, words: list[str], count: int = 8) -> list[str]:
        """Known surface words, most similarly spelt first."""
        similarity = {
            known: max(difflib.SequenceMatcher(None, word, known).ratio() for word in words)
            for known in sorted(self.surface)
        }
        return sorted(similarity, key=lambda known: -similarity[known])[:count]


def side_prompts(prompt: str) -> list[str]:
    """The prompt as seen from each of SIDES."""
    return [f"{prompt}, {side}" for side in SIDES]


def side_weights(azimuth_degrees: Tensor, elevation_degrees: Tensor) -> Tensor:
    """How much of each of SIDES a view shows, float[view, 4]; they sum to 1.

    Args:
        azimuth_degrees: float[view], 0 looks at the front.
        elevation_degrees: float[view].
    """
    from_front = (torch.remainder(azimuth_degrees + 180, 360) - 180).abs() / 90
    front, back = (1 - from_front).clamp(min=0), (from_front - 1).clamp(min=0)
    around = torch.stack([front, 1 - front - back, back], 1)
    overhead = _overhead(elevation_degrees)[:, None]
    return torch.cat([(1 - overhead) * around, overhead], 1)


def perp_neg_weights(azimuth_degrees: Tensor, elevation_degrees: Tensor) -> tuple[Tensor, Tensor]:
    """How much a view is to differ from the front and from the side, float[view] each.

    The laws of Perp-Neg (arXiv 2304.04968): 0 for what a view shows, falling exponentially towards
    it; less where a view is from overhead, which is no side of the object.

    Args:
        azimuth_degrees: float[view], 0 looks at the front.
        elevation_degrees: float[view].
    """
    from_front = (torch.remainder(azimuth_degrees + 180, 360) - 180).abs() / 90
    in_front, overhead = from_front < 1, _overhead(elevation_degrees)
    front = torch.where(
        in_front, 4 * _falling(1 - from_front), _falling(2 - from_front) + 4 * _falling(0)
    )
    side = torch.where(in_front, 4 * _falling(from_front), _falling(2 - from_front))
    return (1 - overhead) * front, (1 - overhead) * side


def _falling(share: Tensor | float) -> Tensor:
    """Exponentially to 0 at 1."""
    return torch.exp(-torch.as_tensor(share) / 2) - math.exp(-0.5)


def _overhead(elevation_degrees: Tensor) -> Tensor:
    """How much a view is from overhead, float[view] from 0 to 1."""
    share = (elevation_degrees - OVERHEAD_FROM) / (OVERHEAD_AT - OVERHEAD_FROM)
    return share.clamp(0, 1)


def split_words(prompt: str) -> list[str]:
    """Lower-case words without punctuation."""
    return re.findall(r"\w+", prompt.lower())
