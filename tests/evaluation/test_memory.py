"""Peak memory is the model's own, not that of the process that measures it."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import subprocess, sys
ballast = bytearray(400 * 10**6)
code = (
    "from pathlib import Path; from types import SimpleNamespace as N; from core import task; import sys\\n"
    "task.load = lambda name, role: N(Predictor=lambda f, threads, provider: None, inputs=lambda d, s, n: [])\\n"
    "from evaluation import memory; sys.argv = 'memory toy . . 1 1 CPUExecutionProvider'.split(); memory.main()\\n"
)
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
"""


def test_a_large_parent_does_not_count() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert 1 < float(done.stdout) < 200
