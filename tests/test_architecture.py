"""Imports go one way, and what a user starts with stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import texcsd

PACKAGE = Path(texcsd.__file__).parent

MAY_IMPORT = {
    "errors": set(),
    "settings": {"errors"},
    "progress": set(),
    "memory": set(),
    "stopwatch": set(),
    "checkpoint": {"errors"},
    "geometry": {"errors"},
    "rendering": {"errors", "geometry"},
    "output": {"errors", "geometry", "rendering"},
    "guidance": {"errors", "embedded"},
    "embedded": {"errors"},
    "original": {"errors", "geometry", "rendering"},
    "synthesis": {
        "errors", "geometry", "rendering", "guidance", "checkpoint", "progress", "settings",
        "original", "stopwatch",
    },
    "refinement": {
        "errors", "geometry", "rendering", "guidance", "checkpoint", "progress", "settings",
        "synthesis",
    },
    "reshaping": {"geometry", "rendering", "checkpoint"},
    "new_shape": {
        "errors", "geometry", "rendering", "guidance", "output", "checkpoint", "progress",
        "settings", "refinement", "reshaping",
    },
    "result_folder": {"errors", "checkpoint"},
    "report": {"errors", "geometry"},
    "displaced": {
        "errors", "geometry", "rendering", "guidance", "output", "progress", "settings",
        "refinement", "canvas",
    },
    "live_view": {"errors", "geometry", "output"},
    "canvas": {"errors", "geometry", "settings", "result_folder", "original"},
    "delivery": {
        "errors", "geometry", "output", "checkpoint", "settings", "original", "canvas",
    },
    "caveats": {"errors", "guidance", "settings", "synthesis"},
    "painting": {
        "errors", "geometry", "rendering", "guidance", "output", "progress", "settings",
        "result_folder", "report", "original", "synthesis", "displaced", "new_shape", "delivery",
        "canvas", "caveats", "memory", "live_view", "texcsd",
    },
    "job": {
        "errors", "checkpoint", "progress", "settings", "result_folder", "memory", "live_view",
        "painting",
    },
    "checking": {
        "errors", "geometry", "rendering", "output", "checkpoint", "settings", "report", "texcsd",
    },
    "batching": {
        "errors", "geometry", "guidance", "checkpoint", "progress", "settings", "result_folder",
        "report", "memory", "job", "checking", "texcsd",
    },
    "cli": {"errors", "settings", "job", "checking", "batching", "texcsd"},
    "__main__": {"cli"},
    "__init__": {"errors", "settings", "job", "checking", "batching"},
}  # fmt: skip
"""Per module or folder of the package: what else of the package it may import. `texcsd` is the
package itself, for its version."""


def part_of(dotted_name: str) -> str:
    return dotted_name.split(".")[1] if "." in dotted_name else dotted_name


def imported_parts(path: Path) -> set[str]:
    """The parts of the package that a module imports, at its top or inside functions."""
    parts = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            parts |= {part_of(name.name) for name in node.names if is_ours(name.name)}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; imports are absolute here"
            module = node.module or ""
            if module == "texcsd":
                names = {name.name for name in node.names}
                parts |= {name if name in MAY_IMPORT else "texcsd" for name in names}
            elif is_ours(module):
                parts.add(part_of(module))
    return parts


def is_ours(dotted_name: str) -> bool:
    return dotted_name == "texcsd" or dotted_name.startswith("texcsd.")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    part = relative.parts[0] if len(relative.parts) > 1 else path.stem
    assert imported_parts(path) - {part} <= MAY_IMPORT[part]


def test_the_rule_has_no_cycle() -> None:
    def reachable(part: str) -> set[str]:
        direct = MAY_IMPORT.get(part, set())
        return direct.union(*(reachable(other) for other in direct))

    for part in MAY_IMPORT:
        assert part not in reachable(part)


def test_the_rule_names_every_part_of_the_package_and_no_other() -> None:
    found = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in modules()}
    assert found == set(MAY_IMPORT)


@pytest.mark.parametrize(
    "statement",
    [
        "import texcsd; texcsd.__version__; texcsd.PaintSettings(prompt='gold')",
        "from texcsd.cli import main; main(['--help'])",
        "from texcsd.cli import main; main(['paint', '--help'])",
        "from texcsd.cli import main; main(['--version'])",
        "from texcsd.cli import main; main(['paint'])",
        "from texcsd.cli import main; main(['edit', '--help'])",
        "from texcsd.cli import main; main(['check', '--help'])",
        "from texcsd.cli import main; main(['batch', '--help'])",
    ],
)
def test_nothing_heavy_is_imported_for(statement: str) -> None:
    heavy = ["torch", "diffusers", "transformers", "numba", "trimesh", "numpy", "scipy", "PIL"]
    heavy += ["ray", "fsspec", "viser"]
    check = f"import sys; print('loaded:', *[name for name in {heavy} if name in sys.modules])"
    output = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{check}"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert output.splitlines()[-1] == "loaded:"
