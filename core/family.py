"""Parent and child processes."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

PR_SET_PDEATHSIG = 1


def die_with_parent(signum: signal.Signals) -> None:
    """Have the kernel send `signum` to this process when its parent dies. Linux only; elsewhere nothing happens."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signum))
    except (AttributeError, OSError):
        return


def ends_with(parent: int) -> Callable[[], None]:
    """For `preexec_fn` of what process `parent` starts: SIGTERM when that one dies, and no start where it has died
    already, since an orphan would go on beside its successor."""

    def before_exec() -> None:
        die_with_parent(signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(128 + signal.SIGTERM)

    return before_exec
