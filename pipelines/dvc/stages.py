"""Stages that begin where the imports are done: DVC starts them as forks of one server (ops/warm.py).

A stage imports for one to five seconds what the stage before it has imported, too. The server imports beside the first
stages; until it is ready, and for all else that dvc.yaml may name, DVC starts a process as ever. It knows of no module
of this project, so that a stage always runs the code that lies there.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from core.family import ends_with
from ops.warm import Warm
from pipelines.dvc import private
from pipelines.flow.slots import visible_gpus

SWITCH = "STILLHOUSE_WARM"
"""0: every stage imports for itself."""
STAGE = re.compile(r"python -m (stages\.[a-z_]+)((?: [a-z][a-z0-9_]*)*)")
MODULES = (
    *("pandas", "pyarrow.parquet", "PIL.Image", "sklearn.datasets", "matplotlib.pyplot", "great_expectations"),
    *("lightning.pytorch", "omegaconf", "s3fs", "torch_pruning", "captum.attr"),  # two of which Lightning saves by
    *("torch.export", "torch.fx.experimental.symbolic_shapes", "onnxscript.optimizer", "networkx"),
    *("onnxruntime.quantization", "pycocotools.cocoeval", "sacrebleu", "jinja2", "mlflow.pyfunc"),
)
"""What stages import, seven seconds of it, but for this project's modules. What is not installed is left out."""


class Forked:
    """As much of `subprocess.Popen` as DVC uses."""

    def __init__(self, pid: int):
        self.pid = pid
        self.returncode: int | None = None

    def communicate(self) -> tuple[None, None]:
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return None, None


class Stages:
    """Starts what DVC starts."""

    def __init__(self, forks: bool = True) -> None:
        self.forks = forks
        self.warm: Warm | None = None
        """The server, from the first stage on."""

    def popen(self, command: Sequence[str], **how: Any) -> Forked | subprocess.Popen[Any]:
        """DVC's `subprocess.Popen`: by a fork for a stage, as soon as the server is ready. It ends with this process
        from its first moment on: a stage sees to that itself only when it has imported what it needs."""
        words = stage_words(command, how["env"])
        if words and self.forks:
            with suppress(OSError):  # the server has ended, perhaps for want of memory
                self.warm = self.warm or self._started(how["env"])
                if self.warm.ready():
                    return Forked(self.warm.fork(words, how["cwd"], how["env"], (0, 1, 2), bound=True))
        # A stage without its shell, which would end first and leave it.
        guard = ends_with(os.getpid())
        return subprocess.Popen(words or command, preexec_fn=guard, **how)  # noqa: PLW1509 - only a system call

    def _started(self, environment: Mapping[str, str]) -> Warm:
        warm = Warm(*filter(installed, MODULES), environment=environment).__enter__()
        atexit.register(warm.__exit__, None, None, None)
        return warm


def install() -> None:
    """Have this process's DVC start its stages so.

    Without forks where there is a GPU: a library that looks for one as it is imported would leave each without it.
    """
    private.start_commands_by(Stages(os.environ.get(SWITCH) != "0" and not visible_gpus()).popen)


def installed(module: str) -> bool:
    return importlib.util.find_spec(module.partition(".")[0]) is not None


def stage_words(command: Sequence[str], environment: Mapping[str, str]) -> list[str] | None:
    """The Python command of a stage, e.g. `[PYTHON, "-m", "stages.train", "detection"]`; None for any other command,
    and where `python` is not this interpreter.

    command: of a shell, as DVC gives it, the line last.
    """
    found = STAGE.fullmatch(command[-1].strip()) if not isinstance(command, str) else None
    python = shutil.which("python", path=environment.get("PATH"))
    if found is None or python is None or os.path.dirname(python) != os.path.dirname(sys.executable):  # noqa: PTH120
        return None
    return [sys.executable, "-m", found[1], *found[2].split()]
