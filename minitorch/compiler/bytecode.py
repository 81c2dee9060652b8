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
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["at_line", "constant_name", "line_of", "loaded", "outside"]

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
# Methods that change a container.
MUTATORS = {"add", "append", "appendleft", "clear", "discard", "extend", "extendleft", "insert", "pop", "popitem"}
MUTATORS |= {"popleft", "remove", "reverse", "rotate", "setdefault", "sort", "update"}
FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


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
        return None
    return (OUTSIDE[name], name) if name in OUTSIDE else None


def loaded(
    code: types.CodeType, names: dict[str, Any], cells: dict[str, types.CellType]
) -> Iterator[tuple[dis.Instruction, Any]]:
    """Pair each instruction with the value that it loads, or with None where only running it would tell.

    Args:
        code: of a function.
        names: its globals.
        cells: of its closure, by name.
    """
    variables: dict[str, Any] = {}
    imported = value = None
    for instruction in dis.get_instructions(code):
        operation, key = instruction.opname, instruction.argval
        if operation == "STORE_FAST":
            variables[key] = value
            value = None
        elif operation == "LOAD_FAST":
            value = variables.get(key)
        elif operation in ("LOAD_GLOBAL", "LOAD_NAME"):
            value = names.get(key, vars(builtins).get(key))
        elif operation == "LOAD_DEREF":
            value = _content(cells.get(key))
        elif operation == "IMPORT_NAME":
            imported = value = sys.modules.get(key)
        elif operation == "IMPORT_FROM":
            value = _member(imported, key)
        elif operation in ("LOAD_ATTR", "LOAD_METHOD"):
            value = _member(value, key)
        else:
            value = None
        yield instruction, value


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


def constant_name(instructions: list[dis.Instruction], place: int) -> str | None:
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
        depth += dis.stack_effect(instruction.opcode, instruction.arg, jump=False)
        if depth <= 0:  # all arguments are taken from the stack
            break
    else:
        return None
    name = instructions[end - (instruction.arg or 0) + 1] if instruction.arg in (2, 3) else None
    if name is None or instruction.opname not in ("PRECALL", "CALL") or name.opname != "LOAD_CONST":
        return None
    # A third argument has to be one instruction, or the constant might be a part of it.
    simple = instruction.arg == 2 or instructions[end - 1].opname.startswith("LOAD_")
    return name.argval if simple and isinstance(name.argval, str) else None


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
