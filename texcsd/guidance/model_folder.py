"""A folder in diffusers' format: its parts, its licence, the hash of its weights.

Weights come from safetensors files alone, classes from the list below alone: nothing that is
loaded can run code.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from texcsd.errors import TexcsdError

TOKENIZERS = (
    "CLIPTokenizer", "CLIPTokenizerFast", "PreTrainedTokenizerFast", "T5Tokenizer",
    "T5TokenizerFast",
)  # fmt: skip
LOADABLE = {
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL", "AutoencoderTiny"),
    "controlnet": ("ControlNetModel",),
    "text_encoder": ("CLIPTextModel", "CLIPTextModelWithProjection", "T5EncoderModel"),
    "text_encoder_2": ("CLIPTextModelWithProjection",),
    "tokenizer": TOKENIZERS,
    "tokenizer_2": TOKENIZERS,
    # Any sampler will do that says how much noise its model was trained with at each timestep.
    "scheduler": (
        "DDIMScheduler", "DDPMScheduler", "DPMSolverMultistepScheduler",
        "EulerAncestralDiscreteScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler",
        "LMSDiscreteScheduler", "PNDMScheduler", "UniPCMultistepScheduler",
    ),
}  # fmt: skip
WITH_WEIGHTS = ("text_encoder", "unet", "text_encoder_2", "vae", "controlnet")
"""In the order in which their files are hashed."""
CHOICES = {
    "controlnet": "none, or a depth ControlNet by folder or hub id",
    "vae": "auto, tiny, or an autoencoder by folder or hub id",
}
"""What may be chosen for a part that can have a folder of its own."""


@dataclass(frozen=True)
class ModelFolder:
    """A diffusers pipeline, or a single model, in a folder."""

    name: str
    """What the user chose, for messages."""
    path: Path
    index: dict[str, Any]
    """For each part its library and class, as model_index.json has them."""
    single: bool = False
    """Whether the folder is its only part, rather than has a folder for each."""

    @classmethod
    def open(cls, name: str, path: Path) -> ModelFolder:
        """A pipeline.

        Raises:
            TexcsdError: There is no such folder, or it holds no diffusers pipeline.
        """
        index = path / "model_index.json"
        if not index.is_file():
            found = "no model_index.json in it" if path.is_dir() else "no such folder"
            raise TexcsdError(
                f'model "{name}": {found}; choose embedded, the folder of a diffusers pipeline, '
                "or a name that README lists"
            )
        return cls(name, path, _read_json(name, index))

    def has(self, part: str) -> bool:
        """Whether the pipeline has this part."""
        return self.index.get(part, [None, None])[0] is not None

    def part_path(self, part: str) -> Path:
        """Where its files lie."""
        return self.path if self.single else self.path / part

    def load(self, part: str, dtype: torch.dtype = torch.float32) -> Any:
        """One part, by the class the index names.

        Raises:
            TexcsdError: It is missing, of another class, pickled or damaged.
        """
        library, class_name = self._class_of(part)
        path = self.part_path(part)
        if not path.is_dir():
            raise TexcsdError(f'model "{self.name}": has no folder {part}; copy it again')
        if part in WITH_WEIGHTS and not list(path.glob("*.safetensors")):
            has = "only pickled" if [*path.glob("*.bin"), *path.glob("*.ckpt")] else "no"
            raise TexcsdError(
                f'model "{self.name}": its {part} has {has} weights, and texcsd reads none but '
                "safetensors; take a copy that has them, or convert it with safe_serialization=True"
            )
        if (path / "spiece.model").is_file() and not (path / "tokenizer.json").is_file():
            self._check_sentencepiece(part)
        try:
            return _from_pretrained(path, library, class_name, part in WITH_WEIGHTS, dtype)
        except MemoryError:
            raise
        except Exception as error:  # Every library has classes of its own.
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise TexcsdError(
                f'model "{self.name}": its {part} cannot be loaded ({reason}); copy it again'
            ) from error

    def _check_sentencepiece(self, part: str) -> None:
        """The tokenizer of DeepFloyd IF comes in a form that nothing else here needs."""
        for module in ("sentencepiece", "google.protobuf"):
            try:
                importlib.import_module(module)
            except ImportError as error:
                raise TexcsdError(
                    f'model "{self.name}": its {part} cannot be read without {module}; '
                    'pip install "texcsd[deepfloyd]"'
                ) from error

    def _class_of(self, part: str) -> tuple[str, str]:
        if not self.has(part):
            raise TexcsdError(f'model "{self.name}": has no {part}; texcsd needs one')
        library, class_name = self.index[part]
        if class_name not in LOADABLE[part] or library not in ("diffusers", "transformers"):
            raise TexcsdError(
                f'model "{self.name}": its {part} is a {library} {class_name}; '
                f"texcsd can use {', '.join(LOADABLE[part])}"
            )
        return library, class_name

    def licence(self) -> str:
        """The `license:` line of the model card; "not stated" where there is none."""
        card = self.path / "README.md"
        text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
        found = re.search(r"^license:\s*(\S.*?)\s*$", text, re.MULTILINE)
        return found.group(1) if found else "not stated"

    def config(self, part: str) -> dict[str, Any]:
        """The configuration of a part; empty where there is none."""
        path = self.part_path(part) / "config.json"
        return _read_json(self.name, path) if path.is_file() else {}

    def weight_files(self, without: Collection[str] = ()) -> list[Path]:
        """Of all its parts but some, in a fixed order."""
        wanted = [part for part in WITH_WEIGHTS if self.has(part) and part not in without]
        parts = [self.part_path(part) for part in wanted]
        return [path for part in parts for path in sorted(part.glob("*.safetensors"))]


def open_part(part: str, name: str, path: Path) -> ModelFolder:
    """A ControlNet or a VAE in a folder of its own.

    Raises:
        TexcsdError: There is no such folder.
    """
    config = path / "config.json"
    if not config.is_file():
        found = "no config.json in it" if path.is_dir() else "no such folder"
        raise TexcsdError(f'{part} "{name}": {found}; choose {CHOICES[part]}')
    class_name = _read_json(name, config).get("_class_name", "model of unknown class")
    return ModelFolder(name, path, {part: ["diffusers", class_name]}, single=True)


def hash_files(paths: list[Path]) -> str:
    """SHA-256 over the content of all files, one after another."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _read_json(name: str, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TexcsdError(
            f'model "{name}": {path.name} cannot be read ({error}); copy it again'
        ) from error
    if not isinstance(content, dict):
        raise TexcsdError(f'model "{name}": {path.name} is damaged; copy it again')
    return content


def _from_pretrained(
    path: Path, library: str, class_name: str, has_weights: bool, dtype: torch.dtype
) -> Any:
    # They take seconds to import.
    import diffusers
    import transformers

    cls = getattr({"diffusers": diffusers, "transformers": transformers}[library], class_name)
    options: dict[str, Any] = {"local_files_only": True}
    if not has_weights:
        return cls.from_pretrained(path, **options)
    options |= {"use_safetensors": True, "torch_dtype": dtype, "output_loading_info": True}
    if all(".fp16" in file.name for file in path.glob("*.safetensors")):
        options["variant"] = "fp16"
    if library == "diffusers":
        options["low_cpu_mem_usage"] = False  # True would need accelerate, and says so.
    for package in (diffusers, transformers):  # Theirs are of the pieces of one part.
        package.utils.logging.disable_progress_bar()
    model, report = cls.from_pretrained(path, **options)
    # Else they would be left at random, with no more than a warning.
    if report["missing_keys"]:
        raise ValueError(f"its weights lack {', '.join(sorted(report['missing_keys'])[:3])}")
    return model.eval().requires_grad_(False)
