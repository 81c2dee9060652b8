"""Random networks: layers that take and give tensors of three kinds, so that any of them may follow each other.

Few sizes are used, and few weights: networks that differ then share many kernels, and a new one costs a fraction of a
second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

import minitorch
from minitorch import convolution, layers, losses, pooling
from minitorch import tensor_functions as tf
from minitorch.fast_ops import FastBackend
from minitorch.tensor import Tensor

from ...cases import Array, contiguous, make, normal, permuted

# What a layer takes and gives, behind the batch.
KINDS: dict[str, tuple[int, ...]] = {"rows": (4,), "lines": (2, 4), "images": (2, 4, 4)}

BATCHES = (1, 5, 16)

WORDS = 5  # of the tables that rows are taken from


@dataclass(frozen=True)
class Given:
    """What a step receives beside its input.

    Attributes:
        labels: a class for each example, ``batch`` integers below 4.
        number: a Python number, another one in each step.
    """

    labels: Tensor
    number: float


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        name: of the layer.
        takes: the kind of its input.
        gives: the kind of its output.
        weights: the shapes of its weights.
        call: a function of the input, of what the step was given, and of the weights.
    """

    name: str
    takes: str
    gives: str
    weights: tuple[tuple[int, ...], ...]
    call: Callable[..., Tensor]


LAYERS: list[Layer] = []


