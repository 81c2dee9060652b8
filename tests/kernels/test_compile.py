"""Compiled code on disk, threads and forks. What matters happens between processes, so most of it runs in its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from minitorch.kernels import compile as compile_module
from minitorch.kernels import elements
from minitorch.kernels.compile import PARALLEL_WORK, Kernel, bind, is_ours, jit_element, source_stamp
from minitorch.kernels.cpu.elementwise import map_kernel, zip_kernel

ROOT = Path(__file__).parents[2]

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork, so nothing to survive")
needs_limits = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a file")

# What every script below begins with. `compiled` lists the functions that Numba has compiled in this process.
PRELUDE = """
import hashlib
import os
import sys
import threading
import numpy as np
from numba.core import event

class Compilations(event.Listener):
    def __init__(self):
        self.names = []
    def on_start(self, found):
        self.names.append(found.data["dispatcher"].py_func.__name__)
    def on_end(self, found):
        pass

listener = Compilations()
event.register("numba:compile", listener)
compiled = listener.names

import minitorch
from minitorch.kernels.compile import threads

FAST = minitorch.FastBackend

def made(shape, seed, dtype="float64"):
    return minitorch.tensor(np.random.default_rng(seed).standard_normal(shape).astype(dtype), backend=FAST)

def digest(*tensors):
    sums = hashlib.sha256()
    for t in tensors:
        sums.update(t.to_numpy().tobytes())
    return sums.hexdigest()
