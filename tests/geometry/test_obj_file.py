"""Lines of an OBJ and its MTL end where the format says; a comment ends what is before it."""

from pathlib import Path

import pytest

from texcsd.geometry.file_materials import kept_materials, read_materials
from texcsd.geometry.mesh import load_mesh
from texcsd.geometry.obj_file import logical_lines, split_lines

TRIANGLE = "v 0 0 0\nv 1 0 0\nv 0 1 0\n"


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_only_the_ends_of_lines_that_the_format_knows_divide_a_text(end: str):
    text = end.join(["usemtl a\u0085b\u2028c\x1cd\x0be\x0cf", "", "f 1 \\", "2 3"])
    joined = f"f 1 \\{end}2 3"
    assert logical_lines(text) == [f"usemtl a\u0085b\u2028c\x1cd\x0be\x0cf{end}", end, joined]
    assert split_lines(text) == text.split(end)


@pytest.mark.parametrize(
    "name", ["\u00c3\u0085rm", "\u00c3\u0085", "a\u2028b", "\u2029ab", "a\x1db"]
)
def test_a_material_may_have_a_unicode_line_break_in_its_name(tmp_path: Path, name: str):
    (tmp_path / "a.png").touch()
    library = f"newmtl {name}\nKd 1 0 0\nmap_Kd a.png\n"
    (tmp_path / "a.mtl").write_bytes(library.encode())
    path = tmp_path / "a.obj"
    path.write_bytes(f"mtllib a.mtl\n{TRIANGLE}usemtl {name}\nf 1 2 3\n".encode())
    materials = read_materials(path, load_mesh(path))
    assert (materials.names, materials.images) == ((name,), ("./a.png",))
    assert materials.of_faces.tolist() == [0]
    (tmp_path / "a.png").unlink()
    assert read_materials(path, load_mesh(path)).colors == ((1.0, 0.0, 0.0),)
    assert kept_materials(path).blocks == {name: library.removesuffix("\n")}


def test_an_image_with_a_name_that_no_file_has_is_none(tmp_path: Path):
    (tmp_path / "a.mtl").write_bytes(b"newmtl m\nmap_Kd a\0.png\n")
    path = tmp_path / "a.obj"
    path.write_bytes(f"mtllib a.mtl b\0.mtl\n{TRIANGLE}usemtl m\nf 1 2 3\n".encode())
    assert read_materials(path, load_mesh(path)).names == ("m",)


@pytest.mark.parametrize("comment", ["# x", " # x", "\t#"])
def test_a_comment_ends_the_numbers_of_a_line(tmp_path: Path, comment: str):
    lines = [
        *TRIANGLE.splitlines(),
        "vt 1",
        "vt 0 0.5",
        "vt 1 1",
        "vn 0 0 1",
        "f 1/1/1 2/2/1 3/3/1",
    ]
    (tmp_path / "a.obj").write_text("\n".join(f"{line} {comment}" for line in lines))
    mesh = load_mesh(tmp_path / "a.obj")
    assert mesh.uv is not None
    assert mesh.uv.tolist() == [[1, 0], [0, 0.5], [1, 1]]
    assert mesh.normals.tolist() == [[0, 0, 1]]
