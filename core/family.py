"""Parent and child processes."""

from __future__ import annotations

import ctypes
import signal

PR_SET_PDEATHSIG = 1


def die_with_parent(signum: signal.Signals) -> None:
    """Have the kernel send `signum` to this process when its parent dies. Linux only; elsewhere nothing happens."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signum))
    except (AttributeError, OSError):
        return


def ends_with_parent() -> None:
    """For `preexec_fn`: SIGTERM when the parent dies, since an orphan would go on beside its successor."""
    die_with_parent(signal.SIGTERM)
