"""A stage of the test repositories: `work.py OUT [DEP ...]` and the options below.

Writes a digest of its name and its dependencies, aside first, as the project's stages do. `--fail` and `--kill` hold
for the first `--times` executions; each execution is noted in `executions/OUT`.
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

from core.family import die_with_parent

NOTED = ("STILLHOUSE_THREADS", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "STILLHOUSE_BATCH_PARTS")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("deps", nargs="*", type=Path)
    parser.add_argument("--sleep", type=float, default=0.0)
    parser.add_argument("--until", type=Path)
    parser.add_argument("--fail", type=int, default=0)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--times", type=int, default=10**9)
    parser.add_argument("--log", default="")
    parser.add_argument("--fat", type=int, default=0, help="MB that it takes, some at a time")
    given = parser.parse_args()
    die_with_parent(signal.SIGTERM)
    notes = Path("executions", given.out)
    notes.parent.mkdir(exist_ok=True)
    before = len(notes.read_text(encoding="utf-8").splitlines()) if notes.exists() else 0
    noted = {name: os.environ[name] for name in NOTED if name in os.environ}
    _note(notes, {"began": time.time(), **noted})
    print(given.log or f"{given.out} at work", flush=True)
    content = given.out.name + "".join(dep.read_text(encoding="utf-8") for dep in given.deps)
    time.sleep(given.sleep)
    taken = []
    for _ in range(0, given.fat, 20):
        taken.append(b"x" * 20_000_000)
        time.sleep(0.2)
    while given.until is not None and not given.until.exists():
        time.sleep(0.05)
    if before < given.times and given.kill:
        os.kill(os.getpid(), signal.SIGKILL)
    if before < given.times and given.fail:
        print("error: as it was told", file=sys.stderr)
        sys.exit(given.fail)
    aside = given.out.with_suffix(f".{os.getpid()}.partial")
    aside.write_text(hashlib.sha256(content.encode()).hexdigest(), encoding="utf-8")
    aside.replace(given.out)
    _note(Path("ends", given.out), {"ended": time.time()})


def _note(path: Path, values: dict[str, object]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(values) + "\n")


if __name__ == "__main__":
    main()
