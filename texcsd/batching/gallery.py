"""index.html: every job of a batch on one page, which needs no other file to be looked at."""

from __future__ import annotations

import base64
import io
import json
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from html import escape
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from PIL import Image

from texcsd.batching.records import printable
from texcsd.batching.results import NOUNS, JobResult, Standings
from texcsd.batching.schedule import Event
from texcsd.checkpoint import write_bytes_atomically
from texcsd.errors import TexcsdError
from texcsd.progress import duration
from texcsd.result_folder import REPORT

GALLERY = "index.html"
TEMPLATE = Path(__file__).with_name("gallery.html")
THUMBNAIL_SIZE = 320
SECONDS_BETWEEN_PAGES = 20.0
LINKS = {
    "viewer": "viewer",
    "preview": "preview",
    "turntable": "turntable",
    "mesh": "mesh",
    "base_color": "texture",
}
"""Outputs in run.json, where there are such, and what they are called on the page."""


class Gallery:
    """The page; keeps its pictures, so that writing it again costs little."""

    def __init__(self, folder: Path) -> None:
        """The output folder, where the page goes."""
        self._folder = folder
        self._thumbnails: dict[str, str] = {}

    def write(self, results: Sequence[JobResult]) -> Path:
        """Write the page as things stand."""
        counts = Counter(_status(result) for result in results)
        parts = [f"{counts[noun]} {noun}" for noun in NOUNS if counts[noun]]
        now = time.strftime("%Y-%m-%d %H:%M")
        page = _fill(
            TEMPLATE.read_text(encoding="utf-8"),
            title=escape(self._folder.resolve().name),
            summary=escape(f"{len(results)} jobs: {', '.join(parts)} · {now}"),
            bar=_bar(counts["painted"], counts["failed"], len(results)),
            cards="\n".join(self._card(result) for result in results),
        )
        path = self._folder / GALLERY
        write_bytes_atomically(path, printable(page).encode())
        return path

    def _card(self, result: JobResult) -> str:
        job = result.job
        status = _status(result)
        # Not the path of the mesh: the page may be shown to others.
        place = PurePosixPath(job.name).parent
        outputs, seconds = _report_facts(job.folder) if status == "painted" else ({}, 0.0)
        facts = [f'<span class="status">{status}</span>']
        facts += [f"<span>{duration(seconds or result.seconds)}</span>"]
        facts += [f"<span>seed {job.settings.seed}</span>"]
        if job.first_settings is not None:
            facts.append(f"<span>{job.settings.views} views, for want of memory</span>")
        links = [
            f'<a href="{self._link(job.folder / outputs[key])}">{name}</a>'
            for key, name in LINKS.items()
            if key in outputs
        ]
        return (
            f'<article class="{status}">{self._picture(result, outputs)}<div class="text">'
            f"<h2>{escape(job.settings.prompt)}</h2>"
            f'<div class="path">{escape(str(place / job.mesh.name))}</div>'
            f"<nav>{''.join(links)}</nav>"
            f'<div class="facts">{"".join(facts)}</div></div></article>'
        )

    def _picture(self, result: JobResult, outputs: dict[str, str]) -> str:
        folder = result.job.folder
        source = outputs.get("turntable", outputs.get("preview"))
        thumbnail = None if source is None else self._thumbnail(folder / source)
        if source is None or thumbnail is None:
            return f'<div class="picture none">{escape(result.reason or result.status)}</div>'
        target = self._link(folder / outputs.get("viewer", outputs.get("preview", source)))
        turn = f' data-turn="{self._link(folder / source)}"' if source.endswith(".gif") else ""
        alt = escape(f"{result.job.mesh.stem}, {result.job.settings.prompt}")
        return (
            f'<a class="picture" href="{target}"{turn}>'
            f'<img src="data:image/jpeg;base64,{thumbnail}" alt="{alt}"></a>'
        )

    def _thumbnail(self, path: Path) -> str | None:
        """The first picture as JPEG in base64; None if there is none to be had."""
        key = str(path)
        if key not in self._thumbnails:
            try:
                with Image.open(path) as image:
                    image = image.convert("RGB")
            except OSError:
                return None
            image.thumbnail((THUMBNAIL_SIZE, THUMBNAIL_SIZE))
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=85)
            self._thumbnails[key] = base64.b64encode(buffer.getvalue()).decode()
        return self._thumbnails[key]

    def _link(self, path: Path) -> str:
        return escape(quote(path.relative_to(self._folder).as_posix(), errors="surrogateescape"))


class GalleryKeeper:
    """Keeps the page up to date while a batch runs, and leaves it so."""

    def __init__(self, folder: Path, standings: Standings) -> None:
        """Writes the page at the beginning and end of a `with`, and now and then in between."""
        self._gallery = Gallery(folder)
        self._standings = standings
        self._written_at = 0.0

    def __enter__(self) -> GalleryKeeper:
        """Returns itself."""
        self._write()
        return self

    def __exit__(self, *_: object) -> None:
        """Writes the page as it will stay."""
        self._write()

    def show(self, event: Event) -> None:
        """Write the page again if a job has ended, and it was some time ago."""
        if event.kind == "ended" and time.monotonic() - self._written_at > SECONDS_BETWEEN_PAGES:
            self._write()

    def _write(self) -> None:
        self._written_at = time.monotonic()
        with suppress(TexcsdError):  # The disk is full; the next run writes it.
            self._gallery.write(self._standings.results)


def _fill(template: str, **texts: str) -> str:
    # Cards last: what a prompt says is never taken for a placeholder.
    for name, text in texts.items():
        template = template.replace("{{" + name + "}}", text)
    return template


def _status(result: JobResult) -> str:
    """In one word: in which run a job was done is of no interest on the page."""
    return "painted" if result.status == "already painted" else result.status


def _bar(done: int, failed: int, total: int) -> str:
    shares = (100 * count / max(1, total) for count in (done, failed))
    return "".join(
        f'<i class="{name}" style="width:{share:.2f}%"></i>'
        for name, share in zip(("done", "failed"), shares, strict=True)
    )


def _report_facts(folder: Path) -> tuple[dict[str, str], float]:
    """The outputs and the time of a finished painting; nothing if its report is gone."""
    try:
        report: dict[str, Any] = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        return report["outputs"], report["seconds"]["total"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}, 0.0
