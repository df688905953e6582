"""A checkpoint comes back bit for bit, and a crash never leaves half of one."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from texcsd import checkpoint
from texcsd.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint, write_bytes_atomically
from texcsd.errors import TexcsdError


def tensors_of_many_kinds() -> dict[str, torch.Tensor]:
    return {
        "texture": torch.randn(1, 5, 4, 3),
        "half": torch.randn(7).to(torch.bfloat16),
        "transposed": torch.randn(3, 4).T,
        "step": torch.tensor(3.0),
        "generator": torch.Generator().manual_seed(5).get_state(),
        "seen": torch.tensor([[True, False]]),
        "empty": torch.zeros(0, 3),
        "special": torch.tensor([float("nan"), float("inf"), -0.0]),
    }


def test_tensors_and_state_come_back_bit_for_bit(tmp_path: Path) -> None:
    tensors = tensors_of_many_kinds()
    state = {"step": 7, "loss": 0.1 + 0.2, "nested": {"words": ["gold", "größe"]}, "none": None}
    save_checkpoint(tmp_path, tensors, state)
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded[1] == state
    assert loaded[0].keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[0][name].dtype == tensor.dtype
        torch.testing.assert_close(loaded[0][name], tensor, rtol=0, atol=0, equal_nan=True)


def test_parameters_that_require_gradients_can_be_saved(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {"levels": torch.nn.Parameter(torch.ones(3))}, {})
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None and torch.equal(loaded[0]["levels"], torch.ones(3))


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None


def test_only_the_checkpoint_is_left_in_the_folder(tmp_path: Path) -> None:
    for step in range(3):
        save_checkpoint(tmp_path, {"x": torch.full((3,), float(step))}, {"step": step})
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


@pytest.mark.parametrize("kept", [0, 4, 8, 100, -1])
def test_a_truncated_checkpoint_names_the_file_to_delete(tmp_path: Path, kept: int) -> None:
    save_checkpoint(tmp_path, {"x": torch.randn(100)}, {"step": 1})
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(TexcsdError, match=f"{CHECKPOINT}: is damaged .*; delete it") as raised:
        load_checkpoint(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_foreign_file_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"PK\x03\x04 a pickle in a zip, perhaps" * 10)
    with pytest.raises(TexcsdError, match="is damaged"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("operation", ["fsync", "replace"])
def test_a_full_disk_keeps_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    save_checkpoint(tmp_path, {"x": torch.zeros(3)}, {"step": 1})

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, operation, fail)
        with pytest.raises(TexcsdError, match=r"cannot be written \(No space left on device\)"):
            save_checkpoint(tmp_path, {"x": torch.ones(3)}, {"step": 2})
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None and loaded[1] == {"step": 1} and not loaded[0]["x"].any()
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_that_is_really_full_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / ".picture.png.partial").symlink_to("/dev/full")
    with pytest.raises(TexcsdError, match=r"picture\.png: cannot be written \(No space left"):
        write_bytes_atomically(tmp_path / "picture.png", b"x" * 100_000)


def test_a_missing_folder_is_an_error_of_one_line(tmp_path: Path) -> None:
    for write in (
        lambda: save_checkpoint(tmp_path / "gone", {"x": torch.zeros(3)}, {}),
        lambda: write_bytes_atomically(tmp_path / "gone" / "a.png", b""),
    ):
        with pytest.raises(TexcsdError, match="cannot be written") as raised:
            write()
        assert "\n" not in str(raised.value)


def test_bytes_replace_a_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    for content in (b"long" * 1000, b"", b"short"):
        write_bytes_atomically(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import sys, torch
from pathlib import Path
from texcsd.checkpoint import save_checkpoint
for step in range(1_000_000):
    save_checkpoint(Path(sys.argv[1]), {"x": torch.full((200_000,), float(step))}, {"step": step})
    if step == 3:
        print("running", flush=True)
"""


def test_a_process_killed_while_saving_leaves_tensors_that_belong_to_their_state(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"running\n"
        time.sleep(0.1)
        process.kill()
    # Nothing under a name that the next process does not know and tidy up.
    path = tmp_path / CHECKPOINT
    assert {*tmp_path.iterdir()} <= {path, checkpoint.partial_path(path)}
    tensors, state = load_checkpoint(tmp_path) or ({}, {})
    assert torch.equal(tensors["x"], torch.full((200_000,), float(state["step"])))
    save_checkpoint(tmp_path, {}, {})
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_tensors_do_not_keep_the_file_open(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, {"x": torch.zeros(1000)}, {})
    tensors, _ = load_checkpoint(tmp_path) or ({}, {})
    with open(tmp_path / CHECKPOINT, "r+b") as file:
        file.seek(-4000, os.SEEK_END)
        file.write(b"\xff" * 4000)
    assert not tensors["x"].any()


def test_the_module_never_unpickles() -> None:
    source = Path(checkpoint.__file__).read_text(encoding="utf-8")
    assert "torch.load" not in source and "import pickle" not in source
