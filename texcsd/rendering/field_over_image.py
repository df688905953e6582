"""An image that a colour field changes: what the field leaves alone keeps the image's detail."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from texcsd.geometry.mesh import Mesh
from texcsd.rendering.color_field import ColorField
from texcsd.rendering.rasterize import Surface
from texcsd.rendering.texture import Material, sample_image

NEAREST = 0.03
"""To 0 and 1, of colours whose logits the field is added to. Nearer, the sigmoid hardly rises: with
0.001 a yellow duck that was to become wood remained red."""


class FieldOverImage(nn.Module):
    """A texture in logits of sRGB plus a colour field: sigmoid(logit(image) + field(position)).

    Of colours nearer to 0 or 1 than NEAREST the logit is that of the nearest such colour, and what
    they differ from it stays. The field starts at zero, so that the first step shows the image
    exactly. Where it may not change it is the image itself.
    """

    image: Tensor

    def __init__(
        self, image: Tensor, may_change: Tensor, generator: torch.Generator | None = None
    ) -> None:
        """Starts as the image.

        Args:
            image: float32[1, size, size, 3], sRGB in [0, 1], row 0 on top.
            may_change: bool[1, size, size, 1].
            generator: Of the field's initial features and weights, on the CPU.
        """
        super().__init__()
        self.field = ColorField(image.shape[1], generator=generator)
        with torch.no_grad():
            self.field.output.zero_()
            self.field.bias.zero_()
        # Whoever goes on from a checkpoint brings the image again.
        self.register_buffer("image", torch.cat([image, may_change], -1), persistent=False)

    def sample(self, surface: Surface) -> Material:
        """The changed image at every pixel that shows surface; 0 elsewhere.

        The image is filtered over the area that a pixel covers, the field read at its centre.
        """
        seen, logits = self.field.logits_of_pixels(surface)
        pixels = sample_image(self.image, surface).view(-1, 4)[seen]
        colors = torch.zeros_like(surface.positions).view(-1, 3)
        return Material(
            colors.index_copy(0, seen, _changed(pixels, logits)).view_as(surface.positions)
        )

    def bake(self, mesh: Mesh, size: int) -> Tensor:
        """The changed image, float32[1, size, size, 3]; the image itself beside the charts.

        Args:
            mesh: Fitted to the unit sphere; has uv.
            size: Texels per side, no more than the image has.
        """
        covered, logits = self.field.logits_of_texels(mesh, size)
        rows = functional.interpolate(self.image.permute(0, 3, 1, 2), size=size, mode="area")
        pixels = rows.permute(0, 2, 3, 1).cpu()
        base_color_map = pixels[..., :3].clone()
        base_color_map[0, covered] = _changed(pixels[0, covered], logits)
        return base_color_map


def _changed(pixels: Tensor, logits: Tensor) -> Tensor:
    """Colours float32[n, 3] and the share of them that may change, [n, 4]; by how much, [n, 3]."""
    colors, may_change = pixels.split([3, 1], -1)
    before = torch.logit(colors, eps=NEAREST)
    changed = colors + (torch.sigmoid(before + logits) - torch.sigmoid(before))
    return torch.lerp(colors, changed.clamp(0, 1), may_change)
