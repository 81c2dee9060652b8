"""Write the function that looks, before a call, whether everything is as it was when the step was traced.

It is straight-line code: for most values, one comparison of identities.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

from ..module import last_change
from .places import Contents, Place, is_plain, same
from .written import WrittenFunction

if TYPE_CHECKING:
    from .trace import Tracer

__all__ = ["SHORT", "write_hold"]

# Elements of a list or a dictionary that are compared by a line of code of their own.
SHORT = 16


def write_hold(places: list[Place], absent: list[Place], contents: list[Contents], tracer: Tracer) -> WrittenFunction:
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
