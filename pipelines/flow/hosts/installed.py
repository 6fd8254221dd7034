"""Whether the packages of this Python are those that a stage depends on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[\w,.-]*\])?==([^\s;\\]+)", re.MULTILINE)
NAMED = 3


def differences(files: Iterable[str], memory: Path) -> list[str]:
    """What is not installed as the locks of requirements among `files` (`*.lock`) pin it.

    memory: a folder that remembers which locks were found installed, until something is installed: to look at two
    hundred packages takes a second.
    Returns: sentences, one for each file that differs.
    """
    found = []
    here = str(Path(str(metadata.distribution("pip").locate_file(""))).stat().st_mtime_ns)
    for name in sorted(set(files)):
        path = Path(name)
        if path.suffix != ".lock" or path.name == "dvc.lock" or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        known = memory / hashlib.sha256(f"{here} {text}".encode()).hexdigest()
        if known.exists():
            continue
        pins = dict(PIN.findall(text))
        wrong = [
            f"{package} {version} ({told})" for package, version in pins.items() if (told := _other(package, version))
        ]
        if wrong:
            more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
            found.append(f"{name} asks for {', '.join(wrong[:NAMED])}{more}")
        else:
            memory.mkdir(parents=True, exist_ok=True)
            known.touch()
    return found


def _other(package: str, version: str) -> str:
    """What is there instead; empty when it is that version."""
    try:
        here = metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
    return "" if here.partition("+")[0] == version.partition("+")[0] else f"{here} is installed"
