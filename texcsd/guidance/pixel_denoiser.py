"""Pixel-space diffusion models: the embedded one, DeepFloyd IF."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from texcsd.embedded.place import (
    MIXING_WEIGHTS,
    MODEL_CHANNELS,
    geometry_channels,
    mix_fields,
    view_width_label,
)
from texcsd.errors import TexcsdError
from texcsd.guidance.diffusers_denoiser import DiffusersDenoiser, Pipeline
from texcsd.guidance.score import Geometry
from texcsd.guidance.text_encoders import split_pooled


class PixelDenoiser(DiffusersDenoiser):
    """A UNet that predicts the noise of pixels.

    A UNet with 3 * k^2 output channels works on images folded k by k into channels (pixel
    unshuffle). One that takes k^2 channels more than it gives is conditioned on depth by
    concatenation; one that takes k^2 * MODEL_CHANNELS more is told the place of every pixel, and
    its pooled text embedding mixes the fields, see `embedded.place`. One with a timestep class
    embedding is told the width of the view.
    A variance that is predicted beside the noise (DeepFloyd IF) is dropped.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        """Take a loaded pipeline.

        Raises:
            TexcsdError: The channels of the UNet are not those of a pixel-space model.
        """
        super().__init__(pipeline)
        config = self.unet.config
        variance_type = pipeline.scheduler.config.get("variance_type") or ""
        learned_variance = variance_type.startswith("learned")
        self.output_channels = config.out_channels // (2 if learned_variance else 1)
        self.fold = math.isqrt(self.output_channels // 3)
        extra, remainder = divmod(config.in_channels - self.output_channels, self.fold**2 or 1)
        self.pooled_width = pipeline.prompt_encoder.pooled_width
        known = (0, 1, *([MODEL_CHANNELS] if self.pooled_width == MIXING_WEIGHTS else []))
        if self.output_channels != 3 * self.fold**2 or remainder or extra not in known:
            raise TexcsdError(
                f'model "{self.name}": its UNet has {config.in_channels} input and '
                f"{config.out_channels} output channels; without a vae, texcsd needs a pixel-space "
                "model (3 channels), plain or with depth or what texcsd.embedded.place tells added"
            )
        self.condition_channels, self.takes_positions = extra, extra > 1
        self.takes_view_width = config.class_embed_type == "timestep"
        self.image_size = self.sample_size * self.fold

    def encode_images(self, images: Tensor) -> Tensor:
        """From sRGB in [0, 1] to float[view, 3, height, width] in [-1, 1]."""
        return images.permute(0, 3, 1, 2) * 2 - 1

    @torch.no_grad()
    def encode_geometry(self, geometry: Geometry) -> Tensor:
        """Averaged over the pixels of the model, float[view, channels, image_size, image_size]."""
        if self.takes_positions:
            surface = (geometry.depth, geometry.normals, geometry.positions)
            return geometry_channels(*surface, self.image_size, geometry.pattern_normals)
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
        tokens, pooled = split_pooled(embeddings, self.pooled_width)
        if self.takes_positions:
            condition = mix_fields(condition, pooled)
        folded = functional.pixel_unshuffle(torch.cat([noisy, condition], 1), self.fold)
        labels = view_width_label(view_width) if self.takes_view_width else None
        with self.reduced_precision():
            output = self.unet(
                folded.to(self.unet.dtype).contiguous(memory_format=self.memory_format),
                timestep,
                tokens,
                class_labels=labels,
            ).sample.float()
        output = functional.pixel_shuffle(output[:, : self.output_channels], self.fold)
        return self.to_noise_prediction(output, noisy, timestep)
