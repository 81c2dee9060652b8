"""The network: two convolutions and two linear layers, from a rotated digit to a score for each of ten classes."""

from __future__ import annotations

import minitorch
from minitorch.layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential

__all__ = ["DigitClassifier"]

CLASSES = 10
LARGEST = 1024


class DigitClassifier(minitorch.Module):
    """Look for small patterns, then for patterns of these, and decide.

    Each pooling keeps the strongest of four neighbours, so a digit that is moved by a pixel looks almost the same.

    Args:
        channels: patterns that the first convolution looks for; the second one looks for twice as many.
        hidden: units of the hidden layer.
        dropout: the share of features that are left out at random while training.

    Raises:
        ArgumentError: a number is out of range.
    """

    def __init__(self, channels: int = 16, hidden: int = 128, dropout: float = 0.25) -> None:
        super().__init__()
        for name, size in (("channels", channels), ("hidden", hidden)):
            if type(size) is not int or not 1 <= size <= LARGEST:
                raise minitorch.ArgumentError(f"expected {name} from 1 to {LARGEST}, got {size!r}. Write 16, say.")
        if type(dropout) not in (int, float) or not 0 <= dropout <= 1:
            raise minitorch.ArgumentError(f"expected dropout from 0 to 1, got {dropout!r}. Write 0.25, say.")
        # What a saved file needs to say so that the network can be made anew.
        self.arguments = {"channels": channels, "hidden": hidden, "dropout": dropout}
        self.layers = Sequential(
            Conv2d(1, channels, 5),  # 28 x 28 pixels to 24 x 24
            MaxPool2d(2),  # to 12 x 12
            ReLU(),
            Conv2d(channels, 2 * channels, 3),  # to 10 x 10
            MaxPool2d(2),  # to 5 x 5
            ReLU(),
            Flatten(),
            Dropout(dropout),
            Linear(2 * channels * 5 * 5, hidden),
            ReLU(),
            Dropout(dropout),
            Linear(hidden, CLASSES),
        )

    def forward(self, x: minitorch.Tensor) -> minitorch.Tensor:
        """Give the scores, ``batch x 10``, for ``batch x 1 x 28 x 28``."""
        return self.layers(x)
