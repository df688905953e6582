"""The meshes we ship are small, sound, and vary in what they test."""

import numpy as np
import pytest
from geometry_shapes import ASSETS

from texcsd.geometry.mesh import load_mesh
from texcsd.geometry.normals import face_normals, find_neighbours, weld_vertices
from texcsd.geometry.uv_atlas import inspect_uv

NAMES = ["armchair.obj", "teapot.obj", "animal.obj", "mug.obj", "vase.ply", "table_and_stool.glb"]


@pytest.mark.parametrize("name", NAMES)
def test_assets_are_small_clean_and_outside_out(name: str):
    assert (ASSETS / name).stat().st_size < 400_000
    mesh = load_mesh(ASSETS / name)
    vertices, faces = mesh.vertices.numpy(), mesh.faces.numpy()
    assert 2_000 < len(faces) < 10_000
    assert (face_normals(vertices, faces)[1] > 0).all()
    for part in mesh.parts:
        mine = faces[part.first_face : part.first_face + part.face_count]
        a, b, c = np.moveaxis(vertices[mine] - vertices[mine].mean(axis=(0, 1)), 1, 0)
        assert (np.cross(a, b) * c).sum() > 0, part.name
        neighbours = find_neighbours(weld_vertices(vertices)[1][mine])
        assert neighbours.agree.all(), part.name


def test_some_assets_have_good_uv_and_some_have_none():
    reports = {name: inspect_uv(load_mesh(ASSETS / name)) for name in NAMES}
    with_uv = {name for name, report in reports.items() if report.present}
    assert with_uv == {"armchair.obj", "mug.obj"}
    for name in with_uv:
        assert reports[name].overlap_fraction == 0
        assert reports[name].zero_area_fraction == 0
        assert reports[name].covered_fraction > 0.6
        assert reports[name].usable


def test_the_animal_is_one_closed_surface():
    mesh = load_mesh(ASSETS / "animal.obj")
    neighbours = find_neighbours(mesh.faces.numpy())
    assert neighbours.manifold.all()
    assert len(neighbours.left) * 2 == 3 * len(mesh.faces)
