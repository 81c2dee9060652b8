"""What stands around other values: partial functions, methods, caches, weak references and the like."""

from __future__ import annotations

import contextvars
import functools
import gc
import operator
import types
import weakref
from collections.abc import Callable, MappingView
from typing import Any

from .places import MISSING

__all__ = ["cached", "keeps_all", "mentioned", "parts", "question"]

# Classes of Python's library, written in Python, whose objects hold what a user put there.
HOLDERS = {
    *(f"collections.{name}" for name in ("ChainMap", "UserDict", "UserList", "UserString")),
    *(f"configparser.{name}" for name in ("RawConfigParser", "SectionProxy")),
    "queue.Queue",
    *(f"threading.{name}" for name in ("Event", "Semaphore")),
    "weakref.WeakValueDictionary",
    "_weakrefset.WeakSet",
}


def keeps_all(value: Any) -> bool:
    """Tell whether a library's code, which is not read, uses all attributes of an object for the step.

    >>> import collections
    >>> keeps_all(collections.UserDict(scale=2.0)), keeps_all({"scale": 2.0})
    (True, False)
    """
    return any(f"{kind.__module__}.{kind.__qualname__}" in HOLDERS for kind in type(value).__mro__)


def mentioned(value: Any) -> set[str]:
    """List the names of attributes that ``operator.attrgetter`` and ``operator.methodcaller`` look up.

    >>> sorted(mentioned(operator.attrgetter("model.scale")))
    ['model', 'scale']
    """
    if isinstance(value, operator.attrgetter):
        return {part for path in value.__reduce__()[1] for part in path.split(".")}
    return {_call_of(value)[0]} if isinstance(value, operator.methodcaller) else set()


def _call_of(method: operator.methodcaller) -> tuple[Any, ...]:
    """Give the name and the arguments of a method that is called."""
    how: Any = method.__reduce__()
    make, arguments = how[:2]
    if isinstance(make, functools.partial):  # with arguments by keyword
        return (*make.args, *arguments, *make.keywords.values())
    return arguments


def parts(value: Any) -> list[Any] | None:
    """List what such a thing stands around or leads to; None where a value is something else.

    >>> parts(functools.partial(pow, 2)) == [pow, 2], parts([1]) is None
    (True, True)
    """
    match value:
        case functools.partial() | functools.partialmethod():
            return [value.func, *value.args, *value.keywords.values()]
        case operator.methodcaller():
            return list(_call_of(value)[1:])
        case staticmethod() | classmethod():
            return [value.__func__]
        case property():
            return [value.fget]
        case functools.cached_property():
            return [value.func]
        case functools.singledispatchmethod():
            return [value.dispatcher]
        case types.MethodType():
            return [value.__func__, value.__self__]
        case types.BuiltinMethodType():
            return [value.__self__]
        case MappingView():
            return [getattr(value, "mapping", None), getattr(value, "_mapping", None)]  # of a dictionary, and of others
        case weakref.ref():
            return [value()]
        case contextvars.ContextVar():
            return [value.get()] if _is_set(value) else []
        case functools._lru_cache_wrapper():
            return [value.__wrapped__, *_kept(value)]
        case operator.attrgetter():
            return []
    return None


def _is_set(variable: contextvars.ContextVar[Any]) -> bool:
    try:
        variable.get()
    except LookupError:
        return False
    return True


def _kept(function: Any) -> list[Any]:
    """List what a cached function refers to before itself: results, and at last the cache."""
    referents = gc.get_referents(function)
    places = [place for place, x in enumerate(referents) if x is function.__wrapped__]
    return referents[: places[-1]] if places else []


def cached(value: Any) -> dict[Any, Any] | None:
    """Find the cache of a function behind ``functools.cache`` or ``functools.lru_cache``.

    >>> cached(functools.cache(abs)), cached(abs)
    ({}, None)
    """
    kept = _kept(value)[-1:] if isinstance(value, functools._lru_cache_wrapper) else []
    return kept[0] if kept and type(kept[0]) is dict else None


def question(value: Any) -> Callable[[str], Any] | None:
    """Give what asks a value anew in every call, where neither a name nor an attribute leads to the answer.

    >>> settings = set()
    >>> question(weakref.ref(settings))("")
    <class 'set'>
    """
    if isinstance(value, contextvars.ContextVar):
        return lambda _: value.get(MISSING)
    if isinstance(value, weakref.ref):
        # The class of the object, and not the object: nothing here may keep it alive.
        return lambda _: type(value())
    return None
