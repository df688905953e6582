"""One folder per painting: resumed, skipped, refused or replaced, and never half done.

The painting itself is replaced by a quick fake; what it paints is tested in test_synthesis.
"""

import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from replaced_painting import FakeDenoiser, replace_painting

import texcsd
from texcsd import delivery, displaced, job, new_shape, painting
from texcsd.checkpoint import load_checkpoint, save_checkpoint
from texcsd.errors import TexcsdError
from texcsd.geometry import texture_layout
from texcsd.geometry.displacement import Displacement
from texcsd.memory import Memory
from texcsd.original import Original
from texcsd.result_folder import AnotherPaintingError, default_folder
from texcsd.settings import PaintSettings
from texcsd.synthesis import SynthesisResult

CUBE_CORNERS = [(x, y, z) for x in (3, 5) for y in (-1, 1) for z in (0, 2)]
CUBE_SIDES = [(1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5), (2, 6, 8, 4)]
PICTURES = ["preview.png", "run.json", "textures/base_color.png", "turntable.gif", "viewer.html"]
OUTPUTS = ["cube.glb", "cube.mtl", "cube.obj", *PICTURES]


def cube_obj() -> str:
    """A cube of side 2 away from the origin, each side a cell of a 3 x 2 grid in uv."""
    lines = ["v {} {} {}".format(*corner) for corner in CUBE_CORNERS]
    for column, row in np.ndindex(3, 2):
        left, right = (column + 0.1) / 3, (column + 0.9) / 3
        low, high = (row + 0.1) / 2, (row + 0.9) / 2
        for u, v in ((left, low), (right, low), (right, high), (left, high)):
            lines.append(f"vt {u:.6f} {v:.6f}")
    for side, corners in enumerate(CUBE_SIDES):
        places = [f"{corner}/{4 * side + k + 1}" for k, corner in enumerate(corners)]
        lines.append("f " + " ".join(places))
    return "\n".join(lines) + "\n"


