"""Latent diffusion models: Stable Diffusion 1 and 2, SDXL; plain, or told the depth image."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from texcsd.errors import TexcsdError
from texcsd.guidance.diffusers_denoiser import DiffusersDenoiser, Pipeline
from texcsd.guidance.score import Geometry
from texcsd.guidance.text_encoders import split_pooled

logger = logging.getLogger(__name__)

ACTIVATIONS = 24
"""What an encoder keeps for its gradient, in images with as many channels as its first block has:
Stable Diffusion's. A tiny autoencoder keeps a third of that."""


def free_memory(device: torch.device) -> int:
    """Bytes of a GPU that PyTorch can still have, or has and does not use."""
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused


class LatentDenoiser(DiffusersDenoiser):
    """A UNet that predicts the noise of a VAE's latents.

    A UNet that takes one channel more than the latents have is conditioned on depth by
    concatenation (stable-diffusion-2-depth); a ControlNet is another way to tell the depth. One
    with added conditions of the kind "text_time" (SDXL) is told a pooled embedding of the prompt
    and the size of the image.
    """

    takes_latents = True

    def __init__(self, pipeline: Pipeline, checkpoint_encoder: bool | None = None) -> None:
        """Take a loaded pipeline.

        Args:
            pipeline: With a vae.
            checkpoint_encoder: Encode each image once more for its gradient, rather than keep what
                the VAE computed for all of them. None keeps it where a GPU has room for twice that.

        Raises:
            TexcsdError: The parts do not fit each other.
        """
        super().__init__(pipeline)
        self.checkpoint_encoder = checkpoint_encoder
        self.has_room: dict[int, bool] = {}
        """By number of views, if that is decided here: whether to keep what the VAE computes."""
        self.vae = pipeline.vae.to(self.device, memory_format=self.memory_format)
        self.controlnet = pipeline.controlnet
        self.image_size = self.sample_size * 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.takes_depth = self.unet.config.in_channels == self.vae.config.latent_channels + 1
        self._check_channels()
        self.pooled_width = self._check_pooled_width()
        if self.controlnet is not None:
            self._check_controlnet()
            self.controlnet.to(self.device, memory_format=self.memory_format)

    def encode_images(self, images: Tensor) -> Tensor:
        """From sRGB in [0, 1] to the mean latents, float[view, channels, h, w]; with gradients."""
        pixels = images.permute(0, 3, 1, 2) * 2 - 1
        twice = self.checkpoint_encoder
        if twice is None:
            if len(pixels) not in self.has_room:
                self.has_room[len(pixels)] = self._has_room_for(pixels)
            twice = not self.has_room[len(pixels)]
        if not twice:
            return self._encode(pixels)
        encoded = (checkpoint(self._encode, one, use_reentrant=False) for one in pixels.split(1))
        return torch.cat([*encoded])  # pyright: ignore[reportArgumentType]

    def _has_room_for(self, pixels: Tensor) -> bool:
        """Whether a GPU can well keep what the VAE computes; says what was decided."""
        if self.device.type != "cuda":
            return False
        needed = self._kept_bytes(pixels[:, 0].numel())
        free = free_memory(self.device)
        logger.info(
            "the gradient of the VAE keeps about %.1f GiB, or encodes views twice; %.1f are free",
            needed / 2**30,
            free / 2**30,
        )
        return 2 * needed < free

    def _kept_bytes(self, pixels: int) -> int:
        """That the VAE computes and keeps for the gradient of so many pixels."""
        channels, size = self.vae.config.block_out_channels[0], self.vae.dtype.itemsize
        return ACTIVATIONS * channels * size * pixels

    def spare_memory(self) -> int | None:
        """Bytes of the GPU that are free and not needed to work on one view; None on a CPU.

        To encode a view for its gradient takes more than to predict its noise once.
        """
        if self.device.type != "cuda":
            return None
        return free_memory(self.device) - self._kept_bytes(self.image_size**2)

    def _encode(self, pixels: Tensor) -> Tensor:
        encoded = self.vae.encode(pixels.to(self.vae.dtype))
        # A tiny autoencoder gives the latents, others a distribution of them.
        mean = encoded.latents if "latents" in encoded else encoded.latent_dist.mode()
        shift, scale = self.vae.config.shift_factor or 0.0, self.vae.config.scaling_factor
        return (mean.to(pixels) - shift) * scale

    @torch.no_grad()
    def encode_geometry(self, geometry: Geometry) -> Tensor:
        """The depth image in the form the model was trained on; nothing for a plain model.

        Returns:
            For a ControlNet float[view, 3, image_size, image_size] in [0, 1]. For a UNet that takes
            depth float[view, 1, h, w], each image from -1 (farthest) to 1 (nearest).
        """
        depth = geometry.depth.permute(0, 3, 1, 2)
        if self.controlnet is not None:
            return functional.adaptive_avg_pool2d(depth, self.image_size).expand(-1, 3, -1, -1)
        depth = functional.adaptive_avg_pool2d(depth, self.sample_size)
        least, most = depth.amin((1, 2, 3), keepdim=True), depth.amax((1, 2, 3), keepdim=True)
        # Where there is nothing but background, all of it is far.
        depth = 2 * (depth - least) / (most - least).clamp(min=1e-6) - 1
        return depth[:, : int(self.takes_depth)]

    @torch.no_grad()
    def predict_noise(
        self,
        noisy: Tensor,
        timestep: Tensor,
        embeddings: Tensor,
        condition: Tensor,
        view_width: Tensor,
    ) -> Tensor:
        """See Denoiser.predict_noise; h, w are those of the latents."""
        tokens, added = self._split_embeddings(embeddings)
        with self.reduced_precision():
            residuals = {}
            if self.controlnet is not None:
                residuals = self._control(noisy, timestep, tokens, condition, added)
            taken = noisy if self.controlnet is not None else torch.cat([noisy, condition], 1)
            output = self.unet(
                taken.to(self.unet.dtype).contiguous(memory_format=self.memory_format),
                timestep,
                tokens,
                added_cond_kwargs=added,
                **residuals,
            ).sample.float()
        return self.to_noise_prediction(output, noisy, timestep)

    def _control(
        self,
        noisy: Tensor,
        timestep: Tensor,
        tokens: Tensor,
        condition: Tensor,
        added: dict[str, Tensor] | None,
    ) -> dict[str, Any]:
        """What the ControlNet adds inside the UNet; `condition` has one image per noisy latent."""
        down_blocks, mid_block = self.controlnet(
            noisy.to(self.unet.dtype).contiguous(memory_format=self.memory_format),
            timestep,
            tokens,
            controlnet_cond=condition.to(self.unet.dtype),
            conditioning_scale=self.controlnet_scale,
            added_cond_kwargs=added,
            return_dict=False,
        )
        return {
            "down_block_additional_residuals": down_blocks,
            "mid_block_additional_residual": mid_block,
        }

    def _split_embeddings(self, embeddings: Tensor) -> tuple[Tensor, dict[str, Tensor] | None]:
        """The tokens and, for SDXL, what it is told besides: an uncropped image of its own size."""
        tokens, pooled = split_pooled(embeddings, self.prompt_encoder.pooled_width)
        if not self.pooled_width:
            return tokens, None
        size = self.image_size
        original_size, crop, target_size = (size, size), (0, 0), (size, size)
        time_ids = pooled.new_tensor([*original_size, *crop, *target_size])
        return tokens, {"text_embeds": pooled, "time_ids": time_ids.expand(len(pooled), -1)}

    def _check_channels(self) -> None:
        given, latent = self.unet.config.in_channels, self.vae.config.latent_channels
        if given not in (latent, latent + 1) or self.unet.config.out_channels != latent:
            raise TexcsdError(
                f'model "{self.name}": its UNet has {given} input and '
                f"{self.unet.config.out_channels} output channels for {latent} of the vae; texcsd "
                "needs as many, or one more for depth (inpainting and upscaling models do not fit)"
            )

    def _check_pooled_width(self) -> int:
        """Width of the pooled embedding; 0 for a UNet that takes none."""
        config, width = self.unet.config, self.prompt_encoder.pooled_width
        if config.addition_embed_type is None:
            return 0
        needed = width + 6 * (config.addition_time_embed_dim or 0)
        given = config.projection_class_embeddings_input_dim
        if config.addition_embed_type != "text_time" or needed != given:
            raise TexcsdError(
                f'model "{self.name}": its UNet takes {config.addition_embed_type} conditions of '
                f"width {given}, not SDXL's of {needed}; texcsd needs a base model (no refiner)"
            )
        return width

    def _check_controlnet(self) -> None:
        if self.takes_depth:
            raise TexcsdError(
                f'model "{self.name}": already takes the depth image; use --controlnet none'
            )
        for name in ("cross_attention_dim", "addition_embed_type", "block_out_channels"):
            ours, its = (getattr(m.config, name) for m in (self.unet, self.controlnet))
            if ours != its:
                raise TexcsdError(
                    f'model "{self.name}": its UNet has {name} {ours}, the ControlNet {its}; take '
                    "a depth ControlNet made for this model, or --controlnet none"
                )
        if self.controlnet.config.conditioning_channels != 3:
            raise TexcsdError(
                f'model "{self.name}": the ControlNet takes an image of '
                f"{self.controlnet.config.conditioning_channels} channels; texcsd needs 3"
            )
