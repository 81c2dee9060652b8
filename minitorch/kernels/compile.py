"""How a plain loop becomes machine code: compiled on first use, serial and parallel, kept on disk.

A :class:`Kernel` wraps one Python function over arrays. Its first call with new argument types compiles it (a
fraction of a second) or loads it from the disk cache (a few milliseconds); importing this package compiles nothing.

Three facts about Numba shape this file:

* A kernel that closes over another compiled function hashes differently in every process, so its disk cache never
  hits. A kernel whose *globals* hold that function does hit. :func:`bind` therefore makes a copy of a template with
  other globals, under a name of its own.
* Numba's own cache notices an edit of the file that a kernel is in, but not of a function that it calls in another
  file. Ours carries a stamp over the sources of every kernel.
* Numba numbers its cache files, so two processes that fill one folder can read each other's code. Ours are named by
  what they hold.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import sys
import tempfile
import threading
from collections.abc import Callable, Collection
from functools import cache, cached_property, partial
from pathlib import Path
from types import FunctionType
from typing import Any

# The workers of GNU OpenMP wait for the next region by spinning, for milliseconds. Where other programs want the
# cores too, that keeps away the very thread that is waited for: an epoch took 40 s instead of 0.7 s. This many spins
# are under a millisecond and cost an idle machine nothing. The setting is read when the library is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

import numba
from numba.core import config
from numba.core.caching import FunctionCache
from numba.core.registry import CPUDispatcher

from ..errors import BackendError
from ..paths import cache_folder

__all__ = ["PARALLEL_WORK", "Kernel", "bind", "is_ours", "jit", "jit_element", "kernel"]

# A parallel region costs a few microseconds on an idle machine, and a time slice of the scheduler where other programs
# hold a core. Below this much work, counted in element operations of a quarter of a nanosecond, a second core saves
# less than ten microseconds: an epoch of run_fast_tensor.py with 200 hidden units took 58 ms instead of 17 on a busy
# machine, and the same time on an idle one, while its weights (40,000 numbers) were shared out.
PARALLEL_WORK = 65_536


# --- the disk cache ------------------------------------------------------------------------------------------


# The settings that change what Numba makes of the same source, and that its own keys leave out.
CODE_SETTINGS = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")


@cache
def source_stamp() -> str:
    """Hash all that code depends on: every file that kernels are made of, Numba's version and its settings."""
    package = Path(__file__).parent.parent
    settings = [f"{name}={getattr(config, name, None)}" for name in CODE_SETTINGS]
    digest = hashlib.sha256(f"{numba.__version__} {sys.version} {settings}".encode())
    for pattern in ("kernels/**/*.py", "compiler/**/*.py", "operators.py", "random.py", "tensor_data.py", "fast_*.py"):
        for path in sorted(package.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def kernel_folder() -> Path | None:
    """The folder that compiled kernels are kept in, or None (said once) where nothing can be written."""
    folder = cache_folder() / "kernels" / source_stamp()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        _say_uncached(folder, error)
        return None
    return folder


_said_uncached = False


def _say_uncached(folder: Path, error: OSError) -> None:
    global _said_uncached
    if _said_uncached:
        return
    _said_uncached = True
    print(
        f"minitorch: compiled kernels cannot be kept in {folder} ({error.strerror or error}); every process compiles "
        "again. Set MINITORCH_CACHE to a folder that can be written.",
        file=sys.stderr,
    )


DIGEST = hashlib.sha256().digest_size


class _Files:
    """One file for each compiled signature, named by a hash of all that its content depends on.

    A file begins with the SHA-256 of the rest, so that one which a crash cut short, or a disk damaged, is not run.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name

    def path(self, key: object) -> Path:
        return self.folder / f"{self.name}-{hashlib.sha256(repr(key).encode()).hexdigest()[:20]}.nbc"

    def load(self, key: object) -> Any:
        try:
            content = self.path(key).read_bytes()
        except OSError:
            return None
        digest, code = content[:DIGEST], content[DIGEST:]
        return pickle.loads(code) if hashlib.sha256(code).digest() == digest else None

    def save(self, key: object, data: object) -> None:
        from numba.core.serialize import dumps

        code = dumps(data)
        try:
            handle, name = tempfile.mkstemp(dir=self.folder)
        except OSError as error:
            _say_uncached(self.folder, error)
            return
        try:
            with open(handle, "wb") as file:
                file.write(hashlib.sha256(code).digest() + code)
            os.replace(name, self.path(key))
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(name)
            _say_uncached(self.folder, error)

    def flush(self) -> None:
        """Nothing to forget: a changed source has another folder."""


class _Locator:
    """Tells Numba's cache where and under which name a function is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get_cache_path(self) -> str:
        return str(self.folder)

    def get_source_stamp(self) -> str:
        return source_stamp()

    def get_disambiguator(self) -> None:
        return None

    def ensure_cache_path(self) -> None:
        """The folder was made, and tried, by :func:`kernel_folder`."""


def _disk_cache(fn: FunctionType, folder: Path) -> FunctionCache:
    class Implementation(FunctionCache._impl_class):
        _locator_classes = (type("Here", (), {"from_function": staticmethod(lambda *_: _Locator(folder))}),)

        def check_cachable(self, cres: Any) -> bool:
            # Without optimisation (NUMBA_OPT=0) addresses of this very process stay in the code.
            return not cres.library.has_dynamic_globals

    class Cache(FunctionCache):
        _impl_class = Implementation

    disk_cache: Any = Cache(fn)
    disk_cache._cache_file = _Files(folder, f"{fn.__module__.rpartition('.')[2]}.{fn.__qualname__}")
    return disk_cache


def jit(fn: FunctionType, *, keep: bool = True, **options: Any) -> Any:
    """Make a Numba dispatcher that compiles lazily and, with ``keep``, keeps its machine code on disk.

    Division follows IEEE 754 (``error_model="numpy"``): ``1 / 0`` is infinity, as in every array library. With
    ``parallel=True`` the dispatcher minds threads and forks, as :class:`_ParallelDispatcher` says.
    """
    dispatcher: Any = numba.njit(error_model="numpy", **options)(fn)
    if options.get("parallel") and hasattr(dispatcher, "enable_caching"):
        dispatcher.__class__ = _ParallelDispatcher
    # NUMBA_DISABLE_JIT hands back the plain function, which has nothing to keep.
    if keep and hasattr(dispatcher, "enable_caching") and (folder := kernel_folder()) is not None:
        dispatcher._cache = _disk_cache(fn, folder)
    return dispatcher


def bind(template: Callable[..., Any], name: str, **names: Any) -> FunctionType:
    """Copy a template with some of its global names bound to other values.

    Args:
        template: a module-level function that mentions the names.
        name: the copy's own name, which its cached code is filed under.
        names: what the names mean in the copy.
    """
    assert isinstance(template, FunctionType)
    copy = FunctionType(template.__code__, {**template.__globals__, **names}, name, template.__defaults__)
    copy.__qualname__ = name
    copy.__module__ = template.__module__
    copy.__doc__ = template.__doc__
    return copy


PACKAGE = __name__.partition(".")[0]


def is_ours(function: Callable[..., Any]) -> bool:
    """Tell whether a function is one of this package's, which its module and name identify in any process."""
    return function.__module__.partition(".")[0] == PACKAGE and "<" not in function.__qualname__


@cache
def jit_element(function: Callable[..., Any]) -> Any:
    """Compile a function of one element, for use inside a kernel; one that is compiled already is taken as it is."""
    return function if hasattr(function, "py_func") else jit(function, keep=False)  # type: ignore[arg-type]


# --- kernels -------------------------------------------------------------------------------------------------


class _Threads:
    """What the process knows about its parallel regions."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.layer = ""  # Numba's threading layer; known once a parallel region has run
        self.forked = False  # this process is the child of one whose worker threads were running
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        # Worker threads do not survive a fork, and OpenMP ends a child that asks for them. It matters not who started
        # them: one of the kernels here, a public dispatcher, or the user's own code.
        self.lock = threading.RLock()
        self.forked = self.forked or bool(_threading_layer())

    def call(self, dispatcher: Any, args: tuple[Any, ...]) -> Any:
        if self.layer and self.layer != "workqueue":
            return dispatcher(*args)
        # The workqueue layer aborts the process when two threads enter it at once: one at a time, then. The first
        # region of a process, which starts the layer, is guarded alike.
        with self.lock:
            result = dispatcher(*args)
            self.layer = self.layer or _threading_layer()
            return result


def _threading_layer() -> str:
    try:
        return numba.threading_layer()  # type: ignore[attr-defined]
    except ValueError:  # compiled without parallel regions (NUMBA_DISABLE_JIT), or nothing in it to run in parallel
        return ""


threads = _Threads()


class _ParallelDispatcher(CPUDispatcher):
    """A Numba dispatcher whose parallel regions neither meet in the workqueue layer nor run where they would be killed.

    The course's kernels (``tensor_map`` and its relatives) are such objects, called from anywhere.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if threads.forked:
            raise BackendError(
                f"{self.__name__}: a parallel kernel cannot run in a forked child of a process whose worker threads "
                'were running. Start the child with multiprocessing.get_context("spawn"), or compute with tensors on '
                "FastBackend, which use one core here."
            )
        run = super().__call__
        return threads.call(partial(run, **kwargs) if kwargs else run, args)


class Kernel:
    """A function over arrays, compiled on first use: once for one core, once for all of them.

    Which of the two runs depends on the amount of work only, never on the number of threads, so that the bits of a
    result do not depend on it either. In a forked child of a process whose worker threads were running, everything
    is serial.

    Args:
        fn: a module-level function of arrays and numbers that writes its result into one of them; its outer loop
            is a ``numba.prange``.
        fastmath: the LLVM rewrites that are allowed. NaN and infinity always keep their meaning.
        keep: keep the machine code on disk (false for a function that a user made on the spot).
    """

    def __init__(self, fn: Callable[..., Any], fastmath: Collection[str] = (), keep: bool = True) -> None:
        assert isinstance(fn, FunctionType)
        self.fn = fn
        self.fastmath = set(fastmath) or False
        self.keep = keep
        self.__doc__ = fn.__doc__
        self.__name__ = fn.__name__

    @cached_property
    def serial(self) -> Any:
        """The dispatcher for one core."""
        return jit(self.fn, keep=self.keep, fastmath=self.fastmath)

    @cached_property
    def parallel(self) -> Any:
        """The dispatcher for all cores, to be reached through :meth:`run`."""
        fn = bind(self.fn, f"{self.fn.__qualname__}_parallel")
        return jit(fn, keep=self.keep, fastmath=self.fastmath, parallel=True)

    def __call__(self, *args: Any) -> Any:
        """Run on one core."""
        return self.serial(*args)

    def run(self, work: int, *args: Any) -> Any:
        """Run on one core when ``work``, counted in element operations, is small, and on all of them otherwise."""
        if work < PARALLEL_WORK or threads.forked:
            return self.serial(*args)
        return self.parallel(*args)

    def __repr__(self) -> str:
        return f"Kernel({self.fn.__module__}.{self.fn.__qualname__})"


def kernel(*fastmath: str) -> Callable[[Callable[..., Any]], Kernel]:
    """Declare a module-level function as a :class:`Kernel`: ``@kernel()`` or ``@kernel("reassoc", "nsz")``."""
    return lambda fn: Kernel(fn, fastmath)
