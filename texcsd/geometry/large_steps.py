"""Steps of an optimiser that bend a surface smoothly instead of tearing at single vertices.

"Large Steps in Inverse Rendering of Geometry", Nicolet, Jacobson and Jakob 2021: what is optimised
are not the positions x but u = (I + smoothness * L) x, with the Laplacian L of the mesh as a graph,
by an Adam that scales all components alike. Here x itself is kept, and gradients and steps are
brought to u and back; that is the same, and lets others change x in between.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from scipy.sparse import coo_array
from torch import Tensor

GRADIENT_MEMORY, SIZE_MEMORY = 0.9, 0.99
"""Decay of the moments, shorter than usual: the gradients of random views are noisy."""
TOLERANCE, MOST_ITERATIONS = 1e-2, 500
"""Of the conjugate gradients: residual relative to the right side. A step need not be exact."""


class LargeSteps:
    """Adam in the coordinates u of a mesh; its moments are all it remembers."""

    def __init__(self, edges: Tensor, count: int, columns: int, smoothness: float) -> None:
        """Begin with no memory.

        Args:
            edges: int64[edge, 2], each once.
            count: Number of vertices.
            columns: Numbers to optimise per vertex.
            smoothness: Factor of the Laplacian; its root is about how many edges a step spreads.
        """
        # With narrow indices products take two thirds of the time.
        first, second = edges.cpu().int().numpy().T
        ends = np.concatenate([first, second]), np.concatenate([second, first])
        weights = np.full(2 * len(edges), smoothness, np.float32)
        links = coo_array((weights, ends), (count, count)).tocsr()
        row_starts, columns_of, values = (
            torch.from_numpy(part).to(edges.device)
            for part in (links.indptr, links.indices, links.data)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # PyTorch calls this format a beta
            self._links = torch.sparse_csr_tensor(
                row_starts, columns_of, values, (count, count), check_invariants=False
            )
        self._diagonal = (1 + smoothness * row_starts.diff().float())[:, None]
        self.steps = 0
        self.moments = {
            name: torch.zeros(count, columns, device=edges.device) for name in ("m", "v")
        }
        """Means of the gradient and of its square, float32[vertex, column] each."""

    def step(self, gradient: Tensor, learning_rate: float) -> Tensor:
        """The change, float32[vertex, column], for a gradient of that shape."""
        gradient = self.smooth(gradient)
        mean, square = self.moments["m"], self.moments["v"]
        mean.lerp_(gradient, 1 - GRADIENT_MEMORY)
        square.lerp_(gradient**2, 1 - SIZE_MEMORY)
        self.steps += 1
        corrected = mean / (1 - GRADIENT_MEMORY**self.steps)
        largest = (square.max() / (1 - SIZE_MEMORY**self.steps)).sqrt().clamp(min=1e-30)
        return self.smooth(-learning_rate / largest * corrected)

    def smooth(self, right_side: Tensor) -> Tensor:
        """Solves (I + smoothness * L) x = float32[vertex, column], by conjugate gradients."""
        solution = right_side / self._diagonal
        residual = right_side - self._times(solution)
        scaled = residual / self._diagonal
        direction, product = scaled.clone(), (residual * scaled).sum(0)
        smallest = TOLERANCE * torch.linalg.vector_norm(right_side, dim=0)
        for _ in range(MOST_ITERATIONS):
            if (torch.linalg.vector_norm(residual, dim=0) <= smallest).all():
                break
            image = self._times(direction)
            # A column that is solved has no direction left: 0 / 0 would spoil it.
            step = product / (direction * image).sum(0).clamp(min=1e-37)
            solution.addcmul_(step, direction)
            residual.addcmul_(step, image, value=-1)
            torch.div(residual, self._diagonal, out=scaled)
            product, before = (residual * scaled).sum(0), product
            direction = torch.addcmul(scaled, product / before.clamp(min=1e-37), direction)
        return solution

    def _times(self, values: Tensor) -> Tensor:
        return torch.addcmul(-(self._links @ values), self._diagonal, values)
