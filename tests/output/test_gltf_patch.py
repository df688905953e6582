"""A glTF comes back as it was, with a texture. Every file is read by the tests' own reader."""

import base64
import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gltf_scenes import (
    CORNERS,
    FIRST_UV,
    PNG,
    SECOND_UV,
    STRIP,
    TRIANGLES,
    Parsed,
    Scene,
    everything,
    one_mesh,
    with_unused,
)

from texcsd.errors import TexcsdError
from texcsd.geometry.instances import repeat_uv, without_repeats
from texcsd.geometry.mesh import Mesh, load_mesh
from texcsd.geometry.uv_atlas import ensure_uv
from texcsd.output.mesh_files import mesh_file_contents, mesh_file_names

PAINTED = b"\x89PNG that was painted"


def write(scene: Scene, folder: Path) -> Path:
    path = folder / "scene.glb"
    path.write_bytes(scene.glb())
    return path


def patched(path: Path, mesh: Mesh) -> Parsed:
    return Parsed(contents_of(path, mesh)["mesh"])


def contents_of(path: Path, mesh: Mesh) -> dict[str, bytes]:
    names = mesh_file_names(path) | {"base_color": "textures/base_color.png"}
    return mesh_file_contents(path, mesh, False, {0: PAINTED}, names)


def unwrapped(mesh: Mesh) -> Mesh:
    """Every triangle a chart of its own, so that every shared vertex is on a seam."""
    once = without_repeats(mesh)
    count = len(once.faces)
    corner = np.float32([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9]])
    uv = (corner + np.stack([np.arange(count), np.zeros(count)], 1)[:, None]) / [count, 1]
    once = replace(
        once,
        uv=torch.from_numpy(uv.reshape(-1, 2).astype(np.float32)),
        uv_faces=torch.arange(3 * count).reshape(-1, 3),
    )
    return repeat_uv(mesh, once)


def sampled_uv(parsed: Parsed, mesh: int) -> np.ndarray:
    """What the material looks up at the corners, from the top: float[corner, 2]."""
    primitive = parsed.tree["meshes"][mesh]["primitives"][0]
    texture = base_color(parsed, primitive)
    assert texture["index"] == len(parsed.tree["textures"]) - 1
    return parsed.corners(mesh)[f"TEXCOORD_{texture.get('texCoord', 0)}"]


def base_color(parsed: Parsed, primitive: dict) -> dict:
    material = parsed.tree["materials"][primitive["material"]]
    return material["pbrMetallicRoughness"]["baseColorTexture"]


def image_of(parsed: Parsed, texture: dict) -> bytes:
    source = parsed.tree["textures"][texture["index"]]["source"]
    return parsed.view(parsed.tree["images"][source]["bufferView"])


PAINT = ("materials", "textures", "samplers", "images", "bufferViews", "buffers")


@pytest.mark.parametrize("make_uv", [lambda mesh: mesh, unwrapped], ids=["kept", "unwrapped"])
def test_all_but_the_paint_comes_back(tmp_path: Path, make_uv) -> None:
    path = write(everything(), tmp_path)
    before, after = Parsed(path.read_bytes()), patched(path, make_uv(load_mesh(path)))
    assert after.binary.startswith(before.binary)
    for key, value in before.tree.items():
        if key == "buffers":
            assert after.tree[key][0]["extras"] == "of the buffer"
        elif key == "materials":
            assert after.tree[key][1:3] == value[1:]
        elif isinstance(value, list) and key in (*PAINT, "accessors"):
            assert after.tree[key][: len(value)] == value
        elif key != "meshes":
            assert after.tree[key] == value
    assert after.tree.keys() == before.tree.keys()


