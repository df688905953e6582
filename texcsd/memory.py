"""What one painting leaves for the next in the same process: the model, the uv of the last mesh."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


class Memory:
    """The last result of each kind, with what it was made from."""

    def __init__(self, keep: bool = True) -> None:
        """Remembers nothing if not `keep`, so that what is made can be freed by its user."""
        self._keep = keep
        self._results: dict[str, tuple[tuple[Any, ...], Any]] = {}

    def recall(self, kind: str, made_from: tuple[Any, ...], make: Callable[[], Result]) -> Result:
        """The last result of this kind, or a new one if that was made from something else."""
        remembered = self._results.get(kind)
        if remembered is not None and remembered[0] == made_from:
            return remembered[1]
        self._results.pop(kind, None)  # First, or there would be two models in memory.
        del remembered
        result = make()
        if self._keep:
            self._results[kind] = (made_from, result)
        return result
