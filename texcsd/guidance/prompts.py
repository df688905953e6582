"""Which words a model with a finite vocabulary knows, and what to say about the others."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from texcsd.errors import TexcsdError


@dataclass(frozen=True)
class Vocabulary:
    """The words a small model was trained on, by role."""

    surface: frozenset[str]
    """Materials, patterns, colours, finishes: a prompt needs at least one."""
    context: frozenset[str]
    """Objects and little words: understood, but they do not change the surface."""
    defects: frozenset[str]
    """Words for spoilt pictures, for negative prompts."""

    @classmethod
    def read(cls, path: Path) -> Vocabulary:
        """From the JSON file beside a model's weights."""
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(*(frozenset(content[role]) for role in ("surface", "context", "defects")))

    def check(self, prompt: str) -> list[str]:
        """Warnings that name the words the model does not know.

        Raises:
            TexcsdError: No word says what the surface looks like; the nearest known are named.
        """
        words = split_words(prompt)
        unknown = [w for w in words if w not in self.surface | self.context | self.defects]
        if not self.surface & {*words}:
            raise TexcsdError(
                f'the model knows no material, pattern or colour in "{prompt}"; '
                f"nearest words it knows: {', '.join(self._nearest(unknown or words))}"
            )
        return [
            f'the model does not know "{word}" and ignores it; '
            f"nearest: {', '.join(self._nearest([word], 3))}"
            for word in dict.fromkeys(unknown)
        ]

    def _nearest(self, words: list[str], count: int = 8) -> list[str]:
        """Known surface words, most similarly spelt first."""
        similarity = {
            known: max(difflib.SequenceMatcher(None, word, known).ratio() for word in words)
            for known in sorted(self.surface)
        }
        return sorted(similarity, key=lambda known: -similarity[known])[:count]


def split_words(prompt: str) -> list[str]:
    """Lower-case words without punctuation."""
    return re.findall(r"\w+", prompt.lower())
