"""Every defect is counted, and counted once, on a cube where it is known."""

from dataclasses import asdict

import numpy as np
import pytest
from geometry_shapes import CUBE_FACES, CUBE_VERTICES, make_mesh, sphere_arrays

from texcsd.geometry.mesh_inspection import inspect_surface

SOUND = {
    "boundary_edges": 0,
    "nonmanifold_edges": 0,
    "degenerate_faces": 0,
    "duplicate_faces": 0,
    "inconsistent_faces": 0,
    "inside_out": False,
    "pieces": 1,
}


def defects(vertices, faces) -> dict:
    """What differs from a sound mesh."""
    report = asdict(inspect_surface(make_mesh(vertices, faces)))
    assert set(report) == set(SOUND)
    return {name: value for name, value in report.items() if value != SOUND[name]}


def test_a_cube_has_no_defects():
    assert defects(CUBE_VERTICES, CUBE_FACES) == {}


def test_a_box_without_its_lid_has_the_four_edges_of_the_opening():
    assert defects(CUBE_VERTICES, np.delete(CUBE_FACES, [3, 9], axis=0)) == {"boundary_edges": 4}


@pytest.mark.parametrize("face", range(12))
def test_a_flipped_face_is_wound_against_the_rest(face: int):
    faces = CUBE_FACES.copy()
    faces[face] = faces[face, ::-1]
    assert defects(CUBE_VERTICES, faces) == {"inconsistent_faces": 1}


def test_a_cube_with_all_faces_flipped_is_inside_out():
    assert defects(CUBE_VERTICES, CUBE_FACES[:, ::-1]) == {"inside_out": True}


def test_a_fin_makes_its_edge_nonmanifold():
    vertices = [*CUBE_VERTICES, [-3, -3, 0]]
    fin = [0, 1, 8]
    found = defects(vertices, [*CUBE_FACES, fin])
    assert found == {"nonmanifold_edges": 1, "boundary_edges": 2}


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_a_repeated_face_is_a_duplicate_and_no_edge_suffers(order: list[int]):
    found = defects(CUBE_VERTICES, [*CUBE_FACES, CUBE_FACES[4][order]])
    assert found == {"duplicate_faces": 1}


def test_a_face_with_repeated_corners_and_a_sliver_are_degenerate():
    assert defects(CUBE_VERTICES, [*CUBE_FACES, [0, 0, 1]]) == {"degenerate_faces": 1}
    middle = [*CUBE_VERTICES, [-1, -1, 0]]  # on the edge from vertex 0 to vertex 1
    assert defects(middle, [*CUBE_FACES, [0, 1, 8]])["degenerate_faces"] == 1


def test_vertices_repeated_along_seams_are_no_openings():
    vertices, faces = sphere_arrays()
    sound = faces[(vertices[faces] != np.roll(vertices[faces], 1, axis=1)).any(2).all(1)]
    assert defects(vertices, sound) == {}
    assert defects(CUBE_VERTICES[CUBE_FACES].reshape(-1, 3), np.arange(36).reshape(-1, 3)) == {}


def test_pieces_touch_each_other_nowhere():
    two = [*CUBE_VERTICES, *(CUBE_VERTICES + 5)]
    assert defects(two, [*CUBE_FACES, *(CUBE_FACES + 8)]) == {"pieces": 2}
    corner_to_corner = [*CUBE_VERTICES, *(CUBE_VERTICES + 2)]
    assert defects(corner_to_corner, [*CUBE_FACES, *(CUBE_FACES + 8)]) == {}


def test_unused_vertices_do_not_matter():
    assert defects([[9, 9, 9], *CUBE_VERTICES, [7, 7, 7]], CUBE_FACES + 1) == {}
