"""What large data costs before training: `python -m benchmarks.shards 20000 60000`, or `--pairs 100000`.

For each number, generated data (pictures of 64 x 64 pixels in ten folders of classes, or sentence pairs as TSV) goes
through `prepare` and `validate` by `python -m pipelines.repro validate@TASK` in a clone of this commit (`--commit`: of
that one), the first time, again with nothing changed, and, of pictures, once more with one picture changed. Of each:
wall and CPU seconds of all processes together, what that is for a picture, the most memory that all of them hold at one
time (PSS), and how many files DVC has to look after. The libraries are imported each time, which takes some seconds
whatever the number; the last column, of a second number, is the cost of what it has more.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import yaml
from PIL import Image

from benchmarks.clones import ROOT, clone, do, machine

SIDE, CLASSES, SEED = 64, 10, 3
TASKS = {"pictures": "classification", "pairs": "translation"}
INTERVAL_S = 0.5
WORDS = 5000


@dataclass(frozen=True)
class Cost:
    wall_s: float
    cpu_s: float
    peak_mb: float


def pictures(folder: Path, count: int) -> None:
    """JPEG files of coloured blocks, each of them another one."""
    rng = np.random.default_rng(SEED)
    for number in range(count):
        place = folder / f"class{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        picture(rng).save(place / f"{number:07d}.jpg", quality=90)


def picture(rng: np.random.Generator) -> Image.Image:
    blocks = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
    return blocks.resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def pairs(folder: Path, count: int) -> None:
    """A TSV of sentences of made-up words."""
    rng = np.random.default_rng(SEED)
    letters = rng.integers(97, 123, (WORDS, 6)).astype(np.uint8)
    words = [letters[i, : 2 + i % 5].tobytes().decode() for i in range(WORDS)]
    kana = ["".join(chr(0x3042 + int(letter) - 97) for letter in row[: 2 + i % 4]) for i, row in enumerate(letters)]
    folder.mkdir(parents=True)
    with (folder / "pairs.tsv").open("w", encoding="utf-8") as file:
        file.write("en\tja\n")
        for _ in range(count):
            chosen = rng.integers(0, WORDS, int(rng.integers(4, 14)))
            file.write(f"{' '.join(words[i] for i in chosen)}\t{''.join(kana[i] for i in chosen)}\n")


def measured(command: list[str], folder: Path) -> Cost:
    """Run a command of Python in a checkout. Exits with what it said when it fails."""
    environment = os.environ | {"DVC_NO_ANALYTICS": "1", "PYTHONPATH": str(folder), "STILLHOUSE_WARM": "0"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    before, start, peak = os.times(), time.perf_counter(), [0.0]
    with tempfile.TemporaryFile("w+") as said:
        run = subprocess.Popen([sys.executable, *command], cwd=folder, env=environment, stdout=said, stderr=said)
        done = threading.Event()
        watch = threading.Thread(target=_watch, args=(run.pid, done, peak))
        watch.start()
        code = run.wait()
        done.set()
        watch.join()
        if code:
            said.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{said.read()[-3000:]}")
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(time.perf_counter() - start, spent, peak[0])


def _watch(pid: int, done: threading.Event, peak: list[float]) -> None:
    """Sum up the memory of a process and of all below it, as long as it runs."""
    while not done.wait(INTERVAL_S):
        try:
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        except psutil.Error:
            return
        total = 0
        for member in family:
            try:
                total += member.memory_full_info().pss
            except psutil.Error:
                continue
        peak[0] = max(peak[0], total / 1e6)


def checkout(folder: Path, commit: str | None, task: str, source: Path) -> Path:
    """A clone whose params have this one task and its data."""
    clone(folder)
    if commit:
        do("git", "checkout", "--quiet", commit, cwd=folder)
    params = folder / "params.yaml"
    values = yaml.safe_load(params.read_text(encoding="utf-8"))
    values["tasks"] = [task]
    values[task]["data"]["source"] = str(source)
    params.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return folder


def run(kind: str, count: int, commit: str | None, once: bool, scratch: Path) -> dict[str, Cost]:
    task, source = TASKS[kind], scratch / f"raw-{count}"
    (pictures if kind == "pictures" else pairs)(source, count)
    folder = checkout(scratch / f"clone-{count}", commit, task, source)
    command = ["-m", "pipelines.repro", f"validate@{task}"]
    found = {"first": measured(command, folder)}
    if not once:
        found["nothing changed"] = measured(command, folder)
    if not once and kind == "pictures":
        picture(np.random.default_rng(SEED + 1)).save(source / "class1" / "0000001.jpg", quality=90)
        found["one picture changed"] = measured(command, folder)
    files = sum(path.is_file() for path in (folder / "data" / task).rglob("*"))
    print(f"{count:,} {kind}: {files:,} files in data/{task}/")
    shutil.rmtree(folder)
    shutil.rmtree(source)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("counts", type=int, nargs="+")
    parser.add_argument("--pairs", action="store_true", help="of sentences; else pictures")
    parser.add_argument("--once", action="store_true", help="the first time alone")
    parser.add_argument("--commit", help="measure this one; else the one that is checked out")
    parser.add_argument("--folder", type=Path, help="where clones and data are made and removed")
    arguments = parser.parse_args()
    kind = "pairs" if arguments.pairs else "pictures"
    print(f"{machine()}; load {os.getloadavg()[0]:.1f}; {arguments.commit or ROOT}", flush=True)
    last: tuple[int, dict[str, Cost]] | None = None
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        for count in arguments.counts:
            found = run(kind, count, arguments.commit, arguments.once, Path(scratch))
            for name, cost in found.items():
                more = ""
                if last is not None:
                    added = (cost.cpu_s - last[1][name].cpu_s) / (count - last[0])
                    more = f"   {added * 1000:.3f} CPU ms for each more"
                print(
                    f"  {name:<20} {cost.wall_s:8.1f} s wall {cost.cpu_s:8.1f} s CPU "
                    f"{cost.cpu_s / count * 1000:8.3f} CPU ms each {cost.peak_mb:8.0f} MB{more}",
                    flush=True,
                )
            last = (count, found)


if __name__ == "__main__":
    main()
