"""The loader: "embedded", a folder in diffusers' format or a hub id becomes a Denoiser.

The kind of model is read from its configuration files, never from its name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from texcsd.errors import TexcsdError
from texcsd.guidance.hub import DEFAULT_CONTROLNETS, TINY_VAES, resolve_model, resolve_part
from texcsd.guidance.model_folder import ModelFolder, hash_files, open_part
from texcsd.guidance.prompts import Vocabulary
from texcsd.guidance.score import Denoiser
from texcsd.guidance.text_encoders import PromptEncoder

EMBEDDED_FOLDER = Path(__file__).parent.parent / "embedded" / "weights"


def load_denoiser(
    model: str,
    device: torch.device | str = "cpu",
    controlnet: str = "auto",
    vae: str = "auto",
    checkpoint_encoder: bool | None = None,
    offline: bool = False,
) -> Denoiser:
    """Load a diffusion model.

    Args:
        model: "embedded", the path of a diffusers folder, an alias of `hub.HUB_IDS` or a hub id.
        device: Where it is to run.
        controlnet: The path or hub id of a depth ControlNet; "none"; or "auto" for the one that
            belongs to the model, if any.
        vae: The path or hub id of an autoencoder for a latent model; "tiny"; or "auto" for its own.
        checkpoint_encoder: See LatentDenoiser.
        offline: Download nothing; use what was downloaded before.

    Raises:
        TexcsdError: A model is missing, damaged or of a kind that cannot be used.
    """
    # diffusers and transformers take seconds to import.
    from texcsd.guidance.diffusers_denoiser import Pipeline
    from texcsd.guidance.latent_denoiser import LatentDenoiser
    from texcsd.guidance.pixel_denoiser import PixelDenoiser

    device = torch.device(device)
    folder = open_model(model, offline)
    parts = {
        "controlnet": _open_control(folder, controlnet, offline),
        "vae": _open_vae(folder, vae, offline),
    }
    vocabulary = _read_vocabulary(folder)
    # A model with a vocabulary is small, and was trained in bfloat16: float16 might overflow.
    full = device.type == "cpu" or vocabulary is not None
    dtype = torch.float32 if full else torch.float16
    dtypes = {"controlnet": dtype, "vae": vae_dtype(device)}
    unet = folder.load("unet", dtype)
    loaded = {part: at.load(part, dtypes[part]) for part, at in parts.items() if at is not None}
    pipeline = Pipeline(
        name=model,
        licence=_describe_licence(folder, parts),
        weights_sha256=hash_files(_weight_files(folder, parts)),
        device=device,
        unet=unet,
        scheduler=folder.load("scheduler"),
        prompt_encoder=_load_prompt_encoder(folder, unet, dtype),
        vocabulary=vocabulary,
        **loaded,
    )
    if pipeline.vae is None:
        return PixelDenoiser(pipeline)
    return LatentDenoiser(pipeline, checkpoint_encoder)


def vae_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where a GPU has it: the activations of SD's and SDXL's VAE overflow in float16."""
    has_bfloat16 = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    return torch.bfloat16 if has_bfloat16 else torch.float32


def check_embedded_prompt(prompt: str) -> list[str]:
    """What the embedded model would say of a prompt, without loading it; see Vocabulary.check."""
    vocabulary = _read_vocabulary(open_model("embedded", offline=True))
    return [] if vocabulary is None else vocabulary.check(prompt)


def open_model(model: str, offline: bool) -> ModelFolder:
    """The folder of a model, by what the user calls it."""
    path = EMBEDDED_FOLDER if model == "embedded" else resolve_model(model, offline)
    return ModelFolder.open(model, path)


def _open_control(folder: ModelFolder, controlnet: str, offline: bool) -> ModelFolder | None:
    """The folder that holds the ControlNet, if one is to be used."""
    if controlnet == "auto":
        controlnet = DEFAULT_CONTROLNETS.get(folder.name, "auto")
    if controlnet == "none" or (controlnet == "auto" and not folder.has("controlnet")):
        return None
    if not folder.has("vae"):
        raise TexcsdError(
            f'model "{folder.name}": has no vae, and ControlNets are for latent models; '
            "use --controlnet none"
        )
    if controlnet == "auto":
        return folder
    return open_part("controlnet", controlnet, resolve_part(controlnet, offline))


def _open_vae(folder: ModelFolder, vae: str, offline: bool) -> ModelFolder | None:
    """The folder that holds the autoencoder of a latent model; None for a pixel-space model."""
    if vae == "auto":
        return folder if folder.has("vae") else None
    if not folder.has("vae"):
        raise TexcsdError(f'model "{folder.name}": has no vae, and needs none; leave out --vae')
    if vae == "tiny":
        scale = folder.config("vae").get("scaling_factor", 0.18215)
        if scale not in TINY_VAES:
            raise TexcsdError(
                f'model "{folder.name}": its vae has the scaling factor {scale}, for which no tiny '
                "autoencoder is known; give one as a folder or hub id, or leave out --vae"
            )
        vae = TINY_VAES[scale]
    return open_part("vae", vae, resolve_part(vae, offline))


def _load_prompt_encoder(folder: ModelFolder, unet: Any, dtype: torch.dtype) -> PromptEncoder:
    two = unet.config.addition_embed_type == "text_time"
    endings = ("", "_2") if two else ("",)
    tokenizers = [folder.load(f"tokenizer{ending}") for ending in endings]
    zero_empty = folder.index.get("force_zeros_for_empty_prompt", True)
    return PromptEncoder(
        tokenizers,
        lambda: [folder.load(f"text_encoder{ending}", dtype) for ending in endings],
        zero_empty,
    )


def _read_vocabulary(folder: ModelFolder) -> Vocabulary | None:
    path = folder.path / "vocabulary.json"
    try:
        return Vocabulary.read(path) if path.is_file() else None
    except (ValueError, KeyError, TypeError) as error:
        reason = f"{path.name} cannot be read ({error})"
        raise TexcsdError(f'model "{folder.name}": {reason}; copy it again') from error


def _weight_files(folder: ModelFolder, parts: dict[str, ModelFolder | None]) -> list[Path]:
    others = {part: at for part, at in parts.items() if at is not None and at is not folder}
    own = folder.weight_files(without=others)
    return own + [path for at in others.values() for path in at.weight_files()]


def _describe_licence(folder: ModelFolder, parts: dict[str, ModelFolder | None]) -> str:
    names = {"controlnet": "ControlNet", "vae": "VAE"}
    others = [
        f"{names[part]}: {at.licence()}"
        for part, at in parts.items()
        if at is not None and at is not folder
    ]
    return "; ".join([folder.licence(), *others])
