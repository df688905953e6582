"""How large the models are that `--model` knows by name, and how much they compute.

    python tests/benchmarks/count_models.py

Prints a table: parameters, bytes, and the floating point operations of a noise prediction and of
encoding a view with its gradient. The models are made of their published configurations on
PyTorch's meta device, which has shapes and no numbers: no weights, no GPU, no network.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
)

from texcsd.checking.estimate import MODELS, TIMED_MODEL, CountedModel
from texcsd.guidance.hub import HUB_IDS

PARTS = "UNet", "ControlNet", "VAE", "text"
TOKENS = 77
STABLE_DIFFUSION_2 = {
    "sample_size": 64,
    "cross_attention_dim": 1024,
    "attention_head_dim": (5, 10, 20, 20),
    "use_linear_projection": True,
}
SDXL = {
    "cross_attention_dim": 2048,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
DEEPFLOYD_XL = {
    "sample_size": 64,
    "in_channels": 3,
    "out_channels": 6,
    "block_out_channels": (704, 1408, 2112, 2816),
    "layers_per_block": 3,
    "attention_head_dim": 64,
    "cross_attention_dim": 2816,
    "cross_attention_norm": "group_norm",
    "encoder_hid_dim": 4096,
    "addition_embed_type": "text",
    "act_fn": "gelu",
    "resnet_time_scale_shift": "scale_shift",
    "down_block_types": ("ResnetDownsampleBlock2D", *("SimpleCrossAttnDownBlock2D",) * 3),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": (*("SimpleCrossAttnUpBlock2D",) * 3, "ResnetUpsampleBlock2D"),
}
UNETS = {
    "stable-diffusion-1.5": {"sample_size": 64, "cross_attention_dim": 768},
    "stable-diffusion-2-depth": {**STABLE_DIFFUSION_2, "in_channels": 5},
    "stable-diffusion-2.1": {**STABLE_DIFFUSION_2, "sample_size": 96},
    "sdxl": {
        **SDXL,
        "sample_size": 128,
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    },
    "deepfloyd-if": DEEPFLOYD_XL,
}
"""Where they are not diffusers' defaults, by the names of `texcsd.guidance.hub`."""
CONTROLNETS = {"stable-diffusion-1.5": {"cross_attention_dim": 768}, "sdxl": SDXL}
CLIP_L = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
CLIP_H = {"hidden_size": 1024, "num_hidden_layers": 23, "num_attention_heads": 16}
CLIP_G = {
    "hidden_size": 1280,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
}
T5_XXL = {
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
}
TEXT_ENCODERS = {
    "stable-diffusion-1.5": [(CLIPTextModel, CLIP_L)],
    "stable-diffusion-2-depth": [(CLIPTextModel, CLIP_H)],
    "stable-diffusion-2.1": [(CLIPTextModel, CLIP_H)],
    "sdxl": [(CLIPTextModel, CLIP_L), (CLIPTextModelWithProjection, CLIP_G)],
    "deepfloyd-if": [(T5EncoderModel, T5_XXL)],
}


def main() -> None:
    """Count every model, print the table, and say where the estimates rest on other numbers."""
    head = ("model", *(f"{part}, M" for part in PARTS), "GiB", "text, GiB")
    head += ("TFLOP", "ratio", "VAE, TFLOP", "ratio")
    print("|", " | ".join(head), "|")
    print("|" + "---|" * len(head))
    for name in HUB_IDS:
        models = build(name)
        counted, timed = count(models), MODELS[TIMED_MODEL]
        columns = [
            *(f"{sum(map(parameters, models[part])) / 1e6:,.0f}" for part in PARTS),
            f"{counted.weights:.2f}",
            f"{counted.text_encoders:.2f}",
            f"{counted.prediction:.3f}",
            f"{counted.prediction / timed.prediction:.2f}",
            f"{counted.encoding:.3f}",
            f"{counted.encoding / timed.encoding:.2f}",
        ]
        print("|", " | ".join([name, *columns]), "|", flush=True)
        if counted != MODELS[name]:
            print(f"texcsd/checking/estimate.py has {MODELS[name]} and needs {counted}")


