"""One file to turn the object in any browser: three.js and a GLB in a page that needs no network.

three.js is the one that trimesh carries for its own viewer (MIT licence, its notice stays in the
page); what shows the GLB is `viewer.js`, because trimesh's page leaves out the sRGB encoding and
does not keep the object upright.
"""

from __future__ import annotations

import base64
import html
import io
import zipfile
from collections.abc import Mapping
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import Mesh
from texcsd.geometry.names import readable
from texcsd.output.gltf import glb_bytes

LARGEST_TEXTURE = 2048
"""Larger ones are reduced, or the page would take many seconds to open."""
JPEG_QUALITY = 92
LIBRARY_STARTS, LIBRARY_ENDS = "<script>", "var camera,controls,scene,"
"""Around three.js and its loader in trimesh's page."""
STYLE = """
body { margin: 0; overflow: hidden; background: #e8e8e8; font: 14px sans-serif; color: #444 }
canvas { display: block; touch-action: none }
#hint { position: fixed; left: 12px; bottom: 10px; pointer-events: none }
"""


def viewer_html(
    mesh: Mesh,
    base_colors: Mapping[int, NDArray[np.uint8]],
    name: str,
    normal_maps: Mapping[int, NDArray[np.uint8]] | None = None,
) -> bytes:
    """Write a page that shows the mesh with its texture, by WebGL.

    Args:
        mesh: In the pose to show; has uv.
        base_colors: By the number of the texture, uint8[rows, columns, 3], row 0 on top.
        name: Of the object, for the title.
        normal_maps: Likewise, of those textures that have one.

    Raises:
        TexcsdError: The installed trimesh does not carry three.js as it used to.
    """
    images = {number: _small_image(picture) for number, picture in base_colors.items()}
    reliefs = {number: _small_image(picture) for number, picture in (normal_maps or {}).items()}
    model = base64.b64encode(glb_bytes(mesh, images, name, reliefs)).decode()
    program = resources.files("texcsd.output").joinpath("viewer.js").read_text("utf-8")
    title = html.escape(readable(name))
    page = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
        f'<div id="hint">{title} &middot; drag: turn, wheel: nearer, right button: move</div>',
        f'<script id="model" type="text/plain">{model}</script>',
        f"<script>{three_js()}</script>",
        f"<script>{program}</script>\n</body>\n</html>\n",
    ]
    return "\n".join(page).encode()


def three_js() -> str:
    """Return three.js with its GLTFLoader, as one script."""
    from trimesh import resources as trimesh_resources

    archive = trimesh_resources.get_bytes("templates/viewer.zip")
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        page = files.read("viewer.html.template").decode()
    library = page.partition(LIBRARY_STARTS)[2].rpartition(LIBRARY_ENDS)[0]
    if "GLTFLoader" not in library:
        raise TexcsdError(
            "the installed trimesh carries another viewer than viewer.html is made of; "
            "pip install -c constraints.txt trimesh"
        )
    return library


def _small_image(base_color: NDArray[np.uint8]) -> bytes:
    """Return a JPEG: to look at, it does as well, and takes a tenth."""
    factor = -(-max(base_color.shape[:2]) // LARGEST_TEXTURE)
    stream = io.BytesIO()
    image = Image.fromarray(base_color).reduce(factor)
    image.save(stream, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    return stream.getvalue()
