"""Blocks of neighbouring triangles: of a fine mesh most can be passed over, a block at once.

A block knows its vertices, each once, so that looking at its triangles waits for no memory; what
lies outside the image, or behind what is drawn already, is found by the bounds of all its vertices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from texcsd.geometry.kernel import kernel, prefetch

BLOCK = 1024
"""Triangles that are looked at, before those of them that may be seen are drawn."""
CORNERS = 3 * BLOCK
"""The most vertices a block can have; numbered in 16 bits."""
PER_CELL = 64
"""Triangles, about, in each cell of the grid that they are sorted by."""
MOST_BITS = 6
"""Of the cells along each axis of that grid."""
SAMPLES = 8
"""Vertices that tell about how far a block is: a few from all over it tell more than one."""
WORTH_LOOKING = 64 * BLOCK
"""Pixels of which it is found out whether they hide a block."""
SMALL = 3
"""Columns and rows of triangles of which many at once are found to be hidden."""
MARGIN = 2.0**-20
"""How far beyond its vertices a triangle may cover pixels, as a share of the image's width or
height: more than rounding of their float32 pixels may take, and far less than a pixel."""
FAR_AWAY = 1e30
"""Pixels beyond which vertices need not be told apart: far off every image, and three of them are
still a finite sum in float32."""
SLACK = 2.0**-20
"""How much farther a triangle must be than what hides it: more than float32 depths are rounded."""
OUTSIDE = 2**30
"""Columns and rows, to one side or the other, that cells no longer tell apart."""
DEPTHS = 2.0**26
"""Steps from one depth to the next, in cells."""
DEEPEST = 8
"""Depths, to one side or the other, that cells no longer tell apart."""


class Blocks(NamedTuple):
    """Some triangles of a mesh in an order in which neighbours are mostly neighbours in space."""

    order: np.ndarray
    """int32[triangle], their numbers; BLOCK in a row are a block."""
    corners: np.ndarray
    """uint16[3, triangle], which of its block's vertices."""
    starts: np.ndarray
    """int64[block + 1], the first vertex of each block."""
    vertices: np.ndarray
    """int32[...], the vertices of one block after the other, each once."""


class Candidates(NamedTuple):
    """What is known of one block in one image; the next block overwrites it."""

    clip: np.ndarray
    """float32[4, CORNERS], clip positions of its vertices."""
    pixels: np.ndarray
    """float32[3, CORNERS], columns, rows and depths of its vertices."""
    cells: np.ndarray
    """int32[3, CORNERS], columns, rows and depths, rounded down, of its vertices: of integers the
    compiler finds the least of many at once."""
    triangles: np.ndarray
    """float32[6, BLOCK], columns and rows of the three corners of its triangles."""
    boxes: np.ndarray
    """int32[4, BLOCK], first and last column, first and last row of its triangles."""
    depths: np.ndarray
    """float32[BLOCK], least depth of those of its triangles that touch pixel centres."""
    chosen: np.ndarray
    """int32[BLOCK], which of its triangles may be seen, from 0 for the first."""
    doubtful: np.ndarray
    """int32[BLOCK], those of which some pixels are in doubt; the rasterizer's."""


def find_blocks(positions: np.ndarray, faces: np.ndarray, span: tuple[int, int]) -> Blocks:
    """Blocks of the triangles from the first to before the last of a span.

    Args:
        positions: float32[vertex, 4], clip positions in any one view.
        faces: int32[triangle, 3].
        span: First triangle, and last plus one.
    """
    order = _sorted(positions, faces, span)
    return Blocks(order, *_split(faces, order))


@kernel
def _sorted(positions, faces, span):
    """Numbers of triangles, int32[triangle], by the cell of a grid where their first corner lies.

    Cells come in Morton order. The grid is one in x, y and z of clip space, which are linear in
    those of the mesh.
    """
    count = span[1] - span[0]
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for face in range(span[0], span[1]):
        for axis in range(3):
            place = positions[faces[face, 0], axis]
            if np.isfinite(place):
                low[axis], high[axis] = min(low[axis], place), max(high[axis], place)
    bits = 0
    while bits < MOST_BITS and (3 * PER_CELL << 2 * bits) < count:  # a surface is in few cells
        bits += 1
    cells, starts = np.empty(count, np.int32), np.zeros((1 << 3 * bits) + 1, np.int64)
    for index in range(count):
        cell = 0
        for axis in range(3):
            place = positions[faces[span[0] + index, 0], axis]
            if np.isfinite(place) and low[axis] < high[axis]:
                share = (place - low[axis]) / (high[axis] - low[axis])
                # Not below 0 either, whatever another thread makes of the positions meanwhile.
                step = max(min(int(share * (1 << bits)), (1 << bits) - 1), 0)
                cell |= _spread(step) << axis
        cells[index] = cell
        starts[cell + 1] += 1
    starts, order = np.cumsum(starts), np.empty(count, np.int32)
    for index in range(count):
        order[starts[cells[index]]] = span[0] + index
        starts[cells[index]] += 1
    return order


