"""What is learned: colours on the surface of a mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from texcsd.geometry.mesh import Mesh
from texcsd.rendering import operations, torch_operations
from texcsd.rendering.rasterize import Surface

SMALLEST_LEVEL = 16
"""Texels per side below which the pyramid gets no further default level."""
INITIAL_NOISE = 0.02
"""Standard deviation, in logits, of the noise that a generator adds to each level."""


@dataclass(frozen=True)
class Material:
    """What the surface behind every pixel is made of."""

    base_color: Tensor
    """float32[view, height, width, 3], sRGB in [0, 1]; arbitrary in the background."""
    roughness: Tensor | None = None
    """float32[view, height, width, 1] in [0, 1]; None for 1, as in glTF. `shade` does without."""
    metallic: Tensor | None = None
    """float32[view, height, width, 1] in [0, 1]; None for 0, no metal. `shade` does without."""


class TexelPyramid(nn.Module):
    """A square texture as the sum of images of several resolutions, in logits of sRGB.

    Coarse levels collect the gradient of large areas, so that colours settle fast and noise stays
    out. By default the finest level has twice the texels per side of the one below it, and that one
    four times those of the next, as long as that leaves 16. Any size from 1 up will do.
    """

    def __init__(
        self,
        size: int,
        initial_color: Sequence[float] = (0.5, 0.5, 0.5),
        levels: Sequence[int] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        """Starts with one colour everywhere.

        Args:
            size: Texels per side.
            initial_color: sRGB in [0, 1].
            levels: Texels per side of each level, coarse to fine, the last equal to size.
            generator: Adds a little noise to every level, if given.
        """
        super().__init__()
        sizes = list(levels) if levels is not None else _default_levels(size)
        if not sizes or sizes[-1] != size:
            raise ValueError(f"levels {sizes} must end with the size, {size}")
        images = [torch.zeros(1, s, s, 3) for s in sizes]
        if generator is not None:
            noise = (torch.randn(image.shape, generator=generator) for image in images)
            images = [INITIAL_NOISE * image for image in noise]
        images[0] += torch.logit(torch.tensor([*initial_color], dtype=torch.float32), eps=1e-3)
        self.levels = nn.ParameterList(images)

    @classmethod
    def from_image(cls, image: Tensor) -> TexelPyramid:
        """Starts as an image: composed it is the image again, to less than half an 8-bit step.

        The second finest level holds as much of it as it can, so that the texture without its
        finest level is the image, too, at that size.

        Args:
            image: float32[1, size, size, 3], sRGB in [0, 1], row 0 on top.
        """
        pyramid = cls(image.shape[1], initial_color=(0.5, 0.5, 0.5))
        wanted = image.permute(0, 3, 1, 2)
        with torch.no_grad():
            below = torch.zeros_like(wanted)
            if len(pyramid.levels) > 1:
                size = pyramid.levels[-2].shape[1]
                smaller = torch.logit(functional.interpolate(wanted, size=size, mode="area"), 1e-3)
                pyramid.levels[-2].copy_(smaller.permute(0, 2, 3, 1))
                below = functional.interpolate(smaller, size=pyramid.size, mode="bilinear")
            finest = torch.logit(wanted, eps=1e-3) - below
            pyramid.levels[-1].copy_(finest.permute(0, 2, 3, 1))
        return pyramid

    @property
    def size(self) -> int:
        """Texels per side of the finished texture."""
        return self.levels[-1].shape[1]

    def compose(self, without_finest: bool = False) -> Tensor:
        """The texture, float32[1, size, size, 3], sRGB in [0, 1], row 0 on top.

        Each level is enlarged bilinearly to the next and added to it.

        Args:
            without_finest: Leave the finest level out if there is a coarser one: the texture has
                that one's size then, and gradients cost a quarter.
        """
        levels = list(self.levels)
        return operations.compose_pyramid(levels[:-1] if without_finest and levels[1:] else levels)

    def sample(self, surface: Surface) -> Material:
        """The texture at every pixel of the surface, filtered over the area the pixel covers."""
        return sample_map(self.compose(), surface)


def sample_map(base_color_map: Tensor, surface: Surface) -> Material:
    """Looks a texture of colours up; see `sample_image`."""
    return Material(sample_image(base_color_map, surface))


def sample_image(image: Tensor, surface: Surface) -> Tensor:
    """Looks an image up at every pixel, mip-mapped; it repeats outside [0, 1], as glTF's textures.

    Args:
        image: float32[1, rows, columns, channel], row 0 on top; differentiable.
        surface: Gives uv and the area of each pixel.

    Returns:
        float32[view, height, width, channel], 0 in the background.
    """
    # The one place where v (up) becomes a row (down). Footprints are as large either way.
    rows = torch.stack([surface.uv[..., 0], 1 - surface.uv[..., 1]], -1)
    derivatives = surface.uv_derivatives
    seen = surface.triangle_ids >= 0
    return operations.texture(image, rows, derivatives, mask=seen)


def textures_of_pixels(mesh: Mesh, surface: Surface) -> Tensor | None:
    """The number of the texture behind every pixel, int64[view, height, width].

    Anything in the background; None for a mesh of one texture.
    """
    return None if mesh.textures is None else mesh.textures[surface.triangle_ids.clamp(min=0)]


def sample_maps(
    base_color_maps: Mapping[int, Tensor], surface: Surface, textures: Tensor | None
) -> Material:
    """Looks each pixel up in the texture that its face shows; see `sample_map`.

    Args:
        base_color_maps: By number, float[1, rows, columns, 3] each; those in view will do.
        surface: Gives uv and the area of each pixel.
        textures: Of `textures_of_pixels`.
    """
    if textures is None:
        return sample_map(base_color_maps[0], surface)
    color = torch.zeros_like(surface.positions)
    for number, base_color_map in base_color_maps.items():
        part = replace(surface, triangle_ids=only_ids(surface, textures, number))
        if (part.triangle_ids >= 0).any():
            color = color + sample_map(base_color_map, part).base_color
    return Material(color)


def only_ids(surface: Surface, textures: Tensor | None, number: int) -> Tensor:
    """The triangles of a surface that show one of the textures, int64 like `triangle_ids`, or -1.

    Args:
        surface: Any.
        textures: Of `textures_of_pixels`.
        number: Of the texture.
    """
    ids = surface.triangle_ids
    return ids if textures is None else ids.masked_fill(textures != number, -1)


def count_pixels(surface: Surface, counts: Tensor) -> None:
    """Adds to each texel the number of pixels whose centre shows it.

    Args:
        surface: Any.
        counts: int32[size, size], row 0 on top; changed.
    """
    if counts.device.type == "cpu":
        from texcsd.rendering import numba_texturing

        return numba_texturing.count_pixels(surface.triangle_ids, surface.uv, counts)
    torch_operations.count_pixels(surface.triangle_ids, surface.uv, counts)


def _default_levels(size: int) -> list[int]:
    candidates = (size // 32, size // 8, size // 2)
    return [coarse for coarse in candidates if coarse >= SMALLEST_LEVEL] + [size]