def test_kept_uv_change_nothing_of_a_primitive_but_its_material(tmp_path: Path) -> None:
    path = write(everything(), tmp_path)
    before, after = Parsed(path.read_bytes()), patched(path, load_mesh(path))
    assert after.tree["accessors"] == before.tree["accessors"]
    stone = before.tree["meshes"][1]["primitives"][0]
    assert after.tree["meshes"][0] == before.tree["meshes"][0]
    # The lines of the body use "Stone", too, and are not painted: the stone gets a namesake.
    assert after.tree["meshes"][1]["primitives"][0] == stone | {"material": 3}
    names = [material["name"] for material in after.tree["materials"]]
    assert names == ["Skin", "Stone", "Unused", "Stone"]


def test_seams_copy_vertices_with_all_they_have(tmp_path: Path) -> None:
    path = write(everything(), tmp_path)
    before, after = Parsed(path.read_bytes()), patched(path, unwrapped(load_mesh(path)))
    for mesh in (0, 1):
        old, new = before.corners(mesh), after.corners(mesh)
        assert set(new) - set(old) == {"TEXCOORD_2" if mesh == 0 else "TEXCOORD_1"}
        for name, values in old.items():
            assert values.dtype == new[name].dtype
            assert values.tobytes() == new[name].tobytes(), name
    was, now = before.tree["meshes"][0]["primitives"], after.tree["meshes"][0]["primitives"]
    assert now[1] == was[1]  # lines are not painted
    assert now[0]["extras"] == was[0]["extras"]
    for name, number in was[0]["attributes"].items():
        copied = after.values(now[0]["attributes"][name])
        assert len(copied) == 8 + 6  # twelve corners of six vertices, and two unused vertices
        np.testing.assert_array_equal(copied[:8], before.values(number))
        old, new = (p.tree["accessors"] for p in (before, after))
        same = new[now[0]["attributes"][name]] | {"bufferView": 0, "count": 8}
        assert same == old[number] | {"bufferView": 0}


def test_accessors_and_views_follow_the_specification(tmp_path: Path) -> None:
    path = write(everything(), tmp_path)
    after = patched(path, unwrapped(load_mesh(path)))
    for mesh in after.tree["meshes"]:
        for primitive in mesh["primitives"]:
            counts = {after.tree["accessors"][n]["count"] for n in primitive["attributes"].values()}
            assert len(counts) == 1
            sets = sum(name.startswith("TEXCOORD") for name in primitive["attributes"])
            assert {f"TEXCOORD_{n}" for n in range(sets)} <= set(primitive["attributes"])
    for view in after.tree["bufferViews"]:
        assert view.get("byteOffset", 0) % 4 == 0 and view.get("byteStride", 4) % 4 == 0
    size = after.tree["buffers"][0]["byteLength"]
    assert size <= len(after.binary) < size + 4


def test_instances_stay_instances_and_share_their_texels(tmp_path: Path) -> None:
    path = write(everything(), tmp_path)
    mesh, source, _ = ensure_uv(load_mesh(path), "always", 64)
    assert source != "input"
    after = patched(path, mesh)
    assert [node.get("mesh") for node in after.tree["nodes"]] == [0, None, None, 1, 1, None, 1]
    assert len(after.tree["meshes"]) == 2
    assert mesh.uv is not None and mesh.uv_faces is not None
    corners = mesh.uv[mesh.uv_faces]
    assert [part.name for part in mesh.parts] == ["body_1", "left", "right"]
    assert torch.equal(corners[4:8], corners[8:12].flip(1))  # "right" is mirrored
    expected = corners[4:8].numpy().reshape(-1, 2) * [1, -1] + [0, 1]
    np.testing.assert_allclose(sampled_uv(after, 1), expected, atol=1e-7)


def test_uv_shared_by_instances_are_no_reason_to_unwrap(tmp_path: Path) -> None:
    scene = one_mesh()
    scene.tree["meshes"][0]["primitives"][0]["attributes"]["TEXCOORD_0"] = scene.uv(FIRST_UV)
    scene.tree["nodes"] += [{"mesh": 0, "translation": [0, 0, n]} for n in range(9)]
    scene.tree["scenes"][0]["nodes"] = list(range(10))
    mesh, source, notes = ensure_uv(load_mesh(write(scene, tmp_path)), "auto", 64)
    assert (source, notes, len(mesh.faces)) == ("input", [], 40)


