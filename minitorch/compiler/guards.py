"""What a program depends on besides its inputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Guards"]


@dataclass
class Guards:
    """Checks that a program still stands for the step."""

    checks: list[Any] = field(default_factory=list)

    @staticmethod
    def before(fn: Any) -> Guards:
        return Guards()

    def after(self, tracer: Any) -> None:
        self.choices = list(tracer.choices)

    def hold(self) -> bool:
        return all(
            test(holder.get(key) if isinstance(holder, dict) else getattr(holder, key)) == answer
            for holder, key, test, answer in self.choices
        )
