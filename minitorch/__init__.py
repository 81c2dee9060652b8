"""MiniTorch: a deep-learning library that one person can read.

This page is the public surface. Read the modules in the order of docs/architecture.md; each is one idea.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import (
    clipping,
    data,
    errors,
    fast_conv,
    fast_ops,
    init,
    layers,
    losses,
    nn,
    operators,
    schedules,
    tensor_functions,
)
from .autodiff import (
    Context,
    Variable,
    backpropagate,
    central_difference,
    enable_grad,
    is_grad_enabled,
    no_grad,
    topological_sort,
)
from .compiler import compile, debug
from .datasets import Graph, datasets, make_pts
from .dtypes import float32, float64, get_default_dtype, int64, set_default_dtype
from .errors import (
    ArgumentError,
    BackendError,
    BroadcastError,
    CompileError,
    DataError,
    DTypeError,
    GradientError,
    GraphError,
    IndexingError,
    MiniTorchError,
    MissingDependencyError,
    NaNError,
    ShapeError,
)
from .fast_conv import Conv1dFun, Conv2dFun, _tensor_conv1d, _tensor_conv2d, conv1d, conv2d
from .fast_ops import FastBackend, FastOps, _tensor_matrix_multiply
from .gradcheck import grad_central_difference, grad_check
from .indexing import gather, one_hot, scatter, scatter_add
from .io.checkpoint import load, load_model, load_state_dict, save, state_dict
from .methods import exp, log, log_softmax, matmul, mean, relu, sigmoid, sum, tanh
from .module import Module, Parameter
from .nn import argmax, avgpool2d, dropout, logsoftmax, max, maxpool2d, softmax, tile
from .operators import prod
from .optim import SGD, Adadelta, Adam, AdamW, Optimizer, RMSprop
from .pointwise import abs, clamp, clip, pow, sqrt, where
from .random import Generator, default_generator, initial_seed, manual_seed
from .reductions import allclose, min, std, var
from .scalar import Scalar, ScalarHistory, derivative_check
from .scalar_functions import ScalarFunction
from .shaping import broadcast_to, cat, clone, flatten, reshape, split, squeeze, stack, transpose, unsqueeze
from .sorting import argsort, sort, topk
from .tensor import History, Tensor
from .tensor_data import (
    MAX_DIMS,
    TensorData,
    UserIndex,
    UserShape,
    UserStrides,
    broadcast_index,
    index_to_position,
    shape_broadcast,
    strides_from_shape,
    to_index,
)
from .tensor_functions import Function
from .tensor_ops import SimpleBackend, SimpleOps, TensorBackend, TensorOps
from .testing import MathTest, MathTestVariable
from .version import __version__

# isort: split
# Last, because `tensor` the function stands where the submodule of that name would be found.
from .creation import (
    arange,
    eye,
    from_numpy,
    full,
    linspace,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    set_default_backend,
    tensor,
    zeros,
    zeros_like,
)

# The course keeps these in tensor_functions; here they are built on top of it.
for _function in (grad_central_difference, grad_check, rand, tensor, zeros):
    setattr(tensor_functions, _function.__name__, _function)
del _function

if TYPE_CHECKING:
    from . import cuda_conv as cuda_conv
    from . import cuda_ops as cuda_ops
    from . import training as training
    from .cuda_ops import CudaOps as CudaOps
    from .cuda_ops import mm_practice as mm_practice
    from .cuda_ops import sum_practice as sum_practice

# What stands on Numba's CUDA target, and what trains, is loaded when it is first asked for, and not by a star import.
_LAZY = {
    "CudaOps": "cuda_ops",
    "cuda_conv": "",
    "cuda_ops": "",
    "mm_practice": "cuda_ops",
    "sum_practice": "cuda_ops",
    "training": "",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f".{_LAZY[name] or name}", __name__)
    return getattr(module, name) if _LAZY[name] else module


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


__all__ = [
    "MAX_DIMS",
    "SGD",
    "Adadelta",
    "Adam",
    "AdamW",
    "ArgumentError",
    "BackendError",
    "BroadcastError",
    "CompileError",
    "Context",
    "Conv1dFun",
    "Conv2dFun",
    "DTypeError",
    "DataError",
    "FastBackend",
    "FastOps",
    "Function",
    "Generator",
    "GradientError",
    "Graph",
    "GraphError",
    "History",
    "IndexingError",
    "MathTest",
    "MathTestVariable",
    "MiniTorchError",
    "MissingDependencyError",
    "Module",
    "NaNError",
    "Optimizer",
    "Parameter",
    "RMSprop",
    "Scalar",
    "ScalarFunction",
    "ScalarHistory",
    "ShapeError",
    "SimpleBackend",
    "SimpleOps",
    "Tensor",
    "TensorBackend",
    "TensorData",
    "TensorOps",
    "UserIndex",
    "UserShape",
    "UserStrides",
    "Variable",
    "__version__",
    "_tensor_conv1d",
    "_tensor_conv2d",
    "_tensor_matrix_multiply",
    "abs",
    "allclose",
    "arange",
    "argmax",
    "argsort",
    "avgpool2d",
    "backpropagate",
    "broadcast_index",
    "broadcast_to",
    "cat",
    "central_difference",
    "clamp",
    "clip",
    "clipping",
    "clone",
    "compile",
    "conv1d",
    "conv2d",
    "data",
    "datasets",
    "debug",
    "default_generator",
    "derivative_check",
    "dropout",
    "enable_grad",
    "errors",
    "exp",
    "eye",
    "fast_conv",
    "fast_ops",
    "flatten",
    "float32",
    "float64",
    "from_numpy",
    "full",
    "gather",
    "get_default_dtype",
    "grad_central_difference",
    "grad_check",
    "index_to_position",
    "init",
    "initial_seed",
    "int64",
    "is_grad_enabled",
    "layers",
    "linspace",
    "load",
    "load_model",
    "load_state_dict",
    "log",
    "log_softmax",
    "logsoftmax",
    "losses",
    "make_pts",
    "manual_seed",
    "matmul",
    "max",
    "maxpool2d",
    "mean",
    "min",
    "nn",
    "no_grad",
    "one_hot",
    "ones",
    "ones_like",
    "operators",
    "pow",
    "prod",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "relu",
    "reshape",
    "save",
    "scatter",
    "scatter_add",
    "schedules",
    "set_default_backend",
    "set_default_dtype",
    "shape_broadcast",
    "sigmoid",
    "softmax",
    "sort",
    "split",
    "sqrt",
    "squeeze",
    "stack",
    "state_dict",
    "std",
    "strides_from_shape",
    "sum",
    "tanh",
    "tensor",
    "tile",
    "to_index",
    "topk",
    "topological_sort",
    "transpose",
    "unsqueeze",
    "var",
    "where",
    "zeros",
    "zeros_like",
]
