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
from texcsd.output.gltf_damage import compare_gltf
from texcsd.output.gltf_patch import patch_gltf, with_own_normals
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


def with_map(path: Path, tmp_path: Path, **more) -> tuple[Path, Mesh, Mesh]:
    mesh = load_mesh(path)
    shape, out = displaced(mesh), tmp_path / "out" / path.name
    out.parent.mkdir()
    content = mesh_file_contents(
        path, mesh, True, {0: b"\x89PNG"}, NAMES | {"mesh": path.name}, shape=shape, **more
    )
    out.write_bytes(content["mesh"])
    return out, mesh, shape


def test_a_normal_map_is_looked_up_as_the_texture_and_counted_as_allowed(tmp_path: Path) -> None:
    path = write(posed(), tmp_path)
    assert with_own_normals(open_document(path), load_mesh(path)) == set()
    out, mesh, shape = with_map(path, tmp_path, normal_maps={0: b"\x89PNGnormal"})
    assert measure_damage(path, out, mesh, True, shape)["normal_maps_added"] == 1
    document = open_document(out)
    (material,) = document.tree["materials"]
    color, relief = (
        document.tree["textures"][number["index"]]
        for number in (material["pbrMetallicRoughness"]["baseColorTexture"],
                       material["normalTexture"])
    )  # fmt: skip
    assert color["sampler"] != relief["sampler"]
    image = document.tree["images"][relief["source"]]
    assert image["name"] == "normal" and document.view(image["bufferView"]) == b"\x89PNGnormal"


def test_a_normal_map_that_was_not_asked_for_is_damage(tmp_path: Path) -> None:
    scene = posed()
    scene.tree["meshes"][0]["primitives"][0]["material"] = scene.add("materials", {"name": "a"})
    path = write(scene, tmp_path)
    before, out = open_document(path), tmp_path / "out"
    out.mkdir()
    mesh = load_mesh(path)
    after = patch_gltf(before, mesh, {0: b"\x89PNG"}, "a", normal_maps={0: b"\x89PNG"})
    assert compare_gltf(before, after, mesh, reshaped=True)["materials"]
    assert not compare_gltf(before, after, mesh)["materials"]
    after.tree["materials"][0]["normalTexture"]["index"] = -1
    assert not compare_gltf(before, after, mesh, reshaped=True)["materials"]


def test_a_normal_map_tangents_or_a_transform_of_the_input_leave_no_place_for_another(
    tmp_path: Path,
) -> None:
    scene = posed()
    primitive = scene.tree["meshes"][0]["primitives"][0]
    tangents = scene.array(np.tile(np.float32([1, 0, 0, 1]), (8, 1)), 5126, "VEC4")
    transform = {"extensions": {"KHR_texture_transform": {"rotation": 1.0}}}
    texture = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0} | transform}}
    mesh = load_mesh(write(scene, tmp_path))
    for material, attributes in (
        ({"normalTexture": {"index": 0}}, {}),
        ({}, {"TANGENT": tangents}),
        (texture, {}),
    ):
        document = open_document(write(scene, tmp_path))
        document.tree["materials"] = [material]
        changed = document.tree["meshes"][0]["primitives"][0]
        changed["material"] = 0
        changed["attributes"] |= attributes
        assert with_own_normals(document, mesh) == {0}
    assert "TANGENT" not in primitive["attributes"]
