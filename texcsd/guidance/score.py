"""Score distillation: from rendered images to the direction that makes them match a prompt.

Classifier Score Distillation (CSD, arXiv 2310.19415) and its relatives are all one linear mix of
noise predictions at one noisy image,

    direction = positive * e(prompt) + negative * e(negative prompt) + unconditional * e("")
              + noise * (the noise that was added) + later * e(prompt), given more of that noise

and differ in the weights alone. Perp-Neg adds what is not linear: parts of predictions.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

Method = Literal["csd", "sds", "nfsd", "bridge", "asd"]
Schedule = Literal["constant", "linear", "square-root", "two-stage"]
TimestepWeight = Literal["uniform", "noise", "balanced"]
NEED_NEGATIVE_PROMPT: tuple[Method, ...] = ("nfsd", "bridge")
PREDICTIONS = ("positive", "negative", "unconditional", "later", "front", "side")
"""By the names of their weights, in the order in which they are made."""
LATER = 0.1
"""ASD: most that a timestep is later, as a share of how far it is above the least one."""
NOISE_FREE_TIMESTEP = 0.2
"""Below this fraction of the schedule NFSD takes predictions to hold no noise but the image's."""
PREDICTED_PIXELS = 2**17
"""Pixels (or latents) of the noise predictions that are computed at once, unless told otherwise."""


@dataclass(frozen=True)
class ScoreWeights:
    """The weights of the mix; a prediction whose weight is zero is never evaluated.

    Each is a number or float[view, 1, 1, 1]; where that is on the CPU, only the views with a weight
    are evaluated.
    """

    positive: float | Tensor
    negative: float | Tensor
    unconditional: float | Tensor
    noise: float | Tensor = 0.0
    later: float | Tensor = 0.0
    """Of the prediction for the prompt at a noisier timestep."""
    front: float | Tensor = 0.0
    """Perp-Neg: how much to move away from the object's front, see `perpendicular`."""
    side: float | Tensor = 0.0
    """Perp-Neg: likewise, from its side."""


def method_weights(
    method: Method,
    guidance_scale: float,
    negative_scale: float,
    prior_scale: float,
    timestep_fraction: Tensor,
) -> ScoreWeights:
    """Weights of a method by its name.

    Args:
        method: Which of the functions below.
        guidance_scale: Of sds, nfsd and asd.
        negative_scale: Of csd.
        prior_scale: Of csd.
        timestep_fraction: float[view], the timesteps as fractions of the schedule.
    """
    if method == "csd":
        return csd_weights(negative_scale, prior_scale)
    if method == "sds":
        return sds_weights(guidance_scale)
    if method == "nfsd":
        return nfsd_weights(guidance_scale, timestep_fraction)
    return asd_weights(guidance_scale) if method == "asd" else bridge_weights()


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


def nfsd_weights(guidance_scale: float, timestep_fraction: Tensor) -> ScoreWeights:
    """Weights of noise-free score distillation, arXiv 2310.17590, with diffusers' guidance_scale.

    guidance_scale * (e(prompt) - e("")) + e("") - e(negative prompt)

    Where little noise was added, the last term is left out: e("") is the image's own noise there.

    Args:
        guidance_scale: 7.5 in the paper.
        timestep_fraction: float[view].
    """
    noisy = (timestep_fraction >= NOISE_FREE_TIMESTEP).float().view(-1, 1, 1, 1)
    return ScoreWeights(guidance_scale, -noisy, 1.0 - guidance_scale)


def bridge_weights() -> ScoreWeights:
    """Weights of the second stage of arXiv 2406.09417: e(prompt) - e(negative prompt).

    There, the negative prompt is the prompt itself and words for what is bad about the picture.
    """
    return ScoreWeights(1.0, -1.0, 0.0)


def asd_weights(guidance_scale: float) -> ScoreWeights:
    """Weights of asynchronous score distillation, arXiv 2407.02040, with diffusers' guidance_scale.

    e("") + guidance_scale * (e(prompt) - e("")) - e(prompt), given more noise

    Args:
        guidance_scale: 7.5 in the paper.
    """
    return ScoreWeights(guidance_scale, 0.0, 1.0 - guidance_scale, later=-1.0)


def scheduled(schedule: Schedule, start: float, end: float, progress: float) -> float:
    """A value between `start` and `end`, by the progress from 0 to 1.

    "square-root" is HiFA's law, quick at first. "two-stage" jumps halfway, as the
    CSD authors do.
    """
    share = {
        "constant": 0.0,
        "linear": progress,
        "square-root": progress**0.5,
        "two-stage": float(progress >= 0.5),
    }[schedule]
    return start + (end - start) * share


