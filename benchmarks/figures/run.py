"""A preset from `make preset` to the comparison of all its variants, in a clone of this commit."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.clones import clone, do, machine, told

MEASURED = Path(__file__).parent / "measured"
COLUMNS = (
    *("variant", "precision", "quality", "test", "test_interval", "loss", "size_mb", "latency_ms", "speed", "speed_8"),
    *("memory_mb", "parameters", "macs", "verdict"),
)


def run(preset: str, data: str | None, folder: Path) -> Path:
    """Run `preset` in a clone at `folder` and write `measured/<preset>.json`; returns that file.

    data: a local copy of the preset's data. Raises: FileExistsError when there is something at `folder`.
    """
    clone(folder)
    do(sys.executable, "-m", "pipelines.preset", preset, *(["--data", data] if data else []), cwd=folder)
    do(sys.executable, "-m", "pipelines.repro", cwd=folder)
    return read(preset, folder)


def read(preset: str, folder: Path) -> Path:
    """Take the figures that a finished run left in the checkout `folder`. Returns: `measured/<preset>.json`."""
    (report,) = (folder / "reports").glob("*/comparison.json")
    comparison = json.loads(report.read_text(encoding="utf-8"))
    keys = ("title", "signature", "val_inputs", "test_inputs", "chosen", "budget", "timing")
    found: dict[str, Any] = {
        "commit": told("git", "rev-parse", "HEAD", cwd=folder),
        "machine": machine(),
        **{key: comparison[key] for key in keys},
        "rows": [{key: row[key] for key in COLUMNS} for row in comparison["rows"]],
    }
    path = MEASURED / f"{preset}.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return path
