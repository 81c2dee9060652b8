"""Memory and functions by their address, in compiled code.

An address is an integer to Numba, so one piece of machine code serves arrays of every type and layout, lists of
addresses can be made by Python, and a function that was compiled elsewhere, such as a product of BLAS, can be called.
Whoever gives an address keeps alive what is there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types  # type: ignore[attr-defined]
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

from .compile import jit

__all__ = ["DTYPES", "POINTERS", "array", "call", "int32_at", "integers", "pointer", "take_number"]

# What arrays hold.
INTEGERS = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)
DTYPES = tuple(np.dtype(t) for t in (np.float32, np.float64, np.bool_, *INTEGERS))


def _pointer(typingctx: Any, address: Any) -> Any:
    """Turn a number into a pointer."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), codegen


def _pointer_at(element: Any) -> Any:
    """Make an intrinsic that reads address ``k`` of a list, as a pointer to elements of a type.

    A pointer is one word, which is read and written with an index; an array is seven, and takes Numba twice as long.
    """
    kind = types.CPointer(element)

    def pointer_at(typingctx: Any, addresses: Any, k: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word = ir.IntType(64)
            k = context.cast(builder, args[1], signature.args[1], types.int64)
            place = builder.gep(builder.inttoptr(args[0], word.as_pointer()), [k])
            return builder.inttoptr(builder.load(place), context.get_value_type(kind))

        return kind(types.int64, k), codegen

    return intrinsic(pointer_at)


def _integers(typingctx: Any, address: Any) -> Any:
    """Read integers at an address."""
    kind = types.CPointer(types.int64)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(kind))

    return kind(types.int64), codegen


def _call(typingctx: Any, address: Any, arguments: Any) -> Any:
    """Call the function at an address with a tuple of integers."""
    count = len(arguments)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = ir.IntType(64)
        function = ir.FunctionType(ir.VoidType(), [word] * count).as_pointer()
        values = [
            context.cast(builder, value, kind, types.int64)
            for value, kind in zip(cgutils.unpack_tuple(builder, args[1]), signature.args[1], strict=True)
        ]
        builder.call(builder.inttoptr(args[0], function), values)
        return context.get_dummy_value()

    return types.void(types.int64, arguments), codegen


def _take_number(typingctx: Any, address: Any) -> Any:
    """Read the integer at an address and add one to it, so that no two threads read the same."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = ir.IntType(64)
        return builder.atomic_rmw(
            "add", builder.inttoptr(args[0], word.as_pointer()), ir.Constant(word, 1), "monotonic"
        )

    return types.int64(types.int64), codegen


def _in_memory(dtype: np.dtype[Any]) -> Any:
    """Give Numba's type of an element in memory. A truth value has one bit in a register, and a byte there."""
    return types.uint8 if dtype == np.bool_ else from_dtype(dtype)  # type: ignore[arg-type]


# Compiled code calls them without the first parameter.
pointer: Any = intrinsic(_pointer)
integers: Any = intrinsic(_integers)
call: Any = intrinsic(_call)
take_number: Any = intrinsic(_take_number)
POINTERS: dict[str, Any] = {f"{t.name}_at": _pointer_at(_in_memory(t)) for t in DTYPES}
int32_at = POINTERS["int32_at"]


@jit
def array(address, n, dtype):
    """Make an array of the ``n`` elements at an address."""
    return carray(pointer(address), (n,), dtype)
