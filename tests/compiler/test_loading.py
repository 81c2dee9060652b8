"""A model that is filled again after compiling: the next compiled call computes with what it was filled with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch import FastBackend, layers, losses
from minitorch.tensor import Tensor

OPTIONS: dict[str, Any] = {"dtype": "float64", "backend": FastBackend}


class Trained:
    """A network with weights and running averages, its training step and its evaluation."""

    def __init__(self, wrap: Callable[[Any], Any]) -> None:
        minitorch.manual_seed(2)
        self.model = layers.Sequential(
            layers.Linear(4, 6, **OPTIONS), layers.BatchNorm1d(6, **OPTIONS), layers.Linear(6, 3, **OPTIONS)
        )
        optimizer = minitorch.SGD(self.model.parameters(), lr=0.2)
        rng = np.random.default_rng(3)
        self.x = minitorch.tensor(rng.standard_normal((7, 4)), backend=FastBackend)
        self.labels = minitorch.tensor(rng.integers(0, 3, 7), backend=FastBackend)

        def step(x: Tensor, labels: Tensor) -> Tensor:
            optimizer.zero_grad()
            loss = losses.cross_entropy(self.model(x), labels)
            loss.backward()
            optimizer.step()
            return loss

        def evaluate(x: Tensor) -> Tensor:
            return self.model(x)

        self.step, self.evaluation = wrap(step), wrap(evaluate)

    def programs(self) -> list[int]:
        return [len(getattr(step, "traces", ())) for step in (self.step, self.evaluation)]

    def train(self, steps: int) -> list[float]:
        self.model.train()
        return [self.step(self.x, self.labels).item() for _ in range(steps)]

    def evaluate(self) -> Any:
        self.model.eval()
        return self.evaluation(self.x).to_numpy().copy()


def by_arrays(model: minitorch.Module, folder: Path) -> Callable[[], None]:
    state = minitorch.state_dict(model)
    return lambda: minitorch.load_state_dict(model, state)


def by_file(model: minitorch.Module, folder: Path) -> Callable[[], None]:
    minitorch.save(minitorch.state_dict(model), folder / "model.safetensors")
    return lambda: minitorch.load_state_dict(model, minitorch.load(folder / "model.safetensors"))


@pytest.mark.parametrize("keep", [by_arrays, by_file])
def test_a_state_that_is_loaded_after_compiling_is_followed(keep: Any, tmp_path: Path) -> None:
    results = []
    for wrap in (lambda fn: fn, minitorch.compile):
        trained = Trained(wrap)
        trained.train(2)
        load = keep(trained.model, tmp_path)
        kept = trained.evaluate()
        onward = trained.train(3)
        moved = trained.evaluate()
        assert np.abs(moved - kept).max() > 0.01
        programs = trained.programs()

        load()
        np.testing.assert_array_equal(trained.evaluate(), kept)
        load()
        np.testing.assert_allclose(trained.train(3), onward, rtol=1e-12)
        np.testing.assert_allclose(trained.evaluate(), moved, rtol=1e-12, atol=1e-12)
        assert trained.programs() == programs  # nothing was traced again
        results.append([kept, onward, moved, *minitorch.state_dict(trained.model).values()])
    for value, expected in zip(*reversed(results), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-12)


def test_another_models_state_is_followed() -> None:
    compiled, eager = Trained(minitorch.compile), Trained(lambda fn: fn)
    compiled.evaluate()
    eager.train(4)
    minitorch.load_state_dict(compiled.model, minitorch.state_dict(eager.model))
    np.testing.assert_allclose(compiled.evaluate(), eager.evaluate(), rtol=1e-12)
    np.testing.assert_allclose(compiled.train(2), eager.train(2), rtol=1e-12)
