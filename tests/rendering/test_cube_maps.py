"""Cube maps against a slow loop over samples, and what must hold across edges and corners."""

from itertools import product

import pytest
import rendering_oracles as oracles
import torch

from texcsd.rendering import cube_maps

FILTER_MODES = ["nearest", "linear", "linear-mipmap-nearest", "linear-mipmap-linear"]


# --- the oracle --------------------------------------------------------------------------------


def on_face(face, direction):
    """u and v in [0, 1], by OpenGL's table of sc, tc and ma."""
    x, y, z = direction
    across, upwards, major = [
        (-z, -y, x), (z, -y, x), (x, z, y), (x, -z, y), (x, -y, z), (-x, -y, z),
    ][face]  # fmt: skip
    return torch.stack([(across / major.abs() + 1) / 2, (upwards / major.abs() + 1) / 2])


def place_on_cube(face, u, v):
    """The point of the surface of the cube from -1 to 1."""
    s, t = (2 * torch.as_tensor(place, dtype=torch.float64) - 1 for place in (u, v))
    one = torch.ones_like(s)
    return torch.stack([
        (one, -t, -s), (-one, -t, s), (s, one, t), (s, -one, -t), (s, -t, one), (-s, -t, -one),
    ][face], -1)  # fmt: skip


def face_of(direction):
    axis = int(direction.abs().argmax())
    return 2 * axis + int(direction[axis] < 0)


def closest_texel(cube, point, other_than):
    """Of the faces that are not among some, by brute force."""
    size, best, nearest = cube.shape[1], None, float("inf")
    for face, row, column in product(range(6), range(size), range(size)):
        centre = place_on_cube(face, (column + 0.5) / size, (row + 0.5) / size)
        distance = float((centre - point).norm())
        if face not in other_than and distance < nearest - 1e-9:
            nearest, best = distance, (face, row, column)
    return best


def texel(cube, face, row, column):
    """Or beyond an edge the one that is closest across it, or beyond a corner the mean of three."""
    size = cube.shape[1]
    v, u = ((min(max(place + 0.5, 0), size) / size) for place in (row, column))
    point = place_on_cube(face, u, v)  # on the edge where the texel is beyond it
    outside = [not 0 <= place < size for place in (row, column)]
    if not any(outside):
        return cube[face, row, column]
    if not all(outside):
        return cube[closest_texel(cube, point, {face})]
    found = []
    for _ in range(3):
        found.append(closest_texel(cube, point, {place[0] for place in found}))
    return sum(cube[place] for place in found) / 3


def look_up(cube, direction, nearest=False):
    size, face = cube.shape[1], face_of(direction)
    u, v = on_face(face, direction)
    if nearest:
        return cube[face, int(v * size), int(u * size)]
    x, y, color = u * size - 0.5, v * size - 0.5, 0
    for row, column in product(*((int(p.floor()), int(p.floor()) + 1) for p in (y, x))):
        weight = (1 - (x - column).abs()) * (1 - (y - row).abs())
        color = color + weight * texel(cube, face, row, column)
    return color


def detail_of(direction, slopes, size):
    """The level of detail from the derivative of the projection, taken by torch."""

    def project(place):
        return on_face(face_of(direction), place)

    jacobian = torch.autograd.functional.jacobian(project, direction, create_graph=True)
    return oracles.level_of_detail(jacobian @ slopes.view(3, 2), size, size)


def oracle(levels, directions, slopes, bias, filter_mode):
    """Of float64[6, size, size, channel] each and float64[sample, _]."""
    colors = []
    for direction, change, extra in zip(directions, slopes, bias, strict=True):
        detail = detail_of(direction, change, levels[0].shape[1]) + extra
        detail = detail.clamp(0, len(levels) - 1)
        finer = min(int(detail), max(len(levels) - 2, 0))
        if "mipmap" not in filter_mode or len(levels) == 1:
            colors.append(look_up(levels[0], direction, filter_mode == "nearest"))
        elif filter_mode == "linear-mipmap-nearest":
            colors.append(look_up(levels[int(detail)], direction))
        else:
            fine, coarse = (look_up(levels[finer + k], direction) for k in (0, 1))
            colors.append(fine + (detail - finer) * (coarse - fine))
    return torch.stack(colors)


