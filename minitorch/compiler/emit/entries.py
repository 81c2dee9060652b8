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
from numba import types  # type: ignore[attr-defined]
from numba.core.ccallback import CFunc

from ...kernels.addresses import DTYPES, POINTERS
from ...kernels.compile import _disk_cache, bind, is_ours, jit_element, kernel_folder
from ...kernels.cpu import dropout

__all__ = ["Entry", "entry", "written"]


class Entry:
    """A kernel, compiled when its address is first asked for.

    Args:
        fn: a function of three integers: the address of its operands' addresses, and a range.
        keep: keep the machine code on disk.
    """

    def __init__(self, fn: FunctionType, keep: bool = True) -> None:
        self.fn, self.keep = fn, keep

    @cached_property
    def address(self) -> int:
        """Where its machine code is; compiled, or loaded from disk, when it is first asked for.

        Numba keeps machine code as long as the process runs. What it was made from goes, as nobody holds it.
        """
        # No rewrite of the arithmetic is allowed: LLVM might choose another one when it sees a text again.
        signature = types.void(types.int64, types.int64, types.int64)
        compiled: Any = CFunc(self.fn, (signature.args, signature.return_type), {}, {"error_model": "numpy"})
        if self.keep and (folder := kernel_folder()) is not None:
            compiled._cache = _disk_cache(self.fn, folder)
        compiled.compile()
        assert compiled.address is not None
        return compiled.address

    def __repr__(self) -> str:
        return f"Entry({self.fn.__qualname__})"


@cache
def entry(template: FunctionType, dtype: np.dtype[Any], kernel: Callable[..., Any] | None = None) -> Entry:
    """Give the one entry of a kernel of the library and a type of elements.

    Args:
        template: calls the type ``real``, its size ``itemsize``, and what reads addresses of it ``real_at``.
        dtype: the type.
        kernel: what the template calls ``kernel``, where one template serves several.
    """
    # The code on disk is told apart by this name and the template's text, in which the kernel is only a name.
    called = [] if kernel is None else [f"{kernel.__module__}.{kernel.__qualname__}"]
    name = "_".join([template.__name__.strip("_"), *called, dtype.name])
    names = {"real": dtype.type, "itemsize": dtype.itemsize, "real_at": POINTERS[f"{dtype.name}_at"], "kernel": kernel}
    return Entry(bind(template, name, **names))


_LIBRARY: dict[str, Any] = {
    **POINTERS,
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