@kernel
def _spread(value):
    """The bits of a number of MOST_BITS, with two zeros between them."""
    value = (value | value << 8) & 0x300F
    value = (value | value << 4) & 0x30C3
    return (value | value << 2) & 0x9249


@kernel
def _split(faces, order):
    """The corners, starts and vertices of Blocks in this order."""
    count, first, last = len(order), np.int64(2**31), np.int64(-1)
    for face in order:
        for corner in range(3):
            vertex = np.int64(faces[face, corner])
            first, last = min(first, vertex), max(last, vertex)
    latest = np.full(max(last + 1 - first, 0), -1, np.int32)
    place = np.empty(len(latest), np.uint16)
    corners, vertices = np.empty((3, count), np.uint16), np.empty(3 * count, np.int32)
    starts, total = np.zeros((count + BLOCK - 1) // BLOCK + 1, np.int64), 0
    for block in range(len(starts) - 1):
        for index in range(block * BLOCK, min((block + 1) * BLOCK, count)):
            for corner in range(3):
                vertex = faces[order[index], corner] - first
                if latest[vertex] != block:
                    latest[vertex], place[vertex] = block, total - starts[block]
                    vertices[total] = vertex + first
                    total += 1
                corners[corner, index] = place[vertex]
        starts[block + 1] = total
    return corners, starts, vertices[:total].copy()


@kernel
def front_to_back(positions, blocks):
    """Numbers of the blocks, about from front to back."""
    near = np.zeros(len(blocks.starts) - 1, np.float32)
    for block in range(len(near)):
        first, last = blocks.starts[block], blocks.starts[block + 1]
        for sample in range(SAMPLES):
            vertex = blocks.vertices[first + (last - first) * sample // SAMPLES]
            z, w = positions[vertex, 2], positions[vertex, 3]
            near[block] += z / w if w > 0 else -np.inf
    return np.argsort(near)


@kernel
def no_candidates():
    """Memory for those of any block."""
    return Candidates(
        np.empty((4, CORNERS), np.float32),
        np.empty((3, CORNERS), np.float32),
        np.empty((3, CORNERS), np.int32),
        np.empty((6, BLOCK), np.float32),
        np.empty((4, BLOCK), np.int32),
        np.empty(BLOCK, np.float32),
        np.empty(BLOCK, np.int32),
        np.empty(BLOCK, np.int32),
    )


@kernel
def find_candidates(positions, blocks, block, following, image, size, nearest, candidates):
    """How many triangles of a block may be seen; the candidates become those.

    Args:
        positions: float32[vertex, 4].
        blocks: See Blocks.
        block: The number of one.
        following: The number of the one that is looked at after it.
        image: First and last column and row that are drawn, as float32.
        size: Height and width of the image that those are of.
        nearest: float64[row, column], the depths that are drawn already.
        candidates: See Candidates.
    """
    clip, pixels, cells, triangles, boxes, depths, chosen, _ = candidates
    vertices = _vertices(blocks, block)
    margins = np.float32(MARGIN * size[1]), np.float32(MARGIN * size[0])
    _fetch(positions, vertices, clip)
    for vertex in _vertices(blocks, following):
        prefetch(positions, vertex)
    _project(clip, len(vertices), size, pixels)
    _find_cells(pixels, len(vertices), margins, cells)
    if _is_none_seen(cells, len(vertices), image, margins, nearest):
        return 0
    first, last = block * BLOCK, min((block + 1) * BLOCK, len(blocks.order))
    _fetch_triangles(pixels, blocks.corners, first, last, triangles)
    count = _touching(triangles, last - first, image, margins, boxes, chosen)
    _find_depths(pixels, blocks.corners, first, chosen, count, depths)
    return _maybe_seen(boxes, depths, int(image[2]), nearest, chosen, count)


@kernel
def _vertices(blocks, block):
    return blocks.vertices[blocks.starts[block] : blocks.starts[block + 1]]


@kernel
def _fetch(positions, vertices, clip):
    """Clip positions of some vertices: waiting for memory, before anything is computed."""
    for index in range(len(vertices)):
        vertex = np.uint64(vertices[index])
        for axis in range(4):
            clip[axis, index] = positions[vertex, axis]


@kernel
def _project(clip, count, size, pixels):
    """Columns, rows and depths of the first vertices.

    Columns and rows are inf behind the eye, where depths are -inf, and nan if not finite. Whoever
    uses them leaves a MARGIN or SLACK, which is more than they are rounded by.
    """
    height, width, half = np.float32(size[0]), np.float32(size[1]), np.float32(0.5)
    far, infinite, nan = np.float32(FAR_AWAY), np.float32(np.inf), np.float32(np.nan)
    for index in range(count):  # without branches, so that the compiler takes many at once
        x, y, z, w = clip[0, index], clip[1, index], clip[2, index], clip[3, index]
        column, row = (x / w * half + half) * width - half, (y / w * half + half) * height - half
        is_finite = (x - x) + (y - y) + (z - z) + (w - w) == 0
        is_ahead, instead = is_finite & (w > 0), infinite if is_finite else nan
        pixels[0, index] = min(max(column, -far), far) if is_ahead else instead
        pixels[1, index] = min(max(row, -far), far) if is_ahead else instead
        pixels[2, index] = z / w if is_ahead else -infinite


@kernel
def _find_cells(pixels, count, margins, cells):
    """Cells of the first vertices, those of what is before them by a margin."""
    across, up = margins
    far, deep, steps = np.float32(OUTSIDE), np.float32(DEEPEST), np.float32(DEPTHS)
    for index in range(count):
        column, row, depth = pixels[0, index], pixels[1, index], pixels[2, index]
        cells[0, index] = np.int32(np.floor(min(max(column - across, -far), far)))
        cells[1, index] = np.int32(np.floor(min(max(row - up, -far), far)))
        cells[2, index] = np.int32(np.floor(min(max(depth, -deep), deep) * steps))


@kernel
def _is_none_seen(cells, count, image, margins, nearest):
    """Whether these vertices are all to one side of the image, or behind what is drawn already."""
    left = bottom = least = np.int32(OUTSIDE)
    right = top = np.int32(-OUTSIDE)
    for index in range(count):
        left, right = min(left, cells[0, index]), max(right, cells[0, index])
        bottom, top = min(bottom, cells[1, index]), max(top, cells[1, index])
        least = min(least, cells[2, index])
    if least <= -DEEPEST * DEPTHS:  # some are behind the eye, or not finite
        return False
    # From a margin before a vertex to one beyond it.
    right, top = right + int(np.ceil(2 * margins[0])), top + int(np.ceil(2 * margins[1]))
    left, right = max(left, np.int64(image[0])), min(right, np.int64(image[1]))
    bottom, top = max(bottom, np.int64(image[2])), min(top, np.int64(image[3]))
    if left > right or bottom > top:
        return True
    if (right - left + 1) * (top - bottom + 1) > WORTH_LOOKING:
        return False
    first_row = np.int64(image[2])
    return is_hidden((left, right, bottom - first_row, top - first_row), least / DEPTHS, nearest)


@kernel
def _box(low, high, lowest, highest, image, margins):
    """First and last column and row, as float32, of those between the bounds and in the image."""
    left, right, bottom, top = image
    across, up = margins
    return (
        np.ceil(max(low - across, left)),
        np.floor(min(high + across, right)),
        np.ceil(max(lowest - up, bottom)),
        np.floor(min(highest + up, top)),
    )


@kernel
def is_hidden(box, depth, nearest):
    """Whether all pixels of a box are nearer than a depth."""
    left, right, bottom, top = box
    limit = depth - SLACK
    for row in range(bottom, top + 1):
        not_hidden = 0
        for column in range(left, right + 1):  # without branches: many at once
            not_hidden += not nearest[np.uint64(row), np.uint64(column)] < limit
        if not_hidden:
            return False
    return True


@kernel
def _fetch_triangles(pixels, corners, first, last, triangles):
    """Columns and rows of the corners of triangles, from the first to before the last."""
    for index in range(last - first):
        for corner in range(3):
            vertex = np.uint64(corners[corner, first + index])
            for axis in range(2):
                triangles[3 * axis + corner, index] = pixels[axis, vertex]


@kernel
def _touching(triangles, count, image, margins, boxes, chosen):
    """How many of the first triangles may cover pixel centres of an image.

    `chosen` become those; `boxes` are found for all. Of a fine mesh most cover none: without
    branches, the compiler looks at many at once.
    """
    left, right, bottom, top = image
    infinite = np.float32(np.inf)
    for index in range(count):
        column0, column1, column2 = triangles[0, index], triangles[1, index], triangles[2, index]
        row0, row1, row2 = triangles[3, index], triangles[4, index], triangles[5, index]
        low, high = min(min(column0, column1), column2), max(max(column0, column1), column2)
        lowest, highest = min(min(row0, row1), row2), max(max(row0, row1), row2)
        begin, end, below, above = _box(low, high, lowest, highest, image, margins)
        total = column0 + column1 + column2  # nan if one of them is
        # Where some vertices are behind the eye, the rest may reach anywhere.
        anywhere = (total == infinite) & (low < infinite)
        boxes[0, index] = np.int32(left if anywhere else begin)
        boxes[1, index] = np.int32(right if anywhere else end)
        boxes[2, index] = np.int32(bottom if anywhere else below)
        boxes[3, index] = np.int32(top if anywhere else above)
        is_one_centre = (begin == end) & (below == above)
        is_beside = (
            is_one_centre
            & (max(high - low, highest - lowest) < 2)
            & _misses(
                (column0 - begin, column1 - begin, column2 - begin),
                (row0 - below, row1 - below, row2 - below),
                max(margins[0], margins[1]),
            )
        )
        touches = (begin <= end) & (below <= above) & (total < infinite)
        chosen[index] = (touches & ~is_beside) | anywhere
    return _where(chosen, count)


@kernel
def _misses(x, y, margin):
    """Whether a triangle of less than 2 columns and rows, seen from a pixel centre, is beside it.

    Each edge function is off by up to 8 times the margin by which its vertices may be.
    """
    edge0, edge1, edge2 = (
        x[1] * y[2] - x[2] * y[1],
        x[2] * y[0] - x[0] * y[2],
        x[0] * y[1] - x[1] * y[0],
    )
    doubt = np.float32(16) * margin
    return (min(min(edge0, edge1), edge2) < -doubt) & (max(max(edge0, edge1), edge2) > doubt)


@kernel
def _find_depths(pixels, corners, first, chosen, count, depths):
    """The least depths of the chosen triangles of the block whose first triangle that is."""
    for number in range(count):
        index = chosen[number]
        place = np.uint64(first + index)
        depth0 = pixels[2, np.uint64(corners[0, place])]
        depth1 = pixels[2, np.uint64(corners[1, place])]
        depth2 = pixels[2, np.uint64(corners[2, place])]
        depths[index] = min(min(depth0, depth1), depth2)


@kernel
def _where(chosen, count):
    """How many of the first numbers are 1 and not 0; instead of them come the places of these."""
    kept = 0
    for index in range(count):
        mark = chosen[index]
        chosen[kept] = index
        kept += mark
    return kept


@kernel
def _maybe_seen(boxes, depths, first_row, nearest, chosen, count):
    """How many of the chosen triangles may be in front of the nearest; `chosen` keeps only these.

    Those of more than SMALL columns or rows are not looked at.
    """
    kept = 0
    for number in range(count):
        index = chosen[number]
        left, right = np.int64(boxes[0, index]), np.int64(boxes[1, index])
        bottom, top = np.int64(boxes[2, index]) - first_row, np.int64(boxes[3, index]) - first_row
        is_small = (right - left < SMALL) & (top - bottom < SMALL)
        farthest = -np.inf
        for row in (bottom, (bottom + top) >> 1, top):
            for column in (left, (left + right) >> 1, right):
                farthest = max(farthest, nearest[np.uint64(row), np.uint64(column)])
        chosen[kept] = index
        kept += 1 - (is_small & (farthest < depths[index] - SLACK))
    return kept
