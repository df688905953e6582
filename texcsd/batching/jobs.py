"""Which jobs a batch has: meshes of a folder, rows of a table, or each row for several meshes."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from texcsd.batching.gallery import GALLERY
from texcsd.batching.log import LOG
from texcsd.batching.records import Job, printable
from texcsd.batching.table import Row, row_settings
from texcsd.errors import TexcsdError
from texcsd.geometry.mesh_files import EXTENSIONS
from texcsd.guidance.denoiser import check_embedded_prompt
from texcsd.result_folder import REPORT, default_folder
from texcsd.settings import PaintSettings


class BadJobsError(TexcsdError):
    """Some jobs cannot be done as they were asked for; `problems` has a line for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        """The message is one line of all problems."""
        self.problems = [printable(problem) for problem in problems]
        super().__init__("; ".join(self.problems))


@dataclass(frozen=True)
class Assets:
    """A folder of meshes, or one mesh: what rows without a mesh of their own are for."""

    path: Path
    """A folder, searched with all folders in it, or a mesh file."""
    output: Path
    """Left out if it is inside, like all other results of texcsd and hidden folders."""
    include: Collection[str] = ()
    """Patterns such as `*.glb` or `chairs/*`; empty for all."""
    exclude: Collection[str] = ()
    """Patterns of what is left out."""

    @property
    def base(self) -> Path:
        """Where the names of meshes begin."""
        return self.path.parent if self.path.is_file() else self.path

    @functools.cached_property
    def found(self) -> Sequence[Path]:
        """All meshes there; that there are none is an error."""
        if self.path.is_file():
            return [self.path]
        if not self.path.is_dir():
            raise TexcsdError(f"{self.path}: no such folder; give a folder of meshes")
        meshes = list(_mesh_files(self.path, self.output))
        if not meshes:
            raise TexcsdError(f"{self.path}: holds no mesh ({', '.join(EXTENSIONS)})")
        return meshes

    def named(self, pattern: str | None) -> list[Path]:
        """The mesh of this path relative to the base, or those the pattern matches; None for all.

        Only those that are to be painted; that no mesh has the name is an error.
        """
        if pattern is None:
            meshes = self.found
        elif (self.base / pattern).is_file():
            meshes = [self.base / pattern]
        else:
            meshes = [m for m in self.found if matches(_name_below(self.base, m), [pattern])]
        if not meshes:
            raise TexcsdError(f"mesh {pattern} is not in {self.base}; check the path")
        return [mesh for mesh in meshes if self._is_chosen(mesh)]

    def _is_chosen(self, mesh: Path) -> bool:
        name = _name_below(self.base, mesh)
        included = not self.include or matches(name, self.include)
        return included and not matches(name, self.exclude)


def matches(name: str, patterns: Collection[str]) -> bool:
    """Whether a pattern matches the path, or its last part; `*` matches `/`, too."""
    last = PurePosixPath(name).name
    return any(fnmatchcase(name, text) or fnmatchcase(last, text) for text in patterns)


def plan_jobs(
    assets: Assets, rows: Sequence[Row], settings: Mapping[str, Any], output: Path
) -> list[Job]:
    """The jobs, in an order in which workers can keep models and UVs from one to the next.

    Args:
        assets: What rows may paint.
        rows: One or more. A row that names no mesh is for all of them.
        settings: For jobs whose row says nothing else. Without a seed, every job gets one from its
            name, so that neither other jobs nor their order change its result.
        output: The folder their folders will be in.

    Raises:
        BadJobsError: Rows are wrong, or two jobs would share a folder. All of them are named.
    """
    jobs: list[Job] = []
    problems: list[str] = []
    for row in rows:
        try:
            jobs += _jobs_of(row, assets, settings, output)
        except TexcsdError as error:
            problems.append(f"{row.place}: {error}" if row.place else str(error))
    problems += _shared_folders(jobs)
    if not jobs and not problems:
        problems.append(f"{assets.path}: no mesh is left to paint; check --include and --exclude")
    if problems:
        raise BadJobsError(problems)
    return _grouped(jobs)


