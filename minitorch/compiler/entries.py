"""Kernels as functions at an address.

LLVM optimises a function again in every function that it becomes part of. So a program does not contain its kernels:
it lists their addresses, and what it was compiled for once serves every program that needs it. All kernels are called
alike, with three integers: the address of a list of addresses, their operands', and the range of images (or of
elements) that they work on.

A kernel is one of the library's, such as a convolution, or its text was written for a step (``loops.py``). Its machine
code is kept on disk, the latter's under a hash of the text.
"""

from __future__ import annotations

import hashlib
import linecache
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from types import FunctionType
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types  # type: ignore[attr-defined]
from numba.core import cgutils
from numba.core.ccallback import CFunc
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

from ..kernels.compile import _disk_cache, bind, is_ours, jit, jit_element, kernel_folder
from ..kernels.cpu import dropout

__all__ = ["Entry", "array", "call", "entry", "int32_at", "integers", "pointer", "take_number", "written"]

# What arrays of a program hold.
INTEGERS = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)
DTYPES = tuple(np.dtype(t) for t in (np.float32, np.float64, np.bool_, *INTEGERS))


# --- addresses in compiled code ----------------------------------------------------------------------------------


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


# Compiled code calls them without the first parameter.
pointer: Any = intrinsic(_pointer)
integers: Any = intrinsic(_integers)
call: Any = intrinsic(_call)
take_number: Any = intrinsic(_take_number)
_POINTERS: dict[str, Any] = {f"{t.name}_at": _pointer_at(from_dtype(t)) for t in DTYPES}  # type: ignore[arg-type]
int32_at = _POINTERS["int32_at"]


@jit
def array(address, n, dtype):
    """Make an array of the ``n`` elements at an address."""
    return carray(pointer(address), (n,), dtype)


# --- kernels -------------------------------------------------------------------------------------------------------


class Entry:
    """A kernel, compiled when its address is first asked for.

    Args:
        fn: a function of three integers: the address of its operands' addresses, and a range.
        keep: keep the machine code on disk.
    """

    def __init__(self, fn: FunctionType, keep: bool = True) -> None:
        self.fn, self.keep = fn, keep

    @cached_property
    def _compiled(self) -> CFunc:
        # No rewrite of the arithmetic is allowed: LLVM might choose another one when it sees a text again.
        signature = types.void(types.int64, types.int64, types.int64)
        compiled: Any = CFunc(self.fn, (signature.args, signature.return_type), {}, {"error_model": "numpy"})
        if self.keep and (folder := kernel_folder()) is not None:
            compiled._cache = _disk_cache(self.fn, folder)
        compiled.compile()
        return compiled

    @property
    def address(self) -> int:
        """Where its machine code is; compiled, or loaded from disk, when it is first asked for."""
        address = self._compiled.address
        assert address is not None
        return address

    def __repr__(self) -> str:
        return f"Entry({self.fn.__qualname__})"


@cache
def entry(template: FunctionType, dtype: np.dtype[Any], kernel: Callable[..., Any] | None = None) -> Entry:
    """Give the one entry of a kernel of the library and a type of elements.

    Args:
        template: calls the type ``real``, its size ``itemsize``, and :func:`_pointer_at` of it ``real_at``.
        dtype: the type.
        kernel: what the template calls ``kernel``, where one template serves several.
    """
    # The code on disk is told apart by this name and the template's text, in which the kernel is only a name.
    called = [] if kernel is None else [f"{kernel.__module__}.{kernel.__qualname__}"]
    name = "_".join([template.__name__.strip("_"), *called, dtype.name])
    names = {"real": dtype.type, "itemsize": dtype.itemsize, "real_at": _POINTERS[f"{dtype.name}_at"], "kernel": kernel}
    return Entry(bind(template, name, **names))


_LIBRARY: dict[str, Any] = {
    **_POINTERS,
    "uniform_32": dropout._uniform_32,
    "uniform_64": dropout._uniform_64,
    **{t.name: t.type for t in DTYPES},
}

_written: dict[Any, Entry] = {}


def written(text: str, functions: Mapping[str, Callable[..., Any]]) -> Entry:
    """Give the one entry of a text.

    Args:
        text: a Python function, whose name does not matter.
        functions: the functions of one element that it mentions, by name.
    """
    head, _, body = text.partition("\n")
    parameters = head[head.index("(") :]
    own = tuple(functions.items())
    if (body, own) not in _written:
        identity = [f"{name}={_python(fn).__module__}.{_python(fn).__qualname__}" for name, fn in own]
        digest = hashlib.sha256("\n".join([body, *identity]).encode()).hexdigest()[:16]
        names = {**_LIBRARY, **{name: jit_element(fn) for name, fn in own}, "__name__": __name__}
        whole = f"def kernel_{digest}{parameters}\n{body}"
        filename = f"<minitorch kernel {digest}>"
        linecache.cache[filename] = (len(whole), None, whole.splitlines(keepends=True), filename)
        exec(compile(whole, filename, "exec"), names)
        keep = all(is_ours(_python(fn)) for _, fn in own)
        _written[body, own] = Entry(names[f"kernel_{digest}"], keep)
    return _written[body, own]


def _python(fn: Any) -> Any:
    return getattr(fn, "py_func", fn)
