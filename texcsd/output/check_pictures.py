"""Pictures of a mesh that is not painted yet: how it stands, what views see, where its uv lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from texcsd.geometry.mesh import Mesh
from texcsd.geometry.normals import weld_vertices
from texcsd.geometry.uv_inspection import count_layers
from texcsd.output.gltf import png_bytes
from texcsd.rendering.cameras import side_cameras
from texcsd.rendering.rasterize import rasterize_mesh
from texcsd.rendering.shading import camera_lights, downsample, shade
from texcsd.rendering.texture import Material

SIDES = ("front (+z)", "right (+x)", "back (-z)", "left (-x)", "top (+y)", "bottom (-y)")
VIEW_SIZE, MARGIN, TEXT_HEIGHT, LAYOUT_SIZE = 320, 8, 18, 1024
SUPERSAMPLING = 2
CLAY = (0.72, 0.71, 0.69)
OFTEN = 0.4
"""Share of the views from which on a face has the last colour of the map."""
NEVER = (0.80, 0.10, 0.35)
COLOR_MAP = np.array(
    [[0.20, 0.14, 0.42], [0.13, 0.42, 0.56], [0.30, 0.70, 0.45], [0.98, 0.90, 0.30]]
)
"""From seldom to often, evenly spaced; bright enough at the end to be told apart without hue."""
MOST_EDGES_DRAWN = 60_000
"""More would only blacken the charts; their borders are drawn all the same."""

FARTHEST = 16
"""The picture shows no more than so many tiles beside the unit square."""
EDGE = 0.01
"""Room around the unit square, in uv."""
PAPER, OVERLAPPED = (255, 255, 255), (220, 70, 60)
UPRIGHT, MIRRORED = (186, 205, 220), (240, 205, 150)
INNER_EDGE, BORDER, SQUARE = (140, 150, 160), (30, 40, 60), (0, 0, 0)

Picture = NDArray[np.uint8]


def orbit_png(mesh: Mesh, caption: str) -> bytes:
    """Show the mesh from six sides that bear the names painting gives them.

    Args:
        mesh: Fitted to the unit sphere, on the CPU; needs no uv.
        caption: One line below the views.
    """
    sheet = _sheet(mesh, np.tile(np.array(CLAY, np.float32), (len(mesh.faces), 1)))
    ImageDraw.Draw(sheet).text((MARGIN, sheet.height - 24), caption, SQUARE, _font())
    return png_bytes(np.asarray(sheet))


def coverage_png(mesh: Mesh, shares: NDArray[np.float64]) -> bytes:
    """Show from six sides how often random views see each face.

    Args:
        mesh: Fitted to the unit sphere, on the CPU; needs no uv.
        shares: float[face], of the views that see it.
    """
    sheet = _sheet(mesh, coverage_colors(shares))
    draw = ImageDraw.Draw(sheet)
    top, left = sheet.height - 24, MARGIN
    entries = [("in no view", 0.0), *((f"{s:.0%}", s) for s in (0.02, 0.1, 0.2, 0.3, OFTEN))]
    draw.text((left, top), "share of the random views that see a face:", SQUARE, _font())
    left += 330
    for text, share in entries:
        color = tuple((255 * coverage_colors(np.array([share]))[0]).astype(int).tolist())
        draw.rectangle((left, top, left + 16, top + 16), color)
        draw.text((left + 22, top), text, SQUARE, _font())
        left += 60 + 8 * len(text)
    return png_bytes(np.asarray(sheet))


def coverage_colors(shares: NDArray[np.float64]) -> NDArray[np.float32]:
    """Colour of faces by the share of views that see them, sRGB float32[face, 3] in [0, 1]."""
    places = np.clip(shares / OFTEN, 0, 1)
    stops = np.linspace(0, 1, len(COLOR_MAP))
    colors = np.stack([np.interp(places, stops, channel) for channel in COLOR_MAP.T], axis=1)
    return np.where(shares[:, None] > 0, colors, NEVER).astype(np.float32)


def uv_layout_png(mesh: Mesh) -> bytes:
    """Show the charts of a mesh with finite uv, and the unit square as a black frame.

    Blue lies upright, yellow is mirrored, red is covered more than once.
    """
    assert mesh.uv is not None and mesh.uv_faces is not None
    distinct, point_of = weld_vertices(mesh.uv.double().numpy())
    uv, uv_faces = mesh.uv.double().numpy()[distinct], point_of[mesh.uv_faces.numpy()]
    uv, square = _to_picture(uv, uv[uv_faces])
    places = weld_vertices(mesh.vertices.double().numpy())[1][mesh.faces.numpy()]
    picture = _charts(*count_layers(places, uv[uv_faces], LAYOUT_SIZE))
    image = Image.fromarray(picture).resize((LAYOUT_SIZE, LAYOUT_SIZE), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image)
    _draw_edges(draw, uv, uv_faces)
    draw.rectangle([*_pixels(square).round().ravel()], outline=SQUARE)
    return png_bytes(np.asarray(image))


def _to_picture(
    uv: NDArray[np.float64], used: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale uv so that those in use, and the unit square, lie in [0, 1]; return the square, too."""
    reach = np.clip(used, -FARTHEST, FARTHEST + 1)
    low, high = min(reach.min(), 0.0) - EDGE, max(reach.max(), 1.0) + EDGE
    square = np.array([[0.0, 1.0], [1.0, 0.0]])  # its top left and its bottom right corner
    return (uv - low) / (high - low), (square - low) / (high - low)


