import math

import pytest
from rendering_shapes import make_sphere

from texcsd.rendering.outlines import outline_overlap


def test_a_shape_shares_all_of_its_outlines_with_itself(sphere) -> None:
    assert outline_overlap(sphere, sphere) == (1.0, 1.0)


def test_of_a_larger_sphere_a_smaller_one_has_the_square_of_the_ratio(sphere) -> None:
    mean, least = outline_overlap(sphere, make_sphere(radius=0.8))
    assert mean == pytest.approx(0.8**2, abs=0.02) and math.isclose(mean, least, abs_tol=0.01)
