"""Jobs without a model: fakes in the places of the denoiser and of the painting."""

from typing import TypeVar

import pytest

from texcsd import painting
from texcsd.errors import TexcsdError

Fake = TypeVar("Fake")


class FakeDenoiser:
    licence = "CC0-1.0"
    weights_sha256 = "0" * 64
    default_negative_prompt = "dull"
    takes_positions = knows_sides = False
    takes_latents = False
    controlnet_scale, most_predictions = 1.0, 0

    def check_prompt(self, prompt: str, negative: bool = False) -> list[str]:
        if "xyzzy" in prompt:
            raise TexcsdError('no word of "xyzzy" is known')
        return ["unknown word"] if "unknown" in prompt else []

    def split_at_limit(self, prompt: str) -> tuple[str, str]:
        words = prompt.split()
        return " ".join(words[:6]).rstrip(","), " ".join(words[6:])

    def pattern_scale(self, prompt: str) -> float:
        return 0.35 if "tiny" in prompt else 1.0


def replace_painting(monkeypatch: pytest.MonkeyPatch, synthesis: Fake) -> Fake:
    """Let `synthesis` paint, and no model be loaded."""
    monkeypatch.setattr(painting, "synthesize", synthesis)
    monkeypatch.setattr(painting, "load_denoiser", lambda model, device, *options: FakeDenoiser())
    return synthesis
