"""Everything that a step can reach by name, found in its bytecode without running it.

The bytecode of the step, and of the user's functions and methods that it can reach, mentions names; names lead to
values, and values to further code. Functions of this package, of NumPy and of Python are not read.
"""

from __future__ import annotations

import dis
import functools
import operator
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ...module import Buffer, Module, Parameter
from ...optim import Optimizer
from ...random import Generator
from ...tensor import Tensor
from .bytecode import (
    ATTRIBUTES,
    CELLS,
    GLOBALS,
    at_line,
    carried,
    constant_name,
    is_understood,
    line_of,
    loaded,
    may_be_asked,
    outside,
    questions,
)
from .places import CONTAINERS, MAPPINGS, MISSING, PLAIN, Contents, Place, code_name, is_buffer, is_plain
from .wrappers import cached, keeps_all, mentioned, parts, question

__all__ = ["PACKAGE", "Reach"]

PACKAGE = __name__.partition(".")[0]
LIBRARIES = frozenset((PACKAGE, "numpy", "numba", "builtins")) | sys.stdlib_module_names

CONSTRUCTORS = ("__init__", "__new__", "__post_init__")
FILE_METHODS = ("read_bytes", "read_text")  # of a path
MODULE_TABLES = ("_parameters", "_buffers", "_modules")
DESCRIPTORS = (property, functools.cached_property, functools.singledispatchmethod, staticmethod, classmethod)
SELF_GIVING = (types.FunctionType, property, functools.cached_property, staticmethod)  # the same to all who ask a class
DEFAULTS = ("__defaults__", "__kwdefaults__")
MAKERS = (vars, operator.attrgetter, operator.methodcaller)  # which look attributes up under names that are values


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
        self._carried: dict[int, Any] = {}  # modules whose members ask, under names of any kind
        self._states: list[tuple[Any, str, types.CodeType]] = []  # whose `state` code asks for, and where
        self.random: list[tuple[str, Any]] = []
        self.iterators: list[tuple[str, str]] = []  # as messages call them, and as code does
        self.codes: list[types.CodeType] = []
        self._names = {"forward", "__call__"}  # of attributes that any reached code mentions
        self._stored: set[str] = set()  # those of them that it sets
        self._asked: set[str] = set()  # names of attributes that may be absent
        self._made_up = False  # some code makes up names of attributes
        self._weak: set[int] = set()  # objects that a weak reference leads to: nothing here may keep them alive
        self._spaces: dict[type, types.MappingProxyType[str, Any]] = {}  # what classes define
        self._seen: dict[int, Any] = {}
        self._objects: list[tuple[Any, str]] = []
        self._listed: set[int] = set()
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
        for code in self.codes if self._carried else ():
            instructions = list(dis.get_instructions(code))
            for value in self._carried.values():
                for asked, name, instruction in questions(value, instructions):
                    self.outside.append((asked, name, _line(code, instruction), code))
        optimizers = [place for place in self.places.values() if isinstance(place.value, Optimizer)]
        called = {code_name(place.name, place.key) for place in optimizers}
        for owner, where, code in self._states:
            if owner in called:
                self.outside.append(("an optimiser for its averages", "state", where, code))
        self.optimizers = [(value, name) for value, name in self._objects if isinstance(value, Optimizer)]
        for optimizer, name in self.optimizers:
            self._settings(optimizer, name)

    def _size(self) -> int:
        return len(self._names) + len(self._stored) + len(self._asked) + len(self._objects) + self._made_up

    def _place(self, name: str, holder: Any, key: str, **kind: bool) -> None:
        if (known := self.places.get((id(holder), key))) is not None:
            known.module = known.module and kind.get("module", False)
            return
        if isinstance(holder, types.CellType):
            read: Callable[[str], Any] = holder.__getattribute__
        else:
            read = holder.__getitem__ if isinstance(holder, MAPPINGS) else functools.partial(getattr, holder)
        place = self.places[id(holder), key] = Place(name, holder, key, read, **kind)
        place.value = place.now()
        if place.value is not MISSING and key not in ("__class__", "__dict__"):
            self._follow(place.value, name, code_name(name, key))

    def _list(self, value: Any, name: str) -> None:
        if id(value) not in self._listed:
            self._listed.add(id(value))
            self._objects.append((value, name))

    def _follow(self, value: Any, name: str, key: str = "") -> None:
        """Look into a value."""
        nothing_inside = isinstance(value, (*PLAIN, Tensor)) and _is_library(type(value).__module__)
        if nothing_inside or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if (found := outside(value)) is not None:
            self._held.append((*found, key))
        if may_be_asked(value):
            self._carried[id(value)] = value
        if isinstance(value, Iterator):
            self.iterators.append((name, key))
        if (inside := parts(value)) is not None:
            self._wrapper(value, inside, name, key)
        elif isinstance(value, (tuple, frozenset, *CONTAINERS)) or is_buffer(value):
            elements: Any = value
            if not isinstance(value, (tuple, frozenset)):
                contents = self.contents[id(value)] = Contents(name, key, value)
                elements = contents.values
            for element in elements:
                self._follow(element, f"{name}[...]", key)
        elif isinstance(value, Module):
            self._modules(value, name)
        elif isinstance(value, types.FunctionType):
            if not _is_library(value.__module__):
                self._function(value)
        elif isinstance(value, (types.ModuleType, type)):
            if not _is_library(value.__name__ if isinstance(value, types.ModuleType) else value.__module__):
                self._list(value, name)
        elif hasattr(value, "__dict__"):
            self._list(value, name)
        of_the_user = not isinstance(value, (type, types.FunctionType)) and not _is_library(type(value).__module__)
        if of_the_user:  # a list with methods, say
            self._list(value, name)
        if isinstance(value, (np.random.Generator, np.random.RandomState)) or type(value).__module__ == "random":
            self.random.append((key, value))

    def _wrapper(self, value: Any, inside: list[Any], name: str, key: str) -> None:
        """Look into what stands around other values, and have it asked anew where it may lead to others."""
        self._names |= mentioned(value)
        if (read := question(value)) is not None:
            self.places[id(value), ""] = Place(name, value, "", read, read(""), asked=True)
        if (cache := cached(value)) is not None:
            self._seen[id(cache)] = cache
            self.contents[id(cache)] = Contents(name, key, cache, cache=True)
            inside = [*inside, *cache.values()]
        if isinstance(value, weakref.ref):
            self._weak.update(id(getattr(part, "__self__", part)) for part in inside)  # of a method, its object
        for part in inside:
            self._follow(part, name, key)
        if hasattr(value, "__dict__"):
            self._list(value, name)

    def _modules(self, top: Module, name: str) -> None:
        for path, module in top.named_modules():
            self._seen[id(module)] = module
            dotted = f"{name}.{path}" if path else name
            self._list(module, dotted)
            for key, held in (*module._parameters.items(), *module._buffers.items()):
                self._follow(held, f"{dotted}.{key}")

    def _attributes(self, value: Any, name: str) -> None:
        """Look at those attributes of an object that some code mentions, and at all plain ones of a module."""
        space = getattr(value, "__dict__", {})
        is_module = isinstance(value, Module)
        kind = type(value)
        if is_module:
            for table in MODULE_TABLES:
                self.contents.setdefault(id(space[table]), Contents(name, table, space[table], module=True))
        if "fn" in space and _is_ours(kind):
            self._follow(space["fn"], name)  # a compiled step inside a step
        if isinstance(value, Optimizer):
            for i, parameter in enumerate(value.parameters):
                self._follow(parameter, f"{name}.parameters[{i}]")
        if isinstance(value, threading.local):
            self._thread_attributes(value, name)
        elif isinstance(space, dict):
            self._dictionary(value, space, name)
        may_change = not _is_library(kind.__module__) or _is_ours(kind)
        if may_change and not isinstance(value, (Parameter, Buffer)) and id(value) not in self._weak:
            self._place(f"{name}.__class__", value, "__class__", module=is_module)
            if isinstance(space, dict) and not isinstance(value, threading.local):
                self._place(f"{name}.__dict__", value, "__dict__", module=is_module)
        for each in value.__mro__ if isinstance(value, type) else kind.__mro__:
            if not _is_library(each.__module__):
                self._class(each, value, name)

    def _dictionary(self, value: Any, space: dict[str, Any], name: str) -> None:
        """Look at attributes of an object, and at where one would hide that of its class."""
        is_module = isinstance(value, Module)
        for key in set(space).difference(_own(value, space)):
            # Past `setattr`, nobody counts the changes of a module: what the step itself names is looked at.
            named = key in self._names or (self._made_up and _is_of_the_user(value))
            if named or self._is_watched(value, key, space[key]):
                self._place(f"{name}.{key}", space, key, module=is_module and not named, attribute=True)
        for key in (self._stored | self._asked).difference(space):
            self._place(f"{name}.{key}", space, key, module=is_module, attribute=True)
        for key in self._asked.difference(space):
            self.places[id(space), key].shadows = True
        named_in_class = {key for key in _keys(type(value)) if key in self._names or self._made_up}
        for key in named_in_class.difference(space):
            if not key.startswith("__") and not _comes_first(found := _defined(type(value), key)):
                self._place(f"{name}.{key}", space, key, module=is_module and callable(found), attribute=True)
                self.places[id(space), key].shadows = True
        if self._made_up and not is_module and _is_of_the_user(value):
            self.contents.setdefault(id(space), Contents(name, "", space.keys()))

    def _thread_attributes(self, value: threading.local, name: str) -> None:
        """Look at attributes that each thread has of its own: the thread of each call is asked for them."""
        for key in self._names:
            found = _defined(type(value), key)
            if key in vars(value) or key in self._asked or not (found is MISSING or hasattr(type(found), "__get__")):
                self._place(f"{name}.{key}", value, key, attribute=True)
                self.places[id(value), key].shadows = key in self._asked

    def _is_watched(self, value: Any, key: str, found: Any) -> bool:
        """Tell whether an attribute is guarded that no code mentions."""
        if keeps_all(value):
            return True
        if self._made_up and isinstance(value, types.ModuleType):
            return is_plain(found)
        if self._made_up and _is_of_the_user(value):
            return key not in MODULE_TABLES and not isinstance(found, Iterator)
        return isinstance(value, Module) and is_plain(found)

    def _class(self, kind: type, value: Any, name: str) -> None:
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
                continue
            if callable(found) or isinstance(found, DESCRIPTORS):
                self._follow(found, f"{name}.{key}", key)
            self._member(kind, key, found)
        for key in self._names.difference(vars(kind)):
            if (found := _defined(kind, key)) is not MISSING:
                self._member(kind, key, found)

    def _member(self, kind: type, key: str, found: Any) -> None:
        """Have guarded what a class has under a name, its own or that of a base."""
        name = f"{kind.__name__}.{key}"
        if isinstance(found, SELF_GIVING) or not hasattr(type(found), "__get__"):
            self._place(name, kind, key, attribute=True)
            return
        # Whoever asks the class gets something new, such as a bound method: the entry is compared.
        space = self._spaces.setdefault(kind, kind.__dict__)
        self._place(name, space, key, attribute=True)
        self.places[id(space), key].shadows = key not in space

    def _settings(self, optimizer: Optimizer, name: str) -> None:
        """Look at an optimiser's settings: they are guarded only if the step reads them past the cells."""
        read_directly = "param_groups" in self._names
        for group in optimizer.param_groups:
            self.contents[id(group)] = Contents(f"{name}.param_groups", "param_groups", group, guarded=read_directly)

    def _function(self, function: types.FunctionType) -> None:
        self._seen[id(function)] = function
        for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._follow(default, function.__name__)
        self._list(function, function.__name__)
        if not _is_library(function.__globals__.get("__name__")):
            self._place(f"{function.__name__}.__code__", function, "__code__")
        else:  # it may stand around one of the user's
            for found in vars(function).values():
                self._follow(found, function.__name__)
        for key in DEFAULTS:  # without any, the step has given all arguments
            if getattr(function, key) is not None:
                self._place(f"{function.__name__}.{key}", function, key)
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        self._code(function.__code__, function.__globals__, cells)

    def _code(self, code: types.CodeType, names: dict[str, Any], cells: dict[str, types.CellType]) -> None:
        """Read the names in a function's bytecode, and in that of the functions written inside it."""
        self.codes.append(code)
        is_library = _is_library(names.get("__name__"))
        instructions = list(dis.get_instructions(code))
        values = loaded(instructions, names, cells)
        if not is_library:
            self._carried |= {id(value): value for value in carried(instructions, values)}
        for place, (instruction, value) in enumerate(zip(instructions, values, strict=True)):
            operation, key = instruction.opname, instruction.argval
            if operation in GLOBALS:
                if isinstance(names.get(key), types.ModuleType):
                    self._module(names[key], key)
                elif key in names or operation.startswith("STORE") or not is_library:
                    self._place(key, names, key)
                    self.places[id(names), key].shadows = key not in names  # and hides what Python defines
            elif operation == "IMPORT_NAME":
                self._module(sys.modules.get(key), key)
            elif operation in CELLS and key in cells:
                self._place(key, cells[key], "cell_contents")
            elif operation in ATTRIBUTES:
                if key != "__dict__":
                    self._names.add(key)
                if operation == "STORE_ATTR":
                    self._stored.add(key)
                if key == "state" and place and not is_library:
                    self._states.append((instructions[place - 1].argval, _line(code, instruction), code))
            self._question(code, instructions, place, value, is_library)
        if "AttributeError" in code.co_names:  # the code asks by trying
            self._asked.update(code.co_names)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._code(constant, names, cells)

    def _module(self, module: Any, name: str) -> None:
        """Look into a module that code names, and asks at once or carries on."""
        if isinstance(module, types.ModuleType) and not _is_library(module.__name__):
            self._follow(module, name, name)

    def _question(
        self, code: types.CodeType, instructions: list[dis.Instruction], place: int, value: Any, is_library: bool
    ) -> None:
        """Note what an instruction asks: the world, or an object for an attribute whose name is a value."""
        instruction = instructions[place]
        where = _line(code, instruction)
        if not is_library and not is_understood(instruction):
            self.outside.append(("Python for a name", instruction.opname, where, code))
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
        elif any(value is maker for maker in MAKERS) or instruction.argval in ("__dict__", "__getattribute__"):
            self._made_up = True

    def line(self, name: str, *, changed: bool = False) -> str:
        """Find where the code stores a name, or, with ``changed``, changes what it stands for; "" if nowhere."""
        return line_of(self.codes, name, changed=changed)


