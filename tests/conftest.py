"""What tests of several modules share."""

import logging
import warnings

import pytest
from quick_pictures import QUICK_PICTURES


@pytest.fixture
def untouched_process(monkeypatch: pytest.MonkeyPatch):
    """Undoes what the command line sets up for its own process."""
    logger = logging.getLogger("texcsd")
    before = logger.handlers, logger.propagate, logger.level
    verbosity = (f"{library}_VERBOSITY" for library in ("TRANSFORMERS", "DIFFUSERS", "HF_HUB"))
    for name in ("OMP_WAIT_POLICY", *verbosity):
        monkeypatch.setenv(name, "set")
        monkeypatch.delenv(name)
    with warnings.catch_warnings():
        yield
    logger.handlers, logger.propagate = before[:2]
    logger.setLevel(before[2])


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For paintings nobody looks at: rendering their pictures takes seconds."""
    from texcsd import delivery

    for name, quick in QUICK_PICTURES.items():
        monkeypatch.setattr(delivery, name, quick)
