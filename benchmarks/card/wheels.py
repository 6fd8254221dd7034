"""What must be brought to a machine without a network: the wheels of requirements/train.lock, with their bytes.

`bytes.json` has the sizes of the wheels for CPython 3.11 on x86-64 as the index told them when the lock was made; a pin
that it lacks has none. Standard library only: nothing need be installed where this runs.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "train.lock"
BYTES = Path(__file__).with_name("bytes.json")
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s\\;]+)", re.MULTILINE)
INSTALL = (
    "python3.11 -m pip install --no-index --find-links FOLDER --no-deps --require-hashes -r requirements/train.lock"
)


def pins(text: str) -> dict[str, str]:
    """Name -> version of a lock file, or of what `pip list --format=freeze` says; names as pip compares them."""
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in PIN.findall(text)}


def missing(have: str | None) -> dict[str, str]:
    """Pins of the lock that a machine lacks, or has in another version. have: its `pip list --format=freeze`."""
    there = pins(have or "")
    return {name: version for name, version in pins(LOCK.read_text("utf-8")).items() if there.get(name) != version}


def listing(have: str | None = None) -> Iterator[str]:
    """A line for each wheel, the largest first, then the total. have: see `missing`."""
    known: dict[str, int] = json.loads(BYTES.read_text(encoding="utf-8"))
    wanted, there = missing(have), pins(have or "")
    sizes = {name: known.get(f"{name}=={version}") for name, version in wanted.items()}
    for name in sorted(wanted, key=lambda name: (-(sizes[name] or 0), name)):
        size = sizes[name]
        told = "not known" if size is None else f"{size:,}"
        other = f"   (there is {there[name]})" if name in there else ""
        yield f"{told:>15}  {name}=={wanted[name]}{other}"
    unknown = sum(size is None for size in sizes.values())
    total = sum(size or 0 for size in sizes.values())
    yield f"{total:>15,}  bytes in {len(wanted)} wheels" + (f", {unknown} of them of no known size" if unknown else "")


def fetch(folder: Path, have: str | None) -> None:
    """Download them with pip, for CPython 3.11 on x86-64 Linux, and check their hashes. Raises: CalledProcessError."""
    wanted = missing(have)
    blocks = re.split(r"\n(?=[A-Za-z0-9])", LOCK.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    chosen = folder / "requirements.txt"
    chosen.write_text("\n".join(block for block in blocks if pins(block).keys() & wanted.keys()) + "\n", "utf-8")
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--dest", str(folder)]
    subprocess.run([*pip, "-r", str(chosen)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bash benchmarks/gpu.sh wheels", description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="fetch them into this folder, too")
    parser.add_argument("--have", type=Path, help="`pip list --format=freeze` of the machine: what it has is left out")
    arguments = parser.parse_args()
    have = arguments.have.read_text(encoding="utf-8") if arguments.have else None
    print("\n".join(listing(have)))
    print(f"\ninstall them there (x86-64, CPython 3.11): {INSTALL}")
    print("bring FOLDER of `bash benchmarks/gpu.sh prepare FOLDER`, too, and a checkout of the same commit")
    if arguments.folder:
        fetch(arguments.folder, have)


if __name__ == "__main__":
    main()