def _line(code: types.CodeType, instruction: dis.Instruction) -> str:
    return at_line(code, instruction.positions.lineno or 0) if instruction.positions else ""


def _is_library(module: str | None) -> bool:
    return (module or "").partition(".")[0] in LIBRARIES


def _is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == PACKAGE


def _is_of_the_user(value: Any) -> bool:
    """Tell whether an object holds what a user put there: it is of a class of the user, or a namespace."""
    kind = type(value)
    return not _is_library(kind.__module__) or kind.__name__ in ("SimpleNamespace", "Namespace")


def _own(value: Any, space: dict[str, Any]) -> tuple[str, ...]:
    """Name what MiniTorch's own objects keep that is looked up in every call anyway, or that no step computes with."""
    if isinstance(value, (Parameter, Buffer)):
        return ("_value",)
    if isinstance(value, Optimizer):
        return ("param_groups", "state")
    if isinstance(value, Generator):
        return ("seed", "state", "stream")
    return ("fn", "traces", "compile_seconds") if "fn" in space and _is_ours(type(value)) else ()


def _keys(kind: type) -> set[str]:
    return set().union(*map(vars, kind.__mro__))


def _defined(kind: type, key: str) -> Any:
    """Find what a class or the nearest of its bases defines under a name, as it stands there."""
    return next((vars(each)[key] for each in kind.__mro__ if key in vars(each)), MISSING)


def _comes_first(found: Any) -> bool:
    """Tell whether what a class defines comes before an object's own attribute, or makes it."""
    return hasattr(type(found), "__set__") or isinstance(found, functools.cached_property)
