"""What the command line accepts, prints and returns. The painting is replaced by a fake."""

import dataclasses
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import texcsd
from texcsd import job, painting
from texcsd.cli import main
from texcsd.errors import TexcsdError
from texcsd.settings import EditSettings, PaintSettings, options

pytestmark = pytest.mark.usefixtures("untouched_process")

REPORT = {
    "outputs": {"mesh": "cube.glb"},
    "damage": {
        "cube.glb": {
            "max_position_delta": 3e-8,
            "max_uv_delta": 0.0,
            "vertices_copied": 1200,
            "primitives_decompressed": 1,
        },
        "cube.obj": {"max_position_delta": 0.0, "max_uv_delta": 0.0, "polygons_cut": 0},
    },
    "seams": {"seam_edges": 9, "across_seams": 3.21, "within_charts": 3.1},
    "texels": 2000,
    "unseen_texels": 10,
    "seconds": {"total": 1.0},
}


class FakePaint:
    folder = Path("outputs/cube-gold")

    def __init__(self) -> None:
        self.arguments: tuple = ()
        self.options: dict = {}
        self.raises: BaseException | None = None
        self.already_painted = False

    def __call__(self, *arguments, **options):
        self.arguments, self.options = arguments, options
        if self.raises is not None:
            raise self.raises
        return job.PaintResult(self.folder, REPORT, self.already_painted)

    @property
    def settings(self) -> PaintSettings:
        names = {field.name for field in dataclasses.fields(PaintSettings)}
        given = {name: value for name, value in self.options.items() if name in names}
        return PaintSettings(self.arguments[1], **given)


@pytest.fixture
def edit(monkeypatch: pytest.MonkeyPatch) -> FakePaint:
    fake = FakePaint()
    monkeypatch.setattr(job, "edit", fake)
    return fake


@pytest.fixture
def paint(monkeypatch: pytest.MonkeyPatch) -> FakePaint:
    fake = FakePaint()
    monkeypatch.setattr(job, "paint", fake)
    return fake


def test_without_options_the_defaults_are_those_of_the_settings(paint: FakePaint) -> None:
    assert main(["paint", "cube.obj", "gold"]) == 0
    assert paint.arguments == (Path("cube.obj"), "gold", None)
    assert paint.options == dict.fromkeys(["overwrite", "quiet", "offline", "live"], False)


@pytest.mark.parametrize("separator", ["-", "_"])
@pytest.mark.parametrize("joined", [True, False])
def test_every_setting_is_an_option_with_either_separator(
    paint: FakePaint, separator: str, joined: bool
) -> None:
    values = {str: "text_with-both", int: "77", float: "0.75"}
    for option in options():
        if option.name == "prompt" or option.kind is bool:
            continue
        value = option.choices[-1] if option.choices else values[option.kind]
        flag = "--" + option.name.replace("_", separator)
        assert (
            main(["paint", "a.obj", "b", *([f"{flag}={value}"] if joined else [flag, value])]) == 0
        )
        assert paint.options[option.name] == option.kind(value)


def test_a_switch_is_on_or_off_and_counts_more_than_the_file(paint: FakePaint, tmp_path) -> None:
    switches = [option.name for option in options() if option.kind is bool]
    assert "dmtet" in switches
    config = tmp_path / "settings.toml"
    config.write_text("".join(f"{name} = true\n" for name in switches))
    for name in switches:
        assert main(["paint", "a.obj", "b", f"--{name}"]) == 0 and paint.options[name] is True
        off = ["paint", "a.obj", "b", f"--no-{name}", "--config", str(config)]
        assert main(off) == 0 and paint.options[name] is False


def test_options_may_stand_anywhere(paint: FakePaint) -> None:
    words = ["paint", "--seed", "3", "cube.obj", "-o", "out_dir", "gold", "--overwrite", "--quiet"]
    assert main([*words, "--offline"]) == 0
    assert paint.arguments == (Path("cube.obj"), "gold", Path("out_dir"))
    switches = dict.fromkeys(["overwrite", "quiet", "offline"], True) | {"live": False}
    assert paint.options == switches | {"seed": 3}


def test_a_prompt_after_two_hyphens_stays_as_it_is(paint: FakePaint) -> None:
    assert main(["paint", "cube.obj", "--", "--under_score"]) == 0
    assert paint.arguments[1] == "--under_score"


