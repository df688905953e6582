"""Pictures of a painted mesh: a contact sheet for a first look, a turntable for the rest."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import Mesh
from texcsd.output.gltf import png_bytes
from texcsd.rendering.cameras import Cameras, orbit_cameras
from texcsd.rendering.normal_mapping import NormalMappedMesh
from texcsd.rendering.shading import camera_lights, downsample, shade
from texcsd.rendering.texture import sample_maps, textures_of_pixels

VIEW_SIZE, MARGIN = 384, 8
VIEW_LABELS = (
    "front", "right, in front", "right, behind", "back", "left, behind", "left, in front",
)  # fmt: skip
LABEL_SIZE, LABEL_COLOR = 15, (90, 90, 90)
SHAPE_VIEWS = 3
FRAMES, FRAME_SIZE, FRAME_MILLISECONDS = 30, 320, 90
VIEW_WIDTH = 2.12
"""Just enough for the unit sphere in perspective."""
VIEW_SHARE = 0.94
"""Of a view on the contact sheet, what the mesh takes up between opposite borders."""
SUPERSAMPLING = 2
LARGEST_TEXTURE = 1024
"""Textures are reduced to about this size first; previews could not show more."""

Picture = NDArray[np.uint8]
Pictures = Mapping[int, Picture]
"""By the number of the texture, uint8[rows, columns, 3] each, row 0 on top."""


def preview_png(
    mesh: Mesh,
    base_colors: Pictures,
    names: Mapping[int, str],
    normal_maps: Pictures | None = None,
) -> bytes:
    """Render a contact sheet: six views around the mesh, and to their right the painted textures.

    Each view is as near as the mesh fits into it.

    Args:
        mesh: Fitted to the unit sphere; has uv.
        base_colors: Those whose number is negative were not painted.
        names: Of the painted textures, by number; written on them where there are several.
        normal_maps: Of those textures that have one.

    Returns:
        A PNG file.
    """
    cameras = orbit_cameras(len(VIEW_LABELS), elevation_degrees=20, view_width=VIEW_WIDTH)
    cameras = cameras.zoomed_to(mesh.vertices.cpu()[mesh.faces.cpu().unique()], VIEW_SHARE)
    background = _grey_gradient(VIEW_SIZE, 0.97, 0.84)
    views = _render_views(mesh, base_colors, cameras, background, normal_maps)
    cell, columns = VIEW_SIZE + MARGIN, len(VIEW_LABELS) // 2
    map_size = 2 * VIEW_SIZE + MARGIN
    height, width = map_size + 2 * MARGIN, columns * cell + map_size + 2 * MARGIN
    sheet = np.full((height, width, 3), 255, np.uint8)
    for index, (view, label) in enumerate(zip(views, VIEW_LABELS, strict=True)):
        top, left = MARGIN + index // columns * cell, MARGIN + index % columns * cell
        sheet[top : top + VIEW_SIZE, left : left + VIEW_SIZE] = _labelled(view, label)
    sheet[MARGIN:-MARGIN, -MARGIN - map_size : -MARGIN] = _tile(base_colors, map_size, names)
    return png_bytes(sheet)


def shape_png(before: Mesh, after: Mesh, normal_maps: Pictures | None = None) -> bytes:
    """Render a mesh in plain grey from three sides, and below the same after it was reshaped.

    Args:
        before: Fitted to the unit sphere; has uv.
        after: In the same pose.
        normal_maps: Of the mesh after, of those textures that have one.

    Returns:
        A PNG file.
    """
    cameras = orbit_cameras(SHAPE_VIEWS, elevation_degrees=20, view_width=VIEW_WIDTH)
    numbers = before.texture_numbers().unique().tolist()
    grey = dict.fromkeys(numbers, np.full((16, 16, 3), 190, np.uint8))
    background = _grey_gradient(VIEW_SIZE, 0.97, 0.84)
    rows = [
        np.concatenate(_render_views(mesh, grey, cameras, background, maps), axis=1)
        for mesh, maps in ((before, None), (after, normal_maps))
    ]
    return png_bytes(np.concatenate(rows))


def turntable_frames(
    mesh: Mesh, base_colors: Pictures, normal_maps: Pictures | None = None
) -> list[Picture]:
    """Render one turn around the mesh, fitted to the unit sphere, uint8[size, size, 3] each."""
    cameras = orbit_cameras(FRAMES, elevation_degrees=15, view_width=VIEW_WIDTH)
    background = _grey_gradient(FRAME_SIZE, 0.93, 0.93)
    return _render_views(mesh, base_colors, cameras, background, normal_maps)


def turntable_gif(frames: list[Picture]) -> bytes:
    """Make an animation of the frames that repeats for ever.

    All frames share one palette and none is dithered, so that colours do not flicker. Of equal
    frames in a row the GIF holds one, for as long.

    Returns:
        A GIF file.
    """
    some_pixels = Image.fromarray(np.concatenate(frames[::3])[::2, ::2])
    palette = some_pixels.quantize(256, method=Image.Quantize.MEDIANCUT)
    images = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    stream = io.BytesIO()
    images[0].save(
        stream,
        format="GIF",
        save_all=True,
        append_images=images[1:],
        duration=FRAME_MILLISECONDS,
        loop=0,
        optimize=False,
    )
    return stream.getvalue()


def can_write_mp4() -> bool:
    """Tell whether ffmpeg is installed."""
    return shutil.which("ffmpeg") is not None


def turntable_mp4(frames: list[Picture]) -> bytes:
    """Make a film of the frames with the ffmpeg that is installed; the same frames, the same bytes.

    Returns:
        An MP4 file, H.264.

    Raises:
        TexcsdError: ffmpeg failed, perhaps for want of its H.264 encoder.
    """
    height, width = frames[0].shape[:2]
    command = [
        "ffmpeg", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
        "-s", f"{width}x{height}", "-r", f"1000/{FRAME_MILLISECONDS}", "-i", "-",
        "-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p", "-threads", "1",
        "-fflags", "+bitexact", "-flags", "+bitexact", "-movflags", "+faststart",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="texcsd-film-") as folder:
        film = Path(folder, "film.mp4")
        pixels = b"".join(frame.tobytes() for frame in frames)
        done = subprocess.run([*command, film], input=pixels, capture_output=True, check=False)
        if done.returncode != 0 or not film.exists():
            reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2][:120]
            raise TexcsdError(f"turntable.mp4: ffmpeg could not write it ({reason})")
        return film.read_bytes()


def texture_maps(pictures: Pictures, device: torch.device | str) -> dict[int, Tensor]:
    """Return textures of at most about LARGEST_TEXTURE, float32[1, rows, columns, 3] each."""
    maps = {}
    for number, picture in pictures.items():
        factor = max(1, max(picture.shape[:2]) // LARGEST_TEXTURE)
        reduced = np.asarray(Image.fromarray(picture).reduce(factor), np.float32)
        maps[number] = torch.from_numpy(reduced / 255)[None].to(device)
    return maps


def _render_views(
    mesh: Mesh,
    base_colors: Pictures,
    cameras: Cameras,
    background: Tensor,
    normal_maps: Pictures | None = None,
) -> list[Picture]:
    """Render one uint8[size, size, 3] per camera, one at a time to keep memory small.

    Args:
        mesh: Fitted to the unit sphere; has uv.
        base_colors: All that the mesh shows.
        cameras: What to see the mesh from.
        background: float32[1, size, size, 3].
        normal_maps: Of those textures that have one.
    """
    device = mesh.vertices.device
    maps = texture_maps(base_colors, device)
    shown = NormalMappedMesh(mesh, texture_maps(normal_maps or {}, device))
    background = background.to(device).repeat_interleave(SUPERSAMPLING, 1)
    background = background.repeat_interleave(SUPERSAMPLING, 2)
    pixels = background.shape[1]
    pictures = []
    for index in range(len(cameras)):
        camera = cameras.one(index).to(device)
        surface = shown.rasterize(camera, pixels, pixels)
        material = sample_maps(maps, surface, textures_of_pixels(mesh, surface))
        image = shade(material, surface, camera_lights(camera), background)
        image = downsample(image, SUPERSAMPLING)[0]
        pictures.append((image * 255).round().to("cpu", torch.uint8).numpy())
    return pictures


def _labelled(picture: Picture, text: str) -> Picture:
    """Write into the lower left corner."""
    image = Image.fromarray(picture)
    place, font = (MARGIN, image.height - MARGIN), ImageFont.load_default(LABEL_SIZE)
    # A white rim makes it legible on a texture of any colour.
    rim = {"stroke_width": 2, "stroke_fill": (255, 255, 255), "anchor": "ls"}
    ImageDraw.Draw(image).text(place, text, LABEL_COLOR, font, **rim)
    return np.asarray(image)


def _tile(base_colors: Pictures, size: int, names: Mapping[int, str]) -> Picture:
    """Lay the painted textures out in rows on a square of that many pixels."""
    painted = [number for number in sorted(base_colors) if number >= 0]
    columns = int(np.ceil(np.sqrt(len(painted))))
    cell, tile = size // columns, size // columns - (MARGIN if columns > 1 else 0)
    sheet = np.full((size, size, 3), 255, np.uint8)
    for index, number in enumerate(painted):
        top, left = index // columns * cell, index % columns * cell
        picture = _resize(base_colors[number], tile)
        picture = picture if len(painted) == 1 else _labelled(picture, names[number])
        sheet[top : top + tile, left : left + tile] = picture
    return sheet


def _grey_gradient(size: int, top: float, bottom: float) -> Tensor:
    """float32[1, size, size, 3], sRGB."""
    rows = torch.linspace(top, bottom, size)
    return rows[None, :, None, None].expand(1, size, size, 3)


def _resize(base_color: Picture, size: int) -> Picture:
    """Reduce smoothly, or enlarge with hard texels."""
    smaller = len(base_color) > size
    method = Image.Resampling.BOX if smaller else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(base_color).resize((size, size), method))
