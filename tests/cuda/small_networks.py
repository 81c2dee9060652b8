"""The networks of project/ in a size that the simulated GPU trains in seconds: LeNet itself takes it minutes a step."""

from __future__ import annotations

import functools

import run_mnist_multiclass
import run_sentiment

import minitorch
from minitorch.layers import Conv2d, Linear

SmallKim = functools.partial(run_sentiment.CNNSentimentKim, feature_map_size=2, filter_sizes=[3])


class SmallLeNet(run_mnist_multiclass.Network):
    """Convolution, pooling and one linear layer, for every seventh pixel."""

    def __init__(self, backend, dtype="float32"):
        minitorch.Module.__init__(self)
        self.arguments = {"dtype": dtype}
        self.conv = Conv2d(1, 2, 3, padding="same", backend=backend, dtype=dtype)
        self.classify = Linear(8, 10, backend=backend, dtype=dtype)

    def forward(self, x):
        few = x[:, :, ::7, ::7].contiguous()
        pooled = minitorch.maxpool2d(self.conv(few).relu(), (2, 2))
        return minitorch.logsoftmax(self.classify(pooled.view(x.shape[0], 8)), 1)