def weigh_timesteps(kind: TimestepWeight, alpha_cumprod: Tensor) -> Tensor:
    """w(t), float[view, 1, 1, 1]: how much a direction counts at its timestep.

    Args:
        kind: "uniform", "noise" for the noise's share of variance (DreamFusion; CSD's refinement),
            "balanced" for the geometric mean of the noise's and the image's.
        alpha_cumprod: float[view].
    """
    noise = 1 - alpha_cumprod
    weights = {
        "uniform": torch.ones_like(noise),
        "noise": noise,
        "balanced": (alpha_cumprod * noise).sqrt(),
    }
    return weights[kind].view(-1, 1, 1, 1)


@dataclass(frozen=True)
class PromptEmbeddings:
    """What a text encoder makes of the prompts, each float[tokens, width]."""

    positive: Tensor
    """Or float[n, tokens, width]: one for each view, or for each side of the object."""
    negative: Tensor | None
    """None where there is nothing to move away from."""
    unconditional: Tensor
    front: Tensor | None = None
    """Of the prompt and "front view", for Perp-Neg."""
    side: Tensor | None = None
    pattern_scale: float = 1.0
    """How many times as large as usual the prompt wants the pattern."""


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
    pattern_normals: Tensor | None = None
    """float[view, height, width, 3], unit, of the surface there, if it is another than is seen."""


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
    knows_sides: bool
    """Whether words in the prompt tell it from which side the object is seen."""
    most_predictions: int
    """That a GPU was found to have room for at once; 0 if that is not known."""
    controlnet_scale: float
    """Weight of what a ControlNet adds, if there is one; may be set at any time."""
    takes_latents: bool
    """Whether the noise is added to what a VAE makes of the images, rather than to their pixels."""
    takes_positions: bool
    """Whether it is told where on the object's pattern each pixel lies."""
    alphas_cumprod: Tensor
    """float[timesteps], share of the clean image's variance at each timestep."""

    def check_prompt(self, prompt: str, negative: bool = False) -> list[str]:
        """Warnings about words the model does not know.

        Raises:
            TexcsdError: It knows, or has room for, no word that says what a surface looks like;
                only a negative prompt need not have one.
        """
        ...

    def split_at_limit(self, prompt: str) -> tuple[str, str]:
        """What the model reads of a prompt, and the rest, which its text encoder cuts off."""
        ...

    def pattern_scale(self, prompt: str) -> float:
        """How many times as large as usual the prompt wants the pattern to be told.

        1 if the model is told no positions, or itself understands words for sizes.
        """
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


def encode(denoiser: Denoiser, prompts: list[str], negative_prompt: str) -> PromptEmbeddings:
    """Embeddings of the prompt, or the prompts of the sides, the negative and the empty prompt."""
    embeddings = denoiser.encode_prompts([*prompts, negative_prompt, ""])
    positive, (negative, unconditional) = embeddings[:-2], embeddings[-2:]
    return PromptEmbeddings(
        positive if len(prompts) > 1 else positive[0],
        negative if negative_prompt else None,
        unconditional,
        pattern_scale=denoiser.pattern_scale(prompts[0]),
    )


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


def later_timesteps(
    timestep: Tensor, least: float, timesteps: int, generator: torch.Generator
) -> Tensor:
    """int[view]: timesteps with a little more noise, at random, for asd.

    Args:
        timestep: int[view], on the CPU.
        least: Lower end of those timesteps, as a fraction of the schedule.
        timesteps: Length of the schedule.
        generator: On the CPU.
    """
    most = LATER * (timestep - least * timesteps).clamp(min=0)
    added = most * torch.rand(len(timestep), generator=generator)
    return (timestep + added.long()).clamp(max=timesteps - 1)


class Noisy(NamedTuple):
    """Images with noise."""

    images: Tensor
    """float[view, channels, h, w]."""
    timestep: Tensor
    """int[view]."""


def add_noise(denoiser: Denoiser, clean: Tensor, noise: Tensor, timestep: Tensor) -> Noisy:
    """Images float[view, channels, h, w] with as much of a noise as each has at its timestep."""
    alpha = denoiser.alphas_cumprod[timestep].view(-1, 1, 1, 1)
    return Noisy(alpha.sqrt() * clean + (1 - alpha).sqrt() * noise, timestep)


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
    chunk: int = 0,
    later_timestep: Tensor | None = None,
) -> Tensor:
    """The weighted mix of noise predictions, float[view, channels, h, w].

    All predictions with a weight are made under the same condition.

    Args:
        denoiser: The diffusion model.
        clean: float[view, channels, h, w].
        timestep: int[view].
        noise: Like `clean`.
        prompts: Embeddings of the prompts.
        weights: Of the mix.
        condition: Of the denoiser's `encode_geometry`.
        view_width: float[view].
        chunk: Predictions that are computed at once; 0 for as many as PREDICTED_PIXELS and the
            memory of a GPU allow.
        later_timestep: int[view], for the weight `later`.
    """
    noisy: dict[str, Noisy] = dict.fromkeys(
        PREDICTIONS, add_noise(denoiser, clean, noise, timestep)
    )
    if later_timestep is not None:
        noisy["later"] = add_noise(denoiser, clean, noise, later_timestep)
    needed = _needed_views(weights, len(clean))
    found = _predict(denoiser, noisy, prompts, condition, view_width, needed, chunk)
    direction = weights.noise * noise
    for name in ("positive", "negative", "unconditional", "later"):
        if name in found:
            direction = direction + _on_device(getattr(weights, name), clean) * found[name]
    for name in ("front", "side"):
        if name in found:
            prompted, other = (found[n] - found["unconditional"] for n in ("positive", name))
            away = _on_device(getattr(weights, name), clean) * perpendicular(other, prompted)
            direction = direction - _on_device(weights.positive, clean) * away
    return direction


