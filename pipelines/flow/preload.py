"""What the fork server imports once for all stage processes: DVC, as far as `dvc repro` uses it. Starts no thread."""

from __future__ import annotations

import dvc.api
import dvc.cli
import dvc.commands.repro
import dvc.lock
import dvc.repo.reproduce
import dvc.stage.cache
import dvc.stage.run

from pipelines.dvc import lockfile

# DVC looks every half second whether its lock is free: with eight stages side by side most of their overhead. It
# divides this number by 6; with --wait-for-lock it tries for ever all the same.
dvc.lock.DEFAULT_TIMEOUT = 0.3

lockfile.install()
