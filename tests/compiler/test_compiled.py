"""What a user holds of a compiled step: its text, its graphs, its profile; and methods as steps."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import minitorch
from minitorch import layers
from minitorch.errors import CompileError
from minitorch.module import Parameter
from minitorch.optim import Optimizer

BACKEND = minitorch.FastBackend


def vector(*values: float) -> minitorch.Tensor:
    return minitorch.tensor(values, backend=BACKEND)


class Scaled:
    def __init__(self, factor: float) -> None:
        self.factor = vector(factor)

    @minitorch.compile
    def apply(self, x: minitorch.Tensor) -> minitorch.Tensor:
        """Multiply."""
        return x * self.factor


def test_a_method_is_compiled_for_each_object() -> None:
    double, triple = Scaled(2.0), Scaled(3.0)
    x = vector(1.0, 2.0)
    for _ in range(2):
        assert double.apply(x).tolist() == [2.0, 4.0]
        assert triple.apply(x).tolist() == [3.0, 6.0]
    assert double.apply is double.apply
    assert double.apply is not triple.apply


class Shifted(Scaled):
    @minitorch.compile
    def apply(self, x: minitorch.Tensor) -> minitorch.Tensor:
        return super().apply(x) + 1.0


def test_a_subclass_overrides_a_compiled_method_and_calls_it() -> None:
    plain, shifted, x = Scaled(2.0), Shifted(2.0), vector(1.0, 2.0)
    for _ in range(2):
        assert shifted.apply(x).tolist() == [3.0, 5.0]
        assert plain.apply(x).tolist() == [2.0, 4.0]
        assert super(Shifted, shifted).apply(x).tolist() == [2.0, 4.0]
    assert len(shifted.apply.traces) == 1


def test_a_compiled_method_is_put_into_a_class_later_and_replaced() -> None:
    class Late:
        factor = vector(2.0)

    Late.apply = minitorch.compile(lambda self, x: x * self.factor)  # type: ignore[attr-defined]
    late: Any = Late()
    assert late.apply(vector(1.0, 2.0)).tolist() == [2.0, 4.0]
    Late.apply = minitorch.compile(lambda self, x: x + self.factor)  # type: ignore[attr-defined]
    assert late.apply(vector(1.0, 2.0)).tolist() == [3.0, 4.0]
    late.apply = minitorch.compile(lambda x: x - 1.0)  # an attribute of the object, as of any other
    assert late.apply(vector(1.0, 2.0)).tolist() == [0.0, 1.0]
    assert copy.deepcopy(late).apply(vector(1.0, 2.0)).tolist() == [0.0, 1.0]


COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda value: pickle.loads(pickle.dumps(value))}
copies = pytest.mark.parametrize("copied", COPIES.values(), ids=list(COPIES))


class Times(minitorch.Module):
    """A module that nothing is trained in: tensors are not copied by Python, and neither are parameters."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: minitorch.Tensor) -> minitorch.Tensor:
        return x * self.factor

    @minitorch.compile
    def apply_to(self, x: minitorch.Tensor) -> minitorch.Tensor:
        return self(x)


@copies
def test_a_copy_of_an_object_has_programs_of_its_own(copied: Callable[[Any], Any]) -> None:
    double, x = Times(2.0), vector(1.0, 2.0)
    assert double.apply_to(x).tolist() == [2.0, 4.0]
    other = copied(double)
    other.factor = 3.0
    for _ in range(2):
        assert other.apply_to(x).tolist() == [3.0, 6.0]
        assert double.apply_to(x).tolist() == [2.0, 4.0]
    assert other.apply_to is other.apply_to
    assert [len(each.apply_to.traces) for each in (double, other)] == [1, 1]


