"""What is inside of meshes that are closed, broken, inside-out or thin."""

import sys

import numpy as np
import pytest
import torch
import trimesh
from geometry_shapes import make_mesh

from texcsd.errors import TexcsdError
from texcsd.geometry.signed_distance import SignedDistance


@pytest.fixture(autouse=True)
def libigl() -> None:
    pytest.importorskip("igl")


def ball(subdivisions=4):
    return trimesh.creation.icosphere(subdivisions=subdivisions)


def points(count=3000):
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(0)) * 2.4 - 1.2


def test_a_ball_has_the_distance_of_a_ball():
    distance = SignedDistance(make_mesh(ball().vertices, ball().faces), 0.0)(points())
    expected = torch.linalg.vector_norm(points(), dim=1) - 1
    torch.testing.assert_close(distance, expected, rtol=0, atol=2e-3)


def test_one_point_is_enough():
    distance = SignedDistance(make_mesh(ball().vertices, ball().faces), 0.1)
    assert distance(torch.tensor([[0.0, 0.0, 0.5]])).item() == pytest.approx(-0.5, abs=2e-3)
    assert distance(torch.zeros(0, 3)).shape == distance.unsigned(torch.zeros(0, 3)).shape == (0,)


def test_points_on_the_surface_are_not_taken_for_a_sheet():
    box = trimesh.creation.box([1.0, 1.0, 1.0])
    distance = SignedDistance(make_mesh(box.vertices, box.faces), 0.1)
    on_faces = 0.5 * torch.tensor([[1.0, 0.2, 0.1], [0.3, -1, 0.4], [0.1, 0.5, 1]])
    assert distance(on_faces).abs().max() < 1e-5
    assert distance.thickness(on_faces, 0.4).tolist() == pytest.approx([0.4] * 3)


def test_inside_out_is_the_same_inside():
    outwards, inwards = ball().faces, ball().faces[:, ::-1]
    first, second = (
        SignedDistance(make_mesh(ball().vertices, faces), 0.05)(points())
        for faces in (outwards, inwards)
    )
    torch.testing.assert_close(first, second)


def test_a_torn_mesh_with_turned_faces_is_hardly_mistaken_about_its_inside():
    random = np.random.default_rng(0)
    faces = ball().faces[random.random(len(ball().faces)) > 0.05]  # one in twenty is gone
    turned = random.random(len(faces)) < 0.03
    faces = np.where(turned[:, None], faces[:, ::-1], faces)
    distance = SignedDistance(make_mesh(ball().vertices, faces), 0.0)(points())
    inside = torch.linalg.vector_norm(points(), dim=1) < 1
    assert ((distance < 0) != inside).float().mean() < 0.01


def test_of_parts_that_cut_into_each_other_the_inside_is_that_of_all_together():
    shift = np.array([0.5, 0.0, 0.0])
    both = trimesh.util.concatenate(
        [ball().copy().apply_translation(shift), ball().copy().apply_translation(-shift)]
    )
    distance = SignedDistance(make_mesh(both.vertices, both.faces), 0.0)(points())
    to_centres = torch.stack([points() - torch.tensor(s).float() for s in (shift, -shift)])
    inside = (torch.linalg.vector_norm(to_centres, dim=2) < 1).any(0)
    assert ((distance < 0) != inside).float().mean() < 0.005


def test_the_nearest_place_is_on_the_face_that_is_named_with_these_weights():
    mesh = make_mesh(ball().vertices, ball().faces)
    faces, weights = SignedDistance(mesh, 0.0).nearest(points())
    places = (mesh.vertices[mesh.faces[faces]] * weights[..., None]).sum(1)
    torch.testing.assert_close(weights.sum(1), torch.ones(len(weights)))
    expected = torch.nn.functional.normalize(points().double(), dim=1)
    far = torch.linalg.vector_norm(points(), dim=1) > 0.7  # nearer to the middle, faces bend it
    torch.testing.assert_close(places[far], expected[far], rtol=0, atol=0.02)


def square(thickness=0.0):
    """A sheet between -1 and 1 along x and y, or a plate."""
    if thickness:
        plate = trimesh.creation.box([2, 2, thickness])
        return make_mesh(plate.vertices, plate.faces)
    corners = [[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]
    return make_mesh(corners, [[0, 1, 2], [0, 2, 3]])


@pytest.mark.parametrize(("thickness", "expected"), [(0.0, 0.2), (0.1, 0.2), (0.5, 0.5)])
def test_what_is_thinner_than_the_least_thickness_gets_it_and_the_rest_stays(thickness, expected):
    distance = SignedDistance(square(thickness), thinnest=0.2)
    heights = torch.linspace(-0.4, 0.4, 81)
    found = distance(torch.stack([torch.full_like(heights, 0.3), 0 * heights, heights], 1))
    # Thickness is probed at four depths, and so known to a quarter.
    inside = heights[found < 0]
    assert inside.max() - inside.min() == pytest.approx(expected, abs=0.06)


def test_edges_of_thick_things_stay_where_they_are():
    distance = SignedDistance(square(0.5), thinnest=0.2)
    near_edge = torch.tensor([[0.99, 0.0, 0.26], [1.01, 0.0, 0.24], [1.007, 0.0, 0.257]])
    torch.testing.assert_close(
        distance(near_edge), torch.tensor([0.01, 0.01, 0.0099]), rtol=0, atol=1e-3
    )


def test_without_libigl_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "igl", None)
    with pytest.raises(TexcsdError, match=r"needs libigl.*pip install \"texcsd\[dmtet\]\""):
        SignedDistance(square(), 0.1)
