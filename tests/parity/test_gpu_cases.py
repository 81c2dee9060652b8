"""What the benchmark of the GPU lets PyTorch compute is what it lets us compute; here on the processor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minitorch
from benchmarks import gpu


class OnTheProcessor(gpu.Cases):
    """Lets both compute without a GPU."""

    def __init__(self) -> None:
        super().__init__(minitorch.FastBackend, torch)

    def theirs(self, run: Any, *arrays: Any) -> Any:
        tensors = [torch.from_numpy(a) for a in arrays]
        return lambda: run(*tensors)


@pytest.mark.parametrize("kernel", [(1, 4), (2, 2), (3, 4)])
def test_even_kernels_are_padded_where_ours_are(kernel: tuple[int, int]) -> None:
    forward, step = OnTheProcessor().convolution("small", (2, 3, 4, 5, 6, *kernel))
    np.testing.assert_allclose(forward.theirs().numpy(), forward.ours().to_numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(forward.theirs().numpy(), forward.numpy(), rtol=1e-4, atol=1e-5)
    step.theirs()


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (1, 5)])
def test_odd_kernels_are_padded_on_both_sides(kernel: tuple[int, int]) -> None:
    """So much that the result is as large as ours, whose padding lies behind: where both see no padding they agree."""
    forward, _ = OnTheProcessor().convolution("small", (2, 3, 4, 7, 8, *kernel))
    ours, theirs = forward.ours().to_numpy(), forward.theirs().numpy()
    up, left = (k // 2 for k in kernel)
    assert theirs.shape == ours.shape
    inside = theirs[:, :, up : 7 - up, left : 8 - left]
    np.testing.assert_allclose(inside, ours[:, :, : 7 - 2 * up, : 8 - 2 * left], rtol=1e-4, atol=1e-5)


def test_both_get_the_same_gradient_from_above(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is made within the measured time."""
    given: list[Any] = []
    for tensor in (torch.Tensor, minitorch.Tensor):

        def noted(self: Any, upstream: Any, backward: Any = tensor.backward) -> None:
            given.append(upstream)
            backward(self, upstream)

        monkeypatch.setattr(tensor, "backward", noted)
    _, step = OnTheProcessor().convolution("small", (1, 2, 3, 3, 4, 2, 2))
    for _ in range(2):
        step.ours()
        step.theirs()
    ours, theirs = given[::2], given[1::2]
    np.testing.assert_array_equal(ours[0].to_numpy(), theirs[0].numpy())
    assert ours[0] is ours[1]
    assert theirs[0] is theirs[1]
