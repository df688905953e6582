"""Colour as a function of the place in space: nothing knows of texels until it is baked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from texcsd.geometry.mesh import Mesh
from texcsd.geometry.uv_wrapping import wrap_uv
from texcsd.rendering.hash_grid import encode_positions, grid_levels
from texcsd.rendering.rasterize import Surface
from texcsd.rendering.texels import surface_of_texels
from texcsd.rendering.texture import Material

LEVELS, FEATURES = 16, 2
COARSEST_CELLS = 16
HIDDEN_WIDTH = 64
MOST_ENTRIES, FEWEST_ENTRIES = 1 << 19, 1 << 12
"""Of a level; all of these are Instant-NGP's, but the fewest."""
INITIAL_FEATURE = 1e-4
POINTS_AT_A_TIME = 1 << 20
"""Bounds the memory: what the network keeps of a point for its gradient is 0.7 kB."""


class ColorField(nn.Module):
    """A multiresolution hash grid and a small network (Instant-NGP, arXiv 2201.05989).

    Neighbours in space share what is learned, also across the charts of an atlas, and the network
    gives the levels a common say. So the noise of latent diffusion stays out, which raw texels
    would keep.
    """

    def __init__(
        self,
        finest_cells: int,
        initial_color: Sequence[float] = (0.5, 0.5, 0.5),
        generator: torch.Generator | None = None,
    ) -> None:
        """Starts with nearly one colour everywhere.

        Args:
            finest_cells: Cells of the finest level along the diameter of the unit sphere.
            initial_color: sRGB in [0, 1].
            generator: Of the initial features and weights, on the CPU.
        """
        super().__init__()
        # A surface meets about as many cells as a square has, and half of an atlas is empty.
        entries = 1 << max(0, finest_cells**2 // 2 - 1).bit_length()
        entries = min(max(entries, FEWEST_ENTRIES), MOST_ENTRIES)
        coarsest = min(COARSEST_CELLS, finest_cells)
        self.levels = grid_levels(LEVELS, coarsest, finest_cells, entries)
        count = sum(level.entries for level in self.levels)
        self.table = nn.Parameter(INITIAL_FEATURE * _uniform((count, FEATURES), generator))
        self.hidden = nn.Parameter(_layer(LEVELS * FEATURES, HIDDEN_WIDTH, generator))
        self.output = nn.Parameter(_layer(HIDDEN_WIDTH, 3, generator))
        color = torch.tensor([*initial_color], dtype=torch.float32)
        self.bias = nn.Parameter(torch.logit(color, eps=1e-3))

    def forward(self, positions: Tensor) -> Tensor:
        """Colours in sRGB, float32[n, 3] in [0, 1]; differentiable in the field alone.

        Args:
            positions: float32[n, 3], in the unit sphere or hardly beyond.
        """
        return torch.sigmoid(self.logits(positions))

    def logits(self, positions: Tensor) -> Tensor:
        """The same before the sigmoid; of many positions, part by part."""
        parts = positions.split(POINTS_AT_A_TIME)
        if len(parts) == 1:
            return self._logits(positions)
        # What the network computes between its ends is computed once more for the gradient.
        found = (
            checkpoint(self._logits, part, use_reentrant=False, preserve_rng_state=False)
            for part in parts
        )
        return torch.cat([*found])  # pyright: ignore[reportArgumentType]

    def _logits(self, positions: Tensor) -> Tensor:
        features = encode_positions(self.table, positions, self.levels)
        hidden = functional.relu(features @ self.hidden)
        return hidden @ self.output + self.bias

    def sample(self, surface: Surface) -> Material:
        """The colours at the centres of the pixels that show surface; 0 elsewhere."""
        seen, logits = self.logits_of_pixels(surface)
        colors = torch.zeros_like(surface.positions).view(-1, 3)
        colors = colors.index_copy(0, seen, torch.sigmoid(logits))
        return Material(colors.view_as(surface.positions))

    def bake(self, mesh: Mesh, size: int) -> Tensor:
        """The field's own colour at every texel that lies on a mesh, float32[1, size, size, 3].

        Args:
            mesh: Fitted to the unit sphere; has uv.
            size: Texels per side.
        """
        covered, logits = self.logits_of_texels(mesh, size)
        base_color_map = torch.zeros(1, size, size, 3)
        base_color_map[0, covered] = torch.sigmoid(logits)
        return base_color_map

    def logits_of_pixels(self, surface: Surface) -> tuple[Tensor, Tensor]:
        """The pixels that show surface, as int64[n] into the flat images, and float32[n, 3]."""
        # Found once: each time a GPU is asked how many there are, the processor waits.
        seen = (surface.triangle_ids >= 0).flatten().nonzero()[:, 0]
        return seen, self.logits(surface.positions.view(-1, 3)[seen])

    @torch.no_grad()
    def logits_of_texels(self, mesh: Mesh, size: int) -> tuple[Tensor, Tensor]:
        """The texels that lie on a mesh, bool[size, size], and float32[n, 3], both on the CPU."""
        texels = surface_of_texels(wrap_uv(mesh.to("cpu")), size)
        covered = torch.from_numpy(texels.covered)
        positions = torch.from_numpy(texels.positions)[covered].to(self.table.device)
        return covered, self.logits(positions).cpu()


def _uniform(shape: tuple[int, ...], generator: torch.Generator | None) -> Tensor:
    return 2 * torch.rand(shape, generator=generator) - 1


def _layer(inputs: int, outputs: int, generator: torch.Generator | None) -> Tensor:
    """Weights float[inputs, outputs] that keep variance before a ReLU (He et al.)."""
    return (6 / inputs) ** 0.5 * _uniform((inputs, outputs), generator)
