"""Whether two runs of the pipeline made the same, but for times: `python -m benchmarks.same FIRST SECOND`.

FIRST and SECOND are checkouts in which the pipeline has run. What a run leaves that holds a time, or hangs on one, is
left out: Great Expectations' Data Docs, latencies, what compares and packages by them. Exit code 1 for a difference.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from core.files import sha256

CHOSEN_BY_TIME = ("package", "publish")
"""Stages whose output depends on which model was the fastest."""
TIMED_FILES = ("timing.json", "calls.json", "pareto.png", "report.html", "comparison.md", "comparison.csv")
TIMED_KEYS = (
    *("latency_ms", "p99_ms", "per_second", "all_cores_ms", "speed", "speed_8", "speed_all_cores"),
    *("memory_mb", "operators", "front", "misses", "chosen", "verdict", "timing"),
)
"""Of `comparison.json`."""


def outputs(root: Path) -> dict[str, list[Path]]:
    """Stage instance -> its outputs, from dvc.lock."""
    stages: dict[str, Any] = yaml.safe_load((root / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    return {name: [root / out["path"] for out in entry.get("outs", [])] for name, entry in stages.items()}


def content(folder: Path) -> dict[str, str]:
    """File -> sha256; of a comparison, what holds no time."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "data_docs" not in path.parts and path.name not in TIMED_FILES:
            name = path.relative_to(folder).as_posix()
            found[name] = _without_times(path) if path.name == "comparison.json" else sha256(path)
    return found


def _without_times(path: Path) -> str:
    values = json.loads(path.read_text(encoding="utf-8"))
    rows = [{key: value for key, value in row.items() if key not in TIMED_KEYS} for row in values["rows"]]
    return json.dumps({key: value for key, value in values.items() if key not in TIMED_KEYS} | {"rows": rows})


def different(first: Path, second: Path) -> dict[str, list[str]]:
    """Stage instance -> files that differ between two repositories."""
    here, there = outputs(first), outputs(second)
    found = {name: ["in one of them only"] for name in here.keys() ^ there.keys()}
    for name in sorted(here.keys() & there.keys()):
        if name.partition("@")[0] in CHOSEN_BY_TIME:
            continue
        for mine, other in zip(here[name], there[name], strict=True):
            one, two = content(mine), content(other)
            if files := sorted(file for file in one.keys() | two.keys() if one.get(file) != two.get(file)):
                found[name] = files
    return found


def main() -> None:
    first, second = map(Path, sys.argv[1:])
    found = different(first, second)
    for name, files in sorted(found.items()):
        print(f"{name}: {', '.join(files)}")
    print(f"{len(outputs(first)) - len(found)} of {len(outputs(first))} stages made the same")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
