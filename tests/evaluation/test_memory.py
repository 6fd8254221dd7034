"""Peak memory is the model's own, not that of the process that measures it."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import subprocess, sys
ballast = bytearray(400 * 10**6)
code = (
    "from pathlib import Path; from types import SimpleNamespace as N; from core import task; import sys\\n"
    "planted = int(sys.argv[1]) * b'x'; del planted\\n"
    "task.load = lambda name, role: N(Predictor=lambda f, threads, provider: None, inputs=lambda d, s, n: [])\\n"
    "from evaluation import memory; sys.argv = 'memory toy . . 1 1 CPUExecutionProvider'.split(); memory.main()\\n"
)
for planted in (0, 200 * 10**6):
    done = subprocess.run([sys.executable, "-c", code, str(planted)], capture_output=True, text=True, check=True)
    print(done.stdout)
"""


def test_it_is_what_the_process_that_predicts_took_and_no_more() -> None:
    """The parent is twice as large as what is planted; the peak stays when it is freed again."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    without, planted = map(float, done.stdout.split())
    assert 190 < planted - without < 210
    assert without < 400
