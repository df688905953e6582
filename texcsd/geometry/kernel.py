"""How loops over numbers are compiled by numba, here and in the rasterizer."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic


def kernel(function: Callable[..., Any]) -> Any:
    """Compiles at the first call and caches on disk, if any folder for that is writable.

    Division by zero gives an infinity. Small helpers take numbers rather than arrays, where they
    are called for every pixel: counting the references to an array costs more than their work.
    """
    try:
        return njit(nogil=True, cache=True, error_model="numpy")(function)
    except RuntimeError:
        return njit(nogil=True, error_model="numpy")(function)


def _prefetch(_: Any, array: Any, row: Any) -> Any:
    """Has the processor fetch where a row of an array begins, without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        structure = context.make_array(signature.args[0])(context, builder, arguments[0])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        offset = builder.mul(builder.extract_value(structure.strides, 0), arguments[1])
        place = builder.gep(builder.bitcast(structure.data, byte), [offset])
        declared = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], declared)
        for_reading, into_all_caches, data = number(0), number(3), number(1)
        builder.call(function, [place, for_reading, into_all_caches, data])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


prefetch: Any = intrinsic(_prefetch)