@pytest.mark.parametrize("copied", [COPIES["deepcopy"], COPIES["pickle"]], ids=["deepcopy", "pickle"])
def test_a_copy_of_a_module_whose_forward_is_compiled_computes_by_itself(copied: Callable[[Any], Any]) -> None:
    module: Any = Times(2.0)
    module.forward = minitorch.compile(module.forward)
    x = vector(1.0)
    assert module(x).item() == 2.0
    other = copied(module)
    other.factor = 3.0
    assert (other(x).item(), module(x).item()) == (3.0, 2.0)
    whole = minitorch.compile(module)
    assert copied(whole)(x).item() == whole(x).item() == 2.0
    assert copied(whole).fn is not module


@minitorch.compile
def doubled(x: minitorch.Tensor) -> minitorch.Tensor:
    return x * 2.0


@copies
def test_a_compiled_function_is_copied_as_a_function_is(copied: Callable[[Any], Any]) -> None:
    assert copied(doubled) is doubled
    assert copied(Times(2.0).apply_to)(vector(1.0)).tolist() == [2.0]


def test_a_compiled_function_without_a_name_is_copied() -> None:
    assert copy.deepcopy(minitorch.compile(lambda x: x * 3.0))(vector(1.0)).tolist() == [3.0]


def test_text_graphs_and_profile_belong_to_the_program_that_ran_last() -> None:
    step = minitorch.compile(lambda x, y: ((x + y) * y).sum())
    with pytest.raises(CompileError, match="has not run yet"):
        _ = step.source
    assert step(vector(1.0, 2.0), vector(3.0, 4.0)).item() == 36.0
    assert list(step.passes) == ["trace", "simplify", "fuse", "lay out", "split", "kernels", "memory"]
    assert all(str(made) and len(made) >= 0 for made in step.passes.values())
    assert step.passes["split"].graph is step.graph
    assert step.passes["kernels"].schedule is step.passes["split"]
    assert step.passes["memory"] is step.traces[0].machine.program.memory
    assert "float64 2" in str(step.graph)
    compile(step.source, "program", "exec")
    step(vector(1.0, 2.0, 3.0), vector(3.0, 4.0, 5.0))
    assert "float64 3" in str(step.graph)

    profile = step.profile(vector(1.0, 2.0, 3.0), vector(3.0, 4.0, 5.0), rounds=2)
    assert [row.flops for row in profile.rows] == [9]
    assert profile.seconds == sum(row.seconds for row in profile.rows) > 0
    assert "GFLOP/s" in str(profile)


def test_a_profile_sets_arithmetic_and_memory_beside_what_a_core_can_do() -> None:
    multiply = minitorch.compile(lambda a: a @ a)
    add = minitorch.compile(lambda a: a + 1.0)
    shares = {}
    for dtype in ("float32", "float64"):
        a = minitorch.tensor(np.ones((512, 512), dtype), backend=BACKEND)
        for name, step in (("multiply", multiply), ("add", add)):
            profile = step.profile(a, rounds=20)
            shares[name, dtype] = profile.share(profile.rows[0])
    # A large product keeps the arithmetic busy in either type; a sum of two hardly, but it does its share of copying.
    assert all(share > 0.05 for share in shares.values()), shares
    assert all(share < 1.5 for (name, _), share in shares.items() if name == "multiply"), shares


def check_that_it_learns(
    count: int, optimizer_of: Callable[[Iterable[Parameter]], Optimizer], values: npt.NDArray[np.float64]
) -> None:
    """Train a chain of layers for three steps."""
    minitorch.manual_seed(3)
    model = layers.Sequential(*[layers.Linear(3, 3, dtype="float64", backend=BACKEND) for _ in range(count)])
    optimizer = optimizer_of(model.parameters())

    @minitorch.compile
    def step(x: minitorch.Tensor) -> minitorch.Tensor:
        optimizer.zero_grad()
        loss = (model(x) * model(x)).mean()
        loss.backward()
        optimizer.step()
        return loss

    x = minitorch.tensor(values, backend=BACKEND)
    losses = [step(x).item() for _ in range(3)]
    assert losses[0] > losses[1] > losses[2]