def test_the_command_line_counts_more_than_the_file(paint: FakePaint, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text('steps = 5\nviews = 2\nprompt = "wood"\n')
    assert main(["paint", "cube.obj", "gold", "--config", str(config), "--steps", "9"]) == 0
    assert paint.settings == PaintSettings("gold", steps=9, views=2)


def test_an_error_in_the_file_is_one_line(paint, tmp_path, capsys) -> None:
    config = tmp_path / "settings.toml"
    config.write_text("step = 5\n")
    assert main(["paint", "cube.obj", "gold", "--config", str(config)]) == 1
    error = capsys.readouterr().err
    assert error == f'texcsd: {config}: unknown setting "step"; did you mean "steps"?\n'


def test_a_problem_of_the_user_is_one_line_and_status_1(paint, capsys) -> None:
    paint.raises = TexcsdError("cube.obj: no faces,\nonly points")
    assert main(["paint", "cube.obj", "gold"]) == 1
    assert capsys.readouterr() == ("", "texcsd: cube.obj: no faces, only points\n")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["print"],
        ["paint"],
        ["paint", "cube.obj"],
        ["paint", "cube.obj", "gold", "--unwrap", "sometimes"],
        ["paint", "cube.obj", "gold", "--steps", "many"],
        ["paint", "cube.obj", "gold", "--colour", "red"],
        ["paint", "cube.obj", "gold", "--quiet", "--verbose"],
        ["paint", "cube.obj", "gold", "--texture", "512"],
        ["paint", "cube.obj", "a", "leather", "armchair"],
    ],
)
def test_wrong_usage_is_status_2(paint, capsys, words: list[str]) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("usage: texcsd")


def test_ctrl_c_says_how_to_go_on(paint, capsys) -> None:
    paint.raises = KeyboardInterrupt()
    assert main(["paint", "cube.obj", "gold"]) == 130
    output, error = capsys.readouterr()
    assert output == ""
    assert error == "texcsd: interrupted; the same command goes on from the last checkpoint\n"