def test_the_material_keeps_what_tells_of_the_shape(tmp_path: Path) -> None:
    path = write(everything(), tmp_path)
    after = patched(path, load_mesh(path))
    assert after.tree["materials"][0] == {
        "name": "Skin",
        "extras": 5,
        "doubleSided": True,
        "normalTexture": {"index": 0, "texCoord": 1},
        "pbrMetallicRoughness": {
            "baseColorTexture": {"index": 1},
            "metallicFactor": 0,
            "roughnessFactor": 0.6,
        },
    }
    assert after.tree["materials"][3]["pbrMetallicRoughness"]["baseColorTexture"] == {"index": 1}
    assert image_of(after, {"index": 1}) == PAINTED
    assert image_of(after, {"index": 0}) == PNG


@pytest.mark.parametrize("lookup", [{}, {"texCoord": 1}])
def test_the_set_that_was_painted_is_the_one_that_is_sampled(tmp_path: Path, lookup) -> None:
    scene = everything()
    texture = {"baseColorTexture": {"index": 0, **lookup}}
    scene.tree["materials"][0]["pbrMetallicRoughness"] = texture
    path = write(scene, tmp_path)
    mesh = load_mesh(path)
    after = patched(path, mesh)
    expected = (SECOND_UV if lookup else FIRST_UV)[TRIANGLES].reshape(-1, 2)
    np.testing.assert_array_equal(sampled_uv(after, 0), expected)
    assert mesh.uv is not None and mesh.uv_faces is not None
    np.testing.assert_array_equal(
        mesh.uv[mesh.uv_faces[:4]].reshape(-1, 2), expected * [1, -1] + [0, 1]
    )


def test_a_transform_is_painted_through_and_stays(tmp_path: Path) -> None:
    """The specification's own example: the lower left quarter of the image, turned clockwise."""
    transform = {"offset": [0, 1], "rotation": np.pi / 2, "scale": [0.5, 0.5]}
    scene = one_mesh()
    primitive = scene.tree["meshes"][0]["primitives"][0]
    primitive["attributes"]["TEXCOORD_0"] = scene.uv(FIRST_UV)
    primitive["material"] = 0
    lookup = {"extensions": {"KHR_texture_transform": transform}}
    texture = {"baseColorTexture": {"index": 0, **lookup}}
    scene.add("materials", {"pbrMetallicRoughness": texture})
    path = write(scene, tmp_path)
    mesh = load_mesh(path)
    assert mesh.uv is not None
    np.testing.assert_allclose(mesh.uv[:6], FIRST_UV[:, ::-1] * 0.5, atol=1e-7)
    after = patched(path, mesh)
    assert base_color(after, after.tree["meshes"][0]["primitives"][0]) == {"index": 0, **lookup}
    assert after.tree["accessors"] == scene.tree["accessors"]


def test_quantised_coordinates_and_positions_stay_quantised(tmp_path: Path) -> None:
    scene = Scene()
    steps = np.round(FIRST_UV * 4095)
    attributes = {
        "POSITION": scene.array(with_unused(CORNERS * 100), 5122, "VEC3", normalized=True),
        "TEXCOORD_0": scene.uv(steps, 5123),
    }
    scale = {"KHR_texture_transform": {"scale": [1 / 4095, 1 / 4095]}}
    texture = {"index": 0, "extensions": scale}
    scene.add("materials", {"pbrMetallicRoughness": {"baseColorTexture": texture}})
    primitive = {"attributes": attributes, "indices": scene.indices(), "material": 0}
    scene.add("meshes", {"primitives": [primitive]})
    scene.add("nodes", {"mesh": 0, "scale": [300, 300, 300]})
    scene.tree |= {"scenes": [{"nodes": [0]}], "extensionsRequired": ["KHR_mesh_quantization"]}
    path = write(scene, tmp_path)
    mesh = load_mesh(path)
    kept, source, _ = ensure_uv(mesh, "auto", 64)
    assert source == "input"
    after = patched(path, kept)
    assert after.tree["accessors"] == scene.tree["accessors"]
    assert base_color(after, after.tree["meshes"][0]["primitives"][0])["extensions"] == scale
    before, after = Parsed(path.read_bytes()), patched(path, unwrapped(mesh))
    for name, values in before.corners(0).items():
        assert values.dtype.itemsize == 2
        np.testing.assert_array_equal(after.corners(0)[name], values)


