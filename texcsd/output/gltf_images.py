"""Images beside a glTF, which are taken into its buffer since the copy will lie elsewhere."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from texcsd.geometry.gltf_document import GltfDocument
from texcsd.output.gltf_buffer import GltfBuffer

SIGNATURES = {
    "image/png": rb"\x89PNG",
    "image/jpeg": rb"\xff\xd8\xff",
    "image/webp": rb"RIFF....WEBP",
    "image/ktx2": rb"\xabKTX 20",
    "image/ktx": rb"\xabKTX 11",
    "image/avif": rb"....ftyp.{0,48}avi[fs]",
    "image/vnd-ms.dds": rb"DDS ",
    "image/bmp": rb"BM....\0\0\0\0",
    "image/gif": rb"GIF8[79]a",
    "image/tiff": rb"II\*\0|MM\0\*",
    "image/x-exr": rb"v/1\x01",
    "image/vnd.radiance": rb"#\?(RADIANCE|RGBE)",
}
"""How a file of each media type begins. The first two are core glTF, the others are in extensions
or outside the standard; what is in the user's file is passed on."""

TARGA = rb".[\0\1][\1\2\3\x09-\x0b].{13}[\x08\x0f\x10\x18\x20]"
"""Too little to tell one by, unless it is called .tga: colour map, kind, and bits of a pixel."""


def embed_images(document: GltfDocument, buffer: GltfBuffer) -> None:
    """Take in the images beside the file; one that is missing, or is no image, stays named."""
    for image in buffer.tree.get("images", []):
        found = image_beside(document, image)
        if found is not None:
            content, media_type = found
            del image["uri"]
            image.setdefault("mimeType", media_type)
            image["bufferView"] = buffer.append_view(content)


def image_beside(document: GltfDocument, image: dict[str, Any]) -> tuple[bytes, str] | None:
    """Return content and media type of the file that an image of the tree refers to.

    None if it refers to none, or it is missing; or is no image, as it may be private then: a file
    from elsewhere could name anything in the folder to have it copied into a result.

    Raises:
        DamagedFileError: It is not in the folder of the mesh or below.
    """
    if not is_beside(image):
        return None
    try:
        content = document.file(image["uri"], "an image").read_bytes()
    except OSError:
        return None
    media_type = _media_type(content, unquote(image["uri"]))
    return None if media_type is None else (content, media_type)


def is_beside(image: dict[str, Any]) -> bool:
    """Whether an image of the tree is a file, neither in a buffer or a data URI nor on a server."""
    uri = image.get("uri", "data:")
    return not uri.startswith("data:") and "://" not in uri


def _media_type(content: bytes, name: str) -> str | None:
    if name.lower().endswith(".tga") and re.match(TARGA, content, re.DOTALL):
        return "image/x-tga"
    for media_type, signature in SIGNATURES.items():
        if re.match(signature, content, re.DOTALL):
            return media_type
    return None
