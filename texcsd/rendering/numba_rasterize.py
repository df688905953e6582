"""Kernels for triangles: which one each pixel sees, and what lies there. Computed in float64."""

from __future__ import annotations

import numpy as np

from texcsd.geometry.kernel import kernel
from texcsd.rendering.numba_blocks import (
    BLOCK,
    SMALL,
    find_candidates,
    front_to_back,
    is_hidden,
    no_candidates,
)

LANES = 4
"""Columns that are tried at once; images are padded to a multiple of them."""
NARROW = 2
"""Columns up to which it is faster to try one after the other."""
WIDE = 12
"""Columns that must be more to make it worth while to find out, row by row, which matter."""
CHUNK = 64
"""Pixels whose corners are fetched before anything is computed, where most see another triangle."""
TIE = 2.0**-40
"""Depths that differ by no more are equal: those of one triangle, whose corners two faces name in
another order, differ by rounding, which is far less; float32 corners know theirs to 2**-25."""
NEAR = -1.0 - TIE
"""The least depth that is seen: that of the near plane, on which triangles may lie."""
BEYOND = np.nextafter(1.0 + TIE, 2.0) + TIE
"""What depths are before anything is found: just over TIE behind the last that is seen, which is
equal to that of the far plane."""


@kernel
def _edges(first, second, third):
    """Edge functions (a, b, c) of a triangle: at normalised (x, y) each is a*x + (b*y + c).

    They come straight from homogeneous clip coordinates (Olano and Greer 1997), x, y and w of each
    corner: no vertex is divided by w and nothing is clipped. Two triangles that share an edge get
    exactly opposite numbers for it, as float32 products are exact in float64 and rounding is
    symmetric in the sign.
    """
    (x0, y0, w0), (x1, y1, w1), (x2, y2, w2) = first, second, third
    return (
        (y1 * w2 - y2 * w1, w1 * x2 - w2 * x1, x1 * y2 - x2 * y1),
        (y2 * w0 - y0 * w2, w2 * x0 - w0 * x2, x2 * y0 - x0 * y2),
        (y0 * w1 - y1 * w0, w0 * x1 - w1 * x0, x0 * y1 - x1 * y0),
    )


@kernel
def centres(size):
    """Normalised coordinate of every pixel centre along one axis."""
    return (2 * np.arange(size) + 1 - size) / size


@kernel
def _owns_edge(a, b, sign):
    """Whether a pixel centre exactly on this edge belongs to this one of its two triangles."""
    return (sign * a > 0) | ((a == 0) & (sign * b > 0))


@kernel
def _is_inside(edge0, edge1, edge2, edges, side):
    """Whether a pixel is covered where these are the edge functions, all on this side or 0."""
    (a0, b0, _), (a1, b1, _), (a2, b2, _) = edges
    return (
        (edge0 != 0 or _owns_edge(a0, b0, side))
        and (edge1 != 0 or _owns_edge(a1, b1, side))
        and (edge2 != 0 or _owns_edge(a2, b2, side))
    )


@kernel
def _determinant(edges, corner):
    """Of a triangle, which is the value of an edge function at the corner opposite; 0 if in doubt.

    Args:
        edges: Its edge functions.
        corner: x, y and w of its first corner.
    """
    (a0, b0, c0), (x, y, w) = edges[0], corner
    a, b, c = a0 * x, b0 * y, c0 * w
    determinant = a + b + c
    return determinant if abs(determinant) > 1e-9 * (abs(a) + abs(b) + abs(c)) else 0.0


@kernel
def _oriented(edges, determinant):
    """Edge functions that are positive inside, of a triangle with this determinant."""
    if determinant > 0:
        return edges
    (a0, b0, c0), (a1, b1, c1), (a2, b2, c2) = edges
    return (-a0, -b0, -c0), (-a1, -b1, -c1), (-a2, -b2, -c2)


@kernel
def depth_plane(edges, corner_z, determinant):
    """z/w of a triangle as a plane (a, b, c): at normalised (x, y) it is a*x + (b*y + c)."""
    (a0, b0, c0), (a1, b1, c1), (a2, b2, c2) = edges
    z0, z1, z2 = corner_z
    scale = 1 / determinant
    return (
        (a0 * z0 + a1 * z1 + a2 * z2) * scale,
        (b0 * z0 + b1 * z1 + b2 * z2) * scale,
        (c0 * z0 + c1 * z1 + c2 * z2) * scale,
    )


@kernel
def _bounds(edge, width, height):
    """Where a row enters the side of an edge that is positive, and where it leaves it, in pixels.

    As lines (p, q, r, s): from column p*row + q to column r*row + s.
    """
    a, b, c = edge
    enters, leaves = (0.0, -np.inf), (0.0, np.inf)
    if a != 0:
        scale = -0.5 * width / a
        slope = 2 * b * scale / height
        start = (b * (1 - height) / height + c) * scale + 0.5 * (width - 1)
        # With larger numbers, of an edge that is nearly level, rounding would come near a pixel.
        if abs(slope) + abs(start) < 1e8:
            if a > 0:
                enters = slope, start
            else:
                leaves = slope, start
    return enters, leaves


