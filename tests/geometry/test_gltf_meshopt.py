"""meshopt-compressed buffer views are read as what they were compressed from."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from geometry_shapes import CUBE_FACES, CUBE_VERTICES, cube_gltf
from mesh_file_trials import glb_of, refusal
from meshopt_scenes import EXT, KHR, compressed

from texcsd.geometry.gltf_document import open_document
from texcsd.geometry.mesh import load_mesh


def cube(folder: Path, extension: str = EXT) -> Path:
    path = cube_gltf().write_glb(folder / "a.glb")
    path.write_bytes(compressed(path.read_bytes(), extension))
    return path


@pytest.mark.parametrize("extension", [EXT, KHR])
def test_compressed_triangles_are_those_that_were_compressed(tmp_path: Path, extension) -> None:
    mesh = load_mesh(cube(tmp_path, extension))
    np.testing.assert_array_equal(mesh.vertices.numpy()[mesh.faces], CUBE_VERTICES[CUBE_FACES])


def test_what_is_compressed_is_taken_where_it_lies_plainly_too(tmp_path: Path) -> None:
    """It is what programs show that know the extension, and the rest may be missing."""
    path = cube_gltf().write_glb(tmp_path / "a.glb")
    path.write_bytes(compressed(path.read_bytes(), fallback="plain.bin"))
    (tmp_path / "plain.bin").write_bytes(bytes(500))
    assert np.ptp(load_mesh(path).vertices.numpy(), axis=0).tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("count", 39, "72 bytes cannot be 39 elements of 2 bytes"),
        ("count", 1 << 70, "72 bytes cannot be 118059162071741130"),
        ("count", None, "72 bytes cannot be None elements"),
        ("mode", "QUADS", "mode 'QUADS'"),
        ("filter", "OCTAHEDRAL", "filter 'OCTAHEDRAL'"),
        ("byteStride", 4, "elements of 4 bytes"),
        ("byteLength", 42, "cannot be read, its table of vertices is not valid"),
        ("byteLength", 900, "buffer 0 ends before the data does"),
        ("byteOffset", -1, "buffer 0 ends before the data does"),
        ("byteOffset", 67, "cannot be read, it begins with"),
        ("buffer", 1, "buffer 1 has no data"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, key: str, value, message: str) -> None:
    path = cube(tmp_path)
    document = open_document(path)
    document.tree["bufferViews"][1]["extensions"][EXT][key] = value
    path.write_bytes(glb_of(document.tree, document.binary_chunk or b""))
    assert message in refusal(path)


def test_an_accessor_that_claims_more_than_was_compressed_is_refused(tmp_path: Path) -> None:
    path = cube(tmp_path)
    document = open_document(path)
    document.tree["accessors"][0]["count"] = 9
    path.write_bytes(glb_of(document.tree, document.binary_chunk or b""))
    assert "buffer view 0 ends before the data does" in refusal(path)


def test_only_compressed_files_need_the_decoder(tmp_path: Path) -> None:
    """Its compiler takes a moment to import."""
    cube_gltf().write_glb(tmp_path / "plain.glb")
    code = (
        "import sys; from pathlib import Path; from texcsd.geometry.gltf_file import read_gltf\n"
        "for name in sys.argv[1:]: read_gltf(Path(name)); print('numba' in sys.modules)"
    )
    paths = [str(tmp_path / "plain.glb"), str(cube(tmp_path))]
    command = [sys.executable, "-c", code, *paths]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "True"]
