"""A loss that is no finite number stops the training and names the step and the layer."""

from __future__ import annotations

import numpy as np
import pytest

import minitorch
from minitorch import Module, NaNError, Parameter
from minitorch.training import require_finite

X = minitorch.tensor([[1.0, 2.0], [3.0, 4.0]])


class Scale(Module):
    """Multiplies by a number."""

    def __init__(self, factor):
        super().__init__()
        self.factor = Parameter(minitorch.tensor([factor]))

    def forward(self, x):
        return x * self.factor.value


class Exponential(Module):
    def forward(self, x):
        return x.exp()


class Block(Module):
    def __init__(self, factor):
        super().__init__()
        self.scale = Scale(factor)
        self.power = Exponential()

    def forward(self, x):
        return self.power(self.scale(x))


class Net(Module):
    def __init__(self, first=1.0, second=1.0, last=1.0):
        super().__init__()
        self.first = Block(first)
        self.second = Block(second)
        self.last = Scale(last)

    def forward(self, x):
        return self.last(self.second(self.first(x)))


def number(value):
    return minitorch.tensor([value])


NAN = number(float("nan"))


@pytest.mark.parametrize("value", [0.0, -3.5, 1e300])
def test_a_finite_loss_passes_and_the_model_is_not_run(value):
    class Untouchable(Module):
        def forward(self, x):
            raise AssertionError("the model ran")

    require_finite(number(value), Untouchable(), X, step=1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_the_step_and_the_value_are_named(value):
    with pytest.raises(NaNError, match=f"the loss became {value} at step 17: expected a finite number") as caught:
        require_finite(number(value), Net(), minitorch.tensor([[-9.0, -9.0]]), step=17)
    assert "Try a smaller learning rate" in str(caught.value)


@pytest.mark.parametrize(
    ("net", "layer", "kind", "bad"),
    [
        (Net(first=1e3), "first.power", "Exponential", 4),
        (Net(first=400.0), "first.power", "Exponential", 3),
        (Net(first=1.0, second=20.0), "second.power", "Exponential", 1),
        (Net(first=1.0, second=1.0, last=1e308), "last", "Scale", 4),
        (Net(first=1e308, second=1.0), "first.scale", "Scale", 3),
    ],
)
def test_the_layer_in_which_it_was_born_is_named(net, layer, kind, bad):
    """Infinities count, and what they turn into later does not."""
    loss = net(X).sum()
    assert not np.isfinite(loss.item())
    with pytest.raises(NaNError) as caught:
        require_finite(loss, net, X, step=3)
    said = f"born in {layer} ({kind}), whose output of shape (2, 2) holds {bad} values that are not finite"
    assert said in str(caught.value)


def test_a_parameter_that_overshot_is_named_before_any_layer():
    net = Net()
    net.second.scale.factor.update(number(float("inf")))
    with pytest.raises(NaNError, match=r"The parameter second\.scale\.factor holds 1 values .*overshot"):
        require_finite(NAN, net, X, step=1)


def test_an_input_is_named():
    x = minitorch.tensor([[1.0, float("nan")], [float("inf"), 2.0]])
    with pytest.raises(NaNError, match="The model's input holds 2 values that are not finite"):
        require_finite(NAN, Net(), x, step=1)


def test_a_loss_that_is_wrong_all_by_itself():
    with pytest.raises(NaNError, match="Every layer's output is finite: it was born in the loss itself"):
        require_finite(NAN, Net(), minitorch.tensor([[-9.0, -9.0]]), step=1)


def test_a_model_without_layers_inside_is_called_the_model():
    with pytest.raises(NaNError, match=r"born in the model \(Exponential\)"):
        require_finite(NAN, Exponential(), minitorch.tensor([1e4]), step=1)


def test_after_the_optimisers_step_the_model_gets_back_what_the_loss_was_computed_with():
    """Every parameter is NaN by then, and says nothing of where it came from."""
    net = Net(second=20.0)
    before = [parameter.value for parameter in net.parameters()]
    for parameter in net.parameters():
        parameter.update(NAN)
    with pytest.raises(NaNError, match=r"the loss became nan at step 4: .*born in second\.power"):
        require_finite(float("nan"), net, X, step=4, before=before)
    assert all(parameter.value is old for parameter, old in zip(net.parameters(), before, strict=True))


def test_a_finite_loss_leaves_the_optimisers_step_as_it_is():
    net = Net()
    before = [parameter.value for parameter in net.parameters()]
    for parameter in net.parameters():
        parameter.update(number(3.0))
    require_finite(0.5, net, X, step=1, before=before)
    assert [parameter.value.item() for parameter in net.parameters()] == [3.0] * len(before)


def test_the_search_leaves_no_trace():
    net = Net(first=1e3)
    before = {name: dict(module.__dict__) for name, module in net.named_modules()}
    with pytest.raises(NaNError):
        require_finite(net(X).sum(), net, X, step=1)
    assert {name: dict(module.__dict__) for name, module in net.named_modules()} == before
    assert minitorch.is_grad_enabled()
    assert all(p.value.grad is None for p in net.parameters())


def test_the_search_leaves_no_trace_when_the_model_itself_fails():
    class Broken(Net):
        def forward(self, x):
            raise RuntimeError("no")

    net = Broken()
    with pytest.raises(RuntimeError, match="no"):
        require_finite(NAN, net, X, step=1)
    assert all("forward" not in module.__dict__ for _, module in net.named_modules())
