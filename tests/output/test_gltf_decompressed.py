"""A Draco-compressed file stays compressed, but for primitives that get coordinates."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from draco_scenes import DRACO, DracoScene
from gltf_scenes import Parsed
from test_damage import written
from test_gltf_patch import unwrapped

from texcsd.geometry.gltf_document import open_document
from texcsd.geometry.mesh import load_mesh
from texcsd.output.damage import measure_damage
from texcsd.output.mesh_files import mesh_file_contents


def scene_of(tmp_path: Path, *with_uv: bool) -> Path:
    scene = DracoScene()
    for each in with_uv:
        scene.add(each, EXT_other={"kept": 1})
    return scene.write(tmp_path / "scene.glb")


def test_with_its_own_uv_it_stays_compressed(tmp_path: Path) -> None:
    path = scene_of(tmp_path, True)
    mesh = load_mesh(path)
    after = written(path, mesh, True)[".glb"]
    old, new = Parsed(path.read_bytes()), Parsed(after.read_bytes())
    before, painted = (each.tree["meshes"][0]["primitives"][0] for each in (old, new))
    assert painted == before | {"material": 0}
    assert new.tree["extensionsRequired"] == [DRACO]
    number = before["extensions"][DRACO]["bufferView"]
    assert new.view(number) == old.view(number)
    found = measure_damage(path, after, mesh, True)
    assert found["max_position_delta"] == 0 and found["max_uv_delta"] == 0
    assert "primitives_decompressed" not in found


@pytest.mark.parametrize("split", [False, True])
def test_new_uv_are_stored_beside_the_plain_values(tmp_path: Path, split: bool) -> None:
    path = scene_of(tmp_path, not split)
    mesh = load_mesh(path)
    if split:
        mesh = unwrapped(mesh)
    else:
        assert mesh.uv is not None
        mesh = replace(mesh, uv=mesh.uv * 0.5)  # other coordinates, but no seams
    after = written(path, mesh, False)[".glb"]
    new = Parsed(after.read_bytes())
    primitive = new.tree["meshes"][0]["primitives"][0]
    assert primitive["extensions"] == {"EXT_other": {"kept": 1}}
    assert new.tree["extensionsUsed"] == ["EXT_other"] and "extensionsRequired" not in new.tree
    document = open_document(path)
    index = document.tree["meshes"][0]["primitives"][0]["attributes"]["POSITION"]
    positions = new.values(primitive["attributes"]["POSITION"])
    kept = document.raw_accessor(index)
    np.testing.assert_array_equal(positions[: len(kept)], kept)
    stored = new.tree["accessors"][primitive["attributes"]["POSITION"]]
    assert stored["min"] == positions.min(0).tolist()
    assert stored["max"] == positions.max(0).tolist()
    found = measure_damage(path, after, mesh, False)
    assert found["primitives_decompressed"] == 1 and found["max_position_delta"] == 0
    assert (found["vertices_copied"] > 0) == split


def test_only_what_gets_new_uv_is_decompressed(tmp_path: Path) -> None:
    path = scene_of(tmp_path, True, True)
    mesh = load_mesh(path)
    assert mesh.uv is not None and mesh.uv_faces is not None
    uv = mesh.uv.clone()
    uv[mesh.uv_faces[mesh.parts[1].first_face :]] *= 0.5
    mesh = replace(mesh, uv=uv)
    after = written(path, mesh, False)[".glb"]
    new = Parsed(after.read_bytes())
    kept, plain = (each["primitives"][0] for each in new.tree["meshes"])
    assert DRACO in kept["extensions"] and DRACO not in plain["extensions"]
    assert new.tree["extensionsRequired"] == [DRACO]
    assert measure_damage(path, after, mesh, False)["primitives_decompressed"] == 1


def test_a_value_lost_in_decompressing_is_found(tmp_path: Path) -> None:
    path = scene_of(tmp_path, True)
    mesh = load_mesh(path)
    assert mesh.uv is not None
    mesh = replace(mesh, uv=mesh.uv * 0.5)
    after = written(path, mesh, False)[".glb"]
    parsed = Parsed(after.read_bytes())
    primitive = parsed.tree["meshes"][0]["primitives"][0]
    index = primitive["attributes"]["TEXCOORD_0"]
    view = parsed.tree["bufferViews"][parsed.tree["accessors"][index]["bufferView"]]
    content = bytearray(after.read_bytes())
    start = content.index(parsed.view(parsed.tree["accessors"][index]["bufferView"]))
    content[start + view["byteLength"] - 1] ^= 1
    after.write_bytes(bytes(content))
    with pytest.raises(Exception, match="attributes differ"):
        measure_damage(path, after, mesh, False)


def test_displacing_what_is_compressed_is_refused(tmp_path: Path) -> None:
    path = scene_of(tmp_path, True)
    mesh = load_mesh(path)
    moved = replace(mesh, vertices=mesh.vertices * 1.01)
    with pytest.raises(Exception, match="Draco-compressed; export it without compression"):
        names = {"mesh": "a.glb", "base_color": "a.png"}
        mesh_file_contents(path, mesh, True, {0: b"\x89PNG"}, names, shape=moved)
