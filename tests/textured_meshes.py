"""Small meshes with a texture, written without the code under test."""

import io
import json
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image

SIZE = 32
QUADS = {"left": 0.0, "right": 0.5}
"""Two squares and where their half of the texture begins; each has a margin of an eighth."""


def picture(size: int = SIZE, alpha: bool = False) -> Image.Image:
    """Every 8-bit value, and no two neighbours alike."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (size, size, 4 if alpha else 3), dtype=np.uint8)
    pixels[0, :2, :3] = [[0, 0, 0], [255, 255, 255]]
    return Image.fromarray(pixels)


def png(image: Image.Image, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def quad(start: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners float[4, 3] and uv float[4, 2] of a square of side 1 that faces +z."""
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    low, high = np.array([start + 1 / 16, 1 / 16]), np.array([start + 7 / 16, 15 / 16])
    return np.pad(corners + np.array([4 * start, 0]), ((0, 0), (0, 1))), low + corners * (
        high - low
    )


def write_glb(path: Path, images: dict[str, Image.Image | None] | None = None) -> Path:
    """Two nodes, `left` and `right`, with materials `left stuff` and `right stuff`.

    By default both show one texture; otherwise each its own, or none.
    """
    scene = trimesh.Scene()
    shared = trimesh.visual.material.PBRMaterial(
        name="stuff", baseColorTexture=picture(), roughnessFactor=0.25, emissiveFactor=[0.5, 0, 0]
    )
    for name, start in QUADS.items():
        vertices, uv = quad(start)
        material = shared
        if images is not None:
            material = trimesh.visual.material.PBRMaterial(
                name=f"{name} stuff", baseColorTexture=images[name], roughnessFactor=0.25
            )
        visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
        faces = [[0, 1, 2], [0, 2, 3]]
        mesh = trimesh.Trimesh(vertices, faces, visual=visual, process=False)
        scene.add_geometry(mesh, node_name=name, geom_name=name)
    path.write_bytes(scene.export(file_type="glb"))
    return path


def write_obj(path: Path, map_line: str = "map_Kd skin.png") -> Path:
    """The same as OBJ: objects `left` and `right`, materials `left stuff` and `right stuff`."""
    lines = ["mtllib skin.mtl"]
    library = []
    for number, (name, start) in enumerate(QUADS.items()):
        vertices, uv = quad(start)
        lines += ["v {} {} {}".format(*vertex) for vertex in vertices]
        lines += ["vt {} {}".format(*place) for place in uv]
        corners = " ".join(f"{corner}/{corner}" for corner in range(4 * number + 1, 4 * number + 5))
        lines += [f"o {name}", f"usemtl {name} stuff", f"f {corners}"]
        library += [f"newmtl {name} stuff", map_line]
    path.write_text("\n".join(lines) + "\n")
    path.with_name("skin.mtl").write_text("\n".join(library) + "\n")
    picture().save(path.with_name("skin.png"))
    return path


def gltf_tree(glb: Path) -> dict:
    content = glb.read_bytes()
    return json.loads(content[20 : 20 + int.from_bytes(content[12:16], "little")])


def write_gltf(folder: Path, uri: str) -> Path:
    """The GLB as .gltf, with its image at a uri."""
    glb = write_glb(folder / "mesh.glb")
    content = glb.read_bytes()
    tree = gltf_tree(glb)
    start = 20 + int.from_bytes(content[12:16], "little") + 8
    (folder / "mesh.bin").write_bytes(content[start:])
    tree["buffers"][0]["uri"] = "mesh.bin"
    tree["images"] = [{"uri": uri}]
    path = folder / "mesh.gltf"
    path.write_text(json.dumps(tree))
    return path
