"""What optimisers share: groups of parameters with their settings, a step over all of them, and the state.

The settings are held as in PyTorch: ``param_groups`` is a list of dictionaries, each with its parameters and its own
learning rate, momentum and so on. What lasts from step to step stands in ``state``, a dictionary for each parameter,
which holds the same names from the first step on. A step reads all of this through :mod:`minitorch.cells`, so that a
compiled step follows a learning rate that changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from .autodiff import enable_grad, no_grad
from .cells import read, tracing, write
from .errors import ArgumentError, ShapeError
from .module import Parameter
from .saved import mapping, number, sequence, whole
from .scalar import Scalar
from .tensor import Tensor
from .tensor_data import TensorData

__all__ = ["Group", "Optimizer", "State"]

Group = dict[str, Any]
State = dict[str, Any]

# What a number may be, and what to know about it.
BELOW_ONE: Final = math.nextafter(1.0, 0.0)
RANGES: Final[Mapping[str, tuple[float, float, str]]] = {
    "lr": (0.0, math.inf, "A step goes against the gradient by itself; maximize=True goes along it."),
    "momentum": (0.0, math.inf, "Write 0.9 to keep nine tenths of the last step."),
    "weight_decay": (0.0, math.inf, "The penalty pulls towards zero by itself."),
    "eps": (0.0, math.inf, "It keeps a division from being one by zero: write 1e-8."),
    "betas": (0.0, BELOW_ONE, "Write 0.9 to keep nine tenths of an average."),
    "alpha": (0.0, 1.0, "Write 0.99 to keep 99 hundredths of an average."),
    "rho": (0.0, 1.0, "Write 0.9 to keep nine tenths of an average."),
}


class Optimizer:
    """What optimisers share: groups of parameters with their settings, the state, and forgetting gradients.

    A subclass names the averages that it keeps in :meth:`_averages` and computes one parameter's new value in
    :meth:`_moved`.

    Args:
        parameters: what to train, tensors or scalars; or dictionaries, each with its ``"params"`` and the settings
            that differ for them from ``defaults``.
        defaults: the settings of a group that names no others.

    Attributes:
        param_groups: the groups, a dictionary each.
        state: what lasts from step to step, by the number of the parameter.

    Raises:
        ArgumentError: there are no parameters, one comes twice, or a setting is unknown or out of range.

    >>> from minitorch.optim import SGD
    >>> weights, biases = Parameter(1.0), Parameter(0.0)
    >>> optimiser = SGD([{"params": [weights], "lr": 0.1}, {"params": [biases]}], lr=0.5)
    >>> [group["lr"] for group in optimiser.param_groups]
    [0.1, 0.5]
    """

    def __init__(
        self,
        parameters: Iterable[Parameter] | Iterable[Group],
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self.defaults: Group = dict(defaults or {})
        self.param_groups: list[Group] = []
        self.state: dict[int, State] = {}
        if not isinstance(parameters, Iterable):
            raise ArgumentError(
                f"an optimiser moves several Parameters, got {type(parameters).__name__}. Pass model.parameters(), or "
                "[parameter] for a single one."
            )
        given: list[Any] = list(parameters)
        groups = given if given and isinstance(given[0], dict) else [{"params": given}]
        for group in groups:
            self.add_param_group(group)

    def __repr__(self) -> str:
        """Show the class and the settings of each group, as PyTorch does."""
        shown = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            settings = [f"    {name}: {group[name]}\n" for name in sorted(group) if name != "params"]
            shown += f"\nParameter Group {i}\n{''.join(settings)}"
        return f"{shown})"

    @property
    def parameters(self) -> Sequence[Parameter]:
        """All parameters, group after group; their places here are their numbers in ``state``."""
        return [p for group in self.param_groups for p in group["params"]]

    @property
    def lr(self) -> float:
        """The learning rate of the first group; setting it sets that of every group."""
        return read(self.param_groups[0], "lr")

    @lr.setter
    def lr(self, value: float) -> None:
        if tracing.tracer is None:
            _check_ranges({"lr": value})
        for group in self.param_groups:
            write(group, "lr", value)

    def add_param_group(self, group: Group) -> None:
        """Train more parameters, with settings of their own where ``group`` names them.

        Args:
            group: ``"params"``, one parameter or several, and any of the settings.

        Raises:
            ArgumentError: there are no parameters, one is trained already, or a setting is unknown or out of range.
        """
        params = group.get("params")
        if not isinstance(params, (Parameter, Iterable)):
            raise ArgumentError(
                f'expected a group with a "params" that names Parameters, got {group}. Write {{"params": '
                "model.parameters(), ...}."
            )
        params = [params] if isinstance(params, Parameter) else list(params)
        if not params:
            raise ArgumentError(
                "an optimiser needs at least one parameter, got none. Pass model.parameters(), and check that layers "
                "are attributes of the model, and not only elements of a list."
            )
        for p in params:
            if not isinstance(p, Parameter):
                raise ArgumentError(
                    f"an optimiser moves Parameters, got {type(p).__name__}. Pass model.parameters(), or make the "
                    "value a Parameter."
                )
        together = [id(p) for p in (*self.parameters, *params)]
        if len(set(together)) < len(together):
            raise ArgumentError(
                "an optimiser moves each parameter once, got one that comes twice. Name it in one group only."
            )
        if unknown := set(group) - {"params", *self.defaults}:
            raise ArgumentError(
                f"{type(self).__name__} has the settings {', '.join(self.defaults)}; got {', '.join(sorted(unknown))}. "
                "Correct the name."
            )
        settings = {**self.defaults, **group, "params": params}
        _check_ranges(settings)
        self.param_groups.append(settings)

    # --- a step ----------------------------------------------------------------------------------------------

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget every gradient: the next backward pass starts from nothing.

        Args:
            set_to_none: leave no gradient at all, so that a parameter without a new one stays as it is; otherwise
                every gradient becomes zero, and momentum moves such a parameter on. (A step leaves none either way:
                its new values are new tensors.)
        """
        for p in self.parameters:
            value = p.value
            if isinstance(value, Scalar):
                value.derivative = None if set_to_none else 0.0
            elif isinstance(value, Tensor):
                value.grad = None if set_to_none else value.zeros()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient.

        Args:
            closure: computes the loss and its gradients anew; most training loops have done that before.

        Returns:
            What ``closure`` returns, if there is one.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for i, group, p in self._numbered():
                value = p.value
                if isinstance(value, Scalar):
                    if value.derivative is not None:
                        p.update(Scalar(self._moved(i, group, value.data, value.derivative)))
                elif isinstance(value, Tensor) and value.grad is not None:
                    p.update(self._moved(i, group, value.detach(), value.grad))
        return loss

    def _numbered(self) -> Iterator[tuple[int, Group, Parameter]]:
        """Walk the parameters with their numbers and groups."""
        i = 0
        for group in self.param_groups:
            for p in group["params"]:
                yield i, group, p
                i += 1

    def _moved(self, i: int, group: Group, value: Any, gradient: Any) -> Any:
        """Compute the new value of parameter ``i``; ``value`` and ``gradient`` are tensors, or a scalar's numbers."""
        raise NotImplementedError

    def _averages(self, group: Group) -> Sequence[str]:
        """Name what the state of a parameter holds beside its number of steps; each begins as zeros."""
        return ()

    def _state(self, i: int, group: Group) -> State:
        """Give the state of parameter ``i``, made whole at its first step."""
        state = self.state.setdefault(i, {"step": 0})
        for name in self._averages(group):
            if name not in state:
                # The zeros are data, and not a part of the step: the parameter's own value is looked at, past a tracer.
                value = vars(self.parameters[i])["_value"]
                state[name] = value.zeros() if isinstance(value, Tensor) else 0.0
        return state

    # --- saving ----------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Copy everything that the next steps depend on, except the parameters.

        Returns:
            ``{"state": {number: {name: number or tensor}}, "param_groups": [settings]}`` as in PyTorch, where a
            group's ``"params"`` are numbers of parameters.

        >>> from minitorch.optim import SGD
        >>> weight = Parameter(Scalar(3.0))
        >>> SGD([weight], lr=0.5).state_dict()["param_groups"][0]["params"]
        [0]
        """
        numbers = {id(p): i for i, p in enumerate(self.parameters)}
        groups = [{**group, "params": [numbers[id(p)] for p in group["params"]]} for group in self.param_groups]
        state = {i: {name: _copied(value) for name, value in entries.items()} for i, entries in self.state.items()}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where an optimiser stood when its :meth:`state_dict` was made; PyTorch's can be loaded too.

        Nothing is changed unless everything fits. Averages get the dtype and the backend of their parameters.

        Args:
            state_dict: as :meth:`state_dict` makes it; an average may be a tensor or an array.

        Raises:
            ShapeError: the groups have other numbers of parameters, or an average another shape than its parameter.
            ArgumentError: a setting is out of range or of another kind, or it is the state of another optimiser.
            DataError: something else stands in the place of a list, a dictionary or a number.
        """
        mapping("the state of an optimiser", state_dict, "state", "param_groups")
        saved = [mapping("a group", g, "params") for g in sequence("param_groups", state_dict["param_groups"])]
        theirs = [len(sequence("the params of a group", group["params"])) for group in saved]
        ours = [len(group["params"]) for group in self.param_groups]
        if ours != theirs:
            raise ShapeError(
                f"expected groups of {ours} parameters, got {theirs}. Build the optimiser with the same groups."
            )
        groups = [self._settings_of(group, loaded) for group, loaded in zip(self.param_groups, saved, strict=True)]
        entries = mapping("the state of the parameters", state_dict["state"])
        places = {str(i): place for place, i in enumerate(i for group in saved for i in group["params"])}
        if unknown := [i for i in entries if str(i) not in places]:
            raise ArgumentError(
                f"expected states of the parameters {', '.join(places)}, got one of {unknown[0]!r}. Build the "
                "optimiser with the groups that it was saved with."
            )
        state = {places[str(i)]: self._restored(places[str(i)], saved) for i, saved in entries.items()}
        for group, loaded in zip(self.param_groups, groups, strict=True):
            group.update(loaded)
        self.state = dict(sorted(state.items()))

    def _settings_of(self, group: Group, saved: Mapping[str, Any]) -> Group:
        """Check the settings that were saved of a group, and join them with our own."""
        settings = {name: tuple(x) if isinstance(x, list) else x for name, x in saved.items()}  # as JSON has them
        for name, own in group.items():
            if name != "params" and name in settings and _kind(own) != _kind(settings[name]):
                raise ArgumentError(
                    f"expected {name} to be like {own!r}, got {settings[name]!r}. Load what state_dict() of an "
                    "optimiser of the same kind gave."
                )
        joined = {**group, **settings, "params": group["params"]}
        _check_ranges(joined)
        return joined

    def _restored(self, place: int, saved: Any) -> State:
        """Make the state of a parameter of what was saved of it."""
        saved = mapping(f"the state of parameter {place}", saved)
        known, needed = (self._averages(dict.fromkeys(self.defaults, choice)) for choice in (True, False))
        if not {"step", *known} >= set(saved) >= set(needed):
            raise ArgumentError(
                f"expected the state of {type(self).__name__}, which keeps {', '.join(('step', *known))}, got "
                f"{', '.join(map(str, saved)) or 'nothing'}. Load it into the kind of optimiser that it was saved from."
            )
        like = self.parameters[place].value
        averages = {name: _average(name, saved[name], like) for name in known if saved.get(name) is not None}
        # A state without a count comes from PyTorch's SGD, which stores one from the first step on.
        return {"step": whole("step", saved.get("step", 1)), **averages}


