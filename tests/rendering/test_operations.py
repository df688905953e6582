import itertools
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import rendering_oracles as oracles
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rendering_shapes import hair_thin_triangle, make_sphere, random_lookup, visible_scene
from scipy.spatial import Delaunay

from texcsd.errors import TexcsdError
from texcsd.rendering import cube_maps, nvdiffrast_operations, operations, torch_operations
from texcsd.rendering.cameras import orbit_cameras

FEW = settings(max_examples=25, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)


def rasterize_view(clip, triangles, height, width):
    return operations.rasterize(
        torch.as_tensor(clip, dtype=torch.float32)[None],
        torch.as_tensor(triangles),
        (height, width),
    )


def times_covered(clip, triangles, height, width):
    """How many triangles cover each pixel, each rasterized alone."""
    count = np.zeros((height, width), int)
    for triangle in triangles:
        count += (rasterize_view(clip, triangle[None], height, width).triangle_ids[0] >= 0).numpy()
    return count


def random_triangles(seed, count=30):
    """Clip positions of all kinds: in view, beyond it, behind the eye; some vertices shared."""
    random = np.random.default_rng(seed)
    clip = random.normal(size=(2 * count, 4)).astype(np.float32)
    clip[:, 3] += random.choice([0.5, 2.0])
    return clip, random.integers(0, len(clip), (count, 3))


# --- rasterize ---------------------------------------------------------------------------------


@FEW
@given(seeds)
def test_visible_triangles_and_barycentrics_equal_the_oracle(seed):
    clip, triangles = random_triangles(seed)
    rast, _, ids = rasterize_view(clip, triangles, 17, 23)
    expected, barycentrics, doubt = oracles.rasterize(clip, triangles, 17, 23)
    sure = ~doubt
    assert sure.mean() > 0.9
    np.testing.assert_array_equal(ids[0].numpy()[sure], expected[sure])
    sure &= expected >= 0
    np.testing.assert_allclose(rast[0, ..., :2].numpy()[sure], barycentrics[sure][:, :2], atol=1e-5)
    np.testing.assert_array_equal(rast[0, ..., 3].numpy()[sure], expected[sure] + 1)


@FEW
@given(seeds, st.sampled_from([1.0, None]))
def test_a_closed_tessellation_covers_every_pixel_exactly_once(seed, w):
    """Vertices sit on pixel centres and edges run through them; w = 1 keeps that exact."""
    random = np.random.default_rng(seed)
    lattice = np.unique(random.integers(-17, 18, (40, 2)), axis=0)
    points = np.concatenate([[[-40, -40], [40, -40], [40, 40], [-40, 40]], lattice]) / 16
    triangles = Delaunay(points).simplices
    weights = np.full(len(points), w) if w else random.uniform(0.1, 10, len(points))
    ones = np.ones(len(points))
    clip = np.stack([points[:, 0], points[:, 1], 0 * ones, ones], 1) * weights[:, None]
    count = times_covered(clip, triangles, 16, 16)
    np.testing.assert_array_equal(count, 1)


@FEW
@given(seeds)
def test_coverage_does_not_depend_on_winding_or_corner_order(seed):
    random = np.random.default_rng(seed)
    points = np.unique(random.integers(-17, 18, (20, 2)), axis=0) / 16
    triangles = Delaunay(points).simplices
    clip = np.concatenate([points, np.zeros((len(points), 1)), np.ones((len(points), 1))], 1)
    expected = rasterize_view(clip, triangles, 16, 16).triangle_ids
    for order in ([1, 2, 0], [0, 2, 1]):
        shuffled = rasterize_view(clip, triangles[:, order], 16, 16).triangle_ids
        assert torch.equal(shuffled, expected)


@FEW
@given(
    st.lists(
        st.tuples(*[st.floats(width=32, allow_nan=True, allow_infinity=True)] * 4),
        min_size=3,
        max_size=9,
    )
)
def test_adversarial_vertices_never_give_anything_but_finite_pixels(vertices):
    clip = np.array(vertices, np.float32)
    triangles = np.array([[i, j, k] for i in range(3) for j in range(3) for k in range(len(clip))])
    rast, rast_db, ids = rasterize_view(clip, triangles, 9, 8)
    assert torch.isfinite(rast).all()
    assert ids.min() >= -1 and ids.max() < len(triangles)
    finite = torch.isfinite(torch.as_tensor(clip)).all(1)
    seen = torch.as_tensor(triangles)[ids[ids >= 0].long()]
    assert finite[seen].all()
    assert (rast_db[ids < 0] == 0).all() and (rast[ids < 0] == 0).all()


@pytest.mark.parametrize("width", range(1, 19))
def test_images_of_any_width_are_covered_from_border_to_border(width):
    """Pixels are drawn several at once, of which some lie beyond the border."""
    clip = np.array([[-2, -2, 0, 1], [2, -2, 0, 1], [2, 2, 0, 1], [-2, 2, 0, 1]])
    ids = rasterize_view(clip, np.array([[0, 1, 2], [0, 2, 3]]), 3, width).triangle_ids[0]
    below = oracles.pixel_centres(width) >= oracles.pixel_centres(3)[:, None]
    on_diagonal = oracles.pixel_centres(width) == oracles.pixel_centres(3)[:, None]
    assert ids.is_contiguous() and ids.shape == (3, width)
    np.testing.assert_array_equal(ids[~on_diagonal], np.where(below, 0, 1)[~on_diagonal])
    assert ids.min() >= 0


def adversarial_triangles(random, height, width, count=40):
    """Corners in pixel centres or half ways between, at all w; many thin ones, many collinear."""
    kinds = random.integers(4, size=count)
    corners = np.zeros((count, 3, 4), np.float32)
    for kind, corner in zip(kinds, corners, strict=True):
        column, row = random.integers(-2, 2 * width + 2, 3), random.integers(-2, 2 * height + 2, 3)
        scale = random.choice([1, 3, 5, 1000.7, -2], 3) if kind < 2 else np.ones(3)
        corner[:, 0], corner[:, 1] = (column - width) * height, (row - height) * width
        corner[:, 3] = width * height
        if kind == 1:  # all but collinear
            corner[2] = 3 * corner[0] - 2 * corner[1]
            corner[2, random.integers(2)] += random.choice([0, 1e-3, -1e-6, 1e-8])
        corner *= scale[:, None]
        if kind == 3:  # of any numbers, seldom exact
            corner[:, :2] += random.normal(size=(3, 2)) * 2.0 ** random.integers(-40, 5)
        corner[:, 2] = random.uniform(-0.5, 0.5, 3) * abs(corner[:, 3]).min()
    return corners


