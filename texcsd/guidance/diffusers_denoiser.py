"""What all diffusion models in diffusers' format have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from texcsd.errors import TexcsdError
from texcsd.guidance.prompts import Vocabulary
from texcsd.guidance.text_encoders import PromptEncoder


@dataclass(frozen=True)
class Pipeline:
    """The parts of a diffusers pipeline that painting needs, loaded."""

    name: str
    licence: str
    weights_sha256: str
    device: torch.device
    unet: Any
    scheduler: Any
    prompt_encoder: PromptEncoder
    vocabulary: Vocabulary | None = None
    vae: Any = None
    """For a latent model."""
    controlnet: Any = None


class DiffusersDenoiser:
    """A UNet2DConditionModel with its prompts; how images enter it, its two kinds decide."""

    takes_positions = takes_latents = False
    controlnet_scale, most_predictions = 1.0, 0
    memory_format = torch.channels_last
    """Of what goes through convolutions."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Take the parts of a loaded pipeline and move them to its device.

        Raises:
            TexcsdError: The UNet is not made for square images.
        """
        self.name, self.device = pipeline.name, pipeline.device
        self.licence, self.weights_sha256 = pipeline.licence, pipeline.weights_sha256
        self.unet = pipeline.unet.to(self.device, memory_format=self.memory_format)
        self.sample_size = self.unet.config.sample_size
        if not isinstance(self.sample_size, int):
            raise TexcsdError(
                f'model "{self.name}": its UNet has sample_size {self.sample_size}; '
                "texcsd needs one number"
            )
        self.prompt_encoder, self.vocabulary = pipeline.prompt_encoder, pipeline.vocabulary
        # The embedded model has no words for sides; it is told positions.
        self.knows_sides = self.vocabulary is None
        self.prediction_type = pipeline.scheduler.config.prediction_type
        self.alphas_cumprod = pipeline.scheduler.alphas_cumprod.to(self.device)
        # With "blurry" the small embedded model saturated: by eye, see RESULTS.md.
        self.default_negative_prompt = "" if self.vocabulary else "blurry, noisy, low quality"
        # Twice as fast where the processor has bfloat16, far slower where it has not.
        bfloat16 = self.device.type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
        self.autocast = bfloat16 and self.unet.dtype == torch.float32

    def check_prompt(self, prompt: str, negative: bool = False) -> list[str]:
        """See Denoiser.check_prompt; a model without a vocabulary file knows every word."""
        if self.vocabulary is None:
            return []
        warnings = self.vocabulary.check(prompt, negative)
        read, _ = self.split_at_limit(prompt)
        if not (negative or self.vocabulary.names_surface(read)):
            raise TexcsdError(
                f'the model reads no further than "{read}", where no material, pattern or colour '
                "is; shorten the prompt, or begin with it"
            )
        return warnings

    def split_at_limit(self, prompt: str) -> tuple[str, str]:
        """See PromptEncoder.split_at_limit."""
        return self.prompt_encoder.split_at_limit(self._told(prompt))

    def pattern_scale(self, prompt: str) -> float:
        """See Vocabulary.pattern_scale."""
        return self.vocabulary.pattern_scale(prompt) if self.vocabulary else 1.0

    def encode_prompts(self, prompts: list[str]) -> Tensor:
        """See PromptEncoder.encode; in the precision of the UNet."""
        told = [self._told(prompt) for prompt in prompts]
        return self.prompt_encoder.encode(told, self.device).to(self.unet.dtype)

    def _told(self, prompt: str) -> str:
        """The prompt as the text encoder is given it."""
        return self.vocabulary.without_sizes(prompt) if self.vocabulary else prompt

    def reduced_precision(self) -> torch.autocast:
        """bfloat16 where it is fast, for weights that are not in half precision already."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast)

    def to_noise_prediction(self, output: Tensor, noisy: Tensor, timestep: Tensor) -> Tensor:
        """The predicted noise in float32, whatever the UNet predicts."""
        return to_noise_prediction(
            output, self.prediction_type, noisy, self.alphas_cumprod[timestep]
        )


def to_noise_prediction(
    output: Tensor, prediction_type: str, noisy: Tensor, alpha_cumprod: Tensor
) -> Tensor:
    """The predicted noise, whatever the model predicts.

    Args:
        output: float[n, channels, h, w], the model's output.
        prediction_type: diffusers' name: epsilon, v_prediction or sample.
        noisy: Like `output`.
        alpha_cumprod: float[n].
    """
    alpha = alpha_cumprod.sqrt().view(-1, 1, 1, 1)
    sigma = (1 - alpha_cumprod).sqrt().view(-1, 1, 1, 1)
    if prediction_type == "epsilon":
        return output
    if prediction_type == "v_prediction":
        return alpha * output + sigma * noisy
    if prediction_type == "sample":
        return (noisy - alpha * output) / sigma.clamp(min=1e-4)
    raise TexcsdError(
        f"prediction type {prediction_type!r} is unknown; "
        "texcsd knows epsilon, v_prediction and sample"
    )
