"""What a container sees of this machine: the checkout read-only, but for what its stage writes.

Every path is the same on both sides, so that what a stage notes of paths holds here, and the other way round.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from core import paths
from core.files import OLD


def mounts(root: Path, outs: Sequence[str], read: Iterable[Path] = ()) -> dict[Path, bool]:
    """Path -> whether it can be written; the deeper ones lie over the others.

    root: of the checkout; outs: of the stage, relative to it; read: further files and folders.

    An output is removed and renamed into its place, which a mount point does not let. So the folder around it can be
    written, and what else lies there is laid over it read-only. `.stillhouse` can be written: it holds locks, spools
    and what a training resumes from.
    """
    found = {path: False for path in read if path.exists()}
    found[root] = False
    state = root / paths.STATE
    state.mkdir(exist_ok=True)
    written = {root / out for out in outs}
    folders = {path.parent for path in written}
    for folder in sorted(folders):
        folder.mkdir(parents=True, exist_ok=True)
        for entry in folder.iterdir():
            # A link is no place to mount at; of what is being written aside one may be gone in a moment.
            if entry not in written and not entry.is_symlink() and not entry.name.endswith((".partial", OLD)):
                found[entry] = False
    found |= dict.fromkeys(folders, True)
    found[state] = True
    return dict(sorted(found.items()))


def besides(root: Path, cache: Path) -> list[Path]:
    """What a checkout refers to and does not hold: git's own folder of a worktree, a cache of DVC's elsewhere."""
    found = [cache.absolute()]
    git = ["git", "rev-parse", "--path-format=absolute", "--git-common-dir"]
    done = subprocess.run(git, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        found.append(Path(done.stdout.strip()))
    return [path for path in found if root not in path.parents]
