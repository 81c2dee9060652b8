"""What training loops share."""

from __future__ import annotations

from .finite import require_finite
from .log import RunLog, describe_run

__all__ = ["RunLog", "describe_run", "require_finite"]
