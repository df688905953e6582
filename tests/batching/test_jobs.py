"""Which jobs a folder and a table make, under which names and seeds."""

import itertools
from pathlib import Path

import pytest

from texcsd.batching.jobs import Assets, BadJobsError, plan_jobs
from texcsd.batching.records import Job
from texcsd.batching.table import Row
from texcsd.errors import TexcsdError

OUTPUT = Path("painted")


def plan(assets: Path, *rows: dict, include=(), exclude=("points.obj",), **settings) -> list[Job]:
    found = Assets(assets, OUTPUT, include, exclude)
    listed = [Row(f"row {number}", row, is_text=False) for number, row in enumerate(rows, 1)]
    return plan_jobs(found, listed or [Row("", {}, is_text=False)], settings, OUTPUT)


def names(jobs: list[Job]) -> list[str]:
    return [job.name for job in jobs]


def test_a_folder_is_searched_with_its_folders(assets) -> None:
    jobs = plan(assets, prompt="red leather")
    expected = ["cube-red-leather", "vase-red-leather", "chairs/stool-red-leather"]
    assert names(jobs) == expected
    assert [job.folder for job in jobs] == [OUTPUT / name for name in expected]


def test_results_hidden_folders_and_other_files_are_left_out(assets) -> None:
    for name in (".hidden", "result", "painted"):
        (assets / name).mkdir()
        (assets / name / "copy.obj").write_text("")
    (assets / "result" / "run.json").write_text("{}")
    (assets / "notes.txt").write_text("")
    found = Assets(assets, assets / "painted").found
    assert [mesh.name for mesh in found] == [
        "cube.obj",
        "points.obj",
        "vase.obj",
        "stool.obj",
    ]


def test_patterns_match_the_path_or_the_name(assets) -> None:
    assert names(plan(assets, prompt="gold", include=["chairs/*"])) == ["chairs/stool-gold"]
    assert names(plan(assets, prompt="gold", include=["v*.obj"])) == ["vase-gold"]
    left = plan(assets, prompt="gold", exclude=["points.obj", "*/stool.*", "cube.obj"])
    assert names(left) == ["vase-gold"]


def test_patterns_hold_for_meshes_that_rows_name_too(assets) -> None:
    rows = {"mesh": "vase.obj"}, {"mesh": "chairs/*"}
    assert names(plan(assets, *rows, prompt="gold", include=["v*"])) == ["vase-gold"]
    with pytest.raises(BadJobsError, match="no mesh is left"):
        plan(assets, *rows, prompt="gold", exclude=["*"])


def test_one_mesh_will_do(assets) -> None:
    assert names(plan(assets / "cube.obj", prompt="gold")) == ["cube-gold"]


def test_a_row_is_for_its_mesh_its_pattern_or_all_meshes(assets) -> None:
    jobs = plan(
        assets,
        {"mesh": "vase.obj", "prompt": "gold"},
        {"mesh": "chairs/*", "prompt": "oak"},
        {"prompt": "marble"},
    )
    assert sorted(names(jobs)) == [
        "chairs/stool-marble", "chairs/stool-oak", "cube-marble", "vase-gold", "vase-marble",
    ]  # fmt: skip


def test_rows_count_more_than_what_holds_for_all(assets) -> None:
    rows = {"mesh": "vase.obj", "steps": 7}, {"mesh": "cube.obj", "prompt": "oak", "seed": 3}
    vase, cube = (job.settings for job in plan(assets, *rows, prompt="gold", steps=9, seed=4))
    assert (vase.prompt, vase.steps, vase.seed) == ("gold", 7, 4)
    assert (cube.prompt, cube.steps, cube.seed) == ("oak", 9, 3)


def test_seeds_come_from_names_and_not_from_the_other_jobs_or_their_order(assets) -> None:
    rows = [{"mesh": "vase.obj"}, {"mesh": "cube.obj"}, {"mesh": "cube.obj", "prompt": "oak"}]
    seeds = {job.name: job.settings.seed for job in plan(assets, *rows, prompt="gold")}
    turned = {job.name: job.settings.seed for job in plan(assets, *rows[::-1], prompt="gold")}
    (alone,) = plan(assets, rows[0], prompt="gold")
    assert seeds == turned
    assert seeds["vase-gold"] == alone.settings.seed
    assert len({*seeds.values()}) == 3


def test_jobs_of_one_model_and_of_one_mesh_follow_each_other(assets) -> None:
    rows = [{"prompt": "gold"}, {"prompt": "oak", "model": "sdxl"}, {"prompt": "marble"}]
    jobs = plan(assets, *rows)
    order = [(job.settings.model, job.mesh) for job in jobs]
    assert len({*order}) == 1 + sum(a != b for a, b in itertools.pairwise(order))


