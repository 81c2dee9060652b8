r"""Teach three layers to tell two kinds of points apart, with tensors on compiled kernels (course task 3.5).

    python project/run_fast_tensor.py --DATASET spiral --HIDDEN 100 --RATE 0.1 --EPOCHS 3000
    python project/run_fast_tensor.py --BACKEND gpu    on an NVIDIA GPU

This is run_tensor.py with two changes: the tensors live on a backend that is given, and a layer is a matrix product.
The same seed gives the same losses, only sooner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from command_line import BACKENDS, mistakes_in_one_line
from point_training import default_log_fn, point_flags, train_and_report
from run_tensor import TensorTrain

import minitorch

__all__ = ["FastTensorBackend", "FastTrain", "Network", "default_log_fn"]

FastTensorBackend = minitorch.TensorBackend(minitorch.FastOps)


def RParam(*shape: int, bound: float, backend: minitorch.TensorBackend) -> minitorch.Parameter:
    """Draw a parameter from the uniform distribution on [-bound, bound)."""
    return minitorch.Parameter((minitorch.rand(shape, backend=backend) - 0.5) * (2 * bound))


class Linear(minitorch.Module):
    r"""A layer $y_j = \sum_i x_i w_{ij} + b_j$, as a matrix product $x w + b$.

    Weights are drawn so that a ReLU behind them keeps the size of its input (He et al., 2015); offsets are drawn from
    [-1, 1), so that the layer's folds lie all over the unit square.
    """

    def __init__(self, in_size: int, out_size: int, backend: minitorch.TensorBackend) -> None:
        super().__init__()
        self.weights = RParam(in_size, out_size, bound=math.sqrt(6 / in_size), backend=backend)
        self.bias = RParam(out_size, bound=1.0, backend=backend)

    def forward(self, x: minitorch.Tensor) -> minitorch.Tensor:
        """Turn ``batch x in_size`` into ``batch x out_size``."""
        return x @ self.weights.value + self.bias.value


class Network(minitorch.Module):
    """Two hidden layers with ReLU, and a sigmoid that gives the probability of class 1."""

    def __init__(self, hidden_layers: int, backend: minitorch.TensorBackend = FastTensorBackend) -> None:
        super().__init__()
        if hidden_layers < 1:
            raise minitorch.ArgumentError(
                f"a hidden layer has at least one unit, got {hidden_layers}. Pass --HIDDEN 10, for example."
            )
        self.layer1 = Linear(2, hidden_layers, backend)
        self.layer2 = Linear(hidden_layers, hidden_layers, backend)
        self.layer3 = Linear(hidden_layers, 1, backend)

    def forward(self, x: minitorch.Tensor) -> minitorch.Tensor:
        """Turn points, ``batch x 2``, into probabilities, ``batch x 1``."""
        middle = self.layer1(x).relu()
        end = self.layer2(middle).relu()
        return self.layer3(end).sigmoid()


class FastTrain(TensorTrain):
    """Trains as run_tensor.py does, on a backend that is given.

    Args:
        hidden_layers: the number of units in each hidden layer.
        backend: what computes.
    """

    def __init__(self, hidden_layers: int, backend: minitorch.TensorBackend = FastTensorBackend) -> None:
        self.backend = backend
        super().__init__(hidden_layers)

    def network(self) -> Network:
        """Make a fresh network on the backend."""
        return Network(self.hidden_layers, self.backend)

    def tensor(self, values: Any) -> minitorch.Tensor:
        """Turn numbers into a tensor on the backend."""
        return minitorch.tensor(values, backend=self.backend)


def main(argv: Sequence[str] | None = None) -> FastTrain:
    """Train as the command line says, and return what was trained."""
    flags = point_flags("Classify points with tensors on compiled kernels.", picture="run_fast_tensor.png")
    flags.add_argument("--BACKEND", default="cpu", choices=["cpu", "gpu"], help="what computes")
    args = flags.parse_args(argv)
    backend = BACKENDS["gpu"] if args.BACKEND == "gpu" else FastTensorBackend
    return train_and_report(lambda hidden_layers: FastTrain(hidden_layers, backend), args)


if __name__ == "__main__":
    with mistakes_in_one_line():
        main()
