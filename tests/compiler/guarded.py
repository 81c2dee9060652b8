"""What the tests of guards share: a guarded run, and a module whose every part can change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minitorch.compiler.guard.guards import Guards
from minitorch.compiler.trace.tracer import Tracer
from minitorch.layers import Dropout, Linear, Sequential
from minitorch.module import Module


def traced(fn: Callable[..., Any], *args: Any) -> Guards:
    """Guard a run of a function as a compiled step's trace is guarded."""
    guards = Guards.before(fn, args)
    guards.run(fn, args, {})
    guards.after(Tracer())
    return guards


class Net(Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = Sequential(Linear(3, 2), Dropout(0.5))
        self.width = 2
        self.mid: Any = None

    def forward(self, x: Any) -> Any:
        self.mid = self.body(x)
        return self.mid
