"""Light on rough and metallic surfaces: the reflectance of glTF 2.0, with gradients to everything.

Diffuse and GGX specular reflection (glTF 2.0 specification, appendix B; Walter et al. 2007,
"Microfacet models for refraction through rough surfaces"; Heitz 2014, "Understanding the
masking-shadowing function"; Schlick 1994). Colours here are linear.

For a distant light the formula is evaluated as it is. An environment is a sum of spherical
gaussians. What it gives to a diffuse surface is summed in zonal harmonics (Ramamoorthi and Hanrahan
2001). For the specular part it is split (Karis 2013, "Real shading in Unreal Engine 4"): what a
surface reflects altogether is tabulated, and where it looks for that is replaced by the spherical
gaussian of the same mean direction and spread, whose product with another has an exact integral.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from texcsd.rendering import operations

DIELECTRIC_REFLECTANCE = 0.04
"""Of everything that is no metal, seen from straight ahead: a refractive index of 1.5."""
LEAST_ROUGHNESS = 0.045
"""Smoother surfaces reflect distant lights as dots smaller than pixels."""
LEAST_COSINE = 1e-4
TABLE_SIZE = 64
"""Entries of the table along the cosine of the view and along roughness."""
SAMPLES = 256
"""Per entry of the table."""
CLAMPED_COSINE = (math.pi, 2 * math.pi / 3, math.pi / 4, 0.0, -math.pi / 24, 0.0, math.pi / 64)
"""Zonal harmonics of max(0, cosine); what follows is less than a hundredth."""


@dataclass(frozen=True)
class Environment:
    """Light from all around: radiance(d) = sum of radiance * exp(sharpness * (d . axis - 1))."""

    axes: Tensor
    """float[lobe, 3], unit, towards where the light comes from, in world space."""
    sharpness: Tensor
    """float[lobe], from 0, the same from everywhere, to about 1000, a spot three degrees wide."""
    radiance: Tensor
    """float[lobe, 3], linear, in the middle of the lobe."""

    def to(self, device: torch.device | str) -> Environment:
        """Returns the same light on another device."""
        return Environment(
            self.axes.to(device), self.sharpness.to(device), self.radiance.to(device)
        )


class Reflector(NamedTuple):
    """Points of surfaces, and where they are seen from."""

    base_color: Tensor
    """float[point, 3], linear."""
    roughness: Tensor
    """float[point], perceptual: the width of the highlight is its square."""
    metallic: Tensor
    """float[point]."""
    normals: Tensor
    """float[point, 3], unit."""
    towards_eye: Tensor
    """float[point, 3], unit."""

    @property
    def diffuse_color(self) -> Tensor:
        """float[point, 3]: metals have none."""
        return self.base_color * (1 - self.metallic)[:, None]

    @property
    def specular_color(self) -> Tensor:
        """float[point, 3], reflected from straight ahead."""
        metallic = self.metallic[:, None]
        return DIELECTRIC_REFLECTANCE + metallic * (self.base_color - DIELECTRIC_REFLECTANCE)


def distant_light(reflector: Reflector, direction: Tensor) -> Tensor:
    """Radiance float[point, 3] towards the eye, per irradiance of a surface that faces the light.

    Args:
        reflector: The points.
        direction: float[point, 3], unit, towards the light.
    """
    half = torch.nn.functional.normalize(direction + reflector.towards_eye, dim=1)
    to_light = _dot(reflector.normals, direction)
    to_eye = _dot(reflector.normals, reflector.towards_eye).clamp(min=LEAST_COSINE)
    alpha = reflector.roughness.clamp(min=LEAST_ROUGHNESS).square()
    lit = to_light.clamp(min=LEAST_COSINE)
    facets = _distribution(_dot(reflector.normals, half).clamp(0, 1), alpha)
    specular = facets * _visibility(lit, to_eye, alpha)
    fresnel = _fresnel(_dot(reflector.towards_eye, half).clamp(0, 1))[:, None]
    tint = reflector.specular_color + (1 - reflector.specular_color) * fresnel
    reflectance = (1 - tint) * reflector.diffuse_color / math.pi + tint * specular[:, None]
    return reflectance * to_light.clamp(min=0)[:, None]


def environment_light(reflector: Reflector, environment: Environment) -> Tensor:
    """Radiance float[point, 3] towards the eye that an environment gives."""
    to_eye = _dot(reflector.normals, reflector.towards_eye).clamp(LEAST_COSINE, 1)
    table = _look_up(to_eye, reflector.roughness)
    scale, offset, along, away = table.unbind(1)
    albedo = reflector.specular_color * scale[:, None] + offset[:, None]
    # The mean of where it looks, in the plane of the normal and the eye.
    sideways = reflector.normals * to_eye[:, None] - reflector.towards_eye
    sideways = torch.nn.functional.normalize(sideways, dim=1)
    mean = along[:, None] * reflector.normals + away[:, None] * sideways
    length = torch.linalg.vector_norm(mean, dim=1).clamp(max=1 - 1e-6)
    # The sharpness of a gaussian with this mean, within a few percent (Banerjee et al. 2005).
    sharpness = length * (3 - length.square()) / (1 - length.square())
    axis = torch.nn.functional.normalize(mean, dim=1)
    specular = _seen_through(axis, sharpness, environment)
    diffuse = _irradiance(reflector.normals, environment) / math.pi
    return (1 - albedo) * reflector.diffuse_color * diffuse + albedo * specular


def _dot(first: Tensor, second: Tensor) -> Tensor:
    return (first * second).sum(-1)


def _fresnel(cosine: Tensor) -> Tensor:
    """How far reflection is on its way to being total (Schlick)."""
    return (1 - cosine) ** 5


def _distribution(cosine: Tensor, alpha: Tensor) -> Tensor:
    """Density of the GGX facets whose normal is this far from the surface's."""
    squared = alpha.square()
    return squared / (math.pi * (cosine.square() * (squared - 1) + 1).square())