class FakeSynthesis:
    """Paints one colour from the seed; can be interrupted after its checkpoint."""

    def __init__(self) -> None:
        self.calls = 0
        self.interrupt = False
        self.resumed_from: list[int | None] = []
        self.uv: list[torch.Tensor] = []
        self.faces: list[int] = []
        self.normal_maps: list[list[int]] = []
        self.views: list[int] = []
        self.originals: list[Original | None] = []

    def __call__(
        self, mesh, denoiser, settings, folder, progress, original, looks, normal_maps, watch
    ):
        self.calls += 1
        self.normal_maps.append([*normal_maps])
        self.uv.append(mesh.uv)
        self.faces.append(len(mesh.faces))
        self.views.append(settings.views)
        self.originals.append(original)
        loaded = load_checkpoint(folder)
        self.resumed_from.append(None if loaded is None else loaded[1]["step"])
        if self.interrupt:
            save_checkpoint(folder, {"x": torch.zeros(1)}, {"step": 7})
            raise KeyboardInterrupt
        progress.update(settings.steps)
        size = settings.texture_size
        color = torch.tensor([0.2, 0.4, settings.seed / 10])
        seen = torch.ones(size, size, dtype=torch.bool)
        seen[: size // 2] = False
        count = int(mesh.texture_numbers().max()) + 1
        seconds = {"render": 1.0, "denoise": 2.0, "update": 3.0}
        return SynthesisResult(
            [color.expand(1, size, size, 3)] * count,
            [seen] * count,
            seconds,
            ["unknown word", "dark"],
        )


@pytest.fixture
def synthesis(monkeypatch: pytest.MonkeyPatch, no_pictures: None) -> FakeSynthesis:
    return replace_painting(monkeypatch, FakeSynthesis())


@pytest.fixture
def cube(tmp_path: Path) -> Path:
    path = tmp_path / "cube.obj"
    path.write_text(cube_obj())
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results"


def paint(cube: Path, folder: Path, prompt: str = "gold", **options) -> job.PaintResult:
    return texcsd.paint(cube, prompt, folder, texture_size=32, quiet=True, **options)


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_painting_is_these_files_and_no_others(cube, folder, synthesis) -> None:
    result = paint(cube, folder)
    assert sorted(contents(folder)) == OUTPUTS
    assert not result.already_painted
    assert result.glb == folder / "cube.glb"
    assert result.base_color == folder / "textures" / "base_color.png"
    assert result.preview.is_file() and result.turntable.is_file() and result.viewer.is_file()


def test_the_glb_is_the_input_in_its_pose_with_the_texture(cube, folder, synthesis) -> None:
    result = paint(cube, folder, seed=5)
    painted = trimesh.load(result.glb, force="mesh")
    np.testing.assert_array_equal(painted.bounds, [[3, -1, 0], [5, 1, 2]])
    assert len(painted.faces) == 12
    texture = np.asarray(Image.open(result.base_color))
    assert texture.shape == (32, 32, 3)
    assert (texture == np.rint(np.array([0.2, 0.4, 0.5]) * 255)).all()
    embedded = np.asarray(painted.visual.material.baseColorTexture.convert("RGB"))
    np.testing.assert_array_equal(embedded, texture)


def test_a_finished_file_that_was_changed_is_noticed(cube, folder, synthesis) -> None:
    result = paint(cube, folder)
    settings = PaintSettings("gold", texture_size=32)
    found = job.find_painting(cube, settings, folder)
    assert found is not None and found.report == result.report
    result.preview.write_bytes(b"Preview")
    with pytest.raises(AnotherPaintingError, match="was changed since"):
        paint(cube, folder)
    paint(cube, folder, overwrite=True)
    assert paint(cube, folder).already_painted


def test_a_painting_is_found_only_where_it_is_the_one_asked_for(cube, folder, synthesis) -> None:
    settings = PaintSettings("gold", texture_size=32)
    assert job.find_painting(cube, settings, folder) is None
    assert not folder.exists()
    synthesis.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        paint(cube, folder)
    assert job.find_painting(cube, settings, folder) is None
    with pytest.raises(AnotherPaintingError, match="seed was 0, now 1"):
        job.find_painting(cube, dataclasses.replace(settings, seed=1), folder)


def test_paintings_that_share_a_memory_share_model_and_uv(
    cube, folder, synthesis, monkeypatch
) -> None:
    loaded = []
    monkeypatch.setattr(
        painting, "load_denoiser", lambda *choices: loaded.append(choices) or FakeDenoiser()
    )
    memory, steps = Memory(), []
    for seed in (1, 2):
        target = folder / str(seed)
        texcsd.paint(
            cube, "gold", target, seed=seed, texture_size=32, unwrap="always",
            memory=memory, on_step=steps.append,
        )  # fmt: skip
    assert len(loaded) == 1
    assert synthesis.uv[0] is synthesis.uv[1]
    assert steps == 2 * [texcsd.PaintSettings("gold").steps]


def test_a_memory_does_not_take_one_mtl_for_another(tmp_path, synthesis) -> None:
    """The same OBJ, whose two materials show one image in one folder, and two in the other."""
    head, faces = cube_obj().split("f ", 1)
    first, second = f"f {faces}".split("f ", 2)[1:]
    memory, textures = Memory(), {}
    for name, images in (("one", "aa"), ("two", "ab")):
        folder = tmp_path / name
        folder.mkdir()
        for image in "ab":
            Image.new("RGB", (8, 8), "grey").save(folder / f"{image}.png")
        library = "".join(
            f"newmtl {m}\nmap_Kd {i}.png\n" for m, i in zip("mn", images, strict=True)
        )
        (folder / "cube.mtl").write_text(library)
        obj = f"mtllib cube.mtl\n{head}usemtl m\nf {first}usemtl n\nf {second}"
        (folder / "cube.obj").write_text(obj)
        result = paint(folder / "cube.obj", folder / "out", memory=memory)
        textures[name] = [texture["materials"] for texture in result.report["textures"]]
    assert textures == {"one": [["m", "n"]], "two": [["m"], ["n"]]}


def test_the_report_says_what_was_done_with_what(cube, folder, synthesis) -> None:
    result = paint(cube, folder, "unknown gold", seed=3)
    report = json.loads((folder / "run.json").read_text())
    assert report == result.report
    assert report["prompt"] == "unknown gold" and report["seed"] == 3
    settings = texcsd.PaintSettings("unknown gold", seed=3, texture_size=32)
    assert report["settings"] == settings.to_json()
    assert report["input"] == {
        "path": str(cube),
        "sha256": hashlib.sha256(cube.read_bytes()).hexdigest(),
        "vertices": report["input"]["vertices"],
        "triangles": 12,
        "parts": report["input"]["parts"],
    }
    assert report["model"] == {
        "name": "embedded",
        "licence": "CC0-1.0",
        "weights_sha256": "0" * 64,
        "negative_prompt": "dull",
        "prior_scale": 0.0,
        "pattern_scale": 1.0,
    }
    assert report["uv_source"] == "input"
    assert report["seams"] == {"seam_edges": 12, "across_seams": 0, "within_charts": 0}
    assert report["damage"].keys() == {"cube.glb", "cube.obj"}
    assert report["damage"]["cube.obj"]["max_position_delta"] == 0
    assert report["damage"]["cube.obj"]["max_uv_delta"] == 0
    assert 0.4 < report["unseen_fraction"] < 0.6
    assert report["unseen_fraction"] == report["unseen_texels"] / report["texels"]
    assert report["warnings"] == ["unknown word", "dark"]
    assert report["seconds"].keys() == {
        "unwrap", "render", "denoise", "update", "bake_and_write", "total"
    }  # fmt: skip
    assert report["versions"]["torch"] == torch.__version__
    assert report["versions"].keys() == {"python", "platform", *job_packages()}


def job_packages() -> set[str]:
    return {"torch", "numpy", "numba", "trimesh", "xatlas", "libigl", "diffusers", "transformers"}


def test_a_finished_painting_is_not_computed_again(cube, folder, synthesis) -> None:
    first = paint(cube, folder)
    before = contents(folder)
    second = paint(cube, folder)
    assert second.already_painted and second.report == first.report
    assert synthesis.calls == 1
    assert contents(folder) == before


@pytest.mark.parametrize("finished", [True, False])
def test_another_request_for_the_folder_names_the_first_difference(
    cube, folder, synthesis, finished: bool
) -> None:
    interrupted_or_not(cube, folder, synthesis, finished)
    before = contents(folder)
    for options, difference in [
        ({"prompt": "wood"}, r'\(prompt was "gold", now "wood"\)'),
        ({"seed": 4, "views": 2}, r"\(views was 0, now 2\)"),
        ({"learning_rate": 0.5}, r"\(learning_rate was 0\.05, now 0\.5\)"),
    ]:
        with pytest.raises(TexcsdError, match=rf"{difference}; .* -o, .* --overwrite"):
            paint(cube, folder, **options)
    cube.write_text(cube.read_text() + "# a comment\n")
    with pytest.raises(TexcsdError, match=r"\(the mesh file was another one\)"):
        paint(cube, folder)
    assert contents(folder) == before
    assert synthesis.calls == 1


def interrupted_or_not(cube, folder, synthesis, finished: bool) -> None:
    synthesis.interrupt = not finished
    if finished:
        paint(cube, folder)
    else:
        with pytest.raises(KeyboardInterrupt):
            paint(cube, folder)
    synthesis.interrupt = False


def test_an_interrupted_painting_goes_on_from_its_checkpoint(
    cube, folder, synthesis, monkeypatch
) -> None:
    monkeypatch.setattr(texture_layout, "ensure_uv", half_size_uv)
    interrupted_or_not(cube, folder, synthesis, finished=False)
    assert sorted(contents(folder)) == [
        "unfinished/atlas.safetensors",
        "unfinished/checkpoint.safetensors",
    ]

    def unwrap_again(*_: object) -> None:
        raise AssertionError("the checkpoint belongs to the first atlas")

    monkeypatch.setattr(texture_layout, "ensure_uv", unwrap_again)
    result = paint(cube, folder)
    assert synthesis.resumed_from == [None, 7]
    assert result.report["resumed"] is True and result.report["uv_source"] == "half size"
    assert torch.equal(*synthesis.uv) and synthesis.uv[0].max() < 0.5
    assert trimesh.load(result.glb, force="mesh").visual.uv[:, 0].max() < 0.5
    assert sorted(contents(folder)) == OUTPUTS


def test_fewer_views_for_want_of_memory_are_said_and_kept_when_it_goes_on(
    cube, folder, synthesis, monkeypatch
) -> None:
    monkeypatch.setattr(painting, "choose_views", lambda settings, denoiser: settings.views or 2)
    interrupted_or_not(cube, folder, synthesis, finished=False)
    monkeypatch.setattr(painting, "choose_views", lambda settings, denoiser: settings.most_views)
    report = paint(cube, folder).report
    assert synthesis.views == [2, 2] and report["views"] == 2 and report["settings"]["views"] == 0
    told = "room for 2 views in a step instead of 6 with embedded, .* --views 6 tries it"
    assert [bool(re.search(told, text)) for text in report["warnings"]].count(True) == 1
    other = paint(cube, folder.with_name("other")).report
    assert other["views"] == 6 and not any("views" in text for text in other["warnings"])


def test_views_that_were_asked_for_are_those_of_the_painting_when_it_goes_on(
    cube, folder, synthesis
) -> None:
    synthesis.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        paint(cube, folder, views=9)
    synthesis.interrupt = False
    assert paint(cube, folder, views=9).report["views"] == 9 and synthesis.views == [9, 9]


def half_size_uv(mesh, mode, texture_size):  # An atlas that is not the one in the file.
    return dataclasses.replace(mesh, uv=mesh.uv / 2), "half size", []


def test_a_checkpoint_without_its_atlas_is_not_used(cube, folder, synthesis) -> None:
    interrupted_or_not(cube, folder, synthesis, finished=False)
    (folder / "unfinished" / "atlas.safetensors").unlink()
    paint(cube, folder)
    assert synthesis.resumed_from == [None, None]


@pytest.mark.parametrize("written", range(9))
def test_stopped_while_writing_it_ends_complete_the_next_time(
    cube, folder, synthesis, monkeypatch, written: int
) -> None:
    paint(cube, folder.with_name("whole"))
    write, count = delivery.write_bytes_atomically, 0

    def write_some(path: Path, content: bytes) -> None:
        nonlocal count
        if count == written:
            raise KeyboardInterrupt
        count += 1
        write(path, content)

    with monkeypatch.context() as patched:
        for module in (job, delivery):
            patched.setattr(module, "write_bytes_atomically", write_some)
        if written < 8:
            with pytest.raises(KeyboardInterrupt):
                paint(cube, folder)
    paint(cube, folder)
    whole, resumed = contents(folder.with_name("whole")), contents(folder)
    whole.pop("run.json")
    resumed.pop("run.json")
    assert resumed == whole


def test_stopped_between_the_report_and_the_tidying_it_is_finished(
    cube, folder, synthesis, monkeypatch
) -> None:
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(job, "delete_unfinished", interrupt)
        paint(cube, folder)
    assert paint(cube, folder).already_painted
    assert sorted(contents(folder)) == OUTPUTS


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("finished", [True, False])
def test_overwrite_deletes_what_texcsd_wrote_and_nothing_else(
    cube, folder, synthesis, finished: bool
) -> None:
    interrupted_or_not(cube, folder, synthesis, finished)
    (folder / "notes.txt").write_text("mine")
    (folder / ".cube.glb.partial").write_text("of a process killed while writing")
    (folder / "textures").mkdir(exist_ok=True)
    (folder / "textures" / "other.png").write_text("mine, too")
    other = cube.with_name("other.obj")
    other.write_text(cube.read_text())
    result = texcsd.paint(other, "wood", folder, texture_size=16, overwrite=True, quiet=True)
    assert not result.already_painted
    assert synthesis.resumed_from == [None, None]
    theirs = {"notes.txt", "textures/other.png"}
    assert set(contents(folder)) == {"other.glb", "other.obj", "other.mtl", *PICTURES, *theirs}
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("name", ["preview.png", "cube.glb", "run.json", "textures"])
def test_a_file_that_is_not_texcsds_is_never_replaced(
    cube, folder, synthesis, name: str, overwrite: bool
) -> None:
    folder.mkdir()
    (folder / name).write_text('{"mine": true}')
    with pytest.raises(TexcsdError, match=rf"{name}: is .*; choose another folder with -o"):
        paint(cube, folder, overwrite=overwrite)
    assert contents(folder) == {name: b'{"mine": true}'}
    assert synthesis.calls == 0


@pytest.mark.parametrize("name", ["preview.png", "cube.obj", "run.json", "textures"])
def test_a_link_that_leads_nowhere_is_never_replaced(cube, folder, synthesis, name: str) -> None:
    folder.mkdir()
    (folder / name).symlink_to(folder.parent / "not mounted" / name)
    with pytest.raises(TexcsdError, match=rf"{name}: is .*; choose another folder with -o"):
        paint(cube, folder)
    assert [path.name for path in folder.iterdir() if path.is_symlink()] == [name]
    assert synthesis.calls == 0


@pytest.mark.parametrize("overwrite", [True, False])
def test_the_input_is_never_replaced_by_its_result(
    cube, tmp_path, synthesis, overwrite: bool
) -> None:
    with pytest.raises(TexcsdError, match=r"cube\.obj: would be overwritten .* -o"):
        paint(cube, tmp_path, overwrite=overwrite)
    result = paint(cube, tmp_path, format="glb")
    before = contents(tmp_path)
    with pytest.raises(TexcsdError, match=r"-o"):
        paint(result.glb, tmp_path, overwrite=overwrite)
    assert contents(tmp_path) == before


def test_an_older_painting_stays_if_the_new_one_cannot_begin(cube, folder, synthesis) -> None:
    paint(cube, folder)
    before = contents(folder)
    broken = cube.with_name("broken.obj")
    broken.write_text("v 0 0 0\n")
    for mesh, prompt, options in [
        (broken, "gold", {}),
        (cube, "xyzzy", {}),
        (cube, "gold", {"device": "cuda"}),
    ]:
        if options and torch.cuda.is_available():
            continue
        with pytest.raises(TexcsdError):
            paint(mesh, folder, prompt, overwrite=True, **options)
    assert contents(folder) == before


def test_a_finished_painting_with_a_file_missing_is_an_error(cube, folder, synthesis) -> None:
    paint(cube, folder)
    (folder / "turntable.gif").unlink()
    with pytest.raises(TexcsdError, match=r"finished, but turntable\.gif is gone"):
        paint(cube, folder)
    assert paint(cube, folder, overwrite=True).turntable.exists()


def test_two_processes_cannot_paint_into_one_folder(cube, folder, synthesis, monkeypatch) -> None:
    def paint_meanwhile(*arguments: object) -> None:
        paint(cube, folder)

    monkeypatch.setattr(painting, "synthesize", paint_meanwhile)
    with pytest.raises(TexcsdError, match="another texcsd paints into it"):
        paint(cube, folder)


KILLED = """
import os, sys, texcsd
from texcsd import delivery, painting
from texcsd.checkpoint import save_checkpoint
sys.path.insert(0, sys.argv[3])
import torch
from replaced_painting import FakeDenoiser
def die(mesh, denoiser, settings, folder, *others):
    save_checkpoint(folder, {"x": torch.zeros(1)}, {"step": 7})
    os._exit(9)
painting.synthesize = die
painting.load_denoiser = lambda model, device, *options: FakeDenoiser()
delivery.can_write_mp4 = lambda: False
texcsd.paint(sys.argv[1], "gold", sys.argv[2], texture_size=32, quiet=True)
"""


def test_a_killed_process_leaves_no_lock_behind(cube, folder, synthesis) -> None:
    here = str(Path(__file__).parent)
    arguments = [sys.executable, "-c", KILLED, str(cube), str(folder), here]
    assert subprocess.run(arguments, check=False).returncode == 9
    paint(cube, folder)
    assert synthesis.resumed_from == [7]
    assert sorted(contents(folder)) == OUTPUTS


def test_bad_input_leaves_no_folder_behind(cube, tmp_path, synthesis) -> None:
    (tmp_path / "points.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n")
    (tmp_path / "chair.doc").write_text("a chair")
    before = sorted(tmp_path.iterdir())
    for name in ["points.obj", "chair.doc", "missing.obj", "."]:
        with pytest.raises(TexcsdError) as raised:
            paint(tmp_path / name, tmp_path / "new" / "results")
        assert "\n" not in str(raised.value)
    with pytest.raises(TexcsdError, match="xyzzy"):
        paint(cube, tmp_path / "new" / "results", "xyzzy")
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_where_the_folder_is_to_be_is_an_error(cube, tmp_path, synthesis) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(TexcsdError, match="file: is a file; choose a folder with -o"):
        paint(cube, tmp_path / "file")
    with pytest.raises(TexcsdError, match="cannot be written to"):
        paint(cube, tmp_path / "file" / "below")


def test_an_unwritable_folder_is_an_error(cube, folder, synthesis, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(TexcsdError, match=r"cannot be written to \(Permission denied\); .* -o"):
        paint(cube, folder)


def test_the_buffers_of_a_gltf_belong_to_the_input(cube, folder, synthesis) -> None:
    mesh_path = write_gltf(cube)
    paint(mesh_path, folder)
    buffer = next(cube.parent.glob("*.bin"))
    buffer.write_bytes(buffer.read_bytes()[:-1] + b"\x01")
    with pytest.raises(TexcsdError, match="the mesh file was another one"):
        paint(mesh_path, folder)


def test_a_buffer_that_is_not_there_is_named_before_anything_is_painted(
    cube, folder, synthesis
) -> None:
    mesh_path = write_gltf(cube)
    next(cube.parent.glob("*.bin")).unlink()
    with pytest.raises(TexcsdError) as raised:
        paint(mesh_path, folder)
    message = str(raised.value)
    assert message.startswith(f'{mesh_path}: its data file "')
    assert "put it beside the mesh" in message
    assert synthesis.calls == 0 and not folder.exists()


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("glb", {"mesh": "cube.glb"}),
        ("obj", {"mesh": "cube.obj", "mtl": "cube.mtl"}),
        ("same", {"mesh": "cube.obj", "mtl": "cube.mtl"}),
        ("gltf", {"mesh": "cube.gltf", "bin": "cube.bin"}),
    ],
)
def test_one_format_instead_of_two(cube, folder, synthesis, choice: str, names) -> None:
    result = paint(cube, folder, format=choice)
    assert set(contents(folder)) == {*names.values(), *PICTURES}
    assert names.items() <= result.report["outputs"].items()
    assert result.mesh == folder / names["mesh"]
    painted = trimesh.load(result.mesh, force="mesh")
    np.testing.assert_array_equal(painted.bounds, [[3, -1, 0], [5, 1, 2]])
    if choice == "glb":
        assert result.glb == result.mesh
    else:
        with pytest.raises(TexcsdError, match="is no GLB; paint with format glb"):
            _ = result.glb