def boxes(cube):
    """Mip levels of float64[6, size, size, channel]."""
    chains = [oracles.mip_chain(face) for face in cube]
    return [torch.stack(faces) for faces in zip(*chains, strict=True)]


# --- what is tested ----------------------------------------------------------------------------


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def lookups(samples, seed=0):
    """Directions of all lengths, a third of them near edges and corners; slopes of all sizes."""
    directions = normal(samples, 3, seed=seed)
    directions[::3] = directions[::3].sign() + 0.1 * normal(len(directions[::3]), 3, seed=seed + 1)
    directions[::6, 1] *= 0.3
    slopes = normal(samples, 6, seed=seed + 2) * 2.0 ** (4 * normal(samples, 1, seed=seed + 3) - 3)
    return directions, slopes, normal(samples, seed=seed + 4)


def image_of(tensor):
    """Samples as the pixels of a picture."""
    return tensor[None, None]


@pytest.mark.parametrize("filter_mode", FILTER_MODES)
@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_lookups_and_their_gradients_equal_the_oracle(size, filter_mode):
    """Gradients to texture, directions, derivatives and bias; the oracle's are torch's."""
    inputs = [normal(6, size, size, 2, seed=9), *lookups(40, seed=size)]
    exact = [tensor.clone().requires_grad_() for tensor in inputs]
    leaves = [tensor.requires_grad_() for tensor in inputs]
    expected = oracle(boxes(exact[0]), *exact[1:], filter_mode)
    cube, *others = leaves
    colors = cube_maps.texture(cube[None], *map(image_of, others), filter_mode=filter_mode)[0, 0]
    torch.testing.assert_close(colors, expected, atol=1e-6, rtol=0)
    upstream = normal(40, 2, seed=7)
    gradients = (
        torch.autograd.grad(result, those, upstream, allow_unused=True, materialize_grads=True)
        for result, those in ((colors, leaves), (expected, exact))
    )
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


def test_gradients_equal_finite_differences():
    cube, (directions, slopes, bias) = normal(6, 4, 4, 2), lookups(12, seed=3)
    leaves = [t.requires_grad_() for t in (cube, directions, slopes.sign() * 0.3, bias)]

    def colors(cube, directions, slopes, bias):
        return cube_maps.texture(cube[None], *map(image_of, (directions, slopes, bias)))

    assert torch.autograd.gradcheck(colors, leaves)


@pytest.mark.parametrize(
    "direction, face, row, column",
    [
        ([1, 0.8, 0.7], 0, 0, 0), ([1, 0.8, -0.7], 0, 0, 3), ([1, -0.8, 0.7], 0, 3, 0),
        ([-1, 0.8, -0.7], 1, 0, 0), ([-1, 0.8, 0.7], 1, 0, 3), ([-1, -0.8, -0.7], 1, 3, 0),
        ([-0.7, 1, -0.8], 2, 0, 0), ([0.7, 1, -0.8], 2, 0, 3), ([-0.7, 1, 0.8], 2, 3, 0),
        ([-0.7, -1, 0.8], 3, 0, 0), ([0.7, -1, 0.8], 3, 0, 3), ([-0.7, -1, -0.8], 3, 3, 0),
        ([-0.7, 0.8, 1], 4, 0, 0), ([0.7, 0.8, 1], 4, 0, 3), ([-0.7, -0.8, 1], 4, 3, 0),
        ([0.7, 0.8, -1], 5, 0, 0), ([-0.7, 0.8, -1], 5, 0, 3), ([0.7, -0.8, -1], 5, 3, 0),
    ],
)  # fmt: skip
def test_faces_lie_and_are_turned_as_in_opengl(direction, face, row, column):
    """Seen from outside, row 0 of the four sides is on top, and their column 0 on the left."""
    cube = torch.arange(6.0 * 16).view(1, 6, 4, 4, 1)
    place = torch.tensor(direction).view(1, 1, 1, 3)
    color = cube_maps.texture(cube, 3 * place, filter_mode="nearest")
    assert color.item() == cube[0, face, row, column].item()


def edges_and_corners():
    """Directions to all that is special on a cube: 6 middles, 12 edges and 8 corners."""
    return torch.tensor([d for d in product((-1.0, 0, 1), repeat=3) if any(d)]).view(1, 1, -1, 3)


