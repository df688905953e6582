"""Several textures on one mesh, from the file that comes in to the files that go out.

The painting itself is replaced: each texture gets a colour of its own.
"""

import io
import json
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from replaced_painting import replace_painting
from textured_meshes import gltf_tree, picture, write_glb, write_gltf, write_obj

import texcsd
from texcsd import job
from texcsd.errors import TexcsdError
from texcsd.geometry.file_materials import read_image, read_materials
from texcsd.geometry.mesh import load_mesh
from texcsd.synthesis import SynthesisResult

SIZE = 16
SECONDS = {"render": 0.0, "denoise": 0.0, "update": 0.0}


def color_of(number: int) -> np.ndarray:
    return np.array([40 + 40 * number, 200, 10])


class FakeSynthesis:
    looks: dict

    def __call__(
        self, mesh, denoiser, settings, folder, progress, original, looks, normal_maps, watch
    ):
        self.looks = looks
        colors = [torch.tensor(color_of(n)) / 255 for n in range(1 + mesh.texture_numbers().max())]
        maps = [color.float().expand(1, SIZE, SIZE, 3) for color in colors]
        return SynthesisResult(
            maps, [torch.ones(SIZE, SIZE, dtype=torch.bool)] * len(maps), SECONDS
        )


@pytest.fixture
def synthesis(monkeypatch: pytest.MonkeyPatch, no_pictures: None) -> FakeSynthesis:
    return replace_painting(monkeypatch, FakeSynthesis())


def paint(path: Path, **options) -> job.PaintResult:
    folder = path.parent / "results"
    return texcsd.paint(path, "gold", folder, texture_size=SIZE, quiet=True, **options)


def two_textures(folder: Path) -> Path:
    images = {"left": picture(8), "right": picture(4)}
    return write_glb(folder / "mesh.glb", images)


def shown_by(path: Path) -> dict[str, np.ndarray]:
    """The colour image of every material of a file."""
    materials = read_materials(path, load_mesh(path))
    images = zip(materials.names, materials.images, strict=True)
    return {
        name: np.asarray(Image.open(io.BytesIO(read_image(path, image))).convert("RGB"))
        for name, image in images
        if image is not None
    }


def assert_painted(pixels: np.ndarray, number: int) -> None:
    assert pixels.shape == (SIZE, SIZE, 3) and (pixels == color_of(number)).all()


def test_materials_of_a_glb_get_a_texture_each_and_their_names_stay(tmp_path, synthesis) -> None:
    result = paint(two_textures(tmp_path))
    assert [path.name for path in result.textures] == ["left_stuff.png", "right_stuff.png"]
    for number, path in enumerate(result.textures):
        assert_painted(np.asarray(Image.open(path)), number)
    shown = shown_by(result.glb)
    assert_painted(shown["left stuff"], 0)
    assert_painted(shown["right stuff"], 1)
    textures = result.report["textures"]
    assert [texture["materials"] for texture in textures] == [["left stuff"], ["right stuff"]]
    assert {texture["uv_source"] for texture in textures} == {"input"}
    assert result.report["damage"]["mesh.glb"]["max_uv_delta"] == 0


def test_the_rest_of_a_glb_painted_in_part_is_what_it_was(tmp_path, synthesis) -> None:
    path = two_textures(tmp_path)
    result = paint(path, only="right stuff")
    before, after = gltf_tree(path), gltf_tree(result.glb)
    assert after["materials"][0] == before["materials"][0]
    assert after["meshes"][0] == before["meshes"][0]
    shown = shown_by(result.glb)
    assert_painted(shown["right stuff"], 0)
    np.testing.assert_array_equal(shown["left stuff"], np.asarray(picture(8)))
    assert result.report["damage"]["mesh.glb"]["materials_of_the_rest"] is True
    (look,) = synthesis.looks.values()
    np.testing.assert_allclose(look[0], np.asarray(picture(8)) / 255, atol=1e-6)


def test_a_node_may_be_painted_without_another_that_wears_its_material(tmp_path, synthesis) -> None:
    path = write_glb(tmp_path / "mesh.glb")
    result = paint(path, only="left")
    before, after = gltf_tree(path), gltf_tree(result.glb)
    assert after["materials"][: len(before["materials"])] == before["materials"]
    numbers = [mesh["primitives"][0]["material"] for mesh in after["meshes"]]
    assert numbers[1] == before["meshes"][1]["primitives"][0]["material"] != numbers[0]
    assert after["materials"][numbers[0]]["name"] == "stuff"


