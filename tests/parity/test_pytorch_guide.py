"""What the guide from MiniTorch to PyTorch says of PyTorch is so, and its indented blocks run."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import minitorch
from minitorch import layers

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "pytorch.md"


def blocks() -> list[str]:
    """Give the indented blocks, which the test of all documents leaves out."""
    text = re.sub(r"```.*?```", "", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [textwrap.dedent(block) for block in re.findall(r"(?:^(?:    .*)?\n)*^    .*\n", text, re.MULTILINE)]


def answers(ours: Any, theirs: Any) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(5, 2))
    with torch.no_grad():
        return ours(minitorch.tensor(x)).to_numpy(), theirs(torch.tensor(x, dtype=torch.float32)).numpy()


def test_weights_go_both_ways_as_the_guide_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_there, load_here, load_there = blocks()
    model = layers.Sequential(layers.Linear(2, 8), layers.ReLU(), layers.Linear(8, 1))
    names: dict[str, Any] = {"torch": torch, "minitorch": minitorch, "model": model}
    exec(save_there, names)
    exec(load_here, names)
    found, expected = answers(model, names["net"])
    np.testing.assert_allclose(found, expected, atol=1e-6)

    for p in model.parameters():
        p.update(p.value * 2.0)
    minitorch.save(model, "net.safetensors")
    exec(load_there, names)
    doubled, expected = answers(model, names["net"])
    np.testing.assert_allclose(doubled, expected, atol=1e-5)
    assert np.abs(doubled - found).max() > 0.01


def test_pytorch_differs_where_the_table_says_so() -> None:
    t = torch.tensor([[1.0, 3.0, 2.0], [6.0, 5.0, 4.0]])
    assert t.dtype == torch.float32
    assert t.sum(1).shape == (2,)
    assert t.sum(1, keepdim=True).shape == (2, 1)
    assert t.sum().shape == ()
    assert [part.tolist() for part in t.max(1)] == [[3.0, 6.0], [1, 0]]
    assert t.argmax(1).tolist() == torch.argmax(t, 1).tolist() == [1, 0]
    assert t.requires_grad is False
    assert t.size() == (2, 3)
    assert t[0, 1].shape == ()
    assert torch.tensor(0.0).log().item() == -np.inf
    assert (t < 3.0).dtype == torch.bool
    kept = torch.dropout(torch.ones(100), 0.25, train=True)
    assert torch.unique(kept).tolist() == pytest.approx([0.0, 1 / 0.75])
    with pytest.raises(RuntimeError, match="must match"):
        _ = t - t.mean(1)


def test_a_step_of_pytorch_leaves_the_gradient() -> None:
    weight = torch.tensor([1.0], requires_grad=True)
    sgd = torch.optim.SGD([weight], lr=0.1)
    (weight * 3.0).sum().backward()
    sgd.step()
    (weight * 3.0).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [6.0]
