import math

import pytest
import torch

from texcsd.rendering.cameras import (
    Cameras,
    look_at,
    orbit_cameras,
    random_cameras,
    random_directions,
)

VIEWS = 400


def sphere_points(count, generator):
    normals = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    return normals * 0.8, normals


@pytest.fixture
def cameras(generator) -> Cameras:
    return random_cameras(*sphere_points(VIEWS, generator), generator)


def to_clip(cameras, points):
    """Projects one point float[view, 3] per view."""
    return torch.stack(
        [cameras.clip_positions(point[None])[view, 0] for view, point in enumerate(points)]
    )


def test_the_point_looked_at_projects_to_the_image_centre():
    cameras = orbit_cameras(6)
    clip = cameras.clip_positions(torch.zeros(1, 3))[:, 0]
    torch.testing.assert_close(clip[:, :2] / clip[:, 3:], torch.zeros(6, 2), atol=1e-6, rtol=0)


def test_close_ups_have_their_surface_point_in_the_image_centre(generator):
    points, normals = sphere_points(20, generator)
    clip = to_clip(random_cameras(points, normals, generator, close_up_fraction=1.0), points)
    torch.testing.assert_close(clip[:, :2] / clip[:, 3:], torch.zeros(20, 2), atol=1e-5, rtol=0)


def test_camera_to_world_is_rigid_and_world_to_camera_its_inverse(cameras):
    rotation = cameras.camera_to_world[:, :3, :3].double()
    identity = torch.eye(3, dtype=torch.float64).expand(VIEWS, 3, 3)
    torch.testing.assert_close(rotation @ rotation.mT, identity, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        torch.linalg.det(rotation), torch.ones(VIEWS).double(), atol=1e-6, rtol=0
    )
    product = cameras.world_to_camera() @ cameras.camera_to_world
    torch.testing.assert_close(product, torch.eye(4).expand(VIEWS, 4, 4), atol=1e-5, rtol=0)


def test_the_horizon_is_level_and_the_north_pole_is_up(cameras):
    right, top = cameras.camera_to_world[:, :3, 0], cameras.camera_to_world[:, :3, 1]
    torch.testing.assert_close(right[:, 1], torch.zeros(VIEWS), atol=1e-6, rtol=0)
    assert (top[:, 1] > 0).all()


def test_azimuth_0_looks_at_the_front_and_azimuth_90_at_the_positive_x_side():
    front, side = orbit_cameras(4, elevation_degrees=0).eyes[:2]
    distance = 2.3 / (2 * math.tan(math.radians(15)))
    torch.testing.assert_close(front, torch.tensor([0.0, 0.0, distance]), atol=1e-5, rtol=0)
    torch.testing.assert_close(side, torch.tensor([distance, 0.0, 0.0]), atol=1e-5, rtol=0)


def test_angles_describe_where_the_eye_is_seen_from_the_point_looked_at(cameras):
    backward = cameras.camera_to_world[:, :3, 2]
    elevation, azimuth = (
        torch.deg2rad(a) for a in (cameras.elevation_degrees, cameras.azimuth_degrees)
    )
    torch.testing.assert_close(backward[:, 1], torch.sin(elevation), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        torch.atan2(backward[:, 0], backward[:, 2]).sin(), azimuth.sin(), atol=1e-4, rtol=0
    )
    assert (cameras.azimuth_degrees >= 0).all() and (cameras.azimuth_degrees < 360).all()


def test_elevations_are_in_range_and_uniform_in_area(generator):
    cameras = random_cameras(*sphere_points(4000, generator), generator, close_up_fraction=0.0)
    assert (cameras.elevation_degrees >= -20.001).all()
    assert (cameras.elevation_degrees <= 75.001).all()
    low, high = math.sin(math.radians(-20)), math.sin(math.radians(75))
    # 4000 uniform draws: the mean lies within 4 standard deviations of the middle.
    mean = torch.sin(torch.deg2rad(cameras.elevation_degrees)).mean().item()
    assert abs(mean - (low + high) / 2) < 4 * (high - low) / math.sqrt(12 * 4000)


