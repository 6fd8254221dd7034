"""What a stage is made of, read from a small repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from core import lineage
from core.errors import StillhouseError

DVC_YAML = """
stages:
  plan: {cmd: python -m stages.plan}
  train:
    foreach: ${matrix.train}
    do:
      cmd: python -m stages.train ${item.task}
      params: [seed, "${item.task}.train"]
      deps: ["${item.model}", "data/${item.task}"]
"""
MATRIX = """
matrix:
  tasks:
    a: &a {task: a, model: code}
  train: {a: *a, b: {<<: *a, task: b}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(DVC_YAML)
    Path("matrix.yaml").write_text(MATRIX)
    Path("params.yaml").write_text("seed: 1\ntasks: [a, b]\na: {train: {lr: 1}, data: {x: 1}}\nb: {train: {lr: 1}}\n")
    for name in ("code/one.py", "data/a/x", "data/b/x"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    return tmp_path


def test_inputs_of_a_matrix_item() -> None:
    assert set(lineage.inputs("train@a")) == {"code", "data/a", "params"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("code/one.py", "changed"),
        ("code/two.py", "new"),
        ("data/a/x", "changed"),
        ("params.yaml", "seed: 2\ntasks: [a, b]\na: {train: {lr: 1}}\nb: {train: {lr: 1}}\n"),
        ("params.yaml", "seed: 1\ntasks: [a, b]\na: {train: {lr: 2}}\nb: {train: {lr: 1}}\n"),
    ],
)
def test_the_key_follows_every_input(path: str, text: str) -> None:
    before = lineage.inputs_key("train@a")
    Path(path).write_text(text)
    assert lineage.inputs_key("train@a") != before


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("data/b/x", "changed"),
        ("code/__pycache__/one.pyc", "bytecode"),
        ("params.yaml", "seed: 1\ntasks: [a, b]\na: {train: {lr: 1}, data: {x: 2}}\nb: {train: {lr: 9}}\n"),
    ],
)
def test_the_key_ignores_what_the_stage_does_not_read(path: str, text: str) -> None:
    before = lineage.inputs_key("train@a")
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(text)
    assert lineage.inputs_key("train@a") == before


def test_dvc_md5_of_outputs_and_of_paths_inside() -> None:
    Path("dvc.lock").write_text(
        "stages:\n"
        "  prepare@a: {outs: [{path: data/a, md5: 1.dir}]}\n"
        "  train@a: {deps: [{path: data/a/x, md5: '2'}], outs: [{path: m, md5: '3'}]}\n"
    )
    assert [lineage.dvc_md5(path) for path in ("data/a", "data/a/x", Path("m"), "none")] == ["1.dir", "2", "3", None]


def test_the_digest_is_the_md5_that_dvc_gives() -> None:
    """Golden values: `dvc.api.DVCFileSystem`'s own hashing, called for the same folder."""
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db.local import LocalHashFileDB
    from dvc_objects.fs.local import LocalFileSystem

    made = {"data/a/sub/日本.txt": "x\r\ny\n", "data/a/b.c": "", "data/a/Z": "z", "packages/t/model/model.sig": "kept"}
    for name, text in made.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(text.encode())
    files = LocalFileSystem()
    store = LocalHashFileDB(files, str(Path("store").resolve()))
    for path in ("data/a", "data/a/x", "data", "packages/t"):
        _, _, built = build(store, str(Path(path).resolve()), files, "md5")
        assert built.hash_info is not None
        assert lineage.digest(Path(path)) == built.hash_info.value
    before = lineage.digest(Path("packages/t"))
    Path("packages/t/model.sig").write_text("as `.dvcignore` says")
    assert lineage.digest(Path("packages/t")) == before


def test_a_damaged_lock_says_what_to_do() -> None:
    """docs/faults.md 53."""
    for text in ("stages:\n  a: {outs: [", "stages: [", "- x"):
        Path("dvc.lock").write_text(text)
        with pytest.raises(StillhouseError, match=r"dvc\.lock is damaged.*ops\.repair"):
            lineage.locked()


def test_git_commit(folder: Path) -> None:
    assert lineage.git_commit() is None
    for command in (
        ["init", "-q"],
        ["add", "code"],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "1"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    clean = lineage.git_commit()
    assert clean is not None and len(clean) == 40
    Path("code/one.py").write_text("changed")
    assert lineage.git_commit() == clean + "-dirty"


def test_what_every_experiment_changes_makes_no_commit_dirty(folder: Path) -> None:
    changing = ("params.yaml", "matrix.yaml", "dvc.lock")
    for name in changing:
        Path(name).write_text("before")
    for command in (
        ["init", "-q"],
        ["add", *changing],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "1"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    for name in changing:
        Path(name).write_text("after")
    assert lineage.git_commit() == lineage._git("rev-parse", "HEAD")
