"""Peak memory of a model that only predicts: measured in a process of its own, since peaks never go down.

python -m evaluation.memory TASK MODEL_FOLDER DATASET COUNT THREADS PROVIDER   prints megabytes (10^6 bytes)
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from core import task
from core.errors import ModelError
from core.gpu import CPU


def peak_mb(name: str, folder: Path, dataset: Path, count: int, threads: int = 0, provider: str = CPU) -> float:
    """Peak resident memory of a fresh process that loads the model and predicts `count` inputs of `val` one by one."""
    command = [sys.executable, "-m", "evaluation.memory", name, *map(str, (folder, dataset, count, threads)), provider]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"it ended with {done.returncode} and no message"]
        raise ModelError(f"{folder} cannot predict in a process of its own: {words[-1]}")
    return float(done.stdout)


def main() -> None:
    name, folder, dataset, count, threads, provider = sys.argv[1:]
    role = task.load(name, "predict")
    predictor = role.Predictor(Path(folder), threads=int(threads), provider=provider)
    for value in role.inputs(Path(dataset), "val", int(count)):
        predictor([value])
    # Not getrusage: its peak survives exec, so it would be that of the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak_kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    print(int(peak_kib) * 1024 / 1e6)


if __name__ == "__main__":
    main()
