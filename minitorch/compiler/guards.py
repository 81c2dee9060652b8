"""What a program depends on besides its inputs, and what a step must not change.

A step is traced once, so whatever Python decided by while it was traced is frozen into the program. This file finds
what that can be: it reads the bytecode of the step, and of the user's functions and methods that it can reach, for the
names that they mention, and follows these names to the values behind them. A value is then guarded:

- numbers, text, None, and tuples of them: by equality;
- the contents of lists, dictionaries and sets: element by element; with more than :data:`LIMIT` they are refused;
- a module: its plain attributes, and the identity of its parameters and of the modules inside it;
- everything else: by identity.

``Guards.hold`` looks at all of this before every call, in straight-line code that is written for the step; while no
module's attribute is set anywhere, one integer answers for all modules. The same values are compared before and after
the trace: what changed is a side effect, which the program would not repeat.

The values of parameters, and an optimiser's settings and averages, are not guarded here: a program looks them up in
every call (see :mod:`minitorch.cells`). Functions of this package, of NumPy and of Python are not read. A step that
asks the world, such as the clock, is refused, and one that makes up the names of attributes, as in
``getattr(settings, name)``, has all attributes of the user's objects guarded.
"""

from __future__ import annotations

import collections
import dis
import functools
import linecache
import operator
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..errors import CompileError
from ..module import Module, Parameter, last_change
from ..optim import Optimizer
from ..tensor import Tensor
from .bytecode import constant_name, loaded, outside
from .trace import ARRAY_LIMIT, TraceBackend
from .written import WrittenFunction

if TYPE_CHECKING:
    from .trace import Tracer

__all__ = ["Guards", "is_plain", "same"]

# Elements of a list, a dictionary or a set that are compared in every call; longer ones are refused.
LIMIT = 4096
# Elements of a list or a dictionary that are compared by a line of code of their own.
SHORT = 16

PACKAGE = __name__.partition(".")[0]
LIBRARIES = frozenset((PACKAGE, "numpy", "numba", "builtins", "_pytest")) | sys.stdlib_module_names

PLAIN = (int, float, complex, str, bytes, range, type(None), np.generic)
CONTAINERS = (list, dict, set, collections.deque, np.ndarray)
# Methods that change a container.
GROWING = {"add", "append", "appendleft", "extend", "extendleft", "insert", "setdefault", "update"}
MUTATORS = GROWING | {"clear", "discard", "pop", "popitem", "popleft", "remove", "reverse", "rotate", "sort"}
CONSTRUCTORS = ("__init__", "__new__", "__post_init__")
FILE_METHODS = ("read_bytes", "read_text")  # of a path
MODULE_TABLES = ("_parameters", "_buffers", "_modules")
MISSING = object()
OUTSIDE = "Return the value and do this outside the step, or run inside `with minitorch.debug():`."


# --- places: where a step finds a value ------------------------------------------------------------------------


@dataclass
class Place:
    """A name or an attribute: ``read(key)`` gives what is there."""

    name: str
    holder: Any  # a namespace, a closure's cell, or an object with slots
    key: str
    read: Callable[[str], Any]
    value: Any = MISSING
    module: bool = False  # an attribute of a module, so that last_change tells when it is set
    attribute: bool = False
    shadows: bool = False  # absent, and a class has an attribute of this name

    def now(self) -> Any:
        """Look the value up."""
        try:
            return self.read(self.key)
        except (KeyError, AttributeError, ValueError):  # ValueError: an empty closure's cell
            return MISSING


