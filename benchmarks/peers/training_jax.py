"""JAX's steps for benchmarks/training.py: loss, gradients and update in one jitted function.

The variant ``channels_last`` is tuned: whether images and word vectors have their channels as the last axis.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.worker import Request, Step, serve
from benchmarks.workloads import DROPOUT, MLP, WIDTHS, Workload


def limit_threads(count: int) -> None:
    """Keep to so many cores: XLA makes a thread for each one that the process may use, and has no setting for it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


limit_threads(Request.from_json(sys.argv[1]).threads if __name__ == "__main__" else 2)

import jax  # noqa: E402  (counts the cores)
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402

Array = jax.Array
Parameters = dict[str, Array]

jax.config.update("jax_platforms", "cpu")
# Keep every program, however quickly it was compiled.
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


# --- the networks --------------------------------------------------------------------------------------------


def linear(p: Parameters, name: str, x: Array) -> Array:
    """Multiply and add: PyTorch's layout, ``out x in``."""
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def convolution(p: Parameters, name: str, x: Array, padding: Any, channels_last: bool) -> Array:
    """Convolve one or two dimensions and add."""
    weight, bias = p[f"{name}.weight"], p[f"{name}.bias"]
    space = "HW"[: weight.ndim - 2]
    images = f"N{space}C" if channels_last else f"NC{space}"
    layouts = (images, f"OI{space}", images)
    out = lax.conv_general_dilated(x, weight, (1,) * len(space), padding, dimension_numbers=layouts)
    return out + (bias if channels_last else bias.reshape(-1, *(1,) * len(space)))


def max_pool(x: Array, size: int, channels_last: bool) -> Array:
    """Take the maximum of each ``size x size`` window."""
    window = (1, size, size, 1) if channels_last else (1, 1, size, size)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")


def flatten(x: Array, channels_last: bool) -> Array:
    """Give ``batch x features``, in the order that PyTorch has them in."""
    return (x.transpose(0, 3, 1, 2) if channels_last else x).reshape(len(x), -1)


def dropout(x: Array, key: Array | None) -> Array:
    """Drop while training."""
    if key is None:
        return x
    return jnp.where(jax.random.bernoulli(key, 1.0 - DROPOUT, x.shape), x / (1.0 - DROPOUT), 0.0)


BELOW = ((0, 2), (0, 2))


def lenet(p: Parameters, x: Array, key: Array | None, channels_last: bool, padding: Any = BELOW) -> Array:
    """The network of project/run_mnist_multiclass.py, with its zeros at the right and the bottom."""
    mid = jax.nn.relu(convolution(p, "conv1", x, padding, channels_last))
    out = jax.nn.relu(convolution(p, "conv2", mid, padding, channels_last))
    pooled = flatten(max_pool(out, 4, channels_last), channels_last)
    hidden = dropout(jax.nn.relu(linear(p, "hidden", pooled)), key)
    return jax.nn.log_softmax(linear(p, "classify", hidden))


def kim(p: Parameters, x: Array, key: Array | None, channels_last: bool) -> Array:
    """Convolutions of several widths over the words, the maximum over time, dropout, a linear layer."""
    features = []
    for width in WIDTHS:
        maps = jax.nn.relu(convolution(p, f"conv{width}", x, ((0, width - 1),), channels_last))
        features.append(maps.max(1 if channels_last else 2))
    return linear(p, "classify", dropout(jnp.concatenate(features, 1), key))[:, 0]


def mlp(p: Parameters, x: Array, key: Array | None, channels_last: bool) -> Array:
    """Linear layers with ReLU between them."""
    last = len(MLP) - 1
    for k in range(1, last):
        x = jax.nn.relu(linear(p, f"layer{k}", x))
    return jax.nn.log_softmax(linear(p, f"layer{last}", x))


def cnn(p: Parameters, x: Array, key: Array | None, channels_last: bool) -> Array:
    """Two convolutions with 2x2 pooling, and two linear layers."""
    for name in ("conv1", "conv2"):
        x = max_pool(jax.nn.relu(convolution(p, name, x, "SAME", channels_last)), 2, channels_last)
    hidden = jax.nn.relu(linear(p, "hidden", flatten(x, channels_last)))
    return jax.nn.log_softmax(linear(p, "classify", hidden))