@pytest.mark.parametrize("size", [1, 2, 3, 16])
@pytest.mark.parametrize("filter_mode", FILTER_MODES)
def test_a_constant_stays_constant_at_every_level_across_edges_and_corners(size, filter_mode):
    color = torch.tensor([0.1, 0.5, 0.9])
    cube = color.expand(1, 6, size, size, 3)
    directions = torch.cat([edges_and_corners(), image_of(lookups(300)[0].float())], 2)
    for level in (0.0, 0.5, 1.0, 2.3, 9.0):
        bias = torch.full(directions.shape[:3], level)
        found = cube_maps.texture(cube, directions, None, bias, filter_mode=filter_mode)
        torch.testing.assert_close(found, color.expand_as(found), atol=3e-7, rtol=0)


@pytest.mark.parametrize("size", [1, 2, 3, 16])
def test_the_nearest_texel_is_one_of_the_map_at_edges_and_corners_too(size):
    cube = normal(1, 6, size, size, 1)
    found = cube_maps.texture(cube, edges_and_corners().double(), filter_mode="nearest")
    assert torch.isin(found, cube).all()


@pytest.mark.parametrize("size", [1, 2, 3, 16])
def test_no_edge_shows_at_any_level(size):
    """A step over an edge or a corner of a map of noise changes a colour no more than it must."""
    cube, at = normal(1, 6, size, size, 3), edges_and_corners().double()
    along = torch.linspace(-1, 1, 41, dtype=torch.float64)
    on_edges = [torch.where(at == 0, share, at) for share in along]
    at = torch.cat([place[:, :, (place.abs() == 1).sum(-1)[0, 0] > 1] for place in on_edges], 2)
    for level in range(size.bit_length()):
        bias = torch.full(at.shape[:3], float(level), dtype=torch.float64)
        found = [
            cube_maps.texture(cube, at + 1e-9 * normal(*at.shape, seed=seed), None, bias)
            for seed in range(6)
        ]
        assert at.shape[2] > 400
        for other in found[1:]:
            torch.testing.assert_close(other, found[0], atol=1e-6, rtol=0)


def test_a_smooth_function_of_the_direction_is_reproduced_everywhere():
    def smooth(directions):
        x, y, z = torch.nn.functional.normalize(directions, dim=-1).unbind(-1)
        return torch.stack([x, y * z, torch.sin(2 * z + x)], -1)

    places = torch.cat([image_of(lookups(3000)[0]), edges_and_corners().double()], 2)
    errors = []
    for size in (8, 32, 128):
        v, u = torch.meshgrid(*[(torch.arange(size) + 0.5) / size] * 2, indexing="ij")
        centres = torch.stack([place_on_cube(face, u, v) for face in range(6)])[None]
        found = cube_maps.texture(smooth(centres), places)
        errors.append(float((found - smooth(places)).abs().max()))
    assert errors[0] < 0.1 and errors[1] < 0.015 and errors[2] < 0.004


def test_the_level_follows_the_footprint_on_the_face():
    """Every level has its number for a colour; level 0 has 16 texels for the 2 units of a face."""
    cube, *mips = (torch.full((1, 6, 16 >> k, 16 >> k, 1), float(k)) for k in range(5))
    across = torch.tensor([0, 0, 0, 0, 2 / 16, 0])  # of z, a texel for every pixel downwards

    def level(direction, derivatives, bias=None, **options):
        bias = None if bias is None else torch.tensor(bias).view(1, 1, 1)
        tensors = (torch.as_tensor(values).float() for values in (direction, derivatives))
        place, slopes = (tensor.view(1, 1, 1, -1) for tensor in tensors)
        return cube_maps.texture(cube, place, slopes, bias, mips=mips, **options).item()

    assert [level([1, 0, 0], k * across) for k in (0.5, 1, 2, 8, 99)] == [0, 0, 1, 3, 4]
    assert level([-3, 0, 0], 3 * 4 * across) == 2  # a direction three times as long
    assert level([1, 0, 0.5], [0, 0.2, 0, 0, 0, 0.1]) == 0  # it only becomes longer
    assert level([1, 0, 0], 2.0**1.5 * across) == pytest.approx(1.5, abs=1e-5)
    assert level([1, 0, 0], 2.0**1.5 * across, filter_mode="linear-mipmap-nearest") == 1
    assert level([1, 0, 0], 2 * across, 2.25) == pytest.approx(3.25, abs=1e-5)
    assert level([1, 0, 0], 8 * across, max_mip_level=2) == 2
    assert level([1, 0, 0], 8 * across, filter_mode="linear") == 0
    assert level([1, 0, 0], [torch.nan] * 6, 1.0) == 1  # as if there were no derivatives
    assert level([1e-17, 0, 0], [1e20] * 6) == 4