@FEW
@given(seeds, st.sampled_from([(7, 9), (16, 16), (5, 3)]))
def test_what_each_triangle_covers_is_exact_and_so_are_its_barycentrics(seed, size):
    corners = adversarial_triangles(np.random.default_rng(seed), *size)
    count = len(corners)
    rast, _, ids = operations.rasterize(
        torch.as_tensor(corners.reshape(-1, 4)),
        torch.arange(3 * count).view(-1, 3),
        size,
        ranges=torch.tensor([[index, 1] for index in range(count)]),
    )
    for index in range(count):
        exact = oracles.exact_view(corners[index], *size)
        z, w = corners[index, :, 2].astype(float), corners[index, :, 3].astype(float)
        for (row, column), shares in list(exact.items()):
            shares = np.array(shares, float)
            depth = shares @ z / (shares @ w) if shares @ w != 0 else np.inf
            exact[row, column] = *shares[:2], depth
        seen = {pixel for pixel in exact if abs(exact[pixel][2]) <= 1}
        assert seen == set(map(tuple, np.argwhere(ids[index].numpy() >= 0).tolist()))
        for pixel in seen:
            np.testing.assert_allclose(rast[index][pixel][:3], exact[pixel], atol=2e-6)


@FEW
@given(seeds)
def test_a_triangle_thinner_than_float64_can_tell_is_seen_where_it_is(seed):
    corners, triangle = hair_thin_triangle(seed), torch.tensor([[0, 1, 2]])
    exact = oracles.exact_view(corners, 3, 3)
    assert exact[2, 2] == [Fraction(1, 3)] * 3
    depth = corners[:, 2].sum(dtype=float) / corners[:, 3].sum(dtype=float)
    for order in itertools.permutations(range(3)):
        rast, rast_db, ids = rasterize_view(corners[list(order)], triangle, 3, 3)
        assert set(map(tuple, ids[0].eq(0).nonzero().tolist())) == set(exact)
        expected = torch.tensor([1 / 3, 1 / 3, depth, 1], dtype=torch.float32)
        torch.testing.assert_close(rast[0, 2, 2], expected)
        assert torch.isfinite(rast_db).all()


@FEW
@given(seeds)
def test_the_gradient_of_a_triangle_thinner_than_float64_can_tell_is_right(seed):
    """u is p / (p + q + r), of which p * first + q * second + r * third is the pixel: all alike."""
    corners = hair_thin_triangle(seed)
    clip = torch.tensor(corners)[None].requires_grad_()
    rast = operations.rasterize(clip, torch.tensor([[0, 1, 2]]), (3, 3)).rast
    (gradient,) = torch.autograd.grad(rast[0, 2, 2, 0], clip)
    first, second, third = ([Fraction(float(corner[i])) for i in (0, 1, 3)] for corner in corners)
    rows = oracles.cross(second, third), oracles.cross(third, first), oracles.cross(first, second)
    volume = sum(a * b for a, b in zip(first, rows[0], strict=True))
    slope = [(b + c - 2 * a) / 9 / volume for a, b, c in zip(*rows, strict=True)]
    expected = torch.tensor([float(number) for number in slope])
    for corner in range(3):
        torch.testing.assert_close(gradient[0, corner, [0, 1, 3]], expected, rtol=1e-5, atol=0)