@pytest.mark.parametrize(
    ("choice", "message"),
    [("same", "texcsd writes no STL"), ("obj", "format obj is for an OBJ, .* this is STL")],
)
def test_a_format_that_cannot_be_had_is_refused_at_once(
    cube, folder, synthesis, choice: str, message: str
) -> None:
    mesh_path = cube.with_suffix(".stl")
    trimesh.load(cube).export(mesh_path)
    with pytest.raises(TexcsdError, match=f"{message}.*; choose glb or gltf|{message}.*, choose"):
        paint(mesh_path, folder, format=choice)
    assert synthesis.calls == 0 and not folder.exists()
    assert sorted(contents(paint(mesh_path, folder).folder)) == ["cube.glb", *PICTURES]


def test_the_obj_is_the_input_with_another_library(cube, folder, synthesis) -> None:
    paint(cube, folder)
    lines = (folder / "cube.obj").read_text().splitlines()
    assert lines[0] == "mtllib cube.mtl"
    assert [line for line in lines[1:] if line != "usemtl cube"] == cube.read_text().splitlines()
    loaded = trimesh.load(folder / "cube.obj").visual.material
    assert (np.asarray(loaded.image)[0, 0] == [51, 102, 0]).all()


def test_a_damaged_mesh_is_an_error_and_no_result(cube, folder, synthesis, monkeypatch) -> None:
    write = delivery.mesh_file_contents

    def move_a_vertex(mesh_path, mesh, *others):
        contents = write(mesh_path, mesh, *others)
        contents["obj"] = contents["obj"].replace(b"v 3 -1 0", b"v 3.0001 -1 0")
        return contents

    with monkeypatch.context() as patched:
        patched.setattr(delivery, "mesh_file_contents", move_a_vertex)
        with pytest.raises(TexcsdError, match=r"cube\.obj: .* max_position_delta is 0\.0001"):
            paint(cube, folder)
    assert all(name.startswith("unfinished/") for name in contents(folder))
    paint(cube, folder)
    assert sorted(contents(folder)) == OUTPUTS


