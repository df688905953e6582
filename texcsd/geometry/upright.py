"""Meshes that do not stand on y or face z, as painting and pictures take them to."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from texcsd.geometry.mesh import Mesh


def upright_rotation(up: str, front: str) -> Tensor:
    """The rotation float32[3, 3] that takes one axis to +y and another to +z.

    Args:
        up: Such as "z+", the axis that points up.
        front: Such as "y-", the axis that the front faces; perpendicular to up.
    """
    top, facing = _axis(up), _axis(front)
    return torch.stack([torch.linalg.cross(top, facing), top, facing])


def turn_mesh(mesh: Mesh, rotation: Tensor) -> Mesh:
    """The mesh turned about the origin."""
    turned = (part @ rotation.T.to(part) for part in (mesh.vertices, mesh.normals))
    vertices, normals = turned
    return replace(mesh, vertices=vertices, normals=normals)


def _axis(name: str) -> Tensor:
    vector = torch.zeros(3)
    vector["xyz".index(name[0])] = 1.0 if name[1] == "+" else -1.0
    return vector
