"""Tables of jobs: CSV, JSON lines or TOML become rows of checked names and typed values."""

from __future__ import annotations

import csv
import difflib
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from texcsd.errors import TexcsdError
from texcsd.settings import options

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

COLUMNS = ("mesh", "name")
"""What a row may say besides settings: which meshes, and the folder of its result."""


@dataclass(frozen=True)
class Row:
    """One row as it was written: names and values are still to be checked."""

    place: str
    """Such as `prompts.csv, line 3`."""
    values: dict[str, Any]
    is_text: bool
    """Whether all values are text, as in a CSV, and numbers still to be read from them."""


def read_table(path: Path) -> list[Row]:
    """The rows of a table, by the extension of its name.

    Raises:
        TexcsdError: The file cannot be read, or is not what its name says.
    """
    readers: dict[str, Callable[[Path, str], Iterator[Row]]] = {
        ".csv": _csv_rows,
        ".jsonl": _json_rows,
        ".toml": _toml_rows,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise TexcsdError(f"{path}: is no table texcsd reads; give a .csv, .jsonl or .toml")
    try:
        text = path.read_text(encoding="utf-8-sig")  # Spreadsheets put a mark at the beginning.
        rows = list(reader(path, text))
    except OSError as error:
        raise TexcsdError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise TexcsdError(f"{path}: is not UTF-8 ({error}); save it as UTF-8") from error
    except (csv.Error, ValueError) as error:
        raise TexcsdError(f"{path}: cannot be read ({error}); correct it") from error
    if not rows:
        raise TexcsdError(f"{path}: has no rows; give one row per job")
    return rows


def row_settings(row: Row) -> dict[str, Any]:
    """The values of a row by name, in their types; what is empty in a CSV was not given.

    Raises:
        TexcsdError: A name is unknown. Values are checked by PaintSettings, later.
    """
    kinds = {option.name: option.kind for option in options()} | dict.fromkeys(COLUMNS, str)
    values = {}
    for key, value in row.values.items():
        name = _field_name(key)
        if name not in kinds:
            (nearest,) = difflib.get_close_matches(name, kinds, n=1, cutoff=0.0)
            raise TexcsdError(f'unknown column "{key}"; did you mean "{nearest}"?')
        if not (row.is_text and not value.strip()):
            values[name] = _number_or_text(value.strip(), kinds[name]) if row.is_text else value
    for name in COLUMNS:
        if not isinstance(values.get(name, ""), str):
            raise TexcsdError(f"{name} is {values[name]}; expected text")
    return values


def _field_name(column: str) -> str:
    return column.strip().replace("-", "_")


def _number_or_text(text: str, kind: type) -> Any:
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        return kind(text)
    except ValueError:
        return text  # PaintSettings says what was expected.


def _csv_rows(path: Path, text: str) -> Iterator[Row]:
    # Lines end where the file's do: str.splitlines also ends them inside of prompts, at U+2028.
    lines = io.StringIO(text, newline="")
    reader = csv.DictReader(lines, restkey="", restval="", strict=True)
    columns = [_field_name(column) for column in reader.fieldnames or ()]
    if twice := [column for column in columns if column and columns.count(column) > 1]:
        raise ValueError(f'has the column "{twice[0]}" twice')
    for values in reader:
        place = f"{path}, line {reader.line_num}"
        if extra := values.pop("", None):
            raise ValueError(f"line {reader.line_num} has {len(extra)} cell(s) too many")
        if any(value.strip() for value in values.values()):
            yield Row(place, values, is_text=True)


def _json_rows(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _object_row(f"{path}, line {number}", json.loads(line))


def _toml_rows(path: Path, text: str) -> Iterator[Row]:
    content = tomllib.loads(text)
    jobs = content.pop("job", None)
    if not isinstance(jobs, list) or content:
        raise ValueError("expected nothing but [[job]] tables")
    for number, values in enumerate(jobs, 1):
        yield _object_row(f"{path}, job {number}", values)


def _object_row(place: str, values: Any) -> Row:
    if not isinstance(values, dict):
        raise ValueError(f'{place}: expected names and values, as in {{"prompt": "red leather"}}')
    return Row(place, values, is_text=False)