def test_all_that_is_wrong_is_said_at_once_and_where(assets) -> None:
    with pytest.raises(BadJobsError) as caught:
        plan(
            assets,
            {"mesh": "no.obj", "prompt": "gold"},
            {"mesh": "vase.obj"},
            {"mesh": "vase.obj", "prompt": "gold", "steps": 0},
            {"mesh": "vase.obj", "prompt": "gold", "stepz": 1},
            {"mesh": "vase.obj", "prompt": "qwertz"},
            {"prompt": "gold", "name": "one"},
            {"mesh": "vase.obj", "prompt": "gold", "name": "../vase"},
            {"mesh": "vase.obj", "prompt": "!!!"},
            {"mesh": "cube.obj", "prompt": "oak"},
            {"mesh": "cube.obj", "prompt": "Oak!"},
        )
    expected = [
        "row 1: mesh no.obj is not in", "row 2: has no prompt", "row 3: steps is 0",
        'row 4: unknown column "stepz"', "row 5: the model knows no material",
        'row 6: name "one" would be that of 3 meshes', 'row 7: name "../vase"',
        'row 8: no word is in "!!!"',
        "would both go to painted/cube-oak",
    ]  # fmt: skip
    assert len(caught.value.problems) == len(expected)
    for problem, says in zip(caught.value.problems, expected, strict=True):
        assert says in problem


def test_no_result_may_be_inside_another(assets) -> None:
    rows = {"mesh": "vase.obj", "name": "a"}, {"mesh": "cube.obj", "name": "A/textures"}
    with pytest.raises(BadJobsError, match="inside the result of another"):
        plan(assets, *rows, prompt="gold")


def test_a_folder_has_one_name_however_it_is_written(assets) -> None:
    rows = {"mesh": "vase.obj", "name": "./a//b/"}, {"mesh": "cube.obj", "name": "c"}
    jobs = plan(assets, *rows, prompt="gold")
    assert sorted(names(jobs)) == ["a/b", "c"]
    for again in ("c/", "./c", "C"):
        with pytest.raises(BadJobsError, match="would both go to"):
            plan(assets, *rows, {"mesh": "vase.obj", "name": again}, prompt="gold")


@pytest.mark.parametrize("name", ["batch.jsonl", "index.html", "Index.HTML/a", "./batch.jsonl"])
def test_files_of_the_batch_itself_are_no_names(assets, name) -> None:
    with pytest.raises(BadJobsError, match="file of the batch itself"):
        plan(assets, {"mesh": "vase.obj", "name": name}, prompt="gold")


@pytest.mark.parametrize("name", ["", ".", "/a", "a:b", "a\0b", "a\nb", "caf\udce9"])
def test_what_cannot_be_a_folder_is_no_name(assets, name) -> None:
    with pytest.raises(BadJobsError, match="is no folder below the output"):
        plan(assets, {"mesh": "vase.obj", "name": name}, prompt="gold")


def test_a_mesh_whose_name_is_no_utf8_gets_a_name_that_can_be_written(assets) -> None:
    paths = [assets / "caf\udce9.obj", assets / "caf\udcea.obj"]
    for path in paths:
        try:
            path.write_text("")
        except (OSError, UnicodeError):
            pytest.skip("the file system has no such names")
    jobs = plan(assets, prompt="gold", include=["caf*"])
    assert names(jobs) == ["caf%DCE9-gold", "caf%DCEA-gold"]
    assert [job.mesh for job in jobs] == paths
    assert jobs[0].settings.seed != jobs[1].settings.seed


def test_problems_with_such_a_mesh_can_be_printed(assets) -> None:
    with pytest.raises(BadJobsError) as caught:
        plan(assets, {"mesh": "caf\udce9.obj", "prompt": "gold"})
    assert str(caught.value).encode().startswith(b"row 1: mesh caf\\udce9.obj is not in")


def test_meshes_named_in_rows_are_looked_for_nowhere_else(assets, tmp_path) -> None:
    (tmp_path / "table").mkdir()
    jobs = plan(tmp_path / "table", {"mesh": "../assets/vase.obj"}, prompt="gold")
    assert names(jobs) == ["vase-gold"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_meshes_is_an_error(tmp_path, exists) -> None:
    folder = tmp_path if exists else tmp_path / "no"
    with pytest.raises(TexcsdError, match="holds no mesh" if exists else "no such folder"):
        plan(folder, prompt="gold")
