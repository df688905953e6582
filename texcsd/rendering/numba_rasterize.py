"""Kernels for triangles: which one each pixel sees, and what lies there. Computed in float64."""

from __future__ import annotations

import numpy as np

from texcsd.geometry.kernel import kernel

LANES = 8
"""Columns that are tried at once; images are padded to a multiple of them."""
NARROW = 3
"""Columns up to which it is faster to try one after the other."""
WIDE = 12
"""Columns that must be more to make it worth while to find out, row by row, which matter."""
BLOCK = 512
"""Triangles that are looked at, before those of them that may cover pixels are drawn."""
MARGIN = 2.0**-20
"""How far beyond its vertices a triangle may cover pixels, as a share of the image's width or
height: more than rounding of their float32 pixels may take, and far less than a pixel."""
FAR_AWAY = 1e30
"""Pixels beyond which vertices need not be told apart: far off every image, and three of them are
still a finite sum in float32."""
TIE = 2.0**-40
"""Depths that differ by no more are equal: those of one triangle, whose corners two faces name in
another order, differ by rounding, which is far less; float32 corners know theirs to 2**-25."""
BEYOND = np.nextafter(1.0, 2.0) + TIE
"""What depths are before anything is found: by just over TIE behind the far plane."""


@kernel
def _edges(positions, faces, face):
    """Edge functions (a, b, c) of a triangle: at normalised (x, y) each is a*x + (b*y + c).

    They come straight from homogeneous clip coordinates (Olano and Greer 1997): no vertex is
    divided by w and nothing is clipped. Two triangles that share an edge get exactly opposite
    numbers for it, as float32 products are exact in float64 and rounding is symmetric in the sign.
    """
    i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
    x0, y0, w0 = (
        np.float64(positions[i, 0]),
        np.float64(positions[i, 1]),
        np.float64(positions[i, 3]),
    )
    x1, y1, w1 = (
        np.float64(positions[j, 0]),
        np.float64(positions[j, 1]),
        np.float64(positions[j, 3]),
    )
    x2, y2, w2 = (
        np.float64(positions[k, 0]),
        np.float64(positions[k, 1]),
        np.float64(positions[k, 3]),
    )
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
def _project(positions, height, width):
    """Column and row of every vertex, float32[vertex] each; inf behind the eye, nan if not finite.

    Whoever uses them leaves a MARGIN, which is more than they are rounded by.
    """
    columns, rows = np.empty(len(positions), np.float32), np.empty(len(positions), np.float32)
    for vertex in range(len(positions)):
        x, y = np.float64(positions[vertex, 0]), np.float64(positions[vertex, 1])
        z, w = np.float64(positions[vertex, 2]), np.float64(positions[vertex, 3])
        if not np.isfinite(x + y + z + w):
            columns[vertex] = rows[vertex] = np.nan
        elif w <= 0:
            columns[vertex] = rows[vertex] = np.inf
        else:
            column, row = (x / w * 0.5 + 0.5) * width - 0.5, (y / w * 0.5 + 0.5) * height - 0.5
            columns[vertex] = min(max(column, -FAR_AWAY), FAR_AWAY)
            rows[vertex] = min(max(row, -FAR_AWAY), FAR_AWAY)
    return columns, rows


@kernel
def _pixel_range(first, second, third, start, end, margin):
    """First and last pixel, from start to end, that can lie within three positions on one axis."""
    if first + second + third < np.inf:
        low = max(min(first, second, third) - margin, start)
        high = min(max(first, second, third) + margin, end)
        return int(np.ceil(low)), int(np.floor(high))
    if np.isnan(first + second + third) or min(first, second, third) == np.inf:
        return 0, -1
    return int(start), int(end)  # some vertices are behind the eye: the rest may reach anywhere


@kernel
def _touching(columns, rows, faces, first, last, box, margins, marks, chosen):
    """How many triangles, from the first to before the last, may cover pixel centres of a box.

    Their numbers are `chosen`. Of a fine mesh most do not: without branches, the compiler looks at
    many at once.
    """
    left, right, bottom, top = box
    across, up = margins
    for index in range(last - first):
        i, j, k = faces[first + index, 0], faces[first + index, 1], faces[first + index, 2]
        low = min(min(columns[i], columns[j]), columns[k])
        high = max(max(columns[i], columns[j]), columns[k])
        lowest = min(min(rows[i], rows[j]), rows[k])
        highest = max(max(rows[i], rows[j]), rows[k])
        wide = np.ceil(max(low - across, left)) <= np.floor(min(high + across, right))
        tall = np.ceil(max(lowest - up, bottom)) <= np.floor(min(highest + up, top))
        # Where some vertices are behind the eye, the rest may reach anywhere.
        marks[index] = (wide & tall) | ((high == np.inf) & (low < np.inf))
    count = 0
    for index in range(last - first):
        chosen[count] = first + index
        count += marks[index]
    return count


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
def _oriented(edges, corner):
    """Edge functions that are positive inside, and the determinant of a triangle; 0 if in doubt.

    The determinant is the value of an edge function at the corner opposite to it.
    """
    (a0, b0, c0), (a1, b1, c1), (a2, b2, c2) = edges
    a, b, c = a0 * corner[0], b0 * corner[1], c0 * corner[3]
    determinant = a + b + c
    if abs(determinant) <= 1e-9 * (abs(a) + abs(b) + abs(c)):
        return edges, 0.0
    if determinant > 0:
        return edges, determinant
    return ((-a0, -b0, -c0), (-a1, -b1, -c1), (-a2, -b2, -c2)), -determinant


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
def corners(positions, faces, face, axis):
    """One coordinate of the corners of a triangle."""
    i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
    return (
        np.float64(positions[i, axis]),
        np.float64(positions[j, axis]),
        np.float64(positions[k, axis]),
    )


