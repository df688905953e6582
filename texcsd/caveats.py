"""What a model does not know, read or take of the settings: said before anything is painted."""

from __future__ import annotations

from texcsd.errors import TexcsdError
from texcsd.guidance.prompts import side_prompts
from texcsd.guidance.score import Denoiser
from texcsd.settings import LEAST_PATTERN, EditSettings, PaintSettings
from texcsd.synthesis import choose_negative_prompt, takes_negative_prompt, tells_sides


def warnings_about(settings: PaintSettings, denoiser: Denoiser) -> list[str]:
    """What of the settings has no effect with the model, or not the one that may be expected.

    Raises:
        TexcsdError: The model knows, or reads, nothing in a prompt; or two prompts are one to it.
    """
    warnings = _about_words(settings, denoiser) + _about_lengths(settings, denoiser)
    if settings.pattern_scale != 1 and not denoiser.takes_positions:
        warnings.append(f"pattern_scale has no effect: {settings.model} is not told positions")
    size = settings.pattern_scale * denoiser.pattern_scale(settings.prompt)
    if denoiser.takes_positions and size < LEAST_PATTERN:
        warnings.append(
            f"the pattern is to be {size:.2g} times as large as usual; below {LEAST_PATTERN} the "
            "model blurs it: raise --pattern-scale"
        )
    if settings.perp_neg and not tells_sides(settings, denoiser):
        warnings.append("perp_neg has no effect: the prompt is not told the sides")
    return warnings


def _about_words(settings: PaintSettings, denoiser: Denoiser) -> list[str]:
    """Unknown words of the prompts that the user gave."""
    warnings = denoiser.check_prompt(settings.prompt)
    if isinstance(settings, EditSettings):
        return warnings + denoiser.check_prompt(settings.source_prompt)
    if settings.negative_prompt and not takes_negative_prompt(settings):
        return [*warnings, "negative_prompt has no effect: the guidance gives it no weight"]
    if settings.negative_prompt:
        warnings += denoiser.check_prompt(settings.negative_prompt, negative=True)
    return warnings


def _about_lengths(settings: PaintSettings, denoiser: Denoiser) -> list[str]:
    """Words that the text encoder has no room for, in the prompts as it is given them."""
    read, unread = denoiser.split_at_limit(settings.prompt)
    warnings = [_too_long("prompt", unread)] if unread else []
    sides = side_prompts(settings.prompt) if tells_sides(settings, denoiser) else []
    if any(denoiser.split_at_limit(side)[1] for side in sides):
        warnings.append("the prompt leaves no room for the side that a view shows; shorten it")
    if not takes_negative_prompt(settings):
        return warnings
    negative, unread = denoiser.split_at_limit(choose_negative_prompt(settings, denoiser))
    if read and read == negative and (unread or settings.guidance == "bridge"):
        raise TexcsdError(
            f'what to move to and what to move away from are one to the model: it reads "{read}" in'
            " both prompts; shorten them, or let them begin with what is different"
        )
    edited = isinstance(settings, EditSettings)
    what = "source prompt" if edited else "negative prompt"
    return warnings + ([_too_long(what, unread)] if unread else [])


def _too_long(what: str, unread: str) -> str:
    return f'the {what} is too long: the model has no room for "{unread}"; shorten it'
