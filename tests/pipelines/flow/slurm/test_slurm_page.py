"""The command of docs/cluster.md for SLURM, run: a copy of this repository, a stage of it made by a job."""

from __future__ import annotations

from pathlib import Path

import pipeline_copy
import pytest
from clusters import Cluster
from repository import ROOT
from warm import Warm

COMMAND = 'make flow ARGS="--in slurm"'
STAGE = "prepare@classification"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_its_command_does_what_it_says(cluster: Cluster, tmp_path: Path, warm: Warm) -> None:
    assert COMMAND in (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8").splitlines()
    made = pipeline_copy.make(tmp_path / "checkout", warm=warm)
    (made.folder / ".venv").symlink_to(ROOT / ".venv")
    path = f"{cluster.variables['PATH']}:" if "PATH" in cluster.variables else ""
    more = {**cluster.variables, "STILLHOUSE_WARM": "0"}
    made.environment.update(more | {"PATH": path + made.environment["PATH"]})
    made.run("python", "-m", "pipelines.sources")
    command = COMMAND.replace("slurm", f"slurm --no-prefect {STAGE}")
    done = made.run("sh", "-c", command.replace("make", "make -o .venv/.installed"))  # the packages are there
    assert f"{STAGE}: ran" in done.stdout, done.stdout
    (log,) = (made.folder / ".stillhouse" / "flow").glob(f"*/{STAGE}.log")
    assert "\njob " in log.read_text()
    assert "Data and pipelines are up to date" in made.dvc("repro", STAGE).stdout
    assert not cluster.jobs()