def test_materials_of_an_obj_get_a_texture_each(tmp_path, synthesis) -> None:
    path = write_obj(tmp_path / "mesh.obj", "Kd 1 0 0")
    result = paint(path)
    for file in (result.glb, result.folder / "mesh.obj"):
        shown = shown_by(file)
        assert_painted(shown["left stuff"], 0)
        assert_painted(shown["right stuff"], 1)
    assert result.report["damage"]["mesh.obj"]["lines"] is True
    assert result.report["damage"]["mesh.glb"]["max_uv_delta"] < 1e-6


@pytest.mark.parametrize("only", ["right stuff", "right"])
def test_the_rest_of_an_obj_painted_in_part_is_what_it_was(tmp_path, synthesis, only: str) -> None:
    path = write_obj(tmp_path / "mesh.obj", "Ns 12\nmap_Kd -s 1 1 1 look/skin.png")
    (tmp_path / "look").mkdir()
    (tmp_path / "skin.png").rename(tmp_path / "look" / "skin.png")
    result = paint(path, only=only)
    library = (result.folder / "mesh.mtl").read_text()
    assert "newmtl left stuff\nNs 12\nmap_Kd -s 1 1 1 original/look/skin.png\n" in library
    for file in (result.glb, result.folder / "mesh.obj"):
        shown = shown_by(file)
        assert_painted(shown["right stuff"], 0)
        unpainted = [pixels for name, pixels in shown.items() if name != "right stuff"]
        np.testing.assert_array_equal(unpainted[0], np.asarray(picture()))
    found = result.report["damage"]["mesh.obj"]
    assert found["lines"] and found["materials_of_the_rest"] and found["max_uv_delta"] == 0


def test_an_object_of_an_obj_may_be_painted_without_another_of_its_material(
    tmp_path, synthesis
) -> None:
    path = write_obj(tmp_path / "mesh.obj")
    path.write_text(path.read_text().replace("usemtl right stuff", "usemtl left stuff"))
    result = paint(path, only="right")
    written = result.folder / "mesh.obj"
    materials = read_materials(written, load_mesh(written))
    assert [materials.names[n] for n in materials.of_faces] == [
        *["left stuff"] * 2, *["left stuff_painted"] * 2,
    ]  # fmt: skip
    shown = shown_by(written)
    assert_painted(shown["left stuff_painted"], 0)
    np.testing.assert_array_equal(shown["left stuff"], np.asarray(picture()))


def test_faces_of_an_obj_that_are_not_painted_and_have_no_uv_get_none(tmp_path, synthesis) -> None:
    path = write_obj(tmp_path / "mesh.obj")
    lines = path.read_text().replace("f 1/1 2/2 3/3 4/4", "f 1 2 3 4").splitlines()
    path.write_text("\n".join(lines) + "\n")
    result = paint(path, only="right", unwrap="always")
    text = (result.folder / "mesh.obj").read_text()
    assert "\nf 1 2 3 4\n" in text and "\nf 5/" in text


def test_a_name_that_nothing_has_is_refused_before_the_folder_is_made(tmp_path, synthesis) -> None:
    with pytest.raises(TexcsdError, match=r'named "lid"; choose one of: .*left'):
        paint(two_textures(tmp_path), only="lid")
    assert not (tmp_path / "results").exists()


def test_a_look_that_cannot_be_read_is_one_colour_and_a_warning(tmp_path, synthesis) -> None:
    path = write_obj(tmp_path / "mesh.obj")
    (tmp_path / "skin.png").write_bytes(b"no picture")
    result = paint(path, only="right")
    assert any("shown in one colour" in text for text in result.report["warnings"])
    (look,) = synthesis.looks.values()
    assert look.shape == (1, 1, 1, 3) and (look == 1).all()


def bomb(path: Path) -> None:
    """A PNG of a few hundred kilobytes that would unpack to more than a gigabyte."""
    width = height = 20_000
    packed = zlib.compress(b"\0" * (1 + 3 * width) * 50)

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


def test_a_picture_that_would_fill_the_memory_is_not_unpacked(tmp_path, synthesis) -> None:
    """Painted over it does not matter; beside the paint it is a colour; edited it is refused."""
    path = write_obj(tmp_path / "mesh.obj")
    bomb(tmp_path / "skin.png")
    tracemalloc.start()
    paint(path)
    result = paint(path, only="right", overwrite=True)
    with pytest.raises(TexcsdError, match="more than 67108864 texels; make it smaller first"):
        texcsd.edit(path, "brick", "wood", tmp_path / "edited")
    assert tracemalloc.get_traced_memory()[1] < 200e6
    assert any("make it smaller first; it is shown in one" in w for w in result.report["warnings"])