"""


def start(code, cache=None, package=ROOT, **environment):
    """Begin a process that runs Python code, on a cache folder of its own if one is given."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "OPENBLAS_"))}
    variables |= {"PYTHONPATH": str(package), **environment}
    if cache is not None:
        variables["MINITORCH_CACHE"] = str(cache)
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(code)]
    return subprocess.Popen(
        command, env=variables, cwd=package, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.split(), err


def run(code, cache=None, package=ROOT, **environment):
    """Run Python code in a process and give what it printed, word by word."""
    return finish(start(code, cache, package, **environment))[0]


def cached(folder):
    return sorted(folder.rglob("*.nbc"))


# --- the disk cache ------------------------------------------------------------------------------------------

PRODUCT = """
    a, b = minitorch.tensor([2.0], backend=FAST), minitorch.tensor([3.0], backend=FAST)
    print((a * b).item(), "mul" in compiled, len(compiled))
"""

FIRST, AGAIN = ["6.0", "True"], ["6.0", "False", "0"]


def test_a_second_process_compiles_nothing(tmp_path):
    code = """
        a = made((300, 300), 0)
        small = a.sum(0)
        results = (small, a * a, small * small, a.exp(), a @ a)
        print(digest(*results), len(compiled))
    """
    first_digest, first_count = run(code, tmp_path)
    assert int(first_count) >= 5
    assert run(code, tmp_path) == [first_digest, "0"]


def test_a_function_made_on_the_spot_is_compiled_each_time(tmp_path):
    """Another process may mean something else by the same name."""
    code = """
        def bend(x):
            return {} * x
        bend_map = minitorch.FastOps.map(bend)
        print(bend_map(minitorch.tensor([2.0], backend=FAST)).item(), len(compiled) > 0)
    """
    assert run(code.format(3.0), tmp_path) == ["6.0", "True"]
    assert run(code.format(5.0), tmp_path) == ["10.0", "True"]
    assert cached(tmp_path) == []


def test_an_edited_callee_is_compiled_afresh(tmp_path):
    """Numba's own cache looks at the file of the loop alone, not at that of the function which the loop calls."""
    package, cache = tmp_path / "copy", tmp_path / "cache"
    shutil.copytree(ROOT / "minitorch", package / "minitorch", ignore=shutil.ignore_patterns("__pycache__"))
    assert run(PRODUCT, cache, package)[:2] == FIRST
    assert run(PRODUCT, cache, package) == AGAIN

    source = package / "minitorch" / "kernels" / "elements.py"
    before = source.read_text(encoding="utf-8")
    assert before.count("return x * y") == 1
    source.write_text(before.replace("return x * y", "return x * y + 100"), encoding="utf-8")
    assert run(PRODUCT, cache, package)[:2] == ["106.0", "True"]

    source.write_text(before, encoding="utf-8")
    assert run(PRODUCT, cache, package) == AGAIN


def test_code_that_was_made_with_other_settings_is_not_run(tmp_path):
    """Who once measured without vectors would train without them ever after."""
    assert run(PRODUCT, tmp_path, NUMBA_LOOP_VECTORIZE="0")[:2] == FIRST
    assert run(PRODUCT, tmp_path)[:2] == FIRST
    assert run(PRODUCT, tmp_path) == AGAIN
    assert run(PRODUCT, tmp_path, NUMBA_LOOP_VECTORIZE="0") == AGAIN


def test_code_without_optimisation_is_compiled_each_time(tmp_path):
    """It holds addresses of its own process."""
    assert run(PRODUCT, tmp_path)[:2] == FIRST
    for _ in range(2):
        assert run(PRODUCT, tmp_path, NUMBA_OPT="0")[:2] == FIRST
    assert run(PRODUCT, tmp_path) == AGAIN


@pytest.mark.parametrize("damage", ["short", "one bit"])
def test_a_damaged_file_is_compiled_again_and_mended(tmp_path, damage):
    assert run(PRODUCT, tmp_path)[:2] == FIRST
    for path in cached(tmp_path):
        content = path.read_bytes()
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 1
        path.write_bytes(content[:-100] if damage == "short" else bytes(flipped))
    assert run(PRODUCT, tmp_path)[:2] == FIRST
    assert run(PRODUCT, tmp_path) == AGAIN


def uncached(process):
    """Check that a process computed the right thing, and give what it said about its cache."""
    words, err = finish(process)
    assert words[:2] == FIRST
    return [line for line in err.splitlines() if "compiled kernels cannot be kept" in line]


TWO_KERNELS = PRODUCT + "    a + b\n    a.exp()\n"


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("a file is no folder, not even for the administrator")
    (said,) = uncached(start(TWO_KERNELS, tmp_path / "file" / "cache"))
    assert str(tmp_path / "file" / "cache") in said
    assert "Set MINITORCH_CACHE" in said


@needs_limits
def test_a_disk_that_is_full(tmp_path):
    """The system refuses to write more than 1,000 bytes of a file, as a full disk refuses."""
    limit = """
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""
    (said,) = uncached(start(limit + TWO_KERNELS, tmp_path))
    assert "every process compiles again" in said
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []  # nor is half a file left behind


def test_two_processes_fill_one_folder_at_once(tmp_path):
    code = """
        a = made((70_000,), 0)
        print(digest(a * a, a.sum()), len(compiled))
    """
    results = [finish(process)[0] for process in [start(code, tmp_path) for _ in range(2)]]
    assert len({found for found, _ in results}) == 1
    assert run(code, tmp_path) == [results[0][0], "0"]
    assert all(path.suffix == ".nbc" for path in tmp_path.rglob("*") if path.is_file())


def test_without_compilation():
    code = """
        a = made((300, 300), 0)
        x = a.to_numpy()
        print(np.allclose((a * a).to_numpy(), x**2), np.allclose((a @ a).to_numpy(), x @ x), len(compiled))
    """
    assert run(code, NUMBA_DISABLE_JIT="1") == ["True", "True", "0"]


# --- threads and forks ---------------------------------------------------------------------------------------

# A training whose products, sums and element operations are all large enough to be shared out.
TRAINING = """
def train(seed, steps=6):
    X, w1, w2 = made((300, 120), seed), made((120, 300), seed + 1), made((300, 300), seed + 2)
    parameters = [minitorch.Parameter(w) for w in (w1, w2)]
    optim = minitorch.SGD(parameters, 1e-5)
    for _ in range(steps):
        optim.zero_grad()
        hidden = (X @ parameters[0].value).relu()
        out = minitorch.logsoftmax(hidden @ parameters[1].value, 1)
        (out * out).mean().backward()
        optim.step()
    return digest(parameters[0].value, parameters[1].value, out)

expected = [train(seed) for seed in (0, 10)]
"""

TWO_THREADS = """
found = {}
def work(seed):
    for _ in range(3):
        found.setdefault(seed, set()).add(train(seed, 6))
workers = [threading.Thread(target=work, args=(seed,)) for seed in (0, 10)]
"""

RUN_WORKERS = """
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print(threads.layer, [found[0], found[10]] == [{expected[0]}, {expected[1]}], expected[0] != expected[1])
"""


@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_two_threads_train_at_once(layer):
    """Numba's workqueue ends the process when two threads enter it at once."""
    chosen = {} if layer == "default" else {"NUMBA_THREADING_LAYER": layer}
    found, right, different = run(TRAINING + TWO_THREADS + RUN_WORKERS, NUMBA_NUM_THREADS="2", **chosen)
    assert (right, different) == ("True", "True")
    assert found == layer or (layer == "default" and found in ("omp", "tbb", "workqueue"))


def test_two_threads_start_the_layer_at_once():
    """Before any region has run, nobody knows which layer it will be."""
    code = TRAINING.replace("expected = ", "def alone(): return ") + TWO_THREADS + "expected = alone\n" + RUN_WORKERS
    code = code.replace(
        "for worker in workers:\n    worker.join()\n", "for worker in workers:\n    worker.join()\nexpected = alone()\n"
    )
    assert run(code, NUMBA_NUM_THREADS="2", NUMBA_THREADING_LAYER="workqueue") == [
        "workqueue",
        "True",
        "True",
    ]


FORK = """
sys.stdout.flush()
child = os.fork()
if child == 0:
    right = [train(seed) for seed in (0, 10)] == expected
    print(threads.forked, right, flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1])
"""


@needs_fork
def test_a_forked_child_computes():
    """OpenMP ends a child that asks for worker threads which stayed with the parent."""
    assert run(TRAINING + "print(bool(threads.layer))\n" + FORK) == ["True", "True", "True", "0"]


@needs_fork
def test_a_forked_child_of_a_process_that_ran_a_public_dispatcher():
    """The course's kernels are plain dispatchers, which start the worker threads behind our back."""
    code = """
        from minitorch.fast_ops import tensor_matrix_multiply
        out, a, b = (minitorch.zeros(shape) for shape in ((1, 4, 4), (1, 4, 5), (1, 5, 4)))
        tensor_matrix_multiply(*out.tuple(), *a.tuple(), *b.tuple())
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            a = made((100_000,), 0)
            print(threads.forked, np.array_equal((a * a).to_numpy(), a.to_numpy() ** 2), flush=True)
            os._exit(0)
        print(os.waitpid(child, 0)[1])
    """
    assert run(code) == ["True", "True", "0"]


@needs_fork
def test_a_public_dispatcher_says_what_to_do_in_a_forked_child():
    """OpenMP would end the child without a word."""
    code = """
        from minitorch.fast_ops import tensor_map
        negate, out, x = tensor_map(minitorch.operators.neg), minitorch.zeros((3,)), minitorch.ones((3,))
        negate(*out.tuple(), *x.tuple())
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                negate(*out.tuple(), *x.tuple())
            except minitorch.BackendError as error:
                print('get_context("spawn")' in str(error), "_tensor_map_neg" in str(error), flush=True)
            os._exit(0)
        print(os.waitpid(child, 0)[1], out.tolist() == [-1.0] * 3)
    """
    assert run(code) == ["True", "True", "0", "True"]


def test_two_threads_call_public_dispatchers_on_workqueue():
    code = """
        from minitorch.fast_conv import tensor_conv1d
        from minitorch.fast_ops import tensor_matrix_multiply
        right = []
        def work(kernel, out_shape, a_shape, b_shape, more):
            out, a, b = minitorch.zeros(out_shape), minitorch.ones(a_shape), minitorch.ones(b_shape)
            for _ in range(300):
                kernel(*out.tuple(), *more[:1], *a.tuple(), *b.tuple(), *more[1:])
            right.append(len(set(out.to_numpy().reshape(-1).tolist())))
        shapes = [
            (tensor_matrix_multiply, (1, 40, 40), (1, 40, 40), (1, 40, 40), ()),
            (tensor_conv1d, (8, 8, 20), (8, 4, 20), (8, 4, 1), (1280, False)),
        ]
        workers = [threading.Thread(target=work, args=arguments) for arguments in shapes]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        print(threads.layer, right)
    """
    assert run(code, NUMBA_NUM_THREADS="2", NUMBA_THREADING_LAYER="workqueue") == ["workqueue", "[1,", "1]"]


@needs_fork
def test_a_forked_child_of_a_process_without_workers_starts_its_own():
    code = """
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            a = made((100_000,), 0)
            right = np.array_equal((a * a).to_numpy(), a.to_numpy() ** 2)
            print(threads.forked, bool(threads.layer), right, flush=True)
            os._exit(0)
        print(os.waitpid(child, 0)[1])
    """
    assert run(code) == ["False", "True", "True", "0"]


@needs_fork
def test_a_pool_of_forked_processes():
    pool = """
import multiprocessing
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(train, [0, 10]) == expected)
"""
    assert run(TRAINING + pool) == ["True"]


def test_the_bits_do_not_depend_on_the_number_of_threads():
    """Neither of Numba's threads, nor of those of BLAS."""
    code = """
small, large = made((7, 5), 0, "float32"), made((300, 301), 1, "float32")
results = [small @ small.permute(1, 0), large @ large.permute(1, 0), large.permute(1, 0) @ large]
results += [made((520, 128), 2) @ made((128, 130), 3), made((3, 260, 140), 4) @ made((140, 150), 5)]
for a in (small, large, made((200_003,), 6, "float32"), made((2, 40_000), 7, "float32")):
    results += [a.sum(), a.sum(0), a * a, a + 2.0, a.exp(), minitorch.softmax(a, 0), minitorch.max(a, 0)]
results.append(minitorch.conv2d(made((4, 3, 30, 31), 9, "float32"), made((5, 3, 3, 3), 10, "float32")))
import numba
print(digest(*results), numba.get_num_threads())
"""
    threads = [("1", "1"), ("2", "1"), ("1", "2"), ("2", "2")]
    found = [
        run(
            code,
            NUMBA_NUM_THREADS=ours,
            OPENBLAS_NUM_THREADS=blas,
            OMP_NUM_THREADS=blas,
            MKL_NUM_THREADS=blas,
        )
        for ours, blas in threads
    ]
    assert [count for _, count in found] == [ours for ours, _ in threads]
    assert len({bits for bits, _ in found}) == 1


# --- the parts -----------------------------------------------------------------------------------------------

factor = 2.0


def scaled(out, a):
    """Multiply by a number that copies of this function know under another value."""
    for i in range(a.size):
        out[i] = factor * a[i]


def test_a_bound_copy_has_other_globals_and_a_name_of_its_own():
    copy = bind(scaled, "tripled", factor=3.0)
    out = np.zeros(2)
    copy(out, np.array([1.0, 10.0]))
    assert out.tolist() == [3.0, 30.0]
    scaled(out, np.array([1.0, 10.0]))
    assert out.tolist() == [2.0, 20.0]
    assert (copy.__name__, copy.__qualname__, copy.__module__) == ("tripled", "tripled", scaled.__module__)
    assert copy.__doc__ == scaled.__doc__


def test_whose_function_it_is():
    assert is_ours(elements.mul)
    assert not is_ours(scaled)
    local = bind(elements.mul, "made.<locals>.mul")
    assert not is_ours(local)


def test_a_function_that_is_compiled_already_is_taken_as_it_is():
    compiled = jit_element(elements.mul)
    assert jit_element(elements.mul) is compiled
    assert jit_element(compiled) is compiled
    assert compiled(3.0, 4.0) == 12.0
    assert map_kernel(elements.exp) is map_kernel(elements.exp)
    assert zip_kernel(elements.mul).__name__ == "zip_elements_mul"


def test_the_amount_of_work_alone_decides_where_a_kernel_runs(monkeypatch):
    ran = []
    kernel = Kernel(bind(scaled, "recorded", factor=2.0), keep=False)
    kernel.__dict__["serial"] = lambda *args: ran.append("serial")
    kernel.__dict__["parallel"] = lambda *args: ran.append("parallel")
    kernel()
    for work in (0, PARALLEL_WORK - 1, PARALLEL_WORK, 1 << 40):
        kernel.run(work)
    assert ran == ["serial", "serial", "serial", "parallel", "parallel"]
    monkeypatch.setattr(compile_module.threads, "forked", True)
    kernel.run(1 << 40)
    assert ran[-1] == "serial"


def test_division_by_zero_is_infinite():
    out = np.zeros(3)
    map_kernel(elements.inv)(out, np.array([0.0, -0.0, 4.0]), 3)
    assert out.tolist() == [np.inf, -np.inf, 0.25]


def test_the_stamp_covers_every_source_that_kernels_are_made_of(monkeypatch, tmp_path):
    """Another byte in any of the files, or another Numba, gives another folder."""
    package = tmp_path / "minitorch"
    shutil.copytree(ROOT / "minitorch", package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(compile_module, "__file__", str(package / "kernels" / "compile.py"))
    stamps = {source_stamp.__wrapped__()}
    changed = ["kernels/elements.py", "kernels/strided.py", "kernels/cpu/matmul.py", "random.py", "tensor_data.py"]
    changed += ["operators.py", "fast_ops.py", "fast_conv.py", "compiler/emit/families.py", "compiler/emit/loops.py"]
    for name in changed:
        with (package / name).open("a", encoding="utf-8") as file:
            file.write("# another byte\n")
        stamps.add(source_stamp.__wrapped__())
    assert len(stamps) == 1 + len(changed)
    assert source_stamp.__wrapped__() in stamps
    (package / "tensor.py").write_text("# no kernel is in here\n", encoding="utf-8")
    assert source_stamp.__wrapped__() in stamps
    monkeypatch.setattr(compile_module.numba, "__version__", "0.0")
    assert source_stamp.__wrapped__() not in stamps


def test_a_file_holds_the_digest_of_its_code(tmp_path):
    files = compile_module._Files(tmp_path, "kernel")
    assert files.load("float64") is None
    files.save("float64", ["machine", "code"])
    assert files.load("float64") == ["machine", "code"]
    assert files.load("float32") is None
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    assert content[:32] == hashlib.sha256(content[32:]).digest()
    for damaged in (b"", content[:20], content[:-1], bytes(len(content)), content[:32] + content[31:]):
        path.write_bytes(damaged)
        assert files.load("float64") is None
    files.save("float64", ["machine", "code"])
    assert path.read_bytes() == content
