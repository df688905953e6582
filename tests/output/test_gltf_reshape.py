"""Vertices moved inside the user's own glTF, in whatever pose its nodes put them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gltf_scenes import CORNERS, FIRST_UV, Scene, everything, one_mesh
from test_gltf_patch import write

from texcsd.errors import TexcsdError
from texcsd.geometry.file_part import DamagedFileError
from texcsd.geometry.gltf_document import open_document
from texcsd.geometry.mesh import Mesh, load_mesh
from texcsd.output.damage import measure_damage
from texcsd.output.gltf_reshape import only_reshaped, reshape_gltf
from texcsd.output.mesh_files import mesh_file_contents

NAMES = {"mesh": "mesh.glb", "base_color": "a.png"}


def posed(**pose) -> Scene:
    scene = one_mesh()
    uv = scene.uv(FIRST_UV)
    angles = np.pi / 8 * np.array([0, 1, 1, 0, 2, 2, 0, 0])
    normals = np.stack([-np.sin(angles), 0 * angles, np.cos(angles)], 1)
    attributes = scene.tree["meshes"][0]["primitives"][0]["attributes"]
    attributes["TEXCOORD_0"] = uv
    attributes["NORMAL"] = scene.array(normals, 5126, "VEC3")
    scene.tree["nodes"][0] |= pose
    return scene


def displaced(mesh: Mesh) -> Mesh:
    moves = np.random.default_rng(1).normal(0, 0.02, mesh.vertices.shape)
    return replace(mesh, vertices=mesh.vertices + torch.from_numpy(moves))


@pytest.mark.parametrize(
    "pose",
    [
        {},
        {"translation": [1, 2, 3], "scale": [2, 3, 0.5]},
        {"rotation": [0.5, 0.5, 0.5, 0.5], "scale": [-1, 2, 1]},
    ],
)
def test_the_mesh_comes_back_displaced_and_else_as_it_was(tmp_path: Path, pose) -> None:
    path = write(posed(**pose), tmp_path)
    mesh = load_mesh(path)
    shape = displaced(mesh)
    out = tmp_path / "out" / path.name
    out.parent.mkdir()
    names = NAMES | {"mesh": path.name}
    out.write_bytes(
        mesh_file_contents(path, mesh, True, {0: b"\x89PNG"}, names, shape=shape)["mesh"]
    )
    found = measure_damage(path, out, mesh, True, shape)
    assert found["all_but_shape"] and found["max_displaced_position_delta"] < 1e-6
    after = load_mesh(out)
    used = mesh.faces
    torch.testing.assert_close(after.vertices[used], shape.vertices[used], atol=1e-6, rtol=0)
    # The normals that the shape has were the input's here; through the pose and back.
    torch.testing.assert_close(
        after.normals[after.normal_faces], mesh.normals[mesh.normal_faces], atol=1e-6, rtol=0
    )


def test_a_tampered_file_is_an_error(tmp_path: Path) -> None:
    path = write(posed(), tmp_path)
    mesh = load_mesh(path)
    out = tmp_path / "out" / path.name
    out.parent.mkdir()
    names = NAMES | {"mesh": path.name}
    content = mesh_file_contents(path, mesh, True, {0: b"\x89PNG"}, names, shape=displaced(mesh))[
        "mesh"
    ]
    out.write_bytes(content)
    other = replace(mesh, vertices=mesh.vertices + 0.01)
    with pytest.raises(TexcsdError, match=r"differ|is 0"):
        measure_damage(path, out, mesh, True, other)


def test_more_than_the_shape_is_noticed(tmp_path: Path) -> None:
    path = write(posed(), tmp_path)
    document = open_document(path)
    reshaped = reshape_gltf(document, displaced(load_mesh(path)))
    assert only_reshaped(document, reshaped)
    reshaped.tree["nodes"][0]["name"] = "other"
    assert not only_reshaped(document, reshaped)


def test_vertices_that_no_face_uses_stay(tmp_path: Path) -> None:
    path = write(posed(), tmp_path)
    document = open_document(path)
    reshaped = reshape_gltf(document, displaced(load_mesh(path)))
    primitive = reshaped.tree["meshes"][0]["primitives"][0]
    old = document.accessor(document.tree["meshes"][0]["primitives"][0]["attributes"]["POSITION"])
    new = reshaped.accessor(primitive["attributes"]["POSITION"])
    np.testing.assert_array_equal(new[len(CORNERS) :], old[len(CORNERS) :])
    assert (new[: len(CORNERS)] != old[: len(CORNERS)]).any(axis=1).all()


def test_skins_and_instances_are_refused(tmp_path: Path) -> None:
    path = write(everything(), tmp_path)
    with pytest.raises(DamagedFileError, match=r"skin|instances"):
        reshape_gltf(open_document(path), load_mesh(path))
    path = write(posed(scale=[1, 1, 0]), tmp_path)
    with pytest.raises(DamagedFileError, match="flattens"):
        reshape_gltf(open_document(path), load_mesh(path))
