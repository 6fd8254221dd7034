"""What was measured, a file for each task: `measured/<task>.json`, a section for each command."""

from __future__ import annotations

import json
import math
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.clones import ROOT, told
from core import cpu
from serving import cores
from serving.ways import Way

MEASURED = Path(__file__).parent / "measured"
LIBRARIES = ("onnxruntime", "uvloop", "h11", "pydantic")


def machine() -> str:
    """Processor, cores and the versions that matter here."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"{cores.available()} cores of {cpu.name()}; Python {platform.python_version()}, {libraries}"


def keep(task: str, command: str, found: dict[str, Any], way: Way, measured: Path = MEASURED) -> Path:
    """Put what a command has found in the place of what it found before. What is no number, such as the latency of a
    load under which nothing was answered, becomes null: JSON has no other word for it."""
    path = measured / f"{task}.json"
    held = read(task, measured) or {}
    held[command] = {
        "machine": machine(),
        "commit": told("git", "rev-parse", "HEAD", cwd=ROOT),
        "command": f"python -m benchmarks.serving {' '.join(_words())}",
        "workers": way.workers,
        "instances": way.instances,
        "threads": way.threads,
        **_plain(found),
    }
    measured.mkdir(exist_ok=True)
    path.write_text(json.dumps(held, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return path


def read(task: str, measured: Path = MEASURED) -> dict[str, Any] | None:
    """Sections by command; None: nothing was measured."""
    path = measured / f"{task}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _words() -> list[str]:
    """The command line, packages by their last two folders: paths of one machine tell nobody anything."""
    return ["/".join(Path(word).parts[-2:]) if "/" in word else word for word in sys.argv[1:]]
