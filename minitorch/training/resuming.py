"""Everything that the next steps of a training depend on, in one nest for a file, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, DataError, MiniTorchError
from ..io.checkpoint import load
from ..random import Generator, default_generator
from ..saved import mapping, number, sequence, whole

if TYPE_CHECKING:
    from .loop import Training

__all__ = ["RandomState", "load_training", "training_state"]


class RandomState:
    """The states that random numbers come from: the default generator's in this thread, and those of the data.

    Args:
        data: what is gone through. Where it has ``state_dict`` and ``load_state_dict``, as a ``DataLoader`` has, or a
            ``generator``, these are its state.
    """

    def __init__(self, *data: Any) -> None:
        self._data = data

    def state_dict(self) -> dict[str, Any]:
        """Copy the states."""
        return {"default": default_generator.state, "data": [_state_of(data) for data in self._data]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to states that were copied.

        Raises:
            DataError: the state is broken.
            ArgumentError: it is of data that draw in another way.
        """
        mapping("the random state", state, "default", "data")
        default = generator_state("default", state["default"])
        saved = sequence("the random states of the data", state["data"], len(self._data))
        for data, theirs in zip(self._data, saved, strict=True):
            if (ours := _state_of(data)) is None and theirs is None:
                continue
            if ours is None or theirs is None:
                raise ArgumentError(
                    f"it is of data {_with(theirs is not None)} random state, got a {type(data).__name__} "
                    f"{'without' if ours is None else 'with'} one. Resume with the data that the training began with."
                )
            if hasattr(data, "load_state_dict"):
                data.load_state_dict(theirs)
            else:
                data.generator.state = generator_state("a generator", theirs)
        default_generator.state = default


def generator_state(name: str, state: Any) -> tuple[int, int]:
    """Check the state of a generator: its seed and its next stream."""
    seed, stream = (whole(f"the random state {name}", part) for part in sequence(f"the random state {name}", state, 2))
    return seed, stream


def _state_of(data: Any) -> Any:
    if hasattr(data, "state_dict"):
        return data.state_dict()
    generator = getattr(data, "generator", None)
    return generator.state if isinstance(generator, Generator) else None


def training_state(training: Training, callbacks: Sequence[Any], best: Any) -> dict[str, Any]:
    """Gather what a training has come to, except for an epoch that is not over and the random numbers.

    Args:
        training: the training.
        callbacks: its callbacks; those with a ``state_dict`` are a part of it.
        best: its best value so far.
    """
    return {
        "model": training.model,
        "optimizer": training.optimizer,
        "schedule": training.schedule,
        "callbacks": [callback.state_dict() for callback in callbacks if hasattr(callback, "state_dict")],
        "epoch": training.epoch,
        "step": training.step,
        "stop": training.stop,
        "best": best,
        "history": training.history,
    }


def load_training(
    path: Path, training: Training, callbacks: Sequence[Any], best: Any, random: RandomState
) -> dict[str, Any] | None:
    """Make a training what a file says that it was; where the file does not fit, everything stays as it was.

    Args:
        path: a file of what :func:`training_state` gathered and more.
        training: becomes what was saved.
        callbacks: of the same kinds and in the same order as those that were saved.
        best: becomes what was saved.
        random: becomes what was saved.

    Returns:
        What is known of an epoch that was stopped in its midst; None between two epochs.

    Raises:
        DataError: the file is broken or holds something else.
        ArgumentError: it is of a training with other callbacks or another kind of optimiser or of data, or with a
            schedule where this one has none.
        ShapeError: it is of another model or optimiser.
    """
    state = load(path)
    names = {*training_state(training, (), None), "random", "partial"}
    if not isinstance(state, dict) or not names <= set(state):
        raise DataError(
            f"{path} is not the checkpoint of a training: expected the entries {', '.join(sorted(names))}. Give the "
            "folder that fit wrote to, or remove the file to begin anew."
        )
    kept = [callback for callback in callbacks if hasattr(callback, "state_dict")]
    try:
        of_callbacks = sequence("callbacks", state["callbacks"])
        ours, theirs = training.schedule is not None, state["schedule"] is not None
        if ours != theirs or len(kept) != len(of_callbacks):
            raise ArgumentError(
                f"it is of a training {_with(theirs)} schedule and with {len(of_callbacks)} callbacks that keep a "
                f"state, got one {_with(ours)} schedule and with {len(kept)}. Resume with what it began with."
            )
        epoch, step, stop = whole("epoch", state["epoch"]), whole("step", state["step"]), state["stop"]
        if not isinstance(stop, bool):
            raise TypeError(f"stop is {stop!r}")
        partial = None if state["partial"] is None else _partial(state["partial"])
        parts = [
            (training.model, state["model"]),
            (training.optimizer, state["optimizer"]),
            *zip(kept, of_callbacks, strict=True),
            (best, state["best"]),
            (training.history, state["history"]),
        ]
        if ours:
            parts.append((training.schedule, state["schedule"]))
        if partial is not None:
            parts.append((random, partial["begun"]))
        _load_all_or_nothing([*parts, (random, state["random"])])
    except MiniTorchError as error:
        error.args = (f"{path} cannot be resumed from: {error}",)
        raise
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is a broken checkpoint ({type(error).__name__}: {error}): expected what fit wrote. Copy it again, "
            "or remove it to begin anew."
        ) from None
    training.epoch, training.step, training.stop = epoch, step, stop
    return partial


def _load_all_or_nothing(parts: Sequence[tuple[Any, Any]]) -> None:
    """Load a state into each part; where one does not fit, each has its own again."""
    before = [(part, part.state_dict()) for part, _ in parts]
    try:
        for part, state in parts:
            part.load_state_dict(state)
    except BaseException:
        for part, state in before:
            part.load_state_dict(state)
        raise


def _partial(state: Any) -> dict[str, Any]:
    """Check what is known of an epoch that was stopped in its midst."""
    mapping("the epoch that was stopped", state, "batches", "means", "begun", "now")
    means = mapping("the means", state["means"], "sums", "examples")
    for name, total in mapping("the sums", means["sums"]).items():
        number(f"the sum of {name}", total)
    whole("the examples of the epoch that was stopped", means["examples"], least=1)
    return {
        "batches": whole("the batches of the epoch that was stopped", state["batches"], least=1),
        "means": means,
        "begun": state["begun"],
        "now": generator_state("now", state["now"]),
    }


def _with(there: bool) -> str:
    return "with a" if there else "without a"
