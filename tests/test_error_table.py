"""What people get wrong, and what they are told: a row for each mistake.

Every message says what was expected, what came instead, and what to do. A public function has a row, or a reason in
``WITHOUT_ROW`` why no argument of it can be wrong.
"""

from __future__ import annotations

import copy
import math
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch import (
    SGD,
    Adadelta,
    Adam,
    AdamW,
    ArgumentError,
    BackendError,
    BroadcastError,
    CompileError,
    DataError,
    DTypeError,
    FastBackend,
    FastOps,
    Function,
    Generator,
    GradientError,
    GraphError,
    IndexingError,
    MiniTorchError,
    Module,
    NaNError,
    Parameter,
    RMSprop,
    Scalar,
    ScalarFunction,
    ShapeError,
    Tensor,
    TensorBackend,
    TensorData,
    convolution,
    init,
    layers,
    losses,
    nn,
    operators,
    pooling,
    tensor,
)
from minitorch import data as data_package
from minitorch import io as io_package
from minitorch import tensor_functions as tf
from minitorch import training as training_package
from minitorch.data import one_hot
from minitorch.data.idx import parse_idx
from minitorch.fast_conv import conv1d, conv2d
from minitorch.layers import Dropout, Embedding, embedding
from minitorch.training import require_finite

from .cases import make, permuted, sliced


def ones(*shape: int, **more: Any) -> Tensor:
    return make(np.ones(shape), **more)


def integers(*numbers: int) -> Tensor:
    return make(numbers, dtype="int64")


def recorded(*shape: int) -> Tensor:
    return ones(*shape, requires_grad=True)


@dataclass(frozen=True)
class Row:
    """A mistake: the function, the call, the exception, and three pieces of its message."""

    function: str
    call: Callable[[], Any]
    error: type[MiniTorchError]
    expected: str
    came: str
    fix: str


def freed() -> Tensor:
    out = (recorded(2) * 2).sum()
    out.backward()
    return out


def stale() -> Tensor:
    x, c = recorded(2), ones(2)
    out = (x * c).sum()
    c[0] = 5.0
    return out


def write(t: Tensor, value: Any = 1.0) -> None:
    t[0] = value


def unregistered(make_class: Callable[[], Any]) -> Any:
    """Define a function for one row and take it off the registry again."""
    before = list(Function.registry)
    try:
        return make_class()
    finally:
        Function.registry[:] = before


