"""A module as a program that ends with its search: `python -m pipelines.search.child PID MODULE ARGUMENT ...`.

The search has threads, and what a thread's child does between fork and exec may wait for a lock that nobody holds there
any more (https://docs.python.org/3/library/subprocess.html#subprocess.Popen, `preexec_fn`), so the child does it here.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys

from core.family import die_with_parent


def main() -> None:
    parent, module, *arguments = sys.argv[1:]
    die_with_parent(signal.SIGTERM)
    if os.getppid() != int(parent):  # it had died before
        sys.exit(128 + signal.SIGTERM)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
