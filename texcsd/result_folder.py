"""One result folder: who works in it, what is finished in it, which of its files may be replaced.

texcsd deletes or replaces only files it wrote. Those are the outputs named in `run.json`, which is
written last and so says that everything is there, and in `unfinished/`, which is written first and
deleted last.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock, Timeout
from torch import Tensor

from texcsd.checkpoint import CHECKPOINT, load_tensors, partial_path, save_tensors
from texcsd.errors import TexcsdError

REPORT = "run.json"
UNFINISHED = "unfinished"
"""Subfolder with all that only an unfinished painting needs; the checkpoint is there, too."""

ATLAS = f"{UNFINISHED}/atlas.safetensors"
SHAPE = f"{UNFINISHED}/shape.safetensors"
"""The displacement of the mesh, or its tetrahedra, if there are any, being refined or finished."""
RESHAPED = f"{UNFINISHED}/reshaped"
"""Folder of the mesh in its new shape, if it has one."""
LOCK = ".texcsd.lock"
LONGEST_SLUG = 60
ANOTHER_FOLDER = "choose another folder with -o, or paint anew with --overwrite"


class FolderInUseError(TexcsdError):
    """Another process paints into the folder."""


class AnotherPaintingError(TexcsdError):
    """The folder holds a painting of another request, or one that is not as it was written."""


@dataclass(frozen=True)
class Request:
    """What a folder is to hold: the same request finds its finished or unfinished result again."""

    settings: Mapping[str, Any]
    """By name, plain JSON values."""
    input_sha256: str

    def first_difference(self, settings: Mapping[str, Any], input_sha256: str) -> str | None:
        """Names the first thing in which a recorded request is not this one.

        Such as `steps was 100, now 300`. Settings the recorded request has in addition, written by
        another version, do not count.
        """
        for name, value in self.settings.items():
            recorded = settings.get(name, "not recorded")
            if recorded != value:
                return f"{name} was {json.dumps(recorded)}, now {json.dumps(value)}"
        return None if input_sha256 == self.input_sha256 else "the mesh file was another one"


@dataclass(frozen=True)
class Unfinished:
    """What an interrupted painting needs besides its checkpoint: the atlas it paints on."""

    atlas: dict[str, Tensor]
    """`uv` float[T, 2] and `uv_faces` int[F, 3]; none while the shape is still being made."""
    notes: dict[str, Any]
    """How the atlas was made; plain JSON values."""


def default_folder(mesh_path: Path, prompt: str) -> Path:
    """Such as outputs/armchair-a-leather-armchair."""
    slug = re.sub(r"[\W_]+", "-", prompt.lower())[:LONGEST_SLUG].strip("-")
    return Path("outputs") / f"{mesh_path.stem}-{slug or 'untitled'}"


@contextmanager
def claim_folder(folder: Path) -> Iterator[None]:
    """Creates the folder and keeps other processes from painting into it.

    The system releases the claim of a killed process. Folders made here go if they stay empty.
    """
    try:
        created = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise FolderInUseError(
            f"{folder}: another texcsd paints into it; wait, or choose another folder with -o"
        ) from error
    except FileExistsError as error:
        raise TexcsdError(f"{folder}: is a file; choose a folder with -o") from error
    except OSError as error:
        raise TexcsdError(
            f"{folder}: cannot be written to ({error.strerror}); choose another folder with -o"
        ) from error
    try:
        yield
    finally:
        # Before the release, or it could be the next owner's. Windows deletes it by itself.
        with suppress(OSError):
            (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        with suppress(OSError):
            for path in created:
                path.rmdir()


def finished_report(folder: Path, request: Request) -> dict[str, Any] | None:
    """The report of the finished result that was asked for, or None if nothing is finished here.

    A finished result of another request, or one with files missing or changed, is an error.
    """
    report = _read_report(folder)
    if report is None:
        return None
    difference = request.first_difference(report["settings"], report["input"]["sha256"])
    if difference is not None:
        raise AnotherPaintingError(
            f"{folder}: holds another painting ({difference}); {ANOTHER_FOLDER}"
        )
    sha256 = report.get("outputs_sha256", {})
    for name in report["outputs"].values():
        if not (folder / name).exists():
            raise AnotherPaintingError(f"{folder}: finished, but {name} is gone; {ANOTHER_FOLDER}")
        # Files of a report without hashes, written by an older version, are taken on trust.
        if name in sha256 and file_sha256(folder / name) != sha256[name]:
            raise AnotherPaintingError(
                f"{folder}: finished, but {name} was changed since; {ANOTHER_FOLDER}"
            )
    return report


def file_sha256(path: Path) -> str:
    """Of the content of a file."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise TexcsdError(
            f"{path}: cannot be read ({error.strerror}); check who may read it"
        ) from error