def wrong_square() -> Any:
    class WrongSquare(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x.backend.mul_zip(x, x)

        @staticmethod
        def backward(ctx: Any, d: Tensor) -> Tensor:
            return d * ctx.saved_values[0]

    return WrongSquare.apply


def greedy() -> Any:
    class Greedy(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.backend.neg_map(x)

        @staticmethod
        def backward(ctx: Any, d: Tensor) -> tuple[Tensor, Tensor]:
            return d, d

    return Greedy.apply


class WrongScalarSquare(ScalarFunction):
    @staticmethod
    def forward(ctx: Any, x: float) -> float:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, d: float) -> float:
        return d * ctx.saved_values[0]


class TextOut(ScalarFunction):
    @staticmethod
    def forward(ctx: Any, x: float) -> Any:
        return "one"


def constant() -> Scalar:
    with minitorch.no_grad():
        return Scalar(1.0) + 1.0


class Exploding(Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = Parameter(ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.value * 1e308 * 1e308


def explode() -> None:
    model = Exploding()
    require_finite(model(ones(1)), model, ones(1), step=7)


def fit_on(train: Any) -> None:
    model = Exploding()
    training_package.fit(model, train, loss=losses.mse_loss, optimizer=SGD(model.parameters()), epochs=1, log=None)


def not_described() -> None:
    with tempfile.TemporaryDirectory() as folder:
        minitorch.save({"weight": EYE}, Path(folder, "model.pt"))
        minitorch.load_model(Path(folder, "model.pt"), Exploding)


def of_scalars() -> Module:
    module = Module()
    module.weight = Parameter(Scalar(1.0))
    return module


def pick(function: type[Function], place: int, *more: Any) -> Tensor:
    """Read or write three elements of compiled code, one of them at a place that a user got wrong."""
    places = make([0, 0, place], FastBackend, "int64")
    return function.apply(ones(3, backend=FastBackend), tf.Places(places), *more)


def assign(name: str) -> None:
    setattr(Module(), name, Parameter(1.0))


def replace_parameter() -> None:
    module = Module()
    module.weight = Parameter(1.0)
    module.weight = 2.0


EYE = np.eye(2)
weight = Parameter(ones(1))

ROWS = [
    # --- making tensors
    Row("tensor", lambda: tensor([[1, 2], [3]]), ShapeError, "lists of one length", "ragged", "Pad the shorter"),
    Row("tensor", lambda: tensor(["one"]), DTypeError, "expected numbers", "'one' of type str", "with float()"),
    Row("tensor", lambda: tensor([1.0, None]), DTypeError, "expected numbers", "NoneType", "Convert the elements"),
    Row("tensor", lambda: tensor(tensor([1.0])), DTypeError, "expected numbers", "got a tensor", "detach()"),
    Row("tensor", lambda: tensor([1], dtype="float16"), DTypeError, "float32, float64", "'float16'", "astype"),
    Row("tensor", lambda: tensor([1], dtype="flaot32"), DTypeError, "float32, float64", "'flaot32'", "astype"),
    Row(
        "tensor",
        lambda: tensor([1], dtype="int64", requires_grad=True),
        DTypeError,
        "only float32 and float64",
        "got int64",
        't.to("float32")',
    ),
    Row(
        "tensor",
        lambda: tensor([1], backend=FastOps),
        BackendError,
        "a TensorBackend",
        "FastOps",
        "TensorBackend(FastOps)",
    ),
    Row("zeros", lambda: minitorch.zeros((1.5,)), ShapeError, "whole sizes", "(1.5,)", "Write (2, 3)"),
    Row("ones", lambda: minitorch.ones("ab"), ShapeError, "whole sizes", "'ab'", "Write (2, 3)"),
    Row("zeros", lambda: minitorch.zeros(2, 1.5), ShapeError, "whole sizes", "(2, 1.5)", "Write (2, 3)"),
    Row("randn", lambda: minitorch.randn(2, -1), ShapeError, "0 or more", "(2, -1)", "Only view() takes -1"),
    Row("rand", lambda: minitorch.rand(2.0), ShapeError, "whole sizes", "2.0", "Write (2, 3)"),
    Row("zeros", lambda: minitorch.zeros((2, -1)), ShapeError, "0 or more", "(2, -1)", "Only view() takes -1"),
    Row("ones", lambda: minitorch.ones((-3,)), ShapeError, "0 or more", "(-3,)", "Only view()"),
    Row("rand", lambda: minitorch.rand((-1,)), ShapeError, "0 or more", "(-1,)", "Only view()"),
    Row("rand", lambda: minitorch.rand((1,), dtype="int64"), DTypeError, "float32 or float64", "int64", "convert"),
    Row(
        "set_default_dtype",
        lambda: minitorch.set_default_dtype("bool"),
        DTypeError,
        "expected float32 or float64",
        "got bool",
        "Compute in one of these",
    ),
    Row(
        "set_default_backend",
        lambda: minitorch.set_default_backend("fast"),
        BackendError,
        "expected a TensorBackend",
        "'fast'",
        "TensorBackend(FastOps)",
    ),
    Row(
        "TensorBackend", lambda: TensorBackend("cpu"), BackendError, "a class of operations", "'cpu'", "TensorBackend(F"
    ),
    Row("manual_seed", lambda: minitorch.manual_seed(1.5), ArgumentError, "a whole number", "1.5", "Pass an int"),
    Row("Generator", lambda: Generator("x"), ArgumentError, "a whole number", "'x'", "Pass an int"),
    Row("Generator", lambda: Generator(0).integers(3, 3, 1), ArgumentError, "low below high", "3 and 3", "never drawn"),
    Row(
        "Generator",
        lambda: Generator(0).uniform(3, "int64"),
        DTypeError,
        "float32 or float64",
        "got int64",
        "integers() draws whole numbers",
    ),
    # --- data and strides
    Row("TensorData", lambda: TensorData([1, 2, 3], (2, 2)), ShapeError, "holds 4 elements", "has 3", "Give as many"),
    Row(
        "TensorData",
        lambda: TensorData([1, 2], (2,), (1, 1)),
        IndexingError,
        "one stride for",
        "(1, 1)",
        "Leave them out",
    ),
    Row("TensorData", lambda: TensorData([1, 2], (2,), (-1,)), IndexingError, "0 or more", "(-1,)", "Copy a reversed"),
    Row(
        "TensorData",
        lambda: TensorData([1, 2], (2,), (2,)),
        ShapeError,
        "reaches position 2",
        "has 2",
        "longer storage",
    ),
    Row("TensorData", lambda: TensorData([], (-2,)), ShapeError, "0 or more", "(-2,)", "Only view()"),
    Row("TensorData", lambda: TensorData([1], (1,) * 33), ShapeError, "at most 32", "got 33", "Join some"),
    Row(
        "TensorData", lambda: TensorData(np.zeros(1, "c8"), (1,)), DTypeError, "float32, float64", "complex64", "astype"
    ),
    Row(
        "TensorData",
        lambda: TensorData([1, 2], (2, 1)).index((0,)),
        IndexingError,
        "expected 2 indices",
        "got 1",
        "One index for each dimension",
    ),
    Row(
        "TensorData",
        lambda: TensorData([1, 2], (2, 1)).permute(0, 0),
        IndexingError,
        "each dimension of (2, 1) once",
        "(0, 0)",
        "names 0 to 1",
    ),
    Row(
        "shape_broadcast",
        lambda: minitorch.shape_broadcast((2, 3), (2,)),
        BroadcastError,
        "Expected equal sizes, or a 1",
        "(2, 3) and (2,)",
        "insert one with view",
    ),
    # --- reading and writing elements
    Row("Tensor[]", lambda: ones(2)[5], IndexingError, "expected -2 to 1", "index 5", "counts from the end"),
    Row("Tensor[]", lambda: ones(2, 2)[-3], IndexingError, "expected -2 to 1", "index -3", "counts from the end"),
    Row("Tensor[]", lambda: ones(2)[0, 0], IndexingError, "at most 1 indices", "got 2 indices", "Leave out the rest"),
    Row("Tensor[]", lambda: ones(2)[..., ...], IndexingError, "one ellipsis", "2 ellipses", "Leave out the rest"),
    Row("Tensor[]", lambda: ones(2)[0.5], IndexingError, "a number, a slice", "float: 0.5", "Convert it first"),
    Row("Tensor[]", lambda: ones(2)[True], IndexingError, "a number, a slice", "bool: True", "Convert it first"),
    Row("Tensor[]", lambda: ones(2)[::-1], IndexingError, "a step of 1 or more", "got -1", "Sort or gather"),
    Row("Tensor[]", lambda: ones(2)[0.5:], IndexingError, "whole numbers as bounds", "slice(0.5", "Round them"),
    Row("Tensor[]", lambda: ones(2)[[2]], IndexingError, "from -2 to 1", "got 2 to 2", "Check what they were made for"),
    Row("Tensor[]", lambda: ones(2)[ones(2) * 2], IndexingError, "whole numbers or", "float64", 't.to("int64")'),
    Row("Tensor[]", lambda: ones(2)[[True]], IndexingError, "dimensions (2,)", "shape (1,)", "by a comparison"),
    Row("Tensor[]", lambda: ones(4)[ones(2)], IndexingError, "dimensions (4,)", "shape (2,)", 'dtype="int64")'),
    Row(
        "Tensor[]",
        lambda: ones(3, 3)[[0, 1], [0, 1, 2]],
        BroadcastError,
        "Expected equal sizes, or a 1",
        "(2,) and (3,)",
        "insert one with view",
    ),
    Row(
        "Tensor[]=", lambda: write(ones(2), ones(3)), BroadcastError, "the part, ()", "got one of (3,)", "Give a number"
    ),
    Row("Tensor[]=", lambda: write(recorded(2)), GraphError, "cannot write", "recorded", "detach()"),
    Row("Tensor[]=", lambda: write(recorded(2) * 2), GraphError, "cannot write", "recorded", "where, cat or scatter"),
    Row("Tensor[]=", lambda: write(ones(2), recorded(1)), GraphError, "cannot write", "a value", "value.detach()"),
    Row("Tensor[]=", lambda: write(ones(1).expand(2)), GraphError, "one place in memory", "strides (0,)", "t.clone()"),
    # --- other shapes
    Row("cat", lambda: minitorch.cat([]), ShapeError, "one tensor or more", "an empty list", "Write cat([a, b])"),
    Row("cat", lambda: minitorch.cat(ones(2)), ShapeError, "one tensor or more", "a Tensor", "Write cat([a, b])"),
    Row("cat", lambda: minitorch.cat([ones(2), 1.0]), DTypeError, "a tensor", "got float", "minitorch.tensor"),
    Row(
        "stack",
        lambda: minitorch.stack([ones(2), ones(3)]),
        ShapeError,
        "of one shape",
        "[(2,), (3,)]",
        "differ with cat",
    ),
    Row(
        "squeeze",
        lambda: minitorch.squeeze(ones(2), 1),
        IndexingError,
        "an integer from -1 to 0",
        "dimension 1",
        "name",
    ),
    Row("unsqueeze", lambda: ones(2).unsqueeze(3), IndexingError, "an integer from -2 to 1", "dimension 3", "name"),
    Row(
        "reshape", lambda: ones(4).reshape(3, -1), ShapeError, "as many elements", "(4 elements)", "one size may be -1"
    ),
    Row("flatten", lambda: ones(2, 3).flatten(1, 0), ArgumentError, "start_dim before", "got 1 and 0", "Exchange"),
    Row("transpose", lambda: ones(2).transpose(0, 1), IndexingError, "an integer from -1 to 0", "dimension 1", "name"),
    Row("broadcast_to", lambda: ones(2).expand(-1, 2), ShapeError, "a size for each", "(-1, 2)", "Name them all"),
    Row("broadcast_to", lambda: ones(2, 1).expand(3), ShapeError, "a size for each", "to (3,)", "Name them all"),
    Row("broadcast_to", lambda: ones(2).expand(3), BroadcastError, "equal sizes", "(2,) and (3,)", "insert one"),
    Row("clone", lambda: minitorch.clone(1.0), DTypeError, "a tensor", "got float", "minitorch.tensor"),
    # --- choices, limits, powers
    Row("where", lambda: minitorch.where(True, ones(2), 0.0), DTypeError, "a tensor", "got bool", "minitorch.tensor"),
    Row(
        "where",
        lambda: minitorch.where(ones(2, backend=FastBackend), ones(2), 0.0),
        BackendError,
        "Nothing is moved",
        "FastOps",
        "t.to(backend)",
    ),
    Row("clip", lambda: ones(2).clip(), ArgumentError, "a lower limit", "got neither", "Give min= or max="),
    Row("clamp", lambda: minitorch.clamp(1.0, 0.0), DTypeError, "a tensor", "got float", "minitorch.tensor"),
    Row("abs", lambda: minitorch.abs(-1.0), DTypeError, "a tensor", "got float", "minitorch.tensor"),
    Row("sqrt", lambda: integers(4).sqrt(), DTypeError, "float32 or float64", "int64", 't.to("float32")'),
    Row("pow", lambda: integers(4) ** -1, DTypeError, "a whole number of 0 or more", "got -1", 't.to("float32")'),
    Row("pow", lambda: minitorch.pow(2, 3), DTypeError, "a tensor", "got int", "minitorch.tensor"),
    # --- reductions
    Row("var", lambda: ones(1).var(), ShapeError, "more than 1 elements", "got 1", "correction=0"),
    Row("var", lambda: integers(1, 2).var(), DTypeError, "float32 or float64", "int64", 't.to("float32")'),
    Row("std", lambda: ones(3, 1).std(1), ShapeError, "more than 1 elements", "got 1", "correction=0"),
    Row("min", lambda: ones(0).min(), ShapeError, "elements to compare", "shape (0,)", "the batch is not empty"),
    Row("min", lambda: ones(2, dtype="bool").min(), DTypeError, "with a sign", "got bool", 't.to("int64")'),
    Row(
        "Tensor.max", lambda: ones(2, 0).max(1), ShapeError, "elements to compare", "shape (2, 0)", "batch is not empty"
    ),
    Row("Tensor.argmin", lambda: ones(2, 0).argmin(1), ShapeError, "argmin expected one", "(2, 0)", "Check that"),
    Row("Tensor.argmin", lambda: (integers(1) == 1).argmin(), DTypeError, "with a sign", "got bool", 't.to("int64")'),
    # --- methods as functions
    Row("exp", lambda: minitorch.exp(1.0), DTypeError, "exp expected a tensor", "got float", "minitorch.tensor"),
    Row("log", lambda: minitorch.log([1.0]), DTypeError, "log expected a tensor", "got list", "minitorch.tensor"),
    Row("relu", lambda: minitorch.relu(-1), DTypeError, "relu expected a tensor", "got int", "minitorch.tensor"),
    Row("sigmoid", lambda: minitorch.sigmoid(EYE), DTypeError, "expected a tensor", "got ndarray", "minitorch.tensor"),
    Row("tanh", lambda: minitorch.tanh(integers(1)), DTypeError, "or float64 for tanh", "int64", 't.to("float32")'),
    Row("sum", lambda: minitorch.sum([1, 2]), DTypeError, "sum expected a tensor", "got list", "minitorch.tensor"),
    Row("mean", lambda: minitorch.mean(integers(1)), DTypeError, "for a mean", "got int64", 't.to("float32")'),
    Row("matmul", lambda: minitorch.matmul(ones(1, 1), 2.0), DTypeError, "expected a tensor", "float", "minitorch.ten"),
    Row("log_softmax", lambda: minitorch.log_softmax(EYE, 0), DTypeError, "expected a tensor", "ndarray", "tensor(..."),
    Row("Tensor.softmax", lambda: ones(2, 3).softmax(2), IndexingError, "from -2 to 1", "dimension 2", "name one of"),
    Row("Tensor.log_softmax", lambda: integers(1).log_softmax(0), DTypeError, "float32 or float64", "int64", "t.to("),
    # --- order and places
    Row("sort", lambda: ones(2).sort(1), IndexingError, "an integer from -1 to 0", "dimension 1", "name"),
    Row("argsort", lambda: minitorch.argsort([1.0]), DTypeError, "a tensor", "got list", "minitorch.tensor"),
    Row("topk", lambda: ones(2).topk(3), ArgumentError, "k from 0 to 2", "got 3", "Take fewer"),
    Row("gather", lambda: ones(2).gather(0, ones(1)), DTypeError, "integers", "float64", 'dtype="int64"'),
    Row("gather", lambda: ones(2).gather(0, integers(2)), IndexingError, "from 0 to 1", "2 to 2", "Check what"),
    Row("gather", lambda: ones(2).gather(0, integers(-1)), IndexingError, "from 0 to 1", "-1 to -1", "Check what"),
    Row("gather", lambda: ones(2, 2).gather(0, integers(0)), ShapeError, "as many dimensions", "(1,)", "unsqueeze"),
    Row("scatter", lambda: ones(2).scatter(0, integers(5), 1.0), IndexingError, "from 0 to 1", "5 to 5", "Check what"),
    Row("scatter", lambda: ones(2).scatter(0, integers(0, 1), ones(1)), ShapeError, "(2,)", "got (1,)", "Expand it"),
    Row(
        "scatter_add", lambda: minitorch.scatter_add(ones(2), 0, [0], 1.0), DTypeError, "a tensor", "list", "minitorch."
    ),
    Row("one_hot", lambda: minitorch.one_hot(ones(2)), DTypeError, "integer labels", "float64", 'dtype="int64"'),
    Row("one_hot", lambda: minitorch.one_hot(integers(3), 3), DataError, "from 0 to 2", "3 to 3", "number of classes"),
    Row(
        "one_hot", lambda: minitorch.one_hot(integers()), ArgumentError, "at least one class", "-1", "Pass num_classes"
    ),
    # --- making
    Row("full", lambda: minitorch.full((2,), "a"), DTypeError, "numbers", "got str", "item()"),
    Row("arange", lambda: minitorch.arange(0, 3, -1), ArgumentError, "leads from start to end", "step -1", "the sign"),
    Row("arange", lambda: minitorch.arange(0, 3, 0), ArgumentError, "leads from start to end", "step 0", "the sign"),
    Row("arange", lambda: minitorch.arange(math.inf), ArgumentError, "finite numbers", "end inf", "the sign"),
    Row("linspace", lambda: minitorch.linspace(0, 1, 2.5), ArgumentError, "a whole number", "got 2.5", "Round it"),
    Row("linspace", lambda: minitorch.linspace(0, 1, -1), ArgumentError, "0 or more", "got -1", "Round it"),
    Row("eye", lambda: minitorch.eye(2, -1), ShapeError, "0 or more", "(2, -1)", "Only view() takes -1"),
    Row("zeros_like", lambda: minitorch.zeros_like([1]), DTypeError, "expected a tensor", "list", "minitorch.tensor"),
    Row("ones_like", lambda: minitorch.ones_like(1.0), DTypeError, "expected a tensor", "float", "minitorch.tensor"),
    Row("rand_like", lambda: minitorch.rand_like(integers(1)), DTypeError, "float32 or float64", "int64", "convert"),
    Row("randn_like", lambda: minitorch.randn_like("x"), DTypeError, "expected a tensor", "str", "minitorch.tensor"),
    Row("randint", lambda: minitorch.randint(3, 3, (2,)), ArgumentError, "low below high", "3 and 3", "never drawn"),
    Row("randint", lambda: minitorch.randint(0, 2.5, (2,)), ArgumentError, "whole numbers", "2.5", "Write randint("),
    Row("randint", lambda: minitorch.randint(3, -2), ShapeError, "0 or more", "(-2,)", "Only view() takes -1"),
    Row("split", lambda: minitorch.split(ones(3), 0), ArgumentError, "from 1, or sizes", "got 0", "all pieces"),
    Row("split", lambda: ones(3).split([1, 1]), ArgumentError, "add up to the 3", "got [1, 1]", "all pieces"),
    Row("split", lambda: ones(3).split(1.5), ArgumentError, "the size of a piece", "got 1.5", "all pieces"),
    Row("Tensor.T", lambda: ones(2, 3, 4).T, ShapeError, "a matrix", "(2, 3, 4)", "transpose(-2, -1)"),
    Row("allclose", lambda: minitorch.allclose(ones(2), 1.0), DTypeError, "a tensor", "float", "minitorch.tensor"),
    Row("allclose", lambda: minitorch.allclose(ones(2), integers(1, 1)), DTypeError, "one tensor", "int64", "convert"),
    Row("randn", lambda: minitorch.randn((2, -1)), ShapeError, "0 or more", "(2, -1)", "Only view() takes -1"),
    Row("from_numpy", lambda: minitorch.from_numpy([1.0]), DTypeError, "a NumPy array", "got list", "tensor() takes"),
    Row(
        "from_numpy",
        lambda: minitorch.from_numpy(np.arange(3)[::-1]),
        ArgumentError,
        "strides of 0 or more",
        "strides (-8,)",
        "array.copy()",
    ),
    Row(
        "from_numpy",
        lambda: minitorch.from_numpy(np.broadcast_to(1.0, 2)),
        ArgumentError,
        "can be written",
        "writeable=False",
        "array.copy()",
    ),
    Row("from_numpy", lambda: minitorch.from_numpy(np.zeros(2, ">i4")), ArgumentError, "byte order", ">i4", "copy"),
    Row("Tensor", lambda: Tensor([1.0]), DTypeError, "expected TensorData", "got list", "minitorch.tensor([1.0, 2.0])"),  # type: ignore[arg-type]
    Row("Tensor.item", lambda: ones(2).item(), ShapeError, "one element", "(2,)", "reduce it first"),
    Row("Tensor.__bool__", lambda: bool(ones(2) < 1), ShapeError, "ambiguous", "(2,)", "with all()"),
    Row("Tensor.__float__", lambda: float(ones(3)), ShapeError, "one element", "(3,)", "Index it"),
    Row("Tensor.__format__", lambda: f"{ones(3):.2f}", ShapeError, "one element", "(3,)", "reduce it first"),
    Row("Tensor.__int__", lambda: int(ones(3)), ShapeError, "one element", "(3,)", "Index it"),
    Row("Tensor.__index__", lambda: "ab"[integers(0, 1)], ShapeError, "one element", "(2,)", "Index it"),
    Row("Tensor.__index__", lambda: "ab"[ones(1)], DTypeError, "whole numbers", "of float64", 't.to("int64")'),
    Row("Tensor.__iter__", lambda: list(ones(2, 2)), ShapeError, "one dimension", "(2, 2)", "tolist()"),
    Row("Tensor.__len__", lambda: len(tensor(1.0)), ShapeError, "at least one dimension", "shape ()", "item()"),
    Row(
        "Tensor",
        lambda: pickle.dumps(ones(2)),
        GraphError,
        "data, never code",
        "a tensor is not pickled",
        "safetensors",
    ),
    Row(
        "Tensor.__deepcopy__",
        lambda: copy.deepcopy(ones(2).requires_grad_() * 2.0),
        GraphError,
        "a tensor that was computed",
        "not copied by copy.deepcopy",
        "t.detach()",
    ),
    # --- arithmetic
    Row("Tensor.__add__", lambda: ones(2, 3) + ones(2), BroadcastError, "equal sizes", "(2, 3) and (2,)", "with view"),
    Row("Tensor.__add__", lambda: ones(2) + "1", DTypeError, "a tensor or a number", "got str", "minitorch.tensor("),
    Row(
        "Tensor.__mul__",
        lambda: ones(2) * np.ones(2),
        DTypeError,
        "a tensor or a number",
        "ndarray",
        "minitorch.tensor(",
    ),
    Row(
        "Tensor.__mul__",
        lambda: ones(2) * ones(2, backend=FastBackend),
        BackendError,
        "on one backend",
        "FastOps",
        "t.to(backend)",
    ),
    Row(
        "Tensor.__sub__",
        lambda: ones(2) - ones(2, dtype="float32"),
        DTypeError,
        "Nothing is converted silently",
        "float64, the other float32",
        't.to("float32")',
    ),
    Row(
        "Tensor.__matmul__",
        lambda: ones(2, 3) @ ones(2, 3),
        ShapeError,
        "expected the last size",
        "(2, 3) @ (2, 3)",
        "permute",
    ),
    Row("Tensor.__matmul__", lambda: ones(3) @ ones(3, 1), ShapeError, "two dimensions or more", "(3,) @", "as a row"),
    Row(
        "Tensor.__matmul__",
        lambda: ones(2, 1, 1) @ ones(3, 1, 1),
        BroadcastError,
        "equal sizes",
        "(2,) and (3,)",
        "view",
    ),
    Row(
        "Tensor.__mul__", lambda: integers(1, 2) * 0.5, DTypeError, "expected a whole one", "0.5 is", 't.to("float32")'
    ),
    Row("Tensor.__lt__", lambda: integers(1, 2) < math.inf, DTypeError, "expected a whole one", "inf is", "t.to("),
    Row("Tensor.__mul__", lambda: (integers(1) == 1) * 2, DTypeError, "is no truth value", "2 is", "True or False"),
    Row(
        "Tensor.__mul__", lambda: (integers(1) == 1) * ones(1), DTypeError, "silently", "bool, the", "mask.to(x.dtype)"
    ),
    Row("Tensor.__neg__", lambda: -(integers(1) == 1), DTypeError, "expected numbers", "got truth values", "~mask"),
    Row("Tensor.__and__", lambda: integers(1) & True, DTypeError, "combines masks", "of int64", "in brackets"),
    Row("Tensor.__or__", lambda: ones(2) * 3.0 | True, DTypeError, "combines masks", "of float64", "in brackets"),
    Row("Tensor.__invert__", lambda: ~integers(1), DTypeError, "combines masks", "of int64", "comparisons"),
    Row("Tensor.mean", lambda: integers(1, 2).mean(), DTypeError, "for a mean", "got int64", 't.to("float32")'),
    Row("Tensor.mean", lambda: (integers(1, 2) == 1).mean(0), DTypeError, "for a mean", "got bool", 't.to("float32")'),
    Row("Tensor.argmax", lambda: ones(2, 0).argmax(1), ShapeError, "argmax expected one", "(2, 0)", "Check that"),
    Row("Tensor.argmax", lambda: ones(2, 3).argmax(2), IndexingError, "from -2 to 1", "dimension 2", "name one of"),
    Row("Tensor.__truediv__", lambda: integers(1) / 2, DTypeError, "for a quotient", "got int64", 't.to("float32")'),
    Row("Tensor.__rtruediv__", lambda: 2 / integers(1), DTypeError, "for a quotient", "got int64", 't.to("float32")'),
    Row("Tensor.exp", lambda: integers(1).exp(), DTypeError, "float32 or float64 for exp", "int64", "t.to("),
    Row("Tensor.log", lambda: integers(1).log(), DTypeError, "float32 or float64 for log", "int64", "t.to("),
    Row("Tensor.sigmoid", lambda: integers(1).sigmoid(), DTypeError, "for sigmoid", "got int64", "t.to("),
    # --- reductions and layout
    Row("Tensor.sum", lambda: ones(2, 3).sum(2), IndexingError, "from -2 to 1", "dimension 2", "Add a dimension"),
    Row("Tensor.sum", lambda: ones(2, 3).sum(0.5), IndexingError, "an integer from", "dimension 0.5", "name one of"),
    Row("Tensor.mean", lambda: ones(2, 3).mean(-3), IndexingError, "from -2 to 1", "dimension -3", "name one of"),
    Row("Tensor.mean", lambda: ones(0, 3).mean(), ShapeError, "elements to average", "(0, 3)", "batch is not empty"),
    Row("Tensor.all", lambda: ones(2).all(1), IndexingError, "from -1 to 0", "dimension 1", "name one of"),
    Row("Tensor.permute", lambda: ones(2, 3).permute(0, 2), IndexingError, "each dimension", "(0, 2)", "names 0 to 1"),
    Row(
        "Tensor.view",
        lambda: ones(2, 3).view(4),
        ShapeError,
        "as many elements",
        "(2, 3) (6 elements) as (4,)",
        "may be -1",
    ),
    Row("Tensor.view", lambda: ones(2, 3).view(2.5), DTypeError, "whole numbers for a shape", "2.5", "divide with //"),
    Row("Tensor.permute", lambda: ones(2).permute("a"), DTypeError, "whole numbers for", "'a'", "Round it"),
    Row("Tensor.sum", lambda: ones(2).sum(make(0.5)), IndexingError, "an integer from", "dimension 0.5", "name one of"),
    Row("Tensor.view", lambda: ones(2, 3).view(-1, -1), ShapeError, "as many elements", "(-1, -1)", "at most one size"),
    Row(
        "Tensor.view",
        lambda: ones(2, 3, layout=permuted).view(6),
        ShapeError,
        "not contiguous",
        "strides (1, 2)",
        "t.contiguous().view",
    ),
    Row(
        "Tensor.view",
        lambda: ones(2, 3, layout=sliced).view(6),
        ShapeError,
        "contiguous",
        "strides (5, 1)",
        "contiguous()",
    ),
    Row(
        "Expand",
        lambda: tf.Expand.apply(ones(2), (3,)),
        BroadcastError,
        "Expected equal sizes",
        "(2,) and (3,)",
        "view",
    ),
    Row(
        "Expand",
        lambda: tf.Expand.apply(ones(2, 3), (3,)),
        ShapeError,
        "sizes of 1",
        "(2, 3) to (3,)",
        "Sum or permute",
    ),
    Row("Cat", lambda: tf.Cat.apply(ones(2, 3), ones(2, 2), 0), ShapeError, "other sizes", "(2, 3), (2, 2)", "pad"),
    Row("Narrow", lambda: tf.Narrow.apply(ones(4), 0, 2, 5), IndexingError, "from 0 to 4", "2 to 5", "Cut them"),
    Row("Take", lambda: pick(tf.Take, 3), IndexingError, "from 0 to below 3", "got 0 to 3", "row-major order"),
    Row("Put", lambda: pick(tf.Put, -1, (3,)), IndexingError, "from 0 to below 3", "got -1 to 0", "row-major order"),
    Row("Tensor.to", lambda: (recorded(2) * 2).to("float32"), GraphError, "does not carry", "to()", "t.detach().to("),
    Row("Tensor.to", lambda: ones(2).to("float8"), DTypeError, "float32, float64", "'float8'", "astype"),
    # --- gradients
    Row(
        "Tensor.backward",
        lambda: recorded(2).exp().backward(),
        ShapeError,
        "a single number",
        "(2,)",
        "sum() or mean()",
    ),
    Row(
        "Tensor.backward",
        lambda: ones(1).backward(),
        GraphError,
        "depends on a tensor with",
        "backward()",
        "requires_grad=True",
    ),
    Row("Tensor.backward", lambda: freed().backward(), GraphError, "freed by an earlier", "Sum", "retain_graph=True"),
    Row(
        "Tensor.backward",
        lambda: stale().backward(),
        GraphError,
        "gradient would be wrong",
        "written after Mul",
        "a copy",
    ),
    Row(
        "Tensor.backward",
        lambda: recorded(2).exp().backward([1.0]),
        DTypeError,
        "a tensor or",
        "got list",
        "Make a tensor",
    ),
    Row(
        "Tensor.backward",
        lambda: recorded(2).exp().backward(ones(3)),
        ShapeError,
        "a gradient of shape (2,)",
        "got (3,)",
        "one number for each",
    ),
    Row(
        "Function",
        lambda: unregistered(lambda: greedy()(recorded(1)).backward()),
        GraphError,
        "at most one for each",
        "2 gradients for 1",
        "Greedy.backward",
    ),
    Row(
        "Tensor.requires_grad_",
        lambda: (recorded(1) * 2).requires_grad_(False),
        GraphError,
        "cannot switch",
        "was computed",
        "t.detach()",
    ),
    Row(
        "grad_check",
        lambda: unregistered(lambda: minitorch.grad_check(wrong_square(), ones(2))),
        GradientError,
        "finite differences give",
        "the gradient of argument 0",
        "WrongSquare",
    ),
    # --- networks
    Row(
        "conv1d",
        lambda: conv1d(ones(2, 5), ones(1, 2, 3)),
        ShapeError,
        "batch x in_channels x width",
        "(2, 5)",
        "with view",
    ),
    Row("conv1d", lambda: conv1d(ones(1, 2, 5), ones(4, 3, 2)), ShapeError, "to be equal", "2 channels", "shape[1]"),
    Row("conv2d", lambda: conv2d(ones(1, 2, 5, 5), None), DTypeError, "expected a tensor", "NoneType", "tensor(...)"),
    Row("conv1d", lambda: conv1d([1.0], ones(1, 1, 1)), DTypeError, "expected a tensor", "got list", "tensor(...)"),
    Row(
        "convolution.Conv2d",
        lambda: layers.Conv2d(1, 1, 3)(EYE),
        DTypeError,
        "Conv2d expected a tensor",
        "got ndarray",
        "tensor(...)",
    ),
    Row("Linear", lambda: layers.Linear(2, 1)([1, 2]), DTypeError, "expected a tensor", "got list", "tensor(...)"),
    Row("nll_loss", lambda: losses.nll_loss(EYE, [1]), DTypeError, "expected a tensor", "got ndarray", "tensor(...)"),
    Row("Mul", lambda: tf.Mul.apply(ones(1), "two"), DTypeError, "expected a tensor", "got str", "tensor(...)"),
    Row("conv2d", lambda: conv2d(ones(1, 2, 5), ones(1, 2, 3)), ShapeError, "height x width", "(1, 2, 5)", "with view"),
    Row(
        "conv2d",
        lambda: conv2d(ones(1, 1, 4, 4), ones(2, 2, 2, 2)),
        ShapeError,
        "expects 2",
        "has 1 channels",
        "shape[1]",
    ),
    Row(
        "Conv1dFun", lambda: minitorch.Conv1dFun.apply(ones(1), ones(1)), ShapeError, "batch x", "(1,) and (1,)", "view"
    ),
    Row(
        "Conv2dFun", lambda: minitorch.Conv2dFun.apply(ones(1), ones(1)), ShapeError, "batch x", "(1,) and (1,)", "view"
    ),
    Row("tile", lambda: nn.tile(ones(1, 1, 5, 4), (2, 2)), ShapeError, "does not divide", "5x4", "Crop it to 4x4"),
    Row(
        "avgpool2d",
        lambda: nn.avgpool2d(ones(1, 1, 4, 5), (2, 2)),
        ShapeError,
        "does not divide",
        "4x5",
        "whose sides divide",
    ),
    Row(
        "avgpool2d", lambda: nn.avgpool2d(ones(4, 4), (2, 2)), ShapeError, "batch x channel", "(4, 4)", "Insert missing"
    ),
    Row(
        "maxpool2d", lambda: nn.maxpool2d(ones(1, 1, 3, 3), (2, 2)), ShapeError, "does not divide", "3x3", "2x2, pad it"
    ),
    Row(
        "maxpool2d", lambda: nn.maxpool2d(ones(1, 1, 4, 4), 2), ShapeError, "one row and one column", "got 2", "(2, 2)"
    ),
    Row(
        "maxpool2d", lambda: nn.maxpool2d(ones(1, 1, 4, 4), (0, 2)), ShapeError, "at least one row", "(0, 2)", "(2, 2)"
    ),
    Row("max", lambda: nn.max(ones(2, 3), 2), IndexingError, "from -2 to 1", "dimension 2", "name one of"),
    Row("max", lambda: nn.max(ones(2, 3), (0, 1)), IndexingError, "expected one dimension", "(0, 1)", "with view"),
    Row("argmax", lambda: nn.argmax(ones(2, 3), None), IndexingError, "expected one dimension", "None", "by itself"),
    Row("softmax", lambda: nn.softmax([1.0, 2.0], 0), DTypeError, "expected a tensor", "got list", "tensor(...)"),
    Row("logsoftmax", lambda: nn.logsoftmax(EYE, 0), DTypeError, "expected a tensor", "got ndarray", "tensor(...)"),
    Row("max", lambda: nn.max([1.0], 0), DTypeError, "expected a tensor", "got list", "tensor(...)"),
    Row("argmax", lambda: nn.argmax([1.0], 0), DTypeError, "expected a tensor", "got list", "tensor(...)"),
    Row("maxpool2d", lambda: nn.maxpool2d(EYE, (2, 2)), DTypeError, "expected a tensor", "ndarray", "tensor(...)"),
    Row("dropout", lambda: nn.dropout([1.0], 0.5), DTypeError, "expected a tensor", "got list", "tensor(...)"),
    Row("softmax", lambda: nn.softmax(integers(1), 0), DTypeError, "for softmax", "got int64", 't.to("float32")'),
    Row("logsoftmax", lambda: nn.logsoftmax(integers(1), 0), DTypeError, "for logsoftmax", "got int64", "t.to("),
    Row("max", lambda: nn.max(ones(0, 3), 0), ShapeError, "elements to compare", "got none", "batch is not empty"),
    Row("argmax", lambda: nn.argmax(ones(2, 0), 1), ShapeError, "elements to compare", "(2, 0)", "another dimension"),
    Row("softmax", lambda: nn.softmax(ones(2), 1), IndexingError, "from -1 to 0", "dimension 1", "name one of"),
    Row("logsoftmax", lambda: nn.logsoftmax(ones(2), -2), IndexingError, "from -1 to 0", "dimension -2", "name one of"),
    Row("dropout", lambda: nn.dropout(ones(2), 1.5), ArgumentError, "from 0 to 1", "got 1.5", "as 0.25"),
    Row("dropout", lambda: nn.dropout(ones(2), -0.1), ArgumentError, "from 0 to 1", "got -0.1", "as 0.25"),
    Row("dropout", lambda: nn.dropout(ones(2), math.nan), ArgumentError, "from 0 to 1", "got nan", "as 0.25"),
    Row("Dropout", lambda: Dropout(25), ArgumentError, "from 0 to 1", "got 25", "as 0.25"),
    Row("embedding", lambda: embedding(ones(2), make(EYE)), DTypeError, "integer indices", "float64", 'dtype="int64"'),
    Row(
        "Embedding",
        lambda: Embedding(2, 3)(make([2], dtype="int64")),
        DataError,
        "from 0 to 1",
        "got 2 to 2",
        "a row of their own",
    ),
    # --- modules and optimisers
    Row("Module", lambda: assign("forward"), ArgumentError, "a free name", "'forward'", "Choose another"),
    Row("Module.train", lambda: Module().train(1), ArgumentError, "expected True for", "got 1", "Write model.train()"),
    Row("Module", lambda: Module().add_parameter("a.b", 1.0), ArgumentError, "without dots", "'a.b'", "Dots join"),
    Row("Parameter", replace_parameter, ArgumentError, "a Parameter for 'weight'", "got float", "weight.update(value)"),
    Row("Optimizer", lambda: minitorch.Optimizer([]), ArgumentError, "at least one", "got none", "model.parameters()"),
    Row("Optimizer", lambda: SGD([ones(1)]), ArgumentError, "moves Parameters", "got Tensor", "model.parameters()"),
    Row("Optimizer", lambda: SGD([weight] * 2), ArgumentError, "each parameter once", "comes twice", "one group only"),
    Row(
        "Optimizer", lambda: SGD([{"params": weight, "rate": 1}]), ArgumentError, "has the settings lr", "rate", "name"
    ),
    Row(
        "Optimizer",
        lambda: SGD([weight]).load_state_dict(SGD([weight, Parameter(ones(1))]).state_dict()),
        ShapeError,
        "groups of [1] parameters",
        "got [2]",
        "the same groups",
    ),
    Row("SGD", lambda: SGD([weight], "a"), ArgumentError, "lr of 0 or more", "'a'", "against the gradient"),
    Row("SGD", lambda: SGD([weight], None), ArgumentError, "lr of 0 or more", "None", "against the gradient"),
    Row("SGD", lambda: SGD(Module(), 0.1), ArgumentError, "several Parameters", "got Module", "model.parameters()"),
    Row("SGD", lambda: SGD(weight, 0.1), ArgumentError, "several Parameters", "got Parameter", "[parameter]"),
    Row("SGD", lambda: SGD([{"lr": 0.1}]), ArgumentError, 'a "params"', "lr", "model.parameters()"),
    Row("Adam", lambda: Adam([weight], betas=0.9), ArgumentError, "two numbers", "0.9", "(0.9, 0.999)"),
    Row("SGD", lambda: SGD([weight], -0.1), ArgumentError, "lr of 0 or more", "-0.1", "against the gradient"),
    Row("SGD", lambda: SGD([weight], nesterov=True), ArgumentError, "needs momentum", "got 0.0", "momentum=0.9"),
    Row("SGD", lambda: SGD([weight], weight_decay=-1), ArgumentError, "weight_decay of 0", "got -1", "by itself"),
    Row("Adam", lambda: Adam([weight], betas=(1, 0)), ArgumentError, "0 to below 1", "(1, 0)", "0.9"),
    Row("AdamW", lambda: AdamW([weight], eps=-1), ArgumentError, "eps of 0 or more", "got -1", "1e-8"),
    Row("RMSprop", lambda: RMSprop([weight], alpha=2), ArgumentError, "alpha from 0 to 1", "got 2", "0.99"),
    Row("Adadelta", lambda: Adadelta([weight], rho=math.nan), ArgumentError, "rho from 0 to 1", "got nan", "0.9"),
    # --- convolution and pooling with PyTorch's meanings
    Row(
        "convolution.conv1d",
        lambda: convolution.conv1d(ones(2, 5), ones(3, 4, 2)),
        ShapeError,
        "an input of 4 channels",
        "got 2 in (2, 5)",
        "in_channels=2",
    ),
    Row(
        "convolution.conv1d",
        lambda: convolution.conv1d(ones(1, 1, 5), ones(2, 1, 3), stride=0),
        ArgumentError,
        "stride as a whole number from 1",
        "got 0",
        "stride=1",
    ),
    Row(
        "convolution.conv1d",
        lambda: convolution.conv1d(ones(1, 1, 5), ones(2, 1, 3), padding="full"),
        ArgumentError,
        "'same' or 'valid'",
        "'full'",
        "Write one",
    ),
    Row(
        "convolution.conv2d",
        lambda: convolution.conv2d(ones(4, 4), ones(1, 1, 2, 2)),
        ShapeError,
        "batch x channel x height x width",
        "(4, 4)",
        "with view",
    ),
    Row(
        "convolution.conv2d",
        lambda: convolution.conv2d(ones(1, 4, 4), ones(1, 2, 2)),
        ShapeError,
        "the kernel's height x width",
        "(1, 2, 2)",
        "with view",
    ),
    Row(
        "convolution.conv2d",
        lambda: convolution.conv2d(ones(1, 1, 4, 4), ones(2, 1, 2, 2), ones(3)),
        ShapeError,
        "a bias of shape (2,)",
        "got (3,)",
        "with view",
    ),
    Row(
        "convolution.conv2d",
        lambda: convolution.conv2d(ones(1, 2, 4, 4), ones(3, 1, 2, 2), groups=2),
        ArgumentError,
        "divides the 3 output channels",
        "got 2",
        "groups=1",
    ),
    Row(
        "convolution.conv2d",
        lambda: convolution.conv2d(ones(1, 1, 4, 4), ones(1, 1, 3, 3), dilation=2),
        ShapeError,
        "at least 5 elements",
        "got 4 and a padding of 0",
        "Pad more",
    ),
    Row(
        "convolution.conv2d",
        lambda: convolution.conv2d(ones(1, 1, 4, 4), ones(1, 1, 3, 3), stride=2, padding="same"),
        ArgumentError,
        "a stride of 1",
        "got (2, 2)",
        "as a number",
    ),
    Row(
        "convolution.Conv1d",
        lambda: convolution.Conv1d(3, 4, 2)(ones(1, 5, 9)),
        ShapeError,
        "Conv1d: expected an input of 3 channels",
        "got 5",
        "in_channels=5",
    ),
    Row(
        "convolution.Conv2d",
        lambda: convolution.Conv2d(1, 4, 3)(ones(64, 28, 28)),
        ShapeError,
        "an input of 1 channel",
        "(64, 28, 28)",
        "insert it with unsqueeze(1)",
    ),
    Row(
        "convolution.Conv1d",
        lambda: convolution.Conv1d(1, 4, 3)(ones(64, 28)),
        ShapeError,
        "an input of 1 channel",
        "(64, 28)",
        "insert it with unsqueeze(1)",
    ),
    Row(
        "convolution.Conv2d",
        lambda: convolution.Conv2d(3, 4, 3)(ones(64, 28, 28)),
        ShapeError,
        "an input of 3 channel",
        "(64, 28, 28)",
        "channels with unsqueeze(1)",
    ),
    Row(
        "convolution.Conv2d",
        lambda: convolution.Conv2d(3, 4, 3)(ones(28, 28, 3)),
        ShapeError,
        "an input of 3 channel",
        "(28, 28, 3)",
        "permute(2, 0, 1)",
    ),
    Row(
        "convolution.Conv2d",
        lambda: convolution.Conv2d(3, 4, 3)(ones(2, 28, 28, 3)),
        ShapeError,
        "an input of 3 channel",
        "(2, 28, 28, 3)",
        "permute(0, 3, 1, 2)",
    ),
    Row(
        "convolution.Conv2d",
        lambda: convolution.Conv2d(3, 4, 3)(ones(2, 1, 28, 28)),
        ShapeError,
        "an input of 3 channel",
        "(2, 1, 28, 28)",
        "Make the layer with in_channels=1",
    ),
    Row(
        "convolution.Conv1d",
        lambda: convolution.Conv1d(3, 4, (2, 2)),
        ArgumentError,
        "kernel_size as a whole number",
        "got (2, 2)",
        "kernel_size=1",
    ),
    Row(
        "convolution.Conv2d",
        lambda: convolution.Conv2d(3, 4, 2, groups=2),
        ArgumentError,
        "number of groups divides",
        "in_channels=3, out_channels=4, groups=2",
        "a multiple of the groups",
    ),
    Row(
        "convolution.Conv2d",
        lambda: convolution.Conv2d(3, 4, 2, padding_mode="reflect"),
        ArgumentError,
        "padding_mode='zeros'",
        "'reflect'",
        "Pad the input yourself",
    ),
    Row(
        "convolution.Conv2d",
        lambda: convolution.Conv2d(3, 4, 3, stride=(1, 2), padding="same"),
        ArgumentError,
        "a stride of 1",
        "got (1, 2)",
        "as a number",
    ),
    Row(
        "pooling.max_pool1d",
        lambda: pooling.max_pool1d(ones(1, 1, 2), 3),
        ShapeError,
        "at least 3 elements",
        "got 2",
        "a smaller window",
    ),
    Row(
        "pooling.max_pool2d",
        lambda: pooling.max_pool2d(ones(1, 1, 4, 4), 2, padding=2),
        ArgumentError,
        "at most half a window, 1 for",
        "got 2",
        "pad less",
    ),
    Row(
        "pooling.max_pool2d",
        lambda: pooling.max_pool2d(ones(1, 1, 1, 1), 2, padding=2, dilation=3),
        ShapeError,
        "every window to see an element",
        "window 0 of 2 with dilation 3",
        "Reduce the dilation",
    ),
    Row(
        "pooling.avg_pool2d",
        lambda: pooling.avg_pool2d(ones(1, 1, 4, 4), 2, divisor_override=0),
        ArgumentError,
        "other than 0",
        "got 0",
        "Leave it out",
    ),
    Row(
        "pooling.MaxPool1d",
        lambda: pooling.MaxPool1d(2)(ones(2, 2, 2, 4)),
        ShapeError,
        "MaxPool1d expects an input of batch x channel x width",
        "(2, 2, 2, 4)",
        "with view",
    ),
    Row(
        "pooling.MaxPool2d",
        lambda: pooling.MaxPool2d(2, return_indices=True),
        ArgumentError,
        "return_indices=False",
        "got True",
        "Compare them",
    ),
    Row(
        "pooling.MaxPool2d",
        lambda: pooling.MaxPool2d(2.5),
        ArgumentError,
        "kernel_size as a whole number from 1 or 2 of them",
        "got 2.5",
        "kernel_size=1",
    ),
    Row(
        "pooling.AvgPool2d",
        lambda: pooling.AvgPool2d((2, 0)),
        ArgumentError,
        "a whole number from 1",
        "got (2, 0)",
        "kernel_size=1",
    ),
    # --- layers, where they begin, and losses
    Row("layers.Linear", lambda: layers.Linear(0, 3), ArgumentError, "at least one feature", "0 and 3", "the sizes"),
    Row("layers.Linear", lambda: layers.Linear("784", 10), ArgumentError, "whole numbers", "'784' and 10", "the sizes"),  # type: ignore[arg-type]
    Row("layers.Linear", lambda: layers.Linear(2, 3)(ones(4, 5)), ShapeError, "takes 2", "(4, 5)", "in_features=5"),
    Row("layers.linear", lambda: layers.linear(tensor(1.0), ones(1, 2)), ShapeError, "takes 2", "()", "rows of them"),
    Row("layers.Flatten", lambda: layers.Flatten()(ones(3)), IndexingError, "from -1 to 0", "(3,)", "with view"),
    Row(
        "layers.Flatten",
        lambda: layers.Flatten(2, 1)(ones(1, 1, 1)),
        ArgumentError,
        "before end_dim",
        "2 and 1",
        "Exchange",
    ),
    Row("layers.Sequential", lambda: layers.Sequential(layers.ReLU), ArgumentError, "holds modules", "ReLU", "ReLU()"),
    Row(
        "layers.Sequential",
        lambda: layers.Sequential([layers.ReLU()]),
        ArgumentError,
        "holds modules",
        "[ReLU()]",
        "(*layers)",
    ),
    Row("layers.Sequential", lambda: layers.Sequential()[0], IndexingError, "a place from", "got 0", "begin at 0"),
    Row("layers.ModuleList", lambda: layers.ModuleList([len]), ArgumentError, "holds modules", "len", "a Module"),
    Row(
        "layers.Sequential",
        lambda: layers.Sequential(layers.Sequential(layers.Linear(12, 2)))(ones(5, 3, 4)),
        ShapeError,
        "Sequential.0.0 (Linear): this linear layer takes 12",
        "(5, 3, 4)",
        "A Flatten is missing",
    ),
    Row(
        "layers.Reshape", lambda: layers.Reshape(-1, -1), ArgumentError, "may be -1", "(-1, -1)", "Leave the batch out"
    ),
    Row("layers.Reshape", lambda: layers.Reshape(2, 3)(ones(6)), ShapeError, "6 fit", "(6,)", "the first dimension"),
    Row("layers.BatchNorm1d", lambda: layers.BatchNorm1d(0), ArgumentError, "channels from 1", "got 0", "dimension 1"),
    Row(
        "layers.BatchNorm1d",
        lambda: layers.BatchNorm1d(3)(ones(1, 3)),
        ShapeError,
        "more than one number",
        "(1, 3)",
        "a larger batch",
    ),
    Row(
        "layers.BatchNorm2d",
        lambda: layers.BatchNorm2d(3)(ones(2, 5, 5, 3)),
        ShapeError,
        "3 channels in dimension 1",
        "got 5 in (2, 5, 5, 3)",
        "permute(0, 3, 1, 2)",
    ),
    Row(
        "layers.BatchNorm2d",
        lambda: layers.BatchNorm2d(3)(ones(2, 3)),
        ShapeError,
        "batch x channel x height x width",
        "(2, 3)",
        "the layer for 2 dimensions",
    ),
    Row("layers.Flatten", lambda: layers.Flatten()([1.0]), DTypeError, "flatten expected", "got list", "tensor(...)"),
    Row(
        "layers.LayerNorm",
        lambda: layers.LayerNorm([3, 4])(ones(2, 4, 3)),
        ShapeError,
        "last dimensions of (3, 4)",
        "(2, 4, 3)",
        "normalized_shape=(4, 3)",
    ),
    Row("layers.LayerNorm", lambda: layers.LayerNorm(3)(ones(2, 4)), ShapeError, "of (3,)", "(2, 4)", "shape=4, or"),
    Row(
        "layers.LayerNorm",
        lambda: layers.LayerNorm([3, 4])(ones(4)),
        ShapeError,
        "last dimensions of (3, 4)",
        "(4,)",
        "missing dimensions with view",
    ),
    Row("layers.LayerNorm", lambda: layers.LayerNorm([]), ArgumentError, "1 or more", "got []", "one number"),
    Row(
        "layers.Embedding",
        lambda: layers.Embedding(2, 3, padding_idx=2),
        ArgumentError,
        "one of the 2 rows",
        "got 2",
        "from 0",
    ),
    Row(
        "layers.Embedding",
        lambda: layers.Embedding(2, 3, weight=ones(3, 2)),
        ShapeError,
        "2 rows of 3",
        "(3, 2)",
        "from_pretrained",
    ),
    Row(
        "convolution.conv2d",
        lambda: convolution.conv2d(ones(1, 8, 8, 3), ones(4, 3, 3, 3)),
        ShapeError,
        "an input of 3 channels",
        "got 8 in (1, 8, 8, 3)",
        "permute(0, 3, 1, 2)",
    ),
    Row("layers.GELU", lambda: layers.GELU("fast"), ArgumentError, "'none' or 'tanh'", "'fast'", "one of these"),
    Row("layers.Softmax", lambda: layers.Softmax(1)(ones(2)), IndexingError, "from -1 to 0", "dimension 1", "name one"),
    Row("layers.LogSoftmax", lambda: layers.LogSoftmax(2)(ones(1)), IndexingError, "from -1 to", "dimension 2", "name"),
    Row("init.uniform", lambda: init.uniform((2,), 1.0, 0.0), ArgumentError, "a up to b", "1.0 and 0.0", "Exchange"),
    Row("init.uniform", lambda: init.uniform((-2,)), ShapeError, "0 or more", "(-2,)", "Only view()"),
    Row("init.normal", lambda: init.normal((2,), std=-1.0), ArgumentError, "0 or more", "got -1.0", "change nothing"),
    Row("init.normal", lambda: init.normal((2,), dtype="int64"), DTypeError, "float32 or float64", "int64", "convert"),
    Row("init.constant", lambda: init.constant((-2,), 1.0), ShapeError, "0 or more", "(-2,)", "Only view()"),
    Row("init.zeros", lambda: init.zeros((-2,)), ShapeError, "0 or more", "(-2,)", "Only view()"),
    Row("init.ones", lambda: init.ones((-2,)), ShapeError, "0 or more", "(-2,)", "Only view()"),
    Row("init.zeros_", lambda: init.zeros_(ones(2)), DTypeError, "expected a Parameter", "got Tensor", "init.zeros("),
    Row("init.xavier_uniform", lambda: init.xavier_uniform((3,)), ShapeError, "out x in", "(3,)", "Draw a bias with"),
    Row("init.xavier_normal", lambda: init.xavier_normal((0, 3)), ShapeError, "has elements", "(0, 3)", "begin at 1"),
    Row("init.kaiming_uniform", lambda: init.kaiming_uniform((3,)), ShapeError, "out x in", "(3,)", "a bias with"),
    Row(
        "init.kaiming_normal",
        lambda: init.kaiming_normal((3, 2), mode="in"),
        ArgumentError,
        "fan_in or fan_out",
        "'in'",
        "one of these",
    ),
    Row("init.calculate_gain", lambda: init.calculate_gain("gelu"), ArgumentError, "tanh, relu", "'gelu'", "your own"),
    Row("losses.nll_loss", lambda: losses.nll_loss(ones(3), [0]), ShapeError, "label for", "(1,)", "rows of zeros"),
    Row(
        "losses.nll_loss",
        lambda: losses.nll_loss(ones(2, 3), [0]),
        ShapeError,
        "one label for",
        "(1,)",
        "rows of zeros",
    ),
    Row(
        "losses.nll_loss", lambda: losses.nll_loss(ones(1, 3), [3]), DataError, "from 0 to 2", "3 to 3", "Count from 0"
    ),
    Row("losses.nll_loss", lambda: losses.nll_loss(ones(1, 3), [-1]), DataError, "from 0", "-1", "ignore_index="),
    Row("losses.nll_loss", lambda: losses.nll_loss(make(1.0), 0), ShapeError, "score for", "()", "Leave out"),
    Row(
        "losses.nll_loss",
        lambda: losses.nll_loss(ones(1, 3), [0.0]),
        DTypeError,
        "are integers",
        "float64",
        'e="int64"',
    ),
    Row(
        "losses.nll_loss",
        lambda: losses.nll_loss(ones(2, 3), [0, 1], weight=ones(2)),
        ShapeError,
        "each of the 3 classes",
        "(2,)",
        "reduction='none'",
    ),
    Row(
        "losses.nll_loss",
        lambda: losses.nll_loss(ones(2, 3), make([0, 1], FastBackend, "int64")),
        BackendError,
        "on one backend",
        "FastOps",
        "t.to(backend)",
    ),
    Row(
        "losses.nll_loss",
        lambda: losses.nll_loss(ones(0, 3), np.zeros(0, np.int64)),
        ShapeError,
        "elements to average",
        "(1, 0)",
        "batch is not empty",
    ),
    Row(
        "losses.cross_entropy",
        lambda: losses.cross_entropy(ones(2, 3), [0, 1], label_smoothing=10),
        ArgumentError,
        "from 0 to 1",
        "got 10",
        "10 % as 0.1",
    ),
    Row(
        "losses.cross_entropy",
        lambda: losses.cross_entropy(ones(2, 3), ones(2)),
        DTypeError,
        "class labels are integers",
        "float64 of shape (2,)",
        'dtype="int64"',
    ),
    Row(
        "losses.cross_entropy",
        lambda: losses.cross_entropy(ones(2, 3), ones(3, 2)),
        ShapeError,
        "an input and a target of one shape",
        "(2, 3) and (3, 2)",
        "with view",
    ),
    Row(
        "losses.cross_entropy",
        lambda: losses.cross_entropy(ones(2, 3), ones(2, 3), ignore_index=1),
        ArgumentError,
        "no label to leave out",
        "ignore_index=1",
        "Omit it",
    ),
    Row(
        "losses.binary_cross_entropy",
        lambda: losses.binary_cross_entropy(ones(2) * 3.0, ones(2)),
        DataError,
        "from 0 to 1",
        "3.0 to 3.0",
        "with_logits",
    ),
    Row(
        "losses.binary_cross_entropy",
        lambda: losses.binary_cross_entropy(ones(2), ones(2, 1)),
        ShapeError,
        "of one shape",
        "(2,) and (2, 1)",
        "with view",
    ),
    Row(
        "losses.binary_cross_entropy_with_logits",
        lambda: losses.binary_cross_entropy_with_logits(ones(2), ones(2), pos_weight=ones(3)),
        ShapeError,
        "shape (1,) or (2,)",
        "got (3,)",
        "one for all",
    ),
    Row(
        "losses.mse_loss",
        lambda: losses.mse_loss(ones(4), ones(4, 1)),
        ShapeError,
        "an input and a target of one shape",
        "(4,) and (4, 1)",
        "Nothing is broadcast",
    ),
    Row("losses.mse_loss", lambda: losses.mse_loss(ones(2), EYE), DTypeError, "a tensor as its", "ndarray", "tensor("),
    Row(
        "losses.mse_loss", lambda: losses.mse_loss(ones(1), ones(1), "avg"), ArgumentError, "'sum' or", "'avg'", "Write"
    ),
    Row("losses.l1_loss", lambda: losses.l1_loss(ones(4), ones(1)), ShapeError, "one shape", "(4,) and (1,)", "view"),
    Row(
        "losses.smooth_l1_loss",
        lambda: losses.smooth_l1_loss(ones(1), ones(1), beta=-1.0),
        ArgumentError,
        "0 or more",
        "got -1.0",
        "from which on",
    ),
    Row("losses.MSELoss", lambda: losses.MSELoss("avg"), ArgumentError, "'mean', 'sum'", "'avg'", "one of these"),
    # --- scalars and lists
    Row("Scalar", lambda: Scalar("1"), DTypeError, "a number", "got str", "or a Scalar"),
    Row(
        "Scalar.backward",
        constant().backward,
        GraphError,
        "with a history",
        "constant Scalar(2.0)",
        "outside no_grad()",
    ),
    Row(
        "Scalar.chain_rule",
        lambda: Scalar(2.0).chain_rule(1.0),
        GraphError,
        "that a function made",
        "Scalar(2.0), a leaf",
        "Ask is_leaf()",
    ),
    Row("ScalarFunction", lambda: TextOut.apply(1.0), DTypeError, "return a float", "got str", "plain numbers"),
    Row(
        "derivative_check",
        lambda: minitorch.derivative_check(WrongScalarSquare.apply, 3.0),
        GradientError,
        "Expected a derivative between",
        "got 3",
        "whose backward is wrong",
    ),
    Row("operators", lambda: operators.addLists([1], [1, 2]), ShapeError, "the same length", "1 and 2", "Cut or pad"),
    Row("datasets", lambda: minitorch.datasets["Moons"], ArgumentError, "one of Simple", "'Moons'", "Xor"),
    Row("make_pts", lambda: minitorch.make_pts(-1), ArgumentError, "from zero up", "-1", "such as 50"),
    # --- data, files, training
    Row("data.one_hot", lambda: one_hot([0.5], 10), DataError, "integers from 0 to 9", "not whole", "go to the loss"),
    Row("data.one_hot", lambda: one_hot([10], 10), DataError, "from 0 to 9", "10 to 10", "count from 0"),
    Row("data.one_hot", lambda: one_hot([[1]], 10), DataError, "in one dimension", "shape (1, 1)", "reshape(-1)"),
    Row(
        "data.load_sst2",
        lambda: data_package.load_sst2("test"),
        ArgumentError,
        "'train' or 'dev'",
        "'test'",
        "on 'dev'",
    ),
    Row(
        "data.load_glove",
        lambda: data_package.load_glove(["a"], "/nowhere/at/all"),
        DataError,
        "expected glove.6B.50d.txt",
        "/nowhere/at/all does not exist",
        "Correct the path",
    ),
    Row(
        "data.load_mnist",
        lambda: data_package.load_mnist("validation"),
        ArgumentError,
        "'train' or 'test'",
        "'validation'",
        "hold out a part",
    ),
    Row(
        "data.load_mnist",
        lambda: parse_idx(b"PK\3\4", Path("t.idx"), 3),
        DataError,
        "expected the magic bytes",
        "504b0304",
        "Get the file again",
    ),
    Row("data.load", lambda: data_package.load("imagenet"), ArgumentError, "cifar", "'imagenet'", "Write one of these"),
    Row(
        "data.load_fashion_mnist",
        lambda: data_package.load_fashion_mnist("valid"),
        ArgumentError,
        "'train' or 'test'",
        "'valid'",
        "hold out a part",
    ),
    Row(
        "data.load_cifar10",
        lambda: data_package.load_cifar10("valid"),
        ArgumentError,
        "'train' or 'test'",
        "'valid'",
        "hold out a part",
    ),
    Row(
        "data.load_corrupt_mnist",
        lambda: data_package.load_corrupt_mnist("valid"),
        ArgumentError,
        "'train' or 'test'",
        "'valid'",
        "hold out a part",
    ),
    Row(
        "data.ImageDataset",
        lambda: data_package.ImageDataset(np.zeros((3, 2, 2)), [0, 1]),
        DataError,
        "one label for each image",
        "3 images and 2 labels",
        "cut at the same place",
    ),
    Row(
        "data.TensorDataset",
        lambda: data_package.TensorDataset(np.zeros((3, 2)), np.zeros(2)),
        DataError,
        "tensors of one length",
        "[3, 2]",
        "cut at the same place",
    ),
    Row("data.Subset", lambda: data_package.Subset("abc", [3]), IndexingError, "-3 to 2", "got 3", "Count from 0"),
    Row("data.ConcatDataset", lambda: data_package.ConcatDataset([]), ArgumentError, "at least one", "none", "a list"),
    Row(
        "data.random_split",
        lambda: data_package.random_split(range(10), [5, 4]),
        ArgumentError,
        "add up to the 10 items",
        "[5, 4]",
        "Write [9, 1]",
    ),
    Row(
        "data.collate",
        lambda: data_package.collate([np.zeros(2), np.zeros(3)]),
        ShapeError,
        "items of one shape",
        "(2,) and (3,)",
        "collate_fn",
    ),
    Row(
        "data.DataLoader",
        lambda: data_package.DataLoader([1, 2], batch_size=0),
        ArgumentError,
        "1 or more as batch_size",
        "got 0",
        "Pass an int",
    ),
    Row(
        "data.DataLoader",
        lambda: data_package.DataLoader([1, 2]).load_state_dict({"epoch": 3}),
        ArgumentError,
        "seed, epoch and batch",
        "{'epoch': 3}",
        "Pass what state_dict() gave",
    ),
    Row(
        "data.Compose",
        lambda: data_package.Compose([])(np.zeros((28, 28))),
        ShapeError,
        "batch x channel x height x width",
        "(28, 28)",
        "image[None]",
    ),
    Row(
        "data.ToDtype", lambda: data_package.ToDtype("int8"), DTypeError, "float32 or float64", "int8", "convert after"
    ),
    Row("data.ToTensor", lambda: data_package.ToTensor()(np.ones(4)), ShapeError, "batch x", "(4,)", "image[None]"),
    Row("data.Lambda", lambda: data_package.Lambda(3), ArgumentError, "a function", "got int", "Write lambda images"),
    Row(
        "data.Normalize",
        lambda: data_package.Normalize(0.5, 0.5)(np.zeros((1, 1, 2, 2), np.uint8)),
        DTypeError,
        "expected floats",
        "uint8",
        "ToDtype",
    ),
    Row("data.Pad", lambda: data_package.Pad(-1), ArgumentError, "widths of 0 or more", "-1", "Write 4"),
    Row(
        "data.RandomCrop",
        lambda: data_package.RandomCrop(9)(np.zeros((1, 1, 8, 8))),
        ShapeError,
        "at least 9 x 9",
        "8 x 8",
        "Pad more",
    ),
    Row(
        "data.RandomHorizontalFlip",
        lambda: data_package.RandomHorizontalFlip(50),
        ArgumentError,
        "a probability from 0 to 1",
        "got 50",
        "0.5",
    ),
    Row(
        "data.RandomRotation",
        lambda: data_package.RandomRotation(-15),
        ArgumentError,
        "lower end first",
        "-15",
        "(-15, 15)",
    ),
    Row(
        "data.pixel_statistics",
        lambda: data_package.pixel_statistics(np.zeros((0, 1, 2, 2))),
        DataError,
        "images with pixels",
        "(0, 1, 2, 2)",
        "Load some",
    ),
    Row(
        "io.load_arrays",
        lambda: io_package.load_arrays("/nowhere/at/all"),
        DataError,
        "cannot read",
        "/nowhere/at/all",
        "Train one first",
    ),
    Row(
        "load_state_dict",
        lambda: Exploding().load_state_dict({"weight": EYE, "bias": EYE}),
        ShapeError,
        "one for each parameter",
        "unexpected: bias",
        "Build the model with",
    ),
    Row("Module", lambda: Exploding().to("cuda"), DTypeError, "expected a backend", "got 'cuda'", "minitorch.CudaOps"),
    Row(
        "io.save_arrays",
        lambda: io_package.save_arrays("model.safetensors", {"weight": [1.0]}),
        DTypeError,
        "an array or a tensor",
        "got list",
        "for 'weight'",
    ),
    Row(
        "save",
        lambda: minitorch.save("model.pt", Exploding()),
        ArgumentError,
        "what to save and then the path",
        "the path 'model.pt' first",
        "Write save(state, path)",
    ),
    Row(
        "state_dict",
        lambda: of_scalars().state_dict(),
        DTypeError,
        "expected an array or a tensor for 'weight'",
        "got Scalar",
        "Make it one",
    ),
    Row(
        "load",
        lambda: minitorch.load("x.pt", "cuda"),
        ArgumentError,
        "='cpu' or none",
        "got 'cuda'",
        "model.to(backend)",
    ),
    Row("load", lambda: minitorch.load("/nowhere.pt"), DataError, "cannot read", "/nowhere.pt", "Train one first"),
    Row("load_model", not_described, DataError, "expected a file of", "does not say how", "Build the model yourself"),
    Row(
        "compile",
        lambda: minitorch.compile(lambda x: x.item())(ones(1, backend=FastBackend)),
        CompileError,
        "cannot read the value of a tensor",
        "test_error_table.py",
        "Return the tensor and look at it outside",
    ),
    Row(
        "training.fit",
        lambda: fit_on(iter([])),
        ArgumentError,
        "batches that can be gone through again",
        "got list_iterator",
        "Pass a DataLoader or a list",
    ),
    Row(
        "training.fit",
        lambda: fit_on([(ones(3, 1), ones(2, 1))]),
        DataError,
        "as many targets",
        "got 3 and 2",
        "come from the same files",
    ),
    Row(
        "training.evaluate",
        lambda: training_package.evaluate(Exploding(), []),
        DataError,
        "at least one batch",
        "got none",
        "drop_last",
    ),
    Row(
        "training.accuracy",
        lambda: training_package.accuracy(ones(3, 2), integers(1, 2)),
        ShapeError,
        "scores of batch x class",
        "(3, 2) and (2,)",
        "metrics={}",
    ),
    Row(
        "training.EarlyStopping",
        lambda: training_package.EarlyStopping(patience=0),
        ArgumentError,
        "at least one epoch",
        "got 0",
        "patience=5",
    ),
    Row(
        "training.History",
        lambda: training_package.History()["loss"],
        ArgumentError,
        "the name of a column",
        "got 'loss'",
        "The columns are none yet",
    ),
    Row("training.require_finite", explode, NaNError, "a finite number", "inf at step 7", "smaller learning rate"),
]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.function}-{i}" for i, row in enumerate(ROWS)])
def test_a_mistake_is_explained(row):
    with pytest.raises(row.error) as raised:
        row.call()
    message = str(raised.value)
    for piece in (row.expected, row.came, row.fix):
        assert piece in message


def test_there_are_enough_rows():
    assert len(ROWS) >= 60
    assert {row.error for row in ROWS} >= {
        ArgumentError,
        BackendError,
        BroadcastError,
        DTypeError,
        DataError,
        GradientError,
        GraphError,
        IndexingError,
        NaNError,
        ShapeError,
    }


@pytest.mark.parametrize(
    ("error", "kinds"),
    [
        (ArgumentError, (ValueError,)),
        (ShapeError, (ValueError,)),
        (BroadcastError, (ShapeError, IndexingError)),
        (IndexingError, (IndexError, RuntimeError)),
        (DTypeError, (TypeError,)),
        (BackendError, (RuntimeError,)),
        (GraphError, (RuntimeError,)),
        (GradientError, (AssertionError,)),
        (NaNError, (ArithmeticError,)),
        (DataError, (ValueError, OSError)),
        (minitorch.MissingDependencyError, (ImportError,)),
    ],
)
def test_an_exception_is_also_the_kind_that_people_catch(error, kinds):
    for kind in (*kinds, MiniTorchError):
        assert issubclass(error, kind)


# --- every public function -----------------------------------------------------------------------------------

LOSS = "the function that it calls has rows; MSELoss shows that its settings are checked when it is made"
ANY = "every number is fine"
TOOL = "it is given what tensors check before, in an inner loop"
RECORD = "a record: what made it has checked it"
NOTHING = "it takes no argument that could be wrong"
WITHOUT_ROW = {
    "MathTest": "a list of functions for tests; each is an operation that has its own row",
    "MathTestVariable": "a list of functions for tests; each is an operation that has its own row",
    "Context": "it keeps whatever it is given",
    "History": "a record that only this package fills in",
    "ScalarHistory": "a record that only this package fills in",
    "Graph": RECORD,
    "debug": NOTHING,
    "Variable": "a protocol, not something that is called",
    "FastOps": "its functions receive operands that the differentiable functions have checked",
    "SimpleOps": "its functions receive operands that the differentiable functions have checked",
    "TensorOps": "its functions receive operands that the differentiable functions have checked",
    "backpropagate": "Tensor.backward and Scalar.backward check what it is given",
    "topological_sort": "it walks any graph",
    "broadcast_index": TOOL,
    "index_to_position": TOOL,
    "to_index": TOOL,
    "strides_from_shape": TOOL,
    "_tensor_conv1d": TOOL,
    "_tensor_conv2d": TOOL,
    "_tensor_matrix_multiply": TOOL,
    "central_difference": "it calls whatever function it is given; a mistake is that function's",
    "grad_central_difference": "it calls whatever function it is given; a mistake is that function's",
    "prod": "a product of any numbers is defined",
    "enable_grad": NOTHING,
    "no_grad": NOTHING,
    "is_grad_enabled": NOTHING,
    "initial_seed": NOTHING,
    "get_default_dtype": NOTHING,
}
WITHOUT_ROW_OF_MODULES = {
    convolution: {},
    pooling: {},
    layers: {"Identity": ANY, "ReLU": ANY, "LeakyReLU": ANY, "Sigmoid": ANY, "Tanh": ANY}
    | dict.fromkeys(["Conv1d", "Conv2d"], "its rows are under convolution")
    | dict.fromkeys(["AvgPool2d", "MaxPool1d", "MaxPool2d"], "its rows are under pooling"),
    init: dict.fromkeys(
        [f"{name}_" for name in ("constant", "normal", "ones", "uniform", "xavier_normal", "xavier_uniform")]
        + ["kaiming_normal_", "kaiming_uniform_"],
        "zeros_ has a row for the parameter, and the function without the underscore rows for the numbers",
    ),
    losses: dict.fromkeys(
        ["BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "L1Loss", "NLLLoss", "SmoothL1Loss"], LOSS
    ),
    data_package: dict.fromkeys(["MNIST", "SST2", "WordVectors", "DataFile", "DataSet", "RemoteFile"], RECORD)
    | dict.fromkeys(["Dataset", "Transform"], "a base class: what is derived from it has its row"),
    io_package: {},
    training_package: {
        "RunLog": "it writes whatever lines it is given; a folder that cannot be written is the system's error",
        "describe_run": "it puts whatever it is given into a sentence",
        "Training": RECORD,
    },
}


def public_functions(module: ModuleType = minitorch) -> set[str]:
    """Name what a module offers to call, without exceptions, aliases of types, and values."""
    names = set()
    for name in module.__all__:
        value = getattr(module, name)
        is_error = isinstance(value, type) and issubclass(value, Exception)
        is_ours = getattr(value, "__module__", "").partition(".")[0] == "minitorch"
        if callable(value) and is_ours and not is_error and not isinstance(value, ModuleType):
            names.add(name)
    return names


def test_every_public_function_has_a_row_or_a_reason():
    with_row = {row.function.partition(".")[0].partition("[")[0] for row in ROWS}
    assert public_functions() - with_row - set(WITHOUT_ROW) == set()
    assert not with_row & set(WITHOUT_ROW)
    assert set(WITHOUT_ROW) <= set(minitorch.__all__)


@pytest.mark.parametrize("module", WITHOUT_ROW_OF_MODULES, ids=lambda module: module.__name__)
def test_every_function_of_a_module_has_a_row_or_a_reason(module):
    name = module.__name__.removeprefix("minitorch.")
    with_row = {row.function.removeprefix(f"{name}.") for row in ROWS}
    assert public_functions(module) - with_row == set(WITHOUT_ROW_OF_MODULES[module])