def _visibility(to_light: Tensor, to_eye: Tensor, alpha: Tensor) -> Tensor:
    """Smith's masking and shadowing, correlated by height, over 4 times both cosines."""
    squared = alpha.square()
    masked = to_light * (to_eye.square() * (1 - squared) + squared).sqrt()
    shadowed = to_eye * (to_light.square() * (1 - squared) + squared).sqrt()
    return 0.5 / (masked + shadowed)


def _irradiance(normals: Tensor, environment: Environment) -> Tensor:
    """float[point, 3]."""
    cosine = normals @ environment.axes.T
    basis = torch.stack(list(_legendre(cosine)), -1)
    factors = _zonal_harmonics(environment.sharpness) * cosine.new_tensor(CLAMPED_COSINE)
    return (basis * factors).sum(-1) @ environment.radiance


def _zonal_harmonics(sharpness: Tensor) -> Tensor:
    """float[lobe, degree]: exp(sharpness * (t - 1)) is the sum of these times Legendre's P(t)."""
    nodes, weights = _gauss_legendre(96, sharpness.dtype, sharpness.device)
    # With t = 1 - 2 q^2 the lobe is a bell around q = 0, which 96 nodes do resolve.
    bell = torch.exp(-2 * sharpness[:, None] * nodes.square()) * 4 * nodes * weights
    integrals = [(bell * p).sum(1) for p in _legendre(1 - 2 * nodes.square())]
    return torch.stack([(2 * k + 1) / 2 * value for k, value in enumerate(integrals)], 1)


def _legendre(cosine: Tensor) -> list[Tensor]:
    """Legendre polynomials, as many as CLAMPED_COSINE has."""
    values = [torch.ones_like(cosine), cosine]
    for degree in range(1, len(CLAMPED_COSINE) - 1):
        following = (2 * degree + 1) * cosine * values[-1] - degree * values[-2]
        values.append(following / (degree + 1))
    return values


