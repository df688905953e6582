"""What is said of settings before anything is painted; the model reads six words of a prompt."""

import pytest
from replaced_painting import FakeDenoiser

from texcsd.caveats import warnings_about
from texcsd.errors import TexcsdError
from texcsd.settings import EditSettings, PaintSettings

SIX = "an old chair of red leather"


def warnings(prompt: str, knows_sides: bool = False, **options) -> list[str]:
    denoiser = FakeDenoiser()
    denoiser.knows_sides, denoiser.default_negative_prompt = knows_sides, ""
    return warnings_about(PaintSettings(prompt, **options), denoiser)


def test_what_fits_is_not_mentioned() -> None:
    assert warnings(SIX) == []
    assert warnings("red leather", knows_sides=True, negative_prompt="dull") == []


def test_words_of_the_prompt_that_are_not_read_are_named() -> None:
    (warning,) = warnings(f"{SIX} with brass nails")
    assert 'the prompt is too long: the model has no room for "with brass nails"' in warning


def test_words_of_the_negative_prompt_that_are_not_read_are_named() -> None:
    (warning,) = warnings("gold", negative_prompt="dull and grey or brown and dirty")
    assert 'negative prompt is too long: the model has no room for "dirty"' in warning


def test_a_negative_prompt_without_weight_may_be_as_long_as_it_likes() -> None:
    scales = {"negative_scale_start": 0.0, "negative_scale_end": 0.0}
    (warning,) = warnings("gold", negative_prompt=f"{SIX} and {SIX}", **scales)
    assert "has no effect" in warning


def test_sides_that_are_not_read_are_said_unless_they_are_off() -> None:
    (warning,) = warnings(SIX, knows_sides=True)
    assert "no room for the side" in warning
    assert warnings(SIX, knows_sides=True, side_prompts="off") == []


def test_the_negative_prompt_of_bridge_is_measured_after_the_prompt_it_follows() -> None:
    bridge = {"guidance": "bridge", "negative_prompt": "dull and dirty"}
    (warning,) = warnings("chair of red leather", **bridge)
    assert '"dirty"' in warning and "negative prompt" in warning
    with pytest.raises(TexcsdError, match=f'it reads "{SIX}" in both prompts'):
        warnings(SIX, **bridge | {"negative_prompt": "dull"})


def test_an_editing_between_prompts_that_begin_alike_and_are_cut_is_refused() -> None:
    settings = EditSettings(prompt=f"{SIX} with nails", source_prompt=f"{SIX} with buttons")
    with pytest.raises(TexcsdError, match="one to the model"):
        warnings_about(settings, FakeDenoiser())


def test_an_editing_names_what_is_not_read_of_either_prompt() -> None:
    settings = EditSettings(prompt=f"{SIX} with nails", source_prompt=f"a {SIX}")
    denoiser = FakeDenoiser()
    prompt, source = warnings_about(settings, denoiser)
    assert '"with nails"' in prompt and "source prompt is too long" in source


def test_unknown_words_of_all_prompts_are_named() -> None:
    assert warnings("unknown gold", negative_prompt="unknown") == ["unknown word"] * 2
    settings = EditSettings(prompt="gold", source_prompt="unknown")
    assert warnings_about(settings, FakeDenoiser()) == ["unknown word"]
