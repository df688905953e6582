"""Positions changed in the text of an OBJ, and nothing else but normals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from texcsd.geometry.mesh import load_mesh
from texcsd.output.obj_reshape import reshape_obj

OBJ = b"""\xef\xbb\xbf# caf\xe9 \r
mtllib old.mtl\r
o thing # 1\r
v 0.50 0 1e0 0.9 0.8 0.7\r
\tv  1 2 \\\r
 3\r
v -1 -2 -3\r
vn 0 0 1\r
vt 0 0\r
usemtl stuff\r
s 3\r
f 1/1/1 2//1 3/1/1 # keep 1/1/1\r
f 1 2 3\r
f 1/1 2/1 3/1\r
l 1/1 2/1\r
"""
REST = np.array([[0.5, 0, 1], [1, 2, 3], [-1, -2, -3]])


def test_with_equal_positions_only_normals_go():
    expected = OBJ.replace(b"vn 0 0 1\r\n", b"")
    expected = expected.replace(b"f 1/1/1 2//1 3/1/1 #", b"f 1/1 2 3/1 #")
    assert reshape_obj(OBJ, REST) == expected


def test_only_the_numbers_that_changed_are_written_anew():
    moved = REST.copy()
    moved[0, 1], moved[1, 2] = 0.25, 3.125
    text = reshape_obj(OBJ, moved)
    assert b"v 0.50 0.25 1e0 0.9 0.8 0.7\r\n" in text
    assert b"\tv  1 2 \\\r\n 3.125\r\n" in text
    assert b"v -1 -2 -3\r\n" in text


def test_respelled_equal_positions_are_equal_text():
    other = OBJ.replace(b"0.50 0 1e0", b"7 7.0 7")
    assert reshape_obj(other, REST, respell=True) == reshape_obj(OBJ, REST, respell=True)


def test_what_is_no_number_stays_as_it_is():
    unused = np.array([[0.5, 0, 1], [np.nan, 2, 3], [-1, -2, -3]])
    assert b"\tv  1 2 \\\r\n 3\r\n" in reshape_obj(OBJ, unused)


def test_new_normals_take_the_place_of_the_old_ones_and_are_read_again(tmp_path: Path):
    path = tmp_path / "a.obj"
    path.write_text(
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 2 0 0.1\nvt 0 0\nvn 0 0 1\n# below\n"
        "f 1/1/1 2//1 3/1/1 4//1 # quad\nl 1 2\nf 2 5 3\n"
    )
    mesh = load_mesh(path)
    generator = torch.Generator().manual_seed(2)
    leaning = torch.tensor([0.0, 0.0, 1.0]) + 0.2 * torch.randn(5, 3, generator=generator)
    normals = torch.nn.functional.normalize(leaning, dim=1)
    shape = replace(mesh, normals=normals, normal_faces=mesh.faces)
    path.write_bytes(reshape_obj(path.read_bytes(), mesh.vertices.numpy(), normals=shape))
    lines = path.read_text().splitlines()
    assert [line.split()[0] for line in lines] == [*"vvvvv", "vt", *["vn"] * 5, "#", "f", "l", "f"]
    assert lines[-3:] == ["f 1/1/1 2//2 3/1/3 4//4 # quad", "l 1 2", "f 2//2 5//5 3//3"]
    after = load_mesh(path)
    torch.testing.assert_close(
        after.normals[after.normal_faces], normals[mesh.faces], atol=1e-5, rtol=0
    )