def test_an_image_outside_the_folder_of_the_mesh_is_never_embedded(tmp_path, synthesis) -> None:
    folder = tmp_path / "mesh"
    folder.mkdir()
    picture().save(tmp_path / "secret.png")
    path = write_gltf(folder, "../secret.png")
    with pytest.raises(TexcsdError, match=r'an image, "\.\./secret\.png", is outside the folder'):
        paint(path)
    assert not (folder / "results").exists()


def test_names_that_are_not_utf_8_are_those_of_their_materials(tmp_path, synthesis) -> None:
    path = write_obj(tmp_path / "mesh.obj", "Ns 33")
    for file in (path, tmp_path / "skin.mtl"):
        file.write_bytes(file.read_bytes().replace(b"left stuff", b"Bl\xe4tter"))
    result = paint(path, only="right stuff")
    library = (result.folder / "mesh.mtl").read_bytes()
    assert b"newmtl Bl\xe4tter\nNs 33\n" in library
    whole = paint(path, overwrite=True)
    assert whole.report["textures"][0]["materials"] == ["Bl\udce4tter"]
    assert b"newmtl Bl\xe4tter\n" in (whole.folder / "mesh.mtl").read_bytes()
    assert gltf_tree(whole.glb)["materials"][0]["name"] == "Bl\ufffdtter"


@pytest.mark.parametrize("name", [".\\skin.mtl", "SKIN.mtl", '"skin.mtl"', "  skin.mtl "])
def test_libraries_are_found_as_programs_name_them(tmp_path, synthesis, name: str) -> None:
    path = write_obj(tmp_path / "mesh.obj", "Ns 33")
    path.write_text(path.read_text().replace("mtllib skin.mtl", f"mtllib {name}"))
    result = paint(path, only="right")
    assert "newmtl left stuff\nNs 33\n" in (result.folder / "mesh.mtl").read_text()
    assert result.report["warnings"] == []


@pytest.mark.parametrize("name", ["gone.mtl", "../skin.mtl"])
def test_a_library_that_is_not_there_is_named(tmp_path, synthesis, name: str) -> None:
    (tmp_path / "mesh").mkdir()
    path = write_obj(tmp_path / "mesh" / "mesh.obj")
    (tmp_path / "mesh" / "skin.mtl").rename(tmp_path / "skin.mtl")
    path.write_text(path.read_text().replace("mtllib skin.mtl", f"mtllib {name}"))
    assert paint(path).report["warnings"] == []
    (warning,) = paint(path, only="right", overwrite=True).report["warnings"]
    assert f'"{name}" is not in its folder' in warning


def test_what_only_lines_wear_stays_when_something_else_is_painted(tmp_path, synthesis) -> None:
    path = write_obj(tmp_path / "mesh.obj")
    path.write_text(path.read_text() + "usemtl wire\nl 1 2\n")
    library = tmp_path / "skin.mtl"
    library.write_text(library.read_text() + "\nnewmtl wire\nKd 0 0 1\nd 0.5\n")
    result = paint(path, only="right")
    assert "newmtl wire\nKd 0 0 1\nd 0.5\n" in (result.folder / "mesh.mtl").read_text()


def test_vertex_colours_that_tint_the_paint_are_in_the_report(tmp_path, synthesis) -> None:
    path = write_obj(tmp_path / "mesh.obj")
    assert paint(path).report["warnings"] == []
    path.write_text(path.read_text().replace("v 1.0 1.0 0.0", "v 1.0 1.0 0.0 1 0 0"))
    (text,) = paint(path, overwrite=True).report["warnings"]
    assert text.startswith('"left": vertex colours (of `v` lines) come back in the OBJ')


@pytest.mark.parametrize("uri", [5, None, "a\0b", "\ud800", "x" * 5000, [1]])
def test_a_uri_that_can_be_no_file_is_refused_in_a_line(tmp_path, synthesis, uri) -> None:
    path = write_gltf(tmp_path, "skin.png")
    tree = json.loads(path.read_text())
    tree["buffers"][0]["uri"] = uri
    path.write_text(json.dumps(tree))
    with pytest.raises(TexcsdError) as raised:
        paint(path)
    assert "\n" not in str(raised.value)
