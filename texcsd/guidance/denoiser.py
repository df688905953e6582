"""The loader: "embedded" or a folder in diffusers' format becomes a Denoiser.

The kind of model is read from its configuration files, never from its name. Weights come from
safetensors files alone, classes from the list below alone: nothing that is loaded can run code.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch

from texcsd.errors import TexcsdError
from texcsd.guidance.prompts import Vocabulary
from texcsd.guidance.score import Denoiser

EMBEDDED_FOLDER = Path(__file__).parent.parent / "embedded" / "weights"
LOADABLE = {
    "unet": ("UNet2DConditionModel",),
    "text_encoder": ("CLIPTextModel",),
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast", "PreTrainedTokenizerFast"),
    "scheduler": ("DDIMScheduler", "DDPMScheduler"),
}


def model_folder(model: str) -> Path:
    """Where the files of a model lie.

    Raises:
        TexcsdError: There is no such folder, or it holds no diffusers pipeline.
    """
    folder = EMBEDDED_FOLDER if model == "embedded" else Path(model)
    if not (folder / "model_index.json").is_file():
        found = "no model_index.json in it" if folder.is_dir() else "no such folder"
        raise TexcsdError(
            f'model "{model}": {found}; choose embedded or the folder of a diffusers pipeline'
        )
    return folder


def load_denoiser(model: str, device: torch.device | str = "cpu") -> Denoiser:
    """Load a diffusion model.

    Args:
        model: "embedded" or the path of a diffusers folder.
        device: Where it is to run.

    Raises:
        TexcsdError: The folder is missing, damaged or of a kind that cannot be used.
    """
    folder = model_folder(model)
    # diffusers and transformers take seconds to import.
    from texcsd.guidance.diffusers_denoisers import PixelDenoiser

    try:
        parts = {name: _load_part(folder, name) for name in LOADABLE}
        known_words = folder / "vocabulary.json"
        vocabulary = Vocabulary.read(known_words) if known_words.is_file() else None
    except TexcsdError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TexcsdError(f'model "{model}": cannot be loaded ({reason})') from error
    except Exception as error:  # safetensors raises an exception class of its own
        if type(error).__name__ != "SafetensorError":
            raise
        raise TexcsdError(f'model "{model}": damaged weights ({error}); copy it again') from error
    return PixelDenoiser(
        model,
        **parts,
        vocabulary=vocabulary,
        device=torch.device(device),
        licence=read_licence(folder),
        weights_sha256=hash_weights(folder),
    )


def read_licence(folder: Path) -> str:
    """The `license:` line of the model card; "not stated" where there is none."""
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    found = re.search(r"^license:\s*(\S.*?)\s*$", text, re.MULTILINE)
    return found.group(1) if found else "not stated"


def hash_weights(folder: Path) -> str:
    """SHA-256 over all safetensors files, in the order of their names."""
    digest = hashlib.sha256()
    for name in ("text_encoder", "unet"):
        for path in sorted((folder / name).glob("*.safetensors")):
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def _load_part(folder: Path, name: str) -> Any:
    """One component, by the class its model_index.json names."""
    import diffusers
    import transformers

    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    if name not in index:
        raise TexcsdError(f"{folder}: model_index.json names no {name}; texcsd needs one")
    library, class_name = index[name]
    if class_name not in LOADABLE[name] or library not in ("diffusers", "transformers"):
        raise TexcsdError(
            f"{folder}: its {name} is a {library} {class_name}; "
            f"texcsd can use {', '.join(LOADABLE[name])}"
        )
    cls = getattr({"diffusers": diffusers, "transformers": transformers}[library], class_name)
    options: dict[str, Any] = {"local_files_only": True}
    if name in ("unet", "text_encoder"):
        options |= {"use_safetensors": True, "torch_dtype": torch.float32}
    if name == "unet":
        options["low_cpu_mem_usage"] = False  # True would need accelerate, and says so.
    transformers.utils.logging.disable_progress_bar()
    return cls.from_pretrained(folder / name, **options)
