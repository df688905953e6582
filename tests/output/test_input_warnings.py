"""What of a file does not fit together with paint is said, by the names the user knows."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gltf_scenes import FIRST_UV, Scene, one_mesh, with_unused

from texcsd.geometry.mesh import load_mesh
from texcsd.output.input_warnings import input_warnings

FILES = ("scene.glb", "scene.gltf", "scene.bin")


def write(scene: Scene, folder: Path) -> Path:
    path = folder / "scene.glb"
    path.write_bytes(scene.glb())
    return path


def write_gltf(scene: Scene, folder: Path) -> Path:
    tree = copy.deepcopy(scene.tree)
    tree["buffers"] = [{"byteLength": len(scene.blobs[0]), "uri": "scene.bin"}]
    (folder / "scene.bin").write_bytes(scene.blobs[0])
    path = folder / "scene.gltf"
    path.write_text(json.dumps(tree))
    return path


def warnings_of(path: Path, files=FILES, uv_kept=True, edited=False, textures=None) -> list[str]:
    mesh = load_mesh(path)
    if textures is not None:
        mesh = replace(mesh, textures=torch.tensor(textures))
    return input_warnings(path, mesh, np.full(len(mesh.faces), uv_kept), edited, files)


def with_uv() -> Scene:
    scene = one_mesh()
    (primitive,) = scene.tree["meshes"][0]["primitives"]
    primitive["attributes"]["TEXCOORD_0"] = scene.uv(FIRST_UV)
    return scene


def test_there_is_nothing_to_say_of_a_plain_scene(tmp_path) -> None:
    assert warnings_of(write(with_uv(), tmp_path)) == []


def test_parts_whose_vertex_colours_viewers_multiply_are_named_once(tmp_path) -> None:
    scene = with_uv()
    (primitive,) = scene.tree["meshes"][0]["primitives"]
    red = with_unused(np.tile([255, 0, 0], (6, 1)))
    primitive["attributes"]["COLOR_0"] = scene.array(red, 5121, "VEC3", normalized=True)
    scene.tree["nodes"] = [{"mesh": 0, "name": "fender"}, {"mesh": 0, "name": "fender"}]
    scene.tree["scenes"] = [{"nodes": [0, 1]}]
    (text,) = warnings_of(write(scene, tmp_path))
    assert text.startswith('"fender": vertex colours (COLOR_0) come back as they were')
    assert "multiply" in text and "\n" not in text


def test_of_many_names_the_first_are_given(tmp_path) -> None:
    scene = with_uv()
    (primitive,) = scene.tree["meshes"][0]["primitives"]
    primitive["attributes"]["COLOR_0"] = scene.array(np.zeros((8, 3)), 5126, "VEC3")
    scene.tree["nodes"] = [{"mesh": 0, "name": f"n{number}"} for number in range(10)]
    scene.tree["scenes"] = [{"nodes": [*range(10)]}]
    (text,) = warnings_of(write(scene, tmp_path))
    assert '"n6", "n7" and 2 more:' in text and "n8" not in text


def test_colours_of_an_obj_stay_in_the_obj_and_do_not_reach_a_glb(tmp_path) -> None:
    path = tmp_path / "mesh.obj"
    path.write_text("o box\nv 0 0 0 1 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    (both,) = warnings_of(path, ["mesh.glb", "mesh.obj", "mesh.mtl"])
    assert both.startswith('"box": ') and "come back in the OBJ" in both and "multiply" in both
    (alone,) = warnings_of(path, ["mesh.glb"])
    assert alone == '"box": vertex colours (of `v` lines) are not in the GLB'


def test_colours_of_a_ply_are_not_in_the_result(tmp_path) -> None:
    path = tmp_path / "mesh.ply"
    header = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
    header += "property float z\nproperty uchar red\nelement face 1\n"
    header += "property list uchar int vertex_indices\nend_header\n"
    path.write_text(header + "0 0 0 255\n1 0 0 9\n0 1 0 255\n3 0 1 2\n")
    (text,) = warnings_of(path, ["mesh.glb"])
    assert text.startswith("vertex colours are not in the result")


def test_chunks_are_lost_only_where_no_glb_is_written(tmp_path) -> None:
    scene = with_uv()
    scene.chunks = [(b"ABCD", b"user"), (b"\xff\0\0\0", b"data")]
    path = write(scene, tmp_path)
    assert warnings_of(path, ["scene.glb"]) == []
    (text,) = warnings_of(path, ["scene.gltf", "scene.bin"])
    assert '"ABCD"' in text and "--format glb keeps them" in text and text.isprintable()


def test_what_described_a_buffer_that_is_joined_to_the_first_is_named(tmp_path) -> None:
    path = write_gltf(with_uv(), tmp_path)
    tree = json.loads(path.read_text())
    tree["buffers"].append({"byteLength": 4, "uri": "data:;base64,bW9yZQ=="})
    path.write_text(json.dumps(tree))
    assert warnings_of(path) == []
    tree["buffers"][0]["name"] = "kept"
    tree["buffers"][1] |= {"name": "walk", "extras": 3}
    path.write_text(json.dumps(tree))
    (text,) = warnings_of(path)
    assert text.endswith("lost are extras, name of buffer 1")


def test_images_that_the_result_refers_to_in_vain_are_named(tmp_path) -> None:
    scene = with_uv()
    names = ["here.png", "not%20here.png", "private.txt", "data:,x", "https://x.org/a.png"]
    names += ["a%0Aline", "x" * 300]
    scene.tree["images"] = [{"uri": name} for name in names]
    path = write_gltf(scene, tmp_path)
    (tmp_path / "here.png").write_bytes(b"\x89PNG")
    (tmp_path / "private.txt").write_text("secret")
    missing, unknown = warnings_of(path)
    named = f'"not here.png", "a line", "{"x" * 60}"'
    assert missing == f"images that are not there are still missing: {named}"
    assert unknown.endswith('not know them to be images: "private.txt"')


@pytest.mark.parametrize(("sets", "said"), [(0, False), (1, False), (2, True), (3, True)])
def test_new_uv_that_become_a_third_set_are_named(tmp_path, sets: int, said: bool) -> None:
    scene = with_uv()
    (primitive,) = scene.tree["meshes"][0]["primitives"]
    uv = primitive["attributes"].pop("TEXCOORD_0")
    primitive["attributes"] |= {f"TEXCOORD_{number}": uv for number in range(sets)}
    scene.tree["nodes"][0]["name"] = "hull"
    path = write(scene, tmp_path)
    assert warnings_of(path) == []
    found = warnings_of(path, uv_kept=False)
    assert len(found) == said
    assert all(text.startswith(f'"hull": the new uv are in TEXCOORD_{sets}, ') for text in found)


def pulsing() -> Scene:
    """Two primitives with a material each; an animation of emission, one of a node."""
    scene = with_uv()
    primitives = scene.tree["meshes"][0]["primitives"]
    primitives.append(copy.deepcopy(primitives[0]))
    for number, name in enumerate(("Lamp", "Shade")):
        scene.add("materials", {"name": name, "emissiveFactor": [1, 1, 1]})
        primitives[number]["material"] = number
    pointer = {"pointer": "/materials/0/emissiveFactor"}
    targets = {"path": "pointer", "extensions": {"KHR_animation_pointer": pointer}}
    for name, target in (("pulse", targets), ("walk", {"node": 0, "path": "scale"})):
        scene.add("animations", {"name": name, "channels": [{"sampler": 0, "target": target}]})
    return scene


LAMP, SHADE = [0] * 4 + [-2] * 4, [-2] * 4 + [0] * 4


def test_an_animation_of_a_material_that_is_replaced_is_named(tmp_path) -> None:
    path = write(pulsing(), tmp_path)
    (text,) = warnings_of(path)
    assert text.startswith('animation "pulse" changes materials, "Lamp", which the paint replaces')
    assert warnings_of(path, textures=LAMP) == [text]
    assert warnings_of(path, textures=SHADE) == []


def test_an_animation_of_an_edited_material_goes_on_unless_others_wear_it(tmp_path) -> None:
    scene = pulsing()
    assert warnings_of(write(scene, tmp_path), textures=LAMP, edited=True) == []
    second = scene.tree["meshes"][0]["primitives"][1]
    mappings = {"mappings": [{"material": 0, "variants": [0]}]}
    second["extensions"] = {"KHR_materials_variants": mappings}
    assert len(warnings_of(write(scene, tmp_path), textures=LAMP, edited=True)) == 1
    del second["extensions"]
    second["material"] = 0
    assert len(warnings_of(write(scene, tmp_path), textures=LAMP, edited=True)) == 1
    assert warnings_of(write(scene, tmp_path), edited=True) == []


def test_vrm_materials_that_still_name_their_old_texture_are_named(tmp_path) -> None:
    scene = pulsing()
    del scene.tree["animations"]
    described = [{"textureProperties": {"_MainTex": 0}}, {"textureProperties": {}}]
    scene.tree["extensions"] = {"VRM": {"materialProperties": described}}
    path = write(scene, tmp_path)
    assert warnings_of(path, textures=SHADE) == []
    for edited in (False, True):
        (text,) = warnings_of(path, edited=edited)
        assert text.startswith('materials "Lamp": the extension VRM still gives them their old')


@pytest.mark.parametrize("key", ["animations", "extensions"])
@pytest.mark.parametrize("nonsense", [3, {"VRM": 1}, [3], [None], [{"channels": 1}]])
def test_nonsense_in_what_is_passed_on_keeps_nothing_from_being_painted(
    tmp_path, key: str, nonsense
) -> None:
    scene = with_uv()
    scene.tree[key] = nonsense
    (text,) = warnings_of(write(scene, tmp_path))
    assert "the file is not valid" in text and "\n" not in text
