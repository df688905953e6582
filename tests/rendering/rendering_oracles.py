"""Slow and obvious versions of the operations, written independently, in float64."""

from fractions import Fraction

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


def mip_chain(image: Tensor) -> list[Tensor]:
    """Mip levels of one image float64[row, column, channel], finest first."""
    levels = [image]
    while max(levels[-1].shape[:2]) > 1:
        fine = levels[-1]
        rows, columns = (torch.from_numpy(area_matrix(size)) for size in fine.shape[:2])
        levels.append(torch.einsum("yr,rxc,zx->yzc", rows, fine, columns))
    return levels


def texel(image: Tensor, row: int, column: int, boundary: str) -> Tensor:
    height, width = image.shape[:2]
    if boundary == "zero" and not (0 <= row < height and 0 <= column < width):
        return torch.zeros_like(image[0, 0])
    if boundary == "wrap":
        return image[row % height, column % width]
    return image[min(max(row, 0), height - 1), min(max(column, 0), width - 1)]


def nearest(image: Tensor, uv: Tensor, boundary: str) -> Tensor:
    x, y = uv[0] * image.shape[1], uv[1] * image.shape[0]
    return texel(image, int(y.floor()), int(x.floor()), boundary)


def bilinear(image: Tensor, uv: Tensor, boundary: str) -> Tensor:
    x, y = uv[0] * image.shape[1] - 0.5, uv[1] * image.shape[0] - 0.5
    result = torch.zeros_like(image[0, 0])
    for row in (int(y.floor()), int(y.floor()) + 1):
        for column in (int(x.floor()), int(x.floor()) + 1):
            weight = (1 - (x - column).abs()) * (1 - (y - row).abs())
            result = result + weight * texel(image, row, column, boundary)
    return result


def level_of_detail(slopes: Tensor, height: int, width: int) -> Tensor:
    """Log2 of the largest singular value of the change of texels with pixels."""
    size = torch.tensor([[width], [height]], dtype=torch.float64)
    return torch.log2(torch.linalg.matrix_norm(slopes.view(2, 2) * size, 2))


def texture(
    levels: list[Tensor],
    uv: Tensor,
    uv_derivatives: Tensor | None,
    bias: Tensor | None,
    filter_mode: str,
    boundary: str,
) -> Tensor:
    """Lookups of samples uv float64[sample, 2] in mip levels [row, column, channel]."""
    results = []
    for index, place in enumerate(uv):
        detail = torch.zeros((), dtype=torch.float64)
        if uv_derivatives is not None:
            detail = detail + level_of_detail(uv_derivatives[index], *levels[0].shape[:2])
        if bias is not None:
            detail = detail + bias[index]
        detail = detail.clamp(0, len(levels) - 1)
        finer = min(int(detail), len(levels) - 2)
        if filter_mode == "nearest":
            results.append(nearest(levels[0], place, boundary))
        elif filter_mode == "linear" or len(levels) == 1:
            results.append(bilinear(levels[0], place, boundary))
        elif filter_mode == "linear-mipmap-nearest":
            results.append(bilinear(levels[int(detail)], place, boundary))
        else:
            fine, coarse = (bilinear(levels[finer + k], place, boundary) for k in (0, 1))
            results.append(fine + (detail - finer) * (coarse - fine))
    return torch.stack(results)


def cross(first: list, second: list) -> list:
    (x0, y0, w0), (x1, y1, w1) = first, second
    return [y0 * w1 - y1 * w0, w0 * x1 - w1 * x0, x0 * y1 - x1 * y0]


def exact_view(corners: np.ndarray, height: int, width: int) -> dict[tuple[int, int], list]:
    """Barycentrics of one triangle float32[3, 4] at the pixels (row, column) that it covers.

    Without rounding: all numbers are fractions. A pixel centre on an edge counts as if it lay a
    little to the right, and a very little up.
    """
    points = [[Fraction(float(corner[axis])) for axis in (0, 1, 3)] for corner in corners]
    edges = [cross(points[index - 2], points[index - 1]) for index in range(3)]
    determinant = sum(a * b for a, b in zip(points[0], edges[0], strict=True))
    if determinant == 0:
        return {}
    found = {}
    for row, column in np.ndindex(height, width):
        x, y = Fraction(2 * column + 1 - width, width), Fraction(2 * row + 1 - height, height)
        values = [a * x + b * y + c for a, b, c in edges]
        decisive = [
            next((number for number in (value, a, b) if number != 0), 0)
            for value, (a, b, _) in zip(values, edges, strict=True)
        ]
        if all(number * determinant > 0 for number in decisive):
            found[row, column] = [value / sum(values) for value in values]
    return found
