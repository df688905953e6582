import dataclasses

import numpy as np
import pytest
import torch

from texcsd.output.bake import _unfold, bake_texture, bake_textures
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.rasterize import rasterize_mesh, rasterize_uv
from texcsd.rendering.texture import sample_map


def smooth_map(size):
    """float[1, size, size, 3]: two ramps and a wave, so that every direction can be told."""
    row, column = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    v, u = row / size, column / size
    return torch.stack([u, v, 0.5 + 0.5 * torch.sin(6 * (u + 2 * v))], dim=-1)[None]


def everything(size):
    return torch.ones(size, size, dtype=torch.bool)


def test_baked_then_rendered_equals_rendered_directly(cube):
    learned = smooth_map(128)
    baked = bake_texture(cube, learned, everything(128))
    loaded = torch.from_numpy(baked.base_color.astype(np.float32) / 255)[None]
    surface = rasterize_mesh(cube, orbit_cameras(3), 128, 128)
    difference = (
        sample_map(loaded, surface).base_color - sample_map(learned, surface).base_color
    ).abs() * surface.coverage
    # Inside charts only the rounding to 8 bits; at their borders padding replaces the ramp's slope,
    # which is at most 12 / 128 over the texel that a bilinear lookup reaches.
    assert difference.max() < 12 / 128
    assert difference[surface.coverage.expand_as(difference) > 0].median() <= 0.5 / 255 + 1e-6


def test_seen_texels_keep_their_colour_and_padding_alters_none(cube):
    learned = torch.rand(1, 96, 96, 3, generator=torch.Generator().manual_seed(0))
    baked = bake_texture(cube, learned, everything(96))
    covered = rasterize_uv(cube, 96, 96).coverage[0, ..., 0].numpy() > 0
    rounded = np.rint(learned[0].numpy() * 255).astype(np.uint8)
    assert (baked.covered == covered).all()
    assert 0 < covered.sum() < covered.size
    assert (baked.base_color[covered] == rounded[covered]).all()
    assert (baked.texels, baked.unseen_texels) == (covered.sum(), 0)


def test_texels_outside_charts_repeat_a_nearest_covered_one(cube):
    # Every texel has its own colour, so the colour tells where it was taken from.
    row, column = np.mgrid[:48, :48]
    learned = torch.from_numpy(np.stack([row, column, 0 * row], -1) / np.float32(255))[None].float()
    baked = bake_texture(cube, learned, everything(48))
    source = baked.base_color[..., :2].astype(int)
    assert baked.covered[source[..., 0], source[..., 1]].all()
    inside = np.argwhere(baked.covered)
    for texel in np.argwhere(~baked.covered):
        nearest = ((inside - texel) ** 2).sum(1).min()
        assert ((source[tuple(texel)] - texel) ** 2).sum() == nearest


def test_unseen_texels_are_counted_exactly_and_only_where_covered(cube):
    seen = everything(64)
    seen[10:20] = False
    baked = bake_texture(cube, smooth_map(64), seen)
    assert baked.unseen_texels == baked.covered[10:20].sum() > 0
    assert baked.covered[10:20].sum() < 10 * 64


def test_an_unseen_texel_takes_the_colour_next_to_it_in_space_not_in_the_texture(make_mesh):
    # Three squares in a row in space, left, middle, right; in the texture the middle one lies on
    # the far side of the right one.
    squares = {"left": (0, 0.0), "middle": (1, 0.7), "right": (2, 0.35)}
    vertices, uv, faces = [], [], []
    for x, u in squares.values():
        corner = len(vertices)
        vertices += [[x, 0, 0], [x + 1, 0, 0], [x + 1, 1, 0], [x, 1, 0]]
        uv += [[u, 0], [u + 0.3, 0], [u + 0.3, 1], [u, 1]]
        faces += [[corner, corner + 1, corner + 2], [corner, corner + 2, corner + 3]]
    mesh = make_mesh(vertices, faces, uv, faces)
    learned, seen = torch.zeros(1, 100, 100, 3), everything(100)
    learned[:, :, :32, 0] = 1.0  # left is red
    learned[:, :, 32:68, 2] = 1.0  # right is blue
    learned[:, :, 68:] = 0.5  # middle: never seen, still grey
    seen[:, 68:] = False
    middle = bake_texture(mesh, learned, seen).base_color[50, 70:100]
    assert (middle[:14] == [255, 0, 0]).all()
    assert (middle[16:] == [0, 0, 255]).all()