def test_a_mesh_that_changes_while_it_is_painted_is_an_error(
    cube, folder, synthesis, monkeypatch
) -> None:
    original = cube.read_text()

    def paint_and_change(*arguments):
        cube.write_text(original + "# a comment\n")
        return synthesis(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(painting, "synthesize", paint_and_change)
        with pytest.raises(TexcsdError, match="was changed while it was painted"):
            paint(cube, folder)
    assert all(name.startswith("unfinished/") for name in contents(folder))
    cube.write_text(original)
    assert not paint(cube, folder).already_painted


def write_gltf(cube: Path) -> Path:
    for name, content in trimesh.Scene(trimesh.load(cube)).export(file_type="gltf").items():
        cube.with_name(name).write_bytes(content)
    return cube.with_name("model.gltf")


def test_a_gltf_comes_back_as_glb_and_as_gltf(cube, folder, synthesis) -> None:
    mesh_path = write_gltf(cube)
    names = ["model.glb", "model.gltf", "model.bin"]
    assert sorted(contents(paint(mesh_path, folder).folder)) == sorted([*PICTURES, *names])
    tree = json.loads((folder / "model.gltf").read_text())
    assert tree["nodes"] == json.loads(mesh_path.read_text())["nodes"]
    for name in names[:2]:
        np.testing.assert_array_equal(trimesh.load(folder / name).bounds, [[3, -1, 0], [5, 1, 2]])


@pytest.mark.parametrize("extension", [".obj", ".gltf"])
def test_a_name_that_is_not_utf_8_is_painted_and_recorded(
    cube, folder, synthesis, extension: str
) -> None:
    path = cube if extension == ".obj" else write_gltf(cube)
    try:
        path = path.rename(path.with_name(os.fsdecode(b"st\xfchl") + extension))
    except OSError:
        pytest.skip("this file system takes no such names")
    if extension == ".gltf":
        tree = json.loads(path.read_text())
        path.with_name(tree["buffers"][0]["uri"]).rename(path.with_suffix(".bin"))
        tree["buffers"][0]["uri"] = "st%FChl.bin"
        path.write_text(json.dumps(tree))
    result = paint(path, folder)
    assert (folder / path.name).is_file()
    assert json.loads((folder / "run.json").read_text("utf-8")) == result.report
    assert result.report["outputs"]["mesh"] == os.fsdecode(b"st\xfchl.glb")
    assert paint(path, folder).already_painted


@pytest.mark.parametrize("uri", ["a\ud800.bin", "a%00.bin"])
def test_a_buffer_with_a_name_that_no_file_has_is_refused(cube, folder, synthesis, uri) -> None:
    path = write_gltf(cube)
    tree = json.loads(path.read_text())
    tree["buffers"] = [buffer | {"uri": uri} for buffer in tree["buffers"]]
    path.write_text(json.dumps(tree))
    with pytest.raises(TexcsdError, match="no name of a file"):
        paint(path, folder)


def test_a_gltf_that_cannot_take_a_texture_is_refused_before_it_is_painted(
    cube, folder, synthesis
) -> None:
    mesh_path = write_gltf(cube)
    tree = json.loads(mesh_path.read_text())
    tree["buffers"].append({"byteLength": 9, "uri": "animation.bin"})
    mesh_path.write_text(json.dumps(tree))
    (folder.parent / "animation.bin").write_bytes(b"short")
    with pytest.raises(TexcsdError, match=r"no texture can be put into it: buffer \d+ ends"):
        paint(mesh_path, folder)
    assert synthesis.calls == 0 and not folder.exists()


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("a leather armchair", "chair.v2-a-leather-armchair"),
        ("Blue & White_Stripes!", "chair.v2-blue-white-stripes"),
        ("../../etc", "chair.v2-etc"),
        ("größe 木", "chair.v2-größe-木"),
        ("?!", "chair.v2-untitled"),
        ("long " * 50, "chair.v2-" + "long-" * 11 + "long"),
    ],
)
def test_the_default_folder_is_named_after_mesh_and_prompt(prompt: str, name: str) -> None:
    assert default_folder(Path("somewhere/chair.v2.glb"), prompt) == Path("outputs") / name


