"""Diffusers models as denoisers: pixel space, plain or with geometry concatenated."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from texcsd.errors import TexcsdError
from texcsd.guidance.prompts import Vocabulary
from texcsd.guidance.score import Geometry

PATTERN_PERIOD = 4.8
"""Wavelength in pattern space of the longest of the waves that tell a position."""


class PixelDenoiser:
    """A pixel-space UNet2DConditionModel with its text encoder.

    A UNet with 3 * k^2 output channels works on images folded k by k into channels (pixel
    unshuffle). One that takes k^2 channels more than it gives is conditioned on depth by
    concatenation; one that takes k^2 * (4 + 6 * octaves) more is told depth, normals and positions,
    see `geometry_channels`. One with a timestep class embedding is told the width of the view.
    """

    def __init__(
        self,
        name: str,
        unet: Any,
        text_encoder: Any,
        tokenizer: Any,
        scheduler: Any,
        vocabulary: Vocabulary | None,
        device: torch.device,
        licence: str,
        weights_sha256: str,
    ) -> None:
        """Take the parts of a loaded pipeline and move them to `device`.

        Raises:
            TexcsdError: The channels of the UNet are not those of a pixel-space model.
        """
        self.name, self.device = name, device
        self.licence, self.weights_sha256 = licence, weights_sha256
        self.unet = unet.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
        self.text_encoder = text_encoder.eval().requires_grad_(False).to(device)
        self.tokenizer, self.vocabulary = tokenizer, vocabulary
        self.prediction_type = scheduler.config.prediction_type
        self.alphas_cumprod = scheduler.alphas_cumprod.to(device)
        # With "blurry" the small embedded model saturated: by eye, see RESULTS.md.
        self.default_negative_prompt = "" if vocabulary else "blurry, noisy, low quality"
        config = unet.config
        self.fold = math.isqrt(config.out_channels // 3)
        extra, remainder = divmod(config.in_channels - config.out_channels, self.fold**2)
        known = (0, 1, *range(4 + 6, 4 + 6 * 16 + 1, 6))
        if config.out_channels != 3 * self.fold**2 or remainder or extra not in known:
            raise TexcsdError(
                f'model "{name}": its UNet has {config.in_channels} input and '
                f"{config.out_channels} output channels; texcsd needs a pixel-space model "
                "(3 channels), plain or with depth or depth, normals and positions concatenated"
            )
        self.condition_channels, self.takes_positions = extra, extra > 1
        self.takes_view_width = config.class_embed_type == "timestep"
        self.image_size = config.sample_size * self.fold
        # Twice as fast where the processor has bfloat16, far slower where it has not.
        self.half = device.type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()

    def check_prompt(self, prompt: str) -> list[str]:
        """Warnings about unknown words; a model without a vocabulary file knows every word."""
        return self.vocabulary.check(prompt) if self.vocabulary else []

    @torch.no_grad()
    def encode_prompts(self, prompts: list[str]) -> Tensor:
        """Last hidden states of the text encoder, float[prompt, tokens, width]."""
        tokens = self.tokenizer(
            prompts, padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids
        return self.text_encoder(tokens.to(self.device)).last_hidden_state

    def encode_images(self, images: Tensor) -> Tensor:
        """From sRGB in [0, 1] to float[view, 3, height, width] in [-1, 1]."""
        return images.permute(0, 3, 1, 2) * 2 - 1

    @torch.no_grad()
    def encode_geometry(self, geometry: Geometry) -> Tensor:
        """Averaged over the pixels of the model, float[view, channels, image_size, image_size]."""
        if self.takes_positions:
            return geometry_channels(geometry, (self.condition_channels - 4) // 6, self.image_size)
        depth = geometry.depth.permute(0, 3, 1, 2)[:, : self.condition_channels]
        return functional.adaptive_avg_pool2d(depth, self.image_size)

    @torch.no_grad()
    def predict_noise(
        self,
        noisy: Tensor,
        timestep: Tensor,
        embeddings: Tensor,
        condition: Tensor,
        view_width: Tensor,
    ) -> Tensor:
        """See Denoiser.predict_noise; here h, w = image_size."""
        folded = functional.pixel_unshuffle(torch.cat([noisy, condition], 1), self.fold)
        # Octaves of view width, spread over the range of the timestep embedding.
        labels = 250 * (view_width.log2() + 2) if self.takes_view_width else None
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            output = self.unet(
                folded.contiguous(memory_format=torch.channels_last),
                timestep,
                embeddings,
                class_labels=labels,
            ).sample.float()
        output = functional.pixel_shuffle(output, self.fold)
        return to_noise_prediction(
            output, self.prediction_type, noisy, self.alphas_cumprod[timestep]
        )


def geometry_channels(geometry: Geometry, octaves: int, size: int) -> Tensor:
    """Depth, normal, then by octave the sines and cosines of the position.

    These are Fourier features (Tancik et al. 2020): with them, all views of an object agree on
    where the pattern lies. Each pixel of the model stands for the mean of those it covers.

    Returns:
        float[view, 4 + 6 * octaves, size, size], zero in the background.
    """
    seen = (geometry.depth > 0).to(geometry.depth)
    given = [seen, geometry.depth, geometry.normals * seen, geometry.positions * seen]
    means = functional.adaptive_avg_pool2d(torch.cat(given, -1).permute(0, 3, 1, 2), size)
    coverage, depth, normals, positions = means.split([1, 1, 3, 3], 1)
    angle = positions / coverage.clamp(min=1e-6) * (2 * math.pi / PATTERN_PERIOD)
    sine, cosine = angle.sin(), angle.cos()
    channels = [depth, normals]
    for _ in range(octaves):
        channels += [sine * coverage, cosine * coverage]
        sine, cosine = 2 * sine * cosine, 1 - 2 * sine * sine
    return torch.cat(channels, 1)


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
