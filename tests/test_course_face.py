"""The course's habits: a test for each row of the table in minitorch/tensor.py.

Below tensor.py and nn.py everything is exact: where a neutral function differs, the test shows that too.
"""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import minitorch
from minitorch import nn
from minitorch import tensor as tensor_module_or_function
from minitorch import tensor_functions as tf
from minitorch.layers import Dropout
from minitorch.random import manual_seed

from .cases import BACKENDS, DTYPES, assert_close, make

pytestmark = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


@both_dtypes
def test_log_adds_a_millionth(backend, dtype):
    x = make([0.0, 1e-6, 1.0], backend, dtype, requires_grad=True)
    out = x.log()
    assert_close(out.to_numpy(), np.log(np.array([1e-6, 2e-6, 1 + 1e-6])), dtype)
    out.sum().backward()
    assert_close(x.grad.to_numpy(), 1 / np.array([1e-6, 2e-6, 1 + 1e-6]), dtype)
    assert tf.Log.apply(x).tolist()[0] == -math.inf
    assert tf.Log.apply(x).tolist()[2] == 0.0


@both_dtypes
def test_is_close_means_within_a_hundredth(backend, dtype):
    x = make([1.0, 1.0, 1.0, 1.0], backend, dtype)
    assert x.is_close(make([1.0, 1.009, 0.991, 1.011], backend, dtype)).tolist() == [1.0, 1.0, 1.0, 0.0]
    assert x.is_close(1.0).all().item() == 1.0


@both_dtypes
def test_comparisons_give_one_or_zero(backend, dtype):
    a, b = make([1.0, 2.0, 3.0, math.nan], backend, dtype), make([2.0, 2.0, 2.0, math.nan], backend, dtype)
    for out, expected in [
        (a < b, [1.0, 0.0, 0.0, 0.0]),
        (a > b, [0.0, 0.0, 1.0, 0.0]),
        (a <= b, [1.0, 1.0, 0.0, 0.0]),
        (a >= b, [0.0, 1.0, 1.0, 0.0]),
        (a == b, [0.0, 1.0, 0.0, 0.0]),
        (a != b, [1.0, 0.0, 1.0, 1.0]),
        (a <= 2, [1.0, 1.0, 0.0, 0.0]),
        (a >= 2, [0.0, 1.0, 1.0, 0.0]),
        (a != 2, [1.0, 0.0, 1.0, 1.0]),
    ]:
        assert out.tolist() == expected
        assert out.dtype == np.dtype(dtype)


def test_a_leaf_behind_a_comparison_has_a_gradient_of_zero(backend):
    x = make([1.0, 2.0], backend, requires_grad=True)
    (x < 1.5).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


def test_reductions_keep_the_axis(backend):
    x = make(np.arange(6.0).reshape(3, 2), backend)
    assert x.sum(0).tolist() == [[6.0, 9.0]]
    assert x.mean(1).tolist() == [[0.5], [2.5], [4.5]]
    assert nn.max(x, 0).tolist() == [[4.0, 5.0]]
    assert x.all(1).shape == (3, 1)
    assert x.sum().tolist() == [15.0]
    assert x.mean().tolist() == [2.5]
    assert x.all().shape == (1,)
    # Below, a reduction gives whatever shape is asked for.
    assert tf.Sum.apply(x, 0, (2,)).shape == (2,)


def test_a_full_index_gives_a_number(backend):
    x = make([[1.5, 2.5]], backend, "float32")
    assert type(x[0, 1]) is float
    assert x[0, 1] == 2.5
    x[0, 1] = 3
    assert x.tolist() == [[1.5, 3.0]]


def test_requires_grad_is_a_method(backend):
    x = make([1.0], backend)
    assert x.requires_grad() is False
    assert x.requires_grad_(True).requires_grad() is True


def test_size_is_a_number(backend):
    assert make(np.ones((2, 3)), backend).size == 6


@both_dtypes
def test_dropout_does_not_scale(backend, dtype):
    x = make(np.full(200, 3.0), backend, dtype)
    manual_seed(0)
    assert set(nn.dropout(x, 0.5).tolist()) == {0.0, 3.0}
    manual_seed(0)
    assert set(Dropout(0.5)(x).tolist()) == {0.0, 6.0}


def test_every_row_of_the_table_has_its_test(backend):
    """The first column of the table, and where each of its rows is tested."""
    import sys

    table = sys.modules["minitorch.tensor"].__doc__.split("========================")
    rows = re.findall(r"^(``[^ ]*.*?)  ", "".join(table), re.MULTILINE)
    tested = {
        "``t.log()``": test_log_adds_a_millionth,
        "``t.is_close(u)``": test_is_close_means_within_a_hundredth,
        "``t < u``, ``t != u``": test_comparisons_give_one_or_zero,
        "``t.sum(d)``, ``mean``": test_reductions_keep_the_axis,
        "``t[i, j]``": test_a_full_index_gives_a_number,
        "``t.requires_grad()``": test_requires_grad_is_a_method,
        "``t.size``": test_size_is_a_number,
        "``dropout``": test_dropout_does_not_scale,
    }
    assert rows == list(tested)
    assert callable(tensor_module_or_function)
    assert minitorch.tensor([1.0]).backend is not None
