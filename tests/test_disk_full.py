"""A full disk: one clear message, exit code 2, and the output of before stays whole (docs/faults.md 57)."""

from __future__ import annotations

from pathlib import Path

import pipeline_copy
import pytest

SCRIPT = """
mount -t tmpfs -o size=20k none data/translation &&
mkdir data/translation/prepared && echo before > data/translation/prepared/old &&
STILLHOUSE_TRACKING_WAIT=0 python -m stages.prepare translation; code=$?
ls -A data/translation; cat data/translation/prepared/old; exit $code
"""


def test_a_full_disk_leaves_the_old_output(tmp_path: Path) -> None:
    copy = pipeline_copy.make(tmp_path / "copy")
    (copy.folder / "data" / "translation").mkdir()
    done = copy.run("unshare", "--map-root-user", "--mount", "sh", "-c", SCRIPT, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("error: the disk is full") == 1
    assert "Traceback" not in done.stderr
    assert done.stdout.split() == ["prepared", "before"]  # no half-written folder is left beside it


SPOOL = """
mkdir -p .stillhouse/spool && mount -t tmpfs -o size=$SIZE none .stillhouse/spool &&
python -m stages.prepare translation; code=$?
ls -A data/translation 2>/dev/null; exit $code
"""


@pytest.mark.parametrize("size", ["4k", "8k"])
def test_a_full_disk_in_the_spool_is_told_as_such(tmp_path: Path, size: str) -> None:
    """Not as one of the stage's output (docs/faults.md 110)."""
    copy = pipeline_copy.make(tmp_path / "copy")
    (copy.folder / "data" / "translation").mkdir()
    words = ["env", f"SIZE={size}", "STILLHOUSE_TRACKING_WAIT=0"]
    done = copy.run(*words, "unshare", "--map-root-user", "--mount", "sh", "-c", SPOOL, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("error: the disk is full at .stillhouse/spool, where figures and files wait") == 1
    assert "Traceback" not in done.stderr
    assert not list((copy.folder / "data" / "translation").glob(".*"))