def _jobs_of(row: Row, assets: Assets, settings: Mapping[str, Any], output: Path) -> Iterator[Job]:
    values = {**settings, **row_settings(row)}
    pattern, name = values.pop("mesh", None), values.pop("name", None)
    meshes = assets.named(pattern)
    if "prompt" not in values:
        raise TexcsdError("has no prompt; give one in the table or with --prompt")
    if name is not None and len(meshes) > 1:
        raise TexcsdError(f'name "{name}" would be that of {len(meshes)} meshes; give it to one')
    chosen = PaintSettings(**values)
    if chosen.model == "embedded":
        check_embedded_prompt(chosen.prompt)
    for mesh in meshes:
        default = _default_name(assets.base, mesh, chosen.prompt)
        identity = _checked_name(default if name is None else name)
        seed = values.get("seed", _seed_of(identity))
        yield Job(identity, mesh, output / identity, PaintSettings(**{**values, "seed": seed}))


def _default_name(base: Path, mesh: Path, prompt: str) -> str:
    """Such as chairs/armchair-a-leather-armchair.

    Bytes of a file's name that are no UTF-8 come as lone surrogates, which can neither be printed
    nor hashed: their numbers take their places.
    """
    below = PurePosixPath(_name_below(base, mesh))
    name = str(below.parent / default_folder(mesh, prompt).name)
    return re.sub("[\ud800-\udfff]", lambda found: f"%{ord(found[0]):X}", name)


def _seed_of(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def _checked_name(name: str) -> str:
    """The name in the one form that its folder has: `./chair/` is `chair`."""
    path = PurePosixPath(name)
    if (
        not path.parts
        or path.is_absolute()
        or ".." in path.parts
        or re.search('[\\\\:*?"<>|\x00-\x1f\ud800-\udfff]', name)
    ):
        raise TexcsdError(f'name "{name}" is no folder below the output; use words and hyphens')
    if path.parts[0].casefold() in (LOG, GALLERY):
        raise TexcsdError(f'name "{name}" is that of a file of the batch itself; choose another')
    return str(path)


def _shared_folders(jobs: Sequence[Job]) -> Iterator[str]:
    """A line for every two jobs of which one's folder is, or holds, the other's."""
    first: dict[str, Job] = {}
    for job in jobs:
        # Many file systems do not tell upper case from lower case.
        other = first.setdefault(job.name.casefold(), job)
        if other is not job:
            yield (
                f"{other.mesh} and {job.mesh} would both go to {job.folder}; leave one out, or "
                "give one a name in a table"
            )
    for job in jobs:
        for parent in PurePosixPath(job.name.casefold()).parents:
            if str(parent) in first:
                yield f"{job.folder} would be inside the result of another job; give it a name"


def _grouped(jobs: Sequence[Job]) -> list[Job]:
    models = list(dict.fromkeys(_model(job) for job in jobs))
    meshes = {mesh: index for index, mesh in enumerate(dict.fromkeys(job.mesh for job in jobs))}
    return sorted(jobs, key=lambda job: (models.index(_model(job)), meshes[job.mesh]))


def _model(job: Job) -> tuple[Any, ...]:
    settings = job.settings
    return settings.model, settings.controlnet, settings.vae


def _mesh_files(folder: Path, output: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        is_result = REPORT in files or Path(place).resolve() == output.resolve()
        folders[:] = [] if is_result else sorted(n for n in folders if not n.startswith("."))
        if not is_result:
            yield from (Path(place, name) for name in sorted(files) if _is_mesh(name))


def _is_mesh(name: str) -> bool:
    return Path(name).suffix.lower() in EXTENSIONS and not name.startswith(".")


def _name_below(base: Path, mesh: Path) -> str:
    """The path relative to the base, with `/`; of a mesh elsewhere only its own name."""
    relative = Path(os.path.relpath(mesh, base))
    return mesh.name if relative.is_absolute() or ".." in relative.parts else relative.as_posix()
