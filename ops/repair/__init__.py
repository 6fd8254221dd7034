"""What a killed DVC leaves behind, mended: `python -m ops.repair`, or `repair()` before DVC starts.

DVC 3.67.1 writes three things in place, so that a kill leaves them half written:

    dvc.lock            no YAML any more: every command fails; or whole stages are missing: they are forgotten
    .dvc/tmp/rwlock     empty: every command fails; or it names a process that is no DVC: "busy" for ever
    .dvc/cache/runs     `.tmp` files and empty folders: the stage fails from then on

Files that it leaves in `.dvc/cache/files` and beside outputs do no harm: it renames objects into place, and checks what
is not write-protected yet. All is changed under DVC's own locks, so a live DVC is not disturbed, and what it holds is
left alone. `core.hardlink_lock` is not supported: its locks are others.
"""

from __future__ import annotations

import time

from ops.repair import lock_file, run_cache, rwlock
from ops.repair.lock_file import keep
from ops.repair.places import LOG, TEMPORARY
from ops.repair.processes import dvc_above, forget_processes, register_dvc, started
from ops.repair.run_cache import cache

__all__ = ["cache", "dvc_above", "keep", "register_dvc", "repair", "started"]


def repair() -> list[str]:
    """Mend what a killed DVC left in the working directory, the root of a DVC repository.

    Returns: one sentence for each thing that was mended, also written to `.stillhouse/repair.log`.
    Raises: OSError where the disk or the rights do not let it.
    """
    if not TEMPORARY.is_dir():
        return []  # no DVC has ever run here
    mended = [*rwlock.mend(), *lock_file.mend(), *run_cache.mend()]
    if mended:
        LOG.parent.mkdir(parents=True, exist_ok=True)
        with LOG.open("a", encoding="utf-8") as log:
            log.writelines(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {sentence}\n" for sentence in mended)
    forget_processes()  # last: who sees none any more finds all told
    return mended
