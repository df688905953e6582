"""The renderer alone: recover a texture from pictures of a torus, without any diffusion.

Uses `texcsd.rendering.operations` and nothing else of texcsd. Takes ten seconds on a CPU and writes
fitted_texture.png: the texture to be found on the left, the one that was found on the right.
"""

import math

import torch
from PIL import Image

from texcsd.rendering.operations import interpolate, rasterize, texture

# A torus: a grid of (u, v) in [0, 1], bent twice.
steps = torch.linspace(0, 1, 65)
uv = torch.cartesian_prod(steps, steps)
around, across = (2 * math.pi * uv).unbind(1)
radius = 1 + 0.5 * torch.cos(across)
points = torch.stack([radius * around.cos(), 0.5 * across.sin(), radius * around.sin()], 1)
corner = (65 * torch.arange(64)[:, None] + torch.arange(64)).view(-1)
square = torch.stack([corner, corner + 65, corner + 66, corner + 1], 1)
faces = torch.cat([square[:, [0, 1, 2]], square[:, [0, 2, 3]]])

rows, columns = torch.meshgrid(torch.arange(128), torch.arange(128), indexing="ij")
stripes = (columns // 16 + rows // 16) % 2
wanted = torch.stack([stripes, rows / 127, columns / 127], -1).float()[None]


def views(count: int, generator: torch.Generator) -> torch.Tensor:
    """Clip positions float[view, vertex, 4] from random sides, at a distance of 4."""
    rotations = torch.linalg.qr(torch.randn(count, 3, 3, generator=generator))[0]
    x, y, z = (points @ rotations).unbind(2)
    w = 4 - z
    return torch.stack([2 * x, 2 * y, 1.5 * w - 4, w], 2)  # z/w in [-1, 1] from w = 1.6 to 8


def render(image: torch.Tensor, clip_positions: torch.Tensor) -> torch.Tensor:
    rasterization = rasterize(clip_positions, faces, (96, 96))
    coordinates, derivatives = interpolate(uv, rasterization, faces, with_derivatives=True)
    return texture(image, coordinates, derivatives, mask=rasterization.triangle_ids >= 0)


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    found = torch.full_like(wanted, 0.5).requires_grad_()
    optimizer = torch.optim.Adam([found], lr=0.05)
    for step in range(301):
        clip_positions = views(4, generator)
        error = (render(found, clip_positions) - render(wanted, clip_positions)).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        if step % 50 == 0:
            print(f"step {step}: error {error.item():.6f}")
    both = torch.cat([wanted, found.detach()], 2)[0].clamp(0, 1)
    Image.fromarray((255 * both).byte().numpy()).save("fitted_texture.png")


if __name__ == "__main__":
    main()