def test_whole_object_views_have_one_azimuth_per_slice_of_the_circle(generator):
    cameras = random_cameras(*sphere_points(8, generator), generator, close_up_fraction=0.0)
    azimuth = cameras.azimuth_degrees.sort().values
    gaps = torch.diff(torch.cat([azimuth, azimuth[:1] + 360]))
    assert (gaps <= 90.001).all()


def test_whole_object_views_come_first_and_see_the_whole_sphere(generator):
    cameras = random_cameras(*sphere_points(10, generator), generator, close_up_fraction=0.5)
    whole = cameras.view_width[:5]
    assert (whole >= 2.0).all() and (whole <= 2.8).all()
    assert (cameras.view_width[5:] >= 0.4).all() and (cameras.view_width[5:] <= 1.6).all()
    assert (cameras.fov_degrees[:5] >= 25).all() and (cameras.fov_degrees[:5] <= 50).all()


def test_eyes_are_outside_the_unit_sphere(cameras):
    assert (torch.linalg.vector_norm(cameras.eyes, dim=1) > 1.05).all()


def test_close_ups_use_a_longer_lens_where_the_eye_would_be_too_near(generator):
    _, normals = sphere_points(VIEWS, generator)
    points = -0.5 * normals  # a hollow: its surface faces the centre of the sphere
    cameras = random_cameras(points, normals, generator, close_up_fraction=1.0)
    distance = torch.linalg.vector_norm(cameras.eyes - points, dim=1)
    seen = 2 * distance * torch.tan(torch.deg2rad(cameras.fov_degrees) / 2)
    torch.testing.assert_close(seen, cameras.view_width)
    assert (cameras.fov_degrees < 25).any() and (cameras.fov_degrees < 50.001).all()
    assert (torch.linalg.vector_norm(cameras.eyes, dim=1) > 1.05).all()


def test_close_ups_see_their_point_from_the_direction_asked_for(generator):
    points, _ = sphere_points(VIEWS, generator)
    directions = random_directions(VIEWS, generator)
    cameras = random_cameras(points, directions, generator, close_up_fraction=1.0)
    towards = torch.nn.functional.normalize(cameras.eyes - points, dim=1)
    torch.testing.assert_close(towards, directions, atol=1e-5, rtol=0)


def test_random_directions_are_at_the_elevations_of_painting_uniform_in_area(generator):
    directions = random_directions(4000, generator)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(4000))
    low, high = math.sin(math.radians(-20)), math.sin(math.radians(75))
    assert directions[:, 1].min() >= low - 1e-5 and directions[:, 1].max() <= high + 1e-5
    tolerance = 4 * (high - low) / math.sqrt(12 * 4000)
    assert abs(directions[:, 1].mean().item() - (low + high) / 2) < tolerance
    azimuth = torch.atan2(directions[:, 0], directions[:, 2])
    assert abs(azimuth.mean().item()) < 4 * 2 * math.pi / math.sqrt(12 * 4000)