def load_unfinished(folder: Path, request: Request) -> Unfinished | None:
    """What an interrupted painting left, or None; that of another request is an error."""
    loaded = load_tensors(folder / ATLAS)
    if loaded is None:
        return None
    atlas, state = loaded
    difference = request.first_difference(state["settings"], state["input_sha256"])
    if difference is not None:
        raise AnotherPaintingError(
            f"{folder}: holds another painting, unfinished ({difference}); {ANOTHER_FOLDER}"
        )
    return Unfinished(atlas, state["notes"])


def save_unfinished(
    folder: Path, request: Request, unfinished: Unfinished, outputs: Iterable[str]
) -> None:
    """Marks the folder as being painted into; from now on these outputs are texcsd's."""
    _delete(folder / UNFINISHED / CHECKPOINT)
    if not (folder / ATLAS).exists():  # Without it, nothing says what the shape belongs to.
        _delete(folder / SHAPE)
    (folder / UNFINISHED).mkdir(exist_ok=True)
    state = {
        "settings": request.settings,
        "input_sha256": request.input_sha256,
        "outputs": list(outputs),
        "notes": unfinished.notes,
    }
    save_tensors(folder / ATLAS, unfinished.atlas, state)


def delete_unfinished(folder: Path) -> None:
    """Deletes what only an unfinished painting needs."""
    _delete(folder / UNFINISHED / CHECKPOINT)
    _delete(folder / SHAPE)
    for path in (folder / RESHAPED).glob("*"):
        _delete(path)
    _delete(folder / ATLAS)
    with suppress(OSError):
        (folder / RESHAPED).rmdir()
    with suppress(OSError):
        (folder / UNFINISHED).rmdir()


def delete_painting(folder: Path) -> None:
    """Deletes every file texcsd wrote into the folder, and no other."""
    outputs = _recorded_outputs(folder)
    for name in outputs:
        _delete(folder / name)
    delete_unfinished(folder)
    if outputs:
        # Last, because it is what says that the other files are texcsd's.
        _delete(folder / REPORT)


def refuse_foreign_files(folder: Path, outputs: Iterable[str], mesh_path: Path) -> None:
    """Raises if a file not written by texcsd, or the mesh itself, is where a result is to go."""
    recorded = _recorded_outputs(folder)
    for path in (folder / name for name in [*recorded, *outputs]):
        if path.resolve() == mesh_path.resolve():
            raise TexcsdError(
                f"{mesh_path}: would be overwritten by its result; choose another folder with -o"
            )
    for name in [*outputs, ATLAS]:
        path = folder / name
        # A link that leads nowhere is not ours either.
        foreign = os.path.lexists(path) and name not in [*recorded, ATLAS]
        if foreign or (os.path.lexists(path.parent) and not path.parent.is_dir()):
            raise TexcsdError(
                f"{path if foreign else path.parent}: is in the way, and not texcsd's;"
                " choose another folder with -o"
            )


def _read_report(folder: Path) -> dict[str, Any] | None:
    path = folder / REPORT
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not path.is_symlink():
            return None
        raise TexcsdError(
            f"{path}: is a link that leads nowhere; choose another folder with -o"
        ) from None
    except (OSError, ValueError) as error:
        raise TexcsdError(f"{path}: cannot be read ({error}); delete it to start anew") from error
    if not isinstance(report, dict) or not {"texcsd", "settings", "input", "outputs"} <= {*report}:
        raise TexcsdError(f"{path}: is not a report of texcsd; choose another folder with -o")
    return report


def _recorded_outputs(folder: Path) -> list[str]:
    report, unfinished = _read_report(folder), load_tensors(folder / ATLAS)
    names = list(report["outputs"].values()) if report else []
    names += unfinished[1]["outputs"] if unfinished else []
    return [name for name in dict.fromkeys(names) if _is_inside(name)]


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
        partial_path(path).unlink(missing_ok=True)
    except OSError as error:
        raise TexcsdError(
            f"{path}: cannot be deleted ({error.strerror}); close what uses it, and try again"
        ) from error
