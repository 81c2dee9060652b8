"""Train a small network for 50 steps with the installed package, not the checkout."""

from __future__ import annotations

import sys
from pathlib import Path

import minitorch

BACKEND = minitorch.TensorBackend(minitorch.FastOps)
CHECKOUT = Path(__file__).parents[1]


class Linear(minitorch.Module):
    """A layer of weights and biases."""

    def __init__(self, in_size: int, out_size: int) -> None:
        super().__init__()
        self.weights = minitorch.Parameter(2 * (minitorch.rand((in_size, out_size), backend=BACKEND) - 0.5))
        self.bias = minitorch.Parameter(2 * (minitorch.rand((out_size,), backend=BACKEND) - 0.5))

    def forward(self, x: minitorch.Tensor) -> minitorch.Tensor:
        """Compute ``x @ weights + bias``."""
        return x @ self.weights.value + self.bias.value


def main() -> None:
    """Fit one of the course's point sets; exit with a message unless the loss has halved."""
    if CHECKOUT in Path(minitorch.__file__).parents:
        sys.exit(f"the checkout's package was imported, not the installed one: {minitorch.__file__}")
    minitorch.manual_seed(1)
    points = minitorch.datasets["Simple"](50)
    x = minitorch.tensor(points.X, backend=BACKEND)
    y = minitorch.tensor(points.y, backend=BACKEND).view(50, 1)
    hidden, output = Linear(2, 8), Linear(8, 1)
    optim = minitorch.SGD([*hidden.parameters(), *output.parameters()], lr=0.5)
    losses = []
    for _ in range(50):
        optim.zero_grad()
        probability = output(hidden(x).relu()).sigmoid()
        loss = -(y * probability.log() + (1.0 - y) * (1.0 - probability).log()).mean()
        loss.backward()
        optim.step()
        losses.append(loss.item())
    print(f"minitorch {minitorch.__version__}: loss {losses[0]:.3f} at first, {losses[-1]:.3f} after 50 steps")
    if not losses[-1] < losses[0] / 2:
        sys.exit("training did not halve the loss")


main()
