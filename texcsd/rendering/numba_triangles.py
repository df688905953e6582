"""What is computed of one triangle, in float64, and exactly where that is not enough."""

from __future__ import annotations

import numpy as np

from texcsd.geometry.kernel import kernel
from texcsd.rendering.numba_exact import exact_determinant

DOUBT = 2.0**-50
"""Share of an edge function's numbers by which its value in float64 is off in an image: less."""
THIN = 1e-9
"""Share of its terms below which a determinant has lost many of its digits: in float64 neither its
sign nor where in the triangle a pixel is can be told from it."""
STEEP = 2.0**20
"""Change of z/w across the image from which on float64 does not tell it well."""


@kernel
def centres(size):
    """Normalised coordinate of every pixel centre along one axis."""
    return (2 * np.arange(size) + 1 - size) / size


@kernel
def fetched_corner(fetched, first, index):
    """x, y and w of a corner, and z, from the rows that begin with the first."""
    x, y = np.float64(fetched[first, index]), np.float64(fetched[first + 1, index])
    z, w = np.float64(fetched[first + 2, index]), np.float64(fetched[first + 3, index])
    return (x, y, w), z


@kernel
def edge_functions(corners):
    """Edge functions (a, b, c) of a triangle: at normalised (x, y) each is a*x + (b*y + c).

    They come straight from homogeneous clip coordinates (Olano and Greer 1997), x, y and w of each
    corner: no vertex is divided by w and nothing is clipped. Two triangles that share an edge get
    exactly opposite numbers for it, as float32 products are exact in float64 and rounding is
    symmetric in the sign.
    """
    (x0, y0, w0), (x1, y1, w1), (x2, y2, w2) = corners
    return (
        (y1 * w2 - y2 * w1, w1 * x2 - w2 * x1, x1 * y2 - x2 * y1),
        (y2 * w0 - y0 * w2, w2 * x0 - w0 * x2, x2 * y0 - x0 * y2),
        (y0 * w1 - y1 * w0, w0 * x1 - w1 * x0, x0 * y1 - x1 * y0),
    )


@kernel
def edge_values(edges, x, y):
    """Of three edge functions at normalised (x, y)."""
    (a0, b0, c0), (a1, b1, c1), (a2, b2, c2) = edges
    return a0 * x + (b0 * y + c0), a1 * x + (b1 * y + c1), a2 * x + (b2 * y + c2)


@kernel
def exact_edge_values(corners, column, row, size, terms):
    """Of the edge functions of a triangle at a pixel centre: right signs, to 2**-50 of each.

    Args:
        corners: x, y and w of its corners, float32 numbers.
        column: Of the pixel.
        row: Likewise.
        size: Height and width of the image.
        terms: See `exact_determinant`.
    """
    (first, second, third), centre = corners, _whole_centre(column, row, size)
    return (
        exact_determinant(second, third, centre, terms) / centre[2],
        exact_determinant(third, first, centre, terms) / centre[2],
        exact_determinant(first, second, centre, terms) / centre[2],
    )


@kernel
def few_digit_edge_values(edges, column, row, size):
    """What `exact_edge_values` gives, of a triangle whose corners have few digits."""
    x, y, w = _whole_centre(column, row, size)
    (a0, b0, c0), (a1, b1, c1), (a2, b2, c2) = edges
    return (
        (a0 * x + (b0 * y + c0 * w)) / w,
        (a1 * x + (b1 * y + c1 * w)) / w,
        (a2 * x + (b2 * y + c2 * w)) / w,
    )


@kernel
def has_few_digits(corners, size):
    """Whether float64 makes no error with a triangle's corners and pixel centres as whole numbers.

    As of regular grids, of which many edges run through centres: they are whole numbers of a unit
    of which the largest has no more than 2**23 / sqrt(height * width).
    """
    (x0, y0, w0), (x1, y1, w1), (x2, y2, w2) = corners
    largest = max(
        max(max(abs(x0), abs(x1)), abs(x2)),
        max(max(abs(y0), abs(y1)), abs(y2)),
        max(max(abs(w0), abs(w1)), abs(w2)),
    )
    # A float64 as large as this one is a whole number of units.
    rounder = largest * np.sqrt(np.float64(size[0] * size[1])) * 2.0**29
    return (
        _is_whole(x0, rounder)
        and _is_whole(y0, rounder)
        and _is_whole(w0, rounder)
        and _is_whole(x1, rounder)
        and _is_whole(y1, rounder)
        and _is_whole(w1, rounder)
        and _is_whole(x2, rounder)
        and _is_whole(y2, rounder)
        and _is_whole(w2, rounder)
    )


