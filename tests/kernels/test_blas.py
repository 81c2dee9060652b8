"""BLAS computes with one thread while we call it, and with as many as its user wants otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg.cython_blas  # noqa: F401  (its library is one of those that are held)
import threadpoolctl
from threadpoolctl import threadpool_info, threadpool_limits

from minitorch.kernels.blas import OneThread, one_thread
from minitorch.kernels.cpu.matmul import matmul

from ..threads import at_once

ROOT = Path(__file__).parents[2]


def thread_counts():
    """The setting of every BLAS library in the process."""
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


@pytest.fixture(autouse=True)
def _two_threads():
    """Every test begins with a user who wants two threads, and must leave it so."""
    with threadpool_limits(2, user_api="blas"):
        assert set(thread_counts()) == {2}
        yield
        assert set(thread_counts()) == {2}


def in_a_thread(function):
    results = []
    worker = threading.Thread(target=lambda: results.append(function()))
    worker.start()
    worker.join()
    return results[0]


def test_one_thread_inside_and_the_users_number_behind():
    holder = OneThread()
    with holder:
        assert set(thread_counts()) == {1}
        with holder:
            assert set(thread_counts()) == {1}
        assert set(thread_counts()) == {1}
    assert set(thread_counts()) == {2}
    with pytest.raises(ZeroDivisionError), holder:
        _ = 1 / 0
    assert set(thread_counts()) == {2}


def test_a_user_who_wants_one_thread_keeps_one():
    with threadpool_limits(1, user_api="blas"):
        with OneThread():
            assert set(thread_counts()) == {1}
        assert set(thread_counts()) == {1}


def test_every_python_thread_is_obeyed():
    """threadpoolctl itself obeys only the thread that asked first, here the main one."""
    holder = OneThread()

    def counts_inside():
        with holder:
            inside = thread_counts()
        return inside, thread_counts()

    for inside, behind in (counts_inside(), in_a_thread(counts_inside), counts_inside()):
        assert set(inside) == {1}
        assert set(behind) == {2}


def test_the_last_of_two_threads_gives_the_number_back():
    holder = OneThread()
    entered, leave = threading.Event(), threading.Event()

    def stay():
        with holder:
            entered.set()
            assert leave.wait(60)

    worker = threading.Thread(target=stay)
    worker.start()
    assert entered.wait(60)
    with holder:
        pass
    assert set(thread_counts()) == {1}
    leave.set()
    worker.join()
    assert set(thread_counts()) == {2}


def test_many_threads_come_and_go():
    holder = OneThread()
    seen = set()

    def work():
        for _ in range(200):
            with holder:
                seen.update(library.get_num_threads() for library in holder._libraries or ())

    at_once(*[work] * 4)
    assert seen == {1}


@pytest.mark.parametrize("rows", [3, 300, 1000])
def test_a_product_leaves_the_setting_alone_and_has_the_same_bits_in_any_thread(rows):
    """Small ones go to NumPy's library, large ones to SciPy's."""
    random = np.random.default_rng(0)
    a, b = random.standard_normal((rows, 130)), random.standard_normal((130, 200))
    product = matmul(a, b)
    assert set(thread_counts()) == {2}
    np.testing.assert_allclose(product, a @ b, rtol=1e-12, atol=1e-12)
    assert (in_a_thread(lambda: matmul(a, b)) == product).all()
    assert set(thread_counts()) == {2}
    with threadpool_limits(1, user_api="blas"):
        assert (matmul(a, b) == product).all()


def test_a_library_that_is_found_while_another_thread_computes_is_held_too():
    holder = OneThread()
    with holder:
        # As if SciPy's had not been loaded when the holder looked.
        first, *rest = holder._libraries or ()
        assert rest
        holder._libraries = [first]
        for library, count in [entry for entry in holder._restore if entry[0] is not first]:
            holder._restore.remove((library, count))
            library.set_num_threads(count)
        assert sorted(thread_counts()) == [1, *[2] * len(rest)]
        in_a_thread(holder.load_scipy)
        assert set(thread_counts()) == {1}
    assert set(thread_counts()) == {2}


def test_a_look_that_began_before_scipy_was_loaded_does_not_forget_it(monkeypatch):
    """Of two threads that begin at once, the slower one saw fewer libraries, and its answer came last."""
    holder = OneThread()
    looked, loaded = threading.Event(), threading.Event()
    main = threading.current_thread()

    class Slow(threadpoolctl.ThreadpoolController):
        def __init__(self):
            super().__init__()
            if threading.current_thread() is not main:  # as if SciPy's had not been there yet
                self.lib_controllers = self.lib_controllers[:1]
                looked.set()
                loaded.wait(0.5)  # in vain, where one waits for the other

    monkeypatch.setattr(threadpoolctl, "ThreadpoolController", Slow)

    def enter():
        with holder:
            pass

    worker = threading.Thread(target=enter)
    worker.start()
    assert looked.wait(60)
    holder.load_scipy()
    loaded.set()
    worker.join()
    with holder:
        assert set(thread_counts()) == {1}


def run(code):
    """Run Python code in a process of its own and give what it printed, word by word."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment |= {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "2"}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    result = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_a_scipy_that_the_user_loads_between_two_products_is_held():
    code = """
        import numpy as np
        from threadpoolctl import threadpool_info
        from minitorch.kernels.cpu import matmul as module

        a = np.ones((256, 200))
        module.matmul(a[:2], a[:200])
        import scipy.linalg.cython_blas

        class Watched:
            def run(self, *args):
                print(*[info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"])

        module._strips = Watched()
        module.matmul(a, np.ones((200, 200)))
    """
    counts = run(code)
    assert len(counts) >= 2
    assert set(counts) == {"1"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork, so nothing to survive")
def test_a_child_that_is_forked_while_a_thread_computes():
    """The thread stays behind in the parent: its lock must not stay locked, nor the library held for ever."""
    code = """
        import os, sys, threading
        import numpy as np
        from threadpoolctl import threadpool_info
        from minitorch.kernels.blas import one_thread
        from minitorch.kernels.cpu.matmul import matmul

        entered, leave = threading.Event(), threading.Event()
        def stay():
            with one_thread:
                with one_thread._lock:
                    entered.set()
                    leave.wait(60)
        worker = threading.Thread(target=stay)
        worker.start()
        entered.wait(60)
        child = os.fork()
        if child == 0:
            right = (matmul(np.ones((2, 3)), np.ones((3, 2))) == 3).all()
            print(right, *{info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}, flush=True)
            os._exit(0)
        print(os.waitpid(child, 0)[1])
        leave.set()
        worker.join()
    """
    assert run(code) == ["True", "2", "0"]


def test_the_package_has_one_holder():
    with one_thread:
        assert set(thread_counts()) == {1}


MULTIPLIES = """
    def multiplies(address):
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)
        a, b, c = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]]), np.zeros((2, 2))
        two, one, zero = np.array(2, np.int32), np.array(1.0), np.array(0.0)
        n, f = two.ctypes.data, one.ctypes.data
        letter = ctypes.create_string_buffer(b"N")
        N = ctypes.addressof(letter)
        kind(address)(N, N, n, n, n, f, b.ctypes.data, n, a.ctypes.data, n, zero.ctypes.data, c.ctypes.data, n)
        return (c == a @ b).all()
"""


def test_the_product_is_found_without_the_package_around_it():
    code = f"""
    import ctypes, sys
    import numpy as np
    from minitorch.kernels.blas import gemm
    {MULTIPLIES}
    print(multiplies(gemm(np.dtype(float))), "scipy.linalg" in sys.modules)
    import scipy.linalg
    print((scipy.linalg.solve(np.eye(2), np.ones(2)) == 1).all(), "dgemm" in scipy.linalg.cython_blas.__pyx_capi__)
    import numba
    print(numba.njit(lambda a: a @ a)(np.eye(2)).sum())
    """
    assert run(code) == ["True", "False", "True", "True", "2.0"]


def test_threads_find_the_product_at_once():
    code = """
    import sys, threading
    import numpy as np
    from minitorch.kernels.blas import gemm
    sys.setswitchinterval(1e-6)
    barrier, found = threading.Barrier(8), []

    def find(k):
        barrier.wait()
        if k == 0:
            import scipy.linalg
        found.append(gemm(np.dtype(float)))

    threads = [threading.Thread(target=find, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(len(found), len(set(found)))
    """
    assert run(code) == ["8", "1"]


@pytest.mark.parametrize(
    "before", ["import scipy.linalg", 'blas.PathFinder = type("Blind", (), {"find_spec": lambda *args: None})']
)
def test_the_product_is_found_with_the_package_too(before):
    code = f"""
    import ctypes, sys
    import numpy as np
    from minitorch.kernels import blas
    {before}
    {MULTIPLIES}
    print(multiplies(blas.gemm(np.dtype(float))), "scipy.linalg" in sys.modules)
    """
    assert run(code) == ["True", "True"]
