"""The BLAS libraries of NumPy and SciPy, held to one thread while we call them.

A product's bits differ between one BLAS thread and two, because the library cuts the work differently. MiniTorch
cuts large products into blocks itself, by their shapes alone, and asks for one thread inside each; the setting that
the user had is restored after every call.

That holds for OpenBLAS with threads of its own, which the wheels of NumPy and SciPy bring. MKL, and an OpenBLAS on
OpenMP, keep a number for each calling thread: the bits of products inside parallel regions may depend on it there.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import threading
from collections.abc import Callable
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

__all__ = ["UNDIVIDED", "gemm", "one_thread"]

# OpenBLAS computes a product of so few multiplications on the calling thread, however many threads it has (it begins
# to share out a matrix and a vector at 9,216, two matrices at 262,145), so nobody has to hold it.
UNDIVIDED = 1 << 13


class _Library(NamedTuple):
    """A BLAS library's own functions for the number of its threads."""

    get_num_threads: Callable[[], int]
    set_num_threads: Callable[[int], object]

    @classmethod
    def of(cls, found: Any) -> _Library:
        """Take the functions of a library that threadpoolctl has found.

        Newer releases of threadpoolctl obey the Python thread that asked first, and ignore the others. Here a lock
        keeps them apart, so calls go past that rule (to change who is in control costs ten times as much), and where
        they can be had to the functions themselves, which takes a third of the time.
        """
        symbol = getattr(found, "_get_symbol", None)
        if symbol and found.internal_api == "openblas" and found.threading_layer != "openmp":
            functions = symbol("openblas_get_num_threads"), symbol("openblas_set_num_threads")
            if all(functions):
                return cls(*functions)
        return cls(found.get_num_threads, getattr(found, "_real_set_num_threads", None) or found.set_num_threads)


class OneThread:
    """Holds every BLAS library to one thread inside a ``with`` block, entered from any number of threads.

    The library's own calls are cheap (under a microsecond each), so this stands around every product.
    """

    def __init__(self) -> None:
        self._lock, self._loading = threading.Lock(), threading.RLock()
        self._holders = 0
        self._libraries: list[_Library] | None = None
        self._restore: list[tuple[_Library, int]] = []
        self._scipy_found = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def load_scipy(self) -> None:
        """Load the BLAS of SciPy, so that it is held too: Numba's matrix product and compiled programs call it."""
        if not self._scipy_found:
            with self._loading:
                _cython_blas()
                self._find()
                self._scipy_found = True

    def _find(self) -> None:
        # Inside `_loading`: of two threads, the one that looked before SciPy's library was there may not have the
        # last word, or nobody would hold that library ever after.
        from threadpoolctl import ThreadpoolController

        libraries = [_Library.of(c) for c in ThreadpoolController().lib_controllers if c.user_api == "blas"]
        with self._lock:
            self._libraries = libraries
            if self._holders:
                self._hold()

    def _hold(self) -> None:
        for library in self._libraries or ():
            count = library.get_num_threads()
            if count > 1:
                self._restore.append((library, count))
                library.set_num_threads(1)

    def _release(self) -> None:
        for library, count in self._restore:
            library.set_num_threads(count)
        self._restore.clear()

    def __enter__(self) -> None:
        if self._libraries is None:
            with self._loading:
                if self._libraries is None:
                    self._find()
        with self._lock:
            if self._holders == 0:
                self._hold()
            self._holders += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._release()

    def _after_fork(self) -> None:
        # The threads that were inside a block, and will never leave it here, stayed behind in the parent.
        self._lock, self._loading = threading.Lock(), threading.RLock()
        self._holders = 0
        self._release()


one_thread = OneThread()


_CYTHON_BLAS = "scipy.linalg.cython_blas"


@cache
def _cython_blas() -> ModuleType:
    """Import SciPy's table of BLAS functions, and not the package around it, which takes ten times as long."""
    import scipy

    found = PathFinder.find_spec("cython_blas", [os.path.join(folder, "linalg") for folder in scipy.__path__])
    alone = spec_from_file_location(_CYTHON_BLAS, found.origin) if found and found.origin else None
    if alone is not None and alone.loader is not None:
        # The lock under which Python imports a module: one that is half made by another thread would be lost.
        with importlib._bootstrap._ModuleLockManager(_CYTHON_BLAS):  # type: ignore[attr-defined]
            if _CYTHON_BLAS not in sys.modules:
                module = module_from_spec(alone)
                alone.loader.exec_module(module)
                # Who imports it later gets it in the usual way, bound in its package.
                sys.modules.pop(_CYTHON_BLAS, None)
                return module
    return importlib.import_module(_CYTHON_BLAS)


@cache
def gemm(dtype: np.dtype[Any]) -> int:
    r"""Find the address of the matrix product of SciPy's BLAS, $C \leftarrow \alpha A B + \beta C$ along columns.

    Args:
        dtype: float32 or float64.
    """
    one_thread.load_scipy()
    name = {"float32": "sgemm", "float64": "dgemm"}[dtype.name]
    capsule = _cython_blas().__pyx_capi__[name]
    return _pointer_in(capsule, _name_of(capsule))


_name_of = ctypes.pythonapi.PyCapsule_GetName
_name_of.restype, _name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
_pointer_in = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_in.restype, _pointer_in.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
