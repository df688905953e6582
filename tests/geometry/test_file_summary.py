"""Polygons, materials and units as the files name them."""

from pathlib import Path

import pytest
from geometry_shapes import (
    CUBE_FACES,
    CUBE_QUADS,
    CUBE_VERTICES,
    GltfWriter,
    write_obj,
    write_off,
    write_ply,
    write_stl,
)

from texcsd.geometry.file_summary import FileSummary, summarize_file


@pytest.mark.parametrize("writer", [write_obj, write_off, write_ply])
def test_polygons_are_counted_as_the_file_has_them(tmp_path: Path, writer):
    path = tmp_path / f"cube.{writer.__name__[-3:]}"
    assert summarize_file(writer(path, CUBE_VERTICES, CUBE_QUADS)) == FileSummary(6, (), None)


def test_stl_has_triangles_only(tmp_path: Path):
    path = write_stl(tmp_path / "cube.stl", CUBE_VERTICES, CUBE_FACES)
    assert summarize_file(path) == FileSummary(None, (), None)


def test_materials_of_an_obj_are_those_in_use_in_order(tmp_path: Path):
    extra = "usemtl worn leather \nf 1 2 3\nusemtl Öl\nf 1 2 4\n\tusemtl worn leather\r\nf 2 3 4\n"
    path = write_obj(tmp_path / "cube.obj", CUBE_VERTICES, [], "# usemtl no\n" + extra)
    assert summarize_file(path) == FileSummary(3, ("worn leather", "Öl"), None)


def test_gltf_is_in_metres_and_names_the_materials_its_meshes_use(tmp_path: Path):
    writer = GltfWriter()
    for material in (2, 0, 2):
        mesh = writer.mesh(CUBE_VERTICES, CUBE_FACES)
        writer.tree["meshes"][mesh]["primitives"][0]["material"] = material
        writer.node(mesh=mesh)
    writer.tree["materials"] = [{}, {"name": "unused"}, {"name": "brass"}]
    expected = FileSummary(None, ("brass", "material_0"), "metre")
    assert summarize_file(writer.write_glb(tmp_path / "cube.glb")) == expected
    assert summarize_file(writer.write_gltf(tmp_path / "cube.gltf")) == expected


def test_an_off_with_comments_before_its_counts_tells_them(tmp_path: Path):
    path = tmp_path / "square.off"
    path.write_text("# made by hand\nOFF # square\n# counts\n4 1 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n")
    assert summarize_file(path).polygons == 1


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_the_header_of_a_ply_may_end_its_lines_in_any_way(tmp_path: Path, line_end: str):
    path = write_ply(tmp_path / "cube.ply", CUBE_VERTICES, CUBE_QUADS)
    path.write_bytes(path.read_text().replace("\n", line_end).encode())
    assert summarize_file(path).polygons == 6
