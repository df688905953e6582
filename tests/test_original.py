"""Which texture an editing starts from, and what of it may change."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from textured_meshes import SIZE, picture, png, quad, write_glb, write_gltf, write_obj

from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import Mesh, load_mesh
from texcsd.original import (
    Original,
    carried_over,
    changing_part,
    read_original,
)

IN_LEFT = np.broadcast_to(np.arange(SIZE) < SIZE // 2, (SIZE, SIZE))


def read(path: Path, size: int = 0, mask: object = "", only: str = "") -> Original:
    return read_original(path, load_mesh(path), size, str(mask), only)


@pytest.mark.parametrize("write", [write_glb, write_obj])
def test_the_texture_is_read_as_it_is_and_all_of_it_may_change(tmp_path, write) -> None:
    original = read(write(tmp_path / f"mesh.{write.__name__[-3:]}"))
    np.testing.assert_array_equal(original.pixels, np.asarray(picture()))
    assert original.alpha is None and original.may_change.all() and original.warnings == []
    assert original.shown.all()


@pytest.mark.parametrize("write", [write_glb, write_obj])
@pytest.mark.parametrize(("name", "left"), [("left", True), ("right", False)])
def test_only_a_named_node_or_object_may_change(tmp_path, write, name: str, left: bool) -> None:
    original = read(write(tmp_path / f"mesh.{write.__name__[-3:]}"), only=name)
    # The padding between the two charts belongs to the nearer one; the middle to none.
    expected = IN_LEFT if left else ~IN_LEFT
    np.testing.assert_array_equal(original.may_change, expected)


def test_only_a_named_material_may_change(tmp_path) -> None:
    original = read(write_obj(tmp_path / "mesh.obj"), only="right stuff")
    np.testing.assert_array_equal(original.may_change, ~IN_LEFT)


def test_texels_that_other_parts_show_too_may_not_change(tmp_path) -> None:
    path = write_obj(tmp_path / "mesh.obj")
    lines = path.read_text().replace("vt 0.5625 0.0625", "vt 0.0625 0.0625")
    path.write_text(lines.replace("vt 0.5625 0.9375", "vt 0.0625 0.9375"))
    with pytest.raises(TexcsdError, match=r"no texel may change: .* by other parts, too"):
        read(path, only="left")


def test_a_mask_and_a_name_both_hold(tmp_path) -> None:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[: SIZE // 2] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    path = write_glb(tmp_path / "mesh.glb")
    np.testing.assert_array_equal(read(path, mask=tmp_path / "mask.png").may_change, mask > 0)
    both = read(path, mask=tmp_path / "mask.png", only="left").may_change
    np.testing.assert_array_equal(both, (mask > 0) & IN_LEFT)


def test_alpha_is_set_apart(tmp_path) -> None:
    image = picture(alpha=True)
    original = read(write_glb(tmp_path / "mesh.glb", {"left": image, "right": None}))
    np.testing.assert_array_equal(np.dstack([original.pixels, original.alpha]), np.asarray(image))


def test_one_of_several_textures_is_chosen_by_name(tmp_path) -> None:
    images = {"left": picture(), "right": picture(16)}
    path = write_glb(tmp_path / "mesh.glb", images)
    with pytest.raises(TexcsdError, match=r"shows 2 textures.*--only.* left stuff, right stuff"):
        read(path)
    original = read(path, only="right stuff")
    np.testing.assert_array_equal(original.pixels, np.asarray(images["right"]))
    assert original.may_change.all() and original.materials == ("right stuff",)
    assert original.shown.tolist() == [False, False, True, True]
    # All of it may change, so that it may become as large as one likes.
    assert read(path, size=64, only="right stuff").size == 64


def test_another_slot_that_shows_the_picture_is_named(tmp_path) -> None:
    path = write_gltf(tmp_path, "skin.png")
    picture().save(tmp_path / "skin.png")
    tree = json.loads(path.read_text())
    (material,) = tree["materials"]
    material["emissiveTexture"] = material["pbrMetallicRoughness"]["baseColorTexture"]
    coat = {"clearcoatTexture": {"index": 0}}
    material["extensions"] = {"KHR_materials_clearcoat": coat}
    path.write_text(json.dumps(tree))
    assert read(path).warnings == [
        f"the picture is also the {slot} of stuff, which stays as it was"
        for slot in ("emissiveTexture", "clearcoatTexture")
    ]


@pytest.mark.parametrize(
    ("size", "shape", "told"),
    [
        (0, (16, 32), "the texture was 32 x 16, the edited one is 32 x 32"),
        (64, (16, 16), "the texture was 16 x 16, the edited one is 64 x 64"),
    ],
)
def test_another_size_is_said(tmp_path, size: int, shape: tuple[int, int], told: str) -> None:
    image = picture(32).resize(shape[::-1])
    path = write_glb(tmp_path / "mesh.glb", {"left": image, "right": None})
    original = read(path, size)
    assert original.warnings == [told]
    assert original.pixels.shape == (original.size, original.size, 3)
    with pytest.raises(TexcsdError, match="of what is to stay only a square one of unchanged"):
        read(path, size, mask=tmp_path / "any.png")


def test_textures_beyond_the_unit_square_count_where_they_repeat(tmp_path) -> None:
    path = write_obj(tmp_path / "mesh.obj")
    text = path.read_text().replace("vt 0.0625", "vt -1.9375").replace("vt 0.4375", "vt -1.5625")
    path.write_text(text)
    np.testing.assert_array_equal(read(path, only="left").may_change, IN_LEFT)


def test_what_cannot_be_edited_is_one_line(tmp_path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    Image.new("L", (8, 8), 255).save(tmp_path / "small.png")
    Image.new("L", (SIZE, SIZE), 0).save(tmp_path / "black.png")
    glb = write_glb(tmp_path / "mesh.glb")
    bare = write_glb(tmp_path / "bare.glb", {"left": None, "right": None})
    vertices, _ = quad(0)
    no_uv = tmp_path / "no_uv.glb"
    no_uv.write_bytes(trimesh.Trimesh(vertices, [[0, 1, 2]]).export(file_type="glb"))
    ply = tmp_path / "mesh.ply"
    ply.write_text(
        "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
        "property float z\nproperty float s\nproperty float t\nelement face 1\n"
        "property list uchar int vertex_indices\nend_header\n"
        "0 0 0 0 0\n1 0 0 1 0\n0 1 0 0 1\n3 0 1 2\n"
    )
    for path, options, message in [
        (no_uv, {}, "has no UVs, so it shows no texture; use texcsd paint"),
        (bare, {}, "has no base colour texture to edit there; paint it"),
        (glb, {"only": "lift"}, 'is named "lift"; choose one of: .*left'),
        (glb, {"mask": tmp_path / "none.png"}, r"none\.png: the mask cannot be read"),
        (glb, {"mask": tmp_path / "broken.png"}, r"broken\.png: the mask cannot be read"),
        (glb, {"mask": tmp_path / "small.png"}, "the mask is 8 x 8, the texture 32 x 32"),
        (glb, {"mask": tmp_path / "black.png"}, "no texel may change"),
        (ply, {}, "has no UVs|the texture of PLY is not read; convert it to GLB"),
    ]:
        with pytest.raises(TexcsdError, match=message) as raised:
            read(path, **options)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no picture", "its texture cannot be read .*; save it as PNG or JPEG"),
        (png(picture())[:200], "its texture cannot be read"),
        (None, r'its texture "./skin.png" is not there; put it into the folder'),
    ],
)
def test_a_texture_that_cannot_be_read_is_one_line(tmp_path, content, message: str) -> None:
    path = write_obj(tmp_path / "mesh.obj")
    (tmp_path / "skin.png").unlink()
    if content is not None:
        (tmp_path / "skin.png").write_bytes(content)
    with pytest.raises(TexcsdError, match=message):
        read(path)


def test_a_picture_that_would_fill_the_memory_is_not_unpacked(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("texcsd.original.MOST_PIXELS", SIZE * SIZE - 1)
    with pytest.raises(TexcsdError, match="has 32 x 32 texels; make it smaller first"):
        read(write_glb(tmp_path / "mesh.glb"))


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "CMYK", "LA"])
def test_pictures_of_every_kind_come_out_as_colours(tmp_path, mode: str) -> None:
    path = write_obj(tmp_path / "mesh.obj")
    grey = np.array([[0, 255], [255, 0]], np.uint8).repeat(16, 0).repeat(16, 1)
    image = Image.fromarray(grey)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) << 8)
    else:
        image = image.convert(mode)
    image.save(tmp_path / "skin.png", "TIFF" if mode == "CMYK" else "PNG")
    np.testing.assert_array_equal(read(path).pixels[..., 1], grey)


def test_close_ups_look_at_the_faces_that_may_change(tmp_path) -> None:
    path = write_glb(tmp_path / "mesh.glb")
    mesh = load_mesh(path)
    looked_at = changing_part(mesh, read(path, only="right"))
    assert looked_at.faces.tolist() == mesh.faces[2:].tolist()
    assert len(changing_part(mesh, read(path)).faces) == len(mesh.faces)


def unwrapped_anew(mesh: Mesh) -> Mesh:
    """Every face with a corner of the texture to itself, mirrored: nothing is where it was."""
    count = len(mesh.faces)
    columns = int(np.ceil(np.sqrt(count)))
    row, column = np.divmod(np.arange(count), columns)
    corners = np.array([[0.9, 0.1], [0.1, 0.1], [0.1, 0.9]])
    uv = (np.stack([column, row], 1)[:, None] + corners) / columns
    return replace(
        mesh,
        uv=torch.from_numpy(uv.reshape(-1, 2)).float(),
        uv_faces=torch.arange(3 * count).view(-1, 3),
    )


@pytest.mark.parametrize("write", [write_glb, write_obj])
def test_a_texture_is_carried_over_to_other_uv_by_places(tmp_path, write) -> None:
    pytest.importorskip("igl")
    path = write(tmp_path / f"mesh.{write.__name__[-3:]}")
    mesh, size = load_mesh(path), 64
    anew = unwrapped_anew(mesh)
    carried = carried_over(path, mesh, anew, size)
    assert carried is not None and carried.may_change.all() and carried.size == size
    # At the middle of each face both textures have the same colour.
    original = read(path)
    for pixels, shown in ((carried.pixels, anew), (original.pixels, mesh)):
        u, v = shown.uv[shown.uv_faces].mean(1).numpy().T
        side = len(pixels)
        found = pixels[np.floor((1 - v) * side).astype(int), np.floor(u * side).astype(int)]
        if pixels is carried.pixels:
            expected = found
    assert np.abs(found.astype(int) - expected).max() <= 40  # a texel's step of the picture


def test_without_one_texture_all_over_nothing_is_carried(tmp_path) -> None:
    pytest.importorskip("igl")
    path = write_glb(tmp_path / "a.glb", {"left": picture(), "right": None})
    mesh = load_mesh(path)
    assert carried_over(path, mesh, unwrapped_anew(mesh), 32) is None
    plain = tmp_path / "plain.obj"
    trimesh.creation.box().export(plain)
    mesh = load_mesh(plain)
    assert carried_over(plain, mesh, unwrapped_anew(mesh), 32) is None


def test_a_picture_that_an_obj_scales_is_said(tmp_path) -> None:
    path = write_obj(tmp_path / "mesh.obj", "map_Kd -s 2 2 1 skin.png")
    (warning,) = read(path).warnings
    assert '"-s 2 2 1"' in warning
