"""Which triangle each pixel sees: the kernel that finds it, in float64, exactly where that matters.

Most pixels are certain in float64. Those whose centre may be on an edge are left until a block of
triangles is drawn, and then decided exactly. Nothing depends on the order of drawing.
"""

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
from texcsd.rendering.numba_exact import exact_determinant, no_terms
from texcsd.rendering.numba_lanes import LANES, ROUNDER, STEP, draw_lanes
from texcsd.rendering.numba_triangles import (
    centres,
    depth_inside,
    depth_on_plane,
    depth_plane,
    determinant_of,
    doubt_of,
    edge_functions,
    edge_values,
    exact_edge_values,
    fetched_corner,
    few_digit_edge_values,
    has_few_digits,
    is_inside,
    is_steep,
    oriented,
    w_of,
)

NARROW = 2
"""Columns up to which it is faster to try one after the other."""
WIDE = 12
"""Columns that must be more to make it worth while to find out, row by row, which matter."""
ROOM = 3.0
"""Doubts from an edge, to either side, within which pixels are looked at again: those nearer than
one are left, and rounding decides which these are."""
BEYOND = 1.0 + STEP
"""What depths are before anything is found: the first behind the far plane."""


def padded(width: int) -> int:
    """Columns of the memory for an image of this width.

    There are LANES from the last one on; and an odd number of cache lines, so that pixels one above
    the other do not push each other out of the cache.
    """
    return 8 * ((width + LANES + 6) // 8 | 1)


@kernel
def find_visible(positions, blocks, first_row, size, peeled, nearest, ids):
    """Nearest triangle at every pixel centre of some rows, of an image of this height and width.

    ids int32[rows, columns] come in as -1 and their depths, nearest float64[rows, columns], as
    BEYOND. Columns are `padded`; what comes out right of the width means nothing. Only triangles of
    the blocks are looked at, and of them only what lies behind the depths peeled
    float64[rows, columns], unless that is None.

    Depths are rounded to STEP. Of triangles that are equally near the one of the lowest number
    wins, although they are drawn in another order: about from front to back, so that most of what
    is hidden need not be drawn. Triangles that are not finite, or have no area, cover nothing.
    """
    rows, columns = ids.shape
    height, width = size
    x_centres = (2 * np.arange(columns) + 1 - width) / width
    where = x_centres, centres(height), first_row, size
    image = (
        np.float32(0),
        np.float32(width - 1),
        np.float32(first_row),
        np.float32(first_row + rows - 1),
    )
    candidates, terms, order = no_candidates(), no_terms(), front_to_back(positions, blocks)
    for number in range(len(order)):
        block, following = order[number], order[min(number + 1, len(order) - 1)]
        count = find_candidates(
            positions, blocks, block, following, image, size, nearest, candidates
        )
        doubtful = 0
        for index in candidates.chosen[:count]:
            box, place = _box(candidates, index, first_row), block * BLOCK + index
            left, right, bottom, top = box
            if max(right - left, top - bottom) >= SMALL and is_hidden(
                box, candidates.depths[index], nearest
            ):
                continue
            face = np.int64(blocks.order[place])
            corners, corner_z = _corners(candidates.clip, blocks.corners, place)
            edges, corner_w = edge_functions(corners), w_of(corners)
            if right - left < NARROW:
                is_doubtful = _draw_narrow(
                    edges, corner_z, corner_w, face, box, where, peeled, nearest, ids
                )
            else:
                determinant = determinant_of(edges, corner_w)
                plane = depth_plane(edges, corner_z, determinant)
                is_doubtful = is_steep(plane) or _draw_wide(
                    oriented(edges, determinant), plane, face, box, where, peeled, nearest, ids
                )
            candidates.doubtful[doubtful] = index
            doubtful += is_doubtful
        for index in candidates.doubtful[:doubtful]:
            box, place = _box(candidates, index, first_row), block * BLOCK + index
            corners, corner_z = _corners(candidates.clip, blocks.corners, place)
            face = np.int64(blocks.order[place])
            _draw_doubtful(corners, corner_z, face, box, where, terms, peeled, nearest, ids)


@kernel
def _box(candidates, index, first_row):
    """First and last column and row of one of them, these from the first row that is drawn."""
    left, right = np.int64(candidates.boxes[0, index]), np.int64(candidates.boxes[1, index])
    bottom, top = np.int64(candidates.boxes[2, index]), np.int64(candidates.boxes[3, index])
    return left, right, bottom - first_row, top - first_row


@kernel
def _corners(clip, corners, place):
    """x, y and w of the three corners of a triangle, and their z."""
    first, z0 = fetched_corner(clip, 0, corners[0, place])
    second, z1 = fetched_corner(clip, 0, corners[1, place])
    third, z2 = fetched_corner(clip, 0, corners[2, place])
    return (first, second, third), (z0, z1, z2)


@kernel
def _draw_narrow(edges, corner_z, corner_w, face, box, where, peeled, nearest, ids):
    """Draws the pixels of a triangle that are certain, one by one; returns whether others are not.

    Args:
        edges: Its edge functions.
        corner_z: z of its corners.
        corner_w: w of its corners.
        face: Its number.
        box: First and last column and row, these from the first row that is drawn.
        where: Pixel centres, the first row that is drawn, and the size of the whole image.
        peeled: See `find_visible`, as for the others.
        nearest: Likewise.
        ids: Likewise.
    """
    (left, right, bottom, top), (x_centres, y_centres, first_row, _) = box, where
    doubt = max(doubt_of(edges[0]), doubt_of(edges[1]), doubt_of(edges[2]))
    is_doubtful = False
    for row in range(bottom, top + 1):
        y = y_centres[first_row + row]
        for column in range(left, right + 1):
            values = edge_values(edges, x_centres[column], y)
            if _is_beside(values, doubt):
                continue
            if _is_certain(values, corner_w, doubt):
                depth = depth_inside(values, corner_z, corner_w)
                _see(depth, face, row, column, peeled, nearest, ids)
            else:
                is_doubtful = True
    return is_doubtful


@kernel
def _is_beside(values, doubt):
    """Whether edge functions of these values, off by that at most, have different signs."""
    return min(values[0], values[1], values[2]) < -doubt and (
        max(values[0], values[1], values[2]) > doubt
    )


@kernel
def _is_certain(values, corner_w, doubt):
    """Whether edge functions that are off by that at most tell that the pixel is covered.

    They have one sign, and no corner is behind the eye: then the determinant has it, too.
    """
    return (
        min(values[0], values[1], values[2]) > doubt
        or max(values[0], values[1], values[2]) < -doubt
    ) and min(corner_w[0], corner_w[1], corner_w[2]) > 0


@kernel
def _see(depth, face, row, column, peeled, nearest, ids):
    """Has a pixel see a triangle that covers it at this depth, unless it sees a nearer one."""
    depth, seen_depth = (depth + ROUNDER) - ROUNDER, nearest[row, column]
    if peeled is not None and not depth > peeled[row, column]:
        return
    if -1 <= depth < seen_depth or (depth == seen_depth and face < ids[row, column]):
        nearest[row, column] = depth
        ids[row, column] = face


@kernel
def _draw_wide(edges, plane, face, box, where, peeled, nearest, ids):
    """What `_draw_narrow` does, LANES of a row at once.

    The edge functions are positive inside, and depths are those of the plane.
    """
    (left, right, bottom, top), (x_centres, y_centres, first_row, size) = box, where
    (a0, b0, c0), (a1, b1, c1), (a2, b2, c2) = edges
    doubt0, doubt1, doubt2 = doubt_of(edges[0]), doubt_of(edges[1]), doubt_of(edges[2])
    least, doubtful = -ROOM * max(doubt0, doubt1, doubt2), 0
    wide, (height, width), nothing = right - left > WIDE, size, (0.0, 0.0)
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
        y = y_centres[first_row + row]
        # Less by their doubt: what is positive is certain, and what is not much below 0 is not.
        lines = (
            (a0, b0 * y + (c0 - doubt0)),
            (a1, b1 * y + (c1 - doubt1)),
            (a2, b2 * y + (c2 - doubt2)),
        )
        line = plane[0], plane[1] * y + plane[2]
        for column in range(first, last + 1, LANES):
            doubtful |= draw_lanes(
                lines, line, x_centres, peeled, nearest, ids, row, column, face, least
            )
    return doubtful != 0


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
def _draw_doubtful(corners, corner_z, face, box, where, terms, peeled, nearest, ids):
    """Draws, exactly, the pixels of a triangle that `_draw_narrow` or `_draw_wide` left."""
    (left, right, bottom, top), (x_centres, y_centres, first_row, size) = box, where
    edges, corner_w, is_narrow = edge_functions(corners), w_of(corners), right - left < NARROW
    determinant = determinant_of(edges, corner_w)
    plane = depth_plane(edges, corner_z, determinant)
    has_plane, is_short = not is_narrow and not is_steep(plane), has_few_digits(corners, size)
    if determinant == 0:
        determinant = exact_determinant(corners[1], corners[2], corners[0], terms)
    if determinant == 0:
        return
    side = np.copysign(1.0, determinant)
    doubts = doubt_of(edges[0]), doubt_of(edges[1]), doubt_of(edges[2])
    far_inside = np.inf  # nothing is drawn yet
    if has_plane:
        far_inside = ROOM * max(doubts[0], doubts[1], doubts[2])
    elif is_narrow and min(corner_w[0], corner_w[1], corner_w[2]) > 0:
        far_inside = max(doubts[0], doubts[1], doubts[2])
    for row in range(bottom, top + 1):
        y = y_centres[first_row + row]
        for column in range(left, right + 1):
            x = x_centres[column]
            values = edge_values(edges, x, y)
            if not _may_be_left(values, doubts, side, far_inside):
                continue
            if is_short:
                exact = few_digit_edge_values(edges, column, first_row + row, size)
            else:
                exact = exact_edge_values(corners, column, first_row + row, size, terms)
            if is_inside(exact, edges, side):
                depth = (
                    depth_on_plane(plane, x, y)
                    if has_plane
                    else depth_inside(exact, corner_z, corner_w)
                )
                _see(depth, face, row, column, peeled, nearest, ids)


@kernel
def _may_be_left(values, doubts, side, far_inside):
    """Whether a pixel is neither certainly beside the triangle nor so far in that it is drawn."""
    value0, value1, value2 = values[0] * side, values[1] * side, values[2] * side
    return (
        value0 >= -doubts[0]
        and value1 >= -doubts[1]
        and value2 >= -doubts[2]
        and min(value0, value1, value2) <= far_inside
    )
