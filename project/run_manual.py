r"""Tell two kinds of points apart with three numbers that you choose (course task 0.5).

    python project/run_manual.py --DATASET simple --WEIGHTS -20 0 --BIAS 10

The answer for the point $(x_1, x_2)$ is the sigmoid of $w_1 x_1 + w_2 x_2 + b$: one half on a line, more on one side of
it and less on the other. Nothing is trained. Draw the line with --PLOT, change the numbers, and look again; then leave
the choice to run_scalar.py. The point sets simple and diag can be told apart by a line, the others cannot.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from command_line import mistakes_in_one_line
from decision_boundary import Picture

import minitorch


class Linear(minitorch.Module):
    r"""A layer $y_j = \sum_i x_i w_{ij} + b_j$ of plain numbers, drawn from [-1, 1) until somebody sets them."""

    def __init__(self, in_size: int, out_size: int) -> None:
        super().__init__()
        draws = (2 * minitorch.default_generator.uniform((in_size + 1, out_size)) - 1).tolist()
        self.weights = [
            [self.add_parameter(f"weight_{i}_{j}", draws[i][j]) for j in range(out_size)] for i in range(in_size)
        ]
        self.bias = [self.add_parameter(f"bias_{j}", draws[in_size][j]) for j in range(out_size)]

    def forward(self, inputs: Sequence[float]) -> list[float]:
        """Turn ``in_size`` numbers into ``out_size``."""
        outputs = [bias.value for bias in self.bias]
        for x, row in zip(inputs, self.weights, strict=True):
            for j, weight in enumerate(row):
                outputs[j] += x * weight.value
        return outputs


class Network(minitorch.Module):
    """One layer, and a sigmoid that turns its number into the probability of class 1."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = Linear(2, 1)

    def forward(self, x: Sequence[float]) -> float:
        """Turn the two coordinates of a point into a probability."""
        return minitorch.operators.sigmoid(self.linear(x)[0])


class ManualTrain:
    """A network whose training is your own.

    Args:
        hidden_layers: not used; the other trainings have it.
    """

    def __init__(self, hidden_layers: int = 0) -> None:
        self.model = Network()

    def choose(self, weights: Sequence[float] | None = None, bias: float | None = None) -> None:
        """Set the two weights, or the offset, or both."""
        linear = self.model.linear
        if weights is not None:
            for row, weight in zip(linear.weights, weights, strict=True):
                row[0].update(weight)
        if bias is not None:
            linear.bias[0].update(bias)

    def run_one(self, x: Sequence[float]) -> float:
        """Give the probability that a point is of class 1."""
        return self.model((x[0], x[1]))

    def correct(self, data: minitorch.Graph) -> int:
        """Count the points that end up on their own side of one half."""
        return sum((self.run_one(x) > 0.5) == y for x, y in zip(data.X, data.y, strict=True))


def main(argv: Sequence[str] | None = None) -> ManualTrain:
    """Classify with the numbers of the command line, and return the classifier."""
    parser = argparse.ArgumentParser(description="Classify points with a line that you choose.")
    parser.add_argument("--DATASET", default="simple", choices=[name.lower() for name in minitorch.datasets])
    parser.add_argument("--PTS", type=int, default=50, help="number of points")
    parser.add_argument("--WEIGHTS", type=float, nargs=2, metavar=("W_1", "W_2"), help="drawn unless given")
    parser.add_argument("--BIAS", type=float, metavar="B", help="drawn unless given")
    parser.add_argument("--SEED", type=int, default=0, help="fixes points and drawn numbers")
    parser.add_argument("--PLOT", nargs="?", const="run_manual.png", metavar="PNG", help="draw the boundary")
    args = parser.parse_args(argv)

    picture = Picture() if args.PLOT else None
    minitorch.manual_seed(args.SEED)
    data = minitorch.datasets[args.DATASET.capitalize()](args.PTS)
    if data.N < 1:
        raise minitorch.ArgumentError(f"expected at least one point, got {args.PTS}. Pass --PTS 50, for example.")
    trainer = ManualTrain()
    trainer.choose(args.WEIGHTS, args.BIAS)
    for name, parameter in trainer.model.named_parameters():
        print(f"{name} = {parameter.value:.4f}")

    start = time.perf_counter()
    correct = trainer.correct(data)
    seconds = time.perf_counter() - start
    print(f"Final accuracy: {correct / data.N:.2%} ({correct}/{data.N})")
    print(f"Seconds for one look at every point: {seconds:.4f}")
    if picture:
        picture.draw(data, lambda points: [trainer.run_one(x) for x in points], args.DATASET)
        picture.save(args.PLOT)
    return trainer


if __name__ == "__main__":
    with mistakes_in_one_line():
        main()
