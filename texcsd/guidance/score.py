"""Score distillation: from rendered images to the direction that makes them match a prompt.

Classifier Score Distillation (CSD, arXiv 2310.19415) and its relatives are all one linear mix of
noise predictions at one noisy image,

    direction = positive * e(prompt) + negative * e(negative prompt) + unconditional * e("")
              + noise * (the noise that was added)

and differ in the four weights alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class ScoreWeights:
    """The four weights of the mix; a prediction whose weight is zero is never evaluated."""

    positive: float
    negative: float
    unconditional: float
    noise: float = 0.0


def csd_weights(negative_scale: float = 0.0, prior_scale: float = 0.0) -> ScoreWeights:
    """Weights of CSD with a negative prompt, arXiv 2310.19415, Eq. 10, and a share of the prior.

    e(prompt) - e("") - negative_scale * (e(negative prompt) - e(""))
        + prior_scale * (e(prompt) - noise)

    The classifier scores say which way to go; the last term, which CSD drops and SDS keeps, says
    what a whole picture looks like and so holds the colours. Without a negative prompt, a
    prior_scale of p is SDS with diffusers' guidance_scale 1 + 1 / p. The weights sum to zero.
    """
    return ScoreWeights(1.0 + prior_scale, -negative_scale, negative_scale - 1.0, -prior_scale)


def sds_weights(guidance_scale: float) -> ScoreWeights:
    """Weights of score distillation sampling, arXiv 2209.14988, with diffusers' guidance_scale.

    e("") + guidance_scale * (e(prompt) - e("")) - noise
    """
    return ScoreWeights(guidance_scale, 0.0, 1.0 - guidance_scale, -1.0)


@dataclass(frozen=True)
class PromptEmbeddings:
    """What a text encoder makes of the three prompts, each float[tokens, width]."""

    positive: Tensor
    negative: Tensor | None
    """None where there is nothing to move away from."""
    unconditional: Tensor


@dataclass(frozen=True)
class Geometry:
    """What is known of the surface in each view; where depth is 0 the rest means nothing.

    Height and width are those of the images a denoiser is given or a multiple of them.
    """

    depth: Tensor
    """float[view, height, width, 1], near 1, far 0.2, background 0."""
    normals: Tensor
    """float[view, height, width, 3], unit, in world space."""
    positions: Tensor
    """float[view, height, width, 3], in pattern space: where on the material a point lies."""


class Denoiser(Protocol):
    """A diffusion model, as score distillation needs it."""

    name: str
    """What the user chose."""
    licence: str
    """Of the weights."""
    weights_sha256: str
    """Of the weight files, in the order of their names."""
    image_size: int
    """Width and height of the images it takes, in pixels."""
    default_negative_prompt: str
    """Used where the user gives none; empty for no negative prompt."""
    takes_positions: bool
    """Whether it is told where on the object's pattern each pixel lies."""
    alphas_cumprod: Tensor
    """float[timesteps], share of the clean image's variance at each timestep."""

    def check_prompt(self, prompt: str) -> list[str]:
        """Warnings about words the model does not know; raises TexcsdError if it knows none."""
        ...

    def encode_prompts(self, prompts: list[str]) -> Tensor:
        """Embeddings, float[prompt, tokens, width]."""
        ...

    def encode_images(self, images: Tensor) -> Tensor:
        """What noise is added to, float[view, channels, h, w].

        Args:
            images: sRGB, float[view, height, width, 3].
        """
        ...

    def encode_geometry(self, geometry: Geometry) -> Tensor:
        """The part of the geometry that conditions this model, in its own form, one per view."""
        ...

    def predict_noise(
        self,
        noisy: Tensor,
        timestep: Tensor,
        embeddings: Tensor,
        condition: Tensor,
        view_width: Tensor,
    ) -> Tensor:
        """The noise in float[n, channels, h, w], whatever the model itself predicts.

        Args:
            noisy: float[n, channels, h, w].
            timestep: int[n].
            embeddings: float[n, tokens, width].
            condition: n of what `encode_geometry` makes.
            view_width: float[n], width of the view in units of the object's radius.
        """
        ...


def encode(denoiser: Denoiser, prompt: str, negative_prompt: str) -> PromptEmbeddings:
    """Embeddings of the prompt, the negative prompt (unless it is empty) and the empty prompt."""
    positive, negative, unconditional = denoiser.encode_prompts([prompt, negative_prompt, ""])
    return PromptEmbeddings(positive, negative if negative_prompt else None, unconditional)


def stratified_timesteps(
    count: int, least: float, most: float, timesteps: int, generator: torch.Generator
) -> Tensor:
    """int[count]: one random timestep from each of `count` equal parts of [least, most], shuffled.

    Args:
        count: Number of timesteps to draw.
        least: Lower end as a fraction of the schedule.
        most: Upper end as a fraction of the schedule.
        timesteps: Length of the schedule.
        generator: On the CPU.
    """
    place = torch.rand(count, generator=generator) + torch.randperm(count, generator=generator)
    fraction = least + (most - least) * place / count
    return (fraction * timesteps).long().clamp(0, timesteps - 1)


@torch.no_grad()
def score_direction(
    denoiser: Denoiser,
    clean: Tensor,
    timestep: Tensor,
    noise: Tensor,
    prompts: PromptEmbeddings,
    weights: ScoreWeights,
    condition: Tensor,
    view_width: Tensor,
) -> Tensor:
    """The weighted mix of noise predictions, float[view, channels, h, w].

    All branches with a weight are evaluated in one batch, under the same condition.

    Args:
        denoiser: The diffusion model.
        clean: float[view, channels, h, w].
        timestep: int[view].
        noise: Like `clean`.
        prompts: Embeddings of the three prompts.
        weights: Of the mix.
        condition: Of the denoiser's `encode_geometry`.
        view_width: float[view].
    """
    alpha = denoiser.alphas_cumprod[timestep].view(-1, 1, 1, 1)
    noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
    direction = weights.noise * noise
    names = [field.name for field in fields(prompts) if getattr(weights, field.name) != 0]
    if not names:
        return direction
    views, copies = len(clean), len(names)
    predictions = denoiser.predict_noise(
        noisy.repeat(copies, 1, 1, 1),
        timestep.repeat(copies),
        torch.cat([getattr(prompts, name).expand(views, -1, -1) for name in names]),
        condition.repeat(copies, 1, 1, 1),
        view_width.repeat(copies),
    )
    for name, prediction in zip(names, predictions.chunk(copies), strict=True):
        direction = direction + getattr(weights, name) * prediction
    return direction


def surrogate_loss(clean: Tensor, direction: Tensor) -> Tensor:
    """A scalar whose gradient with respect to `clean` is `direction` divided by the batch size."""
    return (clean * direction.detach()).sum() / len(clean)
