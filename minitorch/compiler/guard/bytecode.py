"""What a function's bytecode tells without running it: what it asks outside, made-up names, and what is on which line.

A program repeats operations, not questions to the world: the time, the text of a file, a variable of the environment
would stay what they were while the step was traced. And a name that is made up while the step runs, as in
``getattr(settings, name)``, cannot be followed to one attribute.
"""

from __future__ import annotations

import builtins
import dis
import linecache
import os
import sys
import types
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "ATTRIBUTES",
    "CELLS",
    "GLOBALS",
    "at_line",
    "carried",
    "constant_name",
    "is_understood",
    "line_of",
    "loaded",
    "may_be_asked",
    "outside",
    "questions",
]

_CLOCKS = ("time", "perf_counter", "monotonic", "process_time", "thread_time")
# What a step may not ask, by the full names of functions.
OUTSIDE = {
    **{f"time.{clock}{unit}": "the clock" for clock in _CLOCKS for unit in ("", "_ns")},
    **{f"time.{name}": "the clock" for name in ("localtime", "gmtime", "ctime", "strftime")},
    **{f"datetime.datetime.{name}": "the clock" for name in ("now", "utcnow", "today")},
    "datetime.date.today": "the clock",
    "os.environ": "the environment",
    "os.getenv": "the environment",
    **{f"{module}.open": "a file" for module in ("io", "_io")},
    **{f"numpy.{name}": "a file" for name in ("load", "loadtxt", "genfromtxt", "fromfile")},
    "builtins.input": "the keyboard",
    **{f"{module}.urandom": "random numbers" for module in ("posix", "nt")},
    **{f"uuid.{name}": "random numbers" for name in ("uuid1", "uuid4")},
    **{f"secrets.{name}": "random numbers" for name in ("token_bytes", "token_hex", "token_urlsafe", "randbelow")},
}
# Objects of which each question is answered anew, by their classes.
ANSWERING = {
    "_queue.SimpleQueue": "another thread",
    "concurrent.futures._base.Future": "another thread",
    "multiprocessing.queues.Queue": "another process",
    "multiprocessing.queues.SimpleQueue": "another process",
    "multiprocessing.connection.Connection": "another process",
    "multiprocessing.managers.BaseProxy": "another process",
    "multiprocessing.shared_memory.SharedMemory": "another process",
    "multiprocessing.sharedctypes.SynchronizedBase": "another process",
    "socket.socket": "another process",
}
# Methods that change a container.
MUTATORS = {"add", "append", "appendleft", "clear", "discard", "extend", "extendleft", "insert", "pop", "popitem"}
MUTATORS |= {"popleft", "remove", "reverse", "rotate", "setdefault", "sort", "update"}
FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)

# Modules whose members ask, by name.
ASKED = {"os", *(name.partition(".")[0] for name in OUTSIDE)}

# How instructions find what they name, in Python 3.11 to 3.14: by globals, by the cells of closures, and in objects.
GLOBALS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
GLOBALS |= {"STORE_GLOBAL", "STORE_NAME", "DELETE_GLOBAL", "DELETE_NAME"}
CELLS = {"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF", "STORE_DEREF", "DELETE_DEREF"}
TAKEN = {"LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"}
ATTRIBUTES = {*TAKEN, "STORE_ATTR", "DELETE_ATTR", "LOAD_SUPER_ATTR", "LOAD_SUPER_METHOD"}
HANDED_ON = {"MAKE_CELL", "LOAD_CLOSURE", "COPY_FREE_VARS"}  # cells of which nothing is read


def outside(value: Any) -> tuple[str, str] | None:
    """Tell what a function asks the world, and its name; None if nothing.

    >>> import time
    >>> outside(time.perf_counter)
    ('the clock', 'time.perf_counter')
    """
    if value is os.environ:
        name = "os.environ"
    elif isinstance(value, FUNCTIONS):
        module = value.__module__ or getattr(getattr(value, "__self__", None), "__module__", "")
        name = f"{module}.{value.__qualname__}"
    else:
        kinds = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(value).__mro__)
        return next(((ANSWERING[kind], kind) for kind in kinds if kind in ANSWERING), None)
    return (OUTSIDE[name], name) if name in OUTSIDE else None


# --- values -----------------------------------------------------------------------------------------------------


def is_understood(instruction: dis.Instruction) -> bool:
    """Tell whether an instruction finds what it names in a way that is known here; most name nothing."""
    names = instruction.opcode in dis.hasname or instruction.opcode in dis.hasfree
    return not names or instruction.opname in (*GLOBALS, *CELLS, *ATTRIBUTES, "IMPORT_NAME", *HANDED_ON)


def loaded(
    instructions: Iterable[dis.Instruction], names: dict[str, Any], cells: dict[str, types.CellType]
) -> list[Any]:
    """Find the value that each instruction loads, by a name or from what the one before it loaded.

    Args:
        instructions: of a function.
        names: its globals.
        cells: of its closure, by name.

    Returns:
        For each instruction the value, or None where only running it would tell.
    """
    values: list[Any] = []
    imported = value = None
    for instruction in instructions:
        operation, key = instruction.opname, instruction.argval
        if operation == "IMPORT_NAME":
            imported = value = sys.modules.get(key)
        elif operation == "IMPORT_FROM":
            value = _member(imported, key)
        elif operation in TAKEN:
            value = _member(value, key)
        elif operation in GLOBALS and operation.startswith("LOAD"):
            value = names.get(key, vars(builtins).get(key))
        elif operation in CELLS and operation.startswith("LOAD"):
            value = _content(cells.get(key))
        else:
            value = None
        values.append(value)
    return values