def test_without_an_output_it_goes_below_outputs(cube, tmp_path, synthesis, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = texcsd.paint("cube.obj", "gold", texture_size=16, quiet=True)
    assert result.folder == Path("outputs/cube-gold")
    assert sorted(contents(result.folder)) == OUTPUTS


def test_auto_takes_the_gpu_if_there_is_one(monkeypatch) -> None:
    for available, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda answer=available: answer)
        assert painting._resolve_device("auto") == expected
    with pytest.raises(TexcsdError, match="sees no NVIDIA GPU; use --device cpu"):
        painting._resolve_device("cuda")


def test_a_rasterizer_the_device_cannot_have_is_refused_and_nothing_is_written(cube, folder):
    with pytest.raises(TexcsdError, match="nvdiffrast needs a GPU, and the device is cpu"):
        paint(cube, folder, device="cpu", rasterizer="nvdiffrast")
    assert contents(folder) == {}


def test_a_pattern_scale_the_model_cannot_heed_is_said_to_have_no_effect(cube, folder, synthesis):
    report = paint(cube, folder, pattern_scale=1.2).report
    assert sum("pattern_scale has no effect" in text for text in report["warnings"]) == 1


def test_a_pattern_finer_than_the_model_knows_is_said(cube, folder, synthesis, monkeypatch):
    def warnings(prompt, scale):
        report = paint(cube, folder, prompt, pattern_scale=scale, overwrite=True).report
        return [text for text in report["warnings"] if "as usual" in text]

    monkeypatch.setattr(FakeDenoiser, "takes_positions", True)
    assert warnings("tiny gold", 1.0) == [] and warnings("gold", 0.35) == []
    (warning,) = warnings("tiny gold", 0.8)
    assert "the pattern is to be 0.28 times as large as usual" in warning


