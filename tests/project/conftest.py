"""The scripts of project/ are imported from their folder, as they import each other."""

from __future__ import annotations

import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "project"

if str(PROJECT) not in sys.path:
    sys.path.insert(0, str(PROJECT))
