import json
import math

import pytest
import torch

from texcsd.errors import TexcsdError
from texcsd.guidance.prompts import (
    FRONT,
    SIDE,
    SIDES,
    Vocabulary,
    perp_neg_weights,
    side_prompts,
    side_weights,
    split_words,
)

VOCABULARY = Vocabulary(
    surface=frozenset({"leather", "wood", "red", "brick"}),
    context=frozenset({"a", "armchair", "made", "of"}),
    defects=frozenset({"blurry"}),
    sizes={"large": 2.0, "fine": 0.5},
)


def test_known_words_give_no_warning():
    assert VOCABULARY.check("A red leather Armchair, made of wood!") == []


def test_an_unknown_word_beside_known_ones_is_named_once_with_its_nearest():
    (warning,) = VOCABULARY.check("a lether leather lether armchair")
    assert '"lether"' in warning and "leather" in warning


def test_a_prompt_without_a_surface_word_is_refused_with_the_nearest_known_words():
    with pytest.raises(TexcsdError, match=r"briks.*nearest words it knows: brick"):
        VOCABULARY.check("briks")


def test_an_object_alone_says_nothing_about_the_surface():
    with pytest.raises(TexcsdError, match="no material"):
        VOCABULARY.check("an armchair")


def test_a_negative_prompt_needs_no_surface_word_but_its_unknown_words_are_named():
    assert VOCABULARY.check("blurry", negative=True) == []
    (warning,) = VOCABULARY.check("blurry lether", negative=True)
    assert '"lether"' in warning
    (warning,) = VOCABULARY.check("!!!", negative=True)
    assert "has no effect" in warning


@pytest.mark.parametrize("prompt", ["!!!", "🦊", "-"])
def test_a_prompt_without_any_word_is_refused_and_asks_for_no_size(prompt):
    assert VOCABULARY.pattern_scale(prompt) == 1.0
    with pytest.raises(TexcsdError, match="no word is in"):
        VOCABULARY.check(prompt)


def test_the_message_is_one_line():
    with pytest.raises(TexcsdError) as caught:
        VOCABULARY.check("qqq\nzzz")
    assert "\n" not in str(caught.value).replace("qqq\nzzz", "")


def test_words_are_split_without_punctuation():
    assert split_words("Blue-and-white, STRIPES!") == ["blue", "and", "white", "stripes"]


def test_a_vocabulary_is_read_from_its_file(tmp_path):
    path = tmp_path / "vocabulary.json"
    words = {"surface": ["oak"], "context": ["a"], "defects": []}
    roles = frozenset({"oak"}), frozenset({"a"}), frozenset()
    path.write_text(json.dumps(words))
    assert Vocabulary.read(path) == Vocabulary(*roles)
    path.write_text(json.dumps(words | {"sizes": {"fine": 0.5}}))
    assert Vocabulary.read(path) == Vocabulary(*roles, {"fine": 0.5})


@pytest.mark.parametrize(
    ("prompt", "size"),
    [
        ("brick", 1.0),
        ("Large brick", 2.0),
        ("an armchair made of fine, red leather", 0.5),
        ("a large armchair made of brick", 1.0),
        ("a large armchair made of fine brick", 0.5),
        ("brick large", 1.0),
    ],
)
def test_a_size_is_of_the_surface_word_that_follows_it(prompt, size):
    assert VOCABULARY.pattern_scale(prompt) == size


def test_words_for_sizes_are_known_but_not_read_by_the_model():
    assert VOCABULARY.check("large brick") == []
    assert VOCABULARY.without_sizes("LARGE armchair of fine, red wood") == "armchair of red wood"


def test_a_size_alone_says_nothing_about_the_surface():
    with pytest.raises(TexcsdError, match="no material"):
        VOCABULARY.check("large armchair")


@pytest.mark.parametrize(
    ("azimuth", "elevation", "weights"),
    [
        (0, 0, [1, 0, 0, 0]),
        (360, 0, [1, 0, 0, 0]),
        (90, 0, [0, 1, 0, 0]),
        (270, 45, [0, 1, 0, 0]),
        (-90, -20, [0, 1, 0, 0]),
        (180, 0, [0, 0, 1, 0]),
        (45, 0, [0.5, 0.5, 0, 0]),
        (225, 0, [0, 0.5, 0.5, 0]),
        (0, 60, [0.5, 0, 0, 0.5]),
        (123, 80, [0, 0, 0, 1]),
    ],
)
def test_a_view_shows_the_sides_it_lies_between(azimuth, elevation, weights):
    found = side_weights(torch.tensor([float(azimuth)]), torch.tensor([float(elevation)]))
    assert found[0].tolist() == pytest.approx(weights)


def test_the_sides_of_any_view_sum_to_one_and_change_without_a_jump():
    azimuth = torch.linspace(-720, 720, 5761)
    weights = side_weights(azimuth, azimuth / 8)
    assert torch.allclose(weights.sum(1), torch.ones(len(azimuth)))
    assert weights.min() >= 0 and weights.diff(dim=0).abs().max() < 0.01


def test_a_prompt_is_said_of_every_side():
    assert side_prompts("a chair") == [f"a chair, {side}" for side in SIDES]


def test_front_and_side_have_their_places_among_the_sides():
    assert (SIDES[FRONT], SIDES[SIDE]) == ("front view", "side view")


def test_a_view_is_kept_from_the_sides_it_does_not_show():
    azimuth = torch.tensor([0.0, 90.0, -90.0, 180.0, 0.0])
    front, side = perp_neg_weights(azimuth, torch.tensor([0.0, 0.0, 0.0, 0.0, 80.0]))
    half = 1 - math.exp(-0.5)
    # The constants of Perp-Neg: 4 exp(-r/2) - 2.426 in front, exp(-r/2) + 0.967 behind.
    torch.testing.assert_close(
        front, torch.tensor([0.0, 4 * half, 4 * half, 1.967, 0.0]), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(
        side, torch.tensor([4 * half, 0.0, 0.0, half, 0.0]), atol=1e-6, rtol=0
    )


def test_what_a_view_is_kept_from_changes_smoothly_around_the_object():
    azimuth = torch.arange(0.0, 361.0)
    for weights in perp_neg_weights(azimuth, torch.zeros(361)):
        assert weights.diff().abs().max() < 0.03 and weights.min() >= 0
        torch.testing.assert_close(weights[0], weights[-1])