def build(name: str) -> dict[str, list[Any]]:
    """Its parts, of which some have no models, and others two."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(**UNETS[name])
        controlnets = [ControlNetModel(**CONTROLNETS[name])] if name in CONTROLNETS else []
        vaes = [make_vae()] if unet.config.in_channels != 3 else []
        texts = [make_text_encoder(*parts) for parts in TEXT_ENCODERS[name]]
    models = dict(zip(PARTS, ([unet], controlnets, vaes, texts), strict=True))
    for model in chain(*models.values()):
        model.eval().requires_grad_(False)
    return models


def count(models: dict[str, list[Any]]) -> CountedModel:
    """What the estimates rest on, rounded as they have it."""
    *painting, texts = models.values()
    unet, controlnets, vaes = models["UNet"][0], models["ControlNet"], models["VAE"]
    image_size = unet.config.sample_size * (8 if vaes else 1)
    predicting = operations(lambda: predict(unet, *controlnets))
    encoding = sum(operations(lambda vae=vae: encode(vae, image_size)) for vae in vaes)
    return CountedModel(
        weights=round(sum(map(half_bytes, chain(*painting))) / 2**30, 2),
        text_encoders=round(sum(map(half_bytes, texts)) / 2**30, 2),
        prediction=round(predicting / 1e12, 3),
        encoding=round(encoding / 1e12, 3),
        image_size=image_size,
    )


def make_vae() -> AutoencoderKL:
    """The autoencoder of Stable Diffusion; SDXL's differs in its weights only."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=4,
    )


def make_text_encoder(kind: Any, sizes: dict[str, Any]) -> torch.nn.Module:
    """A CLIP or T5 of these sizes."""
    if kind is T5EncoderModel:
        return kind(T5Config(**sizes))
    return kind(CLIPTextConfig(intermediate_size=4 * sizes["hidden_size"], **sizes))


def parameters(model: torch.nn.Module) -> int:
    """How many there are."""
    return sum(parameter.numel() for parameter in model.parameters())


def half_bytes(model: torch.nn.Module) -> int:
    """Bytes in half precision, but for what transformers keeps in float32: parts of T5."""
    whole = getattr(model, "_keep_in_fp32_modules", None) or ()
    named = model.named_parameters()
    return sum(p.numel() * (4 if {*name.split(".")} & {*whole} else 2) for name, p in named)


def operations(run: Callable[[], Any]) -> int:
    """Floating point operations; a multiplication with its addition counts as two."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


@torch.no_grad()
def predict(unet: Any, controlnet: Any = None) -> None:
    """One noise prediction, as LatentDenoiser and PixelDenoiser make it."""
    config, size = unet.config, unet.config.sample_size
    width = config.encoder_hid_dim or config.cross_attention_dim
    noisy = torch.zeros(1, config.in_channels, size, size, device="meta")
    timestep = torch.zeros(1, dtype=torch.long, device="meta")
    tokens = torch.zeros(1, TOKENS, width, device="meta")
    added = {
        "text_embeds": torch.zeros(1, 1280, device="meta"),
        "time_ids": torch.zeros(1, 6, device="meta"),
    }
    added = added if config.addition_embed_type == "text_time" else None
    down = middle = None
    if controlnet is not None:
        depth = torch.zeros(1, 3, 8 * size, 8 * size, device="meta")
        down, middle = controlnet(
            noisy,
            timestep,
            tokens,
            controlnet_cond=depth,
            added_cond_kwargs=added,
            return_dict=False,
        )
    unet(
        noisy,
        timestep,
        tokens,
        added_cond_kwargs=added,
        down_block_additional_residuals=down,
        mid_block_additional_residual=middle,
    )


def encode(vae: Any, size: int) -> None:
    """One view to latents and back to the gradient of its pixels, encoded twice as was timed."""

    def latents(pixels: Tensor) -> Tensor:
        return vae.encode(pixels).latent_dist.mode()

    pixels = torch.zeros(1, 3, size, size, device="meta", requires_grad=True)
    encoded = checkpoint(latents, pixels, use_reentrant=False)
    encoded.backward(torch.zeros_like(encoded))


if __name__ == "__main__":
    main()
