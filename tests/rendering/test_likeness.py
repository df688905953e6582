"""What is left of a mesh in another: measured on spheres, whose distances are known."""

import dataclasses

import pytest
import torch
from rendering_shapes import make_sphere

from texcsd.geometry.mesh import Mesh, Part
from texcsd.geometry.signed_distance import SignedDistance
from texcsd.rendering.likeness import Model


@pytest.fixture(autouse=True)
def libigl() -> None:
    pytest.importorskip("igl")


def two_spheres(shift: float) -> Mesh:
    """Of radius 0.3, the second one shifted along x, as two parts."""
    first, second = make_sphere(radius=0.3), make_sphere(radius=0.3)
    vertices = torch.cat([first.vertices, second.vertices + torch.tensor([shift, 0, 0])])
    faces = torch.cat([first.faces, second.faces + len(first.vertices)])
    normals = torch.cat([first.normals, second.normals])
    count = len(first.faces)
    parts = (Part("first", 0, count), Part("second", count, count))
    return dataclasses.replace(
        first, vertices=vertices, faces=faces, normals=normals, normal_faces=faces, parts=parts
    )


def compare(before: Mesh, after: Mesh, near=0.05):
    return Model(before, SignedDistance(before, 0.0)).compare(after, near)


def test_a_mesh_is_like_itself(sphere):
    found = compare(sphere, sphere)
    assert found.outline_overlap == found.least_outline_overlap == 1.0
    assert found.distances.max() < 1e-6 and found.lost == {"all": 0.0}


def test_a_smaller_sphere_is_nearer_by_the_difference_and_loses_all_that_is_farther(sphere):
    found = compare(sphere, make_sphere(radius=0.9))
    assert found.outline_overlap == pytest.approx(0.81, abs=0.02)
    report = found.report()
    for name in ("mean_distance", "q99_distance", "max_distance"):
        assert report[name] == pytest.approx(0.1, abs=0.01)
    assert found.lost == {"all": 1.0}
    assert compare(sphere, make_sphere(radius=0.9), near=0.15).lost == {"all": 0.0}


def first_of(both):
    """The first of two spheres."""
    faces = both.faces[: len(both.faces) // 2]
    return dataclasses.replace(both, faces=faces, normal_faces=faces, parts=both.parts[:1])


def test_a_part_that_is_gone_is_named():
    both = two_spheres(0.65)
    assert compare(both, first_of(both)).lost == {"first": 0.0, "second": 1.0}


def test_what_others_cover_is_not_lost():
    # The second one lies within the first, but for a little.
    both = two_spheres(0.02)
    assert compare(both, first_of(both)).lost == {"first": 0.0, "second": 0.0}
