"""The library's large kernels as functions at an address, compiled once for all programs.

LLVM optimises a function again in every function that it becomes part of, and a convolution takes seconds. So a
program does not contain the convolutions: it calls them by their address, which it finds in its table. An entry takes
addresses and a list of sizes, all 64-bit integers, and makes arrays of them; its machine code is kept on disk like
that of every kernel.
"""

from __future__ import annotations

from functools import cache, cached_property
from types import FunctionType
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types  # type: ignore[attr-defined]
from numba.core import cgutils
from numba.core.ccallback import CFunc
from numba.extending import intrinsic

from ..kernels.compile import _disk_cache, bind, jit, kernel_folder
from ..kernels.cpu import fused_conv, sparse_conv

__all__ = ["Entry", "call", "entry", "pointer"]


def _pointer(typingctx: Any, address: Any) -> Any:
    """Turn a number into a pointer."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), codegen


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


# Compiled code calls them without the first parameter.
pointer: Any = intrinsic(_pointer)
call: Any = intrinsic(_call)


# --- what an entry does ------------------------------------------------------------------------------------------

real: Any = None  # bound in every copy, to the type of the elements
convolve = fused_conv.convolve
conv_grad_weight = fused_conv.conv_grad_weight
conv_pool_backward = sparse_conv.conv_pool_backward


@jit
def _images(address, sizes, first, dtype):
    """Make an array of four dimensions, whose sizes are in a list."""
    shape = (sizes[first], sizes[first + 1], sizes[first + 2], sizes[first + 3])
    return carray(pointer(address), shape, dtype)


@jit
def _flat(address, n, dtype):
    return carray(pointer(address), (n,), dtype)


def _convolve(out, places, x, w, bias, plan, sizes, scratch, b0, b1):
    s = carray(pointer(sizes), (15,), np.int64)
    numbers = carray(pointer(plan), (s[12],), np.int64)
    result, image, weight = _images(out, s, 0, real), _images(x, s, 4, real), _images(w, s, 8, real)
    where = carray(pointer(places), (result.size,), np.int64)
    work = _flat(scratch, s[13], real)
    convolve(result, where, image, image, weight, _flat(bias, s[14], real), numbers, work, b0, b1)


def _grad_weight(dw, dbias, x, dy, plan, sizes, scratch, b0, b1):
    s = carray(pointer(sizes), (15,), np.int64)
    numbers = carray(pointer(plan), (s[12],), np.int64)
    result, image, gradient = _images(dw, s, 0, real), _images(x, s, 4, real), _images(dy, s, 8, real)
    work = _flat(scratch, s[13], real)
    conv_grad_weight(result, _flat(dbias, s[14], real), image, gradient, gradient, numbers, work, b0, b1)


def _pool_backward(dw, dbias, dx, x, w, values, places, plan, sizes, scratch, b0, b1):
    s = carray(pointer(sizes), (15,), np.int64)
    numbers = carray(pointer(plan), (s[12],), np.int64)
    v = _images(values, s, 8, real)
    where = carray(pointer(places), (v.size,), np.int64)
    d_weight, weight = _images(dw, s, 0, real), _images(w, s, 0, real)
    d_image, image = _images(dx, s, 4, real), _images(x, s, 4, real)
    work = _flat(scratch, s[13], real)
    conv_pool_backward(d_weight, _flat(dbias, s[14], real), d_image, image, weight, v, where, v, numbers, work, b0, b1)


_TEMPLATES: dict[str, tuple[Any, int]] = {
    "convolve": (_convolve, 10),
    "conv_grad_weight": (_grad_weight, 9),
    "conv_pool_backward": (_pool_backward, 12),
}


class Entry:
    """A kernel for one type of elements.

    Attributes:
        name: of the kernel.
        dtype: of the elements.
    """

    def __init__(self, name: str, dtype: np.dtype[Any]) -> None:
        self.name, self.dtype = name, np.dtype(dtype)

    @cached_property
    def _compiled(self) -> CFunc:
        template, count = _TEMPLATES[self.name]
        fn: FunctionType = bind(template, f"{self.name}_{self.dtype.name}", real=self.dtype.type)
        signature = types.void(*[types.int64] * count)
        compiled: Any = CFunc(fn, (signature.args, signature.return_type), {}, {"error_model": "numpy"})
        if (folder := kernel_folder()) is not None:
            compiled._cache = _disk_cache(fn, folder)
        compiled.compile()
        return compiled

    @property
    def address(self) -> int:
        """Where its machine code is; compiled, or loaded from disk, when it is first asked for."""
        address = self._compiled.address
        assert address is not None
        return address

    def __repr__(self) -> str:
        return f"Entry({self.name}, {self.dtype.name})"


@cache
def entry(name: str, dtype: np.dtype[Any]) -> Entry:
    """Give the one entry of a kernel and a type."""
    return Entry(name, dtype)