def test_a_bug_is_one_line_that_asks_for_a_report(paint, capsys) -> None:
    paint.raises = RuntimeError("tensors do not\nfit")
    assert main(["paint", "cube.obj", "gold"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(
        "texcsd: internal error, RuntimeError: tensors do not fit; please report"
    )
    assert error.count("\n") == 1


def test_verbose_shows_where_a_bug_is(paint, capsys) -> None:
    paint.raises = RuntimeError("tensors do not fit")
    assert main(["paint", "cube.obj", "gold", "--verbose"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("Traceback") and "test_cli.py" in error


def test_the_summary_names_the_files(paint, capsys) -> None:
    assert main(["paint", "cube.obj", "gold"]) == 0
    output = capsys.readouterr().out
    assert output.splitlines()[:2] == [f"painted: {Path('outputs/cube-gold')}", "  cube.glb"]
    assert "10 of 2,000 texels" in output
    expected = "positions differ by at most 3e-08, UVs by at most 0, all else equal"
    split = "split at seams: vertices 1,200; decompressed, to hold new UVs: primitives 1"
    assert f"  read back: {expected}; {split}\n" in output
    assert "  colours differ by 3.2 of 255 across seams, by 3.1 elsewhere\n" in output
    paint.already_painted = True
    assert main(["paint", "cube.obj", "gold"]) == 0
    assert capsys.readouterr().out.startswith("already painted: ")
    assert main(["paint", "cube.obj", "gold", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_folder_that_the_output_cannot_spell_is_printed_with_escapes(
    paint, monkeypatch, encoding: str
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    monkeypatch.setattr(FakePaint, "folder", Path("\u6905\u5b50") / os.fsdecode(b"st\xfchl"))
    assert main(["paint", "cube.obj", "gold"]) == 0
    name = "\u6905\u5b50" if encoding == "utf-8" else "\\u6905\\u5b50"
    first_line = written.getvalue().decode(encoding).splitlines()[0]
    assert first_line == f"painted: {name}{os.sep}st\\udcfchl"


def test_quiet_still_warns(paint, capsys, monkeypatch) -> None:
    def warn(*_: object, **__: object) -> job.PaintResult:
        painting.logger.info("only now and then of interest")
        painting.logger.warning("unknown word")
        return job.PaintResult(Path(), REPORT, False)

    monkeypatch.setattr(job, "paint", warn)
    assert main(["paint", "cube.obj", "gold", "--quiet"]) == 0
    assert capsys.readouterr().err == "texcsd: warning: unknown word\n"


def test_waiting_threads_sleep_unless_the_user_wants_otherwise(paint, monkeypatch) -> None:
    main(["paint", "cube.obj", "gold"])
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    main(["paint", "cube.obj", "gold"])
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


def test_python_m_texcsd_shows_the_version() -> None:
    command = [sys.executable, "-m", "texcsd", "--version"]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert finished.stdout == f"texcsd {texcsd.__version__}\n"


def test_help_shows_every_option_and_its_default(capsys) -> None:
    assert main(["paint", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for option in options():
        assert " ".join(option.help.split()) in text.replace("- ", "-")
    assert "--texture-size N Width and height of the texture, in texels. (default: 1024)" in text


def test_the_live_view_and_its_port_reach_painting(paint: FakePaint, capsys) -> None:
    assert main(["paint", "cube.glb", "gold", "--live", "--live-port", "9000"]) == 0
    assert (paint.options["live"], paint.options["live_port"]) == (True, 9000)
    assert main(["paint", "cube.glb", "gold", "--live"]) == 0
    assert paint.options["live"] is True and "live_port" not in paint.options
    capsys.readouterr()
    assert main(["paint", "cube.glb", "gold", "--live-port", "9000"]) == 1
    assert "add --live" in capsys.readouterr().err


EDIT = ["edit", "cube.glb", "--from", "brick", "--to", "wood"]


def test_edit_takes_both_prompts_and_leaves_the_rest_to_the_settings(edit: FakePaint) -> None:
    assert main([*EDIT, "-o", "out", "--only", "seat"]) == 0
    assert edit.arguments == (Path("cube.glb"), "brick", "wood", Path("out"))
    switches = dict.fromkeys(["overwrite", "quiet", "offline", "live"], False)
    assert edit.options == switches | {"only": "seat"}


def test_every_setting_of_editing_is_an_option(edit: FakePaint) -> None:
    values = {str: "text", int: "77", float: "0.75"}
    for option in options(EditSettings):
        if option.name not in ("prompt", "source_prompt"):
            value = option.choices[-1] if option.choices else values[option.kind]
            assert main([*EDIT, f"--{option.name.replace('_', '-')}", value]) == 0
            assert edit.options[option.name] == option.kind(value)


@pytest.mark.parametrize("flag", ["--from", "--to"])
def test_edit_without_one_of_the_prompts_is_wrong_usage(edit, capsys, flag: str) -> None:
    place = EDIT.index(flag)
    assert main(EDIT[:place] + EDIT[place + 2 :]) == 2
    assert flag in capsys.readouterr().err


def test_the_summary_of_an_editing_says_what_was_kept(edit, capsys, monkeypatch) -> None:
    monkeypatch.setitem(REPORT, "edit", {"kept_texels": 1234})
    assert main(EDIT) == 0
    output = capsys.readouterr().out
    assert output.startswith("edited: ")
    assert "  read back: 1,234 texels are the original's, to the bit\n" in output


def test_the_summary_says_which_materials_several_textures_are_of(
    paint, capsys, monkeypatch
) -> None:
    skin = {"file": "textures/skin.png", "materials": ["skin", "lip"], "uv_source": "input"}
    atlas = {"file": "textures/atlas.png", "materials": [], "uv_source": "xatlas"}
    monkeypatch.setitem(REPORT, "textures", [skin, atlas])
    assert main(["paint", "cube.obj", "gold"]) == 0
    printed = capsys.readouterr().out
    assert "  textures/skin.png: skin, lip (their own UVs)\n" in printed
    assert "  textures/atlas.png: what has no material (new UVs)\n" in printed


def test_view_opens_the_page_of_a_result_folder(tmp_path, capsys, monkeypatch) -> None:
    opened, found = [], True
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or found)
    assert main(["view", str(tmp_path)]) == 1
    assert "holds no viewer.html; give the folder of a finished" in capsys.readouterr().err
    (tmp_path / "viewer.html").write_text("page")
    assert main(["view", str(tmp_path)]) == 0
    assert opened == [(tmp_path / "viewer.html").as_uri()]
    found = False
    assert main(["view", str(tmp_path)]) == 1
    assert "no browser was found" in capsys.readouterr().err


PAINTED = """
import sys, types
from texcsd.cli import main
result = types.SimpleNamespace(already_painted=False, folder="x", report={})
sys.modules["texcsd.job"] = types.SimpleNamespace(paint=lambda *_, **__: result)
result.report = {"outputs": {}, "damage": {}, "texels": 0, "unseen_texels": 0, "seconds": {}}
result.report["seams"] = {"across_seams": None, "within_charts": None}
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGPIPE")
@pytest.mark.parametrize("words", [["paint", "--help"], ["--version"], ["paint", "a.obj", "gold"]])
def test_a_closed_pipe_is_not_an_error_to_shout_about(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", PAINTED, *words]
    buffered = os.environ | {"PYTHONUNBUFFERED": ""}
    finished = subprocess.run(
        command, stdout=writer, stderr=subprocess.PIPE, env=buffered, check=False
    )
    os.close(writer)
    assert finished.stderr == b""
    # Some versions of argparse write a long help at once, and ignore that nobody reads it.
    assert finished.returncode in ([0, 141] if words[-1] == "--help" else [141])