def test_a_model_too_large_for_the_gpu_is_one_line_and_nothing_is_written(
    cube, folder, monkeypatch
):
    def failing(*choices):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(painting, "load_denoiser", failing)
    with pytest.raises(TexcsdError, match=r"too little memory for sdxl; .*take a smaller model"):
        job.paint(cube, "gold", folder, model="sdxl")
    assert contents(folder) == {}


def test_perp_neg_without_words_for_sides_is_said_to_have_no_effect(cube, folder, synthesis):
    report = paint(cube, folder, perp_neg=1.0).report
    assert sum("perp_neg has no effect" in text for text in report["warnings"]) == 1


@pytest.mark.parametrize(
    ("options", "heard"),
    [
        ({}, True),
        ({"negative_scale_end": 0.0}, False),
        ({"guidance": "sds"}, False),
        ({"guidance": "nfsd"}, True),
        ({"weights": "positive=1, unconditional=-1"}, False),
        ({"weights": "positive=1, negative=0:-1"}, True),
    ],
)
def test_a_negative_prompt_without_a_weight_is_said_to_have_no_effect(
    cube, folder, synthesis, options, heard
):
    report = paint(cube, folder, negative_prompt="grey", **options).report
    assert any("negative_prompt has no effect" in text for text in report["warnings"]) != heard


def test_pictures_show_the_object_standing_and_files_as_it_lay(
    cube, folder, synthesis, monkeypatch
) -> None:
    shown = []
    monkeypatch.setattr(
        delivery, "preview_png", lambda mesh, *_: shown.append(mesh.vertices) or b""
    )
    lying = paint(cube, folder, up="z+", front="x+")
    standing = paint(cube, folder.with_name("standing"))
    assert lying.report["damage"] == standing.report["damage"]
    # Up is z, the front x: what was (x, y, z) is (y, z, x).
    assert torch.equal(shown[0], shown[1][:, [1, 2, 0]])


def test_a_film_is_written_where_it_can_be(cube, folder, synthesis, monkeypatch) -> None:
    monkeypatch.setattr(delivery, "can_write_mp4", lambda: True)
    monkeypatch.setattr(delivery, "turntable_mp4", lambda frames: b"film")
    result = paint(cube, folder)
    assert (folder / result.report["outputs"]["film"]).read_bytes() == b"film"


def test_a_film_that_cannot_be_written_is_a_warning(cube, folder, synthesis, monkeypatch) -> None:
    def fail(frames: object) -> bytes:
        raise TexcsdError("turntable.mp4: ffmpeg could not write it (Unknown encoder)")

    monkeypatch.setattr(delivery, "can_write_mp4", lambda: True)
    monkeypatch.setattr(delivery, "turntable_mp4", fail)
    result = paint(cube, folder)
    assert "Unknown encoder" in result.report["warnings"][-1]
    assert sorted(contents(folder)) == OUTPUTS and paint(cube, folder).already_painted


