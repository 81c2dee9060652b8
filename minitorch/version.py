"""The one place that holds the version; the package's metadata is built from it."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