NETWORKS: dict[str, Callable[..., Array]] = {
    "lenet": lenet,
    "odd": partial(lenet, padding="SAME"),
    "kim": kim,
    "mlp": mlp,
    "cnn": cnn,
}


# --- losses and updates --------------------------------------------------------------------------------------


def likelihood(log_probabilities: Array, y: Array) -> Array:
    """The mean negative log-likelihood of classes."""
    return -jnp.take_along_axis(log_probabilities, y[:, None], 1).mean()


def likelihood_of_yes(logits: Array, y: Array) -> Array:
    """The mean negative log-likelihood of 0 or 1."""
    return (jax.nn.softplus(logits) - y * logits).mean()


def sgd(p: Parameters, gradients: Parameters, state: Any, lr: float) -> tuple[Parameters, Any]:
    """Go down the gradient."""
    return jax.tree.map(lambda value, gradient: value - lr * gradient, p, gradients), state


def adam(p: Parameters, gradients: Parameters, state: Any, lr: float) -> tuple[Parameters, Any]:
    """Adam with PyTorch's constants."""
    step, mean, square = state
    step = step + 1
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradients)
    square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, square, gradients)
    rate, root = lr / (1 - 0.9**step), jnp.sqrt(1 - 0.999**step)
    p = jax.tree.map(lambda v, m, s: v - rate * m / (jnp.sqrt(s) / root + 1e-8), p, mean, square)
    return p, (step, mean, square)


# --- the step ------------------------------------------------------------------------------------------------


def build(request: Request) -> Step:
    """Make a step."""
    workload = request.workload
    channels_last = bool(request.variant.get("channels_last"))
    jax.config.update("jax_enable_x64", request.dtype == "float64")
    parameters = {name: jnp.asarray(array) for name, array in workload.weights(request.dtype).items()}
    data = [(device_input(x, channels_last), jnp.asarray(y)) for x, y in workload.batches(request.dtype)]
    if not workload.training:
        infer = jax.jit(lambda p, x: NETWORKS[workload.network](p, x, None, channels_last))
        # A slice of JAX's own would be one more operation to dispatch.
        return lambda number: float(np.asarray(infer(parameters, data[number % len(data)][0]))[0, 0])

    state: Any = ()
    if workload.optimizer == "adam":
        mean, square = (jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))
        state = (jnp.zeros((), request.dtype), mean, square)
    update = jax.jit(training_step(workload, request.exact, channels_last), donate_argnums=(0, 1))

    def step(number: int) -> float:
        nonlocal parameters, state
        x, y = data[number % len(data)]
        parameters, state, loss = update(parameters, state, x, y, number)
        return float(loss)

    return step


def device_input(x: Any, channels_last: bool) -> Array:
    """Put a batch where JAX wants it, with the channels last if they are to be."""
    if channels_last and x.ndim > 2:
        x = x.transpose(0, *range(2, x.ndim), 1)
    return jnp.asarray(x)


def training_step(workload: Workload, exact: bool, channels_last: bool) -> Callable[..., Any]:
    """Make a function that learns from a batch, and gives the loss."""
    forward = NETWORKS[workload.network]
    criterion = likelihood_of_yes if workload.network == "kim" else likelihood
    update = adam if workload.optimizer == "adam" else sgd

    def compute_loss(p: Parameters, x: Array, y: Array, key: Array | None) -> Array:
        return criterion(forward(p, x, key, channels_last), y)

    def step(p: Parameters, state: Any, x: Array, y: Array, number: int) -> tuple[Parameters, Any, Array]:
        key = None if exact else jax.random.key(number)
        loss, gradients = jax.value_and_grad(compute_loss)(p, x, y, key)
        p, state = update(p, gradients, state, workload.lr)
        return p, state, loss

    return step


if __name__ == "__main__":
    serve(build)
