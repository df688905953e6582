"""Geometry that a glTF holds compressed by Draco: the extension KHR_draco_mesh_compression.

Accessors of a compressed primitive describe values without having them, unless the file has both.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.file_part import DamagedFileError

DRACO = "KHR_draco_mesh_compression"
DECLARATIONS = "extensionsUsed", "extensionsRequired"


def compressed_accessors(tree: dict[str, Any]) -> dict[int, tuple[int, int | None]]:
    """Where the values of accessors are to be found that have none of their own.

    Returns:
        By the number of the accessor, the buffer view of the compressed primitive, and the number
        of the attribute in it, or None for the corners of its faces.
    """
    found = dict[int, tuple[int, int | None]]()
    for primitive in _primitives(tree):
        if not is_compressed(primitive):
            continue
        compressed = primitive["extensions"][DRACO]
        accessors = primitive["attributes"] | {"indices": primitive.get("indices")}
        for name, number in [*compressed["attributes"].items(), ("indices", None)]:
            accessor = accessors.get(name)
            if accessor is not None and not _has_values(tree["accessors"][accessor]):
                found[accessor] = compressed["bufferView"], number
    return found


def is_compressed(primitive: dict[str, Any]) -> bool:
    """Whether a primitive has compressed geometry, be it beside plain one."""
    return DRACO in primitive.get("extensions", {})


def uses_draco(tree: dict[str, Any]) -> bool:
    """Whether any primitive of a file has compressed geometry."""
    return any(map(is_compressed, _primitives(tree)))


def without_declaration_of_draco(tree: dict[str, Any]) -> dict[str, Any]:
    """A glTF tree that does not claim to use, or to need, Draco's extension."""
    names = {key: [n for n in tree.get(key, []) if n != DRACO] for key in DECLARATIONS}
    rest = {key: value for key, value in tree.items() if key not in DECLARATIONS}
    return rest | {key: kept for key, kept in names.items() if kept}


def _primitives(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (primitive for mesh in tree.get("meshes", []) for primitive in mesh["primitives"])


def _has_values(accessor: dict[str, Any]) -> bool:
    return "bufferView" in accessor or "sparse" in accessor


def decode(content: bytes) -> Any:
    """The mesh that Draco made the content of, as DracoPy gives it."""
    try:
        import DracoPy
    except ImportError as error:
        raise DamagedFileError(
            "its geometry is Draco-compressed, which DracoPy reads: pip install DracoPy"
        ) from error
    try:
        return DracoPy.decode(content)
    except (DracoPy.FileTypeException, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:100]
        raise DamagedFileError(f"its Draco-compressed geometry cannot be read, {reason}") from error


def values_of(mesh: Any, attribute: int | None) -> NDArray[Any]:
    """An attribute of a decoded mesh, [vertex, columns]; or the corners of faces, [corner, 1]."""
    if attribute is None:
        return np.asarray(getattr(mesh, "faces", ())).reshape(-1, 1)
    found = mesh.get_attribute_by_unique_id(attribute)
    if found is None:
        raise DamagedFileError(f"its Draco-compressed geometry has no attribute {attribute}")
    values = np.asarray(found["data"])
    return values.reshape(len(values), -1)
