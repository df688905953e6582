"""A meshopt-compressed file stays compressed, but for what seams force to be copied."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gltf_scenes import Parsed, Scene, everything, one_mesh
from meshopt_scenes import EXT, KHR, compressed
from test_damage import written, written_displaced
from test_gltf_patch import unwrapped

from texcsd.errors import TexcsdError
from texcsd.geometry.gltf_document import GltfDocument, open_document
from texcsd.geometry.mesh import Mesh, load_mesh
from texcsd.output.damage import measure_damage
from texcsd.output.input_warnings import input_warnings
from texcsd.report import input_sha256

UNCHANGED = {"max_position_delta": 0.0, "max_uv_delta": 0.0, "vertices_copied": 0}


def written_scene(scene: Scene, folder: Path, extension: str = EXT, **more) -> tuple[Path, Parsed]:
    """The file of a compressed scene, and its plain twin."""
    path = folder / "scene.glb"
    path.write_bytes(compressed(scene.glb(), extension, **more))
    return path, Parsed(scene.glb())


def with_half_uv(mesh: Mesh) -> Mesh:
    """Other coordinates, but no seams."""
    assert mesh.uv is not None
    return replace(mesh, uv=mesh.uv * 0.5)


def streams(parsed: Parsed) -> dict[int, bytes]:
    """By buffer view, what it is compressed to."""
    found = {}
    for number, view in enumerate(parsed.tree["bufferViews"]):
        for place in view.get("extensions", {}).values():
            assert place["buffer"] == 0 and view["buffer"] == 1
            start = place["byteOffset"]
            found[number] = parsed.binary[start : start + place["byteLength"]]
    return found


def assert_same_values(document: GltfDocument, plain: Parsed) -> None:
    """All of the animations, skins, morph targets and vertices is what was compressed."""
    for number in range(len(plain.tree["accessors"])):
        np.testing.assert_array_equal(document.raw_accessor(number), plain.values(number))


@pytest.mark.parametrize("extension", [EXT, KHR])
def test_with_its_own_uv_it_stays_compressed(tmp_path: Path, extension: str) -> None:
    path, plain = written_scene(everything(), tmp_path, extension)
    mesh = load_mesh(path)
    after = written(path, mesh, True)[".glb"]
    old, new = Parsed(path.read_bytes()), Parsed(after.read_bytes())
    assert len(streams(old)) > 12
    assert new.binary.startswith(old.binary) and streams(new).items() >= streams(old).items()
    count = len(old.tree["bufferViews"])
    assert new.tree["bufferViews"][:count] == old.tree["bufferViews"]
    assert new.tree["buffers"][1:] == old.tree["buffers"][1:]
    assert new.tree["extensionsRequired"] == [extension]
    assert new.tree["accessors"] == old.tree["accessors"]
    assert_same_values(open_document(after), plain)
    found = measure_damage(path, after, mesh, True)
    assert found.items() >= UNCHANGED.items() and "primitives_decompressed" not in found


def test_new_uv_without_seams_come_beside_what_stays_compressed(tmp_path: Path) -> None:
    path, plain = written_scene(everything(), tmp_path)
    mesh = with_half_uv(load_mesh(path))
    after = written(path, mesh, False)[".glb"]
    old, new = Parsed(path.read_bytes()), Parsed(after.read_bytes())
    was, now = (each.tree["meshes"][0]["primitives"][0] for each in (old, new))
    assert now["attributes"] == was["attributes"] | {"TEXCOORD_2": now["attributes"]["TEXCOORD_2"]}
    assert now["targets"] == was["targets"]
    assert_same_values(open_document(after), plain)
    found = measure_damage(path, after, mesh, False)
    assert found["vertices_copied"] == 0 and "primitives_decompressed" not in found


@pytest.mark.parametrize("extension", [EXT, KHR])
def test_what_seams_copy_is_stored_plainly_value_for_value(tmp_path: Path, extension: str) -> None:
    path, plain = written_scene(everything(), tmp_path, extension)
    mesh = unwrapped(load_mesh(path))
    after = written(path, mesh, False)[".glb"]
    old, new = Parsed(path.read_bytes()), Parsed(after.read_bytes())
    for index in (0, 1):
        corners = new.corners(index)  # by a reader that knows no compression
        for name, values in plain.corners(index).items():
            assert values.tobytes() == corners[name].tobytes(), name
    was, now = (each.tree["meshes"][0]["primitives"] for each in (old, new))
    for name, number in was[0]["attributes"].items():
        copied = new.values(now[0]["attributes"][name])
        np.testing.assert_array_equal(copied[:8], plain.values(number))
    assert now[1] == was[1] and streams(new).items() >= streams(old).items()
    assert new.tree["extensionsRequired"] == [extension]
    assert_same_values(open_document(after), plain)
    found = measure_damage(path, after, mesh, False)
    assert found["primitives_decompressed"] == 2 and found["vertices_copied"] > 0
    assert found["max_position_delta"] == 0


def test_bounds_of_what_is_stored_plainly_are_those_of_the_values(tmp_path: Path) -> None:
    """Filters move values a little; the bounds of the input may be those from before."""
    path, _ = written_scene(one_mesh(), tmp_path)
    content = path.read_bytes()
    assert b"[9.0, 9.0, 9.0]" in content
    path.write_bytes(content.replace(b"[9.0, 9.0, 9.0]", b"[9.1, 9.1, 9.1]"))
    after = Parsed(written(path, unwrapped(load_mesh(path)), False)[".glb"].read_bytes())
    position = after.tree["meshes"][0]["primitives"][0]["attributes"]["POSITION"]
    assert after.tree["accessors"][position]["max"] == after.values(position).max(0).tolist()


def test_sparse_quantised_coordinates_are_read_and_come_back(tmp_path: Path) -> None:
    scene = one_mesh()
    dense = np.int16([[0, 0, 0, 0], [90, 0, 0, 0], [90, 90, 0, 0], [0, 90, 0, 0]] * 2)
    view = scene.view(dense.tobytes(), byteStride=8)
    sparse = {
        "count": 2,
        "indices": {
            "bufferView": scene.view(np.uint16([4, 5]).tobytes()),
            "componentType": 5123,
        },
        "values": {
            "bufferView": scene.view(np.int16([[180, 0, 60, 0], [180, 90, 60, 0]]).tobytes())
        },
    }
    described = {"componentType": 5122, "type": "VEC4", "count": 8, "bufferView": view}
    position = scene.add("accessors", described | {"sparse": sparse})
    attributes = scene.tree["meshes"][0]["primitives"][0]["attributes"]
    attributes["_PLACE"] = position
    path, plain = written_scene(scene, tmp_path)
    document = open_document(path)
    assert len(streams(Parsed(path.read_bytes()))) == 5
    np.testing.assert_array_equal(document.raw_accessor(position), plain.values(position))
    assert document.raw_accessor(position)[5].tolist() == [180, 90, 60, 0]
    mesh = unwrapped(load_mesh(path))
    after = written(path, mesh, False)[".glb"]
    corners = Parsed(after.read_bytes()).corners(0)
    np.testing.assert_array_equal(corners["_PLACE"], plain.corners(0)["_PLACE"])
    assert measure_damage(path, after, mesh, False)["primitives_decompressed"] == 1


def scene_with_fallback(folder: Path) -> tuple[Path, Parsed]:
    """A .gltf whose compressed views lie plainly in a file of their own, too."""
    glb, plain = written_scene(everything(), folder, fallback="plain%20data.bin")
    parsed = Parsed(glb.read_bytes())
    glb.unlink()
    parsed.tree["buffers"][0]["uri"] = "scene.bin"
    (folder / "scene.bin").write_bytes(parsed.binary)
    (folder / "plain data.bin").write_bytes(plain.binary)
    for number, view in enumerate(parsed.tree["bufferViews"]):
        if view["buffer"] == 1:
            view["byteOffset"] = plain.tree["bufferViews"][number]["byteOffset"]
    path = folder / "scene.gltf"
    path.write_text(json.dumps(parsed.tree))
    return path, plain


def test_a_fallback_comes_along(tmp_path: Path) -> None:
    path, plain = scene_with_fallback(tmp_path)
    mesh = load_mesh(path)
    files = written(path, mesh, True)
    new = Parsed(files[".glb"].read_bytes())
    assert len(new.tree["buffers"]) == 1 and "extensions" not in new.tree["buffers"][0]
    for number, view in enumerate(plain.tree["bufferViews"]):
        assert new.view(number) == plain.view(number), view
    for after in (files[".glb"], files[".gltf"]):
        assert_same_values(open_document(after), plain)
        assert measure_damage(path, after, mesh, True).items() >= UNCHANGED.items()
    kept = np.ones(len(mesh.faces), bool)
    assert not [w for w in input_warnings(path, mesh, kept, False, []) if "buffers" in w]


def test_a_fallback_that_is_not_there_is_not_needed(tmp_path: Path) -> None:
    path, plain = scene_with_fallback(tmp_path)
    with_fallback = input_sha256(path)
    (tmp_path / "plain data.bin").unlink()
    assert input_sha256(path) != with_fallback
    mesh = load_mesh(path)
    for after in written(path, mesh, True).values():
        if after.suffix != ".bin":
            document = open_document(after)
            assert document.tree["buffers"][1] == open_document(path).tree["buffers"][1]
            assert_same_values(document, plain)
            assert measure_damage(path, after, mesh, True).items() >= UNCHANGED.items()


def test_a_fallback_in_the_first_place_stays_behind_the_data(tmp_path: Path) -> None:
    path, plain = scene_with_fallback(tmp_path)
    tree = json.loads(path.read_text())
    tree["buffers"].reverse()
    del tree["buffers"][0]["uri"]
    for view in tree["bufferViews"]:
        for place in (view, *view.get("extensions", {}).values()):
            place["buffer"] = 1 - place["buffer"]
    path.write_text(json.dumps(tree))
    mesh = load_mesh(path)
    after = written(path, mesh, True)[".glb"]
    new = Parsed(after.read_bytes()).tree
    assert [buffer.get("extras") for buffer in new["buffers"]] == ["of the buffer", None]
    assert new["buffers"][1] == tree["buffers"][0]
    assert_same_values(open_document(after), plain)
    assert measure_damage(path, after, mesh, True).items() >= UNCHANGED.items()


@pytest.mark.parametrize("what", ["stream", "mode", "move", "fallback", "empty"])
def test_damage_to_what_is_compressed_is_found(tmp_path: Path, what: str) -> None:
    path, _ = written_scene(everything(), tmp_path)
    mesh = load_mesh(path)
    after = written(path, mesh, True)[".glb"]
    document = open_document(after)
    number = document.tree["animations"][0]["samplers"][0]["output"]
    view = document.tree["bufferViews"][document.tree["accessors"][number]["bufferView"]]
    content = after.read_bytes()
    if what == "stream":
        assert document.binary_chunk is not None
        start = content.index(document.binary_chunk) + view["extensions"][EXT]["byteOffset"]
        changed = bytearray(content)
        changed[start + 9] ^= 1
        after.write_bytes(bytes(changed))
    else:
        old, new = {
            "mode": (b'"mode":"INDICES"', b'"mode":"Indices"'),
            "move": (b'{"buffer":1,"byteOffset":0,', b'{"buffer":1,"byteOffset":4,'),
            "fallback": (b'"fallback":true', b'"fallback":null'),
            "empty": (b'"buffer":1,', b'"buffer":0,'),
        }[what]
        assert old in content
        after.write_bytes(content.replace(old, new, 1))
    with pytest.raises(TexcsdError, match="differ"):
        measure_damage(path, after, mesh, True)


def test_what_is_compressed_can_be_displaced(tmp_path: Path) -> None:
    path, plain = written_scene(one_mesh(), tmp_path)
    mesh = load_mesh(path)
    mesh = unwrapped(mesh)
    shape = replace(mesh, vertices=mesh.vertices + torch.tensor([0.0, 0.0, 0.125]))
    after = written_displaced(path, mesh, False, shape)[".glb"]
    found = measure_damage(path, after, mesh, False, shape)
    assert found["max_position_delta"] == pytest.approx(0.125)
    old, new = Parsed(path.read_bytes()), Parsed(after.read_bytes())
    assert streams(new).items() >= streams(old).items()
    moved = new.corners(0)["POSITION"] - plain.corners(0)["POSITION"]
    np.testing.assert_allclose(moved, np.tile([0, 0, 0.125], (12, 1)))