def perpendicular(score: Tensor, to: Tensor) -> Tensor:
    """What of each score has nothing to do with another one (Perp-Neg, arXiv 2304.04968).

    Args:
        score: float[view, channels, h, w].
        to: Likewise.
    """
    along = (score * to).sum((1, 2, 3), keepdim=True)
    return score - along / to.square().sum((1, 2, 3), keepdim=True).clamp(min=1e-6) * to


def _needed_views(weights: ScoreWeights, views: int) -> dict[str, Tensor]:
    """For each prediction that is needed, int[n] on the CPU: the views it is needed in."""
    needed = {name: _views_with(getattr(weights, name), views) for name in PREDICTIONS}
    if len(needed["front"]) or len(needed["side"]):
        needed |= dict.fromkeys(("positive", "unconditional"), torch.arange(views))
    return {name: chosen for name, chosen in needed.items() if len(chosen)}


def _views_with(weight: float | Tensor, views: int) -> Tensor:
    if not isinstance(weight, Tensor):
        return torch.arange(views if weight != 0 else 0)
    if weight.device.type != "cpu":  # To look would be to wait for the GPU.
        return torch.arange(views)
    return weight.flatten().expand(views).nonzero()[:, 0]


def _on_device(weight: float | Tensor, like: Tensor) -> float | Tensor:
    return weight.to(like.device) if isinstance(weight, Tensor) else weight


def _predict(
    denoiser: Denoiser,
    noisy: dict[str, Noisy],
    prompts: PromptEmbeddings,
    condition: Tensor,
    view_width: Tensor,
    needed: dict[str, Tensor],
    chunk: int,
) -> dict[str, Tensor]:
    """The predictions by name, float[view, channels, h, w], 0 in the views without need."""
    if not needed:
        return {}
    views, device = len(condition), condition.device
    rows, inputs = {}, []
    for name, chosen in needed.items():
        rows[name] = slice(None) if len(chosen) == views else chosen.to(device)
        prompt = getattr(prompts, "positive" if name == "later" else name)
        tensors = (*noisy[name], prompt.expand(views, -1, -1), condition, view_width)
        inputs.append([tensor[rows[name]] for tensor in tensors])
    batch = [torch.cat(tensors) for tensors in zip(*inputs, strict=True)]
    predictions = _predict_in_chunks(denoiser, batch, chunk)
    found = {}
    for name, part in zip(needed, predictions.split([*map(len, needed.values())]), strict=True):
        chosen = rows[name]
        if not isinstance(chosen, slice):
            part = part.new_zeros(views, *part.shape[1:]).index_put((chosen,), part)
        found[name] = part
    return found


def _predict_in_chunks(denoiser: Denoiser, batch: list[Tensor], chunk: int) -> Tensor:
    """As many at once as wanted, or else as a GPU has room for, which is tried and remembered."""
    most = max(1, PREDICTED_PIXELS // batch[0][0, 0].numel())
    size = chunk or denoiser.most_predictions or most
    parts = zip(*(tensor.split(size) for tensor in batch), strict=True)
    try:
        return torch.cat([denoiser.predict_noise(*part) for part in parts])
    except torch.cuda.OutOfMemoryError:
        if chunk or min(size, len(batch[0])) == 1:
            raise
    # Outside, where the exception no longer holds what was computed.
    denoiser.most_predictions = min(size, len(batch[0])) // 2
    torch.cuda.empty_cache()
    logger.info("the GPU has room for %d predictions at once", denoiser.most_predictions)
    return _predict_in_chunks(denoiser, batch, chunk)


def without_lost_views(direction: Tensor) -> tuple[Tensor, Tensor]:
    """The direction with 0 in views where it is not finite, and how many these are, int[].

    A prediction that overflows, as half precision may, would else spoil all that is learned: a
    gradient that is no number stays in the moments of an optimiser. Nothing waits for a GPU here.

    Args:
        direction: float[view, channels, h, w].
    """
    finite = direction.isfinite().flatten(1).all(1)
    return torch.where(finite.view(-1, 1, 1, 1), direction, 0.0), (~finite).sum()


def surrogate_loss(clean: Tensor, direction: Tensor) -> Tensor:
    """A scalar whose gradient with respect to `clean` is `direction` divided by the batch size."""
    return (clean * direction.detach()).sum() / len(clean)
