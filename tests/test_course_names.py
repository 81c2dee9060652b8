"""The course's public names, where it has them and with its arguments.

A line of the list says how the course's pages, tests and scripts call something. Ours may take more arguments, if they
come later and have defaults.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

import minitorch
from minitorch.fast_ops import FastBackend
from minitorch.tensor_ops import SimpleBackend

NAMES = {
    "operators": """
        mul(x, y) id(x) add(x, y) neg(x) lt(x, y) eq(x, y) max(x, y) is_close(x, y) sigmoid(x) relu(x) log(x) exp(x)
        log_back(x, d) inv(x) inv_back(x, d) relu_back(x, d) map(fn) zipWith(fn) reduce(fn, start) negList(ls)
        addLists(ls1, ls2) sum(ls) prod(ls)
    """,
    "module": """
        Module() Module.modules(self) Module.train(self) Module.eval(self) Module.named_parameters(self)
        Module.parameters(self) Module.add_parameter(self, k, v) Module.__call__(self, *args)
        Parameter(x, name) Parameter.update(self, x)
    """,
    "testing": """
        MathTest._tests() MathTestVariable._comp_testing()
    """,
    "autodiff": """
        central_difference(f, *vals, arg, epsilon) topological_sort(variable) backpropagate(variable, deriv)
        Context(no_grad, saved_values) Context.save_for_backward(self, *values) Variable.accumulate_derivative(self, x)
        Variable.is_leaf(self) Variable.is_constant(self) Variable.chain_rule(self, d_output)
    """,
    "scalar": """
        Scalar(data, history, derivative, name) ScalarHistory(last_fn, ctx, inputs) Scalar.log(self) Scalar.exp(self)
        Scalar.sigmoid(self) Scalar.relu(self) Scalar.accumulate_derivative(self, x) Scalar.is_leaf(self)
        Scalar.is_constant(self) Scalar.chain_rule(self, d_output) Scalar.backward(self, d_output)
        derivative_check(f, *scalars)
    """,
    "scalar_functions": """
        ScalarFunction.apply(*vals) Add.forward(ctx, a, b) Log.forward(ctx, a) Mul.forward(ctx, a, b)
        Inv.forward(ctx, a) Neg.forward(ctx, a) Sigmoid.forward(ctx, a) ReLU.forward(ctx, a) Exp.forward(ctx, a)
        LT.forward(ctx, a, b) EQ.forward(ctx, a, b) Add.backward(ctx, d_output)
    """,
    "optim": """
        Optimizer(parameters) SGD(parameters, lr) SGD.zero_grad(self) SGD.step(self)
    """,
    "tensor_data": """
        index_to_position(index, strides) to_index(ordinal, shape, out_index)
        broadcast_index(big_index, big_shape, shape, out_index) shape_broadcast(shape1, shape2)
        strides_from_shape(shape) TensorData(storage, shape, strides) TensorData.is_contiguous(self)
        TensorData.shape_broadcast(shape_a, shape_b) TensorData.index(self, index) TensorData.indices(self)
        TensorData.sample(self) TensorData.get(self, key) TensorData.set(self, key, val) TensorData.tuple(self)
        TensorData.permute(self, *order) TensorData.to_string(self)
    """,
    "tensor_ops": """
        TensorOps.map(fn) TensorOps.zip(fn) TensorOps.reduce(fn, start) TensorOps.matrix_multiply(a, b)
        TensorBackend(ops) SimpleOps.map(fn) SimpleOps.zip(fn) SimpleOps.reduce(fn, start)
        SimpleOps.matrix_multiply(a, b) tensor_map(fn) tensor_zip(fn) tensor_reduce(fn)
    """,
    "tensor": """
        Tensor(v, back, name, backend) Tensor.requires_grad_(self, x) Tensor.requires_grad(self) Tensor.to_numpy(self)
        Tensor.item(self) Tensor.contiguous(self) Tensor._type_(self, backend) Tensor.expand(self, other)
        Tensor.zeros(self, shape) Tensor.tuple(self) Tensor.detach(self) Tensor.accumulate_derivative(self, x)
        Tensor.is_leaf(self) Tensor.is_constant(self) Tensor.chain_rule(self, d_output)
        Tensor.backward(self, grad_output) Tensor.zero_grad_(self) Tensor.make(storage, shape, strides, backend)
        Tensor.sigmoid(self) Tensor.relu(self) Tensor.log(self) Tensor.exp(self) Tensor.all(self, dim)
        Tensor.sum(self, dim) Tensor.mean(self, dim) Tensor.permute(self, *order) Tensor.view(self, *shape)
    """,
    "tensor_functions": """
        Function.apply(*inputs) zeros(shape, backend) rand(shape, backend, requires_grad)
        tensor(ls, backend, requires_grad) grad_central_difference(f, *vals, arg, epsilon, ind) grad_check(f, *vals)
    """,
    "fast_ops": """
        FastOps.map(fn) FastOps.zip(fn) FastOps.reduce(fn, start) FastOps.matrix_multiply(a, b)
        tensor_map(fn) tensor_zip(fn) tensor_reduce(fn)
        _tensor_matrix_multiply(out, out_shape, out_strides, a_storage, a_shape, a_strides, b_storage, b_shape,
        b_strides)
    """,
    "fast_conv": """
        _tensor_conv1d(out, out_shape, out_strides, out_size, input, input_shape, input_strides, weight, weight_shape,
        weight_strides, reverse)
        _tensor_conv2d(out, out_shape, out_strides, out_size, input, input_shape, input_strides, weight, weight_shape,
        weight_strides, reverse)
        Conv1dFun.forward(ctx, input, weight) Conv2dFun.forward(ctx, input, weight)
    """,
    "cuda_ops": """
        CudaOps.map(fn) CudaOps.zip(fn) CudaOps.reduce(fn, start) CudaOps.matrix_multiply(a, b)
        tensor_map(fn) tensor_zip(fn) tensor_reduce(fn) sum_practice(a) mm_practice(a, b)
        _sum_practice(out, a, size) _mm_practice(out, a, b, size)
        _tensor_matrix_multiply(out, out_shape, out_strides, out_size, a_storage, a_shape, a_strides, b_storage,
        b_shape, b_strides)
    """,
    "cuda_conv": """
        _tensor_conv1d(out, out_shape, out_strides, out_size, input, input_shape, input_strides, weight, weight_shape,
        weight_strides, reverse)
        _tensor_conv2d(out, out_shape, out_strides, out_size, input, input_shape, input_strides, weight, weight_shape,
        weight_strides, reverse)
        conv1d(input, weight) conv2d(input, weight)
    """,
    "nn": """
        tile(input, kernel) avgpool2d(input, kernel) argmax(input, dim) Max.forward(ctx, *2) Max.backward(ctx, *1)
        max(input, dim) softmax(input, dim) logsoftmax(input, dim) maxpool2d(input, kernel)
        dropout(input, rate, ignore)
    """,
}
# What the course's pages call minitorch.X.
AT_THE_TOP = """
    Context Conv1dFun Conv2dFun FastOps Function Graph MathTest MathTestVariable Module Parameter SGD Scalar
    ScalarFunction ScalarHistory SimpleBackend SimpleOps Tensor TensorBackend TensorData TensorOps UserIndex UserShape
    _tensor_conv1d _tensor_conv2d _tensor_matrix_multiply argmax avgpool2d backpropagate broadcast_index
    central_difference conv1d conv2d datasets derivative_check dropout fast_ops grad_check index_to_position logsoftmax
    max maxpool2d nn operators prod rand shape_broadcast softmax strides_from_shape tensor tile to_index
    topological_sort zeros IndexingError
