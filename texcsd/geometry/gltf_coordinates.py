"""Which texture coordinates of a glTF primitive its base colour is looked up by, and their values.

A material may name any of a primitive's coordinate sets and transform it (KHR_texture_transform,
which gives quantised coordinates their range). Painting goes through the same set and transform.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from texcsd.geometry.gltf_document import GltfDocument

TRANSFORM = "KHR_texture_transform"
SPECULAR = "KHR_materials_pbrSpecularGlossiness"


def base_color_lookup(tree: dict[str, Any], primitive: dict[str, Any]) -> dict[str, Any]:
    """Return the coordinate set and its transform, as a glTF textureInfo without its `index`.

    It is empty, which means the first set as it is, where the material has no base colour texture,
    or where that names a set the primitive does not have.
    """
    if "material" not in primitive:
        return {}
    material = tree["materials"][primitive["material"]]
    texture = next(iter(base_color_infos(material)), {})
    lookup = {key: texture[key] for key in ("texCoord",) if texture.get(key)}
    if TRANSFORM in texture.get("extensions", {}):
        lookup["extensions"] = {TRANSFORM: texture["extensions"][TRANSFORM]}
    return lookup if _attribute(lookup) in primitive.get("attributes", {}) else {}


def base_color_infos(material: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the textureInfos of a material's base colour: none, one, or two.

    The second is that of KHR_materials_pbrSpecularGlossiness, which older files have instead of the
    first, or beside it for programs that do not know the extension.
    """
    specular = material.get("extensions", {}).get(SPECULAR, {})
    found = material.get("pbrMetallicRoughness", {}).get("baseColorTexture")
    return [info for info in (found, specular.get("diffuseTexture")) if info]


def read_coordinates(
    document: GltfDocument, primitive: dict[str, Any], lookup: dict[str, Any]
) -> NDArray[np.float64] | None:
    """Return float64[vertex, 2], origin bottom-left, or None if the primitive has no such set."""
    index = primitive.get("attributes", {}).get(_attribute(lookup))
    if index is None:
        return None
    uv = document.accessor(index).reshape(-1, 2)
    transform = lookup.get("extensions", {}).get(TRANSFORM)
    if transform is not None:
        uv = _transformed(uv, transform)
    # glTF counts v from the top of the image, the rest of us from the bottom.
    return uv * [1, -1] + [0, 1]


def _attribute(lookup: dict[str, Any]) -> str:
    transform = lookup.get("extensions", {}).get(TRANSFORM, {})
    return f"TEXCOORD_{transform.get('texCoord', lookup.get('texCoord', 0))}"


def _transformed(uv: NDArray[np.float64], transform: dict[str, Any]) -> NDArray[np.float64]:
    """Scale, then turn, then move.

    Counter-clockwise as seen with v up, though v is down: so say the extension's text, its example
    and every viewer; its shader code, read as GLSL, turns the other way.
    """
    angle = transform.get("rotation", 0.0)
    sine, cosine = np.sin(angle), np.cos(angle)
    u, v = (uv * transform.get("scale", (1, 1))).T
    turned = np.stack([cosine * u + sine * v, cosine * v - sine * u], axis=1)
    return turned + transform.get("offset", (0, 0))
