"""Names of parts, textures and files."""

import re
from urllib.parse import unquote


def readable(name: str) -> str:
    """The name with a mark for each byte of it that is not UTF-8."""
    return re.sub("[\ud800-\udfff]", "\ufffd", name)


def path_of_uri(uri: str) -> str:
    """The path that a glTF's URI names; like that of a file, it may be other bytes than UTF-8."""
    return unquote(uri, errors="surrogateescape")


def unique_names(names: list[str]) -> list[str]:
    """The names in order; one that was already used gets _2, _3 and so on, as far as is free."""
    taken: set[str] = set(names)
    given: set[str] = set()
    unique = []
    for name in names:
        number, candidate = 1, name or "mesh"
        while candidate in given or (number > 1 and candidate in taken):
            number += 1
            candidate = f"{name or 'mesh'}_{number}"
        given.add(candidate)
        unique.append(candidate)
    return unique
