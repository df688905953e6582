"""A binary STL whose size is not what its header tells is refused with both sizes."""

from pathlib import Path

import pytest
from geometry_shapes import CUBE_FACES, CUBE_VERTICES, write_stl
from mesh_file_trials import refusal

from texcsd.geometry.mesh import load_mesh

SIZE = 84 + 12 * 50


@pytest.mark.parametrize("name", [b"binary", b"solid exported", b"facet"])
def test_a_binary_stl_of_another_size_than_its_header_tells(tmp_path: Path, name: bytes):
    path = write_stl(tmp_path / "a.stl", CUBE_VERTICES, CUBE_FACES)
    whole = name.ljust(80) + path.read_bytes()[80:]
    for data, size, expected, count in (
        (whole[:-20], SIZE - 20, SIZE, 12),
        (whole + b"xx", SIZE + 2, SIZE, 12),
        (whole[:80] + bytes([1, 0, 0, 0]) + whole[84:], SIZE, 134, 1),
    ):
        path.write_bytes(data)
        assert f"it has {size:,} bytes, but {expected:,} are expected" in refusal(path)
        assert f"of the {count} triangle(s) that its header tells of" in refusal(path)
    path.write_bytes(whole)
    assert len(load_mesh(path).faces) == 12


def test_a_binary_stl_that_ends_in_its_header(tmp_path: Path):
    path = write_stl(tmp_path / "a.stl", CUBE_VERTICES, CUBE_FACES)
    path.write_bytes(path.read_bytes()[:50])
    assert "it ends after 50 bytes, inside the header" in refusal(path)


def test_a_text_stl_that_was_cut_is_not_taken_for_a_binary_one(tmp_path: Path):
    corners = "".join(f"vertex {x} {y} 0\n" for x, y in ((0, 0), (1, 0), (0, 1)))
    facet = f"facet normal 0 0 1\nouter loop\n{corners}endloop\nendfacet\n"
    path = tmp_path / "a.stl"
    path.write_text(f"solid a\n{facet}endsolid a\n")
    assert len(load_mesh(path).faces) == 1
    path.write_text(f"solid a\n{facet}")
    assert 'it has facets but no "endsolid"' in refusal(path)
