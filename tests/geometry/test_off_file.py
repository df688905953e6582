"""OFF with polygons of any size is read in its order; a damaged one is refused."""

from pathlib import Path

import pytest
from geometry_shapes import CUBE_FACES, CUBE_QUADS, CUBE_VERTICES, write_obj, write_off

from texcsd.errors import TexcsdError
from texcsd.geometry.file_summary import summarize_file
from texcsd.geometry.mesh import load_mesh

VERTICES = [[0, 0, 0], [1, 0, 0], [1.5, 1, 0], [0.5, 2, 0], [-0.5, 1, 0], [0, 3, 0]]
PENTAGON, TRIANGLE, QUAD = [0, 1, 2, 3, 4], [4, 3, 5], [0, 1, 2, 4]


@pytest.mark.parametrize("broken_lines", [False, True])
def test_polygons_of_different_sizes_are_read_in_the_order_of_the_file(
    tmp_path: Path, broken_lines: bool
):
    path = write_off(tmp_path / "a.off", VERTICES, [TRIANGLE, PENTAGON, QUAD, TRIANGLE])
    if broken_lines:
        head, rest = path.read_text().split(" 0\n", 1)
        path.write_text(head + " 0\n" + "\n".join(rest.split()) + "\n")
    mesh = load_mesh(path)
    assert mesh.vertices.tolist() == VERTICES
    assert mesh.faces.tolist() == [
        *([4, 3, 5], [0, 1, 2], [0, 2, 3], [0, 3, 4]),
        *([0, 1, 2], [0, 2, 4], [4, 3, 5]),
    ]
    assert mesh.polygons is not None and mesh.polygons.tolist() == [0, 1, 1, 1, 2, 2, 3]


def test_polygons_are_cut_as_those_of_other_formats(tmp_path: Path):
    off = load_mesh(write_off(tmp_path / "a.off", CUBE_VERTICES, CUBE_QUADS))
    obj = load_mesh(write_obj(tmp_path / "a.obj", CUBE_VERTICES, CUBE_QUADS))
    assert off.faces.equal(obj.faces)


@pytest.mark.parametrize("keyword", ["OFF", "COFF", "NOFF", "STOFF", "STCNOFF", "OFF # a cube"])
def test_what_stands_behind_positions_and_faces_is_passed_over(tmp_path: Path, keyword: str):
    path = write_off(tmp_path / "a.off", CUBE_VERTICES, CUBE_FACES)
    lines = path.read_text().splitlines()
    behind = "" if keyword.startswith("OFF") else " 0.5 0.25 1"
    vertices = [line + behind for line in lines[2:10]]
    faces = [f"{line} 255 0 0  # red" for line in lines[10:]]
    path.write_text("\n".join(["# first", keyword, "", lines[1], *vertices, "", *faces]) + "\n")
    mesh = load_mesh(path)
    assert mesh.vertices.tolist() == CUBE_VERTICES.tolist()
    assert mesh.faces.tolist() == CUBE_FACES.tolist()
    assert summarize_file(path).polygons == 12


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("OFF", "ONN"), 'does not begin with "OFF"'),
        (lambda text: text.replace("OFF", "OFF BINARY"), 'does not begin with "OFF"'),
        (lambda text: text[: text.rindex("\n5 ")], "ends before its 6 vertices and 2 faces do"),
        (lambda text: text[:-3], "ends before its 6 vertices and 2 faces do"),
        (lambda text: text.replace("6 2 0", "6 9 0"), "ends before its 6 vertices and 9 faces do"),
        (lambda text: text.replace("6 2 0", f"{10**12} 2 0"), "ends before its 1,000,000,000,000"),
        (lambda text: text.replace("\n5 ", "\n-5 "), "ends before"),
        (lambda text: text.replace("1.5", "x"), "cannot be read"),
    ],
)
def test_a_broken_off_is_refused_in_one_line(tmp_path: Path, change, words: str):
    path = write_off(tmp_path / "a.off", VERTICES, [TRIANGLE, PENTAGON])
    path.write_text(change(path.read_text()))
    with pytest.raises(TexcsdError) as caught:
        load_mesh(path)
    assert words in str(caught.value) and "\n" not in str(caught.value)
