"""Buffer views that a glTF holds compressed: EXT_meshopt_compression and KHR_meshopt_compression.

Such a view is read from another place, by its extension; where it would lie itself there may be the
same values plainly, for programs that do not know the extension, or nothing.
"""

from typing import Any

Tree = dict[str, Any]

MESHOPT = "EXT_meshopt_compression", "KHR_meshopt_compression"


def compression_of(view: Tree) -> Tree | None:
    """How a buffer view is compressed, as its extension says; None if it is not."""
    extensions = view.get("extensions", {})
    return next((extensions[name] for name in MESHOPT if name in extensions), None)


def reads_compressed(tree: Tree, accessor: Tree) -> bool:
    """Whether some values of an accessor, or its sparse indices, are in a compressed view."""
    sparse = accessor.get("sparse", {})
    sources = accessor, sparse.get("indices", {}), sparse.get("values", {})
    views = [tree["bufferViews"][each["bufferView"]] for each in sources if "bufferView" in each]
    return any(compression_of(view) is not None for view in views)


def shows_compressed(tree: Tree, primitive: Tree) -> bool:
    """Whether some attribute, morph target or index of a primitive is in a compressed view."""
    accessors = {primitive["indices"]} if "indices" in primitive else set()
    for named in (primitive["attributes"], *primitive.get("targets", [])):
        accessors |= {*named.values()}
    return any(reads_compressed(tree, tree["accessors"][number]) for number in accessors)


def buffers_of_twins(tree: Tree) -> set[int]:
    """The numbers of the buffers that only hold plainly what is compressed elsewhere."""
    views = tree.get("bufferViews", [])
    needed = {(compression_of(view) or view)["buffer"] for view in views}
    return {view["buffer"] for view in views} - needed


def without_fallback_mark(buffer: Tree) -> Tree:
    """The description of a buffer that is not said to hold nothing but such twins."""
    extensions = {k: v for k, v in buffer.get("extensions", {}).items() if k not in MESHOPT}
    rest = {key: value for key, value in buffer.items() if key != "extensions"}
    return rest | {"extensions": extensions} if extensions else rest
