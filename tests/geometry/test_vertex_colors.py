"""Vertex colours that a texture would be multiplied by: found where they are not white."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from geometry_shapes import CUBE_FACES, CUBE_QUADS, CUBE_VERTICES, GltfWriter, write_obj, write_ply

from texcsd.geometry.mesh import load_mesh
from texcsd.geometry.vertex_colors import parts_with_vertex_colors, ply_has_colors


def named(path: Path) -> list[str]:
    return parts_with_vertex_colors(path, load_mesh(path))


def glb(path: Path, colors, component: int, kind: str = "VEC3") -> Path:
    """Two cubes with these colours; a ninth vertex, which no face uses, is black."""
    writer = GltfWriter()
    colors = np.concatenate([colors, 0 * np.asarray(colors)[:1]])
    vertices = np.concatenate([CUBE_VERTICES, CUBE_VERTICES[:1]])
    color = writer.array(colors, component, kind, normalized=component != 5126)
    plain, colored = (
        writer.mesh(vertices, CUBE_FACES, **more) for more in ({}, {"COLOR_0": color})
    )
    children = [writer.node(mesh=plain, name="plain"), writer.node(mesh=colored, name="tinted")]
    writer.tree["scenes"] = [{"nodes": children}]
    return writer.write_glb(path)


@pytest.mark.parametrize(("component", "white"), [(5121, 255), (5123, 65535), (5126, 1.0)])
def test_one_vertex_that_is_not_white_is_found_in_every_encoding(tmp_path, component, white):
    colors = np.full((8, 3), white, float)
    assert named(glb(tmp_path / "white.glb", colors, component)) == []
    colors[5, 1] *= 0.9
    assert named(glb(tmp_path / "tinted.glb", colors, component)) == ["tinted"]


def test_alpha_is_of_no_account_as_painted_surfaces_are_opaque(tmp_path) -> None:
    colors = np.float32([[1, 1, 1, 0.5]] * 8)
    assert named(glb(tmp_path / "a.glb", colors, 5126, "VEC4")) == []


@pytest.mark.parametrize("accessor", [99, "x", None, {"bufferView": 99}, {"count": 9**9}])
def test_colours_that_no_viewer_could_read_tint_nothing(tmp_path, accessor) -> None:
    writer = GltfWriter()
    color = writer.array(np.zeros((8, 3)), 5126, "VEC3")
    if isinstance(accessor, dict):
        writer.tree["accessors"][color] |= accessor
    broken = color if isinstance(accessor, dict) else accessor
    writer.node(mesh=writer.mesh(CUBE_VERTICES, CUBE_FACES, COLOR_0=broken))
    assert named(writer.write_glb(tmp_path / "a.glb")) == []


def test_a_part_that_is_not_painted_keeps_its_look(tmp_path) -> None:
    path = glb(tmp_path / "a.glb", np.zeros((8, 3)), 5121)
    mesh = load_mesh(path)
    tinted = torch.arange(len(mesh.faces)) >= mesh.parts[1].first_face
    assert parts_with_vertex_colors(path, replace(mesh, textures=torch.where(tinted, -2, 0))) == []
    assert parts_with_vertex_colors(path, replace(mesh, textures=torch.where(tinted, 0, -2)))


@pytest.mark.parametrize(
    ("after_position", "found"),
    [("0.5 1 1", True), ("1 1 1", False), ("1.0", False), ("# a b c", False), ("255 0 0", True)],
)
def test_an_obj_has_colours_after_the_positions(tmp_path, after_position: str, found) -> None:
    path = write_obj(tmp_path / "a.obj", CUBE_VERTICES, CUBE_QUADS)
    lines = path.read_text().splitlines()
    lines[3] += f" {after_position}"
    path.write_text("o box\n" + "\n".join(lines) + "\no other\nv 0 0 9\nf 5 6 9\n")
    # "other" has vertices 5 and 6 in common with the box, but not 4, which has the colour.
    assert named(path) == (["box"] if found else [])


def test_other_formats_are_not_looked_at(tmp_path) -> None:
    assert named(write_ply(tmp_path / "a.ply", CUBE_VERTICES, CUBE_QUADS)) == []


@pytest.mark.parametrize(("kind", "white"), [("uchar", "255"), ("float", "1.0")])
def test_a_ply_has_colours_where_a_vertex_is_not_white(tmp_path, kind: str, white: str) -> None:
    path = write_ply(tmp_path / "a.ply", CUBE_VERTICES, CUBE_QUADS)
    assert not ply_has_colors(path)
    header = "".join(f"property {kind} {name}\n" for name in ("red", "green", "blue"))
    text = path.read_text().replace("element face", f"{header}element face")
    lines, start = text.splitlines(), text.splitlines().index("end_header") + 1
    for row in range(start, start + len(CUBE_VERTICES)):
        lines[row] += f" {white}" * 3
    path.write_text("\n".join(lines))
    assert not ply_has_colors(path)
    lines[start + 2] = lines[start + 2].removesuffix(white) + "0"
    path.write_text("\n".join(lines))
    assert ply_has_colors(path)
