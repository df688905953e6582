"""What is made once and used again, and what is made anew."""

from texcsd.memory import Memory


def test_the_same_choices_are_made_once_and_others_anew() -> None:
    memory, made = Memory(), []

    def recall(kind: str, *choices: str) -> list[str]:
        return memory.recall(kind, choices, lambda: made.append(choices) or [kind])

    first = recall("model", "a")
    assert recall("atlas", "a") is not first
    assert recall("model", "a") is first
    assert recall("model", "b") is not first
    assert recall("model", "a") is not first, "only the last one is kept"
    assert made == [("a",), ("a",), ("b",), ("a",)]


def test_without_keeping_everything_is_made_anew() -> None:
    memory = Memory(keep=False)
    assert memory.recall("x", (), list) is not memory.recall("x", (), list)
