"""`python -m pipelines.dvc repro ...`: DVC's command line, faster (see this package)."""

from __future__ import annotations

import sys

from ops.repair import register_dvc
from pipelines.dvc import lockfile, private, stages

if __name__ == "__main__":
    sys.argv[0] = "dvc"  # what it writes into its locks
    register_dvc()
    lockfile.install()
    stages.install()
    private.look_once()
    sys.exit(private.main(sys.argv[1:]))
