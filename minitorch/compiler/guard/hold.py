"""Write the function that looks, before a call, whether everything is as it was when the step was traced.

It is straight-line code: for most values, one comparison of identities.
"""

from __future__ import annotations

import keyword
from typing import TYPE_CHECKING, Any

from ...cells import look
from ...module import last_change
from ..written import WrittenFunction
from .places import MAPPINGS, Contents, Place, is_plain, same

if TYPE_CHECKING:
    from ..trace.tracer import Tracer

__all__ = ["SHORT", "write_hold"]

# Elements of a list or a dictionary that are compared by a line of code of their own.
SHORT = 16


def write_hold(places: list[Place], absent: list[Place], contents: list[Contents], tracer: Tracer) -> WrittenFunction:
    """Write the function that looks at everything before a call."""
    text = WrittenFunction("def hold():", last_change=last_change, same=same)
    text.add("if guards._last_change != last_change.number and not guards._modules_hold(): return False", "try:")
    for place in places:
        read, value = _read(text, place), text.name("value", place.value)
        if _is_compared(place.value):
            text.add(f"    if (now := {read}) is not {value} and not same(now, {value}): return False")
        else:
            text.add(f"    if {read} is not {value}: return False")
    for place in absent:
        holder = text.name("holder", place.holder)
        key = repr(place.key)
        there = f"{key} in {holder}" if isinstance(place.holder, MAPPINGS) else f"hasattr({holder}, {key})"
        text.add(f"    if {there}: return False")
    for c in contents:
        _write_same(text, c)
    choices = {(id(holder), key, test): (holder, key, test, answer) for holder, key, test, answer in tracer.choices}
    for holder, key, test, answer in choices.values():
        _write_choice(text, holder, key, test, answer)
    # A name was deleted, a closure's cell emptied, or a container changed on the way.
    text.add("    return True", "except (KeyError, AttributeError, ValueError):", "    return False")
    return text


def _read(text: WrittenFunction, place: Place) -> str:
    if place.asked:
        return f"{text.name('read', place.read)}({place.key!r})"
    holder = text.name("holder", place.holder)
    if place.key == "__class__":
        return f"type({holder})"
    if isinstance(place.holder, MAPPINGS):
        return f"{holder}[{place.key!r}]"
    named = place.key.isidentifier() and not keyword.iskeyword(place.key)
    return f"{holder}.{place.key}" if named else f"getattr({holder}, {place.key!r})"


def _is_compared(value: Any) -> bool:
    """Tell whether another object might be the same value."""
    return is_plain(value) and not (value is None or isinstance(value, bool))


def _write_choice(text: WrittenFunction, holder: Any, key: str, test: Any, answer: Any) -> None:
    """Ask again what the step decided by; the value that gave this answer needs no question."""
    read, wanted, now = text.cell(holder, key), text.name("value", answer), look(holder, key)
    if is_plain(now) and test(now) == answer:
        met = text.name("value", now)
        text.add(f"    if (now := {read}) is not {met} and {text.name('test', test)}(now) != {wanted}: return False")
    else:
        text.add(f"    if {text.name('test', test)}({read}) != {wanted}: return False")


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