def test_the_same_seed_gives_the_same_cameras_and_another_seed_others():
    points, normals = sphere_points(6, torch.Generator().manual_seed(0))
    first, second, other = (
        random_cameras(points, normals, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(first.camera_to_world, second.camera_to_world)
    assert torch.equal(first.fov_degrees, second.fov_degrees)
    assert not torch.equal(first.camera_to_world, other.camera_to_world)


@pytest.mark.parametrize("fraction, close_ups", [(0.0, 0), (0.5, 2), (1.0, 5)])
def test_every_share_of_close_ups_gives_one_camera_per_point(fraction, close_ups, generator):
    cameras = random_cameras(*sphere_points(5, generator), generator, close_up_fraction=fraction)
    assert len(cameras) == len(cameras.view_width) == 5
    assert (cameras.view_width < 2).sum() >= close_ups


@pytest.mark.parametrize(("views", "fraction"), [(1, 0.5), (2, 0.35), (5, 0.5), (3, 0.9)])
def test_over_many_steps_the_share_of_close_ups_is_the_one_asked_for(views, fraction, generator):
    looked_at = sphere_points(views, generator)
    steps = [random_cameras(*looked_at, generator, fraction) for _ in range(400)]
    counts = [(cameras.view_width < 1.9).sum().item() for cameras in steps]
    assert sum(counts) / (400 * views) == pytest.approx(fraction, abs=0.1 / views)
    assert max(counts) - min(counts) == 1


def test_a_whole_number_of_close_ups_draws_nothing_that_would_change_the_bits(generator):
    looked_at = sphere_points(10, generator)
    for fraction in (0.5, 0.9):  # (1 - 0.9) * 10 is not quite 1.
        generator.manual_seed(5)
        cameras = random_cameras(*looked_at, generator, fraction)
        generator.manual_seed(5)
        start = torch.rand(1, generator=generator)
        slots = torch.rand(round(10 - 10 * fraction), generator=generator)
        assert cameras.azimuth_degrees[0] == pytest.approx(
            ((start + slots[0] / len(slots)) * 360 % 360).item(), abs=1e-3
        )


def test_looking_straight_down_is_still_rigid():
    poses = look_at(torch.tensor([[0.0, 3.0, 0.0], [0.0, -3.0, 0.0]]), torch.zeros(2, 3))
    rotation = poses[:, :3, :3]
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).expand(2, 3, 3))


def test_the_unit_sphere_lies_between_the_near_and_the_far_plane(cameras, sphere):
    x, y, z, w = cameras.clip_positions(sphere.vertices).unbind(-1)
    in_view = (x.abs() <= w) & (y.abs() <= w)
    assert in_view.any(1).all()
    assert (z[in_view].abs() <= w[in_view]).all()


def test_a_wide_image_shows_more_to_the_sides_and_the_same_height():
    camera = orbit_cameras(1, elevation_degrees=0)
    point = torch.tensor([[0.5, 0.5, 0.0]])
    wide, square = camera.clip_positions(point, 2.0)[0, 0], camera.clip_positions(point)[0, 0]
    torch.testing.assert_close(wide, square * torch.tensor([0.5, 1.0, 1.0, 1.0]))


def test_turned_cameras_see_of_a_mesh_what_others_see_of_it_turned(generator):
    points = torch.nn.functional.normalize(torch.randn(5, 3, generator=generator), dim=1)
    rotation = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    cameras = random_cameras(points, points, generator)
    turned = cameras.turned(rotation)
    expected = cameras.clip_positions(points @ rotation.T)
    torch.testing.assert_close(turned.clip_positions(points), expected)
    assert torch.equal(turned.azimuth_degrees, cameras.azimuth_degrees)


def test_zoomed_cameras_stand_where_they_were_and_show_the_points_as_large_as_they_fit():
    cameras = orbit_cameras(5, elevation_degrees=20)
    rod = torch.tensor([[-1.0, 0.0, 0.0], [0.2, 0.3, 0.0], [1.0, 0.0, 0.0]])
    zoomed = cameras.zoomed_to(rod, 0.9)
    assert torch.equal(zoomed.camera_to_world, cameras.camera_to_world)
    clip = zoomed.clip_positions(rod)
    reach = (clip[..., :2] / clip[..., 3:]).abs().amax((1, 2))
    assert torch.allclose(reach, torch.full((5,), 0.9), atol=1e-5)
    half = zoomed.eyes.norm(dim=1) * torch.tan(torch.deg2rad(zoomed.fov_degrees) / 2)
    assert torch.allclose(2 * half, zoomed.view_width, atol=1e-4)
