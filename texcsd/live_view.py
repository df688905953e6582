"""The object while it is painted, in a browser: a page that viser serves, on this machine only.

It only looks: it draws no random numbers and changes nothing, so that a painting has the same bits
with it and without. Whatever goes wrong with it is said once and ends it, not the painting.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import Mesh
from texcsd.output.gltf import new_gltf
from texcsd.output.gltf_buffer import GltfBuffer, glb_container

HOST = "127.0.0.1"
ANY_FREE = 0
"""As a port: the system chooses one."""
LARGEST_TEXTURE = 512
"""Texels per side: more would take a browser longer than there is between two updates."""
JPEG_QUALITY = 85
SHARE_OF_TIME = 0.01
"""Of the processor's that may go into an update; to send it, in another thread, takes as much.
It is the processor's, because on a busy machine the clock says little about either."""
LEAST_SECONDS = 0.5
"""Between updates."""
OBJECTS = "/object_0", "/object_1"
"""Names in the scene, in turn: while a browser opens a GLB, the one before stays in view."""
SECONDS_OF_BOTH = 0.4
CAMERA = (0.75, 0.7, 2.1)
"""Where visitors begin to look from, for an object of radius 1 that faces +z."""
FIELD_OF_VIEW = 0.9
"""Vertical, in radians."""
Picture = NDArray[np.uint8]

logger = logging.getLogger(__name__)


class LiveView:
    """A page in which anybody on this machine can turn the object while it is painted."""

    def __init__(self, server: Any) -> None:
        """Takes a running server of viser, whose page is still empty."""
        self._server = server
        self._title = server.gui.add_markdown("preparing")
        self._bar = server.gui.add_progress_bar(0.0)
        self._model: _Model | None = None
        self._steps = self._updates = 0
        self._shown: Any = None
        self._outdated: Any = None
        self._updated_at = self._next_at = -float("inf")
        """By the clock, and in seconds of the processor."""
        self._failed = False

    def begin(self, mesh: Mesh, looks: Mapping[int, Picture], steps: int, title: str) -> None:
        """Show the object as it stands before it is painted.

        Args:
            mesh: Fitted to the unit sphere, upright; has uv.
            looks: What faces show that are not painted, by the (negative) number of their texture,
                uint8[rows, columns, 3], sRGB, row 0 on top.
            steps: Of the whole painting.
            title: Of the page.
        """
        self._steps = steps
        with self._surviving():
            self._title.content = title
            self._model = _Model(mesh, looks)
            self._show(self._model.glb({}))

    def update(self, step: int, textures: Callable[[int], list[Tensor]]) -> None:
        """Show how the textures are after a step, unless there was an update just now.

        Args:
            step: How many are done.
            textures: Given the most texels per side, returns float[1, size, size, 3] each, sRGB.
        """
        started, waited = time.process_time(), time.monotonic() - self._updated_at
        if self._failed or self._model is None:
            return
        with self._surviving():
            if waited > SECONDS_OF_BOTH:
                self._remove_outdated()
            if (started < self._next_at or waited < LEAST_SECONDS) and step < self._steps:
                return
            painted = {n: _picture(image) for n, image in enumerate(textures(LARGEST_TEXTURE))}
            self._show(self._model.glb(painted))
            self._bar.value = 100 * step / self._steps
        self._updated_at, ended = time.monotonic(), time.process_time()
        self._next_at = ended + (ended - started) / SHARE_OF_TIME

    def _show(self, glb: bytes) -> None:
        self._remove_outdated()
        name = OBJECTS[self._updates % 2]
        self._outdated, self._shown = self._shown, self._server.scene.add_glb(name, glb)
        self._updates += 1

    def _remove_outdated(self) -> None:
        if self._outdated is not None:
            self._outdated.remove()
            self._outdated = None

    @contextlib.contextmanager
    def _surviving(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # Of a package that is not needed to paint.
            self._failed = True
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            logger.warning("the live view stands still from here on (%s)", reason)


@contextlib.contextmanager
def live_view(port: int | None) -> Iterator[LiveView | None]:
    """Serve a live view while the context lasts, and say where.

    Args:
        port: Where to serve it; if it is taken, another one serves. None for no live view.

    Raises:
        TexcsdError: viser is not installed, or there is no such port.
    """
    if port is None:
        yield None
        return
    if not 1 <= port <= 65535:
        raise TexcsdError(f"live_port is {port}; choose a number from 1 to 65535")
    if find_spec("viser") is None:
        raise TexcsdError(
            'the live view needs viser, which is not installed; pip install "texcsd[live]"'
        )
    server = _start(port)
    try:
        yield LiveView(server)
    finally:
        with contextlib.redirect_stdout(io.StringIO()):  # It says goodbye there.
            server.stop()


def _start(port: int) -> Any:
    """Start a server whose page shows one object and no controls but ours."""
    import viser  # pyright: ignore[reportMissingImports]

    free = _is_free(port)
    # Visitors with no manners, such as scanners of ports, are of no interest to anybody.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    with contextlib.redirect_stdout(io.StringIO()):
        server = viser.ViserServer(HOST, port if free else ANY_FREE, "texcsd", verbose=False)
    address = f"http://{HOST}:{server.get_port()}"
    if free:
        logger.info("live view: %s", address)
    else:
        logger.warning("port %d is not to be had; the live view is at %s", port, address)
    server.scene.set_up_direction("+y")
    server.initial_camera.position = CAMERA
    server.initial_camera.fov = FIELD_OF_VIEW
    # A share button would offer the page to the whole internet.
    server.gui.configure_theme(show_logo=False, show_share_button=False)
    return server


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do, so that a connection just closed does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


class _Model:
    """A mesh as GLB whose pictures can be exchanged at little cost."""

    def __init__(self, mesh: Mesh, looks: Mapping[int, Picture]) -> None:
        self._numbers = sorted({*mesh.texture_numbers().unique().tolist(), *looks})
        grey = np.full((1, 1, 3), 128, np.uint8)
        self._pictures = {number: _jpeg(looks.get(number, grey)) for number in self._numbers}
        buffer = new_gltf(mesh, self._pictures, "object")
        self._tree, self._binary = buffer.tree, bytes(buffer.data)

    def glb(self, painted: Mapping[int, Picture]) -> bytes:
        """The mesh with these textures, by their numbers, instead of those it had."""
        buffer = GltfBuffer(copy.deepcopy(self._tree), self._binary)
        for image, number in zip(buffer.tree["images"], self._numbers, strict=True):
            if number in painted:
                image["bufferView"] = buffer.append_view(_jpeg(painted[number]))
        return glb_container(buffer.tree, bytes(buffer.data))


def _picture(image: Tensor) -> Picture:
    return (image[0].detach() * 255).round().byte().cpu().numpy()


def _jpeg(picture: Picture) -> bytes:
    factor = -(-max(picture.shape[:2]) // LARGEST_TEXTURE)
    stream = io.BytesIO()
    Image.fromarray(picture).reduce(factor).save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue()