def test_a_primitive_without_uv_among_others_gets_a_set(tmp_path: Path) -> None:
    scene = everything()
    del scene.tree["meshes"][1]["primitives"][0]["attributes"]["TEXCOORD_0"]
    path = write(scene, tmp_path)
    after = patched(path, load_mesh(path))
    assert len(np.unique(sampled_uv(after, 1), axis=0)) == 1
    was = scene.tree["meshes"][1]["primitives"][0]
    assert after.tree["meshes"][1]["primitives"][0]["indices"] == was["indices"]  # no seam


def test_a_strip_stays_one_unless_a_seam_cuts_it(tmp_path: Path) -> None:
    scene = one_mesh()
    primitive = scene.tree["meshes"][0]["primitives"][0]
    primitive |= {"indices": scene.indices(STRIP), "mode": 5}
    path = write(scene, tmp_path)
    mesh = load_mesh(path)
    one_chart = replace(mesh, uv=torch.tensor(np.float32(CORNERS[:, :2] / 2)), uv_faces=mesh.faces)
    whole = patched(path, one_chart).tree["meshes"][0]["primitives"][0]
    assert (whole["mode"], whole["indices"]) == (5, primitive["indices"])
    cut = patched(path, unwrapped(mesh))
    assert cut.tree["meshes"][0]["primitives"][0]["mode"] == 4
    np.testing.assert_array_equal(cut.corners(0)["POSITION"], CORNERS[mesh.faces].reshape(-1, 3))


def test_a_primitive_without_indices_gets_them_only_for_seams(tmp_path: Path) -> None:
    scene = one_mesh()
    primitive = scene.tree["meshes"][0]["primitives"][0]
    del primitive["indices"]
    primitive["attributes"]["POSITION"] = scene.positions(CORNERS[TRIANGLES].reshape(-1, 3)[:7])
    path = write(scene, tmp_path)
    mesh = load_mesh(path)
    after = patched(path, unwrapped(mesh)).tree["meshes"][0]["primitives"][0]
    assert "indices" not in after and "TEXCOORD_0" in after["attributes"]


def test_one_material_for_different_sets_becomes_two_of_one_name(tmp_path: Path) -> None:
    scene = everything()
    scene.tree["meshes"][0]["primitives"][1]["material"] = 2
    scene.tree["meshes"][1]["primitives"][0]["material"] = 0
    path = write(scene, tmp_path)
    after = patched(path, unwrapped(load_mesh(path)))
    numbers = [after.tree["meshes"][mesh]["primitives"][0]["material"] for mesh in (0, 1)]
    assert numbers == [3, 4]
    materials = [after.tree["materials"][number] for number in numbers]
    assert [material["name"] for material in materials] == ["Skin", "Skin"]
    lookups = [material["pbrMetallicRoughness"]["baseColorTexture"] for material in materials]
    assert lookups == [{"index": 1, "texCoord": 2}, {"index": 1, "texCoord": 1}]


