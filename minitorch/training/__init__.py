"""Training a model: the loop, what it measures, when it stops, and what it leaves behind."""

from __future__ import annotations

from .evaluation import evaluate
from .finite import require_finite
from .history import History
from .log import RunLog, describe_run
from .loop import BEST, LAST, Training, fit
from .metrics import accuracy
from .stopping import EarlyStopping

__all__ = [
    "BEST",
    "LAST",
    "EarlyStopping",
    "History",
    "RunLog",
    "Training",
    "accuracy",
    "describe_run",
    "evaluate",
    "fit",
    "require_finite",
]
