from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from texcsd.rendering.numba_exact import exact_determinant, no_terms

MANY = settings(max_examples=300, deadline=None, derandomize=True)
# Products of three are finite, and what these lack is not too small for a float.
magnitudes = st.integers(-90, 90).map(lambda exponent: 2.0**exponent)
float32 = st.builds(
    lambda number, scale: float(np.float32(number * scale)),
    st.integers(-(2**24), 2**24),
    magnitudes,
)
points = st.tuples(float32, float32, float32)


def determinant(*points):
    (x0, y0, w0), (x1, y1, w1), (x2, y2, w2) = (map(Fraction, point) for point in points)
    return x2 * (y0 * w1 - y1 * w0) + y2 * (w0 * x1 - w1 * x0) + w2 * (x0 * y1 - x1 * y0)


def expect_exact(*points):
    found, exact = exact_determinant(*points, no_terms()), determinant(*points)
    assert np.sign(found) == (exact > 0) - (exact < 0)
    assert abs(Fraction(found) - exact) <= abs(exact) / 2**49


@MANY
@given(points, points, points)
def test_a_determinant_is_exact_for_numbers_of_any_size(first, second, third):
    expect_exact(first, second, third)


@MANY
@given(
    points, points, st.integers(-8, 8), st.integers(-8, 8), st.integers(0, 2), st.integers(-1, 1)
)
def test_a_determinant_that_is_0_or_nearly_so_has_its_sign(first, second, one, other, axis, ulps):
    third = [one * a + other * b for a, b in zip(first, second, strict=True)]
    third[axis] += ulps * np.spacing(third[axis])
    expect_exact(first, second, tuple(third))


def test_the_sum_of_a_plane_through_three_points_is_exactly_0():
    first, second = (1.0, 2.0**-20, 1.0), (2.0**20, 1.0, -(2.0**-18))
    third = tuple(2 * a + 4 * b for a, b in zip(first, second, strict=True))
    assert exact_determinant(first, second, third, no_terms()) == 0