@kernel
def _is_whole(number, rounder):
    return (number + rounder) - rounder == number


@kernel
def _whole_centre(column, row, size):
    """A pixel centre as (x, y, w), all whole numbers."""
    height, width = size
    x, y = (2 * column + 1 - width) * height, (2 * row + 1 - height) * width
    return np.float64(x), np.float64(y), np.float64(width * height)


@kernel
def doubt_of(edge):
    """What the value of an edge function may be off by in an image, in float64."""
    a, b, c = edge
    return DOUBT * (abs(a) + abs(b) + abs(c))


@kernel
def oriented(edges, side):
    """Edge functions, or their values, that are positive inside, where they have this sign."""
    (a0, b0, c0), (a1, b1, c1), (a2, b2, c2) = edges
    if side > 0:
        return edges
    return (-a0, -b0, -c0), (-a1, -b1, -c1), (-a2, -b2, -c2)


@kernel
def is_inside(values, edges, side):
    """Whether a triangle covers a pixel centre where its edge functions have these values.

    A centre that is exactly on an edge counts as if all centres lay a little to the right, and a
    very little up: so one triangle has it of any that meet there.
    """
    (value0, value1, value2), (edge0, edge1, edge2) = values, edges
    return (
        _is_on_side(value0, edge0, side)
        and _is_on_side(value1, edge1, side)
        and _is_on_side(value2, edge2, side)
    )


@kernel
def _is_on_side(value, edge, side):
    a, b, _ = edge
    if value != 0:
        return value * side > 0
    return a * side > 0 or (a == 0 and b * side > 0)


@kernel
def _sum_of_three(first, second, third):
    """Their sum, rounded in the same way in whatever order they come."""
    low, high = min(first, second), max(first, second)
    middle = max(low, min(high, third))
    return (min(low, third) + max(high, third)) + middle


@kernel
def determinant_of(edges, corner_w):
    """Determinant of a triangle's corners, from its edge functions; 0 if it is thin.

    The same number, but for its sign, in whatever order the corners come.
    """
    (_, _, c0), (_, _, c1), (_, _, c2) = edges
    d0, d1, d2 = c0 * corner_w[0], c1 * corner_w[1], c2 * corner_w[2]
    determinant = _sum_of_three(d0, d1, d2)
    return determinant if abs(determinant) > THIN * max(abs(d0), abs(d1), abs(d2)) else 0.0


@kernel
def depth_plane(edges, corner_z, determinant):
    """z/w of a triangle as a plane (a, b, c): at normalised (x, y) it is a*x + (b*y + c).

    The same numbers in whatever order the corners come; not finite if it is thin.
    """
    (a0, b0, c0), (a1, b1, c1), (a2, b2, c2) = edges
    (z0, z1, z2), scale = corner_z, 1 / determinant
    return (
        _sum_of_three(a0 * z0, a1 * z1, a2 * z2) * scale,
        _sum_of_three(b0 * z0, b1 * z1, b2 * z2) * scale,
        _sum_of_three(c0 * z0, c1 * z1, c2 * z2) * scale,
    )


@kernel
def is_steep(plane):
    """Whether depths had better not be computed from a plane, which may not be finite."""
    return not abs(plane[0]) + abs(plane[1]) + abs(plane[2]) < STEEP


@kernel
def depth_inside(values, corner_z, corner_w):
    """z/w in a triangle where its edge functions have these values, which have one sign."""
    (value0, value1, value2), (z0, z1, z2), (w0, w1, w2) = values, corner_z, corner_w
    z = _sum_of_three(value0 * z0, value1 * z1, value2 * z2)
    return z / _sum_of_three(value0 * w0, value1 * w1, value2 * w2)


@kernel
def depth_on_plane(plane, x, y):
    """z/w of a plane at normalised (x, y)."""
    return plane[0] * x + (plane[1] * y + plane[2])


@kernel
def w_of(corners):
    """The w of three corners, of which x, y and w are given."""
    (_, _, w0), (_, _, w1), (_, _, w2) = corners
    return w0, w1, w2
