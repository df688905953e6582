"""STL to arrays, text or binary."""

import io
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.file_part import DamagedFileError, FilePart
from texcsd.geometry.normals import weld_vertices

HEADER_BYTES, TRIANGLE_BYTES = 84, 50
"""Of a binary file; its header ends with the number of triangles."""


def read_stl(path: Path) -> list[FilePart]:
    """Read the solids of an STL; repeated corners are joined, since it cannot share vertices."""
    from trimesh.exchange.stl import load_stl

    data = path.read_bytes()
    is_text = re.search(rb"^\s*(facet\s+normal|endsolid)\b", data, re.IGNORECASE | re.MULTILINE)
    if not is_text:
        _check_size(data)
    loaded = load_stl(io.BytesIO(data))
    solids = loaded.get("geometry", {path.stem: loaded})
    if not solids and b"facet" in data.lower() and is_text:
        raise DamagedFileError('it has facets but no "endsolid"; export it again')
    return [_part(name or path.stem, solid["vertices"]) for name, solid in solids.items()]


def _check_size(data: bytes) -> None:
    if len(data) < HEADER_BYTES:
        raise DamagedFileError(f"it ends after {len(data)} bytes, inside the header")
    count = int.from_bytes(data[HEADER_BYTES - 4 : HEADER_BYTES], "little")
    expected = HEADER_BYTES + TRIANGLE_BYTES * count
    if len(data) != expected:
        raise DamagedFileError(
            f"it has {len(data):,} bytes, but {expected:,} are expected of the {count:,} "
            "triangle(s) that its header tells of; export it again"
        )


def _part(name: str, corners: NDArray[np.floating]) -> FilePart:
    """Join the corners, float[3 * face, 3], that share a position."""
    positions = np.asarray(corners, np.float64)
    first, place_of = weld_vertices(positions)
    return FilePart(name, positions[first], place_of.reshape(-1, 3))
