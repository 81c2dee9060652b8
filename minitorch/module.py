"""A tree of modules and their parameters (course module 0, task 0.4).

Whatever is assigned to an attribute sorts itself: a :class:`Parameter` is what training changes, a :class:`Buffer` is
what a module remembers by itself, a :class:`Module` is a branch of the tree, anything else is an ordinary attribute.
"""

from __future__ import annotations

import difflib
import itertools
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from .cells import read, write
from .errors import ArgumentError, BackendError, DataError, DTypeError, IndexingError, MiniTorchError, ShapeError
from .state import Arrays, IncompatibleKeys, arrays_of, fill, move

if TYPE_CHECKING:
    import numpy.typing as npt

    from .tensor_ops import TensorBackend

__all__ = ["Buffer", "Module", "Parameter", "last_change"]

# Where a module keeps what is sorted by its kind.
TABLES = ("_parameters", "_buffers", "_modules")

# What is reported with the path of the layer that noticed it.
MISTAKES = (ShapeError, IndexingError, DTypeError, BackendError, DataError)


class _Change:
    """The number of the last change of an attribute of any module.

    A compiled step compares one integer before it looks at its modules again. Numbers are never given twice, not
    even to two threads.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.number = 0

    def note(self) -> None:
        """Count a change."""
        self.number = next(self._numbers)


last_change = _Change()


class Module:
    """A part of a model: its parameters, the modules inside it, and what it computes in ``forward``.

    A subclass calls ``super().__init__()`` first, then assigns parameters and modules, and defines ``forward``.

    Attributes:
        training: True in training mode, False in evaluation mode; dropout and the like look at it.

    >>> class Line(Module):
    ...     def __init__(self) -> None:
    ...         super().__init__()
    ...         self.slope = Parameter(2.0)
    ...         self.offset = Parameter(1.0)
    ...
    ...     def forward(self, x: float) -> float:
    ...         return self.slope.value * x + self.offset.value
    >>> Line()(3.0)
    7.0
    >>> [name for name, _ in Line().named_parameters()]
    ['slope', 'offset']
    """

    _modules: dict[str, Module]
    _parameters: dict[str, Parameter]
    _buffers: dict[str, Buffer]
    training: bool

    def __init__(self) -> None:
        self._modules = {}
        self._parameters = {}
        self._buffers = {}
        self.training = True

    # --- the tree ---

    def modules(self) -> Sequence[Module]:
        """List the modules directly inside this one, as the course has it; PyTorch calls them ``children``.

        :meth:`named_modules` walks the whole tree: ``[module for _, module in model.named_modules()]`` are PyTorch's
        ``model.modules()``.
        """
        return list(self._modules.values())

    def children(self) -> Iterator[Module]:
        """Walk the modules directly inside this one, as PyTorch's ``children`` does."""
        return iter(self.modules())

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call a function with each module inside, from the inside to the outside, and with this one at last.

        Args:
            fn: what is called, for example to fill weights anew: ``init.xavier_uniform_(module.weight)``.

        Returns:
            The module itself.

        >>> model = Module()
        >>> model.inner = Module()
        >>> model.apply(lambda module: print(list(module.children())))
        []
        [Module()]
        Module(
          (inner): Module()
        )
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Walk this module and all below it, each once and before those inside it, with dotted names."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [("", self)]
        while stack:
            name, module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield name, module
            children = [(_join(name, key), child) for key, child in module._modules.items()]
            stack.extend(reversed(children))

    def named_parameters(self) -> Sequence[tuple[str, Parameter]]:
        """List the parameters of this module and of all below it, with dotted names such as ``layer1.weight``.

        A parameter or a module that is shared, found under two names, is listed once, under the first of them, so
        that an optimiser moves it once.
        """
        return [(name, held) for name, held in self._named_values() if isinstance(held, Parameter)]

    def parameters(self) -> Sequence[Parameter]:
        """List the parameters of this module and of all below it, in the order of :meth:`named_parameters`."""
        return [parameter for _, parameter in self.named_parameters()]

    def named_buffers(self) -> Sequence[tuple[str, Buffer]]:
        """List the buffers of this module and of all below it, with dotted names, each once."""
        return [(name, held) for name, held in self._named_values() if isinstance(held, Buffer)]

    def buffers(self) -> Sequence[Buffer]:
        """List the buffers of this module and of all below it, in the order of :meth:`named_buffers`."""
        return [buffer for _, buffer in self.named_buffers()]

    def named_state(self) -> Sequence[tuple[str, Parameter | Buffer]]:
        """List what a saved model consists of, in PyTorch's order: parameters, and the buffers that are persistent.

        >>> layer = Module()
        >>> layer.weight, layer.mean = Parameter(2.0), Buffer(0.5)
        >>> [(name, held.value) for name, held in layer.named_state()]
        [('weight', 2.0), ('mean', 0.5)]
        """
        return [(name, held) for name, held in self._named_values() if isinstance(held, Parameter) or held.persistent]

    def _named_values(self) -> Sequence[tuple[str, Parameter | Buffer]]:
        """List the parameters and the buffers of each module, with dotted names, each once."""
        first_name: dict[int, tuple[str, Parameter | Buffer]] = {}
        for prefix, module in self.named_modules():
            for key, held in (*module._parameters.items(), *module._buffers.items()):
                first_name.setdefault(id(held), (_join(prefix, key), held))
        return list(first_name.values())

    def train(self, mode: bool = True) -> Self:
        """Put this module and all below it into training mode, or into evaluation mode where ``mode`` is False.

        Args:
            mode: what ``training`` becomes.

        Returns:
            The module itself.

        Raises:
            ArgumentError: the mode is neither True nor False.

        >>> model = Module()
        >>> was_training = model.training
        >>> model.eval().training, model.train(was_training).training
        (False, True)
        """
        if not isinstance(mode, bool):
            raise ArgumentError(
                f"expected True for training mode or False for evaluation mode, got {mode!r}. Write model.train() or "
                "model.eval()."
            )
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Put this module and all below it into evaluation mode, as ``train(False)`` does, and return it."""
        return self.train(False)

    # --- saving ---

    def state_dict(self) -> Arrays:
        """Copy every parameter and persistent buffer into an array, by its dotted name.

        Returns:
            The arrays of :meth:`named_state`, as :func:`minitorch.save` and PyTorch name them.

        Raises:
            DTypeError: a value is no tensor.

        >>> from minitorch.layers import Linear
        >>> {name: array.shape for name, array in Linear(3, 2).state_dict().items()}
        {'weight': (2, 3), 'bias': (2,)}
        """
        return arrays_of(self.named_state())

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Give every parameter and persistent buffer the array of its name, converted to its dtype.

        Nothing is changed unless everything fits.

        Args:
            state_dict: arrays or tensors by dotted name; PyTorch's names are the same for layers of the same kind.
            strict: refuse names that are missing or unexpected; with False what has no partner stays as it is.

        Returns:
            The names that are missing and those that are unexpected, as PyTorch gives them.

        Raises:
            ShapeError: a name is missing or unexpected, or a shape differs; the message lists all of them. Shapes
                must agree also where ``strict`` is False.
            DTypeError: there are no names, or a value is neither an array nor a tensor.

        >>> from minitorch.layers import Linear
        >>> first, second = Linear(2, 1, bias=False), Linear(2, 1)
        >>> second.load_state_dict(first.state_dict(), strict=False)
        IncompatibleKeys(missing_keys=['bias'], unexpected_keys=[])
        >>> second.weight.value.tolist() == first.weight.value.tolist()
        True
        """
        return fill(type(self).__name__, self.named_state(), state_dict, strict)

    # --- moving ---

    def to(self, target: TensorBackend | npt.DTypeLike) -> Self:
        """Move every parameter and buffer to another backend, or convert those of floats to another dtype.

        The parameters stay the same objects. Gradients are not carried along, and neither is what an optimiser has
        gathered: make the optimiser afterwards.

        Args:
            target: a backend, such as ``minitorch.FastBackend``, or a dtype, ``"float32"`` or ``"float64"``.

        Returns:
            The module itself.

        Raises:
            DTypeError: the target is neither, or a value is no tensor. Nothing is changed.

        >>> from minitorch.layers import BatchNorm1d
        >>> layer = BatchNorm1d(2).to("float32")
        >>> layer.weight.value.dtype, layer.num_batches_tracked.value.dtype
        (dtype('float32'), dtype('int64'))
        """
        move(self._named_values(), target)
        return self

    # --- attributes ---

    def add_parameter(self, k: str, v: Any) -> Parameter:
        """Make a parameter whose name is computed rather than written.

        Args:
            k: its name in this module.
            v: its value, or a parameter that already exists.

        Returns:
            The parameter, which is now an attribute too.

        Raises:
            ArgumentError: the name is empty, has a dot in it, or is a method's.

        >>> layer = Module()
        >>> layer.add_parameter("weight_0", 0.5).value, layer.weight_0.value
        (0.5, 0.5)
        """
        parameter = v if isinstance(v, Parameter) else Parameter(v, k)
        self._register("_parameters", k, parameter)
        return parameter

    def register_buffer(self, name: str, value: Any, persistent: bool = True) -> None:
        """Make a buffer, as ``self.name = Buffer(value, persistent)`` does.

        Args:
            name: its name in this module.
            value: its value; None makes an attribute that is None.
            persistent: whether it is saved with the model.

        Raises:
            ArgumentError: the name is empty, has a dot in it, or is a method's.

        >>> layer = Module()
        >>> layer.register_buffer("mask", 0.5)
        >>> layer.mask.value
        0.5
        """
        setattr(self, name, None if value is None else Buffer(value, persistent))

    def __setattr__(self, key: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self._register("_parameters", key, value)
        elif isinstance(value, Buffer):
            self._register("_buffers", key, value)
        elif isinstance(value, Module):
            self._register("_modules", key, value)
        else:
            self._refuse_to_hide(key, value)
            super().__setattr__(key, value)
            last_change.note()

    def _register(self, table: str, key: str, value: Parameter | Buffer | Module) -> None:
        kind = type(value).__name__
        if table not in self.__dict__:
            raise MiniTorchError(
                f"Expected {type(self).__name__}.__init__ to call super().__init__() before it assigns the {kind} "
                f"{key!r}. Make that call its first line."
            )
        if not key or "." in key:
            raise ArgumentError(
                f"Expected a name without dots for the {kind}, got {key!r}. Dots join the names of nested modules."
            )
        if hasattr(type(self), key):
            raise ArgumentError(
                f"Expected a free name for the {kind}, got {key!r}, which the class {type(self).__name__} defines. "
                "Choose another name."
            )
        # A name means one thing: what it meant before must not stay behind and be found first.
        for other in (self.__dict__, self._parameters, self._buffers, self._modules):
            if other is not self.__dict__[table]:
                other.pop(key, None)
        self.__dict__[table][key] = value
        last_change.note()

    def _refuse_to_hide(self, key: str, value: Any) -> None:
        for table, kind in (("_parameters", "Parameter"), ("_buffers", "Buffer")):
            if key in self.__dict__.get(table, ()):
                raise ArgumentError(
                    f"Expected a {kind} for {key!r}, got {type(value).__name__}. "
                    f"Write {key}.update(value) to change its value, or del the attribute first."
                )
        if key in self.__dict__.get("_modules", ()):
            raise ArgumentError(
                f"Expected a Module for {key!r}, got {type(value).__name__}. Del the attribute first to reuse its name."
            )

    def __getattr__(self, key: str) -> Any:
        # Python comes here only after its own search has failed.
        for table in TABLES:
            if key in self.__dict__.get(table, ()):
                return self.__dict__[table][key]
        message = f"{type(self).__name__} has no attribute {key!r}."
        if close := difflib.get_close_matches(key, dir(self), n=1):
            message += f" Did you mean {close[0]!r}?"
        # The name and the object are left out of the exception, or Python would add a suggestion of its own.
        raise AttributeError(message)

    def __delattr__(self, key: str) -> None:
        for table in (self._parameters, self._buffers, self._modules):
            if key in table:
                del table[key]
                break
        else:
            super().__delattr__(key)
        last_change.note()

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(key for table in TABLES for key in self.__dict__.get(table, ()))]

    # --- use ---

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the module's result; a subclass defines it, with arguments of its own.

        Raises:
            NotImplementedError: the subclass does not define it.
        """
        raise NotImplementedError(
            f"Expected {type(self).__name__} to define forward(self, ...), and it does not. "
            "Write that method: calling the module runs it."
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward``; a mistake that a module inside notices is reported with its path, ``Network.head.0``."""
        try:
            return self.forward(*args, **kwargs)
        except MISTAKES as error:
            _locate(error)
            raise

    def extra_repr(self) -> str:
        """Name the settings that ``print(model)`` shows; a subclass defines it, as in PyTorch.

        It stands for the parameters of the module itself: their shapes follow from the settings.

        Returns:
            One line, or several; nothing where the parameters say it all.
        """
        return ""

    def __repr__(self) -> str:
        """Draw the tree: the settings of each module, or else a line for each parameter, and the modules inside it.

        >>> network = Module()
        >>> network.layer = Module()
        >>> network.layer.bias = Parameter(0.5)
        >>> network
        Module(
          (layer): Module(
            (bias): Parameter(0.5)
          )
        )
        >>> network.layer.extra_repr = lambda: "bias=0.5"
        >>> network
        Module(
          (layer): Module(bias=0.5)
        )
        """
        return self._draw(())

    def _draw(self, above: tuple[Module, ...]) -> str:
        name = type(self).__name__
        if any(module is self for module in above):
            return f"{name}(...)"
        extra = self.extra_repr()
        lines = extra.splitlines()
        if not extra:
            lines = [f"({key}): {_summary(parameter)}" for key, parameter in self._parameters.items()]
        elif len(lines) == 1 and not self._modules:
            return f"{name}({extra})"
        lines += [f"({key}): {module._draw((*above, self))}" for key, module in self._modules.items()]
        if not lines:
            return f"{name}()"
        body = "\n".join(lines).replace("\n", "\n  ")
        return f"{name}(\n  {body}\n)"


