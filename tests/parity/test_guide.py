"""The guide to PyTorch and back: its blocks for PyTorch run too, and what it says of PyTorch holds."""

from __future__ import annotations

import re
import tempfile
import textwrap
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import minitorch
from minitorch import layers

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "pytorch.md").read_text(encoding="utf-8")
# What runs here and what runs in PyTorch: the one is fenced, the other indented.
BLOCK = re.compile(r"^```python\n(.*?)^```$|((?:^ {4}[^\n]*\n|^\n(?= {4}))+)", re.DOTALL | re.MULTILINE)
# Those for PyTorch, which the test of all documents leaves out.
BLOCKS = [textwrap.dedent(indented) for fenced, indented in BLOCK.findall(PAGE) if not fenced]


def answers(ours: Any, theirs: Any) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(5, 2))
    with torch.no_grad():
        return ours(minitorch.tensor(x)).to_numpy(), theirs(torch.tensor(x, dtype=torch.float32)).numpy()


def test_the_blocks_take_weights_from_pytorch_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "mkdtemp", lambda: str(tmp_path))
    names: dict[str, Any] = {"torch": torch}
    compared = 0
    for match in BLOCK.finditer(PAGE):
        fenced, indented = match.groups()
        exec(fenced or textwrap.dedent(indented), names)
        if "load_state_dict" in (indented or ""):
            np.testing.assert_allclose(*answers(names["model"], names["net"]), rtol=1e-5, atol=1e-6)
            compared += 1
            with torch.no_grad():  # the next weights have to come from the file
                for parameter in names["net"].parameters():
                    parameter.zero_()
    assert compared == 2


def test_both_libraries_have_the_names_of_the_table() -> None:
    rows = re.findall(r"^\| (`.*?) \| (`.*?) \|$", PAGE.partition("## The differences")[0], re.MULTILINE)
    ours = [name for row, _ in rows for name in re.findall(r"minitorch(?:\.\w+)+", row)]
    theirs = [name for _, row in rows for name in re.findall(r"torch(?:\.\w+)+", row) if "torchvision" not in row]
    assert (len(ours), len(theirs)) == (7, 7)
    for name in ours + theirs:
        library, *path = name.split(".")
        reduce(getattr, path, {"minitorch": minitorch, "torch": torch}[library])  # or it raises


def test_what_the_page_says_of_pytorch() -> None:
    t = torch.tensor([[1.0, 3.0, 2.0], [6.0, 5.0, 4.0]])
    assert t.dtype == torch.float32
    assert (t.sum(1).shape, t.sum(1, keepdim=True).shape, t.sum().shape, t[0, 1].shape) == ((2,), (2, 1), (), ())
    assert t.max(1).indices.tolist() == t.argmax(1).tolist() == [1, 0]
    assert (t.requires_grad, t.size(), (t < 3.0).dtype) == (False, (2, 3), torch.bool)
    mask = torch.tensor([3, 1, 3]) == 3
    assert (mask.dtype, (mask * 2).dtype) == (torch.bool, torch.int64)
    with pytest.raises(RuntimeError, match="not supported"):
        1 - mask
    with pytest.raises(RuntimeError, match="must match"):
        t - t.mean(1)
    square = t[:, :2]
    assert (square - square.mean(1)).tolist() == [[1.0 - 2.0, 3.0 - 5.5], [6.0 - 2.0, 5.0 - 5.5]]
    kept = minitorch.tensor(t.numpy())
    np.testing.assert_array_equal(torch.from_numpy(kept.to_numpy()).numpy(), t.numpy())
    np.testing.assert_array_equal(minitorch.from_numpy(t.numpy()).to_numpy(), t.numpy())


def test_weights_go_both_ways_as_the_guide_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_there, load_here, load_there = BLOCKS
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
    assert [part.tolist() for part in t.max(1)] == [[3.0, 6.0], [1, 0]]
    assert t.argmax(1).tolist() == torch.argmax(t, 1).tolist() == [1, 0]
    assert torch.tensor(0.0).log().item() == -np.inf
    kept = torch.dropout(torch.ones(100), 0.25, train=True)
    assert torch.unique(kept).tolist() == pytest.approx([0.0, 1 / 0.75])


def test_a_step_of_pytorch_leaves_the_gradient() -> None:
    weight = torch.tensor([1.0], requires_grad=True)
    sgd = torch.optim.SGD([weight], lr=0.1)
    (weight * 3.0).sum().backward()
    sgd.step()
    (weight * 3.0).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [6.0]
