"""Where DVC keeps its state, and where repairs keep theirs."""

from __future__ import annotations

from pathlib import Path

from core import paths

LOCK = Path("dvc.lock")
KEPT = paths.STATE / "dvc.lock"
"""The last dvc.lock that was whole."""
DAMAGED = paths.STATE / "damaged"
LOG = paths.STATE / "repair.log"
PROCESSES = paths.STATE / "dvc"
"""`PID-START.dvc`: a process that runs DVC under another name; `PID-START.guard`: of `ops.repair.guard`."""
DVC = Path(".dvc")
TEMPORARY = DVC / "tmp"