@kernel
def _corner(positions, vertex):
    """x, y and w of a vertex in float64."""
    return (
        np.float64(positions[vertex, 0]),
        np.float64(positions[vertex, 1]),
        np.float64(positions[vertex, 3]),
    )


@kernel
def triangle(positions, faces, face):
    """Edge functions of a triangle, and z and w at its corners."""
    i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
    first, second, third = _corner(positions, i), _corner(positions, j), _corner(positions, k)
    corner_z = np.float64(positions[i, 2]), np.float64(positions[j, 2]), np.float64(positions[k, 2])
    return _edges(first, second, third), corner_z, (first[2], second[2], third[2])


@kernel
def _fetched_corner(fetched, first, index):
    """Like `_corner`, and z, from the rows that begin with the first."""
    x, y = np.float64(fetched[first, index]), np.float64(fetched[first + 1, index])
    z, w = np.float64(fetched[first + 2, index]), np.float64(fetched[first + 3, index])
    return (x, y, w), z


@kernel
def find_visible(positions, blocks, first_row, height, width, peeled, nearest, ids):
    """Nearest triangle at every pixel centre of some rows, of an image of this height and width.

    ids int32[rows, columns] come in as -1 and their depths, nearest float64[rows, columns], as
    BEYOND. Columns are the width or more, a multiple of LANES; what comes out right of the width
    means nothing. Only triangles of the blocks are looked at, and of them only what lies behind the
    depths peeled float64[rows, columns], unless that is None.

    Of triangles that are equally near, within TIE, the one of the lowest number wins, although they
    are drawn in another order: about from front to back, so that most of what is hidden need not be
    drawn. Triangles that are not finite, or lie between no pixel centres, cover nothing.
    """
    rows, columns = ids.shape
    x_centres, y_centres = (2 * np.arange(columns) + 1 - width) / width, centres(height)
    image = (
        np.float32(0),
        np.float32(width - 1),
        np.float32(first_row),
        np.float32(first_row + rows - 1),
    )
    size, candidates = (height, width), no_candidates()
    order = front_to_back(positions, blocks)
    for number in range(len(order)):
        block, following = order[number], order[min(number + 1, len(order) - 1)]
        count = find_candidates(
            positions, blocks, block, following, image, size, nearest, candidates
        )
        for index in candidates.chosen[:count]:
            left, right = np.int64(candidates.boxes[0, index]), np.int64(candidates.boxes[1, index])
            bottom = np.int64(candidates.boxes[2, index]) - first_row
            top = np.int64(candidates.boxes[3, index]) - first_row
            box = left, right, bottom, top
            if max(right - left, top - bottom) >= SMALL and is_hidden(
                box, candidates.depths[index], nearest
            ):
                continue
            place = block * BLOCK + index
            face, corners = np.int64(blocks.order[place]), blocks.corners
            first, z0 = _fetched_corner(candidates.clip, 0, corners[0, place])
            second, z1 = _fetched_corner(candidates.clip, 0, corners[1, place])
            third, z2 = _fetched_corner(candidates.clip, 0, corners[2, place])
            edges, corner_z = _edges(first, second, third), (z0, z1, z2)
            if right - left >= NARROW:
                determinant = _determinant(edges, first)
                if determinant != 0:
                    _draw_wide(
                        _oriented(edges, determinant),
                        depth_plane(edges, corner_z, determinant),
                        box,
                        width,
                        x_centres,
                        y_centres,
                        first_row,
                        face,
                        peeled,
                        nearest,
                        ids,
                    )
                    continue
            corner_w = first[2], second[2], third[2]
            for row in range(bottom, top + 1):
                y = y_centres[first_row + row]
                for column in range(left, right + 1):
                    depth = _depth_inside(edges, corner_z, corner_w, x_centres[column], y)
                    if peeled is not None and depth <= peeled[row, column] + TIE:
                        continue
                    tie = TIE if face < ids[row, column] else -TIE
                    if NEAR <= depth < nearest[row, column] + tie:
                        nearest[row, column] = depth
                        ids[row, column] = face


