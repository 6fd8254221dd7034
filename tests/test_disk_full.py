"""A full disk: one clear message, exit code 2, and the output of before stays whole (faults.md row 57)."""

from __future__ import annotations

from pathlib import Path

import pipeline_copy

SCRIPT = """
mount -t tmpfs -o size=20k none data/translation &&
mkdir data/translation/prepared && echo before > data/translation/prepared/old &&
python -m stages.prepare translation; code=$?
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