def _content(cell: types.CellType | None) -> Any:
    try:
        return None if cell is None else cell.cell_contents
    except ValueError:  # empty
        return None


def _member(value: Any, key: str) -> Any:
    """Look up what a module defines, or a class of the clock's."""
    if isinstance(value, types.ModuleType):
        return vars(value).get(key)
    return getattr(value, key, None) if isinstance(value, type) and value.__module__ == "datetime" else None


# --- values under other names -----------------------------------------------------------------------------------


def may_be_asked(value: Any) -> bool:
    """Tell whether members of a value ask the world.

    >>> import math, time
    >>> may_be_asked(time), may_be_asked(math)
    (True, False)
    """
    if isinstance(value, types.ModuleType):
        return value.__name__ in ASKED
    return isinstance(value, type) and value.__module__ == "datetime"


def carried(instructions: Sequence[dis.Instruction], values: Sequence[Any]) -> Iterator[Any]:
    """Find what may be asked and is not at once: it becomes a variable, an argument or an element, of any name.

    Which one is not looked for: how code keeps variables differs from one version of Python to the next.

    Args:
        instructions: of a function.
        values: that they load.
    """
    for place, (instruction, value) in enumerate(zip(instructions, values, strict=True)):
        asked_next = place + 1 < len(instructions) and instructions[place + 1].opname in TAKEN
        if not asked_next and may_be_asked(value):
            yield value
        if not asked_next and instruction.opname == "IMPORT_NAME":  # `import os.path` gives os
            package = sys.modules.get(instruction.argval.partition(".")[0])
            if package is not value and may_be_asked(package):
                yield package


def questions(value: Any, instructions: Sequence[dis.Instruction]) -> Iterator[tuple[str, str, dis.Instruction]]:
    """Find members of a value that ask the world, and that code mentions, of whatever object.

    Args:
        value: that may be asked.
        instructions: of a function that may hold it.

    Returns:
        What is asked, the member's name, and the instruction that mentions it.
    """
    for instruction in instructions:
        if instruction.opname not in (*TAKEN, "LOAD_CONST") or not isinstance(instruction.argval, str):
            continue
        member = _member(value, instruction.argval)
        if (found := outside(member)) is not None:
            yield *found, instruction
        elif isinstance(member, type) and may_be_asked(member):
            yield from questions(member, instructions)


def constant_name(instructions: Sequence[dis.Instruction], place: int) -> str | None:
    """Find the second argument of a call, such as that of ``getattr(settings, "rate")``, if it is a constant.

    Args:
        instructions: of a function.
        place: which of them loads the function that is called.
    """
    depth = 0
    for end in range(place + 1, len(instructions)):
        instruction = instructions[end]
        if instruction.is_jump_target or "JUMP" in instruction.opname:
            return None  # a choice between names
        depth += _effect(instruction)
        if depth <= 0:  # all arguments are taken from the stack
            break
    else:
        return None
    if instruction.opname not in ("PRECALL", "CALL") or instruction.arg not in (2, 3):
        return None
    name, *default = instructions[end - instruction.arg + 1 : end]
    # A third argument has to be one instruction, or the constant might be a part of it.
    simple = all(each.opname.startswith("LOAD_") and _effect(each) == 1 for each in default)
    return name.argval if name.opname == "LOAD_CONST" and simple and isinstance(name.argval, str) else None


def _effect(instruction: dis.Instruction) -> int:
    """Count what an instruction puts on the stack, less what it takes."""
    return dis.stack_effect(instruction.opcode, instruction.arg, jump=False)


# --- lines ------------------------------------------------------------------------------------------------------


def line_of(codes: Iterable[types.CodeType], name: str, *, changed: bool = False) -> str:
    """Find where code stores a name; "" if nowhere.

    Args:
        codes: of functions.
        name: of a variable or an attribute.
        changed: look also for where what the name stands for is changed, or at least mentioned.
    """
    stored, mentioned = "", ""
    for code in codes:
        for number, instructions in _by_line(code).items():
            here = [i for i in instructions if i.argval == name]
            stores = any(i.opname.startswith("STORE") and not i.opname.startswith("STORE_FAST") for i in here)
            writes = any(i.opname.endswith("STORE_SUBSCR") or i.argval in MUTATORS for i in instructions)
            if here:
                mentioned = mentioned or at_line(code, number)
            if stores or (here and changed and writes):
                stored = stored or at_line(code, number)
    return stored or (mentioned if changed else "")


def _by_line(code: types.CodeType) -> dict[int, list[dis.Instruction]]:
    lines: dict[int, list[dis.Instruction]] = {}
    for instruction in dis.get_instructions(code):
        position = instruction.positions
        if position is not None and position.lineno is not None:
            lines.setdefault(position.lineno, []).append(instruction)
    return lines


def at_line(code: types.CodeType, line: int) -> str:
    """Write a line of code for a message: the file, the number, and the text."""
    text = linecache.getline(code.co_filename, line).strip()
    return f" ({Path(code.co_filename).name}:{line}{': ' if text else ''}{text})"
