"""Pixel-space diffusion models: the embedded one, DeepFloyd IF."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from texcsd.errors import TexcsdError
from texcsd.guidance.diffusers_denoiser import DiffusersDenoiser, Pipeline
from texcsd.guidance.score import Geometry

PATTERN_PERIOD = 4.8
"""Wavelength in pattern space of the longest of the waves that tell a position."""


class PixelDenoiser(DiffusersDenoiser):
    """A UNet that predicts the noise of pixels.

    A UNet with 3 * k^2 output channels works on images folded k by k into channels (pixel
    unshuffle). One that takes k^2 channels more than it gives is conditioned on depth by
    concatenation; one that takes k^2 * (4 + 6 * octaves) more is told depth, normals and positions,
    see `geometry_channels`. One with a timestep class embedding is told the width of the view.
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
        known = (0, 1, *range(4 + 6, 4 + 6 * 16 + 1, 6))
        if self.output_channels != 3 * self.fold**2 or remainder or extra not in known:
            raise TexcsdError(
                f'model "{self.name}": its UNet has {config.in_channels} input and '
                f"{config.out_channels} output channels; without a vae, texcsd needs a pixel-space "
                "model (3 channels), plain or with depth or depth, normals and positions added"
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
        with self.reduced_precision():
            output = self.unet(
                folded.to(self.unet.dtype).contiguous(memory_format=torch.channels_last),
                timestep,
                embeddings,
                class_labels=labels,
            ).sample.float()
        output = functional.pixel_shuffle(output[:, : self.output_channels], self.fold)
        return self.to_noise_prediction(output, noisy, timestep)


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