@FEW
@given(seeds, st.sampled_from([(7, 9), (16, 16), (481, 999)]))
def test_of_triangles_around_a_vertex_in_a_pixel_centre_exactly_one_has_it(seed, size):
    """Whatever w their other corners have, of any digits."""
    random, (height, width) = np.random.default_rng(seed), size
    row, column, count = random.integers(height), random.integers(width), random.integers(5, 9)
    angles = (np.arange(count) + random.uniform(0, 0.4, count)) * 2 * np.pi / count
    reach = 10.0 ** random.uniform(-3, 1, count)
    centre = np.array([2 * column + 1 - width, 2 * row + 1 - height]) / (width, height)
    around = centre + reach[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    weights = 10.0 ** random.uniform(-3, 3, count)
    corners = np.zeros((count + 1, 4), np.float32)
    corners[0] = [2 * column * height + height * (1 - width), 0, 0, width * height]
    corners[0, 1] = (2 * row + 1 - height) * width
    corners[1:, :2], corners[1:, 3] = around * weights[:, None], weights
    fan = np.array([[0, index + 1, (index + 1) % count + 1] for index in range(count)])
    assert times_covered(corners, fan, height, width)[row, column] == 1


def test_degenerate_triangles_cover_nothing():
    clip = np.array([[-1, -1, 0, 1], [1, 1, 0, 1], [0, 0, 0, 1], [0.5, 0.5, 0, 1], [0, 0, 0, 0]])
    triangles = np.array([[0, 0, 1], [2, 2, 2], [0, 2, 1], [0, 3, 1], [0, 1, 4], [4, 4, 4]])
    assert (rasterize_view(clip, triangles, 16, 16).triangle_ids == -1).all()


def test_the_nearer_triangle_wins_and_the_first_of_two_equal_ones():
    corners = np.array([[-3, -1, 0, 1], [3, -1, 0, 1], [0, 3, 0, 1]])
    offset = np.array([0, 0, 0.5, 0])
    near, far = corners - offset, corners + offset
    clip, triangles = np.concatenate([far, near, near]), np.arange(9).reshape(3, 3)
    assert (rasterize_view(clip, triangles, 4, 4).triangle_ids == 1).all()
    assert (rasterize_view(clip, triangles[::-1].copy(), 4, 4).triangle_ids == 0).all()


@pytest.mark.parametrize("far", [1e3, 1e9, 1e20, 1e30, 3e38])
def test_corners_may_lie_as_far_beyond_the_image_as_floats_reach(far):
    clip = np.array([[-far, -far, 0, 1], [far, -far, 0, 1], [0, far, 0, 1]])
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        found = rasterize_view(clip[order], np.array([[0, 1, 2]]), 16, 300)
        assert (found.triangle_ids == 0).all()


@pytest.mark.parametrize(
    "count, size, thickness",
    [(40, 96, None), (4000, 64, None), (4000, 512, 1e-3), (40000, 512, 1e-5)],
    ids=["large", "small", "thin", "thinner"],
)
def test_of_faces_that_coincide_the_first_is_seen_in_whatever_order_their_corners_come(
    count, size, thickness
):
    random = np.random.default_rng(3)
    corners = random.normal(size=(count, 1, 4)) + 6 * count**-0.5 * random.normal(
        size=(count, 3, 4)
    )
    corners[..., 3] = 1.5 + 0.3 * random.normal(size=(count, 3))
    if thickness:
        share = random.uniform(size=(count, 1))
        corners[:, 2] = share * corners[:, 0] + (1 - share) * corners[:, 1]
        corners[:, 2, :2] += thickness * random.normal(size=(count, 2))
    clip = torch.as_tensor(corners.reshape(1, -1, 4), dtype=torch.float32)
    faces = torch.arange(3 * count).view(-1, 3)
    orders = torch.stack([faces[:, order] for order in itertools.permutations(range(3))])
    first, second = operations.rasterize_layers(clip, orders.flatten(0, 1), (size, size), 2)
    alone, behind = operations.rasterize_layers(clip, faces, (size, size), 2)
    assert torch.equal(first.triangle_ids, alone.triangle_ids)
    assert torch.equal(second.triangle_ids, behind.triangle_ids)
    assert (behind.triangle_ids >= 0).any()


@pytest.mark.parametrize("layers", [1, 3])
def test_in_which_order_triangles_are_listed_changes_nothing_that_is_seen(layers):
    random = np.random.default_rng(7)
    size = 10 ** random.uniform(-2.5, 0, (3000, 1, 1))
    corners = random.normal(size=(3000, 1, 4)) + size * random.normal(size=(3000, 3, 4))
    corners[..., 3] = 1.5 + 0.5 * random.normal(size=(3000, 3))
    clip, number = torch.as_tensor(corners.reshape(1, -1, 4)).float(), torch.arange(3000)
    by_depth = torch.as_tensor((corners[..., 2] / corners[..., 3]).min(1)).argsort()
    shuffled = torch.as_tensor(random.permutation(3000))
    seen = []
    for order in (number, by_depth, by_depth.flip(0), shuffled):
        faces = 3 * order[:, None] + torch.arange(3)
        found = operations.rasterize_layers(clip, faces, (80, 112), layers)[-1].triangle_ids
        seen.append(torch.where(found < 0, -1, order[found.clamp(min=0).long()]))
    assert (seen[0] >= 0).float().mean() > 0.9
    assert all(torch.equal(seen[0], other) for other in seen[1:])


def test_what_lies_before_the_near_or_behind_the_far_plane_is_cut_per_pixel():
    """z / w runs from -2 on the left edge to 2 on the right one."""
    clip = np.array([[-1, -1, -2, 1], [1, -1, 2, 1], [1, 1, 2, 1], [-1, 1, -2, 1]])
    ids = rasterize_view(clip, np.array([[0, 1, 2], [0, 2, 3]]), 8, 8).triangle_ids[0]
    np.testing.assert_array_equal((ids >= 0).numpy(), [[False] * 2 + [True] * 4 + [False] * 2] * 8)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("seed", range(8))
def test_what_lies_on_the_near_or_the_far_plane_is_seen_without_holes(seed, side):
    """As skies are drawn: a box around the eye, turned, of whose clip positions z becomes w."""
    random = np.random.default_rng(seed)
    corners = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T
    turned = corners @ np.linalg.qr(random.normal(size=(3, 3)))[0]
    squares = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [face for a, b, c, d in squares for face in ((a, b, c), (a, c, d))]
    x, y, w = random.uniform(0.3, 3) * turned.T
    clip = torch.from_numpy(np.stack([x, y, side * w, w], 1)).float()
    found = operations.rasterize(clip[None], torch.tensor(faces), (50, 60))
    assert (found.triangle_ids >= 0).all() and (found.rast[..., 2] == side).all()


def test_a_ground_plane_that_passes_below_the_eye_ends_at_the_horizon():
    """The plane y = -1 seen from the origin along -z, with its corners behind the eye."""
    near, far, size = 0.1, 100.0, 1000.0
    corners = np.array([[-size, -1, size], [size, -1, size], [size, -1, -size], [-size, -1, -size]])
    x, y, z = corners.T
    depth = -(far + near) / (far - near) * z - 2 * far * near / (far - near)
    clip = np.stack([x, y, depth, -z], 1).astype(np.float32)
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3]])
    result = rasterize_view(clip, triangles, 64, 64)
    row = oracles.pixel_centres(64)
    in_front = (
        (row < 0) & (-1 / np.minimum(row, -1e-9) < far) & (-1 / np.minimum(row, -1e-9) > near)
    )
    np.testing.assert_array_equal(
        (result.triangle_ids[0] >= 0).numpy(), np.tile(in_front[:, None], 64)
    )
    attributes = torch.as_tensor(corners[None], dtype=torch.float32)
    positions = operations.interpolate(attributes, result, triangles)[0][0].double().numpy()
    expected = np.stack(np.broadcast_arrays(row[None] / -row[:, None], -1, 1 / row[:, None]), -1)
    # float32 barycentrics of a plane 2000 wide: an error of 1e-7 of that.
    np.testing.assert_allclose(positions[in_front], expected[in_front], atol=5e-4)


def test_row_0_is_the_bottom_of_clip_space_and_column_0_its_left():
    clip = np.array([[-1, -1, 0, 1], [-0.4, -1, 0, 1], [-1, -0.4, 0, 1]])
    ids = rasterize_view(clip, np.array([[0, 1, 2]]), 4, 4).triangle_ids[0]
    assert (ids >= 0).nonzero().tolist() == [[0, 0]]


def test_no_triangles_and_no_views_give_empty_images():
    nothing = torch.zeros(0, 3, dtype=torch.int64)
    result = operations.rasterize(torch.zeros(2, 0, 4), nothing, (3, 5))
    assert result.rast.shape == (2, 3, 5, 4) and (result.triangle_ids == -1).all()
    assert operations.rasterize(torch.zeros(0, 0, 4), nothing, (3, 5)).rast.shape == (0, 3, 5, 4)


