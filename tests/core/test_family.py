"""Children that do not outlive their parents."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from core.family import ends_with

PARENT = """
import os, subprocess, sys, time
from core.family import ends_with
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], preexec_fn=ends_with(os.getpid()))
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's PR_SET_PDEATHSIG is Linux's")
def test_a_child_ends_with_its_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    child.wait(10)
    assert not child.is_running()


def test_none_begins_whose_parent_has_ended() -> None:
    gone = os.getppid()  # of this process's own child it is not the parent
    assert subprocess.run([sys.executable, "-c", "print(1)"], preexec_fn=ends_with(gone), check=False).returncode == 143
