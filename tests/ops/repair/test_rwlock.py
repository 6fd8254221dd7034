"""Locks of processes that are gone, and of live ones (docs/faults.md 55)."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dvc_repository import RWLOCK, Kill, Repository, assert_done, killed, start

from ops import repair
from ops.repair import places


@pytest.mark.parametrize("until", ["", '"cmd"'], ids=["empty", "half"])
def test_a_rwlock_that_was_being_written(repository: Repository, control: Repository, until: str) -> None:
    plain = killed(repository, Kill("rwlock", until))
    failed = plain.dvc("repro")
    assert failed.code != 0 and "corrupted" in failed.output
    (told,) = repair.repair()
    assert ("empty" if not until else "damaged") in told
    assert_done(repository, control)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def hold(pid: int, command: str = "dvc repro") -> str:
    info = {"pid": pid, "cmd": command}
    text = json.dumps({"write": {f"{Path.cwd()}/c.txt": info}, "read": {f"{Path.cwd()}/b": [info]}})
    RWLOCK.write_text(text)
    return text


@pytest.mark.parametrize("ended", [False, True], ids=["another program", "one that nobody collects"])
def test_a_rwlock_that_names_no_dvc(
    repository: Repository, control: Repository, sleeper: subprocess.Popen[bytes], ended: bool
) -> None:
    """Process ids repeat, above all in containers, where nobody may collect ended processes either."""
    if ended:
        sleeper.kill()
        time.sleep(0.1)
    hold(sleeper.pid)
    busy = repository.copy(repository.folder.parent / "plain")
    (busy.folder / RWLOCK).write_text(RWLOCK.read_text().replace(str(repository.folder), str(busy.folder)))
    failed = busy.dvc("repro")
    assert failed.code != 0 and "busy" in failed.output
    (told,) = repair.repair()
    assert f"process {sleeper.pid} (dvc repro), which is no live DVC" in told
    assert json.loads(RWLOCK.read_text()) == {}
    assert_done(repository, control)


def test_of_a_rwlock_only_what_is_stale_goes(repository: Repository, tmp_path: Path) -> None:
    living = dvc_script(tmp_path, "repro")
    try:
        text = hold(living.pid)
        value = json.loads(text)
        stale = {"pid": 2**22 + 1, "cmd": "dvc repro"}
        value["read"]["/elsewhere"] = [stale]
        value["read"][f"{Path.cwd()}/b"].append(stale)
        value["write"]["/x"] = stale
        RWLOCK.write_text(json.dumps(value))
        (told,) = repair.repair()
        assert str(stale["pid"]) in told
        assert json.loads(RWLOCK.read_text()) == json.loads(text)
    finally:
        end(living)


SLEEP = "import sys, time; print('ready', flush=True); time.sleep(60)\n"


def dvc_script(folder: Path, *words: str, name: str = "dvc") -> subprocess.Popen[str]:
    """A process that looks like a console script."""
    (folder / name).write_text(SLEEP)
    return start([sys.executable, str(folder / name), *words])


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.mark.parametrize("kind", ["console script", "module", "faster module", "its own program", "registered"])
def test_a_live_dvc_keeps_its_locks(repository: Repository, tmp_path: Path, kind: str) -> None:
    command = "/bin/dvc repro c"
    if kind == "console script":
        process = dvc_script(tmp_path, "repro", "c")
    elif kind == "faster module":
        (tmp_path / "pipelines").mkdir()
        (tmp_path / "pipelines" / "dvc.py").write_text(SLEEP)
        process = start(["env", f"PYTHONPATH={tmp_path}", sys.executable, "-m", "pipelines.dvc", "repro", "c"])
    elif kind == "module":
        (tmp_path / "dvc").mkdir()
        (tmp_path / "dvc" / "__init__.py").touch()  # without it the real DVC would come first
        (tmp_path / "dvc" / "__main__.py").write_text(SLEEP)
        process = start(["env", f"PYTHONPATH={tmp_path}", sys.executable, "-m", "dvc", "repro", "c"])
    elif kind == "its own program":
        process, command = dvc_script(tmp_path, "all", name="mine.py"), "mine.py all"
    else:
        process = start([sys.executable, "-c", f"from ops.repair import register_dvc; register_dvc(); {SLEEP}"])
    try:
        text = hold(process.pid, command)
        assert repair.repair() == []
        assert RWLOCK.read_text() == text
    finally:
        end(process)
    assert len(repair.repair()) == 1
    assert not list(places.PROCESSES.glob("*"))


def test_a_registered_process_id_that_came_again(repository: Repository, sleeper: subprocess.Popen[bytes]) -> None:
    places.PROCESSES.mkdir()
    (places.PROCESSES / f"{sleeper.pid}-1.dvc").touch()
    hold(sleeper.pid)
    assert len(repair.repair()) == 1


@pytest.mark.parametrize(
    "text", ["[]", '{"write": []}', '{"read": {"a": {"pid": 1}}}', '{"write": {"a": {"pid": "1"}}}']
)
def test_a_rwlock_of_another_shape(repository: Repository, text: str) -> None:
    RWLOCK.write_text(text)
    assert len(repair.repair()) == 1
    assert not RWLOCK.exists()
