"""Containers: modules that hold modules, in the order of a list.

>>> from minitorch.activations import LeakyReLU, ReLU
>>> from minitorch.creation import tensor
>>> network = Sequential(LeakyReLU(0.5), ReLU())
>>> network(tensor([-2.0, 2.0])).tolist()
[0.0, 2.0]
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any, Self, overload

from .errors import ArgumentError, IndexingError
from .module import Module

__all__ = ["ModuleList", "Sequential"]


class _InOrder(Module):
    """What containers share: places, which count from 0 or from the end, beside names."""

    def _add(self, name: str, module: Any) -> None:
        if not isinstance(module, Module):
            raise ArgumentError(
                f"{type(self).__name__} holds modules, got {module!r} for {name!r}. {self._advice(module)}"
            )
        setattr(self, name, module)

    def _advice(self, given: Any) -> str:
        """Say how to make a module of something else."""
        if isinstance(given, type) and issubclass(given, Module):
            return f"Write {given.__name__}() with parentheses."
        if isinstance(given, (list, tuple)):
            kind = type(given).__name__
            return f"Put an asterisk before the {kind}, as in Sequential(*layers): it stands for the modules inside."
        return "Make a function a Module: put it into the method forward of a subclass."

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(list(self._modules.values()))

    def append(self, module: Module) -> Self:
        """Put a module behind the others, named by its place, and return the container."""
        place = len(self)
        while str(place) in self._modules:  # those of a slice keep their names
            place += 1
        self._add(str(place), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Put modules behind the others, and return the container."""
        for module in modules:
            self.append(module)
        return self

    def _name(self, place: Any) -> str:
        """Find the name of a place."""
        if not isinstance(place, int) or not -len(self) <= place < len(self):
            raise IndexingError(
                f"expected a place from {-len(self)} to {len(self) - 1}, got {place!r}. Places begin at 0."
            )
        return list(self._modules)[place]

    def __setitem__(self, place: int, module: Module) -> None:
        """Replace the module at a place, which keeps its name.

        Raises:
            IndexingError: there is no such place.
            ArgumentError: it is no module.
        """
        self._add(self._name(place), module)


class Sequential(_InOrder):
    """Run modules one behind the other.

    Args:
        modules: the modules, which are named by their places; or one ``OrderedDict`` with names of its own.

    Raises:
        ArgumentError: something is no module.

    >>> from minitorch.activations import LeakyReLU, ReLU
    >>> from minitorch.creation import tensor
    >>> network = Sequential(OrderedDict(leaky=LeakyReLU(0.5), relu=ReLU()))
    >>> network.leaky is network[0], len(network), len(network[1:])
    (True, 2, 1)
    """

    def __init__(self, *modules: Module | OrderedDict[str, Module]) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], dict):
            named = list(modules[0].items())
        else:
            named = [(str(i), module) for i, module in enumerate(modules)]
        for name, module in named:
            self._add(name, module)

    def forward(self, input: Any) -> Any:
        """Give each module what the one before it gave."""
        for module in self:
            input = module(input)
        return input

    @overload
    def __getitem__(self, key: int) -> Module: ...

    @overload
    def __getitem__(self, key: slice) -> Sequential: ...

    def __getitem__(self, key: int | slice) -> Module:
        """Give the module at a place, which may count from the end; or those of a slice, which keep their names.

        Raises:
            IndexingError: there is no such place.
        """
        if isinstance(key, slice):
            return Sequential(OrderedDict(list(self._modules.items())[key]))
        return self._modules[self._name(key)]


class ModuleList(_InOrder):
    """A list of modules, whose parameters the module that holds it has too. It runs nothing by itself.

    Args:
        modules: the modules, which are named by their places.

    Raises:
        ArgumentError: something is no module.

    >>> from minitorch.activations import ReLU, Tanh
    >>> layers = ModuleList([ReLU(), Tanh()])
    >>> layers.extend([ReLU()]).insert(0, Tanh())
    >>> [type(layer).__name__ for layer in layers]
    ['Tanh', 'ReLU', 'Tanh', 'ReLU']
    >>> del layers[0]
    >>> type(layers[0]).__name__, type(layers[-1]).__name__, len(layers[1:])
    ('ReLU', 'ReLU', 2)
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)

    @overload
    def __getitem__(self, key: int) -> Module: ...

    @overload
    def __getitem__(self, key: slice) -> ModuleList: ...

    def __getitem__(self, key: int | slice) -> Module:
        """Give the module at a place, or a new list of those of a slice.

        Raises:
            IndexingError: there is no such place.
        """
        if isinstance(key, slice):
            return ModuleList(list(self)[key])
        return self._modules[self._name(key)]

    def insert(self, index: int, module: Module) -> None:
        """Put a module before the place ``index``, as ``list.insert`` does."""
        kept = list(self)
        kept.insert(index, module)
        self._replace(kept)

    def __delitem__(self, key: int | slice) -> None:
        kept = list(self)
        if not isinstance(key, slice):
            self._name(key)
        del kept[key]
        self._replace(kept)

    def __iadd__(self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)

    def __add__(self, modules: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *modules])

    def _replace(self, modules: Iterable[Module]) -> None:
        """Hold other modules, named by their places again."""
        for name in list(self._modules):
            delattr(self, name)
        self.extend(modules)
