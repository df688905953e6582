"""Small random pipelines of the very classes the real models are made of, saved by diffusers."""

import string
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    ControlNetModel,
    DDPMScheduler,
    EulerDiscreteScheduler,
    IFPipeline,
    PNDMScheduler,
    StableDiffusionDepth2ImgPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

LATENT = 8
"""Latents per side; images have twice as many pixels."""
BLOCKS = {
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "attention_head_dim": 2,
    "norm_num_groups": 4,
}


SCHEDULE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
}


def clip_tokenizer(length=16):
    """Letters, and the same at the end of a word; the last two are start and end."""
    names = [letter + end for end in ("", "</w>") for letter in string.ascii_lowercase]
    words = [*names, "<|startoftext|>", "<|endoftext|>"]
    ids = {word: index for index, word in enumerate(words)}
    return CLIPTokenizer(vocab=ids, merges=[], model_max_length=length)


def t5_tokenizer():
    pieces = ["<pad>", "</s>", "<unk>", "▁", *string.ascii_lowercase]
    return T5Tokenizer(vocab=[(piece, -1.0) for piece in pieces], extra_ids=0)


def clip_config(width, projection=8):
    return CLIPTextConfig(
        vocab_size=54,
        hidden_size=width,
        intermediate_size=16,
        projection_dim=projection,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=52,
        eos_token_id=53,
        pad_token_id=53,
    )


def random_vae(**options):
    return AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=2 * LATENT,
        **options,
    )


def random_tiny_vae(**options):
    """TAESD in small."""
    torch.manual_seed(6)
    widths = {"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
    blocks = {"num_encoder_blocks": (1, 1), "num_decoder_blocks": (1, 1)}
    return AutoencoderTiny(**widths | blocks | options)


def random_unet(width, in_channels=4, **options):
    defaults = {"sample_size": LATENT, "out_channels": 4, "cross_attention_dim": width}
    ups = {"up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D")}
    return UNet2DConditionModel(in_channels=in_channels, **BLOCKS | ups | defaults | options)


def stable_diffusion(prediction_type="epsilon", width=8, **unet_options):
    """SD 1.5 in small; with v_prediction, 2.1."""
    torch.manual_seed(1)
    return StableDiffusionPipeline(
        vae=random_vae(),
        text_encoder=CLIPTextModel(clip_config(width)),
        tokenizer=clip_tokenizer(),
        unet=random_unet(width, **unet_options),
        scheduler=PNDMScheduler(prediction_type=prediction_type, skip_prk_steps=True, **SCHEDULE),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def stable_diffusion_depth():
    torch.manual_seed(2)
    plain = stable_diffusion(in_channels=5)
    return StableDiffusionDepth2ImgPipeline(
        plain.vae, plain.text_encoder, plain.tokenizer, plain.unet, plain.scheduler, None, None
    )


XL_OPTIONS = {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 4,
    "projection_class_embeddings_input_dim": 6 * 4 + 10,
}


def stable_diffusion_xl():
    torch.manual_seed(3)
    return StableDiffusionXLPipeline(
        vae=random_vae(scaling_factor=0.13025),
        text_encoder=CLIPTextModel(clip_config(8)),
        text_encoder_2=CLIPTextModelWithProjection(clip_config(12, projection=10)),
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(),
        unet=random_unet(20, **XL_OPTIONS),
        scheduler=EulerDiscreteScheduler(**SCHEDULE),
    )


def deepfloyd_if():
    torch.manual_seed(4)
    config = T5Config(
        vocab_size=30, d_model=12, d_kv=4, d_ff=16, num_layers=1, num_heads=2, is_gated_act=False
    )
    unet = random_unet(
        32,
        in_channels=3,
        out_channels=6,
        sample_size=16,
        encoder_hid_dim=12,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        addition_embed_type="text",
        addition_embed_type_num_heads=2,
        cross_attention_norm="group_norm",
        resnet_time_scale_shift="scale_shift",
        act_fn="gelu",
    )
    scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2", variance_type="learned_range")
    return IFPipeline(
        t5_tokenizer(),
        T5EncoderModel(config).eval(),  # Else its dropout is at work.
        unet,
        scheduler,
        None,
        None,
        None,
        requires_safety_checker=False,
    )


def random_controlnet(width=8, **options):
    """One that does something: a new ControlNet begins with zeros."""
    torch.manual_seed(5)
    controlnet = ControlNetModel(
        cross_attention_dim=width, conditioning_embedding_out_channels=(4, 8), **BLOCKS | options
    )
    for parameter in controlnet.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return controlnet


def save(pipeline, folder: Path, **options) -> Path:
    pipeline.save_pretrained(folder, **options)
    return folder
