import json

import pytest

from texcsd.errors import TexcsdError
from texcsd.guidance.prompts import Vocabulary, split_words

VOCABULARY = Vocabulary(
    surface=frozenset({"leather", "wood", "red", "brick"}),
    context=frozenset({"a", "armchair", "made", "of"}),
    defects=frozenset({"blurry"}),
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


def test_the_message_is_one_line():
    with pytest.raises(TexcsdError) as caught:
        VOCABULARY.check("qqq\nzzz")
    assert "\n" not in str(caught.value).replace("qqq\nzzz", "")


def test_words_are_split_without_punctuation():
    assert split_words("Blue-and-white, STRIPES!") == ["blue", "and", "white", "stripes"]


def test_a_vocabulary_is_read_from_its_file(tmp_path):
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps({"surface": ["oak"], "context": ["a"], "defects": []}))
    assert Vocabulary.read(path) == Vocabulary(frozenset({"oak"}), frozenset({"a"}), frozenset())
