"""What of a file does not fit together with paint is said, by the names the user knows."""

from pathlib import Path

import numpy as np
from gltf_scenes import FIRST_UV, Scene, one_mesh, with_unused

from texcsd.geometry.mesh import load_mesh
from texcsd.output.input_warnings import input_warnings

FILES = ("scene.glb", "scene.gltf", "scene.bin")


def write(scene: Scene, folder: Path) -> Path:
    path = folder / "scene.glb"
    path.write_bytes(scene.glb())
    return path


def warnings_of(path: Path, files=FILES) -> list[str]:
    return input_warnings(path, load_mesh(path), files)


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