# --- layers ------------------------------------------------------------------------------------


@FEW
@given(seeds)
def test_layers_are_what_every_triangle_covers_alone_from_near_to_far(seed):
    clip, triangles = random_triangles(seed, count=8)
    layers = operations.rasterize_layers(
        torch.as_tensor(clip)[None], torch.as_tensor(triangles), (17, 23), 9
    )
    alone = [rasterize_view(clip, triangle[None], 17, 23) for triangle in triangles]
    covers = torch.cat([found.triangle_ids for found in alone]) >= 0
    depths = torch.where(covers, torch.cat([found.rast[..., 2] for found in alone]), torch.inf)
    expected, order = depths.sort(0)
    gaps = expected[1:] - expected[:-1]
    clear = ((gaps > 1e-6) | gaps.isnan()).all(0)  # float32 depths tell them apart
    assert clear.float().mean() > 0.9
    for index, layer in enumerate(layers[:8]):
        ids = torch.where(expected[index] < torch.inf, order[index], -1)
        assert torch.equal(layer.triangle_ids[0][clear].long(), ids[clear])
        there = clear & (ids >= 0)
        assert torch.equal(layer.rast[0, ..., 2][there], expected[index][there])
    assert (layers[8].triangle_ids == -1).all() and (layers[8].rast == 0).all()


def test_the_first_layer_is_what_is_visible_and_every_layer_has_gradients_of_its_own():
    clip, triangles, _ = visible_scene(3)
    positions = clip.float().requires_grad_()
    visible = operations.rasterize(positions, triangles, (300, 20))
    first, second = operations.rasterize_layers(positions, triangles, (300, 20), 2)
    for one, other in zip(visible, first, strict=True):
        assert torch.equal(one, other)
    assert (second.triangle_ids >= 0).float().mean() > 0.2
    leaf = clip.double().requires_grad_()
    rast, _ = torch_operations.barycentrics(leaf, triangles, second.triangle_ids)
    (correct,) = torch.autograd.grad(rast[..., :2].square().sum(), leaf)
    (gradient,) = torch.autograd.grad(second.rast[..., :2].square().sum(), positions)
    scale = correct.abs().max()
    torch.testing.assert_close(gradient / scale, (correct / scale).float(), atol=1e-5, rtol=0)


def test_what_is_seen_depends_on_nothing_that_was_rendered_before():
    """Not even of surfaces that are nearly equally near, which are drawn in another order then."""
    random, faces = np.random.default_rng(0), torch.arange(900).view(-1, 3)
    for _ in range(20):
        clip = np.ones((1, 900, 4), np.float32)
        clip[0, :, :2] = (
            random.uniform(-1, 1, (300, 1, 2)) + random.normal(size=(300, 3, 2))
        ).reshape(-1, 2)
        clip[0, :, 2] = (random.integers(0, 20, 300) * 0.7 * 2.0**-40).repeat(3)
        other = clip.copy()
        other[0, :, :3] = random.uniform(-1, 1, (900, 3))
        used, unused = faces.clone(), faces.clone()
        operations.rasterize(torch.as_tensor(other), used, (8, 8))
        first, second = (
            operations.rasterize(torch.as_tensor(clip), kept, (40, 40)).triangle_ids
            for kept in (used, unused)
        )
        assert torch.equal(first, second)


def test_a_pixel_in_a_corner_before_the_near_plane_is_not_seen_however_far_the_others_reach():
    clip = np.array(
        [
            [0.734130859375, 2.5, -1.04, 1],
            [0.73324, 0.4846, 3e38, 1],
            [0.732666015625, 0.5, -1.04, 1],
        ]
    )
    assert rasterize_view(clip, np.array([[0, 1, 2]]), 2, 4096).triangle_ids[0, 1, 3548] == -1


def test_a_tall_narrow_triangle_is_one_layer_also_where_pixel_centres_are_on_its_edges():
    random, count = np.random.default_rng(0), 300
    columns, rows = random.integers(0, 2, (count, 3)) + 5, random.integers(0, 64, (count, 3))
    weights = random.choice([1, 3, 1000.7], (count, 3))
    corners = np.stack([(2 * columns - 15) / 16, (2 * rows - 63) / 64, 0 * rows, 0 * rows + 1], -1)
    corners[..., 2] = random.uniform(-1, 1, (count, 3))
    clip = torch.as_tensor((corners * weights[..., None]).reshape(-1, 4), dtype=torch.float32)
    ranges = torch.tensor([[index, 1] for index in range(count)])
    faces = torch.arange(3 * count).view(-1, 3)
    first, second = operations.rasterize_layers(clip, faces, (64, 16), 2, ranges)
    assert (first.triangle_ids >= 0).sum() > 3 * count and (second.triangle_ids == -1).all()


def test_of_faces_in_one_plane_the_first_is_seen_though_rounding_sets_them_apart():
    random, count = np.random.default_rng(0), 400
    clip = torch.ones(count, 3, 4)
    places = random.normal(size=(count, 1, 2)) + 0.3 * random.normal(size=(count, 3, 2))
    clip[..., :2] = torch.as_tensor(places)
    clip[..., 2] = 0.9
    clip = clip.flatten(0, 1)
    faces = torch.arange(3 * count).view(-1, 3)
    alone = torch.tensor([[index, 1] for index in range(count)])
    each = operations.rasterize(clip, faces, (64, 64), ranges=alone).triangle_ids
    lowest = torch.where(each < 0, count, each).amin(0)
    together = operations.rasterize(clip[None], faces, (64, 64)).triangle_ids[0]
    assert torch.equal(together, torch.where(lowest == count, -1, lowest))


def test_of_triangles_that_coincide_only_one_is_a_layer():
    clip, _, _ = visible_scene(3, views=1)
    twice = torch.tensor([[3, 4, 5], [3, 4, 5]])
    first, second = operations.rasterize_layers(clip.float(), twice, (16, 16), 2)
    assert (first.triangle_ids == 0).any() and (second.triangle_ids == -1).all()