@kernel
def _depth_inside(edges, corner_z, corner_w, x, y):
    """z/w of a triangle at normalised (x, y), inf where it does not cover it.

    Args:
        edges: Its edge functions.
        corner_z: z of its corners.
        corner_w: w of its corners.
        x: Of a pixel centre.
        y: Of a pixel centre.
    """
    (a0, b0, c0), (a1, b1, c1), (a2, b2, c2) = edges
    edge0, edge1, edge2 = a0 * x + (b0 * y + c0), a1 * x + (b1 * y + c1), a2 * x + (b2 * y + c2)
    lowest, highest = min(edge0, edge1, edge2), max(edge0, edge1, edge2)
    if lowest < 0 < highest:
        return np.inf
    side = 1.0 if highest > 0 else -1.0
    if not _is_inside(edge0, edge1, edge2, edges, side):
        return np.inf
    w = edge0 * corner_w[0] + edge1 * corner_w[1] + edge2 * corner_w[2]
    if not w * side > 0:  # behind the eye
        return np.inf
    return (edge0 * corner_z[0] + edge1 * corner_z[1] + edge2 * corner_z[2]) / w


@kernel
def _draw_wide(
    edges, plane, box, width, x_centres, y_centres, first_row, face, peeled, nearest, ids
):
    """What `find_visible` does with one triangle, for many columns: LANES of a row at once.

    Its edge functions are positive inside, where w is positive, too.
    """
    (a0, b0, c0), (a1, b1, c1), (a2, b2, c2) = edges
    owns0, owns1, owns2 = _owns_edge(a0, b0, 1.0), _owns_edge(a1, b1, 1.0), _owns_edge(a2, b2, 1.0)
    left, right, bottom, top = box
    wide, height, nothing = right - left > WIDE, len(y_centres), (0.0, 0.0)
    bounds0 = bounds1 = bounds2 = (nothing, nothing)
    if wide:
        bounds0, bounds1, bounds2 = (
            _bounds(edges[0], width, height),
            _bounds(edges[1], width, height),
            _bounds(edges[2], width, height),
        )
    for row in range(bottom, top + 1):
        first, last = left, right
        if wide:
            first, last = _row_span(bounds0, bounds1, bounds2, first_row + row, left, right)
            if first > last:
                continue
        y, here = y_centres[first_row + row], np.uint64(row)
        row0, row1, row2 = b0 * y + c0, b1 * y + c1, b2 * y + c2
        row_depth = plane[1] * y + plane[2]
        # Whole blocks and no branches, which the compiler turns into operations on LANES numbers;
        # the edges themselves decide, in the columns that matter and in those beside them.
        for lane in range(first & -LANES, (last | (LANES - 1)) + 1):
            column = np.uint64(lane)  # an index that cannot be negative needs no check
            x = x_centres[column]
            edge0, edge1, edge2 = a0 * x + row0, a1 * x + row1, a2 * x + row2
            depth = plane[0] * x + row_depth
            nearer = (
                ((edge0 > 0) | (owns0 & (edge0 == 0)))
                & ((edge1 > 0) | (owns1 & (edge1 == 0)))
                & ((edge2 > 0) | (owns2 & (edge2 == 0)))
                & (depth >= NEAR)
                & (depth < nearest[here, column] + (TIE if face < ids[here, column] else -TIE))
            )
            if peeled is not None:
                nearer = nearer & (depth > peeled[here, column] + TIE)
            if nearer:
                nearest[here, column] = depth
                ids[here, column] = face


@kernel
def _row_span(bounds0, bounds1, bounds2, row, left, right):
    """First and last column of a row that can be inside three edges, of those from left to right.

    The margin is above rounding errors and far below a pixel.
    """
    (p0, q0), (r0, s0) = bounds0
    (p1, q1), (r1, s1) = bounds1
    (p2, q2), (r2, s2) = bounds2
    enters = max(max(p0 * row + q0, p1 * row + q1), max(p2 * row + q2, np.float64(left)))
    leaves = min(min(r0 * row + s0, r1 * row + s1), min(r2 * row + s2, np.float64(right)))
    return int(np.ceil(enters - 1e-6)), int(np.floor(leaves + 1e-6))


@kernel
def no_triangle():
    """Like `triangle`, of nothing."""
    nothing = (0.0, 0.0, 0.0)
    return (nothing, nothing, nothing), nothing, nothing


@kernel
def barycentrics(edges, corner_w, x, y, width, height):
    """(u, v), their change per pixel (du/dx, du/dy, dv/dx, dv/dy), and w, at normalised (x, y).

    Of a triangle with these edge functions and w at its corners; not finite for what `find_visible`
    finds invisible.
    """
    (a0, b0, c0), (a1, b1, c1), (a2, b2, c2) = edges
    edge0, edge1 = a0 * x + (b0 * y + c0), a1 * x + (b1 * y + c1)
    scale = 1 / (edge0 + edge1 + (a2 * x + (b2 * y + c2)))
    u, v = edge0 * scale, edge1 * scale
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
def _depth(plane, determinant, corner_z, u, v, w, x, y):
    """z/w of a triangle at normalised (x, y), where its barycentrics and w are u, v and w.

    Where its determinant is not in doubt, it is that of its plane, as `_draw_wide` finds it.
    """
    if determinant != 0:
        return plane[0] * x + (plane[1] * y + plane[2])
    return (u * corner_z[0] + v * corner_z[1] + (1 - u - v) * corner_z[2]) / w


