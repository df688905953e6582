"""An editing ends as a painting does, and keeps of the texture what it is told to keep.

The loop is replaced by a fake that paints everything blue; what it learns is tested in
test_synthesis.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from replaced_painting import replace_painting
from test_job import contents
from textured_meshes import SIZE, gltf_tree, picture, png, write_glb, write_gltf, write_obj

import texcsd
from texcsd import job, painting
from texcsd.checkpoint import load_checkpoint, save_checkpoint
from texcsd.errors import TexcsdError
from texcsd.synthesis import SynthesisResult

BLUE = (0, 0, 255)


class FakeSynthesis:
    def __init__(self) -> None:
        self.started_from: list[np.ndarray] = []
        self.resumed_from: list[int | None] = []
        self.parts: list[str] = []
        self.looks: dict[int, tuple[int, int]] = {}
        self.interrupt = False

    def __call__(
        self, mesh, denoiser, settings, folder, progress, original, looks, normal_maps, watch
    ):
        loaded = load_checkpoint(folder)
        self.resumed_from.append(None if loaded is None else loaded[1]["step"])
        self.started_from.append(original.pixels)
        self.parts = [part.name for part in mesh.parts]
        self.looks = {number: (*look.shape[1:3],) for number, look in looks.items()}
        if self.interrupt:
            save_checkpoint(folder, {"x": torch.zeros(1)}, {"step": 7})
            raise KeyboardInterrupt
        size = settings.texture_size
        seen = torch.ones(size, size, dtype=torch.bool)
        blue = torch.tensor(BLUE).float() / 255
        seconds = {"render": 1.0, "denoise": 2.0, "update": 3.0}
        return SynthesisResult([blue.expand(1, size, size, 3)], [seen], seconds)


@pytest.fixture
def synthesis(monkeypatch: pytest.MonkeyPatch, no_pictures: None) -> FakeSynthesis:
    return replace_painting(monkeypatch, FakeSynthesis())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results"


def edit(mesh: Path, folder: Path | None, **options) -> job.PaintResult:
    return texcsd.edit(mesh, "brick", "wood", folder, quiet=True, **options)


def written(result: job.PaintResult) -> np.ndarray:
    return np.asarray(Image.open(result.base_color))


def half_mask(path: Path) -> Path:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[: SIZE // 2] = 255
    Image.fromarray(mask).save(path)
    return path


def test_an_editing_is_the_files_of_a_painting(tmp_path, folder, synthesis) -> None:
    result = edit(write_glb(tmp_path / "mesh.glb"), folder)
    names = ["mesh.glb", "preview.png", "run.json", "textures/base_color.png"]
    assert sorted(contents(folder)) == [*names, "turntable.gif", "viewer.html"]
    np.testing.assert_array_equal(synthesis.started_from[0], np.asarray(picture()))
    assert (written(result) == BLUE).all()
    assert result.report["edit"] == {
        "texels_that_may_change": SIZE**2, "changed_texels": SIZE**2, "kept_texels": 0
    }  # fmt: skip
    assert result.report["settings"]["source_prompt"] == "brick"
    assert result.report["model"]["negative_prompt"] == "brick"
    assert edit(tmp_path / "mesh.glb", folder).already_painted


def test_texels_outside_the_mask_keep_their_bits(tmp_path, folder, synthesis) -> None:
    mask = half_mask(tmp_path / "mask.png")
    result = edit(write_glb(tmp_path / "mesh.glb"), folder, mask=mask)
    texture, half = written(result), SIZE // 2
    np.testing.assert_array_equal(texture[half:], np.asarray(picture())[half:])
    assert (texture[:half] == BLUE).all()
    assert result.report["edit"]["kept_texels"] == SIZE * half
    loaded = trimesh.load(result.glb, force="scene").geometry["left"].visual.material
    np.testing.assert_array_equal(np.asarray(loaded.baseColorTexture.convert("RGB")), texture)


def test_a_kept_texel_that_differs_in_the_file_is_an_error_and_no_result(
    tmp_path, folder, synthesis, monkeypatch
) -> None:
    write = painting.png_bytes
    monkeypatch.setattr(painting, "png_bytes", lambda pixels: write(pixels ^ 1))
    mask = half_mask(tmp_path / "mask.png")
    with pytest.raises(TexcsdError, match="512 texels differ that were to be kept"):
        edit(write_glb(tmp_path / "mesh.glb"), folder, mask=mask)
    assert not (folder / "run.json").exists() and not (folder / "textures/base_color.png").exists()


def test_alpha_comes_back_as_it_was(tmp_path, folder, synthesis) -> None:
    images = {"left": picture(alpha=True), "right": None}
    texture = written(edit(write_glb(tmp_path / "mesh.glb", images), folder))
    np.testing.assert_array_equal(texture[..., 3], np.asarray(images["left"])[..., 3])
    assert (texture[..., :3] == BLUE).all()


def test_only_the_named_material_of_several_gets_another_texture(
    tmp_path, folder, synthesis
) -> None:
    path = write_glb(tmp_path / "mesh.glb", {"left": picture(), "right": picture(16)})
    result = edit(path, folder, only="right stuff")
    # The other part is in view as it is.
    assert synthesis.parts == ["left", "right"] and synthesis.looks == {-2 - 0: (SIZE, SIZE)}
    assert result.base_color.name == "right_stuff.png"
    assert result.report["textures"][0]["materials"] == ["right stuff"]
    before, after = gltf_tree(path), gltf_tree(result.glb)
    names = [material["name"] for material in before["materials"]]
    left, right = names.index("left stuff"), names.index("right stuff")
    assert after["materials"][left] == before["materials"][left]
    assert after["meshes"] == before["meshes"] and after["nodes"] == before["nodes"]
    # All that is said of the material but its texture stays.
    changed = after["materials"][right]["pbrMetallicRoughness"].pop("baseColorTexture")
    kept = before["materials"][right]["pbrMetallicRoughness"].pop("baseColorTexture")
    assert after["materials"][right] == before["materials"][right]
    assert after["textures"][changed["index"]]["source"] == len(before["images"])
    assert after["textures"][kept["index"]] == before["textures"][kept["index"]]


def test_what_a_material_says_besides_its_texture_is_kept(tmp_path, folder, synthesis) -> None:
    path = write_glb(tmp_path / "mesh.glb")
    (material,) = gltf_tree(edit(path, folder).glb)["materials"]
    (before,) = gltf_tree(path)["materials"]
    assert material["emissiveFactor"] == before["emissiveFactor"] == [0.5, 0, 0]
    assert material["pbrMetallicRoughness"]["roughnessFactor"] == 0.25


def test_an_obj_comes_back_as_obj_and_glb(tmp_path, folder, synthesis) -> None:
    path = write_obj(tmp_path / "mesh.obj")
    result = edit(path, folder, only="left")
    assert {"mesh.glb", "mesh.obj", "mesh.mtl"} <= contents(folder).keys()
    assert result.report["damage"]["mesh.obj"]["max_uv_delta"] == 0
    texture = written(result)
    np.testing.assert_array_equal(texture[:, SIZE // 2 :], np.asarray(picture())[:, SIZE // 2 :])
    assert (texture[:, : SIZE // 2] == BLUE).all()


def test_an_edited_obj_keeps_all_of_its_materials_but_the_image(
    tmp_path, folder, synthesis
) -> None:
    path = write_obj(tmp_path / "mesh.obj", "Ns 90\nmap_Bump -bm 0.5 relief.png\nmap_Kd skin.png")
    relief = picture(8)
    (tmp_path / "relief.png").write_bytes(png(relief))
    result = edit(path, folder)
    library = (folder / "mesh.mtl").read_text()
    for name in ("left stuff", "right stuff"):
        block = library.partition(f"newmtl {name}\n")[2].partition("\n\n")[0].splitlines()
        assert block == [
            "Ns 90",
            "map_Bump -bm 0.5 original/relief.png",
            "map_Kd textures/base_color.png",
        ]
    assert (folder / "original" / "relief.png").read_bytes() == (
        tmp_path / "relief.png"
    ).read_bytes()
    assert not (folder / "original" / "skin.png").exists()
    assert (written(result) == BLUE).all()


def test_one_of_several_textures_of_an_obj_is_edited_and_the_others_come_along(
    tmp_path, folder, synthesis
) -> None:
    path = write_obj(tmp_path / "mesh.obj")
    other = picture(16)
    other.save(tmp_path / "other.png")
    library = path.with_name("skin.mtl")
    library.write_text("other.png".join(library.read_text().rsplit("skin.png", 1)))
    with pytest.raises(TexcsdError, match="shows 2 textures"):
        edit(path, folder)
    result = edit(path, folder, only="left")
    assert synthesis.looks == {-3: (16, 16)}
    assert (written(result) == BLUE).all()
    assert result.report["damage"]["mesh.obj"]["materials_of_the_rest"] is True
    for name in ("mesh.obj", "mesh.glb"):
        scene = trimesh.load(folder / name, force="scene", split_objects=True)
        materials = {g.visual.material.name: g.visual.material for g in scene.geometry.values()}
        image = (
            materials["right stuff"].to_pbr() if name == "mesh.obj" else materials["right stuff"]
        )
        shown = np.asarray(image.baseColorTexture.convert("RGB"))
        np.testing.assert_array_equal(shown, np.asarray(other))


def test_a_gltf_with_its_texture_beside_it_comes_back_as_gltf_and_glb(
    tmp_path, folder, synthesis
) -> None:
    path = write_gltf(tmp_path, "skin.png")
    picture().save(tmp_path / "skin.png")
    mask = half_mask(tmp_path / "mask.png")
    result = edit(path, folder, mask=mask)
    assert {"mesh.glb", "mesh.gltf", "mesh.bin"} <= contents(folder).keys()
    kept = np.asarray(picture())[SIZE // 2 :]
    for name in ("mesh.glb", "mesh.gltf"):
        material = trimesh.load(folder / name, force="scene").geometry["left"].visual.material
        shown = np.asarray(material.baseColorTexture.convert("RGB"))
        np.testing.assert_array_equal(shown[SIZE // 2 :], kept)
    assert result.report["damage"].keys() == {"mesh.glb", "mesh.gltf"}
    picture(16).save(tmp_path / "skin.png")
    with pytest.raises(TexcsdError, match="the mesh file was another one"):
        edit(path, folder, mask=mask)


def test_an_interrupted_editing_goes_on(tmp_path, folder, synthesis) -> None:
    path = write_glb(tmp_path / "mesh.glb")
    synthesis.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        edit(path, folder)
    synthesis.interrupt = False
    assert edit(path, folder).report["resumed"] is True
    assert synthesis.resumed_from == [None, 7]


def test_another_texture_mask_or_prompt_is_another_editing(tmp_path, folder, synthesis) -> None:
    path = write_obj(tmp_path / "mesh.obj")
    mask = half_mask(tmp_path / "mask.png")
    edit(path, folder, mask=mask)
    with pytest.raises(TexcsdError, match=r'source_prompt was "brick", now "stone"'):
        texcsd.edit(path, "stone", "wood", folder, mask=mask)
    for changed in (mask, tmp_path / "skin.png", tmp_path / "skin.mtl"):
        before = changed.read_bytes()
        changed.write_bytes(before + b"\n")
        with pytest.raises(TexcsdError, match="the mesh file was another one"):
            edit(path, folder, mask=mask)
        changed.write_bytes(before)
    assert edit(path, folder, mask=mask).already_painted


def test_the_default_folder_names_both_prompts(tmp_path, synthesis, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_glb(tmp_path / "mesh.glb")
    assert edit(Path("mesh.glb"), None).folder == Path("outputs/mesh-brick-to-wood")


@pytest.mark.parametrize("options", [{"only": "lift"}, {"mask": "none.png"}, {"texture_size": -1}])
def test_what_is_refused_leaves_no_folder_behind(
    tmp_path, folder, synthesis, options: dict
) -> None:
    with pytest.raises(TexcsdError):
        edit(write_glb(tmp_path / "mesh.glb"), folder, **options)
    assert not folder.exists()


@pytest.mark.slow
def test_brick_becomes_wood_and_what_is_kept_stays(tmp_path, no_pictures) -> None:
    """With the model that travels in the package: a few steps, the whole way."""
    path = write_glb(tmp_path / "mesh.glb")
    mask = half_mask(tmp_path / "mask.png")
    result = edit(path, tmp_path / "a", mask=mask, steps=2, views=2)
    again = edit(path, tmp_path / "b", mask=mask, steps=2, views=2)
    half = SIZE // 2
    np.testing.assert_array_equal(written(result)[half:], np.asarray(picture())[half:])
    assert (written(result)[:half] != np.asarray(picture())[:half]).any()
    assert result.base_color.read_bytes() == again.base_color.read_bytes()
    assert json.loads((tmp_path / "a" / "run.json").read_text())["edit"]["kept_texels"] == 512