def test_a_partly_seen_chart_is_continued_without_touching_what_was_seen(square):
    learned, seen = smooth_map(64), everything(64)
    seen[:, 32:] = False
    baked = bake_texture(square, learned, seen)
    rounded = np.rint(learned[0].numpy() * 255).astype(np.uint8)
    assert (baked.base_color[:, :32] == rounded[:, :32]).all()
    # The first unseen column continues the last seen one, up to the blend of its neighbourhood.
    step = baked.base_color[:, 32].astype(int) - rounded[:, 31]
    assert np.abs(step).max() <= 255 * 12 / 64 * 2


def test_a_pattern_continues_mirrored_around_an_edge(make_mesh):
    # A seen wall, lower half of the texture, and an unseen floor behind it, upper half; they meet
    # at the origin, and both continue away from it with v.
    wall = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    floor = [[0, 0, 0], [1, 0, 0], [1, 0, -1], [0, 0, -1]]
    uv = [[0, 0], [1, 0], [1, 0.5], [0, 0.5], [0, 0.5], [1, 0.5], [1, 1], [0, 1]]
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 6, 5], [4, 7, 6]])
    mesh = make_mesh(wall + floor, faces, uv, faces)
    learned, seen = smooth_map(128), everything(128)
    seen[:64] = False
    baked = bake_texture(mesh, learned, seen).base_color.astype(int)
    # The point to mirror at is the mean of a few, up to a texel off the edge, so colours are up to
    # two texels off; the steepest ramp rises by 6 in 128 texels. Near the ends of the edge those
    # few lie to one side.
    difference = np.abs(baked[:64, 4:-4] - baked[64:, 4:-4])
    assert difference.max() <= 2 * 255 * 6 / 128 + 1
    assert difference.mean() < 3


