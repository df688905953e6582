"""How close a painted mesh comes to the material its prompt names, without a second network.

The embedded model's materials are functions of space, so each can be put on any mesh exactly. A
painting is compared with these references by the sliced Wasserstein distance between patches of
renderings at three scales (as in Karras et al. 2018, arXiv 1710.10196, section 5), and counts as
recognised if the reference of its own material is the nearest of all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from texcsd.embedded.captions import Look, usual_look
from texcsd.embedded.materials import COLORS, MATERIALS
from texcsd.embedded.scenes import PATTERN_OFFSET
from texcsd.geometry.mesh import Mesh, fit_to_unit_sphere, load_mesh
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.rasterize import Surface, rasterize_mesh
from texcsd.rendering.shading import camera_lights, shade
from texcsd.rendering.texture import Material, sample_map

VIEWS, SIZE, PATCH, PATCHES, PROJECTIONS, SCALES = 6, 192, 7, 3000, 96, 3

RECOGNISABLE = {
    "leather": "leather",
    "brick": "brick",
    "wood": "wood",
    "zebra": "zebra",
    "gold": "gold",
    "grass": "grass",
    "lava": "lava",
    "red plaid": "plaid",
    "blue and white stripes": "stripes",
}
"""Prompt to the first word of its material."""


def read_painting(folder: Path) -> tuple[dict[str, Any], Mesh, Tensor]:
    """Of a finished result: its report, mesh, and only texture, float[1, rows, columns, 3]."""
    report = json.loads((folder / "run.json").read_text())
    mesh = fit_to_unit_sphere(load_mesh(folder / report["outputs"]["mesh"]))
    texture = Image.open(folder / "textures" / "base_color.png").convert("RGB")
    return report, mesh, torch.from_numpy(np.asarray(texture, np.float32) / 255)[None]


def orbit_surface(mesh: Mesh) -> tuple[Surface, Tensor]:
    """Six views around the mesh, and a function's worth of light: Surface and lights."""
    cameras = orbit_cameras(VIEWS, elevation_degrees=20)
    return rasterize_mesh(mesh, cameras, SIZE, SIZE), camera_lights(cameras)


def render_map(surface: Surface, lights, base_color_map: Tensor) -> Tensor:
    """The painted mesh on grey, float[view, size, size, 3]."""
    return shade(sample_map(base_color_map, surface), surface, lights, _grey())


def render_look(surface: Surface, lights, look: Look) -> Tensor:
    """The mesh made of the material itself."""
    base_color = torch.zeros_like(surface.positions)
    mask = surface.coverage[..., 0] > 0
    pattern_points = surface.positions[mask] + PATTERN_OFFSET / 2
    base_color[mask] = look.base_color(pattern_points, surface.normals[mask])
    return shade(Material(base_color), surface, lights, _grey())


def reference_looks() -> dict[str, Look]:
    """Every material in its usual colours; stripes in blue and white as the prompts ask."""
    looks = {material.words[0]: usual_look(material) for material in MATERIALS}
    style = looks["stripes"].style
    style.first.copy_(torch.tensor(COLORS["blue"]))
    style.second.copy_(torch.tensor(COLORS["white"]))
    return looks


def patch_sets(images: Tensor, coverage: Tensor) -> list[Tensor]:
    """Random patches that lie on the object, per scale float[patches, PATCH * PATCH * 3]."""
    sets = []
    for scale in range(SCALES):
        k = 2**scale
        small = torch.nn.functional.avg_pool2d(images.permute(0, 3, 1, 2), k)
        solid = torch.nn.functional.avg_pool2d(coverage.permute(0, 3, 1, 2), k)
        windows = torch.nn.functional.unfold(small, PATCH).transpose(1, 2).flatten(0, 1)
        inside = torch.nn.functional.unfold(solid, PATCH).amin(1).flatten() > 0.99
        windows = windows[inside]
        pick = torch.randint(
            len(windows), (PATCHES,), generator=torch.Generator().manual_seed(scale)
        )
        sets.append(windows[pick])
    return sets


def sliced_wasserstein(first: list[Tensor], second: list[Tensor]) -> float:
    """Mean over scales of the sliced Wasserstein-1 distance; 0 for the same patches."""
    total = 0.0
    for a, b in zip(first, second, strict=True):
        generator = torch.Generator().manual_seed(9)
        directions = torch.randn(a.shape[1], PROJECTIONS, generator=generator)
        # Mean colour counts as one direction among many unless it is given its due.
        directions = torch.cat([directions, torch.eye(3).repeat(PATCH * PATCH, 1)], 1)
        directions = torch.nn.functional.normalize(directions, dim=0)
        gap = (a @ directions).sort(0).values - (b @ directions).sort(0).values
        total += gap.abs().mean().item()
    return total / len(first)


def reference_patches(surface: Surface, lights) -> dict[str, list[Tensor]]:
    """The patches of the mesh made of each material."""
    return {
        name: patch_sets(render_look(surface, lights, look), surface.coverage)
        for name, look in reference_looks().items()
    }


def nearest_materials(
    images: Tensor, surface: Surface, references: dict[str, list[Tensor]]
) -> dict[str, float]:
    """Distance of a painting's renderings to each material's, nearest first."""
    painted = patch_sets(images, surface.coverage)
    distances = {name: sliced_wasserstein(painted, sets) for name, sets in references.items()}
    return dict(sorted(distances.items(), key=lambda item: item[1]))


def _grey() -> Tensor:
    return torch.full((1, 1, 1, 3), 0.8)
