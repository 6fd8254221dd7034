"""`python -m stages.NAME` before its own first line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOOK = """
import ctypes, os, sys

class Look:
    def find_spec(self, name, path=None, target=None):
        if name == "core.stage":  # the first that a stage imports
            signum = ctypes.c_int()
            ctypes.CDLL(None).prctl(2, ctypes.byref(signum))  # PR_GET_PDEATHSIG
            print(signum.value, flush=True)
            os._exit(0)

sys.meta_path.insert(0, Look())
"""


def test_a_stage_dies_with_its_dvc_before_it_imports_anything(tmp_path: Path) -> None:
    """An orphan that still imports would go on to write beside its successor."""
    (tmp_path / "sitecustomize.py").write_text(LOOK)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "stages.prepare", "detection"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(int(signal.SIGTERM)), done.stderr