def test_unfolding_is_the_rotation_that_takes_one_normal_to_the_other():
    generator = np.random.default_rng(0)
    vectors, normals, onto = generator.normal(size=(3, 200, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    onto /= np.linalg.norm(onto, axis=1, keepdims=True)
    apart = (normals * onto).sum(1) > -0.9  # others stay as they are
    turned = _unfold(vectors, normals, onto)
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.allclose(_unfold(normals, normals, onto)[apart], onto[apart])
    assert np.allclose(np.linalg.norm(turned, axis=1), lengths)
    axis = np.cross(normals, onto)
    assert np.allclose((turned * axis).sum(1)[apart], (vectors * axis).sum(1)[apart])
    assert (turned[~apart] == vectors[~apart]).all()


def test_one_seen_texel_is_enough_to_colour_all_others(cube):
    learned, seen = smooth_map(64), torch.zeros(64, 64, dtype=torch.bool)
    learned[0, 10, 10], seen[10, 10] = torch.tensor([0.2, 0.4, 0.6]), True
    baked = bake_texture(cube, learned, seen)
    assert (baked.base_color == [51, 102, 153]).all()
    assert baked.unseen_texels == baked.texels - 1


def test_if_nothing_was_seen_colours_stay_and_all_texels_count_as_unseen(cube):
    learned = smooth_map(32)
    baked = bake_texture(cube, learned, torch.zeros(32, 32, dtype=torch.bool))
    rounded = np.rint(learned[0].numpy() * 255).astype(np.uint8)
    assert (baked.base_color[baked.covered] == rounded[baked.covered]).all()
    assert baked.unseen_texels == baked.texels == baked.covered.sum() > 0


def test_if_nothing_is_covered_the_texture_is_the_map(cube):
    names = ("faces", "uv_faces", "normal_faces")
    nothing = dataclasses.replace(cube, **{name: getattr(cube, name)[:0] for name in names})
    learned = smooth_map(16)
    baked = bake_texture(nothing, learned, everything(16))
    assert (baked.texels, baked.unseen_texels) == (0, 0)
    assert (baked.base_color == np.rint(learned[0].numpy() * 255)).all()


def test_a_chart_thinner_than_a_texel_keeps_its_own_colour(make_mesh):
    # A strip a tenth of a texel high that misses every texel centre, above a wide chart.
    strip = [[0.1, 0.801], [0.9, 0.801], [0.9, 0.807], [0.1, 0.807]]
    wide = [[0.0, 0.0], [1.0, 0.0], [1.0, 0.7], [0.0, 0.7]]
    uv = np.array(strip + wide)
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    mesh = make_mesh(np.pad(uv, ((0, 0), (0, 1))), faces, uv, faces)
    learned = torch.zeros(1, 20, 20, 3)
    learned[:, 3, :, 0] = 1.0  # the row that holds the strip is red
    baked = bake_texture(mesh, learned, everything(20))
    assert baked.covered[3, 2:18].all()
    assert not baked.covered[:3].any()
    assert (baked.base_color[3, 2:18] == [255, 0, 0]).all()
    # With the strip unseen, its colour comes from the wide chart; its place in space is known.
    seen = everything(20)
    seen[3] = False
    assert (bake_texture(mesh, learned, seen).base_color[3] == 0).all()


def test_a_thin_chart_does_not_move_the_texels_of_another(make_mesh):
    # A blue square, its right half unseen, and far away in space a green one; next to the green
    # one, a strip whose uv lie in the unseen half, between two rows of texel centres.
    blue = [[0, 0], [0.7, 0], [0.7, 1], [0, 1]]
    green = [[0.8, 0], [1, 0], [1, 1], [0.8, 1]]
    strip = [[0.4, 0.502], [0.7, 0.502], [0.7, 0.508], [0.4, 0.508]]
    uv = np.array(blue + green + strip)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    faces = np.concatenate([faces, faces + 4, faces + 8])
    mesh = make_mesh(np.column_stack([uv, np.repeat([0, 9, 9], 4)]), faces, uv, faces)
    learned, seen = torch.zeros(1, 20, 20, 3), everything(20)
    learned[:, :, :15, 2] = learned[:, :, 15:, 1] = 1.0
    learned[:, :, 7:14] = 0.0
    seen[:, 7:14] = False
    assert (bake_texture(mesh, learned, seen).base_color[:, :14] == [0, 0, 255]).all()


@pytest.mark.parametrize("size", [1, 5, 100])
def test_the_size_is_the_asked_one_and_the_result_repeatable(cube, size):
    seen = torch.rand(size, size, generator=torch.Generator().manual_seed(1)) < 0.5
    first, second = (bake_texture(cube, smooth_map(size), seen) for _ in range(2))
    assert first.base_color.shape == (size, size, 3)
    assert first.base_color.dtype == np.uint8
    assert first.base_color.tobytes() == second.base_color.tobytes()


def test_a_map_and_a_mask_of_different_sizes_are_refused(cube):
    with pytest.raises(ValueError, match="do not fit"):
        bake_texture(cube, smooth_map(16), everything(8))


def test_what_may_not_change_is_the_originals_to_the_bit(cube):
    """Padding and unseen texels included; unseen ones that may change continue changed ones."""
    random = np.random.default_rng(0)
    original = random.integers(0, 256, (60, 60, 3), dtype=np.uint8)
    may_change = np.zeros((60, 60), bool)
    may_change[:30] = True  # the upper row of charts, with the padding around them
    seen = torch.ones(60, 60, dtype=torch.bool)
    seen[:, :10] = False
    green = torch.tensor([0.0, 1.0, 0.0]).expand(1, 60, 60, 3)
    maps = bake_texture(cube, green, seen, original, may_change)
    np.testing.assert_array_equal(maps.base_color[30:], original[30:])
    assert (maps.base_color[:30][maps.covered[:30]] == (0, 255, 0)).all()
    assert maps.unseen_texels == (maps.covered & may_change)[:, :10].sum()


def test_charts_outside_the_texture_are_not_padded_over(square):
    """The square shows the texture one repeat to the right, from its middle on."""
    assert square.uv is not None
    moved = dataclasses.replace(
        square, uv=square.uv * torch.tensor([0.5, 1.0]) + torch.tensor([1.5, 0.0])
    )
    colors = torch.rand(1, 16, 16, 3, generator=torch.Generator().manual_seed(0))
    maps = bake_texture(moved, colors, torch.ones(16, 16, dtype=torch.bool))
    expected = (colors[0].numpy() * 255).round().astype(np.uint8)
    np.testing.assert_array_equal(maps.base_color[:, 8:], expected[:, 8:])
    assert maps.texels == 128


def test_a_texture_that_no_view_has_shown_takes_the_mean_colour_of_the_others(cube):
    mesh = dataclasses.replace(cube, textures=torch.arange(12) // 4)
    maps = [torch.full((1, 32, 32, 3), value) for value in (0.2, 0.9, 0.6)]
    seen = [everything(32), ~everything(32), everything(32)]
    baked = bake_textures(mesh, maps, seen)
    assert [float(texture.base_color.mean()) for texture in baked] == [51, 102, 153]
    assert [texture.unseen_texels == texture.texels for texture in baked] == [False, True, False]
    alone = bake_textures(mesh, maps, [~everything(32)] * 3)
    assert float(alone[1].base_color.mean()) == 230
