"""Slow and obvious versions of the operations, written independently, in float64."""

import numpy as np
import torch
from torch import Tensor


def pixel_centres(size: int) -> np.ndarray:
    return (np.arange(size) + 0.5) * 2 / size - 1


def rasterize(clip: np.ndarray, triangles: np.ndarray, height: int, width: int):
    """One view: ids [height, width], barycentrics [height, width, 3], and doubt [height, width].

    Solves p = b0 * v0 + b1 * v1 + b2 * v2 for the ray through each pixel centre. Doubt is true
    where a triangle's edge or another depth is within rounding, so that ids there may differ.
    """
    x, y = np.meshgrid(pixel_centres(width), pixel_centres(height))
    rays = np.stack([x, y, np.ones_like(x)], -1)
    ids, depth = np.full((height, width), -1), np.full((height, width), np.inf)
    barycentrics = np.zeros((height, width, 3))
    doubt = np.zeros((height, width), bool)
    for index, triangle in enumerate(triangles):
        corners = clip[triangle].astype(np.float64)
        matrix = corners[:, [0, 1, 3]].T
        if not np.isfinite(corners).all() or np.linalg.matrix_rank(matrix, tol=1e-9) < 3:
            continue
        weights = rays @ np.linalg.inv(matrix).T  # proportional to 1 / w at the pixel
        total = weights.sum(-1, keepdims=True)
        share = weights / np.where(total == 0, 1, total)
        z_over_w = weights @ corners[:, 2]
        margin = 1e-7 * np.abs(weights).max(-1) + 1e-12
        inside = (weights >= 0).all(-1) & (np.abs(z_over_w) <= 1)
        near_edge = (weights > -margin[..., None]).all(-1) & (
            np.abs(weights) < margin[..., None]
        ).any(-1)
        near_plane = (weights >= 0).all(-1) & (np.abs(np.abs(z_over_w) - 1) < 1e-7)
        tie = inside & (np.abs(z_over_w - depth) < 1e-7)
        doubt |= near_edge | near_plane | tie
        nearer = inside & (z_over_w < depth)
        ids[nearer], depth[nearer] = index, z_over_w[nearer]
        barycentrics[nearer] = share[nearer]
    return ids, barycentrics, doubt


def area_matrix(size: int) -> np.ndarray:
    """Each row averages what one texel of the next mip level covers."""
    coarse = max(1, size // 2)
    matrix = np.zeros((coarse, size))
    for row in range(coarse):
        for column in range(size):
            low = max(row * size / coarse, column)
            high = min((row + 1) * size / coarse, column + 1)
            matrix[row, column] = max(0.0, high - low) * coarse / size
    return matrix


def mip_chain(image: np.ndarray) -> list[np.ndarray]:
    """Mip levels of one image [row, column, channel]."""
    levels = [image.astype(np.float64)]
    while max(levels[-1].shape[:2]) > 1:
        fine = levels[-1]
        rows, columns = area_matrix(fine.shape[0]), area_matrix(fine.shape[1])
        levels.append(np.einsum("yr,rxc,zx->yzc", rows, fine, columns))
    return levels


def bilinear(image: np.ndarray, u: float, v: float, boundary: str) -> np.ndarray:
    height, width = image.shape[:2]
    x, y = u * width - 0.5, v * height - 0.5
    if boundary == "clamp":
        x, y = min(max(x, -0.5), width - 0.5), min(max(y, -0.5), height - 0.5)
    result = np.zeros(image.shape[2])
    for row in (int(np.floor(y)), int(np.floor(y)) + 1):
        for column in (int(np.floor(x)), int(np.floor(x)) + 1):
            weight = (1 - abs(x - column)) * (1 - abs(y - row))
            if boundary == "clamp":
                texel = image[min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
            else:
                texel = image[row % height, column % width]
            result += weight * texel
    return result


def texture(image: Tensor, uv: Tensor, uv_derivatives: Tensor, boundary: str) -> Tensor:
    """Trilinear lookups of samples uv [sample, 2] in one image [row, column, channel]."""
    levels = mip_chain(image.numpy())
    height, width = image.shape[:2]
    results = []
    for (u, v), slopes in zip(uv.double().tolist(), uv_derivatives.double().numpy(), strict=True):
        jacobian = slopes.reshape(2, 2) * np.array([[width], [height]])
        major_axis = np.linalg.norm(jacobian, 2)
        detail = min(np.log2(max(major_axis, 1.0)), len(levels) - 1)
        finer = int(detail)
        coarser = min(finer + 1, len(levels) - 1)
        fine, coarse = (bilinear(levels[k], u, v, boundary) for k in (finer, coarser))
        results.append(fine + (detail - finer) * (coarse - fine))
    return torch.tensor(np.array(results)).float()
