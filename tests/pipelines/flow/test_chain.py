"""The project's own pipeline by the flow: killed in mid-training, gone on with, and the same as by `dvc repro`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
import pipeline_copy

from benchmarks import same


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_killed_in_mid_training_it_ends_as_dvc_repro_does(tmp_path: Path) -> None:
    by_dvc, by_flow = (pipeline_copy.make(tmp_path / name) for name in ("dvc", "flow"))
    for copy in (by_dvc, by_flow):
        copy.params({"tasks": ["translation"], "threads": 0, "learning_threads": 2})  # the flow's shares change nothing
    by_dvc.run("python", "-m", "pipelines.repro", timeout=1200)
    command = [sys.executable, "-m", "pipelines.flow", "--no-prefect", "--jobs", "2"]
    flow = subprocess.Popen(command, cwd=by_flow.folder, env=by_flow.environment, start_new_session=True)
    deadline = time.monotonic() + 600
    while not list((by_flow.folder / ".stillhouse" / "resume").glob("train@*/*/*.ckpt")):
        assert flow.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(flow.pid, signal.SIGKILL)
    flow.wait()
    done = by_flow.run(*command, timeout=1200)
    assert "base int8" in done.stdout, "the closing table"
    assert same.outputs(by_dvc.folder).keys() == same.outputs(by_flow.folder).keys()
    assert same.different(by_dvc.folder, by_flow.folder) == {}
    again = by_flow.dvc("repro")
    assert "up to date" in again.stdout