@dataclass
class Contents:
    """A container, and what was in it."""

    name: str
    key: str
    container: Any
    guarded: bool = True  # else it is only compared before and after the trace
    module: bool = False
    before: list[Any] = field(init=False)
    plain_list: bool = field(init=False)  # its own list of elements

    def __post_init__(self) -> None:
        self.before = _elements(self.container)
        self.plain_list = type(self.container) is list

    def same(self) -> bool:
        """Tell whether the same elements are there."""
        now, before = self.container if self.plain_list else _elements(self.container), self.before
        if len(now) != len(before):
            return False
        return all(map(operator.is_, now, before)) or all(map(same, now, before))

    def restore(self) -> None:
        """Take out what the trace put in."""
        size = len(self.before)
        if isinstance(self.container, dict):
            pairs = zip(self.before[: size // 2], self.before[size // 2 :], strict=True)
            self.container.clear()
            self.container.update(pairs)
        elif isinstance(self.container, (list, collections.deque)):
            self.container.clear()
            self.container.extend(self.before)


def _elements(container: Any) -> list[Any]:
    if isinstance(container, np.ndarray):
        # A larger array is refused once the trace is done.
        few = container.nbytes <= ARRAY_LIMIT
        return [container.shape, container.dtype.str, container.tobytes() if few else b""]
    return [*container, *container.values()] if isinstance(container, dict) else list(container)


def is_plain(value: Any) -> bool:
    """Tell whether a value is a number, text, None, or a tuple of them."""
    return isinstance(value, PLAIN) or (type(value) is tuple and all(map(is_plain, value)))


def same(a: Any, b: Any) -> bool:
    """Tell whether two values are one, or numbers or texts that no step could tell apart."""
    # The text of a number tells 1 from 1.0 and from True, 0.0 from -0.0, and finds NaN equal to itself.
    return a is b or (type(a) is type(b) and is_plain(a) and repr(a) == repr(b))


def _is_library(module: str | None) -> bool:
    return (module or "").partition(".")[0] in LIBRARIES


def _is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == PACKAGE


def _is_of_the_user(value: Any) -> bool:
    """Tell whether an object holds what a user put there: it is of a class of the user, or a namespace."""
    kind = type(value)
    return not _is_library(kind.__module__) or kind.__name__ in ("SimpleNamespace", "Namespace")


def _objects_in(arguments: Any) -> list[Any]:
    """List what is neither data nor a container of data among arguments: modules, functions, objects."""
    if isinstance(arguments, dict):
        arguments = arguments.values()
    elif not isinstance(arguments, (list, tuple)):
        return [] if isinstance(arguments, (*PLAIN, Tensor, np.ndarray)) else [arguments]
    return [x for argument in arguments for x in _objects_in(argument)]


def _traced(value: Any) -> list[Tensor]:
    """List the traced tensors in a value."""
    if isinstance(value, Tensor):
        return [value] if value.backend is TraceBackend else []
    if isinstance(value, (list, tuple)):
        return [t for v in value for t in _traced(v)]
    return _traced(list(value.values())) if isinstance(value, dict) else []


# --- what a step can reach --------------------------------------------------------------------------------------


class Reach:
    """Everything that a step can read by name, as it is now.

    Args:
        roots: the step and its arguments.
    """

    def __init__(self, roots: Iterable[Any]) -> None:
        self.places: dict[tuple[int, str], Place] = {}
        self.contents: dict[int, Contents] = {}
        # What code asks the world, by which function, where, and the code.
        self.outside: list[tuple[str, str, str, types.CodeType]] = []
        self._held: list[tuple[str, str, str]] = []  # such functions that stand in names
        self.random: list[tuple[str, Any]] = []
        self.iterators: list[tuple[str, str]] = []  # as messages call them, and as code does
        self.codes: list[types.CodeType] = []
        self._names = {"forward", "__call__"}  # of attributes that any reached code mentions
        self._stored: set[str] = set()  # those of them that it sets
        self._asked: set[str] = set()  # names of attributes that may be absent
        self._made_up = False  # some code makes up names of attributes
        self._seen: dict[int, Any] = {}
        self._objects: list[tuple[Any, str]] = []
        for root in roots:
            if isinstance(root, types.FunctionType):  # read even if it is this package's own
                self._function(root)
            elif isinstance(root, types.MethodType):
                self._function(root.__func__)
                self._follow(root.__self__, "self")
            else:
                self._follow(root, type(root).__name__)
        # Code mentions names of attributes, attributes lead to objects, and objects to further code.
        size = -1
        while size < self._size():
            size = self._size()
            for value, name in list(self._objects):
                self._attributes(value, name)
        for asked, name, key in self._held:
            where = self.line(key, changed=True)
            for code in self.codes:
                if key in code.co_names or key in code.co_freevars:
                    self.outside.append((asked, name, where, code))
        self.optimizers = [(value, name) for value, name in self._objects if isinstance(value, Optimizer)]
        for optimizer, name in self.optimizers:
            self._settings(optimizer, name)

    def _size(self) -> int:
        return len(self._names) + len(self._stored) + len(self._asked) + len(self._objects) + self._made_up

    def _place(self, name: str, holder: Any, key: str, **kind: bool) -> None:
        if (id(holder), key) in self.places:
            return
        if isinstance(holder, types.CellType):
            read: Callable[[str], Any] = holder.__getattribute__
        else:
            read = holder.__getitem__ if isinstance(holder, dict) else functools.partial(getattr, holder)
        place = self.places[id(holder), key] = Place(name, holder, key, read, **kind)
        place.value = place.now()
        if place.value is not MISSING:
            self._follow(place.value, name, _code_name(name, key))

    def _follow(self, value: Any, name: str, key: str = "") -> None:
        """Look into a value."""
        if isinstance(value, (*PLAIN, Tensor, Parameter)) or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if (found := outside(value)) is not None:
            self._held.append((*found, key))
        if isinstance(value, Iterator):
            self.iterators.append((name, key))
        if isinstance(value, CONTAINERS):
            self.contents[id(value)] = Contents(name, key, value)
        if isinstance(value, (tuple, frozenset, *CONTAINERS)):
            if not isinstance(value, np.ndarray):
                for element in value.values() if isinstance(value, dict) else value:
                    self._follow(element, f"{name}[...]", key)
        elif isinstance(value, Module):
            for path, module in value.named_modules():
                self._seen[id(module)] = module
                self._objects.append((module, f"{name}.{path}" if path else name))
        elif isinstance(value, operator.attrgetter):
            self._names.update(part for path in value.__reduce__()[1] for part in path.split("."))
        elif isinstance(value, functools.partial):
            for part in (value.func, *value.args, *value.keywords.values()):
                self._follow(part, name, key)
        elif isinstance(value, (staticmethod, classmethod)):
            self._follow(value.__func__, name, key)
        elif isinstance(value, property):
            self._follow(value.fget, name, key)
        elif isinstance(value, functools.cached_property):
            self._follow(value.func, name, key)
        elif isinstance(value, types.MethodType):
            self._follow(value.__func__, name, key)
            self._follow(value.__self__, name, key)
        elif isinstance(value, types.FunctionType):
            if not _is_library(value.__module__):
                self._function(value)
        elif isinstance(value, (types.ModuleType, type)):
            if not _is_library(value.__name__ if isinstance(value, types.ModuleType) else value.__module__):
                self._objects.append((value, name))
        elif hasattr(value, "__dict__") or not _is_library(type(value).__module__):
            self._objects.append((value, name))
        if isinstance(value, (np.random.Generator, np.random.RandomState)) or type(value).__module__ == "random":
            self.random.append((key, value))

    def _attributes(self, value: Any, name: str) -> None:
        """Look at those attributes of an object that some code mentions, and at all plain ones of a module."""
        space = getattr(value, "__dict__", {})
        is_module = isinstance(value, Module)
        if is_module:
            for table in MODULE_TABLES:
                self.contents.setdefault(id(space[table]), Contents(name, table, space[table], module=True))
        if "fn" in space and _is_ours(type(value)):
            self._follow(space["fn"], name)  # a compiled step inside a step
        if isinstance(space, dict) and (is_module or not _is_ours(type(value))):
            for key in list(space):
                if key in self._names or self._is_watched(value, key, space[key]):
                    self._place(f"{name}.{key}", space, key, module=is_module, attribute=True)
            for key in (self._stored | self._asked).difference(space):
                self._place(f"{name}.{key}", space, key, module=is_module, attribute=True)
            for key in self._asked.difference(space):
                self.places[id(space), key].shadows = True
            if self._made_up and not is_module and _is_of_the_user(value):
                self.contents.setdefault(id(space), Contents(name, "", space.keys()))
        for kind in value.__mro__ if isinstance(value, type) else type(value).__mro__:
            if not _is_library(kind.__module__):
                self._class(kind, value, name)

    def _is_watched(self, value: Any, key: str, found: Any) -> bool:
        """Tell whether an attribute is guarded that no code mentions."""
        if self._made_up and isinstance(value, types.ModuleType):
            return is_plain(found)
        if self._made_up and _is_of_the_user(value):
            return key not in MODULE_TABLES and not isinstance(found, Iterator)
        return isinstance(value, Module) and is_plain(found)

    def _class(self, kind: type, value: Any, name: str) -> None:
        space = None if isinstance(value, type) else getattr(value, "__dict__", None)
        for key, found in list(vars(kind).items()):
            # Python calls some methods without a word in the code: operators, and of a class the constructor.
            implied = isinstance(found, types.FunctionType) and key.startswith("__")
            watched = self._made_up and not key.startswith("__")
            implied = implied and (isinstance(value, type) or key not in CONSTRUCTORS)
            if not (key in self._names or watched or implied):
                continue
            if isinstance(found, types.MemberDescriptorType):  # of __slots__
                if not isinstance(value, type):
                    self._place(f"{name}.{key}", value, key, attribute=True)
            elif callable(found) or isinstance(found, (property, functools.cached_property, staticmethod, classmethod)):
                self._follow(found, f"{name}.{key}", key)
            else:
                self._place(f"{kind.__name__}.{key}", kind, key, attribute=True)
                if space is not None and key not in space:
                    module = isinstance(value, Module)
                    self._place(f"{name}.{key}", space, key, module=module, attribute=True)
                    self.places[id(space), key].shadows = True

    def _settings(self, optimizer: Optimizer, name: str) -> None:
        """Look at an optimiser's settings: they are guarded only if the step reads them past the cells."""
        read_directly = "param_groups" in self._names
        for group in optimizer.param_groups:
            self.contents[id(group)] = Contents(f"{name}.param_groups", "param_groups", group, guarded=read_directly)

    def _function(self, function: types.FunctionType) -> None:
        self._seen[id(function)] = function
        for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._follow(default, function.__name__)
        self._objects.append((function, function.__name__))
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        self._code(function.__code__, function.__globals__, cells)

    def _code(self, code: types.CodeType, names: dict[str, Any], cells: dict[str, types.CellType]) -> None:
        """Read the names in a function's bytecode, and in that of the functions written inside it."""
        self.codes.append(code)
        instructions = list(dis.get_instructions(code))
        for place, (instruction, value) in enumerate(loaded(code, names, cells)):
            operation, key = instruction.opname, instruction.argval
            if operation.endswith(("_GLOBAL", "_NAME")) and operation != "IMPORT_NAME":
                if isinstance(names.get(key), types.ModuleType):
                    self._follow(names[key], key, key)
                elif key in names or operation.startswith("STORE"):
                    self._place(key, names, key)
            elif operation == "IMPORT_NAME":
                self._follow(sys.modules.get(key), key, key)
            elif operation.endswith("DEREF") and key in cells:
                self._place(key, cells[key], "cell_contents")
            elif operation.endswith(("_ATTR", "_METHOD")) or operation == "IMPORT_FROM":
                if key != "__dict__":
                    self._names.add(key)
                if operation == "STORE_ATTR":
                    self._stored.add(key)
            self._question(code, instructions, place, value, _is_library(names.get("__name__")))
        if "AttributeError" in code.co_names:  # the code asks by trying
            self._asked.update(code.co_names)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._code(constant, names, cells)

    def _question(
        self, code: types.CodeType, instructions: list[dis.Instruction], place: int, value: Any, is_library: bool
    ) -> None:
        """Note what an instruction asks: the world, or an object for an attribute whose name is a value."""
        instruction = instructions[place]
        where = _at(code, instruction.positions.lineno or 0) if instruction.positions else ""
        if not is_library and (found := outside(value)) is not None:
            self.outside.append((*found, where, code))
        if not is_library and instruction.argval in FILE_METHODS and instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            self.outside.append(("a file", instruction.argval, where, code))
        if any(value is function for function in (eval, exec, globals)):
            self.outside.append(("Python for what it knows", value.__name__, where, code))
        if any(value is function for function in (getattr, hasattr, setattr, delattr)):
            name = constant_name(instructions, place)
            if name is None:
                self._made_up = True
            else:
                self._names.add(name)
                (self._asked if value in (getattr, hasattr) else self._stored).add(name)
        elif value is vars or value is operator.attrgetter or instruction.argval in ("__dict__", "__getattribute__"):
            self._made_up = True

    # --- lines ---------------------------------------------------------------------------------------------------

    def line(self, name: str, *, changed: bool = False) -> str:
        """Find where the code stores a name, or, with ``changed``, changes what it stands for; "" if nowhere."""
        stored, mentioned = "", ""
        for code in self.codes:
            at: dict[int, list[dis.Instruction]] = {}
            for instruction in dis.get_instructions(code):
                position = instruction.positions
                if position is not None and position.lineno is not None:
                    at.setdefault(position.lineno, []).append(instruction)
            for number, instructions in at.items():
                here = [i for i in instructions if i.argval == name]
                stores = any(i.opname.startswith("STORE") and not i.opname.startswith("STORE_FAST") for i in here)
                writes = any(i.opname.endswith("STORE_SUBSCR") or i.argval in MUTATORS for i in instructions)
                if here:
                    mentioned = mentioned or _at(code, number)
                if stores or (here and changed and writes):
                    stored = stored or _at(code, number)
        return stored or (mentioned if changed else "")


def _at(code: types.CodeType, line: int) -> str:
    text = linecache.getline(code.co_filename, line).strip()
    return f" ({Path(code.co_filename).name}:{line}{': ' if text else ''}{text})"


# --- guards -----------------------------------------------------------------------------------------------------


class Guards:
    """Checks that a program still stands for the step.

    Args:
        roots: the step and its arguments.

    Attributes:
        hold: tells whether everything that the program depends on is as it was; :meth:`after` writes it.
        text: of ``hold``.
        numbers: that the step reads outside, by name.
    """

    hold: Callable[[], bool]
    text: WrittenFunction
    numbers: dict[str, Any]

    def __init__(self, roots: tuple[Any, ...]) -> None:
        self._roots = roots
        self._reach = Reach(roots)
        self._drawn = _random_states(self._reach)
        self._ran: set[types.CodeType] | None = set()

    @staticmethod
    def before(fn: Any, args: Iterable[Any] = ()) -> Guards:
        """Look at everything that a step can reach, before it is traced."""
        return Guards((fn, *_objects_in(args)))

    def run(self, step: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run the step, and note which functions run, where some of them could ask the world."""
        before = sys.getprofile()
        if not self._reach.outside or before is not None:
            self._ran = None  # a profiler is at work: any of them may run
            return step(*args, **kwargs)
        ran = self._ran = set()
        sys.setprofile(lambda frame, event, _: ran.add(frame.f_code) if event == "call" else None)
        try:
            return step(*args, **kwargs)
        finally:
            sys.setprofile(None)

    def after(self, tracer: Tracer) -> None:
        """Compare with what is there after the trace, and remember it for :meth:`hold`.

        Raises:
            CompileError: the step changed something that a program would not change again, or drew random numbers
                that a program would not draw again.
        """
        outside = {id(source.like): source.like for source in tracer.sources if source.kind == "tensor"}
        for contents in self._reach.contents.values():
            self._refuse_changed_contents(contents)
        for place in self._reach.places.values():
            self._refuse_changed_place(place, outside)
        for name, key in self._reach.iterators:
            where = self._reach.line(_code_name(name, key), changed=True)
            _refuse(f"a compiled step cannot take the next element of the iterator `{name}`", where)
        self._refuse_drawing()
        self._refuse_asking()
        self._remember(Reach(self._roots), tracer, outside)

    def _refuse_changed_contents(self, contents: Contents) -> None:
        if contents.same():
            return
        if _traced(list(contents.container.values() if isinstance(contents.container, dict) else contents.container)):
            contents.restore()
        where = self._reach.line(_code_name(contents.name, contents.key), changed=True)
        _refuse(f"a compiled step cannot change the contents of `{contents.name}`", where)

    def _refuse_changed_place(self, place: Place, outside: dict[int, Tensor]) -> None:
        before, now = place.value, place.now()
        if same(before, now):
            return
        where = self._reach.line(_code_name(place.name, place.key))
        if place.attribute and (_traced(now) or isinstance(now, Tensor)):
            if isinstance(before, Tensor) and id(before) in outside:
                _refuse(f"a compiled step cannot carry a tensor from call to call in `{place.name}`", where)
            return  # kept for looking at, as in self.mid = ...
        described = f": it was {before!r} and became {now!r}" if is_plain(before) and is_plain(now) else ""
        _refuse(f"a compiled step cannot change `{place.name}`{described}", where)

    def _refuse_drawing(self) -> None:
        for (name, key, before), (_, _, now) in zip(self._drawn, _random_states(self._reach), strict=True):
            if before != now:
                raise CompileError(
                    f"a compiled step cannot draw random numbers from {name}: every call would get the same ones. "
                    "Draw them outside and pass them in, use layers.Dropout, which draws anew in every call, or run "
                    f"inside `with minitorch.debug():`.{self._reach.line(key, changed=True)}"
                )

    def _refuse_asking(self) -> None:
        for asked, name, where, code in self._reach.outside:
            if self._ran is None or code in self._ran:
                raise CompileError(
                    f"a compiled step cannot ask {asked} by `{name}`: every call would get the same answer. Read it "
                    f"outside and pass it in, or run inside `with minitorch.debug():`.{where}"
                )

    def _remember(self, reach: Reach, tracer: Tracer, outside: dict[int, Tensor]) -> None:
        kept = [
            place
            for place in reach.places.values()
            if place.value is not MISSING
            and not (place.attribute and (_traced(place.value) or _is_unread_tensor(place.value, outside)))
        ]
        self.numbers = {p.name: p.value for p in kept if isinstance(p.value, (int, float, np.number))}
        self._inside = [p for p in kept if p.module]
        self._contents_inside = [c for c in reach.contents.values() if c.module]
        places = [p for p in kept if not p.module]
        contents = [c for c in reach.contents.values() if c.guarded and not c.module]
        for each in contents:
            if isinstance(each.container, np.ndarray):
                tracer.check_array(each.container, each.name)
            elif len(each.container) > LIMIT:
                _refuse_long(each, reach)
        for optimizer, _ in reach.optimizers:
            space = vars(optimizer)
            places.append(Place("", space, "state", space.__getitem__, optimizer.state))
            groups = [optimizer.param_groups, *(group["params"] for group in optimizer.param_groups)]
            contents += [Contents("", "", x) for x in (optimizer.state, *groups)]
        absent = [p for p in reach.places.values() if p.shadows and p.value is MISSING]
        self.text = _write_hold(places, absent, contents, tracer)
        self.hold = self.text.made(guards=self)
        self._last_change = last_change.number
        del self._reach, self._drawn, self._roots, self._ran

    # --- before every call ---------------------------------------------------------------------------------------

    def _modules_hold(self) -> bool:
        number = last_change.number
        try:
            held = all(same(p.read(p.key), p.value) for p in self._inside)
        except KeyError:
            return False
        if not held or not all(contents.same() for contents in self._contents_inside):
            return False
        self._last_change = number
        return True


def _write_hold(places: list[Place], absent: list[Place], contents: list[Contents], tracer: Tracer) -> WrittenFunction:
    """Write the function that looks at everything before a call."""
    text = WrittenFunction("def hold():", last_change=last_change, same=same)
    text.add("if guards._last_change != last_change.number and not guards._modules_hold(): return False", "try:")
    for place in places:
        text.add(f"    now = {_read(text, place)}")
        value = text.name("value", place.value)
        equal = f" and not same(now, {value})" if is_plain(place.value) else ""
        text.add(f"    if now is not {value}{equal}: return False")
    for place in absent:
        text.add(f"    if {place.key!r} in {text.name('holder', place.holder)}: return False")
    for c in contents:
        _write_same(text, c)
    choices = {(id(holder), key, test): (holder, key, test, answer) for holder, key, test, answer in tracer.choices}
    for holder, key, test, answer in choices.values():
        now = f"{text.name('test', test)}({text.cell(holder, key)})"
        text.add(f"    if {now} != {text.name('value', answer)}: return False")
    # A name was deleted, a closure's cell emptied, or a container changed on the way.
    text.add("    return True", "except (KeyError, AttributeError, ValueError):", "    return False")
    return text


def _read(text: WrittenFunction, place: Place) -> str:
    holder = text.name("holder", place.holder)
    if isinstance(place.holder, types.CellType):
        return f"{holder}.cell_contents"
    return f"{holder}[{place.key!r}]" if isinstance(place.holder, dict) else f"getattr({holder}, {place.key!r})"


def _write_same(text: WrittenFunction, contents: Contents) -> None:
    """Compare a container: a short list or dictionary by the identity of its elements first."""
    container, same = contents.container, f"{text.name('contents', contents)}.same()"
    if type(container) not in (list, dict) or len(container) > SHORT:
        text.add(f"    if not {same}: return False")
        return
    name = text.name("container", container)
    text.add(f"    if len({name}) != {len(container)}: return False")
    if container:
        count = len(container)
        _write_identity(text, name, contents.before[:count], same)
        if isinstance(container, dict):
            _write_identity(text, f"{name}.values()", contents.before[count:], same)


def _write_identity(text: WrittenFunction, elements: str, before: list[Any], otherwise: str) -> None:
    names = [f"e{i}" for i in range(len(before))]
    text.add(f"    [{', '.join(names)}] = {elements}")
    changed = [f"{name} is not {text.name('value', value)}" for name, value in zip(names, before, strict=True)]
    text.add(f"    if ({' or '.join(changed)}) and not {otherwise}: return False")


def _code_name(name: str, key: str) -> str:
    """Give the name by which code mentions a place."""
    return name if key in ("", "cell_contents") else key


def _is_unread_tensor(value: Any, outside: dict[int, Tensor]) -> bool:
    return isinstance(value, Tensor) and id(value) not in outside


def _random_states(reach: Reach) -> list[tuple[str, str, Any]]:
    """Describe where the sources of random numbers stand: (its name, the word to look for in code, its state)."""
    states = [("NumPy's global generator", "random", _state_of(np.random))]
    if "random" in sys.modules:
        states.append(("Python's `random`", "random", sys.modules["random"].getstate()))
    return states + [(f"`{key}`", key, _state_of(source)) for key, source in reach.random]


def _state_of(source: Any) -> Any:
    if isinstance(source, np.random.Generator):
        return repr(source.bit_generator.state)
    if hasattr(source, "getstate"):
        return source.getstate()
    return [x.tobytes() if isinstance(x, np.ndarray) else x for x in source.get_state()]


def _refuse(what: str, where: str) -> NoReturn:
    raise CompileError(f"{what}, because the program would not repeat it. {OUTSIDE}{where}")


def _refuse_long(contents: Contents, reach: Reach) -> NoReturn:
    kind, size = type(contents.container).__name__, len(contents.container)
    raise CompileError(
        f"a compiled step uses the {kind} `{contents.name}` of {size} elements. They would be frozen, and beyond "
        f"{LIMIT} elements nobody notices when they change. Take what the step needs of it outside "
        "and pass it as an argument."
        f"{reach.line(_code_name(contents.name, contents.key), changed=True)}"
    )