def test_several_buffers_become_one(tmp_path: Path) -> None:
    scene = everything()
    scene.blobs += [b"odd", b""]
    scene.view(b"unknown", 1, extensions={"EXT_twin": {"buffer": 2, "byteOffset": 8}})
    more = scene.array(np.arange(24), 5126, "VEC3", buffer=2)
    scene.tree["meshes"][0]["primitives"][0]["targets"].append({"POSITION": more})
    path = write(scene, tmp_path)
    after = patched(path, unwrapped(load_mesh(path)))
    assert len(after.tree["buffers"]) == 1
    (view,) = (view for view in after.tree["bufferViews"] if "extensions" in view)
    assert after.view(after.tree["bufferViews"].index(view)) == b"unknown"
    twin = view["extensions"]["EXT_twin"]
    assert twin["buffer"] == 0
    place = twin["byteOffset"] - 8
    np.testing.assert_array_equal(np.frombuffer(after.binary, "<f4", 24, place), np.arange(24))
    np.testing.assert_array_equal(after.values(more)[:8].ravel(), np.arange(24))


def test_chunks_that_nobody_knows_come_back_in_their_order(tmp_path: Path) -> None:
    scene = everything()
    scene.chunks = [(b"ABCD", b"userdata"), (b"BIN\0", b"more"), (b"ABCD", b"")]
    path = write(scene, tmp_path)
    after = patched(path, load_mesh(path))
    assert after.chunks == scene.chunks
    assert after.binary.startswith(Parsed(path.read_bytes()).binary)


def test_json_padded_with_zeros_is_read(tmp_path: Path) -> None:
    scene = everything()
    scene.padding = b"\0"
    path = write(scene, tmp_path)
    assert b"\0\0\0\0" in path.read_bytes()[:-4].partition(b"BIN\0")[0]
    assert patched(path, load_mesh(path)).tree["nodes"] == scene.tree["nodes"]


def gltf(scene: Scene, folder: Path) -> Path:
    """Two buffers and two images beside the file, one of the images missing."""
    tree = json.loads(json.dumps(scene.tree))
    uri = "data:;base64," + base64.b64encode(b"more").decode()
    tree["buffers"] = [
        {"byteLength": len(scene.blobs[0]), "uri": "my%20data.bin"},
        {"byteLength": 4, "uri": uri},
    ]
    tree["images"] += [{"uri": "im%C3%A4ge.png"}, {"uri": "gone.jpg"}, {"uri": "data:,x"}]
    (folder / "my data.bin").write_bytes(scene.blobs[0])
    (folder / "imäge.png").write_bytes(PNG)
    path = folder / "a scene.gltf"
    path.write_text(json.dumps(tree))
    return path


@pytest.mark.parametrize("make_uv", [lambda mesh: mesh, unwrapped], ids=["kept", "unwrapped"])
def test_a_gltf_comes_back_as_glb_and_as_gltf_with_one_buffer(tmp_path: Path, make_uv) -> None:
    path = gltf(everything(), tmp_path)
    assert mesh_file_names(path) == {
        "mesh": "a scene.glb",
        "gltf": "a scene.gltf",
        "bin": "a scene.bin",
    }
    contents = contents_of(path, make_uv(load_mesh(path)))
    assert contents.keys() == mesh_file_names(path).keys()
    glb, tree = Parsed(contents["mesh"]), json.loads(contents["gltf"])
    assert tree["buffers"][0].pop("uri") == "a%20scene.bin"
    assert tree == glb.tree
    assert glb.binary.startswith(contents["bin"])
    assert len(contents["bin"]) == tree["buffers"][0]["byteLength"]
    images = tree["images"]
    assert glb.view(images[1]["bufferView"]) == PNG and images[1]["mimeType"] == "image/png"
    assert images[2:4] == [{"uri": "gone.jpg"}, {"uri": "data:,x"}]


