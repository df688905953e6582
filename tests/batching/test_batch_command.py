"""`texcsd batch` as a person types it."""

import pytest

from texcsd.cli import main

pytestmark = pytest.mark.usefixtures("untouched_process")
QUICK = ["--steps", "3", "--views", "1", "--texture-size", "16"]


def test_a_batch_says_what_it_did_and_fails_if_a_job_did(
    assets, tmp_path, synthesis, capsys
) -> None:
    words = ["batch", str(assets), "--prompt", "gold", "-o", str(tmp_path / "out"), *QUICK]
    assert main([*words, "--executor", "in-turn"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "3 painted, 1 failed"
    assert out.splitlines()[-1] == f"gallery: {tmp_path / 'out' / 'index.html'}"
    assert err.splitlines()[-1] == (
        f"texcsd: {tmp_path / 'out'}: 1 of 4 jobs are not done; the table says why; the same "
        "command does only what is missing"
    )
    assert main([*words, "--exclude", "points.obj", "--executor", "in-turn"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "3 already painted"


def test_bad_rows_are_listed_and_nothing_is_begun(assets, tmp_path, synthesis, capsys) -> None:
    table = tmp_path / "table.csv"
    table.write_text("mesh,prompt,steps\nno.obj,gold,\ncube.obj,gold,many\n")
    words = ["batch", str(assets), "--prompts", str(table), "-o", str(tmp_path / "out")]
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"{table}, line 2: mesh no.obj is not in {assets}; check the path",
        f'{table}, line 3: steps is "many"; expected a whole number',
    ]
    assert err == "texcsd: 2 problem(s), listed above; nothing was painted\n"
    assert not (tmp_path / "out").exists()


def test_a_dry_run_counts_the_steps_of_the_shape(assets, tmp_path, synthesis, capsys) -> None:
    words = ["batch", str(assets), "--prompt", "gold", "-o", str(tmp_path / "out"), "--dry-run"]
    words += ["--exclude", "points.obj"]

    def seconds() -> float:
        minutes, _, rest = capsys.readouterr().out.splitlines()[0].split()[0].partition(":")
        return 60 * int(minutes) + int(rest)

    assert main(words) == 0
    plain = seconds()
    assert main([*words, "--displace", "0.03"]) == 0
    assert seconds() > plain + 15


def test_a_dry_run_checks_meshes_tells_times_and_writes_nothing(
    assets, tmp_path, synthesis, capsys
) -> None:
    words = ["batch", str(assets), "--prompt", "gold", "-o", str(tmp_path / "out"), "--dry-run"]
    assert main(words) == 1
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert sum("to be painted, 4 triangles, 150 steps" in line for line in lines) == 3
    assert any(line.startswith("FAILS  points-gold: ") and "no faces" in line for line in lines)
    assert lines[-1].startswith("4 jobs, about ")
    assert err == "texcsd: 1 of 4 jobs cannot be done; nothing was painted\n"
    assert not (tmp_path / "out").exists()
    assert main([*words, "--exclude", "points.obj"]) == 0
