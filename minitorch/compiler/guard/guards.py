"""What a program depends on besides its inputs, and what a step must not change.

A step is traced once, so whatever Python decided by while it was traced is frozen into the program.
:mod:`~minitorch.compiler.guard.reach` finds the values that this can be, by their names. A value is then guarded:

- numbers, text, None, and tuples of them: by equality;
- the contents of lists, dictionaries and sets: element by element; with more than :data:`LIMIT` they are refused;
- memory such as a ``bytearray``: byte by byte;
- a module: its plain attributes, and the identity of its parameters and of the modules inside it;
- a function that the step may run: its code and its defaults; a method: also that no other comes before it;
- everything else: by identity, and objects of the user's classes by their class.

``Guards.hold``, which :mod:`~minitorch.compiler.guard.hold` writes, looks at all of this before every call; while no
module's attribute is set anywhere, one integer answers for all modules, but for attributes that the step itself names.
The same values are compared before and after the trace: what changed is a side effect, which the program would not
repeat.

The values of parameters, and an optimiser's settings and averages, are not guarded here: a program looks them up in
every call (see :mod:`minitorch.cells`). A step that asks the world, such as the clock, is refused, and one that makes
up the names of attributes, as in ``getattr(settings, name)``, has all attributes of the user's objects guarded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ...errors import CompileError
from ...module import last_change
from ...tensor import Tensor
from ..trace.backend import TraceBackend
from ..written import WrittenFunction
from .hold import write_hold
from .places import MISSING, PLAIN, Contents, Place, code_name, is_plain, same
from .randomness import sources
from .reach import Reach
from .watch import Watch

if TYPE_CHECKING:
    from ..trace.tracer import Tracer

__all__ = ["LIMIT", "Guards"]

# Elements of a list, a dictionary or a set that are compared in every call; longer ones are refused.
LIMIT = 4096
OUTSIDE = "Return the value and do this outside the step, or run inside `with minitorch.debug():`."


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
        self._alone = len(sys._current_frames()) == 1  # no other thread could draw from here on
        self._reach = Reach(roots)
        self._sources = sources(self._reach)
        self._watch = Watch()

    @staticmethod
    def before(fn: Any, args: Iterable[Any] = ()) -> Guards:
        """Look at everything that a step can reach, before it is traced."""
        return Guards((fn, *_objects_in(args)))

    def run(self, step: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Run the step, and note which functions run, where some could ask the world, or other threads could draw."""
        if self._alone and not self._reach.outside:
            return step(*args, **kwargs)
        with self._watch:
            return step(*args, **kwargs)

    def after(self, tracer: Tracer) -> None:
        """Compare with what is there after the trace, and remember it for :meth:`hold`.

        Raises:
            CompileError: the step changed something that a program would not change again, or drew random numbers
                that a program would not draw again.
        """
        # Both looked at before the comparison: what another thread changes in between is found by one or the other.
        self._last_change = last_change.number
        reach = Reach(self._roots)
        outside = {id(source.like): source.like for source in tracer.sources if source.kind == "tensor"}
        for contents in self._reach.contents.values():
            self._refuse_changed_contents(contents)
        for place in self._reach.places.values():
            self._refuse_changed_place(place, outside)
        for name, key in self._reach.iterators:
            where = self._reach.line(code_name(name, key), changed=True)
            _refuse(f"a compiled step cannot take the next element of the iterator `{name}`", where)
        self._refuse_drawing()
        self._refuse_asking()
        self._remember(reach, tracer, outside)

    def _refuse_changed_contents(self, contents: Contents) -> None:
        if contents.cache or contents.same():
            return
        if _traced(contents.values):
            contents.restore()
        where = self._reach.line(code_name(contents.name, contents.key), changed=True)
        _refuse(f"a compiled step cannot change the contents of `{contents.name}`", where)

    def _refuse_changed_place(self, place: Place, outside: dict[int, Tensor]) -> None:
        before, now = place.value, place.now()
        if same(before, now):
            return
        where = self._reach.line(code_name(place.name, place.key))
        if place.attribute and (_traced(now) or isinstance(now, Tensor)):
            if isinstance(before, Tensor) and id(before) in outside:
                _refuse(f"a compiled step cannot carry a tensor from call to call in `{place.name}`", where)
            return  # kept for looking at, as in self.mid = ...
        described = f": it was {before!r} and became {now!r}" if is_plain(before) and is_plain(now) else ""
        _refuse(f"a compiled step cannot change `{place.name}`{described}", where)

    def _refuse_drawing(self) -> None:
        for source in self._sources:
            if source.has_changed() and (self._alone or source.is_mentioned(self._watch)):
                raise CompileError(
                    f"a compiled step cannot draw random numbers from {source.name}: every call would get the same "
                    "ones. Draw a tensor by minitorch.rand or minitorch.randn, which draw anew in every call, draw "
                    "them outside and pass them in, or run inside "
                    f"`with minitorch.debug():`.{self._reach.line(source.word, changed=True)}"
                )

    def _refuse_asking(self) -> None:
        for asked, name, where, code in self._reach.outside:
            if self._watch.has_run(code):
                raise CompileError(
                    f"a compiled step cannot ask {asked} by `{name}`: every call would get the same answer. Read it "
                    f"outside and pass it in, or run inside `with minitorch.debug():`.{where}"
                )

    def _remember(self, reach: Reach, tracer: Tracer, outside: dict[int, Tensor]) -> None:
        kept = [
            place
            for place in reach.places.values()
            if (place.value is not MISSING or place.asked)
            and not (place.attribute and (_traced(place.value) or _is_unread_tensor(place.value, outside)))
        ]
        self.numbers = {p.name: p.value for p in kept if isinstance(p.value, (int, float, np.number))}
        self._inside = [p for p in kept if p.module]
        self._contents_inside = [c for c in reach.contents.values() if c.module]
        absent = [p for p in reach.places.values() if p.shadows and p.value is MISSING]
        self._absent_inside = [p for p in absent if p.module]
        places = [p for p in kept if not p.module]
        contents = [c for c in reach.contents.values() if c.guarded and not c.module]
        for each in contents:
            if isinstance(each.container, np.ndarray):
                tracer.check_array(each.container, each.name)
            elif each.size > LIMIT:
                _refuse_long(each, reach)
        for optimizer, _ in reach.optimizers:
            space = vars(optimizer)
            places.append(Place("", space, "state", space.__getitem__, optimizer.state))
            groups = [optimizer.param_groups, *(group["params"] for group in optimizer.param_groups)]
            contents += [Contents("", "", x) for x in (optimizer.state, *groups)]
        self.text = write_hold(places, [p for p in absent if not p.module], contents, tracer)
        self.hold = self.text.made(guards=self)
        del self._reach, self._sources, self._roots, self._watch

    # --- before every call ---------------------------------------------------------------------------------------

    def _modules_hold(self) -> bool:
        number = last_change.number
        try:
            held = all(same(p.read(p.key), p.value) for p in self._inside)
        except (KeyError, AttributeError):
            return False
        if not held or any(p.key in p.holder for p in self._absent_inside):
            return False
        if not all(contents.same() for contents in self._contents_inside):
            return False
        self._last_change = number
        return True


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


def _is_unread_tensor(value: Any, outside: dict[int, Tensor]) -> bool:
    return isinstance(value, Tensor) and id(value) not in outside


def _refuse(what: str, where: str) -> NoReturn:
    raise CompileError(f"{what}, because the program would not repeat it. {OUTSIDE}{where}")


def _refuse_long(contents: Contents, reach: Reach) -> NoReturn:
    kind, size = type(contents.container).__name__, contents.size
    raise CompileError(
        f"a compiled step uses the {kind} `{contents.name}` of {size} elements. They would be frozen, and beyond "
        f"{LIMIT} elements nobody notices when they change. Take what the step needs of it outside "
        "and pass it as an argument."
        f"{reach.line(code_name(contents.name, contents.key), changed=True)}"
    )
