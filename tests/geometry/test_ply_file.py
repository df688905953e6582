"""PLY with polygons of any size is read as it is, whatever writes it; a damaged one is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import load_mesh

VERTICES = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 0, 0], [2, 1, 0], [1.5, 2, 0]]
TRIANGLE, QUAD, PENTAGON = [1, 4, 2], [0, 1, 2, 3], [4, 5, 6, 2, 1]
FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


def write_ply(path: Path, form: str, polygons, uv=None, end: str = "\n") -> Path:
    """Vertices with a colour, polygons with a flag before and a number behind their lists."""
    header = ["ply", f"format {form} 1.0", "comment of nobody", f"element vertex {len(VERTICES)}"]
    header += [f"property float {axis}" for axis in "xyz"] + ["property uchar red"]
    header += [f"element face {len(polygons)}", "property uchar flag"]
    header += ["property list uchar uint vertex_indices"]
    header += ["property list uchar float texcoord"] if uv else []
    header += ["property short number", "end_header"]
    rows = [[(v, "f4") for v in vertex] + [(9, "u1")] for vertex in VERTICES]
    for index, polygon in enumerate(polygons):
        row = [(7, "u1"), (len(polygon), "u1"), *((v, "u4") for v in polygon)]
        if uv:
            row += [(len(uv[index]), "u1"), *((value, "f4") for value in uv[index])]
        rows.append([*row, (-3, "i2")])
    if form == "ascii":
        lines = header + [" ".join(str(value) for value, _ in row) for row in rows]
        path.write_bytes((end.join(lines) + end).encode())
        return path
    content = [np.array(v, FORMATS[form] + kind).tobytes() for row in rows for v, kind in row]
    path.write_bytes((end.join(header) + end).encode() + b"".join(content))
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("form", FORMATS)
def test_polygons_of_different_sizes_are_read_in_the_order_of_the_file(
    tmp_path: Path, form: str, end: str
):
    path = write_ply(tmp_path / "a.ply", form, [TRIANGLE, QUAD, PENTAGON, TRIANGLE], end=end)
    mesh = load_mesh(path)
    assert mesh.vertices.tolist() == VERTICES
    assert mesh.faces.tolist() == [
        *([1, 4, 2], [0, 1, 2], [0, 2, 3]),
        *([4, 5, 6], [4, 6, 2], [4, 2, 1], [1, 4, 2]),
    ]
    assert mesh.polygons is not None and mesh.polygons.tolist() == [0, 1, 1, 2, 2, 2, 3]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("polygon", [TRIANGLE, QUAD, PENTAGON])
def test_polygons_of_one_size_are_read_too(tmp_path: Path, form: str, polygon: list[int]):
    mesh = load_mesh(write_ply(tmp_path / "a.ply", form, [polygon] * 3))
    fan = [[polygon[0], *polygon[i : i + 2]] for i in range(1, len(polygon) - 1)]
    assert mesh.faces.tolist() == fan * 3
    assert (mesh.polygons is None) == (len(polygon) == 3)


@pytest.mark.parametrize("form", FORMATS)
def test_points_and_lines_among_the_polygons_are_left_out(tmp_path: Path, form: str):
    mesh = load_mesh(write_ply(tmp_path / "a.ply", form, [[], [1], TRIANGLE, [1, 2], QUAD]))
    assert mesh.faces.tolist() == [[1, 4, 2], [0, 1, 2], [0, 2, 3]]


@pytest.mark.parametrize("form", FORMATS)
def test_corners_of_polygons_have_their_uv(tmp_path: Path, form: str):
    square = [0, 0, 1, 0, 1, 1, 0, 1]
    uv = [[0.5, 0, 1, 0, 1, 0.25], square]
    mesh = load_mesh(write_ply(tmp_path / "a.ply", form, [TRIANGLE, QUAD], uv))
    assert mesh.uv is not None and mesh.uv_faces is not None
    assert mesh.uv[mesh.uv_faces].tolist() == [
        *([[0.5, 0], [1, 0], [1, 0.25]], [[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]),
    ]
    only_quads = load_mesh(write_ply(tmp_path / "b.ply", form, [QUAD, QUAD], [square, square]))
    assert only_quads.uv is not None and only_quads.uv_faces is not None
    assert len(only_quads.uv) == 4  # the same uv at the same vertex are one
    assert only_quads.uv[only_quads.uv_faces][2:].tolist() == mesh.uv[mesh.uv_faces][1:].tolist()


@pytest.mark.parametrize("form", FORMATS)
def test_polygons_without_uv_among_others_get_no_area_in_the_texture(tmp_path: Path, form: str):
    uv = [[], [0, 0, 1, 0, 1, 1, 0, 1]]
    mesh = load_mesh(write_ply(tmp_path / "a.ply", form, [TRIANGLE, QUAD], uv))
    assert mesh.uv is not None and mesh.uv_faces is not None
    assert len(set(mesh.uv_faces[0].tolist())) == 1
    assert mesh.uv[mesh.uv_faces[1:]].tolist()[1] == [[0, 0], [1, 1], [0, 1]]


def test_lines_of_text_may_hold_more_than_the_header_tells_of(tmp_path: Path):
    path = write_ply(tmp_path / "a.ply", "ascii", [TRIANGLE, QUAD])
    path.write_text(path.read_text().replace("-3\n", "-3 9 9 9\n"))  # MeshLab's colours of corners
    assert load_mesh(path).faces.tolist() == [[1, 4, 2], [0, 1, 2], [0, 2, 3]]


@pytest.mark.parametrize("form", FORMATS)
def test_a_ply_that_was_cut_or_goes_on_says_where(tmp_path: Path, form: str):
    path = write_ply(tmp_path / "a.ply", form, [QUAD, TRIANGLE, PENTAGON])
    whole = path.read_bytes()
    for lost in (3, 10, 14):
        path.write_bytes(whole[:-lost])
        with pytest.raises(TexcsdError, match='row 3 of 3 of its element "face"; export it again'):
            load_mesh(path)
    path.write_bytes(whole + (b"1 2 3\n" if form == "ascii" else b"123456"))
    more = "1 line" if form == "ascii" else "6 byte"
    with pytest.raises(TexcsdError, match=rf"it has {more}\(s\) more than its header tells of"):
        load_mesh(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("ply\n", "plyer\n", 'does not begin with a line "ply"'),
        ("end_header", "header_end", 'no end, a line "end_header"'),
        ("format ascii", "format text", 'the format "text"'),
        ("uchar flag", "byte flag", 'the line "property byte flag"'),
        ("element face 1", "element face one", 'the line "element face one"'),
        ("property float y", "property float why", "no x, y and z"),
        ("-3\n", "three\n", "among its numbers that is none"),
        ("7 3 1 4 2", "7 -3 1 4 2", "row 1 of 1"),
        ("7 3 1 4 2", "7 1e30 1 4 2", "row 1 of 1"),
        ("7 3 1 4 2", "7 nan 1 4 2", "row 1 of 1"),
        ("element face 1", "element face 99999999999999", "row 2 of 99,999,999,999,999"),
    ],
)
def test_a_broken_ply_is_refused_in_words_of_it(tmp_path: Path, old: str, new: str, words: str):
    path = write_ply(tmp_path / "a.ply", "ascii", [TRIANGLE])
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(TexcsdError) as caught:
        load_mesh(path)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("form", FORMATS)
def test_any_damage_is_refused_in_one_line_or_changes_nothing_else(tmp_path: Path, form: str):
    path = write_ply(tmp_path / "a.ply", form, [QUAD, TRIANGLE, PENTAGON] * 3)
    data, random, refused = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(60):
        changed = bytearray(data)
        changed[int(random.integers(0, len(data)))] = int(random.integers(0, 256))
        path.write_bytes(changed)
        try:
            mesh = load_mesh(path)
            assert int(mesh.faces.max()) < len(mesh.vertices)
            assert torch.isfinite(mesh.vertices[mesh.faces]).all()
        except TexcsdError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 10
