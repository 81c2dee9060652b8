"""Every named error is MiniTorch's own and also the built-in kind that people catch."""

from __future__ import annotations

import inspect

import pytest

from minitorch import errors

BUILT_IN = {
    errors.ArgumentError: [ValueError],
    errors.BackendError: [RuntimeError],
    errors.CompileError: [RuntimeError],
    errors.BroadcastError: [ValueError, IndexError, RuntimeError],
    errors.DataError: [ValueError, OSError],
    errors.DTypeError: [TypeError],
    errors.GradientError: [AssertionError],
    errors.GraphError: [RuntimeError],
    errors.IndexingError: [IndexError, RuntimeError],
    errors.MissingDependencyError: [ImportError],
    errors.NaNError: [ArithmeticError],
    errors.ShapeError: [ValueError],
}


def defined_classes():
    return [value for _, value in inspect.getmembers(errors, inspect.isclass) if value.__module__ == errors.__name__]


def test_every_class_is_public_and_listed_here():
    assert {cls.__name__ for cls in defined_classes()} == set(errors.__all__)
    assert set(defined_classes()) == {*BUILT_IN, errors.MiniTorchError}


@pytest.mark.parametrize("cls", BUILT_IN, ids=lambda cls: cls.__name__)
def test_an_error_is_caught_as_its_built_in_kind(cls):
    for kind in [errors.MiniTorchError, *BUILT_IN[cls]]:
        with pytest.raises(kind, match="expected 3, got 4"):
            raise cls("expected 3, got 4")


def test_a_broadcast_error_is_a_shape_error_and_an_indexing_error():
    assert issubclass(errors.BroadcastError, errors.ShapeError)
    assert issubclass(errors.BroadcastError, errors.IndexingError)


@pytest.mark.parametrize("cls", defined_classes(), ids=lambda cls: cls.__name__)
def test_every_class_says_what_it_is_for(cls):
    assert cls.__doc__
    assert cls.__doc__.endswith(".")
