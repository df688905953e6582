"""A second place for finished results: any URL fsspec knows, such as s3://bucket/painted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from texcsd.batching.records import Job
from texcsd.checkpoint import write_bytes_atomically
from texcsd.errors import TexcsdError
from texcsd.result_folder import REPORT


class PublishedResults:
    """Copies of finished results, in the layout of the output folder.

    A report is copied last, both ways: where there is one, there is all that it names.
    """

    def __init__(self, url: str) -> None:
        """Connects, as far as the file system needs it."""
        self._url = url
        with self._explained("reached"):
            self._files, self._root = fsspec.core.url_to_fs(url)

    def holds(self, job: Job) -> bool:
        """Whether the finished result in the job's folder is published."""
        return self._read_report(job) == (job.folder / REPORT).read_bytes()

    def publish(self, job: Job) -> None:
        """Copy the finished result in the job's folder over what is there.

        The reports of two paintings may be the same when the files there are not.
        """
        with self._explained("written to"):
            for name in _outputs((job.folder / REPORT).read_bytes()):
                self._write(f"{job.name}/{name}", job.folder / name)
            self._write(f"{job.name}/{REPORT}", job.folder / REPORT)

    def fetch(self, job: Job) -> None:
        """Copy a published result into the job's folder, unless one is there: it is verified there.

        Whoever lost the output folder, or goes on elsewhere, does not paint again.
        """
        report = None if (job.folder / REPORT).exists() else self._read_report(job)
        if report is None:
            return
        with self._explained("read"):
            for name in [*_outputs(report), REPORT]:
                path = job.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write_bytes_atomically(path, self._files.cat_file(self._path(f"{job.name}/{name}")))

    def publish_file(self, path: Path) -> None:
        """Copy a file beside the results, such as the gallery."""
        with self._explained("written to"):
            self._write(path.name, path)

    def _read_report(self, job: Job) -> bytes | None:
        try:
            with self._explained("read"):
                return self._files.cat_file(self._path(f"{job.name}/{REPORT}"))
        except FileNotFoundError:
            return None

    def _write(self, name: str, source: Path) -> None:
        target = self._path(name)
        self._files.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        self._files.pipe_file(target, source.read_bytes())

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, ImportError, ValueError) as error:
            if isinstance(error, TexcsdError):
                raise
            reason = " ".join(str(error).split())
            raise TexcsdError(
                f"{self._url}: cannot be {what} ({reason}); check --publish"
            ) from error


def _outputs(report: bytes) -> list[str]:
    """The files a report names; none outside its folder."""
    try:
        content: dict[str, Any] = json.loads(report)
        names = [str(name) for name in content["outputs"].values()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TexcsdError(f"a published {REPORT} is damaged ({error}); delete it there") from error
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise TexcsdError(f"a published {REPORT} names {name}, which is outside its folder")
    return names
