"""The embedded model's architecture, and the diffusers folder it is saved as.

Pixels, 64 x 64, folded two by two into channels (pixel unshuffle) so that the UNet works at
32 x 32. What is known of the surface (depth, normals, position in pattern space) is folded likewise
and concatenated. The caption acts twice: by cross-attention at the coarsest level, and pooled into
the time embedding, as in DeepFloyd IF. The class embedding tells how wide the view is, that is, the
size of a pixel on the object.
"""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast

from texcsd.embedded.captions import UNKNOWN, vocabulary
from texcsd.embedded.scenes import GEOMETRY_CHANNELS, IMAGE_SIZE

FOLD = 2
TOKENS = 16
TEXT_WIDTH = 128
PADDING = "[PAD]"
MODEL_CARD = """\
---
license: Apache-2.0
---
# The embedded model of texcsd

Pixel-space text-to-image diffusion, 64 x 64, conditioned on depth, normals, position in pattern
space and view width. Trained from random initialisation on procedural scenes alone
(`texcsd/embedded/`); no pictures, weights or data of others were used. `training.json` holds the
settings and losses of the run, `vocabulary.json` its words.
"""


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word; words outside the vocabulary become one unknown token."""
    words = [word for role in vocabulary().values() for word in role]
    ids = {word: index for index, word in enumerate([PADDING, UNKNOWN, *dict.fromkeys(words)])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    # The unknown token is written in capitals, so lower casing must not reach it in training.
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([PADDING, UNKNOWN])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PADDING,
        unk_token=UNKNOWN,
        model_max_length=TOKENS,
    )


def build_text_encoder(vocabulary_size: int) -> CLIPTextModel:
    """A two-layer text transformer, initialised at random."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary_size,
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            pad_token_id=0,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def build_unet() -> UNet2DConditionModel:
    """The denoiser, initialised at random."""
    return UNet2DConditionModel(
        sample_size=IMAGE_SIZE // FOLD,
        in_channels=(3 + GEOMETRY_CHANNELS) * FOLD**2,
        out_channels=3 * FOLD**2,
        block_out_channels=(80, 128, 144),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        attention_head_dim=4,
        cross_attention_dim=TEXT_WIDTH,
        norm_num_groups=16,
        resnet_time_scale_shift="scale_shift",
        addition_embed_type="text",
        addition_embed_type_num_heads=4,
        class_embed_type="timestep",
    )


def build_scheduler() -> DDIMScheduler:
    """Squared-cosine noise schedule, v-prediction (Salimans and Ho 2022)."""
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        clip_sample=True,
        timestep_spacing="trailing",
        set_alpha_to_one=True,
    )


def view_width_label(view_width: Tensor) -> Tensor:
    """What the class embedding is given: octaves of view width, spread over 0 to 1000."""
    return 250 * (view_width.log2() + 2)


class TextToImage(nn.Module):
    """Text encoder and UNet trained together."""

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer = build_tokenizer()
        self.text_encoder = build_text_encoder(len(self.tokenizer))
        self.unet = build_unet()

    def forward(
        self,
        noisy: Tensor,
        timestep: Tensor,
        captions: list[str],
        geometry: Tensor,
        view_width: Tensor,
    ) -> Tensor:
        """Velocity prediction.

        Args:
            noisy: float[batch, 3, 64, 64].
            timestep: int[batch].
            captions: As many as there are images.
            geometry: float[batch, 46, 64, 64], see `scenes.geometry_channels`.
            view_width: float[batch].

        Returns:
            float[batch, 3, 64, 64].
        """
        tokens = self.tokenizer(
            captions, padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids.to(noisy.device)
        embeddings = self.text_encoder(tokens).last_hidden_state
        folded = nn.functional.pixel_unshuffle(torch.cat([noisy, geometry], 1), FOLD)
        velocity = self.unet(
            folded, timestep, embeddings, class_labels=view_width_label(view_width)
        ).sample
        return nn.functional.pixel_shuffle(velocity, FOLD)


def load_pipeline(model: TextToImage, folder: Path) -> None:
    """Fill the model with the weights of a folder that `save_pipeline` wrote."""
    unet, text_encoder = (
        load_file(next((folder / name).glob("*.safetensors"))) for name in ("unet", "text_encoder")
    )
    model.unet.load_state_dict(unet)
    model.text_encoder.load_state_dict(text_encoder)


def save_pipeline(model: TextToImage, folder: Path, notes: dict[str, Any]) -> None:
    """Write the model as a diffusers folder in half precision, with its vocabulary beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    half = TextToImage()
    half.load_state_dict(model.state_dict())
    half.half()
    half.unet.save_pretrained(folder / "unet")
    half.text_encoder.save_pretrained(folder / "text_encoder")
    half.tokenizer.save_pretrained(folder / "tokenizer")
    build_scheduler().save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "DiffusionPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "scheduler": ["diffusers", "DDIMScheduler"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    (folder / "vocabulary.json").write_text(json.dumps(vocabulary(), indent=1) + "\n")
    (folder / "README.md").write_text(MODEL_CARD)
    (folder / "training.json").write_text(json.dumps(notes, indent=1) + "\n")
