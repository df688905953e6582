"""The page with all jobs: complete, by itself, and safe whatever prompts and files are called."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from texcsd.batching.gallery import Gallery
from texcsd.batching.records import Job
from texcsd.batching.results import JobResult
from texcsd.settings import PaintSettings

NASTY = "<b>gold</b> & \"{{cards}}\" </script><script>alert('x')"


@pytest.fixture
def results(tmp_path: Path) -> list[JobResult]:
    folder = tmp_path / "a #1 %20"
    folder.mkdir()
    frames = [Image.new("RGB", (320, 320), color) for color in ("red", "blue")]
    frames[0].save(folder / "turn.gif", save_all=True, append_images=frames[1:])
    outputs = {"preview": "preview.png", "turntable": "turn.gif", "mesh": "a.glb"}
    report = {"outputs": outputs, "seconds": {"total": 61.0}}
    (folder / "run.json").write_text(json.dumps(report))
    settings = PaintSettings(NASTY)

    def result(name: str, *standing: str) -> JobResult:
        return JobResult(Job(name, Path("/home/ann/a&b.obj"), tmp_path / name, settings), *standing)

    return [
        result(folder.name, "already painted"),
        result("b", "failed", "no <faces>", "problem"),
        result("c"),
        result("gone", "painted"),
    ]


def test_files_whose_names_are_no_utf8_are_shown_and_linked(tmp_path) -> None:
    (tmp_path / "cafe").mkdir()
    report = {"outputs": {"mesh": "caf\udce9.glb"}, "seconds": {"total": 1.0}}
    (tmp_path / "cafe" / "run.json").write_text(json.dumps(report))
    job = Job("cafe", Path("caf\udce9.obj"), tmp_path / "cafe", PaintSettings("gold"))
    page = Gallery(tmp_path).write([JobResult(job, "painted")]).read_text(encoding="utf-8")
    assert 'href="cafe/caf%E9.glb"' in page and "caf\\udce9.obj" in page


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def page(results, tmp_path) -> Page:
    return Page(Gallery(tmp_path).write(results).read_text(encoding="utf-8"))


def test_every_job_has_a_card_of_its_status(page) -> None:
    kinds = [article["class"] for article in page.all("article")]
    assert kinds == ["painted", "failed", "not done", "painted"]
    assert any("4 jobs: 2 painted, 1 failed, 1 not done" in text for text in page.texts)
    assert "no <faces>" in page.texts and "1:01" in page.texts


def test_the_page_says_nothing_of_where_files_are_on_this_machine(page, tmp_path) -> None:
    assert page.texts.count("a&b.obj") == 4
    text = (tmp_path / "index.html").read_text()
    assert "/home/ann" not in text and str(tmp_path) not in text


def test_prompts_are_text_whatever_is_in_them(page) -> None:
    assert page.texts.count(NASTY) == 4
    assert len(page.all("script")) == 1 and not page.all("b")


def test_links_are_relative_and_lead_to_the_files(page, tmp_path) -> None:
    links = [link["href"] for link in page.all("a")]
    assert "a%20%231%20%2520/a.glb" in links
    assert not any(re.match(r"[a-z]+:|/", link) for link in links)
    assert {picture.get("data-turn") for picture in page.all("a")} >= {"a%20%231%20%2520/turn.gif"}


def test_nothing_is_loaded_from_elsewhere(page, tmp_path) -> None:
    (image,) = page.all("img")
    assert image["src"].startswith("data:image/jpeg;base64,")
    assert not page.all("link")
    text = (tmp_path / "index.html").read_text()
    assert "http" not in text and "{{" not in text.replace("{{cards}}", "")


def test_pictures_are_read_once(results, tmp_path) -> None:
    gallery = Gallery(tmp_path)
    first = gallery.write(results).read_text()
    (results[0].job.folder / "turn.gif").unlink()
    assert first.count("base64") == gallery.write(results).read_text().count("base64") == 1
