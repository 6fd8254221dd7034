"""A damaged object in DVC's cache is found before a stage reads what was restored from it; with the real DVC."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import DataError
from ops import integrity, repair

ROOT = Path(__file__).parents[2]
DVC_YAML = """\
vars: [matrix.yaml]
stages:
  make:
    foreach: ${matrix.make}
    do:
      cmd: python work.py make
      deps: [work.py]
      outs: ["data/${item.task}"]
  use:
    foreach: ${matrix.use}
    do:
      cmd: python work.py use
      deps: [work.py, "data/${item.task}/inner"]
      outs: [result]
"""
MATRIX = "matrix: {make: {x: {task: x}}, use: {x: {task: x}}}\n"
WORK = """\
import pathlib, sys
if sys.argv[1] == "make":
    for name in ("one", "two"):
        path = pathlib.Path("data/x/inner", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name * 100)
else:
    from ops import integrity
    integrity.check("use@x")
    pathlib.Path("result").write_text(pathlib.Path("data/x/inner/one").read_text())
"""


def dvc(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path, "DVC_NO_ANALYTICS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(params=["", "[cache]\ndir = ../elsewhere\n"], ids=["cache inside", "cache elsewhere"])
def done(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text(
        "[core]\nno_scm = true\nanalytics = false\n" + request.param, encoding="utf-8"
    )
    for name, text in {"dvc.yaml": DVC_YAML, "matrix.yaml": MATRIX, "work.py": WORK}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    first = dvc("repro")
    assert first.returncode == 0, first.stderr
    return tmp_path


def test_a_damaged_object_is_named_and_the_advice_helps(done: Path) -> None:
    objects = [path for path in (repair.cache() / "files" / "md5").rglob("*") if path.is_file()]
    damaged = next(path for path in objects if path.read_bytes().startswith(b"one"))
    damaged.chmod(0o644)
    damaged.write_text("0ne" + damaged.read_text(encoding="utf-8")[3:], encoding="utf-8")
    damaged.chmod(0o444)
    shutil.rmtree("data")
    Path("result").unlink()
    shutil.rmtree(repair.cache() / "runs")  # or `use` would be restored, too
    shutil.rmtree(".dvc/tmp")  # what DVC remembers of files, as on another machine
    Path("work.py").write_text(WORK + "# changed\n", encoding="utf-8")
    Path("dvc.lock").write_text(
        Path("dvc.lock").read_text(encoding="utf-8").replace(integrity.lineage.locked()["make@x"]["deps"][0]["md5"],
                                                             integrity.lineage.digest(Path("work.py"))),
        encoding="utf-8",
    )  # fmt: skip
    assert dvc("checkout", "make@x").returncode == 0, "DVC itself does not notice"
    assert Path("data/x/inner/one").read_text(encoding="utf-8").startswith("0ne")
    with pytest.raises(DataError) as caught:
        integrity.check("use@x")
    message = str(caught.value)
    assert "data/x/inner/one" in message and str(damaged) in message and "make@x" in message
    command = message.split("`")[1]
    subprocess.run(command, shell=True, check=True)
    again = dvc("repro")
    assert again.returncode == 0, again.stderr
    integrity.check("use@x")
    assert Path("result").read_text(encoding="utf-8") == "one" * 100


def test_what_was_hashed_once_is_not_hashed_again(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    integrity.check("use@x")
    hashed: list[Path] = []
    real = integrity.lineage.digest
    monkeypatch.setattr(integrity.lineage, "digest", lambda path: hashed.append(path) or real(path))
    integrity.check("use@x")
    assert hashed == []
    os.utime("data/x/inner/one", (1, 1))
    integrity.check("use@x")
    assert hashed


def test_without_a_lock_file_there_is_nothing_to_compare(done: Path) -> None:
    Path("dvc.lock").unlink()
    integrity.check("use@x")
    integrity.check("no@stage")
