"""What the fork server imports once for all stage processes: DVC, as far as `dvc repro` uses it. Starts no thread."""

from __future__ import annotations

from pipelines.dvc import lockfile, private

private.load()
# DVC looks every half second whether its lock is free: with eight stages side by side most of their overhead. It
# divides this number by 6; with --wait-for-lock it tries for ever all the same.
private.set_lock_timeout(0.3)
lockfile.install()
