"""Characters that would steer a terminal are spelt out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.visible import visible

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("a\rb\x00c\x7fd\x9be", "a\\x0db\\x00c\\x7fd\\x9be"),
        ("\u202egnp.exe\u2066\u2028", "\\u202egnp.exe\\u2066\\u2028"),
        ("half \ud83d", "half \\ud83d"),
        ("日本語 é 🙂\tone\ntwo", "日本語 é 🙂\tone\ntwo"),
    ],
)
def test_it_spells_what_steers_and_leaves_what_is_written(text: str, expected: str) -> None:
    assert visible(text) == expected


def test_a_stage_prints_nothing_that_steers_a_terminal(tmp_path: Path) -> None:
    """In what it says, in its errors, and to what prints by itself."""
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    body = (
        "from pathlib import Path; from core import stage; from core.errors import DataError; import sys\n"
        "def work(ctx):\n"
        "    print('quarantined: \\x1b[2Jrow')\n"
        "    sys.stdout.writelines(['\\x1b[31m', 'half \\ud83d\\n'])\n"
        "    raise DataError('bad \\x1b]0;x\\x07row')\n"
        "stage.main('prepare', work, lambda task: Path('out', task))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "STILLHOUSE_TRACKING_WAIT": "0"}
    done = subprocess.run(
        [sys.executable, "-c", body, "detection"], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert b"\x1b" not in done.stdout + done.stderr and done.returncode == 2, done.stderr
    assert b"quarantined: \\x1b[2Jrow\n\\x1b[31mhalf \\ud83d\n" in done.stdout
    assert b"error: bad \\x1b]0;x\\x07row\n" in done.stderr
