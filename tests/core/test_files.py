"""Outputs are whole or not there: a failure and a kill leave what was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core import files


def test_a_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for text in ("old", "new"):
        with files.replacing(target) as aside:
            (aside / "a").write_text(text)
    assert (target / "a").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_failure_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with files.replacing(target) as aside:
        (aside / "a").write_text("old")
    with pytest.raises(RuntimeError), files.replacing(target) as aside:
        (aside / "a").write_text("half")
        raise RuntimeError
    assert (target / "a").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_kill_leaves_the_old_one_and_the_next_run_cleans_up(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with files.replacing(target) as aside:
        (aside / "a").write_text("old")
    program = (
        "import os, signal; from pathlib import Path; from core import files\n"
        f"with files.replacing(Path({str(target)!r})) as aside:\n"
        "    (aside / 'a').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, check=False, env={**os.environ, "PYTHONPATH": "."})
    assert done.returncode == -signal.SIGKILL
    assert (target / "a").read_text() == "old"
    with files.replacing(target) as aside:
        (aside / "a").write_text("new")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_kill_between_the_two_renames_is_mended(tmp_path: Path) -> None:
    """Where the file system cannot exchange two folders there is a moment without either."""
    target = tmp_path / "out"
    (tmp_path / ".out.1.old.partial").mkdir()
    (tmp_path / ".out.1.old.partial" / "a").write_text("old")
    with pytest.raises(RuntimeError), files.replacing(target):
        raise RuntimeError
    assert (target / "a").read_text() == "old"


def test_json_is_stable_and_has_no_nan(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"b": 1, "a": "日本"})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "a": "日本",\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "b.json", float("nan"))
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["b"] == 1


def test_lines_survive_a_round_trip(tmp_path: Path) -> None:
    rows = [{"text": "a\nb\u2028c"}, {"text": ""}]
    files.write_jsonl(tmp_path / "a.jsonl", rows)
    assert files.read_jsonl(tmp_path / "a.jsonl") == rows


def test_half_a_character_survives_a_round_trip(tmp_path: Path) -> None:
    """JSON has such (`\\ud800`), and so have names of files that are no UTF-8; UTF-8 has none (docs/faults.md 113)."""
    value = {"\udcff.png": ["\ud800", "ok é", {"name": "a\udfff"}]}
    files.write_json(tmp_path / "a.json", value)
    assert files.read_json(tmp_path / "a.json") == value
    files.write_jsonl(tmp_path / "a.jsonl", [value, value])
    assert files.read_jsonl(tmp_path / "a.jsonl") == [value, value]
    assert "ok é" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_json_in_parts_is_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "TOGETHER", 3)
    value = {"b": [1, 2.5, None, "\ud800 ü\u2028"], "a": {"c": [], "d": {}}}
    files.write_json(tmp_path / "a.json", value)
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True).replace("\ud800", "\\ud800")
    assert (tmp_path / "a.json").read_text("utf-8") == text + "\n" and files.read_json(tmp_path / "a.json") == value
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(tmp_path / "a.json", [1, 2, 3, 4, float("nan")])
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"] and files.read_json(tmp_path / "a.json") == value
