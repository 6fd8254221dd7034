"""The strict mode (`core.gpu`): content with a card, and an error that says why where the card is hidden."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from benchmarks.card import step
from benchmarks.card.subjects import Subject
from core import gpu

HIDDEN = {"CUDA_VISIBLE_DEVICES": "-1"}
TRAINING = "from training import hardware; print(hardware.accelerator())"


def measure(_: Subject | None, cpu: bool) -> dict[str, Any]:
    """What the doctor and training say to it, as the machine is and with the card hidden. cpu: there is none."""
    commands = {"doctor": ["-m", "ops.doctor"], "training": ["-c", TRAINING]}
    found: dict[str, Any] = {"problems": []}
    for name, command in commands.items():
        for hidden in (False, True):
            done = subprocess.run(
                [sys.executable, *command],
                env={**os.environ, gpu.VARIABLE: "1", **(HIDDEN if hidden else {})},
                capture_output=True,
                text=True,
                check=False,
            )
            refused = done.returncode != 0
            where = f"{name}, card hidden" if hidden else name
            found[where] = "refused" if refused else "accepted"
            if refused != (hidden or cpu):
                said = (done.stderr or done.stdout).strip().splitlines()[-1:]
                found["problems"].append(f"{where}: {found[where]} ({' '.join(said)})")
    return found


if __name__ == "__main__":
    step.main({"strict": measure})
