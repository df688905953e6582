"""Save and restore a run: tensors and state in one safetensors file, never pickle.

A checkpoint is a single file, replaced in one go: a process killed at any moment leaves the old
checkpoint or the new one, and its tensors always belong to its state.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from texcsd.errors import TexcsdError

CHECKPOINT = "checkpoint.safetensors"
"""The file that `save_checkpoint` writes."""


def save_checkpoint(folder: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Replaces the checkpoint in the folder; see `save_tensors`."""
    save_tensors(folder / CHECKPOINT, tensors, state)


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The checkpoint in the folder, or None if there is none; see `load_tensors`."""
    return load_tensors(folder / CHECKPOINT)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Writes tensors and a state to one file, all of it or nothing.

    Args:
        path: Its folder exists.
        tensors: By name, of any shape and type; no two of them may share memory.
        state: Whatever JSON can hold; NaN and infinities included.
    """
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    # Not safetensors' own save_file: killed, it leaves a file behind whose name nobody knows.
    write_bytes_atomically(path, save(contiguous, metadata={"state": json.dumps(state)}))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What `save_tensors` wrote, on the CPU, or None if the file does not exist.

    Nobody may replace the file meanwhile: safetensors opens it more than once.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            state = json.loads((file.metadata() or {})["state"])
            # Copies: a tensor mapped from the file would keep Windows from replacing it.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise TexcsdError(
            f"{path}: is damaged ({_reason(error)}); delete it to start this painting anew"
        ) from error
    return tensors, state


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Writes the file, all of it or nothing; an existing one is replaced."""
    temporary = partial_path(path)
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise TexcsdError(
            f"{path}: cannot be written ({_reason(error)}); make room there, or choose another"
            " folder with -o"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def json_bytes(value: Any) -> bytes:
    """A value as readable JSON in UTF-8; JSON's escapes stand for what is not Unicode in a name."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return f"{text}\n".encode("utf-8", "backslashreplace")


def partial_path(path: Path) -> Path:
    """Where the file is while it is being written, and stays if the process is killed then."""
    return path.with_name(f".{path.name}.partial")


def _reason(error: Exception) -> str:
    """One line, without the path that an OSError repeats."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return " ".join(text.split())
