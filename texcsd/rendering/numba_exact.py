"""On which side of a line through two corners a point is, where float64 cannot tell: exactly.

After Shewchuk (1997), "Adaptive precision floating-point arithmetic and fast robust geometric
predicates": what a sum or product of floats loses is a float, too, so nothing need be lost.
"""

from __future__ import annotations

import numpy as np

from texcsd.geometry.kernel import kernel

TERMS = 12
"""Floats whose sum is a determinant, at most."""
SPLIT = 2.0**27 + 1
"""Cuts a float64 into two of at most 26 bits."""
ENOUGH = 2.0**50
"""How much larger than what it lacks a sum must be."""


@kernel
def no_terms():
    """Memory for those of any determinant."""
    return np.empty(TERMS)


@kernel
def exact_determinant(first, second, third, terms):
    """Of three points (x, y, w), with the right sign and to 2**-50 of itself; 0 only if it is.

    Args:
        first: Its numbers are float32, so that products of two are exact.
        second: Likewise.
        third: Its numbers are any float64 of no more than 53 bits.
        terms: Memory, see `no_terms`; it is overwritten.
    """
    (x0, y0, w0), (x1, y1, w1) = first, second
    a, lost_a = _add(y0 * w1, -(y1 * w0))
    b, lost_b = _add(w0 * x1, -(w1 * x0))
    c, lost_c = _add(x0 * y1, -(x1 * y0))
    terms[0], terms[1] = _multiply(a, third[0])
    terms[2], terms[3] = _multiply(b, third[1])
    terms[4], terms[5] = _multiply(c, third[2])
    if lost_a == 0 and lost_b == 0 and lost_c == 0:  # as of numbers of few digits
        return _sum(terms, TERMS // 2)
    terms[6], terms[7] = _multiply(lost_a, third[0])
    terms[8], terms[9] = _multiply(lost_b, third[1])
    terms[10], terms[11] = _multiply(lost_c, third[2])
    return _sum(terms, TERMS)


@kernel
def _add(first, second):
    """The sum of two floats, and what it lacks (Knuth)."""
    total = first + second
    second_in_it = total - first
    first_in_it = total - second_in_it
    return total, (first - first_in_it) + (second - second_in_it)


@kernel
def _multiply(first, second):
    """The product of two floats, and what it lacks (Dekker)."""
    product = first * second
    high, low = _halves(first)
    other_high, other_low = _halves(second)
    lost = high * other_high - product + high * other_low + low * other_high
    return product, lost + low * other_low


@kernel
def _halves(value):
    large = SPLIT * value
    high = large - (large - value)
    return high, value - high


@kernel
def _sum(terms, count):
    """The sum of the first floats, which are overwritten.

    Every pass adds them up and keeps what each addition lacks, until that no longer matters: at
    the latest after as many passes as there are numbers, as none then overlaps with another.
    """
    total = 0.0
    for _ in range(count):
        lacking = 0.0
        for index in range(1, count):
            terms[index], terms[index - 1] = _add(terms[index], terms[index - 1])
            lacking += abs(terms[index - 1])
        total = terms[count - 1]
        if not lacking * ENOUGH > abs(total):  # nor if it is not a number
            break
    return total
