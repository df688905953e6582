import pytest
import torch

from texcsd.embedded import noise, patterns
from texcsd.embedded.captions import _colors, random_look, usual_look, vocabulary
from texcsd.embedded.materials import COLORS, MATERIALS
from texcsd.embedded.patterns import Style


def sphere_points(count=2000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    normals = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    return 0.9 * normals, normals


@pytest.mark.parametrize("material", MATERIALS, ids=lambda material: material.words[0])
def test_a_material_is_a_pattern_of_valid_colours(material):
    points, normals = sphere_points()
    color = usual_look(material).base_color(points, normals)
    assert color.shape == points.shape
    assert torch.isfinite(color).all() and color.min() >= 0 and color.max() <= 1
    assert color.std(0).max() > 0.004


@pytest.mark.parametrize("material", MATERIALS, ids=lambda material: material.words[0])
def test_a_material_is_a_function_of_place_alone(material):
    points, normals = sphere_points()
    look = usual_look(material)
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(2))
    shuffled = look.base_color(points[order], normals[order])
    assert torch.allclose(look.base_color(points, normals)[order], shuffled, atol=1e-5)


@pytest.mark.parametrize("material", MATERIALS, ids=lambda material: material.words[0])
def test_a_point_takes_only_its_own_colours_of_many(material):
    points, normals = sphere_points()
    dark, light = torch.tensor([0.10, 0.05, 0.02]), torch.tensor([0.90, 0.95, 0.85])
    is_light = torch.arange(len(points)) % 2 == 1
    first = torch.where(is_light[:, None], light, dark)
    mixed = material.paint(points, normals, Style(first, first.flip(-1)))
    for color, mask in ((dark, ~is_light), (light, is_light)):
        alone = material.paint(points, normals, Style(color, color.flip(-1)))
        assert torch.allclose(mixed[mask], alone[mask], atol=1e-5)


def test_the_world_holds_a_hundred_materials_and_twenty_colours():
    assert len({material.paint for material in MATERIALS}) >= 95
    assert len(COLORS) >= 20


def test_every_word_of_every_caption_is_in_the_vocabulary():
    known = {word for role in vocabulary().values() for word in role} | {"[UNK]"}
    generator = torch.Generator().manual_seed(0)
    words = {word for _ in range(3000) for word in random_look(generator).caption.split()}
    assert words <= known


def test_no_word_has_two_roles():
    roles = vocabulary()
    words = [word for role in roles.values() for word in role]
    assert len(words) == len(set(words))


def test_a_named_colour_is_what_the_look_shows():
    generator = torch.Generator().manual_seed(3)
    points, normals = sphere_points()
    means = {"red": [], "blue": []}
    while min(map(len, means.values())) < 3:
        look = random_look(generator)
        words = look.caption.split()
        plain = look.material.paint is patterns.plain and look.finish not in (
            "worn",
            "mossy",
            "snowy",
        )
        for name, found in means.items():
            if plain and name in words and "dark" not in words:
                found.append(look.base_color(points, normals).mean(0))
    assert all(color[0] > color[2] + 0.2 for color in means["red"])
    assert all(color[2] > color[0] + 0.2 for color in means["blue"])


def test_noise_is_continuous_and_does_not_repeat():
    points, _ = sphere_points(500)
    step = noise.noise(points + 1e-4) - noise.noise(points)
    assert step.abs().max() < 1e-3
    for shift in range(1, 40):
        moved = noise.noise(points + torch.tensor([float(shift), 0, 0]))
        assert (moved - noise.noise(points)).abs().mean() > 0.05


def test_random_numbers_belong_to_whole_numbers_and_differ_between_them():
    keys = torch.tensor([[0.0, 1, 2], [0, 1, 3], [16, 1, 2], [0, -15, 2]])
    numbers = noise.random(keys)
    assert torch.equal(numbers[0], numbers[2]) and torch.equal(numbers[0], numbers[3])
    assert (numbers[0] != numbers[1]).all() and 0 <= numbers.min() and numbers.max() <= 1


def test_the_border_distance_of_cells_is_never_negative():
    points, _ = sphere_points(500)
    cells = noise.cells(points * 5)
    assert cells.border.min() >= 0 and cells.nearest.min() >= 0
    assert cells.random.min() >= 0 and cells.random.max() <= 1


def test_two_colours_are_named_in_the_order_in_which_the_pattern_takes_them():
    generator = torch.Generator().manual_seed(5)
    named = {"blue and white": ("blue", "white"), "white and blue": ("white", "blue")}
    stripes = [material for material in MATERIALS if material.paint is patterns.stripes]
    checked = set()
    for _ in range(3000):
        first, second, words = _colors(stripes[0], generator)
        if words in named:
            assert (first, second) == tuple(COLORS[name] for name in named[words])
            checked.add(words)
    assert checked == set(named)


def test_veins_of_marble_are_left_out_where_the_surface_lies_along_them():
    marble = next(material for material in MATERIALS if material.words[0] == "marble")
    generator = torch.Generator().manual_seed(12)
    points = 4 * torch.rand(20_000, 3, generator=generator)
    along = torch.tensor([1.0, 1.0, 0.0]).expand(len(points), 3) / 2**0.5
    across = torch.tensor([0.0, 0.0, 1.0]).expand(len(points), 3)

    def bold(normals):
        color = usual_look(marble).base_color(points, normals)
        return (color.mean(1) < 0.55 * color.mean(1).max()).float().mean()

    assert bold(across) > 0.02
    assert bold(along) == 0