class _Held:
    """A value in a cell of its own, which a compiled step looks up anew in every call."""

    @property
    def value(self) -> Any:
        """The value as it is now."""
        return read(self, "_value")

    @value.setter
    def value(self, x: Any) -> None:
        write(self, "_value", x)

    def __repr__(self) -> str:
        return repr(self.value)

    def __str__(self) -> str:
        return str(self.value)


class Buffer(_Held):
    """A value that a :class:`Module` remembers and training does not change, such as a running average.

    Args:
        x: the value; of a tensor that is recorded, its data alone.
        persistent: whether it is saved with the model.

    >>> buffer = Buffer(5.0)
    >>> buffer.update(6.0)
    >>> buffer.value
    6.0
    """

    def __init__(self, x: Any, persistent: bool = True) -> None:
        self.persistent = persistent
        self.update(x)

    def update(self, x: Any) -> None:
        """Replace the value."""
        self.value = x.detach() if hasattr(x, "detach") else x


class Parameter(_Held):
    """A value that training changes, held by a :class:`Module`.

    It holds anything: a number, a Scalar, a Tensor. A value with a method ``requires_grad_`` is told that its
    derivative is wanted.

    Args:
        x: the value.
        name: given to such a value too, where there is one.

    >>> p = Parameter(5.0)
    >>> p.update(6.0)
    >>> p.value
    6.0
    """

    def __init__(self, x: Any, name: str | None = None) -> None:
        self.name = name
        self.update(x)

    def update(self, x: Any) -> None:
        """Replace the value."""
        self.value = x
        if hasattr(x, "requires_grad_"):
            x.requires_grad_(True)
            if self.name:
                x.name = self.name