# --- checks and copies ---------------------------------------------------------------------------------------


def _check_ranges(group: Group) -> None:
    for name, (low, high, hint) in RANGES.items():
        for n in np.atleast_1d(group.get(name, low)):
            if not (isinstance(n, (int, float, np.number)) and low <= n <= high and n < math.inf):
                bound = "of 0 or more" if high == math.inf else f"from 0 to {'1' if high == 1.0 else 'below 1'}"
                raise ArgumentError(f"expected {name} {bound}, got {group[name]!r}. {hint}")
    if "betas" in group and np.shape(group["betas"]) != (2,):
        raise ArgumentError(f"expected betas as two numbers, got {group['betas']!r}. Write (0.9, 0.999), for example.")


def _copied(value: Any) -> Any:
    return value._new(TensorData.from_array(np.array(value.to_numpy()))) if isinstance(value, Tensor) else value


def _kind(setting: Any) -> Any:
    """Tell numbers, truth values, and tuples of as many numbers apart."""
    if isinstance(setting, tuple):
        return tuple(_kind(x) for x in setting)
    return float if isinstance(setting, (int, float, np.number)) and not isinstance(setting, bool) else type(setting)


def _average(name: str, value: Any, like: Any) -> Any:
    """Make an average of what was saved, like the value of its parameter."""
    if not isinstance(like, Tensor):
        return float(number(name, value))
    array = np.asarray(value.to_numpy() if isinstance(value, Tensor) else value)
    if array.shape != like.shape or array.dtype.kind not in "biuf":
        raise ShapeError(
            f"expected {name} of shape {like.shape} as its parameter, got {array.shape} of {array.dtype}. Build the "
            "model and the optimiser with the arguments that they were saved with."
        )
    return like._new(TensorData.from_array(array.astype(like.dtype, order="C")))