def layer(
    takes: str, gives: str, *weights: tuple[int, ...]
) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Add a function to the table of layers; ``any`` is every kind, and the output is of the same."""

    def add(call: Callable[..., Tensor]) -> Callable[..., Tensor]:
        kinds = KINDS if takes == "any" else [takes]
        LAYERS.extend(Layer(call.__name__, kind, kind if gives == "any" else gives, weights, call) for kind in kinds)
        return call

    return add


# --- layers of every kind --------------------------------------------------------------------------------------------


def apart(x: Tensor) -> Tensor:
    """Add other numbers everywhere: nothing is equal, or zero, but for rounding, where a gradient has a jump."""
    return x + make(np.sin(np.arange(x.size) + 0.3).reshape(x.shape), FastBackend, x.dtype)


@layer("any", "any")
def relu(x: Tensor, given: Given) -> Tensor:
    return apart(x).relu()


@layer("any", "any")
def sigmoid(x: Tensor, given: Given) -> Tensor:
    return x.sigmoid()


@layer("any", "any")
def tanh(x: Tensor, given: Given) -> Tensor:
    return layers.Tanh()(x)


@layer("any", "any")
def gelu(x: Tensor, given: Given) -> Tensor:
    return layers.GELU()(x)


@layer("any", "any")
def leaky_relu(x: Tensor, given: Given) -> Tensor:
    return layers.LeakyReLU(0.1)(apart(x))


@layer("any", "any")
def exponential(x: Tensor, given: Given) -> Tensor:
    return (-x.sigmoid()).exp()


@layer("any", "any")
def logarithm(x: Tensor, given: Given) -> Tensor:
    return (x * x + 1.0).log()


@layer("any", "any")
def root_of_inverse(x: Tensor, given: Given) -> Tensor:
    return tf.Sqrt.apply(tf.Inv.apply(x * x + 1.0))


@layer("any", "any")
def product_with_number(x: Tensor, given: Given) -> Tensor:
    return x * given.number - 0.5


@layer("any", "any", (4,))
def quotient(x: Tensor, given: Given, weight: Tensor) -> Tensor:
    return x / (weight.sigmoid() + 1.0)


@layer("any", "any", (4,))
def bias(x: Tensor, given: Given, bias: Tensor) -> Tensor:
    return x + bias


@layer("any", "any")
def mask(x: Tensor, given: Given) -> Tensor:
    return x * (apart(x) < 0.5)


@layer("any", "any")
def comparisons(x: Tensor, given: Given) -> Tensor:
    positive = apart(x) > 0.0
    return x + (positive == (x.sigmoid() < 2.0)) * tf.IsClose.apply(positive, positive * 1.001)


@layer("any", "any")
def everything_is_true(x: Tensor, given: Given) -> Tensor:
    return x * ((apart(x) < 1.5).all(x.dims - 1) + 1.0)


@layer("any", "any")
def dropout(x: Tensor, given: Given) -> Tensor:
    return minitorch.dropout(x, 0.3)


@layer("any", "any")
def noise(x: Tensor, given: Given) -> Tensor:
    return x + minitorch.randn_like(x) * given.number


@layer("any", "any")
def masked(x: Tensor, given: Given) -> Tensor:
    return x * (minitorch.rand_like(x) < 0.7) * minitorch.rand(x.shape[1:], FastBackend, dtype=x.dtype)


@layer("any", "any")
def join(x: Tensor, given: Given) -> Tensor:
    dim = x.dims - 1
    return tf.Cat.apply(tf.Narrow.apply(x, dim, 1, 4), tf.Narrow.apply(x, dim, 0, 1).sigmoid(), dim)


@layer("any", "any")
def chosen(x: Tensor, given: Given) -> Tensor:
    return minitorch.where(apart(x) > 0.0, x, x * 0.5)


@layer("any", "any")
def chosen_by_label(x: Tensor, given: Given) -> Tensor:
    of_example = ((given.labels == 1) | ~(given.labels < 3)).view(x.shape[0], *[1] * (x.dims - 1))
    return minitorch.where(of_example & (apart(x) > 0.0), x, x * 0.5)


@layer("any", "any")
def clipped(x: Tensor, given: Given) -> Tensor:
    return apart(x).clip(-0.8, 0.9) + x * 0.1


@layer("any", "any")
def power(x: Tensor, given: Given) -> Tensor:
    return (x.sigmoid() + 0.5) ** (x.sigmoid() * given.number)


@layer("any", "any")
def sliced(x: Tensor, given: Given) -> Tensor:
    return x + x[..., ::2].sum(x.dims - 1)


@layer("any", "any")
def picked(x: Tensor, given: Given) -> Tensor:
    last = minitorch.tensor(np.array([3, 0, 0, 2]), backend=FastBackend)
    return x - minitorch.unsqueeze(x[..., 1], x.dims - 1) + x[..., last]


@layer("any", "any")
def softmax(x: Tensor, given: Given) -> Tensor:
    return minitorch.softmax(x, x.dims - 1)


@layer("any", "any")
def logsoftmax(x: Tensor, given: Given) -> Tensor:
    return minitorch.logsoftmax(x, 1)


@layer("any", "any")
def maximum(x: Tensor, given: Given) -> Tensor:
    return x - minitorch.max(apart(x), x.dims - 1)


# --- over the batch --------------------------------------------------------------------------------------------------


@layer("any", "any")
def normalisation(x: Tensor, given: Given) -> Tensor:
    centred = x - x.mean(0)
    return centred / tf.Sqrt.apply((centred * centred).mean(0) + 0.1)


@layer("any", "any")
def softmax_over_the_batch(x: Tensor, given: Given) -> Tensor:
    return minitorch.softmax(x, 0)


@layer("any", "any")
def maximum_over_the_batch(x: Tensor, given: Given) -> Tensor:
    return x - minitorch.max(apart(x), 0)


@layer("any", "any")
def first_example(x: Tensor, given: Given) -> Tensor:
    return x + tf.Narrow.apply(x, 0, 0, 1)


@layer("any", "any")
def regrouped(x: Tensor, given: Given) -> Tensor:
    """Read the elements in another order, that mixes the examples."""
    halves = x.contiguous().view(2, x.size // 2)
    return halves.permute(1, 0).contiguous().view(*x.shape)


# --- rows ------------------------------------------------------------------------------------------------------------


@layer("rows", "rows", (4, 4), (4,))
def linear(x: Tensor, given: Given, weight: Tensor, bias: Tensor) -> Tensor:
    return layers.linear(x, weight, bias)


@layer("rows", "rows", (4, 4))
def residual(x: Tensor, given: Given, weight: Tensor) -> Tensor:
    return x + apart(x @ weight).relu()


@layer("rows", "rows", (WORDS, 4))
def embedding(x: Tensor, given: Given, weight: Tensor) -> Tensor:
    return x + layers.embedding(given.labels, weight)


@layer("rows", "lines", (4, 8))
def to_lines(x: Tensor, given: Given, weight: Tensor) -> Tensor:
    return (x @ weight).view(x.shape[0], 2, 4)


@layer("rows", "images", (4, 32))
def to_images(x: Tensor, given: Given, weight: Tensor) -> Tensor:
    return (x @ weight).view(x.shape[0], 2, 4, 4)


# --- lines: batch x channel x width ----------------------------------------------------------------------------------


@layer("lines", "lines", (2, 2, 3))
def course_conv1d(x: Tensor, given: Given, weight: Tensor) -> Tensor:
    return minitorch.conv1d(x, weight)


@layer("lines", "lines", (2, 2, 3), (2,))
def conv1d(x: Tensor, given: Given, weight: Tensor, bias: Tensor) -> Tensor:
    return convolution.conv1d(x, weight, bias, padding="same")


@layer("lines", "lines", (2, 2, 3))
def conv1d_dilated(x: Tensor, given: Given, weight: Tensor) -> Tensor:
    return convolution.conv1d(x, weight, padding=2, dilation=2)


@layer("lines", "lines", (2, 1, 3))
def conv1d_in_groups(x: Tensor, given: Given, weight: Tensor) -> Tensor:
    return convolution.conv1d(x, weight, padding=1, groups=2)


@layer("lines", "lines", (2, 2, 3))
def conv1d_strided(x: Tensor, given: Given, weight: Tensor) -> Tensor:
    half = convolution.conv1d(x, weight, padding=1, stride=2)
    return tf.Cat.apply(half, half * given.number, 2)


@layer("lines", "lines")
def max_pool1d(x: Tensor, given: Given) -> Tensor:
    return pooling.max_pool1d(apart(x), 3, stride=1, padding=1)


@layer("lines", "lines")
def attention(x: Tensor, given: Given) -> Tensor:
    return minitorch.softmax(x @ x.permute(0, 2, 1), 2) @ x


@layer("lines", "lines", (4, 4))
def linear_of_lines(x: Tensor, given: Given, weight: Tensor) -> Tensor:
    return layers.linear(x, weight)


@layer("lines", "rows")
def mean_of_lines(x: Tensor, given: Given) -> Tensor:
    return x.mean(1).view(x.shape[0], 4)


@layer("lines", "rows")
def maximum_over_time(x: Tensor, given: Given) -> Tensor:
    best = minitorch.max(apart(x), 2).view(x.shape[0], 2)
    return tf.Cat.apply(best, best.sigmoid(), 1)


# --- images: batch x channel x height x width ------------------------------------------------------------------------


@layer("images", "images", (2, 2, 3, 3))
def course_conv2d(x: Tensor, given: Given, weight: Tensor) -> Tensor:
    return minitorch.conv2d(x, weight)


@layer("images", "images", (2, 2, 3, 3), (2,))
def conv2d(x: Tensor, given: Given, weight: Tensor, bias: Tensor) -> Tensor:
    return convolution.conv2d(x, weight, bias, padding="same")


@layer("images", "images", (2, 2, 3, 3))
def conv2d_dilated(x: Tensor, given: Given, weight: Tensor) -> Tensor:
    return convolution.conv2d(x, weight, padding=(2, 1), dilation=(2, 1))


@layer("images", "images", (2, 1, 3, 3))
def conv2d_in_groups(x: Tensor, given: Given, weight: Tensor) -> Tensor:
    return convolution.conv2d(x, weight, padding=1, groups=2)


@layer("images", "rows", (1, 2, 3, 3))
def conv2d_strided(x: Tensor, given: Given, weight: Tensor) -> Tensor:
    return convolution.conv2d(x, weight, stride=2, padding=1).view(x.shape[0], 4)


@layer("images", "lines", (2, 2, 3, 3), (2, 1, 1))
def convolution_and_pooling(x: Tensor, given: Given, weight: Tensor, bias: Tensor) -> Tensor:
    maps = apart(minitorch.conv2d(x, weight) + bias).relu()
    return minitorch.maxpool2d(maps, (2, 2)).view(x.shape[0], 2, 4)


@layer("images", "images")
def max_pool2d(x: Tensor, given: Given) -> Tensor:
    return pooling.max_pool2d(apart(x), 3, stride=1, padding=1)


@layer("images", "lines")
def average_pooling(x: Tensor, given: Given) -> Tensor:
    return minitorch.avgpool2d(x, (2, 2)).view(x.shape[0], 2, 4)


@layer("images", "images")
def transposed(x: Tensor, given: Given) -> Tensor:
    return x.permute(0, 1, 3, 2)


@layer("images", "rows")
def mean_of_images(x: Tensor, given: Given) -> Tensor:
    return x.mean(2).mean(1).view(x.shape[0], 4)


# --- losses ----------------------------------------------------------------------------------------------------------


def squares(x: Tensor, given: Given) -> Tensor:
    return (x * x).mean()


def weighted_sum(x: Tensor, given: Given) -> Tensor:
    return (x.sigmoid() * apart(x.detach())).sum() * given.number


def likelihood(x: Tensor, given: Given) -> Tensor:
    """Classify rows; of lines and images, the last."""
    scores = x.contiguous().view(x.size // 4, 4)
    return losses.cross_entropy(tf.Narrow.apply(scores, 0, 0, x.shape[0]), given.labels)


def agreement(x: Tensor, given: Given) -> Tensor:
    return losses.binary_cross_entropy_with_logits(x, apart(x.detach()).sigmoid())


LOSSES: dict[str, Callable[[Tensor, Given], Tensor]] = {
    f.__name__: f for f in (squares, weighted_sum, likelihood, agreement)
}


# --- networks --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """A network and how it is trained.

    Attributes:
        layers: of the network, each with the number of its weights: layers whose weights have the same number and
            shape share them.
        loss: what the step makes smaller.
        frozen: the numbers of weights that are not trained.
        batch: the examples of a step.
        momentum: of its optimiser, SGD.
        permuted: whether the input's dimensions lie in memory in the opposite order.
        to_input: whether the input wants a gradient.
    """

    layers: list[tuple[Layer, int]]
    loss: str = "squares"
    frozen: frozenset[int] = field(default_factory=frozenset)
    batch: int = 5
    momentum: float = 0.0
    permuted: bool = False
    to_input: bool = True

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of what the last layer gives."""
        return (self.batch, *KINDS[self.layers[-1][0].gives])

    def __repr__(self) -> str:
        names = ", ".join(f"{layer.name} of {layer.takes} ({number})" for layer, number in self.layers)
        rest = {name: value for name, value in vars(self).items() if name != "layers"}
        return f"Network({names}; {rest})"

    def parameters(self, rng: np.random.Generator) -> dict[Any, minitorch.Parameter]:
        """Draw its weights, by number and shape."""
        made: dict[Any, minitorch.Parameter] = {}
        for layer, number in self.layers:
            for shape in layer.weights:
                if (number, shape) not in made:
                    made[number, shape] = minitorch.Parameter(make(rng.uniform(-0.7, 0.7, shape), FastBackend))
                    made[number, shape].value.requires_grad_(number not in self.frozen)
        made["scale"] = minitorch.Parameter(make(rng.uniform(0.5, 1.0, 4), FastBackend))  # trained in any case
        return made

    def train(self, steps: int, compiled: bool = False) -> dict[str, Array | None]:
        """Train for some steps, and give every number that can be seen from outside."""
        minitorch.manual_seed(3)
        rng = np.random.default_rng(4)
        parameters = self.parameters(rng)
        optimizer = minitorch.SGD(list(parameters.values()), lr=0.1, momentum=self.momentum)

        def step(x: Tensor, labels: Tensor, number: float) -> tuple[Tensor, Tensor]:
            optimizer.zero_grad()
            out = x
            given = Given(labels, number)
            for layer, place in self.layers:
                out = layer.call(out, given, *(parameters[place, shape].value for shape in layer.weights))
            loss = LOSSES[self.loss](out * parameters["scale"].value, given)
            loss.backward()
            optimizer.step()
            return loss, out

        run = minitorch.compile(step) if compiled else step
        seen: dict[str, Array | None] = {}
        for k in range(steps):
            x = self.input(rng)
            labels = make(rng.integers(0, 4, self.batch), FastBackend, "int64")
            loss, out = run(x, labels, 0.5 + k)
            seen |= {f"loss {k}": loss.to_numpy().copy(), f"output {k}": out.to_numpy().copy()}
            seen[f"gradient of the input {k}"] = _copied(x.grad)
        for name, parameter in parameters.items():
            seen[f"weight {name}"] = parameter.value.to_numpy().copy()
            seen[f"gradient of weight {name}"] = _copied(parameter.value.grad)
        return seen

    def input(self, rng: np.random.Generator) -> Tensor:
        """Draw a batch."""
        array = normal(rng, (self.batch, *KINDS[self.layers[0][0].takes]))
        layout = permuted if self.permuted else contiguous
        return make(array, FastBackend, layout=layout, requires_grad=self.to_input)


def _copied(x: Tensor | None) -> Array | None:
    return None if x is None else x.to_numpy().copy()


@st.composite
def chains(draw: Any, longest: int) -> list[tuple[Layer, int]]:
    """Draw layers that fit each other, and the numbers of their weights."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    found = []
    for _ in range(draw(st.integers(1, longest))):
        layer = draw(st.sampled_from([layer for layer in LAYERS if layer.takes == kind]))
        found.append((layer, draw(st.integers(0, 1))))
        kind = layer.gives
    return found


def networks(longest: int = 5) -> st.SearchStrategy[Network]:
    """Draw networks."""
    return st.builds(
        Network,
        layers=chains(longest),
        loss=st.sampled_from(sorted(LOSSES)),
        frozen=st.sampled_from([frozenset(), frozenset([0]), frozenset([0, 1])]),
        batch=st.sampled_from(BATCHES),
        momentum=st.sampled_from([0.0, 0.9]),
        permuted=st.booleans(),
        to_input=st.booleans(),
    )