# --- what they share -----------------------------------------------------------------------------------------


def _join(prefix: str, key: str) -> str:
    return f"{prefix}.{key}" if prefix else key


def _summary(parameter: Parameter) -> str:
    """Describe a parameter in one line: by its shape if it has one, otherwise by its value."""
    shape = getattr(parameter.value, "shape", None)
    return f"Parameter({parameter.value!r})" if shape is None else f"Parameter(shape={tuple(shape)})"


def _locate(error: MiniTorchError) -> None:
    """Write into a message which layer it comes from: ``Network.features.3 (Linear): ...``.

    Each module that the exception passes calls this, from the inside to the outside, and puts a longer path in the
    place of the one before.
    """
    modules = _modules_called(error)
    if place := _place(modules):
        message = str(error).removeprefix(_place(modules[1:])).removeprefix(f"{type(modules[-1]).__name__}: ")
        error.args = (f"{place}{message}",)


def _modules_called(error: MiniTorchError) -> list[Module]:
    """List the modules whose calls an exception has passed so far, from the outside to the inside."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return [frame.f_locals["self"] for frame in frames if frame.f_code is Module.__call__.__code__]


def _place(modules: Sequence[Module]) -> str:
    """Say where in the first of nested modules the last one is; nothing where they are the same one.

    A layer that is found under several names has the first of them. One that is no part of the module that runs it, as
    in an ordinary list, has none.
    """
    path = ""
    for outer, inner in itertools.pairwise(modules):
        names = [name for name, module in outer.named_modules() if module is inner]
        path = _join(path, names[0]) if names else f"{path} > {type(inner).__name__}"
    if not path:
        return ""
    dot = "" if path.startswith(" ") else "."
    return f"{type(modules[0]).__name__}{dot}{path} ({type(modules[-1]).__name__}): "
