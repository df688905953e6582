"""LANES pixels of a row at once: the rasterizer's innermost step, in vector instructions.

Left to itself the compiler makes them of a loop over a row, too, but for long rows: most of the
time then goes into getting ready, as most rows of most triangles are short.
"""

from __future__ import annotations

import functools
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 4
"""Pixels that are looked at at once."""
STEP = 2.0**-40
"""Between depths that are told apart, which makes equal what rounding alone sets apart."""
ROUNDER = 1.5 * 2.0**52 * STEP
"""A float64 as large as this one is a whole number of steps."""

_int32, _float64 = ir.IntType(32), ir.DoubleType()
_indices, _numbers = ir.VectorType(_int32, LANES), ir.VectorType(_float64, LANES)


def _draw_lanes(
    _: Any,
    lines: Any,
    plane: Any,
    x_centres: Any,
    peeled: Any,
    nearest: Any,
    ids: Any,
    row: Any,
    column: Any,
    face: Any,
    doubt: Any,
) -> Any:
    """Has LANES pixels see a triangle where it covers them and nothing nearer does.

    Of those that are equally near the one of the lowest number is seen.

    Args:
        lines: Its three edge functions in this row, each (a, b): a*x + b. It covers what is
            positive in all.
        plane: Its depth in this row, (a, b) likewise.
        x_centres: float64[column], x of every pixel centre.
        peeled: float64[row, column], depths to look behind, or None.
        nearest: float64[row, column], depths that are seen.
        ids: int32[row, column], triangles that are seen.
        row: Of the pixels.
        column: The first of the pixels.
        face: Its number.
        doubt: How little, below 0, an edge function must be to leave open if a pixel is covered.

    Returns:
        Not 0 if that is left open in any of the pixels.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lines, plane, *_, row, column, face, doubt = arguments

        def pointer(index: int, kind: Any, *place: Any) -> Any:
            return _pointer(context, builder, signature.args[index], arguments[index], kind, place)

        x = builder.load(pointer(2, _numbers, column), align=8)
        nearest, ids = pointer(4, _numbers, row, column), pointer(5, _indices, row, column)
        seen_depth, seen = builder.load(nearest, align=8), builder.load(ids, align=4)
        values = [_on_line(builder, builder.extract_value(lines, edge), x) for edge in range(3)]
        least = _lesser(builder, _lesser(builder, values[0], values[1]), values[2])
        depth = _on_line(builder, plane, x)
        depth = builder.fsub(builder.fadd(depth, _all(ROUNDER)), _all(ROUNDER))
        faces = _spread(builder, builder.trunc(face, _int32))
        is_first = builder.icmp_signed("<", faces, seen)
        conditions = [
            builder.fcmp_ordered(">", least, _all(0.0)),
            builder.fcmp_ordered(">=", depth, _all(-1.0)),
            builder.or_(
                builder.fcmp_ordered("<", depth, seen_depth),
                builder.and_(builder.fcmp_ordered("==", depth, seen_depth), is_first),
            ),
        ]
        if not isinstance(signature.args[3], types.NoneType):
            peeled = builder.load(pointer(3, _numbers, row, column), align=8)
            conditions.append(builder.fcmp_ordered(">", depth, peeled))
        sees = functools.reduce(builder.and_, conditions)
        builder.store(builder.select(sees, depth, seen_depth), nearest, align=8)
        builder.store(builder.select(sees, faces, seen), ids, align=4)
        is_open = builder.and_(
            builder.fcmp_ordered("<=", least, _all(0.0)),
            builder.fcmp_ordered(">=", least, _spread(builder, doubt)),
        )
        return builder.zext(builder.bitcast(is_open, ir.IntType(LANES)), ir.IntType(64))

    arrays = x_centres, peeled, nearest, ids
    numbers = types.int64, types.int64, types.int64, types.float64
    return types.int64(lines, plane, *arrays, *numbers), generate


draw_lanes: Any = intrinsic(_draw_lanes)


def _pointer(
    context: Any, builder: Any, kind_of_array: Any, array: Any, kind: Any, place: Any
) -> Any:
    """To as many numbers in a row as a vector of this kind has, from this place on."""
    structure = context.make_array(kind_of_array)(context, builder, array)
    byte = builder.bitcast(structure.data, ir.IntType(8).as_pointer())
    for axis, index in enumerate(place):
        stride = builder.extract_value(structure.strides, axis)
        byte = builder.gep(byte, [builder.mul(stride, index)])
    return builder.bitcast(byte, kind.as_pointer())


def _on_line(builder: Any, line: Any, x: Any) -> Any:
    """a*x + b of a line (a, b), for every x."""
    slope, start = (_spread(builder, builder.extract_value(line, index)) for index in range(2))
    return builder.fadd(builder.fmul(slope, x), start)


def _lesser(builder: Any, first: Any, second: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", first, second), first, second)


def _spread(builder: Any, number: Any) -> Any:
    """A vector that is this number in every lane."""
    nothing = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    vector = builder.insert_element(nothing, number, _int32(0))
    return builder.shuffle_vector(vector, nothing, ir.Constant(_indices, [0] * LANES))


def _all(number: float) -> Any:
    return ir.Constant(_numbers, [number] * LANES)
