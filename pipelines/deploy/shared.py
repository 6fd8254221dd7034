"""`python -m pipelines.deploy.shared push|pull --run-cache ...`: as DVC's; of the run cache, what is missing."""

from __future__ import annotations

import sys

from ops.repair import register_dvc
from pipelines.dvc import private

if __name__ == "__main__":
    sys.argv[0] = "dvc"  # what it writes into its locks
    register_dvc()
    private.share_runs()
    sys.exit(private.main(sys.argv[1:]))