"""


def calls(text: str) -> list[tuple[str, list[str]]]:
    """Read ``name(argument, argument) name(...)``: each name with its arguments, without ``self``."""
    found = []
    for call in " ".join(text.split()).split(")")[:-1]:
        name, _, arguments = call.strip().partition("(")
        found.append((name, [a.strip() for a in arguments.split(",") if a.strip() not in ("", "self")]))
    return found


def arguments_of(function: Any) -> list[inspect.Parameter]:
    return [p for p in inspect.signature(function).parameters.values() if p.name != "self"]


CALLS = [pytest.param(module, *call, id=f"{module}.{call[0]}") for module in NAMES for call in calls(NAMES[module])]


@pytest.mark.parametrize(("module", "name", "expected"), CALLS)
def test_a_name_is_where_the_course_has_it(module, name, expected):
    found: Any = importlib.import_module(f"minitorch.{module}")
    for part in name.split("."):
        found = getattr(found, part)
    ours = arguments_of(found)
    if expected and expected[-1][1:].isdigit():  # only their number is public
        expected = [expected[0], *(p.name for p in ours[1 : 1 + int(expected[-1][1:])])]
    written = ["*" + p.name if p.kind is p.VAR_POSITIONAL else p.name for p in ours]
    assert written[: len(expected)] == expected
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    assert all(p.default is not p.empty or p.kind in several for p in ours[len(expected) :])


@pytest.mark.parametrize("name", AT_THE_TOP.split())
def test_a_name_is_at_the_top(name):
    assert hasattr(minitorch, name)
    assert name in minitorch.__all__


@pytest.mark.parametrize("name", ["CudaOps", "cuda_ops", "mm_practice", "sum_practice"])
def test_what_stands_on_cuda_is_at_the_top_and_not_in_a_star_import(name):
    """To import it takes as long as the rest of the library."""
    assert hasattr(minitorch, name)
    assert name not in minitorch.__all__


def test_a_submodule_hidden_by_a_function_can_be_imported_from():
    """``minitorch.tensor`` is the function, and ``minitorch.datasets`` the dictionary."""
    assert importlib.import_module("minitorch.tensor").Tensor is minitorch.Tensor
    assert importlib.import_module("minitorch.datasets").Graph is minitorch.Graph


def test_a_backend_has_the_courses_operations():
    names = """
        neg_map sigmoid_map relu_map log_map exp_map id_map inv_map add_zip mul_zip lt_zip eq_zip is_close_zip
        relu_back_zip log_back_zip inv_back_zip add_reduce mul_reduce matrix_multiply
    """
    for backend in (SimpleBackend, FastBackend):
        assert all(callable(getattr(backend, name)) for name in names.split())
        assert backend.cuda is False


def test_a_tensor_moves_itself_to_another_backend():
    """The course's ``_type_``; a computed tensor would take its history along."""
    x = minitorch.tensor([1.0, 2.0], backend=SimpleBackend, requires_grad=True)
    x._type_(FastBackend)
    assert x.backend is x.f is FastBackend
    (x * x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]
    assert x.grad.backend is FastBackend
    with pytest.raises(minitorch.GraphError, match="does not carry gradients"):
        (x * x)._type_(SimpleBackend)
