"""The arrows of docs/architecture.md: imports point one way, and importing the package is cheap."""

from __future__ import annotations

import ast
import json
import resource
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "minitorch"

# From the bottom to the top. A module imports from its own layer and the layers below it. A name stands for the
# module or for everything in the package.
LAYERS = [
    ["errors", "version", "paths", "files", "saved", "dtypes", "cells"],
    ["operators", "random", "tensor_data", "kernels", "cuda_data"],
    ["autodiff"],
    ["finite_differences", "scalar_functions", "scalar"],
    ["tensor_ops", "fast_ops", "cuda_ops"],
    ["function"],
    ["tensor_functions"],
    ["shaping", "pointwise"],
    ["reductions", "indexing", "probabilities"],
    ["sorting", "assignment"],
    ["tensor"],
    ["creation", "gradcheck", "fast_conv", "cuda_conv", "state", "module", "init", "datasets"],
    ["nn", "methods", "windows", "convolution", "pooling", "activations", "normalization", "containers", "layers"],
    ["losses", "optimizer", "optim", "scheduler", "plateau", "schedules", "clipping", "testing"],
    ["compiler", "data", "training", "io"],
    [""],  # minitorch/__init__.py
    ["doctor", "__main__"],
]


def module_name(path: Path) -> str:
    """Name a file's module without the package's own name: ``kernels.cpu.matmul``, or ``""`` for the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


def layer_of(name: str) -> int:
    places = [i for i, layer in enumerate(LAYERS) if name in layer or name.split(".")[0] in layer]
    assert places, f"give minitorch/{name.replace('.', '/')} a layer in tests/test_imports.py and docs/architecture.md"
    return places[0]


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def statements(tree: ast.AST, *, deferred: bool):
    """Walk the code that runs: not what stands under TYPE_CHECKING, function bodies only if ``deferred``."""
    for node in ast.iter_child_nodes(tree):
        if is_type_checking(node) or (not deferred and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            continue
        yield node
        yield from statements(node, deferred=deferred)


def imported_modules(name: str, *, deferred: bool = True) -> set[str]:
    """Name the modules of this package that a module imports while it runs."""
    parts = name.split(".") if name else []
    is_package = FILES[name].name == "__init__.py"
    found = set()
    for node in statements(TREES[name], deferred=deferred):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            base = parts[: len(parts) - node.level + is_package] + (node.module.split(".") if node.module else [])
            for alias in node.names:
                submodule = ".".join([*base, alias.name])
                found.add(submodule if submodule in FILES else ".".join(base))
    return found - {name}


def test_the_walk_sees_deferred_imports_and_not_those_for_types():
    source = "from . import a\nif TYPE_CHECKING:\n    from . import b\ndef f():\n    from . import c\n"
    names = {
        deferred: [n.names[0].name for n in statements(ast.parse(source), deferred=deferred) if hasattr(n, "names")]
        for deferred in (True, False)
    }
    assert names == {True: ["a", "c"], False: ["a"]}


@pytest.mark.parametrize("name", FILES)
def test_no_module_imports_the_package_by_name(name):
    for node in ast.walk(TREES[name]):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module]
        assert "minitorch" not in {imported.split(".")[0] for imported in names}, f"line {node.lineno}"


@pytest.mark.parametrize("name", FILES)
def test_imports_point_down(name):
    for target in imported_modules(name):
        assert target in FILES, f"minitorch/{name} imports {target}, which does not exist"
        assert layer_of(target) <= layer_of(name), f"{name} imports {target} from a layer above its own"


def test_the_layers_name_what_there_is_and_each_once():
    named = [name for layer in LAYERS for name in layer]
    assert len(named) == len(set(named))
    assert set(named) <= {name.split(".")[0] for name in FILES}


def test_no_two_modules_import_each_other():
    arrows = {name: imported_modules(name, deferred=False) for name in FILES}
    order = list(TopologicalSorter(arrows).static_order())  # raises CycleError and names the cycle
    assert set(order) == set(FILES)


def run_python(code: str, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *flags, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)


# What says whether CUDA can run asks the driver, and imports nothing of CUDA.
CUDA_FREE = {"minitorch.kernels.cuda", "minitorch.kernels.cuda.driver"}


def test_what_stands_on_cuda_and_what_trains_is_loaded_when_it_is_asked_for():
    """Where there is no GPU too: only the backend itself is refused."""
    code = """
import sys, minitorch
assert "minitorch.cuda_ops" not in sys.modules
assert "minitorch.training" not in sys.modules
print(minitorch.training.fit.__module__, {"training"} <= set(dir(minitorch)), "training" in minitorch.__all__)
print(minitorch.CudaOps.__name__, minitorch.cuda_conv.conv2d is minitorch.conv2d, minitorch.sum_practice.__module__)
assert {"CudaOps", "cuda_ops", "mm_practice"} <= set(dir(minitorch))
try:
    minitorch.CudaOop
except AttributeError as error:
    print(error)
"""
    training, first, second = run_python(code).stdout.splitlines()
    assert training == "minitorch.training.loop True False"
    assert first == "CudaOps True minitorch.cuda_ops"
    assert second == "module 'minitorch' has no attribute 'CudaOop'"


def test_importing_loads_nothing_optional():
    code = """
import json, sys
import numba  # which looks at SciPy's version when it is imported
before = set(sys.modules)
import minitorch
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    loaded = json.loads(run_python(code).stdout)
    assert "minitorch.tensor" in loaded
    optional = {"IPython", "PIL", "matplotlib", "mlxtend", "pandas", "safetensors", "scipy", "sklearn", "torch", "tqdm"}
    assert [name for name in loaded if name.split(".")[0] in optional] == []
    assert [name for name in loaded if "cuda" in name and name not in CUDA_FREE] == []


def test_importing_compiles_nothing():
    code = """
from numba import njit
from numba.core import event
with event.install_recorder("numba:compile") as recorder:
    import minitorch
    on_import = len(recorder.buffer)
    njit(lambda x: x + 1)(1.0)
print(on_import, len(recorder.buffer) > on_import)
"""
    assert run_python(code).stdout.split() == ["0", "True"]


def test_importing_is_quick():
    """The goal is 0.5 s, most of it Numba's; these are a processor's seconds, with room for one that is shared."""

    def seconds(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run_python(code)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    run_python("import minitorch")  # writes the bytecode
    bare, whole = (min(seconds(code) for _ in range(5)) for code in ("pass", "import minitorch"))
    assert whole - bare < 3
