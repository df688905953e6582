"""The loader: "embedded", a folder in diffusers' format or a hub id becomes a Denoiser.

The kind of model is read from its configuration files, never from its name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from texcsd.errors import TexcsdError
from texcsd.guidance.hub import DEFAULT_CONTROLNETS, resolve_controlnet, resolve_model
from texcsd.guidance.model_folder import ModelFolder, hash_files, open_controlnet
from texcsd.guidance.prompts import Vocabulary
from texcsd.guidance.score import Denoiser
from texcsd.guidance.text_encoders import PromptEncoder

EMBEDDED_FOLDER = Path(__file__).parent.parent / "embedded" / "weights"


def load_denoiser(
    model: str,
    device: torch.device | str = "cpu",
    controlnet: str = "auto",
    controlnet_scale: float = 1.0,
    checkpoint_encoder: bool = True,
    offline: bool = False,
) -> Denoiser:
    """Load a diffusion model.

    Args:
        model: "embedded", the path of a diffusers folder, an alias of `hub.HUB_IDS` or a hub id.
        device: Where it is to run.
        controlnet: The path or hub id of a depth ControlNet; "none"; or "auto" for the one that
            belongs to the model, if any.
        controlnet_scale: Weight of what the ControlNet adds.
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
    controls = _open_control(folder, controlnet, offline)
    vocabulary = _read_vocabulary(folder)
    # A model with a vocabulary is small, and was trained in bfloat16: float16 might overflow.
    full = device.type == "cpu" or vocabulary is not None
    dtype = torch.float32 if full else torch.float16
    unet = folder.load("unet", dtype)
    pipeline = Pipeline(
        name=model,
        licence=_describe_licence(folder, controls),
        weights_sha256=hash_files(_weight_files(folder, controls)),
        device=device,
        unet=unet,
        scheduler=folder.load("scheduler"),
        prompt_encoder=_load_prompt_encoder(folder, unet, dtype),
        vocabulary=vocabulary,
        vae=folder.load("vae") if folder.has("vae") else None,
        controlnet=controls.load("controlnet", dtype) if controls else None,
    )
    if pipeline.vae is None:
        return PixelDenoiser(pipeline)
    return LatentDenoiser(pipeline, controlnet_scale, checkpoint_encoder)


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
    return open_controlnet(controlnet, resolve_controlnet(controlnet, offline))


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


def _weight_files(folder: ModelFolder, controls: ModelFolder | None) -> list[Path]:
    if controls is None or controls is folder:
        return folder.weight_files()
    return folder.weight_files() + controls.weight_files()


def _describe_licence(folder: ModelFolder, controls: ModelFolder | None) -> str:
    if controls is None or controls is folder:
        return folder.licence()
    return f"{folder.licence()}; ControlNet: {controls.licence()}"
