"""All steps one after the other, each in a process of its own with a limit; what is done is in the file at once."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.card.subjects import subjects

ROOT = Path(__file__).parents[2]
MINUTES = 8
LEAST_S = 5.0
"""Left of `MINUTES`, without which no step begins."""
SAID = 2000
"""Characters of what a failed step said last."""


class Step(NamedTuple):
    module: str
    """Of `benchmarks.card`."""
    name: str
    subject: str | None
    seconds: float
    """Its limit."""

    @property
    def key(self) -> str:
        return f"{self.name} {self.subject}" if self.subject else self.name


def steps(cpu: bool) -> list[Step]:
    """In the order of their worth, as far as one needs another. Their limits are 8 minutes together."""
    names = [subject.name for subject in subjects(cpu)]
    alone = [("doctor", "doctor", 25), ("training", "limit", 25), ("strict", "strict", 30)]
    each = [("training", "train", 75), ("training", "loop", 30), ("inference", "onnx", 95)]
    return [
        *(Step(module, name, None, most) for module, name, most in alone),
        *(Step(module, name, subject, most) for module, name, most in each for subject in names),
    ]


def run(folder: Path, out: Path, cpu: bool, minutes: float = MINUTES) -> list[str]:
    """Run all, write `out` after each. folder: of `prepare`. Returns: steps that failed."""
    ends = time.monotonic() + 60 * minutes
    found: dict[str, Any] = {"cpu": cpu, "steps": {}}
    for step in steps(cpu):
        most = min(step.seconds, ends - time.monotonic())
        started = time.monotonic()
        if most < LEAST_S:
            done: dict[str, Any] = {"ok": False, "error": f"the {minutes:g} minutes were over"}
        else:
            done = _one(step, folder, cpu, most)
        done["took_s"] = round(time.monotonic() - started, 1)
        found["steps"][step.key] = done
        found.update(done.pop("machine", {}))
        _write(out, found)
        print(f"{step.key:<22}{done['took_s']:7.1f} s  {'done' if done['ok'] else done['error']}", flush=True)
    return [key for key, done in found["steps"].items() if not done["ok"]]


def _one(step: Step, folder: Path, cpu: bool, most: float) -> dict[str, Any]:
    """What a step found; `ok` and `error` say how it ended."""
    here = folder / step.subject if step.subject else ROOT
    if not here.is_dir():
        return {"ok": False, "error": f"{here} is not there; `bash benchmarks/gpu.sh prepare {folder}` makes it"}
    with tempfile.TemporaryDirectory(prefix="stillhouse-") as scratch:
        answer, log = Path(scratch, "answer.json"), Path(scratch, "log")
        words = [sys.executable, "-m", f"benchmarks.card.{step.module}", step.name]
        words += [step.subject] if step.subject else []
        with log.open("wb") as told:
            process = subprocess.Popen(
                [*words, "--out", str(answer), *(["--cpu"] if cpu else [])],
                cwd=here,
                env={**os.environ, "PYTHONPATH": str(here), "DO_NOT_TRACK": "1"},
                stdout=told,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code: int | None = process.wait(most)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                _end(process)
        if code == 0 and answer.exists():
            found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
            problems = found.get("problems", [])
            return {**found, "ok": not problems, **({"error": "; ".join(problems)} if problems else {})}
        why = f"not done within {most:.0f} s" if code is None else f"ended with {code}"
        said = log.read_text(encoding="utf-8", errors="replace")[-SAID:]
        return {
            "ok": False,
            "error": f"{why}; last it said: {(said.strip().splitlines() or ['nothing'])[-1]}",
            "said": said,
        }


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of its session: loaders of data are processes, too."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _write(path: Path, found: Any) -> None:
    """Whole or not at all: a run may be killed at any time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    aside.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bash benchmarks/gpu.sh run", description=__doc__)
    parser.add_argument("folder", type=Path, help="what `prepare` made")
    parser.add_argument("--out", type=Path, required=True, help="the JSON with all figures")
    parser.add_argument("--cpu", action="store_true", help="try it without a card, shortened; for no page")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="in all (%(default)s)")
    given = parser.parse_args()
    if failed := run(given.folder.resolve(), given.out.resolve(), given.cpu, given.minutes):
        sys.exit(f"{len(failed)} steps failed: {', '.join(failed)}; the figures of the others are in {given.out}")


if __name__ == "__main__":
    main()
