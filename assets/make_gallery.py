"""Paint the picture of the README: `python assets/make_gallery.py`, about a minute a tile.

Each tile is one painting with the defaults, not chosen among several, seen from its front and side.
Finished paintings are kept in outputs/gallery and not painted again.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

import texcsd
from texcsd.geometry.mesh import fit_to_unit_sphere, load_mesh
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.rasterize import rasterize_mesh
from texcsd.rendering.shading import camera_lights, downsample, shade
from texcsd.rendering.texture import sample_map

ASSETS = Path(__file__).parent
TILES = (
    ("armchair.obj", "a leather armchair"),
    ("armchair.obj", "brick"),
    ("armchair.obj", "wood"),
    ("armchair.obj", "blue and white stripes"),
    ("animal.obj", "zebra"),
    ("animal.obj", "grass"),
    ("teapot.obj", "red plaid"),
    ("teapot.obj", "gold"),
    ("vase.ply", "lava"),
    ("mug.obj", "leopard"),
)
COLUMNS, SIZE, SUPERSAMPLING = 5, 256, 2


def tile(mesh_name: str, prompt: str) -> Image.Image:
    """One painted mesh on light grey."""
    folder = Path("outputs/gallery") / f"{Path(mesh_name).stem}-{prompt.replace(' ', '-')}"
    painted = texcsd.paint(ASSETS / mesh_name, prompt, folder)
    mesh = fit_to_unit_sphere(load_mesh(painted.mesh))
    pixels = np.array(Image.open(painted.base_color).convert("RGB"))
    base_color_map = torch.from_numpy(pixels)[None] / 255
    cameras = orbit_cameras(8, elevation_degrees=20, view_width=2.1)
    surface = rasterize_mesh(mesh, cameras, SUPERSAMPLING * SIZE, SUPERSAMPLING * SIZE)
    grey = torch.full((1, 1, 1, 3), 0.92)
    images = shade(sample_map(base_color_map, surface), surface, camera_lights(cameras), grey)
    image = downsample(images, SUPERSAMPLING)[1]  # From its front and side.
    return Image.fromarray((image * 255).round().to(torch.uint8).numpy())


def main() -> None:
    """Paint all tiles and put them side by side."""
    rows = -(-len(TILES) // COLUMNS)
    gallery = Image.new("RGB", (COLUMNS * SIZE, rows * SIZE))
    for index, (mesh_name, prompt) in enumerate(TILES):
        place = (index % COLUMNS * SIZE, index // COLUMNS * SIZE)
        gallery.paste(tile(mesh_name, prompt), place)
    gallery.save(ASSETS / "gallery.png", optimize=True)


if __name__ == "__main__":
    main()
