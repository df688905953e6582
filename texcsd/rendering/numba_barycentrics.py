"""Barycentrics of the triangles that pixels see, and their gradient: kernels, in float64."""

from __future__ import annotations

import numpy as np

from texcsd.geometry.kernel import kernel
from texcsd.rendering.numba_exact import no_terms
from texcsd.rendering.numba_triangles import (
    centres,
    depth_inside,
    depth_on_plane,
    depth_plane,
    determinant_of,
    edge_functions,
    edge_values,
    exact_edge_values,
    fetched_corner,
    is_steep,
    w_of,
)

CHUNK = 64
"""Pixels whose corners are fetched before anything is computed, where most see another triangle."""


@kernel
def triangle(positions, faces, face):
    """x, y and w of the corners of a triangle, and their z."""
    i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
    corners = _corner(positions, i), _corner(positions, j), _corner(positions, k)
    corner_z = np.float64(positions[i, 2]), np.float64(positions[j, 2]), np.float64(positions[k, 2])
    return corners, corner_z


@kernel
def _corner(positions, vertex):
    x, y = np.float64(positions[vertex, 0]), np.float64(positions[vertex, 1])
    return x, y, np.float64(positions[vertex, 3])


@kernel
def no_triangle():
    """Like `triangle`, of nothing."""
    nothing = (0.0, 0.0, 0.0)
    return (nothing, nothing, nothing), nothing


@kernel
def barycentrics(edges, values, corner_w, size):
    """(u, v), their change per pixel (du/dx, du/dy, dv/dx, dv/dy), and w.

    Args:
        edges: Edge functions of a triangle.
        values: Theirs at a pixel centre that it covers.
        corner_w: w of its corners.
        size: Height and width of the image.
    """
    ((a0, b0, _), (a1, b1, _), (a2, b2, _)), (height, width) = edges, size
    scale = 1 / (values[0] + values[1] + values[2])
    # Rounding may leave it a little below 0 on an edge.
    u, v = max(values[0] * scale, 0.0), max(values[1] * scale, 0.0)
    slope_x, slope_y = (a0 + a1 + a2), (b0 + b1 + b2)
    per_column, per_row = scale * (2 / width), scale * (2 / height)
    slopes = (
        (a0 - u * slope_x) * per_column,
        (b0 - u * slope_y) * per_row,
        (a1 - v * slope_x) * per_column,
        (b1 - v * slope_y) * per_row,
    )
    w = u * corner_w[0] + v * corner_w[1] + (1 - u - v) * corner_w[2]
    return (u, v), slopes, w


@kernel
def fill_visible(positions, faces, first_row, height, ids, rast, rast_db):
    """Barycentrics, z/w and barycentric slopes of the visible triangles of some rows; else 0."""
    rows, width = ids.shape
    x_centres, y_centres, terms = centres(width), centres(height), no_terms()
    size = height, width
    for index in range(rows):
        others = 0
        for column in range(1, width):
            others += ids[index, column] != ids[index, column - 1]
        row = first_row + index
        where = x_centres, y_centres[row], size
        images = ids[index], rast[index], rast_db[index]
        if 3 * others > width:
            is_doubtful = _fill_at_once(positions, faces, where, *images)
        else:
            is_doubtful = _fill_in_turn(positions, faces, where, *images)
        if is_doubtful:
            _fill_exactly(positions, faces, row, size, terms, *images)


@kernel
def _fill_in_turn(positions, faces, where, ids, rast, rast_db):
    """Fills a row where neighbours often see the same triangle; returns if any is in doubt."""
    (x_centres, y, size), (corners, corner_z) = where, no_triangle()
    edges, plane, corner_w, known, is_doubtful = corners, corner_z, corner_z, -1, False
    for column in range(len(ids)):
        face = int(ids[column])
        if face < 0:
            for index in range(4):
                rast[column, index] = rast_db[column, index] = 0
            continue
        if face != known:
            corners, corner_z = triangle(positions, faces, face)
            edges, corner_w, known = edge_functions(corners), w_of(corners), face
            plane = depth_plane(edges, corner_z, determinant_of(edges, corner_w))
            is_doubtful |= is_steep(plane)
        x = x_centres[column]
        (u, v), slopes, _ = barycentrics(edges, edge_values(edges, x, y), corner_w, size)
        depth = depth_on_plane(plane, x, y)
        rast[column, 0], rast[column, 1], rast[column, 2], rast[column, 3] = u, v, depth, face + 1
        for index in range(4):
            rast_db[column, index] = slopes[index]
    return is_doubtful


