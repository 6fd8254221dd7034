"""Write docker/.env: a random password for everything in the stack, once. `python docker/passwords.py`.

What an existing file says is never changed: the databases were made with its passwords. A password that came later, and
in which no volume was made, is added. Standard library only.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

FILE = Path(__file__).resolve().parent / ".env"
NAMES = (
    "POSTGRES_PASSWORD",
    "MLFLOW_DB_PASSWORD",
    "PREFECT_DB_PASSWORD",
    "OBJECTS_ADMIN_SECRET",
    "OBJECTS_MLFLOW_SECRET",
    "OBJECTS_DVC_SECRET",
)
PAGES = ("MLFLOW_PASSWORD", "PREFECT_PASSWORD")
"""Of the user `stillhouse`; no volume depends on them."""
BYTES = 24
"""192 bits; hexadecimal, so that they stand in a URL, in JSON and in a shell as they are."""


def main(path: Path = FILE) -> int:
    """Exit code: 0 when the file is there with every password, 1 when it is unfit."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return check(path)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("# Made by docker/passwords.py. Other variables of docker/compose.yaml may stand here too.\n")
        file.writelines(_line(name) for name in NAMES + PAGES)
    print(f"{path}: written; keep it: the volumes of the stack open with these passwords only")
    return 0


def _line(name: str) -> str:
    return f"{name}={os.urandom(BYTES).hex()}\n"


def check(path: Path) -> int:
    """Look at a file that is there, add what it may lack."""
    text = path.read_text(encoding="utf-8")
    there = {line.partition("=")[0].strip() for line in text.splitlines() if line.partition("=")[2].strip()}
    if missing := [name for name in NAMES if name not in there]:
        print(f"error: {path} has no {', '.join(missing)}; add a line NAME=PASSWORD for each", file=sys.stderr)
        return 1
    if mode := stat.S_IMODE(path.stat().st_mode) & 0o077:
        print(f"error: {path} can be read by others (mode bits {mode:03o}); chmod 600 {path}", file=sys.stderr)
        return 1
    if later := [name for name in PAGES if name not in there]:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(["" if text.endswith("\n") else "\n", *map(_line, later)])
        print(f"{path}: {', '.join(later)} added")
        return 0
    print(f"{path}: is there, and stays as it is")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if sys.argv[1:] else FILE))
