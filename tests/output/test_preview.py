import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from texcsd.errors import TexcsdError
from texcsd.output import preview
from texcsd.output.preview import (
    can_write_mp4,
    preview_png,
    turntable_frames,
    turntable_gif,
    turntable_mp4,
)

# The cube's charts in order: +x, -x, +y; in the upper row -y, +z, -z.
COLORS = np.uint8(
    [[230, 0, 0], [0, 200, 0], [0, 0, 230], [90, 90, 90], [220, 200, 0], [0, 200, 220]]
)
FRONT, BACK, RIGHT = COLORS[4], COLORS[5], COLORS[0]


def chart_colors(size=60):
    """uint8[size, size, 3]; texel rows run from the top, charts from the bottom."""
    row, column = np.mgrid[:size, :size]
    return COLORS[(1 - row * 2 // size) * 3 + column * 3 // size]


def hue(color):
    """The colour without its brightness, which depends on the light."""
    color = np.asarray(color, float)
    return color / color.max()


@pytest.fixture
def few_frames(monkeypatch):
    monkeypatch.setattr(preview, "FRAMES", 8)
    monkeypatch.setattr(preview, "FRAME_SIZE", 64)


def turntable(mesh, pixels):
    return turntable_gif(turntable_frames(mesh, {0: pixels}))


def views(png):
    sheet = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    cells = []
    for top in (8, 400):
        cells += [sheet[top : top + 384, left : left + 384] for left in (8, 400, 792)]
    return sheet, cells


def test_the_sheet_shows_six_views_starting_in_front_and_the_texture(cube):
    pixels = chart_colors()
    sheet, cells = views(preview_png(cube, {0: pixels}, {0: "base_color"}))
    assert sheet.shape == (792, 1968, 3)
    # sRGB encoding moves hues of colours that are no primaries a little.
    assert np.allclose(hue(cells[0][220, 192]), hue(FRONT), atol=0.1)
    assert np.allclose(hue(cells[3][220, 192]), hue(BACK), atol=0.1)
    assert np.allclose(hue(cells[1][220, 140]), hue(FRONT), atol=0.1)  # azimuth 60: front is left
    assert np.allclose(hue(cells[1][220, 230]), hue(RIGHT), atol=0.1)
    texture = sheet[8:-8, -8 - 776 : -8]
    centres = (np.arange(60) + 0.5) * 776 / 60
    assert (texture[centres.astype(int)][:, centres.astype(int)] == pixels).all()


def test_the_whole_mesh_is_inside_each_view(cube):
    _, cells = views(preview_png(cube, {0: np.zeros((4, 4, 3), np.uint8)}, {0: "base_color"}))
    for cell in cells:
        rim = np.concatenate([cell[0], cell[-1], cell[:, 0], cell[:, -1]])
        assert rim.min() > 200
        assert (cell.max(2) < 50).mean() > 0.1


def test_an_oblong_mesh_fills_the_views_from_its_ends_too(cube):
    rod = replace(cube, vertices=cube.vertices * torch.tensor([1.0, 0.1, 0.1]))
    _, cells = views(preview_png(rod, {0: np.zeros((4, 4, 3), np.uint8)}, {0: "base_color"}))
    for cell in cells:
        columns = (cell[:-30].max(2) < 50).any(0).nonzero()[0]
        assert 0.8 * 384 < columns[-1] - columns[0] < 0.97 * 384


def label_of(picture):
    """bool[rows, columns], where the lower left corner has the colour of a label."""
    return (picture[-30:, :160] == preview.LABEL_COLOR).all(-1)


def test_every_view_has_a_label_of_its_own_and_so_have_textures_where_there_are_several(cube):
    colors = {0: chart_colors(), 1: chart_colors(), -2: chart_colors()}
    cube = replace(cube, textures=(torch.arange(len(cube.faces)) > 3).long())
    sheet, cells = views(preview_png(cube, colors, {0: "wood", 1: "metal"}))
    labels = [label_of(cell) for cell in cells]
    labels += [label_of(sheet[8:388, left : left + 380]) for left in (1184, 1184 + 388)]
    assert all(label.sum() > 20 for label in labels)
    assert len({label.tobytes() for label in labels}) == 8


def test_a_turntable_shows_all_sides_in_turn_and_repeats(cube, few_frames):
    gif = Image.open(io.BytesIO(turntable(cube, chart_colors())))
    assert (gif.format, gif.size, gif.n_frames, gif.info["loop"]) == ("GIF", (64, 64), 8, 0)
    frames = []
    for number in range(8):
        gif.seek(number)
        assert gif.info["duration"] == preview.FRAME_MILLISECONDS
        frames.append(np.asarray(gif.convert("RGB")))
    for number, color in ((0, FRONT), (2, RIGHT), (4, BACK)):
        assert np.allclose(hue(frames[number][36, 32]), hue(color), atol=0.15)
    corners = [frame[0, 0].tolist() for frame in frames]
    assert corners == [corners[0]] * 8  # the background does not flicker


def test_the_default_turntable_is_a_full_slow_turn():
    assert 24 <= preview.FRAMES <= 36
    assert 2000 <= preview.FRAMES * preview.FRAME_MILLISECONDS <= 4000


def test_colours_of_a_frame_are_close_to_those_of_the_view(cube, few_frames):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    gif = Image.open(io.BytesIO(turntable(cube, pixels)))
    cameras = preview.orbit_cameras(8, elevation_degrees=15, view_width=preview.VIEW_WIDTH)
    background = preview._grey_gradient(64, 0.93, 0.93)
    (direct, *_) = preview._render_views(cube, {0: pixels}, cameras, background)
    difference = np.abs(np.asarray(gif.convert("RGB")).astype(int) - direct)
    # 256 colours for all frames of a random texture: 8 levels off on the average is a good palette.
    assert difference.mean() < 8


def test_the_same_texture_gives_the_same_bytes(cube, few_frames):
    pixels = chart_colors()
    assert preview_png(cube, {0: pixels}, {0: "base_color"}) == preview_png(
        cube, {0: pixels}, {0: "base_color"}
    )
    assert turntable(cube, pixels) == turntable(cube, pixels)


@pytest.mark.parametrize("size", [1, 7, 2100])
def test_a_texture_of_any_size_will_do(cube, few_frames, size):
    grey = np.full((size, size, 3), 128, np.uint8)
    sheet, cells = views(preview_png(cube, {0: grey}, {0: "base_color"}))
    assert (sheet[8:-8, -8 - 776 : -8] == 128).all()
    assert Image.open(io.BytesIO(turntable(cube, grey))).n_frames >= 1
    front = cells[0][220, 192]
    assert front.min() == front.max()
    assert 80 < front[0] <= 128


@pytest.mark.skipif(not can_write_mp4(), reason="ffmpeg is not installed")
def test_a_film_shows_the_frames_of_the_turntable(cube, few_frames, tmp_path):
    frames = turntable_frames(cube, {0: chart_colors()})
    film = turntable_mp4(frames)
    assert film == turntable_mp4(frames)
    path = tmp_path / "film.mp4"
    path.write_bytes(film)
    decode = [
        "ffmpeg",
        "-loglevel",
        "error",
        "-i",
        path,
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    raw = subprocess.run(decode, capture_output=True, check=True).stdout
    decoded = np.frombuffer(raw, np.uint8).reshape(-1, 64, 64, 3)
    assert len(decoded) == 8
    # A film has colours at half the resolution: edges differ, areas hardly.
    difference = np.abs(decoded.astype(int) - np.stack(frames))
    assert np.median(difference) <= 4 and difference.mean() < 8


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_an_ffmpeg_that_fails_is_one_line(monkeypatch, tmp_path):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho reading >&2\necho Unknown encoder >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert can_write_mp4()
    with pytest.raises(TexcsdError, match=r"could not write it \(Unknown encoder\)"):
        turntable_mp4([np.zeros((4, 4, 3), np.uint8)])
