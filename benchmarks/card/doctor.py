"""The doctor's report, and what this machine is."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from typing import Any

from benchmarks.card import step
from benchmarks.card.subjects import Subject
from core import cpu as processor
from core.gpu import driver
from ops.doctor.facts import version


def measure(_: Subject | None, cpu: bool) -> dict[str, Any]:
    """`problems`: what the doctor says is wrong, in the strict mode on a card."""
    done = subprocess.run([sys.executable, "-m", "ops.doctor", "--json"], capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    found = driver.read()
    card = None if cpu or not found.gpus else found.gpus[0]
    machine = {
        "card": card.name if card else None,
        "memory_gib": card.memory_gib if card else None,
        "driver": found.version,
        "processor": f"{len(os.sched_getaffinity(0))} cores of {processor.name()}, {platform.machine()}",
        "versions": {"torch": version("torch"), "onnxruntime": report["onnxruntime"]["version"]},
        "commit": _commit(),
    }
    problems = [f"{each['what']}; {each['do']}" for each in report["problems"]]
    if not cpu and card is None:
        problems.append(f"{found.error}; {found.advice}")
    return {"report": report, "machine": machine, "problems": problems}


def _commit() -> str | None:
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


if __name__ == "__main__":
    step.main({"doctor": measure})
