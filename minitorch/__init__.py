"""MiniTorch: a deep-learning library that one person can read.

This page is the public surface. Read the modules in the order of their imports below; each is one idea.
"""

from . import errors, fast_ops, operators
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
from .creation import ones, rand, set_default_backend, tensor, zeros
from .datasets import Graph, datasets, make_pts
from .dtypes import float32, float64, get_default_dtype, int64, set_default_dtype
from .errors import (
    ArgumentError,
    BackendError,
    BroadcastError,
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
from .fast_ops import FastBackend, FastOps
from .gradcheck import grad_central_difference, grad_check
from .module import Module, Parameter
from .operators import prod
from .random import Generator, default_generator, initial_seed, manual_seed
from .scalar import Scalar, ScalarHistory, derivative_check
from .scalar_functions import ScalarFunction
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
