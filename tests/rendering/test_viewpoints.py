"""What close-ups look at, on shapes where it is known what can be seen."""

import math

import pytest
import torch
from rendering_shapes import make_mesh, make_sphere, make_square, merge

from texcsd.rendering import operations
from texcsd.rendering.cameras import random_cameras
from texcsd.rendering.viewpoints import Viewpoints


def look_at(mesh, generator, count=500, part=None):
    return Viewpoints(mesh, part or mesh, generator).draw(count, generator)


def facing_of(points, directions):
    """Cosine between the directions and the normals of a sphere about the origin."""
    return (torch.nn.functional.normalize(points, dim=1) * directions).sum(1)


def test_points_of_a_sphere_are_spread_over_all_of_it_and_lie_on_it(generator):
    points, directions = look_at(make_sphere(40, 0.8), generator)
    assert points.norm(dim=1).min() > 0.79 and points.norm(dim=1).max() < 0.801
    assert points.mean(0).abs().max() < 4 * 0.8 / math.sqrt(3 * 500) + 0.02
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(500))


def test_they_are_seen_at_most_65_degrees_off_their_normal_if_some_direction_is(generator):
    points, directions = look_at(make_sphere(40, 0.8), generator)
    facing = facing_of(points, directions)
    # An elevation of -20..75 degrees is within 60 degrees of every normal above -80.
    reachable = points[:, 1] > -0.16
    assert (facing[reachable] > math.cos(math.radians(66))).all()
    assert facing[reachable].min() < 0.6  # and not always frontally
    straight_down = points[:, 1] < -0.72
    assert straight_down.any() and (directions[straight_down][:, 1] < 0).all()


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0]], ids=["outwards", "inside out"])
def test_what_is_inside_of_something_else_is_never_looked_at(generator, order):
    outer, inner = make_sphere(24, 0.8), make_sphere(24, 0.7)
    outer = make_mesh(outer.vertices, outer.faces[:, order], outer.uv, outer.normals)
    points, directions = look_at(merge(outer, inner), generator)
    assert points.norm(dim=1).min() > 0.78
    assert facing_of(points, directions).min() > 0.1


def test_a_wall_is_in_no_close_up_of_what_is_behind_it(generator):
    """A close-up shows its point in the middle, at the distance it was told."""
    ball, wall = make_sphere(24, 0.4), make_square()
    wall = make_mesh(
        0.9 * wall.vertices + torch.tensor([0.0, 0.0, 0.42]), wall.faces, wall.uv, wall.normals
    )
    scene = merge(ball, wall)
    points, directions = look_at(scene, generator, 200, part=ball)
    assert points.norm(dim=1).max() < 0.401  # of the part asked for
    cameras = random_cameras(points, directions, generator, close_up_fraction=1.0)
    clip = cameras.clip_positions(scene.vertices)
    seen = operations.rasterize(clip, scene.faces, (65, 65))
    depth, _ = operations.interpolate(clip[..., 3:].contiguous(), seen, scene.faces)
    expected = (cameras.eyes - points).norm(dim=1)
    hidden = (depth[:, 32, 32, 0] - expected).abs() > 0.03
    assert hidden.float().mean() <= 0.02  # lines of sight that graze the border of the wall


def test_a_sheet_is_looked_at_from_both_sides(generator):
    _, directions = look_at(make_square(), generator, 300)
    assert directions[:, 2].max() > 0.5 and directions[:, 2].min() < -0.5


def test_a_part_that_can_never_be_seen_is_looked_at_all_the_same(generator):
    outer, inner = make_sphere(24, 0.8), make_sphere(24, 0.4)
    points, directions = look_at(merge(outer, inner), generator, 50, part=inner)
    assert points.norm(dim=1).max() < 0.401 and len(directions) == 50


def test_the_same_seed_looks_at_the_same_points_from_the_same_side():
    ball = make_sphere(12)
    first, second, other = (
        look_at(ball, torch.Generator().manual_seed(seed), 20) for seed in (3, 3, 4)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], other[0])
