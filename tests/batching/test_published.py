"""A second place for results: complete or not there, and good for going on elsewhere."""

import json
import shutil
import uuid

import fsspec
import pytest
from test_batch import pictures, run, statuses

from texcsd.batching.published import PublishedResults
from texcsd.errors import TexcsdError


@pytest.fixture(params=["file", "memory"])
def url(request, tmp_path) -> str:
    path = tmp_path / "elsewhere" if request.param == "file" else f"/{uuid.uuid4()}"
    return f"{request.param}://{path}/painted"


def published(url: str) -> dict[str, bytes]:
    files, root = fsspec.core.url_to_fs(url)
    return {path.removeprefix(root).lstrip("/"): files.cat_file(path) for path in files.find(root)}


def test_a_batch_is_published_and_taken_from_there(assets, tmp_path, synthesis, url) -> None:
    options = {"exclude": ["points.obj"], "publish": url}
    run(assets, tmp_path / "out", **options)
    everything = published(url)
    assert {"index.html", "batch.jsonl", "cube-gold/run.json"} <= everything.keys()
    assert pictures(tmp_path / "out").items() <= everything.items()
    taken = synthesis.steps_taken
    again = run(assets, tmp_path / "another machine", **options)
    assert {*statuses(again).values()} == {"already painted"}
    assert synthesis.steps_taken == taken
    assert pictures(tmp_path / "another machine") == pictures(tmp_path / "out")


def test_what_could_not_be_published_is_in_the_next_run_and_not_painted_again(
    assets, tmp_path, synthesis
) -> None:
    (tmp_path / "elsewhere").write_text("a file is in the way")
    options = {"include": ["cube.obj"], "publish": f"file://{tmp_path}/elsewhere"}
    (failed,) = run(assets, tmp_path / "out", **options).failed
    assert "check --publish" in failed.reason
    (tmp_path / "elsewhere").unlink()
    assert statuses(run(assets, tmp_path / "out", include=["cube.obj"])) == {"cube-gold": "painted"}
    taken = synthesis.steps_taken
    assert not run(assets, tmp_path / "out", **options).failed
    assert synthesis.steps_taken == taken
    assert (tmp_path / "elsewhere" / "cube-gold" / "cube.glb").is_file()


def test_a_published_result_is_verified_not_trusted(assets, tmp_path, synthesis, url) -> None:
    options = {"include": ["cube.obj"], "publish": url}
    run(assets, tmp_path / "out", **options)
    files, root = fsspec.core.url_to_fs(url)
    files.pipe_file(f"{root}/cube-gold/cube.glb", b"spoilt")
    shutil.rmtree(tmp_path / "out")
    assert statuses(run(assets, tmp_path / "out", **options)) == {"cube-gold": "refused"}
    run(assets, tmp_path / "out", on_change="repaint", **options)
    assert (
        published(url)["cube-gold/cube.glb"] == (tmp_path / "out/cube-gold/cube.glb").read_bytes()
    )


def test_a_report_that_names_files_elsewhere_is_refused(assets, tmp_path, synthesis, url) -> None:
    options = {"include": ["cube.obj"], "publish": url}
    files, root = fsspec.core.url_to_fs(url)
    files.makedirs(f"{root}/cube-gold", exist_ok=True)
    report = json.dumps({"outputs": {"mesh": "../../x"}}).encode()
    files.pipe_file(f"{root}/cube-gold/run.json", report)
    assert "outside its folder" in run(assets, tmp_path / "out", **options).failed[0].reason
    assert not list(tmp_path.rglob("x"))


def test_an_unknown_kind_of_place_is_an_error_before_anything_is_painted(
    assets, tmp_path, synthesis
) -> None:
    with pytest.raises(TexcsdError, match="nowhere://x: cannot be reached"):
        PublishedResults("nowhere://x")