def test_the_gradient_of_a_sum_sums_to_the_number_of_lookups():
    cube = torch.zeros(1, 6, 8, 8, 3, requires_grad=True)
    directions, slopes, _ = (image_of(t.float()) for t in lookups(300))
    cube_maps.texture(cube, directions, slopes).sum().backward()
    torch.testing.assert_close(cube.grad.sum((0, 1, 2, 3)), torch.full((3,), 300.0))


def test_given_levels_get_the_gradient_and_the_map_none_through_them():
    cube = torch.rand(1, 6, 8, 8, 1, requires_grad=True)
    directions, wide = image_of(lookups(50)[0].float()), torch.full((1, 1, 50), 1.25)
    own = [torch.rand(1, 6, size, size, 1, requires_grad=True) for size in (4, 2)]
    cube_maps.texture(cube, directions, None, wide, mips=own).sum().backward()
    assert cube.grad.abs().max() == 0
    assert [level.grad.sum().item() for level in own] == pytest.approx([37.5, 12.5], rel=1e-4)


def test_directions_that_point_nowhere_are_black_and_have_no_gradient():
    bad = [[0, 0, 0], [1e-19, 0, 0], [torch.nan, 1, 0], [1, torch.inf, 0], [0, 0, -torch.inf]]
    directions = torch.tensor(bad)[None, None].requires_grad_()
    cube = torch.ones(1, 6, 4, 4, 2, requires_grad=True)
    for value in (0.1, 1e30, torch.inf, torch.nan):
        slopes = torch.full((1, 1, 5, 6), value, requires_grad=True)
        bias = torch.full((1, 1, 5), value, requires_grad=True)
        colors = cube_maps.texture(cube, directions, slopes, bias)
        gradients = torch.autograd.grad(colors.sum(), [cube, directions, slopes, bias])
        assert (colors == 0).all()
        assert all((gradient == 0).all() for gradient in gradients)


def test_derivatives_without_bounds_give_no_gradient_without_bounds():
    """Directions are almost nothing here, or their change is too much, or no number."""
    directions = torch.tensor([[1e-17, 0, 0], [1, 0.2, 0], [1, 0.2, 0]])[None, None]
    slopes = torch.tensor([1.0, 1e30, torch.nan])[:, None].expand(3, 6)[None, None].clone()
    leaves = [directions.requires_grad_(), slopes.requires_grad_()]
    colors = cube_maps.texture(torch.rand(1, 6, 8, 8, 2), *leaves)
    gradients = torch.autograd.grad(colors.sum(), leaves)
    assert all(tensor.isfinite().all() for tensor in (colors, *gradients))


def test_each_view_may_have_its_own_map_or_all_the_same():
    cubes, directions = torch.rand(2, 6, 4, 4, 3), image_of(lookups(60)[0].float())
    directions = torch.cat([directions, directions.flip(2)])
    found = cube_maps.texture(cubes, directions)
    for view in (0, 1):
        alone = cube_maps.texture(cubes[view : view + 1], directions)
        assert torch.equal(found[view], alone[view]) and not torch.equal(found, alone)


@pytest.mark.parametrize(
    "cube, directions, derivatives",
    [
        ((1, 6, 4, 3, 1), (1, 2, 2, 3), None),
        ((6, 4, 4, 1), (1, 2, 2, 3), None),
        ((1, 6, 4, 4, 1), (1, 2, 2, 2), None),
        ((1, 6, 4, 4, 1), (1, 2, 2, 3), (1, 2, 2, 4)),
    ],
)
def test_shapes_that_do_not_fit_are_said(cube, directions, derivatives):
    slopes = None if derivatives is None else torch.zeros(derivatives)
    with pytest.raises(ValueError, match=r"a cube map is .*, not|it must be"):
        cube_maps.texture(torch.zeros(cube), torch.ones(directions), slopes)
