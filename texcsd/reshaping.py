"""The shape made anew before it is painted: its surface moves, opens and closes as guided.

The loop is that of `refinement`, but the surface is that of deep marching tetrahedra, which is
extracted in every step. Colours vary slowly in space meanwhile: what the prompt wants to vary
faster is left to light, and so to the shape.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from texcsd.checkpoint import load_tensors, save_tensors
from texcsd.geometry.dmtet import DeepMarchingTetrahedra, vertex_normals
from texcsd.rendering.cameras import Cameras
from texcsd.rendering.shape import Shape, ShapeView, render_shape

LEARNING_RATE = 0.5
"""Of the surface, in the first step, as a part of the most that it may move."""
COLOR_RATE = 0.05
"""Of the colours, before the sigmoid."""
COLOR_CELLS, COLOR_EXTENT = 12, 1.5
"""Values of the colour field along each axis, and how far from the origin the outermost are."""
CLOSENESS, SIGNS, CONSISTENCY = 0.01, 0.001, 0.01
"""How much it counts that the surface stays where it was, that it has no more area than it needs,
and that its normals stay what they were."""


class ColorGrid(nn.Module):
    """Colours everywhere in space, on a coarse grid; between its values they are interpolated."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(1, 3, COLOR_CELLS, COLOR_CELLS, COLOR_CELLS))

    def forward(self, points: Tensor) -> Tensor:
        """Colours at float32[point, 3], float32[point, 3] in sRGB; points get no gradient."""
        places = (points.detach() / COLOR_EXTENT).flip(1).view(1, -1, 1, 1, 3)
        found = functional.grid_sample(self.logits, places, align_corners=True)
        return torch.sigmoid(found.view(3, -1).T)


class Reshaping:
    """All that changes while the shape is made anew, and so all that its checkpoint holds."""

    def __init__(self, tetrahedra: DeepMarchingTetrahedra, path: Path) -> None:
        """Begin, or take up what the checkpoint at `path` holds.

        Args:
            tetrahedra: In the shape of the mesh.
            path: The checkpoint; its folder exists.
        """
        self.path = path
        self.device = tetrahedra.values.device
        self.step = 0
        self.lost_views = torch.zeros((), dtype=torch.int64, device=self.device)
        self.tetrahedra = tetrahedra
        self.colors = ColorGrid().to(self.device)
        self.optimizer = torch.optim.Adam(self.colors.parameters(), betas=(0.9, 0.99))
        self._restore()

    def save(self) -> None:
        """Write the checkpoint, replacing the last one."""
        tensors = {"color": self.colors.logits, "lost_views": self.lost_views}
        tensors |= self.tetrahedra.tensors()
        for name, moment in self.optimizer.state_dict()["state"].get(0, {}).items():
            tensors[f"color.{name}"] = moment
        save_tensors(self.path, tensors, {"step": self.step})

    def _restore(self) -> None:
        loaded = load_tensors(self.path)
        if loaded is None:
            return
        tensors, state = loaded
        self.step = state["step"]
        self.lost_views = tensors.get("lost_views", self.lost_views).to(self.device)
        self.tetrahedra.restore(tensors, self.step)
        self.colors.load_state_dict({"logits": tensors["color"]})
        moments = {
            name.removeprefix("color."): moment
            for name, moment in tensors.items()
            if name.startswith("color.")
        }
        groups = self.optimizer.state_dict()["param_groups"]
        state = {0: moments} if moments else {}
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})

    def render(self, cameras: Cameras, size: int) -> ShapeView:
        """The shape as it is now."""
        vertices, faces = self.tetrahedra.surface()
        normals = vertex_normals(vertices, faces)
        shape = Shape(vertices, faces, normals, faces, colors=self.colors(vertices))
        return render_shape(shape, cameras, size, size)

    def color(self, view: ShapeView) -> Tensor:
        """float32[view, height, width, 3]."""
        assert view.colors is not None
        return view.colors

    def regularization(self) -> Tensor:
        """How far the surface has moved and turned, and how often it crosses the lattice."""
        tetrahedra = self.tetrahedra
        moved = (tetrahedra.changes() / tetrahedra.limit).square().mean()
        return (
            CLOSENESS * moved
            + SIGNS * sign_changes(tetrahedra)
            + CONSISTENCY * squared_slopes(tetrahedra)
        )

    def advance(self, pace: float) -> None:
        """Finish a step: move the surface and change the colours along their gradients."""
        self.tetrahedra.step(pace * LEARNING_RATE)
        self.optimizer.param_groups[0]["lr"] = pace * COLOR_RATE
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1


def sign_changes(tetrahedra: DeepMarchingTetrahedra) -> Tensor:
    """Cross entropy between the signs of neighbours, summed where they differ, per vertex.

    From "Extracting triangular 3D models, materials, and lighting from images", Munkberg et al.
    2022, Equation 2: it takes away what floats beside the surface or hides inside.
    """
    logits = tetrahedra.distances() / tetrahedra.cell_size
    ends = logits[tetrahedra.grid.edges]
    ends = ends[(ends[:, 0] < 0) != (ends[:, 1] < 0)]
    other_signs = (ends.detach().flip(1) > 0).to(ends)
    entropy = functional.binary_cross_entropy_with_logits(ends, other_signs, reduction="sum")
    return entropy / len(logits)


def squared_slopes(tetrahedra: DeepMarchingTetrahedra) -> Tensor:
    """The mean square of how fast the change of the distance changes from vertex to vertex.

    That is how far normals turn. What is usual, to keep neighbouring normals alike, would wear off
    the relief that the mesh came with.
    """
    ends = tetrahedra.changes()[tetrahedra.grid.edges]
    return ((ends[:, 1] - ends[:, 0]) / tetrahedra.cell_size).square().mean()