def _pixels(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places in the picture, float[..., 2], of points in [0, 1] with v up."""
    return points * [LAYOUT_SIZE, -LAYOUT_SIZE] + [0, LAYOUT_SIZE]


def _charts(over: NDArray[np.int32], under: NDArray[np.int32]) -> Picture:
    """Colour texels by the faces above them, uint8[row, column, 3], row 0 on top."""
    picture = np.empty((*over.shape, 3), np.uint8)
    picture[:] = PAPER
    picture[over > 0] = UPRIGHT
    picture[under > 0] = MIRRORED
    picture[over + under > 1] = OVERLAPPED
    return picture[::-1]


def _draw_edges(
    draw: ImageDraw.ImageDraw, points: NDArray[np.float64], faces: NDArray[np.int64]
) -> None:
    """Draw the borders of charts, and between their faces if these are not too many."""
    ends = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    edges, counts = np.unique(ends, axis=0, return_counts=True)
    # A line to a point far outside would be walked pixel by pixel all the way.
    near = (np.abs(points[edges] - 0.5) < 2).all(axis=(1, 2))
    lines = _pixels(points[edges]).reshape(-1, 4)
    if len(edges) <= MOST_EDGES_DRAWN:
        for line in lines[near & (counts > 1)].tolist():
            draw.line(line, INNER_EDGE)
    for line in lines[near & (counts == 1)].tolist():
        draw.line(line, BORDER)


def _sheet(mesh: Mesh, colors: NDArray[np.float32]) -> Image.Image:
    """Six named views with a colour per face, and room for a line of text below."""
    cell, row = VIEW_SIZE + MARGIN, VIEW_SIZE + TEXT_HEIGHT + MARGIN
    sheet = Image.new("RGB", (3 * cell + MARGIN, 2 * row + MARGIN + 28), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, view in enumerate(_render_sides(mesh, colors)):
        left, top = MARGIN + index % 3 * cell, MARGIN + index // 3 * row
        draw.text((left, top), SIDES[index], SQUARE, _font())
        sheet.paste(Image.fromarray(view), (left, top + TEXT_HEIGHT))
    return sheet


def _render_sides(mesh: Mesh, colors: NDArray[np.float32]) -> Sequence[Picture]:
    """Render uint8[size, size, 3] per side, one at a time to keep memory small."""
    # The rasterizer asks for uv, and nothing here looks at them.
    mesh = replace(mesh, uv=torch.zeros(1, 2), uv_faces=torch.zeros_like(mesh.faces))
    face_colors = torch.from_numpy(colors)
    cameras, pixels = side_cameras(), VIEW_SIZE * SUPERSAMPLING
    pictures = []
    for index in range(len(cameras)):
        camera = cameras.one(index)
        surface = rasterize_mesh(mesh, camera, pixels, pixels)
        material = Material(face_colors[surface.triangle_ids])
        background = torch.full((1, 1, 1, 3), 0.94)
        image = downsample(
            shade(material, surface, camera_lights(camera), background), SUPERSAMPLING
        )
        pictures.append((image[0] * 255).round().to(torch.uint8).numpy())
    return pictures


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(14)
