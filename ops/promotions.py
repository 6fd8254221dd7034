"""Who became champion, when, and why: an append-only log of each task, `.stillhouse/promotions/<task>.jsonl`.

    python -m ops.promotions [TASK...]     tell it, and verify it; exit code 2 when it does not hold

Each line is a record with `seal`, the sha256 of all else in it, and `previous`, the seal of the record before it; so a
record that was changed, taken out or put in between breaks the chain. Lines taken from its end only the outside can
tell: the seal stands as tag `promotion` on the MLflow run of each. A challenger that was refused has its record, too.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from core import lineage, paths
from core.errors import ModelError, StillhouseError
from core.files import write_text
from core.visible import visible

FOLDER = paths.STATE / "promotions"


def log(task: str) -> Path:
    return FOLDER / f"{task}.jsonl"


def read(task: str) -> list[dict[str, Any]]:
    """All records, the oldest first; empty without a log. Raises: ModelError when the log does not hold."""
    records, problems = _read(task)
    if problems:
        raise ModelError(
            f"{problems[0]}; find out who changed it. Move {log(task)} aside to start another one, which knows of no "
            "champion"
        )
    return records


def problems(task: str) -> list[str]:
    """What is not as it was written; empty when all is."""
    return _read(task)[1]


def champion(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The last one that was promoted."""
    return next((record for record in reversed(records) if record["promoted"]), None)


def append(task: str, promoted: bool, why: str, package: str, figures: dict[str, Any]) -> dict[str, Any]:
    """Write a record and return it. package: the seal of its passport. Raises: ModelError, see `read`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with FileLock(log(task).with_suffix(".lock")):
        records = read(task)
        record = {
            "task": task,
            "promoted": promoted,
            "why": why,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "who": who(),
            "code": lineage.git_commit(),
            "package": package,
            "figures": figures,
            "previous": records[-1]["seal"] if records else None,
        }
        record["seal"] = _seal(record)
        write_text(log(task), "".join(_line(each) for each in [*records, record]))
    return record


def who() -> str:
    """The user, as git knows them, else as the system does."""
    told = [_git("user.name"), _git("user.email")]
    if any(told):
        return " ".join([told[0], f"<{told[1]}>" if told[1] else ""]).strip()
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name, in a container
        return "unknown"


def _git(key: str) -> str:
    try:
        done = subprocess.run(["git", "config", key], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _read(task: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Records up to the first that does not hold, and why that one does not."""
    try:
        lines = log(task).read_bytes().splitlines()
    except FileNotFoundError:
        return [], []
    records: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        fault = None
        try:
            record = json.loads(line)
            kept = {key: value for key, value in record.items() if key != "seal"}
            if record["seal"] != _seal(kept):
                fault = "was changed: its seal is not that of its content"
            elif record["previous"] != (records[-1]["seal"] if records else None):
                fault = "does not follow the one before it"
            elif record["task"] != task or not isinstance(record["promoted"], bool):
                fault = f"is none of {task}"
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            fault = "is no record"
        if fault:
            return records, [f"{log(task)}: line {number} {fault}"]
        records.append(record)
    return records, []


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, sort_keys=True) + "\n"


def _seal(record: dict[str, Any]) -> str:
    return hashlib.sha256(_line(record).encode("utf-8", "surrogatepass")).hexdigest()


def told(record: dict[str, Any]) -> str:
    """A record in a few lines."""
    figures = record["figures"]
    what = "champion" if record["promoted"] else "refused"
    return (
        f"{record['when']}  {what}  {record['package'][:12]}  {figures['variant']} {figures['precision']}, "
        f"{figures['title']} {figures['val']:.4g} on val, {figures['test']:.4g} on test, {figures['size_mb']:.2f} MB\n"
        f"    {record['why']}; by {record['who']}, code {(record['code'] or 'not under git')[:12]}"
    )


def main() -> None:
    tasks = sys.argv[1:] or sorted(path.stem for path in FOLDER.glob("*.jsonl"))
    faults = []
    for task in tasks:
        records, found = _read(task)
        print("\n".join([f"{task}: {len(records)} records", *(visible(told(record)) for record in records)]))
        faults += found
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if faults:
        sys.exit(2)


if __name__ == "__main__":
    try:
        main()
    except StillhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
