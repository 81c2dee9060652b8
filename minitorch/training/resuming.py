"""Everything that the next steps of a training depend on, in one nest for a file, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, DataError, MiniTorchError
from ..io.checkpoint import load
from ..random import Generator, default_generator

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

    def get(self) -> dict[str, Any]:
        """Copy the states."""
        return {"default": default_generator.state, "data": [_state_of(data) for data in self._data]}

    def set(self, state: Mapping[str, Any]) -> None:
        """Go back to states that were copied."""
        default_generator.state = state["default"]
        for data, saved in zip(self._data, state["data"]):
            if saved is None:
                continue
            if hasattr(data, "load_state_dict"):
                data.load_state_dict(saved)
            else:
                data.generator.state = saved


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
    """Make a training what a file says that it was.

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
        ArgumentError: it is of a training with other callbacks, or with a schedule where this one has none.
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
        ours, theirs = training.schedule is not None, state["schedule"] is not None
        if ours != theirs or len(kept) != len(state["callbacks"]):
            raise ArgumentError(
                f"{path} is of a training {_with(theirs)} schedule and with {len(state['callbacks'])} callbacks that "
                f"keep a state, got one {_with(ours)} schedule and with {len(kept)}. Resume with what it began with."
            )
        training.model.load_state_dict(state["model"])
        training.optimizer.load_state_dict(state["optimizer"])
        if ours:
            training.schedule.load_state_dict(state["schedule"])
        for callback, saved in zip(kept, state["callbacks"]):
            callback.load_state_dict(saved)
        best.load_state_dict(state["best"])
        training.history.load_state_dict(state["history"])
        training.epoch, training.step, training.stop = int(state["epoch"]), int(state["step"]), bool(state["stop"])
        random.set(state["random"])
        partial = state["partial"]
        return None if partial is None else {name: partial[name] for name in ("batches", "means", "begun", "now")}
    except MiniTorchError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is a broken checkpoint ({type(error).__name__}: {error}): expected what fit wrote. Copy it again, "
            "or remove it to begin anew."
        ) from None


def _with(there: bool) -> str:
    return "with a" if there else "without a"