@cache
def _gauss_legendre(count: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Nodes in [0, 1] and their weights: eigenvalues of Jacobi's matrix (Golub and Welsch 1969)."""
    degree = torch.arange(1, count, dtype=torch.float64)
    beside = degree / (4 * degree.square() - 1).sqrt()
    values, vectors = torch.linalg.eigh(torch.diag(beside, 1) + torch.diag(beside, -1))
    nodes, weights = (values + 1) / 2, vectors[0].square()
    return nodes.to(device, dtype), weights.to(device, dtype)


def _seen_through(axis: Tensor, sharpness: Tensor, environment: Environment) -> Tensor:
    """Mean radiance float[point, 3] of an environment, weighed by gaussians float[point, 3]."""
    together = sharpness[:, None, None] * axis[:, None] + (
        environment.sharpness[:, None] * environment.axes
    )
    length = (together.square().sum(2) + 1e-12).sqrt()
    # Integrals of gaussians over the sphere are 2 pi (1 - exp(-2 k)) / k.
    product = torch.exp(length - sharpness[:, None] - environment.sharpness) * _width(length)
    return (product / _width(sharpness)[:, None]) @ environment.radiance


def _width(sharpness: Tensor) -> Tensor:
    """(1 - exp(-2 k)) / k, 2 at 0."""
    safe = sharpness.clamp(min=1e-4)
    return torch.where(sharpness < 1e-4, 2 - 2 * sharpness, -torch.expm1(-2 * safe) / safe)


def _look_up(to_eye: Tensor, roughness: Tensor) -> Tensor:
    """The table's float[point, 4], blended."""
    table = reflection_table().to(to_eye.device)
    places = torch.stack([to_eye, roughness.clamp(LEAST_ROUGHNESS, 1)], 1).float()[None, None]
    places = (places * (TABLE_SIZE - 1) + 0.5) / TABLE_SIZE  # from 0 to 1 between texel centres
    return operations.texture(table, places, boundary="clamp")[0, 0].to(to_eye)


@cache
def reflection_table() -> Tensor:
    """What a surface reflects of light that is the same from everywhere, float32[1, 64, 64, 4].

    Rows are roughness, columns the cosine between normal and eye, both from 0 to 1. Channels: scale
    and offset of the specular colour, which give the share reflected; the mean direction of where
    the light comes from, along the normal, and along the surface away from the eye.
    """
    steps = torch.linspace(0, 1, TABLE_SIZE, dtype=torch.float64)
    to_eye, alpha = steps.clamp(min=LEAST_COSINE)[:, None], steps[:, None, None].square()
    alpha = alpha.clamp(min=LEAST_ROUGHNESS**2)
    eye_out = (1 - to_eye.square()).sqrt()
    out, up = _visible_facets(eye_out, to_eye, alpha)
    eye_to_facet = eye_out * out + to_eye * up
    to_light = (2 * eye_to_facet * up - to_eye).clamp(min=0)
    light_out = 2 * eye_to_facet * out - eye_out
    # Of what the facets reflect, others hide a part: G2 / G1 of Heitz 2014.
    root = (to_eye.square() * (1 - alpha.square()) + alpha.square()).sqrt()
    weight = 2 * (to_eye + root) * to_light * _visibility(to_light.clamp(min=1e-9), to_eye, alpha)
    fresnel = _fresnel(eye_to_facet.clamp(0, 1))
    total = weight.mean(2)
    along, away = ((weight * part).mean(2) / total for part in (to_light, -light_out))
    scale, offset = ((weight * part).mean(2) for part in (1 - fresnel, fresnel))
    return torch.stack([scale, offset, along, away], 2).float()[None]


def _visible_facets(eye_out: Tensor, to_eye: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Normals of GGX facets as often as the eye sees them, away from and along the surface's.

    Heitz 2018, "Sampling the GGX distribution of visible normals", at Hammersley's points.
    """
    first = (torch.arange(SAMPLES, dtype=torch.float64) + 0.5) / SAMPLES
    bits = (SAMPLES - 1).bit_length()
    second = [int(f"{k:0{bits}b}"[::-1], 2) / SAMPLES for k in range(SAMPLES)]
    around = 2 * math.pi * (torch.tensor(second, dtype=torch.float64) + 0.5 / SAMPLES)
    length = ((alpha * eye_out).square() + to_eye.square()).sqrt()
    stretched_out, stretched_up = alpha * eye_out / length, to_eye / length
    across, share = first.sqrt() * torch.cos(around), (1 + stretched_up) / 2
    height = (1 - share) * (1 - across.square()).sqrt() + share * first.sqrt() * torch.sin(around)
    front = (1 - across.square() - height.square()).clamp(min=0).sqrt()
    out = alpha * (front * stretched_out - height * stretched_up)
    up = (front * stretched_up + height * stretched_out).clamp(min=1e-9)
    length = (out.square() + (alpha * across).square() + up.square()).sqrt()
    return out / length, up / length