DISPLACE = {"displace": 0.1, "displace_detail": 0.1}
NORMAL_MAP = "textures/normal.png"


@pytest.fixture
def refinement(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Lifts every vertex along its normal instead of asking a model; lists the checkpoints."""
    checkpoints = []

    def refine(mesh, denoiser, settings, path, progress):
        checkpoints.append(path)
        path.write_bytes(b"checkpoint")
        displacement = Displacement(mesh, settings.displace, settings.displace_detail)
        with torch.no_grad():
            displacement.heights.fill_(0.5 * settings.displace)
        return displacement, []

    monkeypatch.setattr(displaced, "refine", refine)
    monkeypatch.setattr(displaced, "shape_png", lambda before, after, normal_maps: b"shape")
    return checkpoints


def test_a_displaced_mesh_is_painted_written_and_reported(
    cube, folder, synthesis, refinement
) -> None:
    result = paint(cube, folder, **DISPLACE)
    assert sorted(contents(folder)) == sorted([*OUTPUTS, "shape.png", NORMAL_MAP])
    assert refinement == [folder / "unfinished" / "shape.safetensors"]
    assert synthesis.normal_maps == [[]]  # The faces that are painted show the relief themselves.
    shape = result.report["shape"]
    # tanh(1/2) of the limit, for every vertex; the cube's radius is the root of 3.
    assert shape["max_displacement"] == pytest.approx(0.1 * np.tanh(0.5), rel=1e-3)
    side = 2 * (1 + 0.1 * np.tanh(0.5))
    assert shape["volume_ratio"] == pytest.approx((side / 2) ** 3, rel=1e-3)
    assert 0.85 < shape["least_outline_overlap"] <= shape["outline_overlap"] < 1
    assert np.ptp(trimesh.load(result.glb, force="mesh").bounds, axis=0) == pytest.approx(side)
    damage = result.report["damage"]["cube.obj"]
    assert damage["max_position_delta"] == pytest.approx(side / 2 - 1, rel=1e-3)
    assert damage["max_displaced_position_delta"] < 1e-6
    assert shape["faces_worked_on"] > 100 * result.report["input"]["triangles"]
    assert cube.read_text() == cube_obj()


def test_relief_finer_than_the_faces_comes_as_a_normal_map(
    cube, folder, synthesis, monkeypatch
) -> None:
    """Ramps up and down across the sides: the corners of the cube show nothing of it."""

    def refine(mesh, denoiser, settings, path, progress):
        displacement = Displacement(mesh, settings.displace, settings.displace_detail)
        with torch.no_grad():
            waves = torch.cos(12 * displacement.rest).prod(1, keepdim=True)
            displacement.heights.copy_(0.05 * waves)
        return displacement, []

    monkeypatch.setattr(displaced, "refine", refine)
    monkeypatch.setattr(displaced, "shape_png", lambda before, after, normal_maps: b"shape")
    result = paint(cube, folder, **DISPLACE)
    assert result.report["shape"]["max_displacement"] < 0.01
    assert result.report["outputs"]["normal"] == NORMAL_MAP
    normals = np.asarray(Image.open(folder / NORMAL_MAP)) / 255 * 2 - 1
    assert normals[..., 2].min() < 0.99 and normals[..., 2].mean() > 0.95
    assert abs(normals[..., :2].mean()) < 0.02
    tree = trimesh.load(result.glb, force="mesh").visual.material
    assert np.array_equal(
        np.asarray(tree.normalTexture), np.asarray(Image.open(folder / NORMAL_MAP))
    )
    assert "\nvn " in (folder / "cube.obj").read_text()
    # What is painted has the relief: 12 triangles could not show it.
    assert synthesis.faces[-1] == result.report["shape"]["faces_worked_on"]


def test_faces_that_are_small_enough_need_no_normal_map(
    tmp_path, folder, synthesis, refinement
) -> None:
    path = tmp_path / "ball.obj"
    trimesh.creation.icosphere(subdivisions=1).export(path)
    result = paint(path, folder, displace=0.1, displace_detail=1.0)
    assert result.report["shape"]["faces_worked_on"] == 80
    assert "normal" not in result.report["outputs"] and not (folder / NORMAL_MAP).exists()


def test_without_displacement_nothing_is_refined(cube, folder, synthesis, refinement) -> None:
    assert "shape" not in paint(cube, folder).report and not refinement


def test_a_displaced_mesh_whose_painting_is_interrupted_keeps_its_refinement(
    cube, folder, synthesis, refinement
) -> None:
    synthesis.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        paint(cube, folder, **DISPLACE)
    assert (folder / "unfinished" / "shape.safetensors").read_bytes() == b"checkpoint"
    synthesis.interrupt = False
    paint(cube, folder, **DISPLACE)
    assert not (folder / "unfinished").exists()


def test_another_displacement_is_another_painting(cube, folder, synthesis, refinement) -> None:
    paint(cube, folder)
    with pytest.raises(TexcsdError, match=r"displace was 0\.0, now 0\.1"):
        paint(cube, folder, **DISPLACE)


def test_instances_are_not_displaced_and_nothing_is_written(
    tmp_path, folder, synthesis, refinement
) -> None:
    scene = trimesh.Scene()
    box = trimesh.creation.box()
    scene.add_geometry(box, geom_name="box")
    scene.graph.update("second", matrix=np.diag([2.0, 2.0, 2.0, 1.0]), geometry="box")
    path = tmp_path / "boxes.glb"
    scene.export(path)
    with pytest.raises(TexcsdError, match="cannot be displaced: it has instances"):
        paint(path, folder, **DISPLACE)
    assert not folder.exists()


@pytest.fixture
def reshaping(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Moves the surface outwards instead of asking a model; counts how often it is asked to."""
    pytest.importorskip("igl")
    calls = []

    def optimize_shape(shape, steps, sampler, denoiser, settings, progress):
        calls.append(shape.step)
        with torch.no_grad():
            shape.tetrahedra.values[:, 0] = -0.01
        shape.step = steps
        shape.save()
        return []

    monkeypatch.setattr(new_shape, "optimize_shape", optimize_shape)
    monkeypatch.setattr(new_shape, "shape_png", lambda before, after: b"shape")
    return calls


RESHAPE = {"dmtet": True, "dmtet_resolution": 32, "dmtet_steps": 5}


def test_a_reshaped_mesh_is_unwrapped_painted_written_and_reported(
    cube, folder, synthesis, reshaping
) -> None:
    result = paint(cube, folder, **RESHAPE)
    assert sorted(contents(folder)) == sorted([*OUTPUTS, "shape.png", NORMAL_MAP])
    assert f"norm {NORMAL_MAP}" in (folder / "cube.mtl").read_text().splitlines()
    assert synthesis.normal_maps == [[0]]
    shape = result.report["shape"]
    assert shape["watertight"] and shape["components"] == 1 and shape["genus"] == 0
    for path in (result.glb, folder / "cube.obj"):
        mesh = trimesh.load(path, force="mesh")
        assert np.ptp(mesh.bounds, axis=0) == pytest.approx(2 + 0.02 * np.sqrt(3), abs=0.02)
        assert mesh.bounds.mean(0) == pytest.approx([4, 0, 1], abs=0.02)
        assert mesh.visual.uv.min() >= 0 and mesh.visual.uv.max() <= 1
        mesh.merge_vertices(merge_tex=True, merge_norm=True)
        assert mesh.is_watertight and len(mesh.faces) == shape["faces"]
    assert result.report["uv_source"] != "input" and result.report["input"]["triangles"] == 12
    assert result.report["damage"]["cube.obj"]["max_position_delta"] == 0
    assert cube.read_text() == cube_obj()


def test_an_interrupted_painting_keeps_its_new_shape_and_its_uv(
    cube, folder, synthesis, reshaping
) -> None:
    synthesis.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        paint(cube, folder, **RESHAPE)
    unfinished = folder / "unfinished"
    assert sorted(path.name for path in unfinished.iterdir()) == [
        "atlas.safetensors", "checkpoint.safetensors", "reshaped", "shape.safetensors"
    ]  # fmt: skip
    synthesis.interrupt = False
    result = paint(cube, folder, **RESHAPE)
    assert reshaping == [0, 5] and result.report["resumed"]
    assert torch.equal(*synthesis.uv) and synthesis.resumed_from == [None, 7]
    assert not unfinished.exists() and paint(cube, folder, **RESHAPE).already_painted


@pytest.mark.parametrize("texture", ["pyramid", "field"])
def test_a_new_shape_starts_from_the_texture_of_the_old_one(
    cube, folder, synthesis, reshaping, texture: str
) -> None:
    Image.new("RGB", (8, 8), (10, 200, 30)).save(cube.with_name("skin.png"))
    cube.with_name("skin.mtl").write_text("newmtl skin\nmap_Kd skin.png\n")
    cube.write_text(f"mtllib skin.mtl\nusemtl skin\n{cube_obj()}")
    report = paint(cube, folder, texture=texture, **RESHAPE).report
    assert report["texture_carried_over"] is True and report["texture"] == texture
    (original,) = synthesis.originals
    assert original is not None
    assert (original.pixels == (10, 200, 30)).all() and original.size == 32


def test_interrupted_while_the_shape_is_made_it_goes_on_from_there(
    cube, folder, synthesis, reshaping, monkeypatch
) -> None:
    finish = new_shape.optimize_shape

    def interrupted(shape, *rest):
        shape.step = 3
        shape.save()
        raise KeyboardInterrupt

    monkeypatch.setattr(new_shape, "optimize_shape", interrupted)
    monkeypatch.setattr(painting, "choose_views", lambda settings, denoiser: 2)
    with pytest.raises(KeyboardInterrupt):
        paint(cube, folder, **RESHAPE)
    with pytest.raises(TexcsdError, match="another painting, unfinished"):
        paint(cube, folder, **RESHAPE | {"dmtet_strength": 0.2})
    monkeypatch.setattr(new_shape, "optimize_shape", finish)
    monkeypatch.setattr(painting, "choose_views", lambda settings, denoiser: 6)
    paint(cube, folder, **RESHAPE)
    assert reshaping == [3] and synthesis.views == [2]
    paint(cube, folder, overwrite=True, **RESHAPE)
    assert reshaping == [3, 0]


def test_a_mesh_that_strict_refuses_leaves_no_folder(
    tmp_path, folder, synthesis, reshaping
) -> None:
    path = tmp_path / "pole.obj"
    trimesh.creation.cylinder(radius=0.02, height=2.0).export(path)
    with pytest.raises(TexcsdError, match="refused because of --strict"):
        paint(path, folder, strict=True, **RESHAPE)
    assert not folder.exists()


def test_a_new_shape_cannot_keep_its_uv_nor_be_displaced_besides(cube, folder) -> None:
    with pytest.raises(TexcsdError, match="two ways to refine the shape"):
        paint(cube, folder, displace=0.1, **RESHAPE)
    with pytest.raises(TexcsdError, match="makes new faces, which need new uv"):
        paint(cube, folder, unwrap="never", **RESHAPE)
