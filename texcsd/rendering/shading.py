"""Material and light to image, diffuse or physically based; linear colour to sRGB and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from texcsd.rendering.cameras import Cameras
from texcsd.rendering.rasterize import Surface
from texcsd.rendering.reflectance import (
    Environment,
    Reflector,
    distant_light,
    environment_light,
)
from texcsd.rendering.texture import Material
from texcsd.rendering.transfer import send


@dataclass(frozen=True)
class Lights:
    """One distant light and an ambient one per view."""

    direction: Tensor
    """float32[view, 3], unit, towards the light, in world space."""
    ambient: Tensor
    """float32[view], share of the light that comes from everywhere, in [0, 1]."""
    exposure: Tensor
    """float32[view], factor on the linear image."""


def srgb_to_linear(srgb: Tensor) -> Tensor:
    """Decodes sRGB (IEC 61966-2-1), any shape; the gradient is finite everywhere in [0, 1]."""
    curve = ((srgb.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(srgb <= 0.04045, srgb / 12.92, curve)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Encodes to sRGB (IEC 61966-2-1), any shape; the gradient is finite everywhere in [0, 1]."""
    curve = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, curve)


def random_lights(cameras: Cameras, generator: torch.Generator) -> Lights:
    """Lights from about where each camera is, mostly from above; another one for every view."""
    device, drawn_on = cameras.fov_degrees.device, generator.device
    across = send(torch.randn(len(cameras), 2, generator=generator, device=drawn_on), device)
    scalars = send(torch.rand(len(cameras), 2, generator=generator, device=drawn_on), device)
    toward = torch.stack(
        [0.7 * across[:, 0], 0.5 + 0.5 * across[:, 1], torch.ones_like(across[:, 0])], 1
    )
    return Lights(
        _to_world(cameras, toward), 0.45 + 0.35 * scalars[:, 0], 0.9 + 0.2 * scalars[:, 1]
    )


def camera_lights(cameras: Cameras) -> Lights:
    """The light of previews, from above the left shoulder of each camera."""
    toward = torch.tensor([-0.4, 0.7, 1.0], device=cameras.fov_degrees.device)
    ones = torch.ones_like(cameras.fov_degrees)
    return Lights(_to_world(cameras, toward.expand(len(cameras), 3)), 0.55 * ones, ones)


def shade(material: Material, surface: Surface, lights: Lights, background: Tensor) -> Tensor:
    """Diffuse shading over a background, float32[view, height, width, 3], sRGB in [0, 1].

    linear = base_color * exposure * (ambient + (1 - ambient) * max(0, normal . light)), at most 1

    Differentiable in everything but the coverage.

    Args:
        material: Of every pixel of the surface.
        surface: Where there is surface, and its normals.
        lights: One per view.
        background: float[view or 1, 1, 1, 3] or float[view or 1, height, width, 3], sRGB.
    """
    fixed = surface.normals, lights.direction, lights.ambient, lights.exposure, background
    if background.device.type == "cpu" and not any(tensor.requires_grad for tensor in fixed):
        from texcsd.rendering import numba_operations

        light = lights.direction, lights.ambient, lights.exposure
        seen = surface.normals, surface.coverage
        behind = background.expand(len(surface.normals), -1, -1, -1)
        return numba_operations.shade(material.base_color, *seen, light, behind)
    return _shade(material, surface, lights, background)


def _shade(material: Material, surface: Surface, lights: Lights, background: Tensor) -> Tensor:
    """The same in torch, differentiable in everything, on any device."""
    ambient, exposure = lights.ambient[:, None, None, None], lights.exposure[:, None, None, None]
    facing = (surface.normals * lights.direction[:, None, None]).sum(-1, keepdim=True).clamp(min=0)
    light = exposure * (ambient + (1 - ambient) * facing)
    lit = linear_to_srgb((srgb_to_linear(material.base_color) * light).clamp(0, 1))
    return torch.where(surface.coverage > 0, lit, background)


def shade_physically(
    material: Material,
    surface: Surface,
    cameras: Cameras,
    lights: Lights,
    background: Tensor,
    environment: Environment | None = None,
) -> Tensor:
    """Rough and metallic surfaces over a background, float32[view, height, width, 3], sRGB.

    linear = exposure * (ambient * environment + (1 - ambient) * distant light), at most 1

    The same lights as in `shade`, where a surface that reflects everything diffusely looks alike;
    how light is reflected is in `reflectance`. Differentiable in everything but the coverage.

    Args:
        material: Of every pixel of the surface.
        surface: What the cameras see.
        cameras: Highlights depend on where the eye is.
        lights: One per view.
        background: float[view or 1, 1, 1, 3] or float[view or 1, height, width, 3], sRGB.
        environment: Light from all around; None for white light, the same from everywhere.
    """
    view, row, column = (surface.coverage[..., 0] > 0).nonzero(as_tuple=True)
    offsets = cameras.eyes[view] - surface.positions[view, row, column]

    def seen(image: Tensor | None, default: float) -> Tensor:
        if image is None:
            return torch.full_like(offsets[:, 0], default)
        return image[view, row, column, 0]

    reflector = Reflector(
        srgb_to_linear(material.base_color[view, row, column]),
        roughness=seen(material.roughness, 1.0),
        metallic=seen(material.metallic, 0.0),
        normals=surface.normals[view, row, column],
        towards_eye=torch.nn.functional.normalize(offsets, dim=1),
    )
    ambient, exposure = lights.ambient[view, None], lights.exposure[view, None]
    around = environment_light(reflector, environment or _uniform_light(offsets))
    distant = math.pi * distant_light(reflector, lights.direction[view])
    lit = exposure * (ambient * around + (1 - ambient) * distant)
    images = background.expand(*surface.coverage.shape[:3], 3)
    return images.index_put((view, row, column), linear_to_srgb(lit.clamp(0, 1)))


def _uniform_light(like: Tensor) -> Environment:
    up = like.new_tensor([[0.0, 1.0, 0.0]])
    return Environment(up, like.new_zeros(1), torch.ones_like(up))


def downsample(images: Tensor, factor: int) -> Tensor:
    """Averages float[view, height, width, channel] over boxes of factor x factor pixels."""
    channels_first = images.permute(0, 3, 1, 2)
    return torch.nn.functional.avg_pool2d(channels_first, factor).permute(0, 2, 3, 1)


def _to_world(cameras: Cameras, directions: Tensor) -> Tensor:
    rotated = (cameras.camera_to_world[:, :3, :3] @ directions[:, :, None])[:, :, 0]
    return torch.nn.functional.normalize(rotated, dim=1)
