"""What tests of mesh files share: a GLB put together by hand, and what is said of one refused."""

import json
import struct
from pathlib import Path

import pytest

from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import load_mesh


def glb_of(tree: dict, binary: bytes) -> bytes:
    """A GLB of a JSON tree and the content of its first buffer."""
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def refusal(path: Path) -> str:
    """The one line with which a file is refused, which begins with its path."""
    with pytest.raises(TexcsdError) as raised:
        load_mesh(path)
    message = str(raised.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message
