"""The page is whole in itself, and a browser shows the object in it as our preview does."""

import base64
import re
import shutil
import subprocess

import numpy as np
import pytest
import trimesh
from PIL import Image

from texcsd.output import viewer
from texcsd.output.viewer import three_js, viewer_html

CHROMIUM = next(filter(shutil.which, ("chromium", "chromium-browser", "google-chrome")), None)
FRONT, TOP = (210, 40, 40), (40, 40, 210)


def colors(size=60):
    """The front red and the top blue, all else white."""
    pixels = np.full((size, size, 3), 255, np.uint8)
    row, column = np.mgrid[:size, :size]
    chart = (1 - row * 2 // size) * 3 + column * 3 // size
    pixels[chart == 4], pixels[chart == 2] = FRONT, TOP
    return pixels


def page_of(mesh, pixels=None, name="cube"):
    return viewer_html(mesh, {0: colors() if pixels is None else pixels}, name).decode()


def model_in(page):
    text = re.search(r'<script id="model" type="text/plain">([^<]*)</script>', page)
    assert text is not None
    return base64.b64decode(text[1])


def test_the_page_holds_the_mesh_with_its_texture(cube, tmp_path):
    path = tmp_path / "model.glb"
    path.write_bytes(model_in(page_of(cube)))
    loaded = trimesh.load(path, force="scene")
    assert sorted(loaded.geometry) == ["front & back", "sides"]
    np.testing.assert_allclose(loaded.bounds, [[-0.55] * 3, [0.55] * 3], atol=1e-6)
    image = loaded.geometry["sides"].visual.material.baseColorTexture
    assert image.format == "JPEG" and image.size == (60, 60)


def test_the_page_asks_the_network_for_nothing(cube):
    page = page_of(cube)
    around = page.replace(three_js(), "")
    assert "http" not in around
    assert not re.search(r"""\b(src|href)\s*=\s*["']""", around)
    assert "Three.js Authors" in page and "SPDX-License-Identifier: MIT" in page


def test_a_name_is_text_and_not_markup(cube):
    page = page_of(cube, name='<script>alert("x")</script>&')
    assert "<title>&lt;script&gt;alert(" in page and "<script>alert" not in page


def test_a_name_that_is_not_utf_8_is_shown_as_far_as_it_is_text(cube):
    assert "<title>st\ufffdhl</title>" in page_of(cube, name="st\udcfchl")


def test_large_textures_are_reduced(cube, tmp_path, monkeypatch):
    monkeypatch.setattr(viewer, "LARGEST_TEXTURE", 25)
    path = tmp_path / "model.glb"
    path.write_bytes(model_in(page_of(cube)))
    material = trimesh.load(path, force="mesh").visual.material
    assert material.baseColorTexture.size == (20, 20)


def test_the_same_mesh_gives_the_same_page(cube):
    assert page_of(cube) == page_of(cube)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_browser_shows_the_front_upright_and_in_its_colours(cube, tmp_path):
    page, picture = tmp_path / "viewer.html", tmp_path / "picture.png"
    page.write_text(page_of(cube))
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader", "--hide-scrollbars", "--window-size=400,400",
        "--virtual-time-budget=4000", f"--user-data-dir={tmp_path / 'profile'}",
        f"--screenshot={picture}", page.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, capture_output=True, check=True, timeout=120)
    shown = np.asarray(Image.open(picture).convert("RGB")).astype(float)

    def places(color):
        """float[n, 2], rows and columns of the pixels with this hue, whatever the light."""
        hue = shown / np.maximum(shown.max(axis=2, keepdims=True), 1)
        return np.argwhere(np.abs(hue - np.array(color) / max(color)).max(axis=2) < 0.2)

    front, top = places(FRONT), places(TOP)
    assert len(front) > 5000 and len(top) > 1000
    assert top[:, 0].mean() < front[:, 0].mean()
    # Lit from the viewer, the front is about as bright as its texture.
    brightness = np.median(shown[tuple(front.T)][:, 0])
    assert 0.75 * FRONT[0] < brightness <= 255
