"""The renderer alone: recover a shape from its silhouettes, without any diffusion.

Uses `rasterize` and `antialias` of texcsd and nothing else of it. What is visible tells nothing of
how a silhouette moves; antialiasing has the gradient for that. Takes ten seconds and writes
fitted_silhouette.png: four views of the shape to be found above those of the one that was found.
"""

import itertools

import torch
import trimesh
from PIL import Image

from texcsd.geometry.edges import find_edges
from texcsd.rendering.antialias import antialias
from texcsd.rendering.operations import rasterize

sphere = trimesh.creation.icosphere(subdivisions=4)
directions, faces = torch.tensor(sphere.vertices).float(), torch.tensor(sphere.faces)
edges = find_edges(faces)
# The radius in every direction is a polynomial in x, y and z, whose coefficients are unknown.
powers = [p for p in itertools.product(range(5), repeat=3) if sum(p) <= 4]
terms = torch.stack([(directions ** torch.tensor(p)).prod(1) for p in powers], 1)
x, y, z = directions.unbind(1)
wanted = 0.7 + 1.2 * x * y * z + 0.2 * y**2 - 0.4 * x**2 * z**2


def silhouettes(radius: torch.Tensor, rotations: torch.Tensor) -> torch.Tensor:
    """White on black, float[view, 64, 64, 1], from a distance of 4."""
    x, y, z = ((radius[:, None] * directions) @ rotations).unbind(2)
    w = 4 - z
    clip_positions = torch.stack([3.5 * x, 3.5 * y, 1.5 * w - 4, w], 2)
    found = rasterize(clip_positions.detach(), faces, (64, 64))
    covered = (found.triangle_ids >= 0).float()[..., None]
    return antialias(covered, found, clip_positions, edges)


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    coefficients = torch.zeros(len(powers))
    coefficients[powers.index((0, 0, 0))] = 0.6
    optimizer = torch.optim.Adam([coefficients.requires_grad_()], lr=0.02)
    for step in range(301):
        rotations = torch.linalg.qr(torch.randn(4, 3, 3, generator=generator))[0]
        radius = terms @ coefficients
        error = (silhouettes(radius, rotations) - silhouettes(wanted, rotations)).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        if step % 50 == 0:
            difference = (radius - wanted).abs().mean().item()
            print(f"step {step}: error {error.item():.6f}, radius off by {difference:.4f}")
    pictures = torch.cat([silhouettes(r, rotations) for r in (wanted, radius.detach())], 1)
    picture = pictures.transpose(0, 1).flatten(1, 2)[..., 0]
    Image.fromarray((255 * picture).byte().numpy()).save("fitted_silhouette.png")


if __name__ == "__main__":
    main()
