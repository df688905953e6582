"""One kernel for all that painting wants to know of the visible surface, at every pixel.

What `rasterize` composes of several operations on other devices, at a third of their cost.
"""

from __future__ import annotations

import numpy as np

from texcsd.geometry.kernel import kernel
from texcsd.rendering.numba_barycentrics import barycentrics, no_triangle, triangle
from texcsd.rendering.numba_exact import no_terms
from texcsd.rendering.numba_triangles import (
    centres,
    determinant_of,
    edge_functions,
    edge_values,
    exact_edge_values,
    w_of,
)


def fill_surface(clip_positions, clip_faces, first_row, height, mesh, turn_normals, ids, images):
    """Fills some rows of one view with what lies there, and leaves the rest.

    Args:
        clip_positions: float32[vertex, 4].
        clip_faces: int32[face, 3] into them.
        first_row: Of these rows, in an image of this height.
        height: Of the image.
        mesh: vertices, faces, normals, their faces, uv, their faces.
        turn_normals: Whether to turn normals to the side of their face that is seen.
        ids: int32[rows, width], the face at every pixel, -1 for none.
        images: float32[rows, width, channel]: positions, normals, uv, their derivatives, depth.
    """
    where = clip_positions, clip_faces, first_row, height, mesh, turn_normals, ids, images
    if _fill(*where, None):
        _fill(*where, no_terms())


@kernel
def _fill(clip_positions, clip_faces, first_row, height, mesh, turn_normals, ids, images, terms):
    """What `fill_surface` does, where float64 tells where in a triangle a pixel is.

    Returns whether that is not so of any; given terms, see `exact_determinant`, it fills those.
    """
    vertices, faces, normals, normal_faces, uv, uv_faces = mesh
    position_image, normal_image, uv_image, uv_slope_image, depth_image = images
    rows, width = ids.shape
    x_centres, y_centres, size = centres(width), centres(height), (height, width)
    (clip_corners, corner_w), known, is_thin, is_any_thin = no_triangle(), -1, False, False
    edges = places = directions = clip_corners
    for row in range(rows):
        for column in range(width):
            face = int(ids[row, column])
            if face < 0:
                continue
            if face != known:  # neighbours often see the same
                clip_corners, _ = triangle(clip_positions, clip_faces, face)
                edges, corner_w = edge_functions(clip_corners), w_of(clip_corners)
                places = _corners(vertices, faces, face)
                directions = _corners(normals, normal_faces, face)
                known, is_thin = face, determinant_of(edges, corner_w) == 0
                is_any_thin |= is_thin
            if terms is None:
                values = edge_values(edges, x_centres[column], y_centres[first_row + row])
            else:
                if not is_thin:
                    continue
                values = exact_edge_values(clip_corners, column, first_row + row, size, terms)
            (u, v), slopes, w = barycentrics(edges, values, corner_w, size)
            depth_image[row, column, 0] = w
            position, normal = _blend(places, u, v), _blend(directions, u, v)
            length = max(np.sqrt(_dot(normal, normal)), 1e-12)
            if turn_normals and _is_turned_away(places, normal, slopes):
                length = -length
            for axis in range(3):
                position_image[row, column, axis] = position[axis]
                normal_image[row, column, axis] = normal[axis] / length
            _fill_uv(
                uv, uv_faces, face, u, v, slopes, uv_image[row, column], uv_slope_image[row, column]
            )
    return is_any_thin


@kernel
def _corners(values, faces, face):
    """How three values change with u and with v, and what they are where both are 0."""
    i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
    x, y, z = np.float64(values[k, 0]), np.float64(values[k, 1]), np.float64(values[k, 2])
    along_u = values[i, 0] - x, values[i, 1] - y, values[i, 2] - z
    along_v = values[j, 0] - x, values[j, 1] - y, values[j, 2] - z
    return along_u, along_v, (x, y, z)


@kernel
def _blend(corners, u, v):
    (x_u, y_u, z_u), (x_v, y_v, z_v), (x, y, z) = corners
    return x + (u * x_u + v * x_v), y + (u * y_u + v * y_v), z + (u * z_u + v * z_v)


@kernel
def _dot(first, second):
    return first[0] * second[0] + first[1] * second[1] + first[2] * second[2]


@kernel
def _is_turned_away(corners, normal, slopes):
    """Whether the normal is on the side of its face that is not seen."""
    (x_u, y_u, z_u), (x_v, y_v, z_v), _ = corners
    u_x, u_y, v_x, v_y = slopes
    cross = y_u * z_v - z_u * y_v, z_u * x_v - x_u * z_v, x_u * y_v - y_u * x_v
    # Down the image times right: towards the camera.
    return (u_y * v_x - v_y * u_x) * _dot(cross, normal) < 0


@kernel
def _fill_uv(uv, faces, face, u, v, slopes, output, output_slopes):
    i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
    u_x, u_y, v_x, v_y = slopes
    for axis in range(2):
        third = np.float64(uv[k, axis])
        along_u, along_v = uv[i, axis] - third, uv[j, axis] - third
        output[axis] = third + (u * along_u + v * along_v)
        output_slopes[2 * axis] = u_x * along_u + v_x * along_v
        output_slopes[2 * axis + 1] = u_y * along_u + v_y * along_v
