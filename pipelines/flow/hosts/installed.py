"""Whether the packages of this Python are those that a stage depends on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[\w,.-]*\])?==([^\s;\\]+)", re.MULTILINE)
NAMED = 3


def differences(files: Iterable[str]) -> list[str]:
    """What is not installed as the locks of requirements among `files` (`*.lock`) pin it.

    Returns: sentences, one for each file that differs.
    """
    found = []
    for name in sorted(set(files)):
        path = Path(name)
        if path.suffix != ".lock" or path.name == "dvc.lock" or not path.is_file():
            continue
        pins = dict(PIN.findall(path.read_text(encoding="utf-8")))
        wrong = [
            f"{package} {version} ({told})" for package, version in pins.items() if (told := _other(package, version))
        ]
        if wrong:
            more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
            found.append(f"{name} asks for {', '.join(wrong[:NAMED])}{more}")
    return found


def _other(package: str, version: str) -> str:
    """What is there instead; empty when it is that version."""
    try:
        here = metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
    return "" if here.partition("+")[0] == version.partition("+")[0] else f"{here} is installed"