def test_layers_of_ranges_are_those_of_their_triangles_alone():
    clip, triangles, _ = visible_scene(6, views=1)
    ranges = torch.tensor([[0, 4], [2, 4]])
    layers = operations.rasterize_layers(clip[0].float(), triangles, (16, 16), 2, ranges)
    assert (layers[1].triangle_ids >= 0).any()
    for view, (first, count) in enumerate(ranges.tolist()):
        part = triangles[first : first + count]
        alone = operations.rasterize_layers(clip.float(), part, (16, 16), 2)
        for layer, single in zip(layers, alone, strict=True):
            expected = torch.where(single.triangle_ids >= 0, single.triangle_ids + first, -1)
            assert torch.equal(layer.triangle_ids[view], expected[0])


# --- interpolate -------------------------------------------------------------------------------


def tilted_plane():
    """A plane in perspective, and at every pixel of 24 x 32 its point, from the plane equation."""
    points = np.array([[-4, -3, -2.0], [5, -3, -4], [5, 4, -9], [-4, 4, -7]], np.float64)
    points[3, 2] = points[0, 2] + points[2, 2] - points[1, 2]  # all four in one plane
    points[3, :2] = points[0, :2] + points[2, :2] - points[1, :2]
    clip = np.stack([points[:, 0], points[:, 1], -0.1 * points[:, 2] - 0.5, -points[:, 2]], 1)
    normal = np.cross(points[1] - points[0], points[2] - points[0])
    x, y = np.meshgrid(oracles.pixel_centres(32), oracles.pixel_centres(24))
    rays = np.stack([x, y, -np.ones_like(x)], -1)
    at_pixels = rays * (normal @ points[0] / (rays @ normal))[..., None]
    return points, clip, at_pixels


def test_linear_functions_interpolate_exactly_in_perspective():
    points, clip, at_pixels = tilted_plane()
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3]])
    result = rasterize_view(clip, triangles, 24, 32)
    seen = (result.triangle_ids[0] >= 0).numpy()
    assert 0.3 < seen.mean() < 1
    values = operations.interpolate(torch.as_tensor(points[None]).float(), result, triangles)[0][0]
    np.testing.assert_allclose(values.numpy()[seen], at_pixels[seen], atol=2e-5)
    assert (values.numpy()[~seen] == 0).all()


def test_derivatives_are_those_of_the_interpolated_function():
    """Against differences over a hundredth of a pixel, from images shifted by as much."""
    points, clip, _ = tilted_plane()
    triangles = torch.tensor([[0, 1, 2], [0, 2, 3]])
    attributes = torch.as_tensor(points[None]).float()
    result = rasterize_view(clip, triangles, 24, 32)
    slopes = operations.interpolate(attributes, result, triangles, with_derivatives=True)[1]
    for axis, size in ((0, 32), (1, 24)):
        images = []
        for step in (-0.01, 0.01):
            shifted = clip.copy()
            shifted[:, axis] -= step * 2 / size * clip[:, 3]  # looks at x + step
            moved = rasterize_view(shifted, triangles, 24, 32)
            images.append(
                (operations.interpolate(attributes, moved, triangles)[0], moved.triangle_ids)
            )
        (before, ids_before), (after, ids_after) = images
        inside = (ids_before >= 0) & (ids_before == ids_after) & (ids_before == result.triangle_ids)
        difference = (after - before) / 0.02
        torch.testing.assert_close(
            slopes[..., axis::2][inside], difference[inside], atol=2e-3, rtol=1e-2
        )


def test_attributes_may_differ_between_views():
    clip = torch.tensor([[-1.0, -1, 0, 1], [3, -1, 0, 1], [-1, 3, 0, 1]]).expand(2, 3, 4)
    triangles = torch.tensor([[0, 1, 2]])
    result = operations.rasterize(clip, triangles, (2, 2))
    attributes = torch.tensor([[[1.0]] * 3, [[5.0]] * 3])
    values = operations.interpolate(attributes, result, triangles)[0]
    assert (values[0] == 1).all() and (values[1] == 5).all()


# --- gradients to geometry ---------------------------------------------------------------------


