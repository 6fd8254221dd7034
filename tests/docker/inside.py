"""A stage of the small repositories whose stages run in containers: `inside.py OUT [DEP ...]` and the options below.

It needs nothing but Python. What it sees around it is noted in `.stillhouse/seen/OUT`, a line an execution.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("deps", nargs="*", type=Path)
    parser.add_argument("--sleep", type=float, default=0.0)
    parser.add_argument("--until", type=Path)
    parser.add_argument("--fail", type=int, default=0)
    parser.add_argument("--take", type=int, default=0, help="MB of memory, fewer in further parts of a batch")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, terminated)
    noted = Path(".stillhouse", "seen", given.out)
    noted.parent.mkdir(parents=True, exist_ok=True)
    with noted.open("a", encoding="utf-8") as file:
        file.write(json.dumps(seen(given.out)) + "\n")
    print(f"{given.out} at work", flush=True)
    held = b"x" * (given.take * 10**6 // int(os.environ.get("STILLHOUSE_BATCH_PARTS", "1")))
    content = given.out.name + "".join(dep.read_text(encoding="utf-8") for dep in given.deps)
    time.sleep(given.sleep)
    while given.until is not None and not given.until.exists():
        time.sleep(0.05)
    del held
    if given.fail:
        print("error: as it was told", file=sys.stderr)
        sys.exit(given.fail)
    aside = given.out.with_name(f".{given.out.name}.{os.getpid()}.partial")
    aside.write_text(hashlib.sha256(content.encode()).hexdigest(), encoding="utf-8")
    aside.replace(given.out)


def terminated(signum: int, frame: object) -> None:
    print("told to end, and saved", flush=True)
    sys.exit(128 + signum)


def seen(out: Path) -> dict[str, object]:
    return {
        "host": os.uname().nodename,
        "user": [os.getuid(), os.getgid()],
        "here": str(Path.cwd()),
        "home": os.environ.get("HOME"),
        "image": os.environ.get("STILLHOUSE_IMAGE"),
        "threads": os.environ.get("STILLHOUSE_THREADS"),
        "secret": os.environ.get("NOT_FOR_STAGES"),
        "written": [path for path in ("dvc.yaml", ".dvc/config", "/etc/hostname", "other") if writable(Path(path))],
        "networks": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "began": time.time(),
    }


def writable(path: Path) -> bool:
    """Whether an existing file can be changed."""
    try:
        with path.open("ab"):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    main()
