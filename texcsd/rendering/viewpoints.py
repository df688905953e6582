"""What close-ups look at: points of a surface, and the directions from which each can be seen.

Much of a real mesh is inside, where no camera sees it. A close-up of a point there would show what
hides the point instead: from far too near, and taken for larger than it is.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from texcsd.geometry.mesh import Mesh, SurfaceSampler
from texcsd.rendering.cameras import random_directions
from texcsd.rendering.visibility import seen_from_afar

POINTS = 4096
DIRECTIONS = 64
VIEW_SIZE = 256
"""In pixels, of the views that tell what is hidden."""
WIDEST_ANGLE = 65.0
"""Degrees between the normal of the point looked at and the direction to the eye."""


class Viewpoints:
    """Points of a mesh that can be seen, uniform by area, and the directions they are seen from.

    The directions are at most WIDEST_ANGLE off the normal, on either side of the face, or else the
    one that is least. Of a mesh that is all hidden from the elevations of painting, every point
    counts as seen.
    """

    def __init__(self, mesh: Mesh, part: Mesh, generator: torch.Generator) -> None:
        """Look at a mesh from many sides.

        Args:
            mesh: Upright, fits the unit sphere, is on the CPU; needs no uv.
            part: The faces of it to look at.
            generator: The only source of randomness.
        """
        points, normals = SurfaceSampler(part).draw(POINTS, generator)
        directions = random_directions(DIRECTIONS, generator)
        facing = (normals @ directions.to(normals).T).abs()
        seen = seen_from_afar(mesh, points, directions, VIEW_SIZE)
        if not seen.any():
            seen = torch.ones_like(seen)
        most = facing.masked_fill(~seen, 0).amax(1, keepdim=True)
        suited = seen & (facing >= most.clamp(max=math.cos(math.radians(WIDEST_ANGLE))))
        some_see = seen.any(1)
        self.points, self.suited = points[some_see], suited[some_see]
        self.directions = directions

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw points, and for each one of the directions from which it can be seen.

        Args:
            count: Number of points.
            generator: The only source of randomness.

        Returns:
            Positions float[count, 3] and unit directions towards the eye float[count, 3].
        """
        chosen = torch.randint(len(self.points), (count,), generator=generator)
        lots = torch.rand(count, len(self.directions), generator=generator)
        direction = lots.masked_fill(~self.suited[chosen], -1).argmax(1)
        return self.points[chosen], self.directions[direction]
