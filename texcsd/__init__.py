"""Text to texture for the meshes you already have.

import texcsd
result = texcsd.paint("armchair.obj", "a leather armchair")
print(result.glb)

The names are loaded when they are first used, so that `import texcsd` alone stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from texcsd.checking.check import CheckResult, check
    from texcsd.errors import TexcsdError
    from texcsd.job import PaintResult, edit, paint
    from texcsd.settings import EditSettings, PaintSettings

__version__ = "0.1.0"
__all__ = [
    "CheckResult",
    "EditSettings",
    "PaintResult",
    "PaintSettings",
    "TexcsdError",
    "__version__",
    "check",
    "edit",
    "paint",
]

_MODULES = {
    "CheckResult": "texcsd.checking.check",
    "EditSettings": "texcsd.settings",
    "PaintResult": "texcsd.job",
    "PaintSettings": "texcsd.settings",
    "TexcsdError": "texcsd.errors",
    "check": "texcsd.checking.check",
    "edit": "texcsd.job",
    "paint": "texcsd.job",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