@pytest.mark.parametrize("shared", [True, False])
def test_gradients_to_positions_and_attributes_equal_those_of_torch(shared):
    """Torch differentiates the formulas from the visible triangles on, in float64."""
    clip, triangles, attributes = visible_scene(3)
    attributes = attributes if shared else torch.cat([attributes, attributes + 1])
    ours = [tensor.float().requires_grad_() for tensor in (clip, attributes)]
    rasterized = operations.rasterize(ours[0], triangles, (19, 23))
    assert 0.3 < (rasterized.triangle_ids >= 0).float().mean() < 1
    values, slopes = operations.interpolate(ours[1], rasterized, triangles, [2, 0])
    exact = [tensor.detach().double().requires_grad_() for tensor in ours]
    rast, rast_db = torch_operations.barycentrics(exact[0], triangles, rasterized.triangle_ids)
    expected, every = torch_operations.interpolate(
        exact[1], rast, rast_db, rasterized.triangle_ids, triangles
    )
    chosen = every[..., [4, 5, 0, 1]]
    torch.testing.assert_close(rasterized.rast, rast, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(rasterized.rast_db, rast_db, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(values, expected.float(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(slopes, chosen.float(), atol=1e-4, rtol=1e-4)
    generator = torch.Generator().manual_seed(0)
    upstream = [torch.randn(t.shape, generator=generator) for t in (values, slopes)]
    gradients = torch.autograd.grad([values, slopes], ours, upstream)
    correct = torch.autograd.grad([expected, chosen], exact, [u.double() for u in upstream])
    for gradient, right in zip(gradients, correct, strict=True):
        assert right.abs().max() > 0.1
        scale = float(right.abs().max())
        torch.testing.assert_close(gradient.double() / scale, right / scale, atol=1e-5, rtol=1e-4)


def test_the_gradient_to_positions_equals_finite_differences():
    """Independent of any formula; of pixels that see the same triangle before and after."""
    clip, triangles, attributes = visible_scene(4, views=1)
    clip, attributes = clip.float(), attributes.float()
    weights = torch.randn(1, 15, 15, 9, generator=torch.Generator().manual_seed(1))

    def images(positions):
        result = operations.rasterize(positions, triangles, (15, 15))
        values, slopes = operations.interpolate(attributes, result, triangles, True)
        return torch.cat([values, slopes], -1), result.triangle_ids

    _, ids = images(clip)
    step, compared = 1e-3, 0
    for vertex in range(12):
        for axis in (0, 1, 3):
            moved = [clip.clone(), clip.clone()]
            moved[0][0, vertex, axis] -= step
            moved[1][0, vertex, axis] += step
            (before, ids_before), (after, ids_after) = map(images, moved)
            same = ((ids == ids_before) & (ids == ids_after))[..., None]
            difference = ((after - before).double() * weights * same).sum() / (2 * step)
            leaf = clip.clone().requires_grad_()
            (images(leaf)[0] * weights * same).sum().backward()
            gradient = leaf.grad[0, vertex, axis].double()
            compared += abs(difference) > 1
            assert abs(gradient - difference) < 0.02 * (1 + abs(difference)), (vertex, axis)
    assert compared > 10


@FEW
@given(seeds)
def test_gradients_are_finite_for_triangles_of_all_kinds(seed):
    clip, triangles = random_triangles(seed)
    clip[0], clip[1, 3], clip[2] = np.nan, 0, clip[3]
    leaf = torch.as_tensor(clip)[None].requires_grad_()
    result = operations.rasterize(leaf, torch.as_tensor(triangles), (17, 23))
    result.rast[..., :2].sum().backward()
    assert torch.isfinite(leaf.grad).all() and (leaf.grad[0, 0] == 0).all()


@FEW
@given(seeds)
def test_the_gradient_of_a_sum_of_attributes_counts_the_pixels_covered(seed):
    """Barycentrics sum to 1, so what goes to the vertices must, too."""
    clip, triangles = random_triangles(seed)
    faces = torch.as_tensor(triangles)
    result = operations.rasterize(torch.as_tensor(clip)[None], faces, (17, 23))
    attributes = torch.rand(1, len(clip), 2).requires_grad_()
    operations.interpolate(attributes, result, faces)[0].sum().backward()
    covered = (result.triangle_ids >= 0).sum().float()
    torch.testing.assert_close(attributes.grad.sum((0, 1)), covered.expand(2), atol=1e-2, rtol=1e-4)


def test_without_grad_db_the_derivatives_have_no_gradient_to_positions():
    clip, triangles, _ = visible_scene(5)
    positions = clip.float().requires_grad_()
    assert not operations.rasterize(positions, triangles, (8, 8), grad_db=False)[1].requires_grad
    assert operations.rasterize(positions, triangles, (8, 8))[1].requires_grad


def test_nothing_behind_the_visible_triangles_has_a_gradient():
    clip = torch.tensor([[[-3.0, -1, 0, 1], [3, -1, 0, 1], [0, 3, 0, 1]]]).repeat(1, 2, 1)
    clip[:, 3:, 2] = 0.5
    positions = clip.requires_grad_()
    triangles = torch.arange(6).view(2, 3)
    operations.rasterize(positions, triangles, (8, 8)).rast[..., :2].square().sum().backward()
    assert (positions.grad[:, :3] != 0).any() and (positions.grad[:, 3:] == 0).all()
    assert (positions.grad[..., 2] == 0).all()


def test_ranges_render_some_triangles_of_one_vertex_buffer_in_each_view():
    clip, triangles, attributes = visible_scene(6, views=1)
    ranges = torch.tensor([[0, 2], [2, 4], [5, 0]])
    shared = clip[0].float().requires_grad_()
    ranged = operations.rasterize(shared, triangles, (16, 16), ranges)
    values = operations.interpolate(attributes[0].float(), ranged, triangles)[0]
    assert (ranged.triangle_ids[2] == -1).all()
    total = torch.zeros_like(shared)
    for view, (first, count) in enumerate(ranges.tolist()):
        alone = clip.float().requires_grad_()
        part = triangles[first : first + count]
        single = operations.rasterize(alone, part, (16, 16))
        seen = single.triangle_ids >= 0
        expected = torch.where(seen, single.triangle_ids + first, -1)
        assert torch.equal(ranged.triangle_ids[view : view + 1], expected)
        assert torch.equal(ranged.rast[view, ..., :3], single.rast[0, ..., :3])
        picture = operations.interpolate(attributes.float(), single, part)[0]
        assert torch.equal(picture[0], values[view])
        single.rast[..., 0].square().sum().backward()
        total += alone.grad[0]
    ranged.rast[..., 0].square().sum().backward()
    torch.testing.assert_close(shared.grad, total)


def test_derivatives_of_some_channels_are_counted_from_the_end_too():
    clip, triangles, attributes = visible_scene(7)
    found = operations.rasterize(clip.float(), triangles, (16, 16))
    _, every = operations.interpolate(attributes.float(), found, triangles, True)
    _, some = operations.interpolate(attributes.float(), found, triangles, [-1, 0, 2])
    assert torch.equal(some, every[..., [4, 5, 0, 1, 4, 5]])


def test_shapes_and_ranges_that_do_not_fit_are_refused():
    triangles = torch.tensor([[0, 1, 2]])
    with pytest.raises(ValueError, match=r"shape \(3, 4\)"):
        operations.rasterize(torch.zeros(3, 4), triangles, (4, 4))
    with pytest.raises(ValueError, match="reach from 0 to 2; triangles are 1"):
        operations.rasterize(torch.zeros(3, 4), triangles, (4, 4), torch.tensor([[0, 2]]))


# --- all of them -------------------------------------------------------------------------------


def everything(seed):
    """All results and gradients of a step with three views, 300 rows high: more than one piece."""
    clips = torch.stack([torch.as_tensor(random_triangles(seed + view)[0]) for view in range(3)])
    triangles = torch.as_tensor(random_triangles(seed)[1])
    clips, corners = clips.requires_grad_(), torch.rand(1, 60, 2).requires_grad_()
    result = operations.rasterize(clips, triangles, (300, 50))
    uv, slopes = operations.interpolate(corners, result, triangles, True)
    levels = [torch.randn(1, s, s, 3).requires_grad_() for s in (20, 80, 320)]
    composed = operations.compose_pyramid(levels)
    colors = operations.texture(composed, uv, slopes)
    gradients = torch.autograd.grad(
        colors, [clips, corners, composed, *levels], torch.randn(colors.shape)
    )
    return [*result, uv, slopes, composed, colors, *gradients]


def test_what_comes_out_may_be_changed_in_place():
    clip, triangles, attributes = visible_scene(8)
    clip, attributes = clip.float().requires_grad_(), attributes.float().requires_grad_()
    image = torch.rand(1, 8, 8, 3).requires_grad_()

    def render(change):
        found = operations.rasterize(clip, triangles, (16, 16))
        uv, slopes = operations.interpolate(attributes[..., :2], found, triangles, True)
        colors = operations.texture(image, change(uv), change(slopes))
        colors = change(colors)
        return torch.autograd.grad(colors.square().sum(), [clip, attributes, image])

    found, expected = render(lambda values: values.mul_(0.5)), render(lambda values: 0.5 * values)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_numbers_of_few_bits_are_taken_for_what_they_are():
    """As autocast makes them."""
    clip, triangles, attributes = visible_scene(9)
    image, uv = torch.rand(1, 8, 8, 3).bfloat16(), torch.rand(2, 4, 4, 2).bfloat16()
    clip, attributes = clip.bfloat16().requires_grad_(), attributes.bfloat16()

    def render(convert):
        found = operations.rasterize(convert(clip), triangles, (16, 16))
        values, _ = operations.interpolate(convert(attributes), found, triangles)
        colors = operations.texture(convert(image), convert(uv), mip_level_bias=convert(uv[..., 0]))
        return values, colors, torch.autograd.grad(values.square().sum(), clip)[0]

    found, expected = render(lambda values: values), render(lambda values: values.float())
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_tensors_are_made_on_no_other_device_than_that_of_the_arguments():
    clip, triangles, attributes = visible_scene(9)
    clip, attributes, uv = clip.float(), attributes.float(), torch.rand(2, 4, 4, 2)
    with torch.device("meta"):  # where torch makes what is told nothing else
        found = operations.rasterize(clip, triangles, (16, 16))
        values, _ = operations.interpolate(attributes, found, triangles)
        colors = operations.texture(torch.ones(1, 8, 8, 3, device="cpu"), uv)
    assert values.device.type == "cpu" and torch.equal(colors, torch.ones(2, 4, 4, 3))


def test_the_number_of_threads_does_not_change_a_bit(with_threads):
    results = []
    for threads in (1, 2, 5):
        torch.manual_seed(0)
        results.append(with_threads(threads, lambda: everything(11)))
    for other in results[1:]:
        for one_thread, more_threads in zip(results[0], other, strict=True):
            assert torch.equal(one_thread, more_threads)


@pytest.fixture
def rasterizer_as_it_was():
    yield
    operations.select_rasterizer("auto", torch.device("cpu"))


def test_wanting_nvdiffrast_without_it_gives_one_line_that_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "nvdiffrast", None)
    with pytest.raises(TexcsdError, match=r"(?=.*non-commercial)(?=.*pip install git).*") as caught:
        operations.select_rasterizer("nvdiffrast", torch.device("cuda"))
    assert "\n" not in str(caught.value)
    with pytest.raises(TexcsdError, match="device is cpu; choose --rasterizer auto"):
        operations.select_rasterizer("nvdiffrast", torch.device("cpu"))


def test_without_nvdiffrast_it_is_said_once_that_the_cpu_rasterizes(
    monkeypatch, caplog, rasterizer_as_it_was
):
    monkeypatch.setitem(sys.modules, "nvdiffrast", None)
    operations.select_rasterizer("auto", torch.device("cuda"))
    assert not operations.takes_nvdiffrast() and not operations.takes_nvdiffrast()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    operations.select_rasterizer("numba", torch.device("cuda"))
    assert not operations.takes_nvdiffrast() and len(caplog.records) == 1


def step_with(device, rasterize, interpolate, texture):
    """Everything a step without nvdiffrast computes, and its gradients."""
    clip, triangles, attributes = visible_scene(7)
    generator = torch.Generator().manual_seed(0)
    leaves = [clip.float(), attributes.float(), torch.rand(1, 12, 12, 3, generator=generator)]
    leaves = [leaf.to(device).requires_grad_() for leaf in leaves]
    triangles = triangles.to(device)
    result = rasterize(leaves[0], triangles, (17, 19))
    uv, slopes = interpolate(leaves[1], result, triangles, [0, 1])
    colors = texture(leaves[2], uv[..., :2].contiguous(), slopes)
    colors.square().sum().backward()
    return [tensor.detach().cpu() for tensor in (*result, uv, slopes, colors)] + [
        leaf.grad.cpu() for leaf in leaves
    ]


def assert_steps_are_close(one, other):
    for first, second in zip(one, other, strict=True):
        scale = max(1.0, float(second.abs().max()))
        torch.testing.assert_close(first / scale, second / scale, atol=1e-4, rtol=0)


EVERY_OPERATION = operations.rasterize, operations.interpolate, operations.texture


def test_what_cuda_takes_without_nvdiffrast_gives_the_same_on_a_cpu():
    def rasterize(*arguments):
        ids = operations.rasterize(*arguments).triangle_ids
        return operations.Rasterization(*torch_operations.barycentrics(*arguments[:2], ids), ids)

    def texture(image, uv, slopes):
        arguments = None, None, "linear-mipmap-linear", "wrap", None
        return operations._torch_texture(image, uv, slopes, *arguments)

    other = step_with("cpu", rasterize, operations._torch_interpolate, texture)
    assert_steps_are_close(step_with("cpu", *EVERY_OPERATION), other)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_cuda_without_nvdiffrast_gives_the_same_as_the_cpu(rasterizer_as_it_was):
    operations.select_rasterizer("numba", torch.device("cuda"))
    on_cpu, on_gpu = (step_with(device, *EVERY_OPERATION) for device in ("cpu", "cuda"))
    assert_steps_are_close(on_cpu, on_gpu)


class LevelByLevel:
    """Stands in for nvdiffrast.torch: lookups without mips."""

    @staticmethod
    def texture(image, uv, filter_mode, boundary_mode):
        assert filter_mode == "linear"
        return operations.texture(image, uv, boundary=boundary_mode)


@pytest.mark.parametrize("height, width", [(31, 17), (100, 60)])
def test_sizes_nvdiffrast_cannot_halve_are_blended_from_its_single_levels(
    monkeypatch, height, width
):
    uv, slopes = random_lookup(np.random.default_rng(5), 100)
    image = torch.randn(1, height, width, 3)
    expected = operations.texture(image, uv, slopes)
    monkeypatch.setattr(nvdiffrast_operations, "load", lambda: LevelByLevel)
    result = nvdiffrast_operations.texture(
        image, uv, slopes, None, None, "linear-mipmap-linear", "wrap", None
    )
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


class CubeMaps:
    """Stands in for nvdiffrast.torch: lookups in cube maps, as its documentation has them."""

    @staticmethod
    def texture(tex, uv, uv_da=None, mip_level_bias=None, mip=None, filter_mode="auto",
                boundary_mode="wrap", max_mip_level=None):  # fmt: skip
        assert boundary_mode == "cube" and all(t.is_contiguous() for t in (tex, uv, *(mip or [])))
        assert "mipmap" not in filter_mode or uv_da is not None or mip_level_bias is not None
        options = {"mips": mip, "filter_mode": filter_mode, "max_mip_level": max_mip_level}
        return cube_maps.texture(tex, uv, uv_da, mip_level_bias, **options)


@pytest.mark.parametrize("limit", [None, 1])
@pytest.mark.parametrize("filter_mode", ["nearest", "linear", "linear-mipmap-linear"])
def test_cube_maps_are_handed_to_nvdiffrast_with_all_that_comes_with_them(
    monkeypatch, filter_mode, limit
):
    random = torch.Generator().manual_seed(0)
    cube, directions, slopes, *mips = (
        torch.randn(*shape, generator=random)
        for shape in (
            (1, 6, 8, 8, 2), (1, 9, 9, 3), (1, 9, 9, 6), (1, 6, 4, 4, 2), (1, 6, 2, 2, 2)
        )
    )  # fmt: skip
    monkeypatch.setattr(nvdiffrast_operations, "load", lambda: CubeMaps)
    for derivatives, bias, own in (
        (slopes, None, None), (slopes, slopes[..., 0], mips), (None, slopes[..., 0], None),
        (None, None, mips),
    ):  # fmt: skip
        found = nvdiffrast_operations.cube_texture(
            cube, directions, derivatives, bias, own, filter_mode, limit
        )
        expected = cube_maps.texture(
            cube,
            directions,
            derivatives,
            bias,
            mips=own,
            filter_mode=filter_mode,
            max_mip_level=limit,
        )
        assert torch.equal(found, expected)


def run_python(code, environment=None):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


def test_importing_the_renderer_loads_no_numba_and_so_compiles_nothing():
    code = "import sys, texcsd.rendering.shading; sys.exit('numba' in sys.modules)"
    assert run_python(code).returncode == 0


def test_without_a_writable_cache_folder_kernels_compile_all_the_same():
    code = """
import numba.core.caching as caching
for name in vars(caching).values():
    if isinstance(name, type) and hasattr(name, "_locator_classes"):
        name._locator_classes = []
from texcsd.rendering.numba_triangles import centres
print(*centres(2))
"""
    finished = run_python(code)
    assert finished.stdout.split() == ["-0.5", "0.5"], finished.stderr


def test_where_the_package_is_read_only_kernels_are_cached_in_the_users_folder(tmp_path):
    code = """
import numba.core.caching as caching
def read_only(self):
    raise OSError("read-only file system")
for name, locator in list(vars(caching).items()):
    if "InTreeCacheLocator" in name:
        locator.ensure_cache_path = read_only
from texcsd.rendering.numba_triangles import centres
centres(4)
print(sum(centres.stats.cache_hits.values()), sum(centres.stats.cache_misses.values()))
"""
    places = {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}
    environment = {**os.environ, **places}
    environment.pop("NUMBA_CACHE_DIR", None)
    printed = [run_python(code, environment).stdout.split() for _ in range(2)]
    assert printed == [["0", "1"], ["1", "0"]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_renders_on_threads_of_its_own():
    code = """
import os, signal, torch
from texcsd.rendering import operations
torch.set_num_threads(3)
corners = torch.tensor([[[-1.0, -1, 0, 1], [3, -1, 0, 1], [-1, 3, 0, 1]]]).repeat(4, 1, 1)
def covered():
    triangles = torch.tensor([[0, 1, 2]])
    found = operations.rasterize(corners, triangles, (300, 300))
    values, _ = operations.interpolate(torch.ones(3, 1), found, triangles)
    return bool((found.triangle_ids.numpy() == 0).all() and (values.numpy() > 0.99).all())
assert covered()
child = os.fork()
if child == 0:
    signal.alarm(60)  # torch's own threads would never answer here
    os._exit(0 if covered() else 1)
assert os.waitpid(child, 0)[1] == 0
assert covered()
"""
    finished = run_python(code)
    assert finished.returncode == 0, finished.stderr


# --- other renderers ---------------------------------------------------------------------------


def test_rays_of_embree_hit_the_same_triangles():
    """All but a few on edges, where a ray in float32 may go either way."""
    embree = pytest.importorskip("embreex.rtcore_scene")
    from embreex.mesh_construction import TriangleMesh

    sphere = make_sphere(60)
    bumps = 1 + 0.2 * torch.sin(9 * sphere.vertices).prod(1, keepdim=True)
    vertices, size = bumps * sphere.vertices / 1.2, 96
    scene = embree.EmbreeScene()
    TriangleMesh(scene, vertices[sphere.faces].numpy())
    cameras = orbit_cameras(3, elevation_degrees=25)
    ids = operations.rasterize(
        cameras.clip_positions(vertices), sphere.faces, (size, size)
    ).triangle_ids.numpy()
    y, x = np.meshgrid(oracles.pixel_centres(size), oracles.pixel_centres(size), indexing="ij")
    for view in range(3):
        tangent = np.tan(np.radians(cameras.fov_degrees[view].item()) / 2)
        rays = np.stack([x * tangent, y * tangent, -np.ones_like(x)], -1).reshape(-1, 3)
        rays = rays @ cameras.camera_to_world[view, :3, :3].numpy().T
        origins = np.repeat(cameras.eyes[view].numpy()[None], len(rays), 0)
        hits = scene.run(origins.astype(np.float32), rays.astype(np.float32))
        same = ids[view].reshape(-1) == hits
        assert 0.2 < (hits >= 0).mean() < 0.9
        assert same.mean() > 0.999