@kernel
def triangle(positions, faces, face):
    """Edge functions of a triangle, and w at its corners."""
    return _edges(positions, faces, face), corners(positions, faces, face, 3)


@kernel
def find_visible(positions, faces, span, first_row, height, width, peeled, nearest, ids):
    """Nearest triangle at every pixel centre of some rows, of an image of this height and width.

    ids int32[rows, columns] come in as -1 and their depths, nearest float64[rows, columns], as
    BEYOND. Columns are the width or more, a multiple of LANES; what comes out right of the width
    means nothing. Only faces from the first to before the last of the span are looked at, and of
    them only what lies behind the depths peeled float64[rows, columns], unless that is None.

    Of triangles that are equally near, within TIE, the first wins. Triangles that are not finite,
    or lie between no pixel centres, cover nothing.
    """
    rows, columns = ids.shape
    x_pixels, y_pixels = _project(positions, height, width)
    x_centres, y_centres = (2 * np.arange(columns) + 1 - width) / width, centres(height)
    box = (
        np.float32(0),
        np.float32(width - 1),
        np.float32(first_row),
        np.float32(first_row + rows - 1),
    )
    margins = np.float32(MARGIN * width), np.float32(MARGIN * height)
    marks, chosen = np.empty(BLOCK, np.uint8), np.empty(BLOCK + 1, np.int32)
    for first in range(span[0], span[1], BLOCK):
        last = min(first + BLOCK, span[1])
        count = _touching(x_pixels, y_pixels, faces, first, last, box, margins, marks, chosen)
        for face in chosen[:count]:
            i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
            left, right = _pixel_range(
                x_pixels[i], x_pixels[j], x_pixels[k], box[0], box[1], margins[0]
            )
            bottom, top = _pixel_range(
                y_pixels[i], y_pixels[j], y_pixels[k], box[2], box[3], margins[1]
            )
            if left > right or bottom > top:
                continue
            edges, corner_w = triangle(positions, faces, face)
            corner_z = corners(positions, faces, face, 2)
            if right - left >= NARROW:
                oriented, determinant = _oriented(edges, positions[i])
                if determinant > 0:
                    pixels = (left, right, bottom, top)
                    plane = depth_plane(oriented, corner_z, determinant)
                    _draw_wide(
                        oriented,
                        plane,
                        pixels,
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
            (a0, b0, c0), (a1, b1, c1), (a2, b2, c2) = edges
            w0, w1, w2 = corner_w
            z0, z1, z2 = corner_z
            for row in range(bottom, top + 1):
                y = y_centres[row]
                row0, row1, row2 = b0 * y + c0, b1 * y + c1, b2 * y + c2
                for column in range(left, right + 1):
                    x = x_centres[column]
                    edge0, edge1, edge2 = a0 * x + row0, a1 * x + row1, a2 * x + row2
                    lowest, highest = min(edge0, edge1, edge2), max(edge0, edge1, edge2)
                    if lowest < 0 < highest:
                        continue
                    side = 1.0 if highest > 0 else -1.0
                    if not _is_inside(edge0, edge1, edge2, edges, side):
                        continue
                    w = edge0 * w0 + edge1 * w1 + edge2 * w2
                    if not w * side > 0:  # behind the eye
                        continue
                    depth = (edge0 * z0 + edge1 * z1 + edge2 * z2) / w
                    if peeled is not None and depth <= peeled[row - first_row, column] + TIE:
                        continue
                    if -1 <= depth < nearest[row - first_row, column] - TIE:
                        nearest[row - first_row, column] = depth
                        ids[row - first_row, column] = face


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
            first, last = _row_span(bounds0, bounds1, bounds2, row, left, right)
            if first > last:
                continue
        y, here = y_centres[row], np.uint64(row - first_row)
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
                & (depth >= -1)
                & (depth < nearest[here, column] - TIE)
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
    return (nothing, nothing, nothing), nothing


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
def fill_visible(positions, faces, first_row, height, ids, rast, rast_db):
    """Barycentrics, z/w and barycentric slopes of the visible triangles of some rows; else 0."""
    rows, width = ids.shape
    x_centres, y_centres = centres(width), centres(height)
    known, determinant = -1, 0.0
    edges, corner_w = no_triangle()
    corner_z = plane = corner_w
    for row in range(rows):
        y = y_centres[first_row + row]
        for column in range(width):
            face = int(ids[row, column])
            if face < 0:
                for index in range(4):
                    rast[row, column, index] = rast_db[row, column, index] = 0
                continue
            if face != known:  # neighbours often see the same
                edges, corner_w = triangle(positions, faces, face)
                corner_z = corners(positions, faces, face, 2)
                edges, determinant = _oriented(edges, positions[faces[face, 0]])
                plane = depth_plane(edges, corner_z, determinant)
                known = face
            x = x_centres[column]
            (u, v), slopes, w = barycentrics(edges, corner_w, x, y, width, height)
            if determinant > 0:
                depth = plane[0] * x + (plane[1] * y + plane[2])
            else:
                depth = (u * corner_z[0] + v * corner_z[1] + (1 - u - v) * corner_z[2]) / w
            rast[row, column, 0], rast[row, column, 1] = u, v
            rast[row, column, 2], rast[row, column, 3] = depth, face + 1
            for index in range(4):
                rast_db[row, column, index] = slopes[index]


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
            edges, corner_w = triangle(positions, faces, face)
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
