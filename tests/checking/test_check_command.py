"""`texcsd check`: what it prints, and its exit status."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from checking_shapes import CUBE_SIDES, write_cube

import texcsd
from texcsd.cli import main
from texcsd.guidance.hub import HUB_IDS

pytestmark = pytest.mark.usefixtures("untouched_process")

FLIPPED = [CUBE_SIDES[0][::-1], *CUBE_SIDES[1:]]


@pytest.fixture
def cube(tmp_path: Path) -> Path:
    return write_cube(tmp_path / "cube.obj")


@pytest.fixture
def flawed(tmp_path: Path) -> Path:
    return write_cube(tmp_path / "flawed.obj", "f 1/1 1/1 2/2\n", FLIPPED)


def test_the_table_says_what_is_there_and_what_painting_would_do(cube: Path, capsys):
    assert main(["check", str(cube), "--texture-size", "2048"]) == 0
    output, error = capsys.readouterr()
    assert error == ""
    assert output.startswith(f"{cube}: can be painted\n")
    for text in (
        "12 triangles from 6 polygons, 8 vertices, 1 part, 0 materials",
        "2 x 2 x 2, from (3, -1, 0) to (5, 1, 2), the file names no unit",
        "1 piece; edges: 0 open, 0 non-manifold; faces: 0 degenerate",
        "6 charts on 54% of the texture",
        "at 2048 texels: 307.2 texels per unit",
        "the uv are kept",
        "150 steps of 6 views take about\n",
    ):
        assert text in output
    assert "problems" not in output and "notes" not in output


def test_the_table_says_of_every_model_whether_its_row_was_measured(cube: Path, capsys):
    assert main(["check", str(cube)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "GiB" in line]
    assert [row[0] for row in rows] == ["embedded", *HUB_IDS]
    assert [row[-1] for row in rows] == ["(measured)"] * 2 + ["(calculated)"] * 4


@pytest.mark.parametrize("stage", [["--displace", "0.03"], ["--dmtet", "--dmtet-steps", "100"]])
def test_the_stage_for_the_shape_is_counted_in(cube: Path, stage: list[str], capsys):
    assert main(["check", str(cube), *stage]) == 0
    assert "100 steps of the shape and 150 steps of 6 views" in capsys.readouterr().out
    options = {"displace": 0.03} if "--displace" in stage else {"dmtet": True, "dmtet_steps": 100}
    with_shape = texcsd.check(cube, **options).report["painting"]["seconds"]
    assert with_shape > texcsd.check(cube).report["painting"]["seconds"] + 15


def test_what_makes_no_difference_is_no_option_of_check(cube: Path, capsys):
    with pytest.raises(TypeError, match="no option guidance"):
        texcsd.check(cube, guidance="sds")
    assert main(["check", str(cube), "--displace", "7"]) == 1
    assert "displace is 7.0; choose a number from 0.0 to 0.1" in capsys.readouterr().err


def test_problems_and_notes_are_listed(flawed: Path, capsys):
    assert main(["check", str(flawed)]) == 0
    lines = capsys.readouterr().out.splitlines()
    problems = lines[lines.index("problems") + 1 :]
    assert problems == ["  - faces without area: 1", "  - faces wound against the others: 2"]


def test_json_is_one_object_and_nothing_else(flawed: Path, capsys):
    assert main(["check", str(flawed), "--json"]) == 0
    output, error = capsys.readouterr()
    assert json.loads(output) == texcsd.check(flawed).report
    assert error == ""


def test_strict_is_about_problems_and_not_about_notes(cube: Path, flawed: Path, tmp_path, capsys):
    assert main(["check", str(cube), "--strict"]) == 0
    opened = write_cube(tmp_path / "open.obj", sides=CUBE_SIDES[:5])
    assert main(["check", str(opened), "--strict"]) == 0
    assert "notes" in capsys.readouterr().out
    assert main(["check", str(flawed), "--strict", "--quiet"]) == 1
    output, error = capsys.readouterr()
    assert output == ""
    assert error == (
        f"texcsd: {flawed}: 2 problem(s): faces without area: 1; "
        "faces wound against the others: 2\n"
    )


def test_strict_json_is_complete_all_the_same(flawed: Path, capsys):
    assert main(["check", str(flawed), "--strict", "--json"]) == 1
    output, error = capsys.readouterr()
    assert len(json.loads(output)["problems"]) == 2
    assert error.count("\n") == 1


@pytest.mark.parametrize("flags", [[], ["--json"], ["--strict"], ["-o", "out"]])
def test_what_cannot_be_painted_is_status_1_and_one_line(tmp_path, monkeypatch, capsys, flags):
    monkeypatch.chdir(tmp_path)
    Path("points.obj").write_text("v 0 0 0\n")
    assert main(["check", "points.obj", *flags]) == 1
    output, error = capsys.readouterr()
    assert output == ""
    assert error == (
        "texcsd: points.obj: no faces, only 1 point(s); texcsd needs a triangle mesh.\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["points.obj"]


def test_the_folder_is_named_where_it_was_asked_for(cube: Path, tmp_path: Path, capsys):
    assert main(["check", str(cube), "-o", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.endswith(f"written: {tmp_path / 'out'}\n")
    assert (tmp_path / "out" / "coverage.png").exists()


@pytest.mark.parametrize("words", [["check"], ["check", "a.obj", "b.obj"], ["check", "--steps"]])
def test_wrong_usage_is_status_2(words: list[str]):
    assert main(words) == 2


def test_no_model_library_is_imported(cube: Path, tmp_path: Path):
    script = (
        "import sys; from texcsd.cli import main\n"
        f"assert main(['check', {str(cube)!r}, '-o', {str(tmp_path / 'out')!r}]) == 0\n"
        "names = ('diffusers', 'transformers', 'texcsd.guidance', 'texcsd.embedded')\n"
        "print('loaded:', *[name for name in names if name in sys.modules])\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert output.splitlines()[-1] == "loaded:"