@kernel
def _fill_at_once(positions, faces, where, ids, rast, rast_db):
    """What `_fill_in_turn` does, where most pixels see another triangle.

    A CHUNK of pixels at once: first their corners are fetched, which is waiting for memory, so that
    the compiler turns what is computed of them into vector instructions.
    """
    (x_centres, y, size), width, is_doubtful = where, len(ids), False
    fetched, found = np.zeros((12, CHUNK), np.float32), np.empty((7, CHUNK), np.float32)
    for start in range(0, width, CHUNK):
        count, doubtful = min(CHUNK, width - start), 0
        for index in range(count):
            face = np.uint64(max(ids[start + index], 0))
            for corner in range(3):
                vertex = np.uint64(faces[face, corner])
                for axis in range(4):
                    fetched[4 * corner + axis, index] = positions[vertex, axis]
        for index in range(count):
            first, z0 = fetched_corner(fetched, 0, index)
            second, z1 = fetched_corner(fetched, 4, index)
            third, z2 = fetched_corner(fetched, 8, index)
            corners, x = (first, second, third), x_centres[start + index]
            edges, corner_w = edge_functions(corners), w_of(corners)
            plane = depth_plane(edges, (z0, z1, z2), determinant_of(edges, corner_w))
            (u, v), slopes, _ = barycentrics(edges, edge_values(edges, x, y), corner_w, size)
            found[0, index], found[1, index] = u, v
            found[2, index] = depth_on_plane(plane, x, y)
            for axis in range(4):
                found[3 + axis, index] = slopes[axis]
            doubtful += is_steep(plane) & (ids[start + index] >= 0)
        for index in range(count):
            seen, column = ids[start + index] >= 0, start + index
            for axis in range(3):
                rast[column, axis] = found[axis, index] if seen else 0
            rast[column, 3] = ids[column] + 1
            for axis in range(4):
                rast_db[column, axis] = found[3 + axis, index] if seen else 0
        is_doubtful |= doubtful > 0
    return is_doubtful


@kernel
def _fill_exactly(positions, faces, row, size, terms, ids, rast, rast_db):
    """Fills the pixels of a row that were in doubt."""
    for column in range(len(ids)):
        face = int(ids[column])
        if face < 0:
            continue
        corners, corner_z = triangle(positions, faces, face)
        edges, corner_w = edge_functions(corners), w_of(corners)
        if not is_steep(depth_plane(edges, corner_z, determinant_of(edges, corner_w))):
            continue
        values = exact_edge_values(corners, column, row, size, terms)
        (u, v), slopes, _ = barycentrics(edges, values, corner_w, size)
        rast[column, 0], rast[column, 1] = u, v
        rast[column, 2] = depth_inside(values, corner_z, corner_w)
        for index in range(4):
            rast_db[column, index] = slopes[index]


@kernel
def scatter_gradient(positions, faces, ids, to_rast, to_rast_db, gradient):
    """Adds the gradient of one view to that of its clip positions, float64[vertex, 4].

    The barycentrics b of a pixel solve sum(b p) = sum(b q) = 0 and sum(b) = 1, where p = X - x W
    and q = Y - y W of each vertex. Differentiating these, and those that their slopes along x and y
    solve, gives the factors of dp, dq and dw; nothing has to be inverted, as the slopes over w are
    columns of the inverse. z has no gradient.
    """
    height, width = ids.shape
    x_centres, y_centres, size, terms = centres(width), centres(height), ids.shape, no_terms()
    (corners, corner_w), known, is_thin = no_triangle(), -1, False
    edges = corners
    for row in range(height):
        for column in range(width):
            face = int(ids[row, column])
            if face < 0:
                continue
            if face != known:
                corners, _ = triangle(positions, faces, face)
                edges, corner_w, known = edge_functions(corners), w_of(corners), face
                is_thin = determinant_of(edges, corner_w) == 0
            x, y = x_centres[column], y_centres[row]
            if is_thin:
                values = exact_edge_values(corners, column, row, size, terms)
            else:
                values = edge_values(edges, x, y)
            (u, v), slopes, w = barycentrics(edges, values, corner_w, size)
            # Everything below is per unit of x and y, not per pixel.
            u_x, v_x = slopes[0] * width / 2, slopes[2] * width / 2
            u_y, v_y = slopes[1] * height / 2, slopes[3] * height / 2
            to_u, to_v = to_rast[row, column, 0], to_rast[row, column, 1]
            to_db, per_column, per_row = to_rast_db[row, column], 2 / width, 2 / height
            to_u_x, to_u_y = to_db[0] * per_column, to_db[1] * per_row
            to_v_x, to_v_y = to_db[2] * per_column, to_db[3] * per_row
            xx, xy = (to_u_x * u_x + to_v_x * v_x) / w, (to_u_x * u_y + to_v_x * v_y) / w
            yx, yy = (to_u_y * u_x + to_v_y * v_x) / w, (to_u_y * u_y + to_v_y * v_y) / w
            i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
            w_i, w_j, w_k = positions[i, 3], positions[j, 3], positions[k, 3]
            w_x = u_x * (w_i - w_k) + v_x * (w_j - w_k)
            w_y = u_y * (w_i - w_k) + v_y * (w_j - w_k)
            along_x = (to_u * u_x + to_v * v_x + (xx + yy) * w_x) / w
            along_y = (to_u * u_y + to_v * v_y + (xx + yy) * w_y) / w
            for vertex, b, b_x, b_y in (
                (i, u, u_x, u_y),
                (j, v, v_x, v_y),
                (k, 1 - u - v, -u_x - v_x, -u_y - v_y),
            ):
                to_p = -(along_x * b + xx * b_x + yx * b_y)
                to_q = -(along_y * b + xy * b_x + yy * b_y)
                gradient[vertex, 0] += to_p
                gradient[vertex, 1] += to_q
                gradient[vertex, 3] += (xx + yy) * b - x * to_p - y * to_q
