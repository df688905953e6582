"""A browser is shown the object while it is painted, and nothing that happens to it matters."""

import io
import logging
import socket
import struct
import urllib.request
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
import trimesh
from textured_meshes import write_glb

import texcsd
from texcsd import live_view
from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import Mesh, fit_to_unit_sphere, load_mesh
from texcsd.live_view import HOST, LARGEST_TEXTURE, LiveView

needs_viser = pytest.mark.skipif(find_spec("viser") is None, reason="viser is not installed")
GREY, RED, BLUE = (128, 128, 128), (200, 30, 20), (20, 30, 200)


def plain(color, size: int = 16) -> torch.Tensor:
    return (torch.tensor(color) / 255).expand(1, size, size, 3)


@pytest.fixture
def mesh(tmp_path) -> Mesh:
    """Two squares; the right one is not painted."""
    mesh = fit_to_unit_sphere(load_mesh(write_glb(tmp_path / "mesh.glb")))
    return replace(mesh, textures=torch.tensor([0, 0, -2, -2]))


LOOKS = {-2: np.full((4, 4, 3), BLUE, np.uint8)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def connect(port: int):
    """As the page does that the server gives to a browser."""
    import viser
    from websockets.sync.client import connect
    from websockets.typing import Subprotocol

    protocol = Subprotocol(f"viser-v{viser.__version__}")
    return connect(f"ws://{HOST}:{port}", subprotocols=[protocol], max_size=None)


def next_model(connection) -> trimesh.Scene:
    """The newest GLB in the next message with any: two sizes, and what Zstandard made small."""
    import zstandard

    while True:
        packed = bytes(connection.recv(timeout=60))
        size, packed_size = struct.unpack_from("<QQ", packed)
        message = zstandard.decompress(packed[16 : 16 + packed_size], max_output_size=size)
        start = message.rfind(b"glTF\x02\0\0\0")
        if start >= 0:
            (length,) = struct.unpack_from("<I", message, start + 8)
            content = io.BytesIO(message[start : start + length])
            loaded = trimesh.load(content, file_type="glb", force="scene")
            assert isinstance(loaded, trimesh.Scene)
            return loaded


def colors(scene: trimesh.Scene) -> list[list[int]]:
    """Of the left square and the right one; JPEG changes them by little."""
    materials = [scene.geometry[name].visual.material for name in ("left", "right")]
    images = [np.asarray(material.baseColorTexture.convert("RGB")) for material in materials]
    return [np.rint(image.mean(axis=(0, 1))).astype(int).tolist() for image in images]


def close_to(found, *wanted) -> bool:
    return bool(np.abs(np.array(found) - wanted).max() <= 4)


@needs_viser
def test_a_browser_gets_the_page_the_mesh_and_every_change_of_the_texture(mesh) -> None:
    port = free_port()
    with live_view.live_view(port) as view:
        assert view is not None
        with urllib.request.urlopen(f"http://{HOST}:{port}/", timeout=20) as page:
            assert b"<html" in page.read()
        view.begin(mesh, LOOKS, 100, "squares: brick")
        with connect(port) as browser:
            scene = next_model(browser)
            np.testing.assert_allclose(
                np.sort(scene.geometry["left"].vertices, axis=0),
                np.sort(mesh.vertices[mesh.faces[:2].unique()].numpy(), axis=0),
                atol=1e-6,
            )
            assert close_to(colors(scene), GREY, BLUE)
            view.update(1, lambda most: [plain(RED)])
            assert close_to(colors(next_model(browser)), RED, BLUE)
    with socket.socket() as probe:
        assert probe.connect_ex((HOST, port)) != 0


@needs_viser
def test_a_browser_that_goes_away_and_rubbish_on_the_line_do_no_harm(mesh, capfd) -> None:
    port = free_port()
    with live_view.live_view(port) as view:
        assert view is not None
        view.begin(mesh, LOOKS, 100, "squares: brick")
        with connect(port) as browser:
            next_model(browser)
            browser.socket.close()
        with socket.create_connection((HOST, port)) as stranger:
            stranger.sendall(b"\0 rubbish \r\n\r\n")
        for step in range(3):
            view.update(step, lambda most: [plain(RED)])
        with connect(port) as browser:
            assert close_to(colors(next_model(browser)), RED, BLUE)
    assert capfd.readouterr() == ("", "")


@needs_viser
def test_another_port_serves_where_one_is_taken_and_says_so(mesh, caplog) -> None:
    with socket.socket() as holder, caplog.at_level(logging.INFO):
        holder.bind((HOST, 0))
        holder.listen()
        port = holder.getsockname()[1]
        with live_view.live_view(port):
            (message,) = [record.getMessage() for record in caplog.records]
            assert f"port {port} is not to be had" in message
            address = message.rpartition(" ")[2]
            with urllib.request.urlopen(address, timeout=20) as page:
                assert page.status == 200


@needs_viser
@pytest.mark.slow
def test_a_painting_has_the_same_bits_whether_it_is_watched_or_not(tmp_path, no_pictures) -> None:
    path = write_glb(tmp_path / "mesh.glb")
    options = {"texture_size": 32, "steps": 3, "views": 1, "quiet": True}
    alone = texcsd.paint(path, "brick", tmp_path / "a", **options)
    watched = texcsd.paint(
        path, "brick", tmp_path / "b", live=True, live_port=free_port(), **options
    )
    assert alone.base_color.read_bytes() == watched.base_color.read_bytes()
    assert alone.report["settings"] == watched.report["settings"]


def test_without_viser_one_line_says_what_to_install_and_nothing_is_written(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(live_view, "find_spec", lambda name: None)
    path = write_glb(tmp_path / "mesh.glb")
    with pytest.raises(TexcsdError, match=r'pip install "texcsd\[live\]"'):
        texcsd.paint(path, "brick", tmp_path / "out", live=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("port", [0, 65536])
def test_a_port_that_does_not_exist_is_refused(tmp_path, port: int) -> None:
    path = write_glb(tmp_path / "mesh.glb")
    with pytest.raises(TexcsdError, match=f"live_port is {port}; choose a number from 1 to 65535"):
        texcsd.paint(path, "brick", tmp_path / "out", live=True, live_port=port)


class FakeServer:
    """Stands for a server of viser, its page and what is on it."""

    def __init__(self) -> None:
        self.scene = self.gui = self
        self.shown: list[str] = []
        self.breaks = False

    def add_markdown(self, text):
        return self

    def add_progress_bar(self, value):
        return self

    def add_glb(self, name, glb):
        if self.breaks:
            raise RuntimeError("no more")
        assert name not in self.shown
        self.shown.append(name)
        return Handle(self.shown, name)


class Handle:
    def __init__(self, shown, name) -> None:
        self.remove = lambda: shown.remove(name)


@pytest.fixture
def clock(monkeypatch):
    """Stands still unless it is told what time it is."""
    times = [0.0]
    for name in ("monotonic", "process_time"):
        monkeypatch.setattr(live_view.time, name, lambda: times[0])
    return times


def test_an_update_takes_a_hundredth_of_the_time_and_the_end_is_never_left_out(mesh, clock) -> None:
    asked = []

    def textures(most):
        asked.append(clock[0])
        clock[0] += 0.05
        return [plain(RED)]

    view = LiveView(FakeServer())
    view.begin(mesh, LOOKS, 400, "")
    for step in range(1, 401):
        clock[0] += 0.25
        view.update(step, textures)
    pauses = np.diff(asked[:-1])
    assert len(asked) > 10 and (pauses > 5.04).all() and (pauses < 5.5).all()
    assert asked[-1] == clock[0] - 0.05


def test_the_object_before_stays_in_view_until_a_browser_has_opened_the_next(mesh, clock) -> None:
    server = FakeServer()
    view = LiveView(server)
    view.begin(mesh, LOOKS, 100, "")
    shown = []
    for step in range(1, 30):
        clock[0] += 0.1
        view.update(step, lambda most: [plain(RED)])
        shown.append(len(server.shown))
    assert min(shown) == 1 and max(shown) == 2 and shown[0] == 2


def test_what_fails_is_said_once_and_ends_the_view_alone(mesh, caplog) -> None:
    server = FakeServer()
    view = LiveView(server)
    view.begin(mesh, LOOKS, 100, "")
    server.breaks = True
    for step in (1, 100):
        view.update(step, lambda most: [plain(RED)])
    (record,) = caplog.records
    assert "stands still from here on (RuntimeError: no more)" in record.getMessage()


def test_textures_are_asked_for_no_larger_than_they_are_shown(mesh) -> None:
    asked = []
    view = LiveView(FakeServer())
    view.begin(mesh, LOOKS, 1, "")
    view.update(1, lambda most: asked.append(most) or [plain(RED)])
    assert asked == [LARGEST_TEXTURE]
