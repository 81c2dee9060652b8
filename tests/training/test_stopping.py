"""When a training stops early, and which parameters it has then."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch import ArgumentError
from minitorch.io import state_dict
from minitorch.layers import Linear
from minitorch.training import EarlyStopping
from minitorch.training.stopping import Best

from .fitting import same


def training():
    found = SimpleNamespace(model=Linear(2, 1), history=[], monitor="validation_loss", stop=False, lines=[])
    found.say = found.lines.append
    return found


def run(stopping, values, name="validation_loss", found=None):
    """Give a callback one epoch after another, each with other parameters, until it stops."""
    found = found or training()
    if not found.history:
        stopping.start(found)
    seen = []
    for value in values:
        for p in found.model.parameters():
            p.update(p.value.detach() + 1.0)
        seen.append(state_dict(found.model))
        found.history.append({"epoch": len(found.history) + 1, "loss": 0.0, name: value})
        stopping(found)
        if found.stop:
            break
    return found, seen


def test_it_stops_when_nothing_has_improved_for_some_epochs_and_goes_back():
    stopping = EarlyStopping(patience=3)
    found, seen = run(stopping, [5.0, 4.0, 3.0, 3.5, 3.0, 3.2, 1.0])
    assert found.stop
    assert len(found.history) == 6
    assert found.lines == ["Stopped: for 3 epochs the validation loss has not improved on 3, that of epoch 3."]
    assert same(state_dict(found.model), seen[5])
    stopping.finish(found)
    assert same(state_dict(found.model), seen[2])


def test_an_improvement_begins_the_wait_anew():
    found, _ = run(EarlyStopping(patience=2), [5.0, 6.0, 4.0, 4.5, 3.0, 3.0, 3.0, 2.0])
    assert len(found.history) == 7


def test_an_improvement_must_be_larger_than_min_delta():
    values = [1.0, 0.75, 0.5, 0.25]
    assert not run(EarlyStopping(patience=1, min_delta=0.125), values)[0].stop
    found, _ = run(EarlyStopping(patience=1, min_delta=0.25), values)
    assert len(found.history) == 2


@pytest.mark.parametrize("name", ["validation_accuracy", "accuracy"])
def test_of_an_accuracy_the_largest_is_the_best(name):
    stopping = EarlyStopping(patience=2, monitor=name)
    found, seen = run(stopping, [0.5, 0.75, 0.7, 0.75], name)
    assert found.stop
    stopping.finish(found)
    assert same(state_dict(found.model), seen[1])


def test_the_best_parameters_are_those_at_the_end_of_the_epochs_too():
    stopping = EarlyStopping(patience=9)
    found, seen = run(stopping, [2.0, 1.0, 3.0])
    assert not found.stop
    stopping.finish(found)
    assert same(state_dict(found.model), seen[1])


def test_going_back_can_be_left_out():
    stopping = EarlyStopping(patience=1, restore_best=False)
    found, seen = run(stopping, [1.0, 2.0])
    assert found.stop
    stopping.finish(found)
    assert same(state_dict(found.model), seen[-1])


def test_a_number_that_is_none_never_is_the_best():
    found, _ = run(EarlyStopping(patience=2), [math.nan, 1.0, math.nan, math.nan])
    assert len(found.history) == 4
    found, _ = run(EarlyStopping(patience=2), [math.nan, math.nan, 1.0])
    assert len(found.history) == 2


def test_a_second_training_begins_anew():
    stopping = EarlyStopping(patience=1)
    run(stopping, [1.0, 2.0])
    found, _ = run(stopping, [9.0, 8.0, 7.0])
    assert not found.stop


VALUES = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=12)


@given(VALUES, st.integers(1, 3), st.integers(0, 12))
def test_going_on_from_a_copy_is_the_same_as_never_having_stopped(values, patience, place):
    whole = EarlyStopping(patience)
    one, _ = run(whole, values)
    first, found = EarlyStopping(patience), training()
    run(first, values[:place], found=found)
    state = first.state_dict()
    second = EarlyStopping(patience)
    if found.history:
        second.start(found)
        second.load_state_dict(state)
    if not found.stop:
        run(second, values[place:], found=found)
    assert (found.stop, len(found.history)) == (one.stop, len(one.history))
    assert (second.waited, second.best.value, second.best.epoch) == (whole.waited, whole.best.value, whole.best.epoch)


@given(VALUES, st.sampled_from(["min", "max"]))
def test_the_best_is_the_first_of_the_extreme_values(values, mode):
    best = Best("score", mode)
    improved = [best.take({"epoch": i, "score": value}) for i, value in enumerate(values, start=1)]
    extreme = min(values) if mode == "min" else max(values)
    assert best.value == extreme
    assert best.epoch == values.index(extreme) + 1
    assert improved[0]
    assert np.flatnonzero(improved)[-1] + 1 == best.epoch


def test_wrong_settings_are_told():
    with pytest.raises(ArgumentError, match=r"patience of at least one epoch, got 0"):
        EarlyStopping(0)
    with pytest.raises(ArgumentError, match="min_delta as 0 or more, got -1"):
        EarlyStopping(min_delta=-1)
    with pytest.raises(ArgumentError, match="or a larger 'f1' is better, got None"):
        EarlyStopping(monitor="f1")
    with pytest.raises(ArgumentError, match="got 'least'"):
        EarlyStopping(mode="least")
    assert EarlyStopping(monitor="f1", mode="max").best.mode == "max"


def test_a_number_that_is_not_measured_is_told():
    with pytest.raises(ArgumentError, match=r"expected 'validation_accuracy' among .* got epoch, loss, score"):
        run(EarlyStopping(monitor="validation_accuracy"), [1.0], "score")
