"""A seam is measured by the colours on both sides of it, against those off seams."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from texcsd.output.seams import measure_seams
from texcsd.rendering.rasterize import rasterize_uv


def solid_pattern(mesh, size=240):
    """A texture that depends on the place on the mesh alone, so that no seam shows."""
    positions = rasterize_uv(mesh, size, size).positions[0].numpy()
    waves = np.random.default_rng(0).normal(0, 8, (3, 3))
    values = 0.5 + 0.4 * np.sin(positions @ waves)
    return (255 * values).round().astype(np.uint8)


def charts(size=240):
    """Every chart of the cube in its own grey: 0, 40, 80 and so on."""
    row, column = np.mgrid[:size, :size]
    grey = 40 * ((1 - row * 2 // size) * 3 + column * 3 // size)
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


def test_a_step_at_every_seam_is_measured_as_high_as_it_is(cube):
    found = measure_seams(cube, {0: charts()})
    assert found["seam_edges"] == 12 and found["within_charts"] == 0
    # Opposite sides are 40 apart and never meet; all other pairs of six meet once.
    pairs = [(a, b) for a in range(6) for b in range(a) if a // 2 != b // 2]
    expected = np.mean([40 * (a - b) for a, b in pairs])
    assert found["across_seams"] == pytest.approx(expected, rel=0.01)


def test_a_pattern_in_space_has_seams_that_do_not_show(cube):
    found = measure_seams(cube, {0: solid_pattern(cube)})
    # From side to side around an edge of the cube it is nearer than along a side, by the root of 2.
    assert found["across_seams"] / found["within_charts"] == pytest.approx(0.5**0.5, rel=0.1)


def test_size_and_pose_do_not_matter(cube):
    turned = Rotation.from_euler("xyz", [10, 20, 30], degrees=True).as_matrix()
    moved = cube.vertices.numpy() @ turned.T * 1000 + 5000
    other = dataclasses.replace(cube, vertices=cube.vertices.new_tensor(moved))
    image = solid_pattern(cube)
    first, second = measure_seams(cube, {0: image}), measure_seams(other, {0: image})
    assert first["seam_edges"] == second["seam_edges"]
    assert first["across_seams"] == pytest.approx(second["across_seams"], rel=0.05)


def test_a_mesh_without_seams_says_none(square):
    found = measure_seams(square, {0: np.zeros((8, 8, 3), np.uint8)})
    assert found == {"seam_edges": 0, "across_seams": None, "within_charts": 0.0}


def test_open_and_degenerate_edges_are_left_out(square, make_mesh):
    vertices = square.vertices.numpy()
    mesh = make_mesh(vertices, [[0, 1, 2], [0, 0, 2]], square.uv.numpy(), [[0, 1, 2], [0, 0, 2]])
    found = measure_seams(mesh, {0: np.zeros((8, 8, 3), np.uint8)})
    assert found["seam_edges"] == 0


def test_where_two_textures_meet_is_a_seam_and_what_is_not_painted_is_none(square):
    """The triangles have the same uv along their edge, but one shows white and one black."""
    black, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    mesh = dataclasses.replace(square, textures=torch.tensor([0, 1]))
    found = measure_seams(mesh, {0: black, 1: white})
    assert found == {"seam_edges": 1, "across_seams": 255.0, "within_charts": None}
    mesh = dataclasses.replace(square, textures=torch.tensor([0, -1]))
    found = measure_seams(mesh, {0: black, -1: white})
    assert found == {"seam_edges": 0, "across_seams": None, "within_charts": None}