IMAGES = {
    "a.bmp": (b"BM\x2a\1\0\0\0\0\0\0 more", "image/bmp"),
    "a.gif": (b"GIF89a more", "image/gif"),
    "a.avif": (b"\0\0\0\x1cftypavif more", "image/avif"),
    "b.avif": (b"\0\0\0\x1cftypmif1\0\0\0\0miafavif", "image/avif"),
    "a.dds": (b"DDS more", "image/vnd-ms.dds"),
    "A.TGA": (b"\0\0\x02" + bytes(9) + b"\4\0\4\0\x18 more", "image/x-tga"),
    "a.tif": (b"MM\0*more", "image/tiff"),
    "a.webp": (b"RIFF\1\2\3\4WEBPmore", "image/webp"),
    "a.ktx2": (b"\xabKTX 20\xbb", "image/ktx2"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_of_any_kind_beside_the_file_is_taken_in(tmp_path: Path, name: str) -> None:
    content, media_type = IMAGES[name]
    path = gltf(everything(), tmp_path)
    (tmp_path / name).write_bytes(content)
    tree = json.loads(path.read_text())
    tree["images"] += [{"uri": name, "name": "mine"}, {"uri": name, "mimeType": "image/special"}]
    path.write_text(json.dumps(tree))
    after = Parsed(contents_of(path, load_mesh(path))["mesh"])
    first, second = after.tree["images"][4:6]
    assert after.view(first.pop("bufferView")) == after.view(second.pop("bufferView")) == content
    assert first == {"name": "mine", "mimeType": media_type}
    assert second == {"mimeType": "image/special"}


@pytest.mark.parametrize("content", [b"a secret", b"BM a secret", b"RIFF as a secret"])
@pytest.mark.parametrize("name", ["gone.jpg", "gone.tga"])
def test_a_file_that_is_no_image_is_not_taken_in(tmp_path: Path, name, content) -> None:
    path = gltf(everything(), tmp_path)
    path.write_text(path.read_text().replace("gone.jpg", name))
    (tmp_path / name).write_bytes(content)
    contents = contents_of(path, load_mesh(path))
    assert b"secret" not in contents["bin"]


def refusal(path: Path, mesh: Mesh) -> str:
    with pytest.raises(TexcsdError) as raised:
        contents_of(path, mesh)
    message = str(raised.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message


def test_a_draco_twin_is_kept_with_kept_uv_and_left_out_with_new_ones(tmp_path: Path) -> None:
    scene = everything()
    extensions = {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {}}}
    scene.tree["meshes"][0]["primitives"][0]["extensions"] = extensions
    path = write(scene, tmp_path)
    mesh = load_mesh(path)
    assert patched(path, mesh).tree["meshes"][0]["primitives"][0]["extensions"] == extensions
    assert "extensions" not in patched(path, unwrapped(mesh)).tree["meshes"][0]["primitives"][0]


def test_a_missing_buffer_of_an_animation_is_refused(tmp_path: Path) -> None:
    path = gltf(everything(), tmp_path)
    mesh = load_mesh(path)
    tree = json.loads(path.read_text())
    tree["buffers"][1]["uri"] = "walk.bin"
    path.write_text(json.dumps(tree))
    assert '"walk.bin" is missing' in refusal(path, mesh)
    (tmp_path / "walk.bin").write_bytes(b"wal")
    assert "buffer 1 ends before" in refusal(path, mesh)


@pytest.mark.parametrize("key", ["images", "samplers", "textures", "bufferViews", "materials"])
@pytest.mark.parametrize("nonsense", [3, {"a": 1}, [3], [None]])
def test_nonsense_that_was_no_obstacle_to_loading_is_refused(tmp_path, key, nonsense) -> None:
    path = write(everything(), tmp_path)
    mesh = load_mesh(path)
    parsed = Parsed(path.read_bytes())
    scene = everything()
    scene.tree[key] = nonsense
    path.write_bytes(scene.glb())
    try:
        assert parsed.binary in contents_of(path, mesh)["mesh"]
    except TexcsdError as error:
        assert "\n" not in str(error)


def edited(path: Path, mesh: Mesh) -> Parsed:
    names = mesh_file_names(path) | {"base_color": "textures/base_color.png"}
    return Parsed(mesh_file_contents(path, mesh, True, {0: PAINTED}, names, True)["mesh"])


def textured(scene: Scene) -> Scene:
    """The second coordinate set, transformed, in a material with all sorts of other things."""
    scene.add("images", {"bufferView": scene.view(PNG), "mimeType": "image/png"})
    scene.add("samplers", {"wrapS": 33648, "magFilter": 9728})
    scene.add("textures", {"source": 0, "sampler": 0, "name": "skin"})
    transform = {"KHR_texture_transform": {"scale": [0.5, 0.5]}}
    info = {"index": 0, "texCoord": 1, "extensions": transform, "extras": 1}
    pbr = {
        "baseColorTexture": info,
        "metallicFactor": 0.9,
        "metallicRoughnessTexture": {"index": 0},
    }
    more = {"alphaMode": "MASK", "alphaCutoff": 0.4, "extensions": {"EXT_unknown": {"a": 1}}}
    scene.add("materials", {"name": "Skin", "pbrMetallicRoughness": pbr, **more})
    for primitive in scene.tree["meshes"][0]["primitives"]:
        primitive["material"] = 0
    return scene


def test_an_edited_texture_changes_nothing_else_of_its_material(tmp_path) -> None:
    scene = one_mesh()
    (primitive,) = scene.tree["meshes"][0]["primitives"]
    primitive["attributes"] |= {
        "TEXCOORD_0": scene.uv(FIRST_UV),
        "TEXCOORD_1": scene.uv(SECOND_UV),
    }
    path = write(textured(scene), tmp_path)
    parsed = edited(path, load_mesh(path))
    (before,), (after,) = scene.tree["materials"], parsed.tree["materials"]
    texture = after["pbrMetallicRoughness"]["baseColorTexture"]
    assert image_of(parsed, texture) == PAINTED
    assert parsed.tree["textures"][texture["index"]]["sampler"] == 0
    assert parsed.tree["textures"][0] == scene.tree["textures"][0]
    assert parsed.tree["samplers"] == scene.tree["samplers"]
    texture["index"] = 0
    assert after == before and parsed.tree["meshes"] == scene.tree["meshes"]


def test_each_texture_with_the_edited_image_keeps_its_sampler(tmp_path) -> None:
    scene = textured(one_mesh())
    (primitive,) = scene.tree["meshes"][0]["primitives"]
    primitive["attributes"] |= {"TEXCOORD_0": scene.uv(FIRST_UV), "TEXCOORD_1": scene.uv(SECOND_UV)}
    scene.add("textures", {"source": 0})
    second = scene.add(
        "materials", {"name": "Second", "pbrMetallicRoughness": {"baseColorTexture": {"index": 1}}}
    )
    other = scene.primitive(TEXCOORD_0=scene.uv(FIRST_UV)) | {"material": second}
    scene.tree["meshes"][0]["primitives"].append(other)
    path = write(scene, tmp_path)
    parsed = edited(path, load_mesh(path))
    infos = [base_color(parsed, p) for p in parsed.tree["meshes"][0]["primitives"]]
    assert [image_of(parsed, info) for info in infos] == [PAINTED, PAINTED]
    assert [parsed.tree["textures"][info["index"]].get("sampler") for info in infos] == [0, None]
    assert len(parsed.tree["images"]) == 2


def specular(scene: Scene, index: int) -> Scene:
    """The base colour in the extension of older files, too."""
    extension = {"diffuseTexture": {"index": index, "texCoord": 1}, "glossinessFactor": 0.3}
    scene.tree["materials"][0]["extensions"] = {"KHR_materials_pbrSpecularGlossiness": extension}
    (primitive,) = scene.tree["meshes"][0]["primitives"]
    primitive["attributes"] |= {"TEXCOORD_0": scene.uv(FIRST_UV), "TEXCOORD_1": scene.uv(SECOND_UV)}
    return scene


@pytest.mark.parametrize("alone", [True, False])
def test_the_base_colour_of_specular_and_glossiness_is_edited_where_it_is(tmp_path, alone) -> None:
    scene = specular(textured(one_mesh()), 0)
    if alone:
        del scene.tree["materials"][0]["pbrMetallicRoughness"]
    path = write(scene, tmp_path)
    parsed = edited(path, load_mesh(path))
    (before,), (after,) = scene.tree["materials"], parsed.tree["materials"]
    extension = after["extensions"]["KHR_materials_pbrSpecularGlossiness"]
    assert image_of(parsed, extension["diffuseTexture"]) == PAINTED
    if not alone:
        assert image_of(parsed, after["pbrMetallicRoughness"]["baseColorTexture"]) == PAINTED
        after["pbrMetallicRoughness"]["baseColorTexture"]["index"] = 0
    extension["diffuseTexture"]["index"] = 0
    assert after == before


def test_two_base_colours_in_one_material_cannot_be_edited_but_painted_over(tmp_path) -> None:
    scene = textured(one_mesh())
    scene.add("images", {"bufferView": scene.view(PNG), "mimeType": "image/png"})
    scene.add("textures", {"source": 1})
    path = write(specular(scene, 1), tmp_path)
    mesh = load_mesh(path)
    with pytest.raises(TexcsdError, match="material Skin has two base colours, one of them"):
        edited(path, mesh)
    (material,) = patched(path, mesh).tree["materials"]
    assert "extensions" not in material


@pytest.mark.parametrize("patch", [lambda path, mesh: patched(path, mesh), edited])
def test_what_variants_wear_is_not_painted_over_be_it_the_default(tmp_path, patch) -> None:
    scene = textured(one_mesh(TEXCOORD_0=0, TEXCOORD_1=0))
    first = scene.tree["meshes"][0]["primitives"][0]
    first["attributes"] |= {"TEXCOORD_0": scene.uv(FIRST_UV), "TEXCOORD_1": scene.uv(SECOND_UV)}
    second = {"attributes": dict(first["attributes"]), "indices": first["indices"], "material": 1}
    third = copy.deepcopy(second) | {"material": 3}
    scene.tree["meshes"][0]["primitives"] += [second, third]
    skin = scene.tree["materials"][0]
    for name in ("Green", "Blue", "Gold"):
        scene.add("materials", copy.deepcopy(skin) | {"name": name})
    mappings = [{"material": number, "variants": [number]} for number in range(3)]
    first["extensions"] = {"KHR_materials_variants": {"mappings": mappings}}
    path = write(scene, tmp_path)
    parsed = patch(path, load_mesh(path))
    # The first wears the first variant if none is chosen, the second what is a variant of the
    # first; nobody but the third wears gold.
    assert parsed.tree["materials"][:3] == scene.tree["materials"][:3]
    names = [material["name"] for material in parsed.tree["materials"]]
    assert names == ["Skin", "Green", "Blue", "Gold", "Skin", "Green"]
    now = parsed.tree["meshes"][0]["primitives"]
    assert [primitive["material"] for primitive in now] == [4, 5, 3]
    assert [image_of(parsed, base_color(parsed, primitive)) for primitive in now] == [PAINTED] * 3
    assert now[0]["extensions"] == first["extensions"]


def test_a_part_that_is_not_edited_keeps_the_material_both_had(tmp_path) -> None:
    scene = one_mesh()
    primitives = scene.tree["meshes"][0]["primitives"]
    primitives.append(scene.primitive())
    for primitive in primitives:
        primitive["attributes"] |= {
            "TEXCOORD_0": scene.uv(FIRST_UV),
            "TEXCOORD_1": scene.uv(SECOND_UV),
        }
    path = write(textured(scene), tmp_path)
    mesh = load_mesh(path)
    shown = torch.arange(len(mesh.faces)) >= mesh.parts[1].first_face
    parsed = edited(path, replace(mesh, textures=torch.where(shown, 0, -2)))
    kept, changed = parsed.tree["meshes"][0]["primitives"]
    assert kept == scene.tree["meshes"][0]["primitives"][0]
    assert parsed.tree["materials"][0] == scene.tree["materials"][0]
    assert image_of(parsed, base_color(parsed, changed)) == PAINTED
