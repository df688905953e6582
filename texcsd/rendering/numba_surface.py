"""One kernel for all that painting wants to know of the visible surface, at every pixel.

What `rasterize` composes of several operations on other devices, at a third of their cost.
"""

from __future__ import annotations

import numpy as np

from texcsd.rendering.numba_kernel import kernel
from texcsd.rendering.numba_rasterize import barycentrics, centres


@kernel
def fill_surface(clip_positions, clip_faces, first_row, height, mesh, turn_normals, ids, images):
    """Fills some rows of one view with what lies there, and with zeros where nothing does.

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
    vertices, faces, normals, normal_faces, uv, uv_faces = mesh
    position_image, normal_image, uv_image, uv_slope_image, depth_image = images
    rows, width = ids.shape
    x_centres, y_centres = centres(width), centres(height)
    for row in range(rows):
        for column in range(width):
            face = int(ids[row, column])
            if face < 0:
                position_image[row, column] = 0
                normal_image[row, column] = 0
                uv_image[row, column] = 0
                uv_slope_image[row, column] = 0
                depth_image[row, column] = 0
                continue
            x, y = x_centres[column], y_centres[first_row + row]
            (u, v), slopes, w = barycentrics(clip_positions, clip_faces, face, x, y, width, height)
            depth_image[row, column, 0] = w
            for axis in range(3):
                along_u, along_v, third = _differences(vertices, faces, face, axis)
                position_image[row, column, axis] = third + (u * along_u + v * along_v)
            backwards = turn_normals and _is_turned_away(
                vertices, faces, normals, normal_faces, face, u, v, slopes
            )
            _fill_normal(normals, normal_faces, face, u, v, backwards, normal_image[row, column])
            _fill_uv(
                uv, uv_faces, face, u, v, slopes, uv_image[row, column], uv_slope_image[row, column]
            )


@kernel
def _differences(values, faces, face, axis):
    """How a value changes with u and with v, and what it is where both are 0."""
    third = np.float64(values[faces[face, 2], axis])
    return values[faces[face, 0], axis] - third, values[faces[face, 1], axis] - third, third


@kernel
def _normal(normals, normal_faces, face, u, v):
    x_u, x_v, x = _differences(normals, normal_faces, face, 0)
    y_u, y_v, y = _differences(normals, normal_faces, face, 1)
    z_u, z_v, z = _differences(normals, normal_faces, face, 2)
    return x + (u * x_u + v * x_v), y + (u * y_u + v * y_v), z + (u * z_u + v * z_v)


@kernel
def _is_turned_away(vertices, faces, normals, normal_faces, face, u, v, slopes):
    """Whether the normal is on the side of its face that is not seen."""
    u_x, u_y, v_x, v_y = slopes
    x_u, x_v, _ = _differences(vertices, faces, face, 0)
    y_u, y_v, _ = _differences(vertices, faces, face, 1)
    z_u, z_v, _ = _differences(vertices, faces, face, 2)
    x, y, z = _normal(normals, normal_faces, face, u, v)
    volume = (y_u * z_v - z_u * y_v) * x + (z_u * x_v - x_u * z_v) * y + (x_u * y_v - y_u * x_v) * z
    # Down the image times right: towards the camera.
    return (u_y * v_x - v_y * u_x) * volume < 0


@kernel
def _fill_normal(normals, normal_faces, face, u, v, backwards, output):
    x, y, z = _normal(normals, normal_faces, face, u, v)
    length = max(np.sqrt(x * x + y * y + z * z), 1e-12)
    scale = -1 / length if backwards else 1 / length
    output[0], output[1], output[2] = x * scale, y * scale, z * scale


@kernel
def _fill_uv(uv, uv_faces, face, u, v, slopes, output, output_slopes):
    u_x, u_y, v_x, v_y = slopes
    for axis in range(2):
        along_u, along_v, third = _differences(uv, uv_faces, face, axis)
        output[axis] = third + (u * along_u + v * along_v)
        output_slopes[2 * axis] = u_x * along_u + v_x * along_v
        output_slopes[2 * axis + 1] = u_y * along_u + v_y * along_v
