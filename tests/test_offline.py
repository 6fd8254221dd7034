"""No telemetry: the stages run with the network cut, and try to reach nothing but this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pipeline_copy
import pytest

AUDIT = f"""
import os, sys
sys.path.append({str(Path(__file__).parent)!r})
from reached import watch
watch(lambda told: open(os.environ["STILLHOUSE_AUDIT"], "a").write(told + "\\n"))
"""


def watched(copy: pipeline_copy.Copy, folder: Path) -> Path:
    """Have every Python process of the copy write each attempt to reach another machine into a log."""
    (folder / "sitecustomize.py").write_text(AUDIT, encoding="utf-8")
    log = folder / "reached.log"
    copy.environment |= {"PYTHONPATH": str(folder), "STILLHOUSE_AUDIT": str(log)}
    for name in ("DVC_NO_ANALYTICS", "DO_NOT_TRACK"):
        del copy.environment[name]  # a user who calls dvc by hand has not set them
    return log


def without_network(*command: str) -> tuple[str, ...]:
    """The command in a network namespace of its own, where there is no interface but a dead loopback."""
    if shutil.which("unshare") is None:
        pytest.fail("`unshare` (Debian: util-linux) is needed to cut the network")
    return ("unshare", "--map-root-user", "--net", *command)


def test_the_watch_sees_an_attempt(tmp_path: Path) -> None:
    copy = pipeline_copy.make(tmp_path / "copy", preset=None)
    log = watched(copy, tmp_path)
    program = "import socket; socket.create_connection(('192.0.2.1', 9), timeout=0.01)"
    assert copy.run(*without_network("python", "-c", program), check=False).returncode
    assert "192.0.2.1" in log.read_text()


def test_plain_dvc_and_what_a_stage_starts_reach_nothing(tmp_path: Path) -> None:
    """What the stages themselves try is in `test_contract.py`, of every task."""
    copy = pipeline_copy.make(tmp_path / "copy")
    log = watched(copy, tmp_path)
    copy.run(*without_network("dvc", "repro", "prepare@translation"))
    assert not log.exists() or not log.read_text()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_whole_pipeline_runs_offline_and_reaches_nothing(tmp_path: Path) -> None:
    copy = pipeline_copy.make(tmp_path / "copy")
    log = watched(copy, tmp_path)
    copy.run(*without_network("python", "-m", "pipelines.repro"), timeout=1400)
    assert not log.exists() or not log.read_text()