def test_many_parameters_share_a_loop_without_too_many_arguments() -> None:
    # Python hands on more than thirty arguments in a way that Numba does not know.
    check_that_it_learns(5, minitorch.Adam, np.ones((4, 3)))


def test_many_parameters_of_one_shape_and_many_partial_sums() -> None:
    momentum = partial(minitorch.SGD, lr=0.1, momentum=0.9)
    check_that_it_learns(9, momentum, np.random.default_rng(0).normal(size=(100, 3)))


@pytest.mark.parametrize(("row", "label"), [(0, 2), (0, -1), (1, 7), (1, -1), (1, -2), (0, 3)])
def test_a_label_that_is_no_class_is_named(row: int, label: int) -> None:
    """Also where another example's numbers stand at the place that it would be counted to."""
    step = minitorch.compile(lambda x, y: minitorch.losses.nll_loss(x, y))
    x = minitorch.tensor(np.log([[0.25, 0.75], [0.5, 0.5]]), backend=BACKEND)
    labels = np.array([1, 0])
    right = minitorch.tensor(labels, backend=BACKEND)
    labels[row] = label
    wrong = minitorch.tensor(labels, backend=BACKEND)
    assert step(x, right).item() == pytest.approx(-np.log(0.75 * 0.5) / 2)
    with pytest.raises(minitorch.IndexingError, match="out of range"):
        step(x, wrong)
    assert step(x, right).item() == pytest.approx(-np.log(0.75 * 0.5) / 2)


def test_the_value_from_before_a_step_stays_what_it_was() -> None:
    weight = minitorch.Parameter(vector(1.0, 2.0))
    optimizer = minitorch.SGD([weight], lr=0.5)

    @minitorch.compile
    def step(x: minitorch.Tensor) -> None:
        optimizer.zero_grad()
        (weight.value * x).sum().backward()
        optimizer.step()

    held, views = [], []
    for _ in range(5):
        held.append(weight.value)
        views.append(weight.value.to_numpy())
        step(vector(1.0, 1.0))
    # Two tensors take turns as the value, but never one that somebody holds.
    assert [t.tolist() for t in held] == [[1.0 - 0.5 * i, 2.0 - 0.5 * i] for i in range(5)]
    assert [v.tolist() for v in views] == [[1.0 - 0.5 * i, 2.0 - 0.5 * i] for i in range(5)]


def test_two_convolutions_of_one_input_whose_gradients_are_constant() -> None:
    minitorch.manual_seed(2)
    convolutions = [layers.Conv1d(4, 3, width, dtype="float64", backend=BACKEND) for width in (2, 4)]
    optimizer = minitorch.SGD([p for convolution in convolutions for p in convolution.parameters()])
    x = minitorch.tensor(np.random.default_rng(0).normal(size=(6, 4, 9)), backend=BACKEND)

    def step(x: minitorch.Tensor) -> list[minitorch.Tensor]:
        optimizer.zero_grad()
        sum(convolution(x).sum() for convolution in convolutions).backward()  # type: ignore[union-attr]
        return [p.value.grad for convolution in convolutions for p in convolution.parameters()]  # type: ignore[misc]

    wanted = [gradient.to_numpy() for gradient in step(x)]
    for got, gradient in zip(minitorch.compile(step)(x), wanted, strict=True):
        np.testing.assert_allclose(got.to_numpy(), gradient, rtol=1e-12)


INTEGER_FUNCTIONS = {
    "pixels": lambda x: x.to("float32") / 255,
    "sum": lambda x: (x + x).sum(1),
    "compare": lambda x: x < 3,
    "argmax": lambda x: x.argmax(1),
    "slice": lambda x: x[:, 1:] * x[:, :1],
}


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"])
@pytest.mark.parametrize("function", INTEGER_FUNCTIONS.values(), ids=list(INTEGER_FUNCTIONS))
def test_integers_of_every_width(function, dtype):
    x = minitorch.tensor(np.arange(35, dtype=dtype).reshape(5, 7), backend=BACKEND)
    expected, found = function(x), minitorch.compile(function)(x)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())
