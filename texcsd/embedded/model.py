"""The embedded model's architecture, and the diffusers folder it is saved as.

Pixels, 64 x 64, folded two by two into channels (pixel unshuffle) so that the UNet works at
32 x 32. What is told of the surface (`place`) is folded likewise and concatenated. The caption acts
three times: by cross-attention at the coarsest level, pooled into the time embedding, as in
DeepFloyd IF, and by the pooled embedding of the text encoder, whose numbers mix the fields that
tell the place. The class embedding tells how wide the view is, that is, the size of a pixel on the
object.
"""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, PreTrainedTokenizerFast

from texcsd.embedded.captions import SIZES, UNKNOWN, vocabulary
from texcsd.embedded.place import MIXING_WEIGHTS, MODEL_CHANNELS, mix_fields, view_width_label
from texcsd.embedded.scenes import IMAGE_SIZE

FOLD = 2
TOKENS = 16
TEXT_WIDTH = 128
PADDING, END = "[PAD]", "[END]"
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
    every = [PADDING, UNKNOWN, *dict.fromkeys(words), END]
    ids = {word: index for index, word in enumerate(every)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    # The unknown token is written in capitals, so lower casing must not reach it in training.
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([PADDING, UNKNOWN, END])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, ids[END])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PADDING,
        unk_token=UNKNOWN,
        eos_token=END,
        model_max_length=TOKENS,
    )


def build_text_encoder(vocabulary_size: int) -> CLIPTextModelWithProjection:
    """A two-layer text transformer, initialised at random; the last word is the end token."""
    encoder = CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=vocabulary_size,
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            projection_dim=MIXING_WEIGHTS,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            pad_token_id=0,
            bos_token_id=0,
            eos_token_id=vocabulary_size - 1,
        )
    )
    # Else the mixtures would begin far out on the slopes of SiLU.
    nn.init.normal_(encoder.text_projection.weight, std=0.01)
    return encoder


def build_unet() -> UNet2DConditionModel:
    """The denoiser, initialised at random."""
    return UNet2DConditionModel(
        sample_size=IMAGE_SIZE // FOLD,
        in_channels=(3 + MODEL_CHANNELS) * FOLD**2,
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
            geometry: float[batch, GEOMETRY_CHANNELS, 64, 64], see `place.geometry_channels`.
            view_width: float[batch].

        Returns:
            float[batch, 3, 64, 64].
        """
        tokens = self.tokenizer(
            captions, padding="max_length", truncation=True, return_tensors="pt"
        ).input_ids.to(noisy.device, non_blocking=True)
        text = self.text_encoder(tokens)
        condition = mix_fields(geometry, text.text_embeds)
        folded = nn.functional.pixel_unshuffle(torch.cat([noisy, condition], 1), FOLD)
        labels = view_width_label(view_width)
        velocity = self.unet(folded, timestep, text.last_hidden_state, class_labels=labels).sample
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
        "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "scheduler": ["diffusers", "DDIMScheduler"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    words = vocabulary() | {"sizes": SIZES}
    (folder / "vocabulary.json").write_text(json.dumps(words, indent=1) + "\n")
    (folder / "README.md").write_text(MODEL_CARD)
    (folder / "training.json").write_text(json.dumps(notes, indent=1) + "\n")
