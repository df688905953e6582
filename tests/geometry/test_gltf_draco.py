"""Draco-compressed primitives are read as what they were compressed from."""

import sys
from pathlib import Path

import numpy as np
import pytest
from draco_scenes import DRACO, DracoScene, patch
from mesh_file_trials import refusal

from texcsd.geometry.mesh import Mesh, load_mesh

ROUNDED = 2e-5
"""16 bits to a coordinate."""


def sorted_corners(positions: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Positions and uv of the corners of all faces, float[face, 15], in an order of their own."""
    corners = np.concatenate([positions, uv], -1)
    first = np.lexsort(corners.round(3).transpose(2, 0, 1).reshape(-1, *corners.shape[:2])[::-1], 1)
    turned = np.take_along_axis(
        corners, ((first[:, :1] + np.arange(3)) % 3)[..., None], axis=1
    ).reshape(len(corners), -1)
    return turned[np.lexsort(turned.round(3).T[::-1])]


def corners_of(mesh: Mesh) -> np.ndarray:
    assert mesh.uv is not None and mesh.uv_faces is not None
    return sorted_corners(mesh.vertices.numpy()[mesh.faces], mesh.uv.numpy()[mesh.uv_faces])


def test_compressed_triangles_and_uv_are_those_that_were_compressed(tmp_path: Path) -> None:
    scene = DracoScene()
    scene.add(with_uv=True)
    mesh = load_mesh(scene.write(tmp_path / "a.glb"))
    vertices, faces, uv = patch()
    expected = sorted_corners(vertices[faces], (uv * [1, -1] + [0, 1])[faces])
    assert len(mesh.faces) == len(faces)
    np.testing.assert_allclose(corners_of(mesh), expected, atol=ROUNDED)


def test_values_come_in_the_type_of_their_accessor(tmp_path: Path) -> None:
    from texcsd.geometry.gltf_document import open_document

    scene = DracoScene()
    primitive = scene.add(with_uv=True)
    document = open_document(scene.write(tmp_path / "a.glb"))
    assert document.raw_accessor(primitive["indices"]).dtype == np.uint16
    assert document.raw_accessor(primitive["attributes"]["POSITION"]).dtype == np.float32


def test_where_plain_values_lie_beside_compressed_ones_they_are_taken(tmp_path: Path) -> None:
    scene = DracoScene()
    primitive = scene.add(with_uv=False)
    index = primitive["attributes"]["POSITION"]
    count = scene.tree["accessors"][index]["count"]
    flat = np.zeros((count, 3), np.float32)
    flat[:, :2] = np.random.default_rng(0).normal(size=(count, 2))
    scene.tree["accessors"][index]["bufferView"] = scene.view(flat.tobytes())
    assert load_mesh(scene.write(tmp_path / "a.glb")).vertices[:, 2].abs().max() == 0


def test_what_is_not_in_the_compressed_geometry_is_said(tmp_path: Path) -> None:
    scene = DracoScene()
    primitive = scene.add(with_uv=True)
    primitive["extensions"][DRACO]["attributes"]["POSITION"] = 7
    assert "no attribute 7" in refusal(scene.write(tmp_path / "a.glb"))
    scene = DracoScene()
    primitive = scene.add(with_uv=True)
    scene.tree["accessors"][primitive["attributes"]["POSITION"]]["count"] = 26
    assert "claims 26 x 3 values" in refusal(scene.write(tmp_path / "b.glb"))
    scene = DracoScene()
    del scene.add(with_uv=True)["indices"]
    assert "no indices" in refusal(scene.write(tmp_path / "c.glb"))


@pytest.mark.parametrize("content", [b"", b"no mesh" * 9, b"DRACO\x02\x02\x01\x01\0\0"])
def test_broken_compressed_geometry_is_refused(tmp_path: Path, content: bytes) -> None:
    scene = DracoScene()
    primitive = scene.add(with_uv=True)
    primitive["extensions"][DRACO]["bufferView"] = scene.view(content)
    assert "Draco-compressed geometry cannot be read" in refusal(scene.write(tmp_path / "a.glb"))


def test_without_the_decoder_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch) -> None:
    scene = DracoScene()
    scene.add(with_uv=True)
    monkeypatch.setitem(sys.modules, "DracoPy", None)
    assert "pip install DracoPy" in refusal(scene.write(tmp_path / "a.glb"))