@kernel
def fill_visible(positions, faces, first_row, height, ids, rast, rast_db):
    """Barycentrics, z/w and barycentric slopes of the visible triangles of some rows; else 0."""
    rows, width = ids.shape
    x_centres, y_centres = centres(width), centres(height)
    for row in range(rows):
        others = 0
        for column in range(1, width):
            others += ids[row, column] != ids[row, column - 1]
        row_of = ids[row], x_centres, y_centres[first_row + row], height, rast[row], rast_db[row]
        if 3 * others > width:
            _fill_at_once(positions, faces, *row_of)
        else:
            _fill_in_turn(positions, faces, *row_of)


@kernel
def _fill_in_turn(positions, faces, ids, x_centres, y, height, rast, rast_db):
    """What `fill_visible` does with a row, where neighbours often see the same triangle."""
    width, known, determinant = len(ids), -1, 0.0
    edges, corner_z, corner_w = no_triangle()
    plane = corner_z
    for column in range(width):
        face = int(ids[column])
        if face < 0:
            for index in range(4):
                rast[column, index] = rast_db[column, index] = 0
            continue
        if face != known:
            edges, corner_z, corner_w = triangle(positions, faces, face)
            determinant = _determinant(edges, _corner(positions, faces[face, 0]))
            plane = depth_plane(edges, corner_z, determinant)
            known = face
        x = x_centres[column]
        (u, v), slopes, w = barycentrics(edges, corner_w, x, y, width, height)
        depth = _depth(plane, determinant, corner_z, u, v, w, x, y)
        rast[column, 0], rast[column, 1], rast[column, 2], rast[column, 3] = u, v, depth, face + 1
        for index in range(4):
            rast_db[column, index] = slopes[index]


@kernel
def _fill_at_once(positions, faces, ids, x_centres, y, height, rast, rast_db):
    """What `fill_visible` does with a row, where most pixels see another triangle.

    A CHUNK of pixels at once: first their corners are fetched, which is waiting for memory, so that
    the compiler turns what is computed of them into vector instructions.
    """
    width = len(ids)
    fetched, found = np.zeros((12, CHUNK), np.float32), np.empty((7, CHUNK), np.float32)
    for start in range(0, width, CHUNK):
        count = min(CHUNK, width - start)
        for index in range(count):
            face = np.uint64(max(ids[start + index], 0))
            for corner in range(3):
                vertex = np.uint64(faces[face, corner])
                for axis in range(4):
                    fetched[4 * corner + axis, index] = positions[vertex, axis]
        for index in range(count):
            first, z0 = _fetched_corner(fetched, 0, index)
            second, z1 = _fetched_corner(fetched, 4, index)
            third, z2 = _fetched_corner(fetched, 8, index)
            edges, corner_w = _edges(first, second, third), (first[2], second[2], third[2])
            x, determinant = x_centres[start + index], _determinant(edges, first)
            (u, v), slopes, w = barycentrics(edges, corner_w, x, y, width, height)
            plane = depth_plane(edges, (z0, z1, z2), determinant)
            found[0, index], found[1, index] = u, v
            found[2, index] = _depth(plane, determinant, (z0, z1, z2), u, v, w, x, y)
            for axis in range(4):
                found[3 + axis, index] = slopes[axis]
        for index in range(count):
            seen, column = ids[start + index] >= 0, start + index
            for axis in range(3):
                rast[column, axis] = found[axis, index] if seen else 0
            rast[column, 3] = ids[column] + 1
            for axis in range(4):
                rast_db[column, axis] = found[3 + axis, index] if seen else 0


@kernel
def scatter_gradient(positions, faces, ids, to_rast, to_rast_db, gradient):
    """Adds the gradient of one view to that of its clip positions, float64[vertex, 4].

    The barycentrics b of a pixel solve sum(b p) = sum(b q) = 0 and sum(b) = 1, where p = X - x W
    and q = Y - y W of each vertex. Differentiating these, and those that their slopes along x and y
    solve, gives the factors of dp, dq and dw; nothing has to be inverted, as the slopes over w are
    columns of the inverse. z has no gradient.
    """
    height, width = ids.shape
    x_centres, y_centres = centres(width), centres(height)
    for row in range(height):
        for column in range(width):
            face = int(ids[row, column])
            if face < 0:
                continue
            edges, _, corner_w = triangle(positions, faces, face)
            x, y = x_centres[column], y_centres[row]
            (u, v), slopes, w = barycentrics(edges, corner_w, x, y, width, height)
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
