"""What the tests of training share: a small task, and ways to go through it."""

from __future__ import annotations

import numpy as np

import minitorch
from minitorch import FastBackend
from minitorch.layers import Dropout, Linear, ReLU, Sequential


def blobs(count, seed=0):
    """Draw points around three centres, and say around which."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 3
    return rng.normal(size=(count, 2)) + np.array([[0.0, 2.0], [2.0, 0.0], [-1.0, -1.0]])[y], y


def tensors(x, y):
    return (
        minitorch.tensor(np.asarray(x), backend=FastBackend),
        minitorch.tensor(np.asarray(y), backend=FastBackend, dtype="int64"),
    )


def batches_of(x, y, size):
    return [tensors(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]


def network(rate=0.2):
    return Sequential(Linear(2, 8, backend=FastBackend), ReLU(), Dropout(rate), Linear(8, 3, backend=FastBackend))


def same(a, b):
    """Tell whether two state dicts are the same, bit for bit."""
    return {name: array.tobytes() for name, array in a.items()} == {name: array.tobytes() for name, array in b.items()}


class Shuffled:
    """Batches in another order in every epoch, drawn from the default generator."""

    def __init__(self, x, y, size):
        self.x, self.y, self.size = x, y, size

    def __len__(self):
        return -(-len(self.x) // self.size)

    def order(self):
        return minitorch.default_generator.permutation(len(self.x))

    def __iter__(self):
        order = self.order()
        for start in range(0, len(order), self.size):
            rows = order[start : start + self.size]
            yield tensors(self.x[rows], self.y[rows])


class ShuffledByItsOwn(Shuffled):
    """The same, drawn from a generator of its own."""

    def __init__(self, x, y, size, seed=5):
        super().__init__(x, y, size)
        self.generator = minitorch.Generator(seed)

    def order(self):
        return self.generator.permutation(len(self.x))


class ShuffledByEpoch(Shuffled):
    """The same, drawn from the number of the epoch, with state dicts as a DataLoader has them."""

    def __init__(self, x, y, size, seed=5):
        super().__init__(x, y, size)
        self.seed, self.epoch = seed, 0

    def order(self):
        generator = minitorch.Generator(self.seed)
        generator.state = (self.seed, self.epoch)
        self.epoch += 1
        return generator.permutation(len(self.x))

    def state_dict(self):
        return {"seed": self.seed, "epoch": self.epoch}

    def load_state_dict(self, state):
        self.seed, self.epoch = state["seed"], state["epoch"]
