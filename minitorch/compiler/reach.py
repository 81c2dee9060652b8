"""Everything that a step can reach by name, found in its bytecode without running it.

The bytecode of the step, and of the user's functions and methods that it can reach, mentions names; names lead to
values, and values to further code. Functions of this package, of NumPy and of Python are not read.
"""

from __future__ import annotations

import dis
import functools
import operator
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..module import Module, Parameter
from ..optim import Optimizer
from ..tensor import Tensor
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
from .places import CONTAINERS, MISSING, PLAIN, Contents, Place, code_name, is_plain

__all__ = ["PACKAGE", "Reach"]

PACKAGE = __name__.partition(".")[0]
LIBRARIES = frozenset((PACKAGE, "numpy", "numba", "builtins")) | sys.stdlib_module_names

CONSTRUCTORS = ("__init__", "__new__", "__post_init__")
FILE_METHODS = ("read_bytes", "read_text")  # of a path
MODULE_TABLES = ("_parameters", "_buffers", "_modules")


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
        for code in self.codes if self._carried else ():
            instructions = list(dis.get_instructions(code))
            for value in self._carried.values():
                for asked, name, instruction in questions(value, instructions):
                    self.outside.append((asked, name, _line(code, instruction), code))
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
            self._follow(place.value, name, code_name(name, key))

    def _follow(self, value: Any, name: str, key: str = "") -> None:
        """Look into a value."""
        if isinstance(value, (*PLAIN, Tensor, Parameter)) or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if (found := outside(value)) is not None:
            self._held.append((*found, key))
        if may_be_asked(value):
            self._carried[id(value)] = value
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
        elif isinstance(value, types.BuiltinMethodType):
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
                elif key in names or operation.startswith("STORE"):
                    self._place(key, names, key)
            elif operation == "IMPORT_NAME":
                self._module(sys.modules.get(key), key)
            elif operation in CELLS and key in cells:
                self._place(key, cells[key], "cell_contents")
            elif operation in ATTRIBUTES:
                if key != "__dict__":
                    self._names.add(key)
                if operation == "STORE_ATTR":
                    self._stored.add(key)
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
        elif value is vars or value is operator.attrgetter or instruction.argval in ("__dict__", "__getattribute__"):
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
