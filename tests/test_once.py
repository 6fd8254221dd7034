"""What is made once serves the next run, and is made anew where what it is made of has changed."""

from __future__ import annotations

from pathlib import Path

import once
import pytest


def test_what_has_changed_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "ROOT", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source, made = tmp_path / "a.py", []

    def make(folder: Path) -> None:
        folder.mkdir()
        made.append(source.read_text())
        (folder / "thing").write_text(made[-1])

    def found(text: str) -> str:
        source.write_text(text)
        return (once.in_all_runs("things", ["*.py"], make) / "thing").read_text()

    assert [found(text) for text in "1121"] == ["1", "1", "2", "1"] and made == ["1", "2"]
    (tmp_path / "b.py").touch()
    assert found("1") == "1" and made == ["1", "2", "1"]
    for text in "345":
        found(text)
    assert (
        len([path for path in (tmp_path / "cache" / "stillhouse" / "tests" / "things").iterdir() if path.is_dir()]) == 3
    )


def test_what_was_half_made_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "ROOT", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def half(folder: Path) -> None:
        folder.mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        once.in_all_runs("things", ["*.py"], half)
    assert once.in_all_runs("things", ["*.py"], Path.mkdir).is_dir()
