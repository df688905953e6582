"""Tables as people write them, and what is said of those that are wrong."""

import json
from pathlib import Path

import pytest

from texcsd.batching.table import read_table, row_settings
from texcsd.errors import TexcsdError


def written(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "a.csv",
            "mesh, prompt ,steps,prior-scale\r\na.obj,red leather,20,0.5\r\n\r\n*.glb,gold,,\r\n",
        ),
        ("a.csv", "\ufeffmesh,prompt,steps,prior_scale\na.obj,red leather,20,0.5\n*.glb,gold,,\n"),
        (
            "a.jsonl",
            '{"mesh": "a.obj", "prompt": "red leather", "steps": 20, "prior_scale": 0.5}\n\n'
            '{"mesh": "*.glb", "prompt": "gold"}\n',
        ),
        (
            "a.toml",
            '[[job]]\nmesh = "a.obj"\nprompt = "red leather"\nsteps = 20\nprior-scale = 0.5\n'
            '[[job]]\nmesh = "*.glb"\nprompt = "gold"\n',
        ),
    ],
)
def test_the_same_jobs_in_every_format(tmp_path, name, text) -> None:
    rows = read_table(written(tmp_path, name, text))
    assert [row_settings(row) for row in rows] == [
        {"mesh": "a.obj", "prompt": "red leather", "steps": 20, "prior_scale": 0.5},
        {"mesh": "*.glb", "prompt": "gold"},
    ]


def test_places_are_lines_of_the_file_also_after_a_cell_of_two_lines(tmp_path) -> None:
    path = written(tmp_path, "a.csv", 'prompt\n"red\nleather"\ngold\n')
    assert [row.place for row in read_table(path)] == [f"{path}, line 3", f"{path}, line 4"]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_nothing_but_the_end_of_a_line_ends_a_line(tmp_path, separator, ending) -> None:
    prompt = f"red{separator}leather"
    csv = ending.join(["prompt,name", f"{prompt},a", "gold,b", ""])
    lines = ending.join(
        json.dumps({"prompt": text, "name": name}, ensure_ascii=False)
        for text, name in ((prompt, "a"), ("gold", "b"))
    )
    for file, text in (("a.csv", csv), ("a.jsonl", lines)):
        rows = read_table(written(tmp_path, file, text))
        assert [row_settings(row)["prompt"] for row in rows] == [prompt, "gold"]
        assert rows[1].place.endswith("line 3" if file == "a.csv" else "line 2")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.txt", "prompt\n", "is no table texcsd reads"),
        ("a.csv", "prompt\n", "has no rows"),
        ("a.csv", "prompt\ngold,7\n", r"line 2 has 1 cell\(s\) too many"),
        ("a.csv", 'prompt\n"gold\n', "cannot be read"),
        ("a.csv", "prompt,name,prompt\ngold,a,oak\n", 'has the column "prompt" twice'),
        ("a.csv", "texture-size, texture_size\n64,128\n", 'has the column "texture_size" twice'),
        ("a.jsonl", '{"prompt": "gold"\n', "cannot be read"),
        ("a.jsonl", '["gold"]\n', "line 1: expected names and values"),
        ("a.toml", 'prompt = "gold"\n', "expected nothing but"),
        ("a.toml", "[[job]\n", "cannot be read"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_line(tmp_path, name, text, says) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(TexcsdError, match=says) as caught:
        read_table(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_table_that_is_not_there_is_named(tmp_path) -> None:
    with pytest.raises(TexcsdError, match=r"no\.csv: cannot be read"):
        read_table(tmp_path / "no.csv")


def test_an_unknown_column_is_named_with_the_nearest_one(tmp_path) -> None:
    (row,) = read_table(written(tmp_path, "a.csv", "promt\ngold\n"))
    with pytest.raises(TexcsdError, match='unknown column "promt"; did you mean "prompt"'):
        row_settings(row)


def test_a_mesh_is_text(tmp_path) -> None:
    (row,) = read_table(written(tmp_path, "a.jsonl", '{"mesh": 3}\n'))
    with pytest.raises(TexcsdError, match="mesh is 3; expected text"):
        row_settings(row)


def test_switches_are_true_or_false_and_other_words_stay_to_be_refused(tmp_path) -> None:
    table = "mesh,dmtet,strict\na.obj,true,FALSE\nb.obj,yes,\n"
    first, second = read_table(written(tmp_path, "a.csv", table))
    assert row_settings(first) == {"mesh": "a.obj", "dmtet": True, "strict": False}
    assert row_settings(second) == {"mesh": "b.obj", "dmtet": "yes"}
