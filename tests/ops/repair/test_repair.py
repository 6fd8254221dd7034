"""All of the repair: beside a live DVC, and where all is well."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dvc_repository import ROOT, RWLOCK, Repository, assert_done, start

from ops import repair
from ops.repair import lock_file, places


@pytest.mark.parametrize("name", ["lock", "rwlock.lock"])
def test_what_a_live_process_holds_is_left_alone(repository: Repository, name: str) -> None:
    Path("dvc.lock").write_text("")
    RWLOCK.write_text("")
    runs = Path(".dvc/cache/runs/ab/abcd")
    runs.mkdir(parents=True)
    with Path(".dvc/tmp", name).open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        repair.repair()
        repair.keep()
        mine = {"lock": Path("dvc.lock").stat().st_size == 0 and runs.exists(), "rwlock.lock": RWLOCK.exists()}
        assert [key for key, left in mine.items() if left] == [name]
    repair.repair()
    assert Path("dvc.lock").stat().st_size and not RWLOCK.exists() and not runs.exists()


def test_repair_does_not_disturb_a_live_dvc(repository: Repository, control: Repository) -> None:
    program = (
        "import sys, time; from ops import repair\n"
        "print('ready', flush=True)\n"
        "while True:\n    found = repair.repair(); repair.keep()\n"
        "    if found: print(*found, flush=True)\n    time.sleep(0.005)\n"
    )
    beside = start([sys.executable, "-c", program])
    try:
        Path("source.txt").write_text("two\n")
        assert repository.dvc("repro", register=True).code == 0
        Path("source.txt").write_text("one\n")
        assert_done(repository, control, register=True)
    finally:
        beside.kill()
        found = beside.communicate()[0]
    assert found == ""


def test_a_healthy_repository_stays_as_it_is(control: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(control.folder)
    repair.keep()
    before = control.state()
    assert repair.repair() == []
    repair.keep()
    assert control.state() == before


def test_where_dvc_never_ran_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert repair.repair() == []
    repair.keep()
    assert not list(tmp_path.iterdir())


def forty_stages() -> str:
    """A dvc.lock and a run cache of forty stages with ten dependencies each."""
    artifact = (
        "    - path: data/detection/validated/dataset/{0}\n      hash: md5\n      md5: {0:032x}\n      size: {0}\n"
    )
    deps = "".join(map(artifact.format, range(10)))
    entry = (
        "    cmd: python -m stages.x {0}\n    deps:\n{1}    params:\n      params.yaml:\n        lr: 1\n    outs:\n{2}"
    )
    entries = [entry.format(number, deps, artifact.format(number)) for number in range(40)]
    for number, text in enumerate(entries):
        path = Path(f".dvc/cache/runs/{number:02x}/{number:064x}/{number:064x}")
        path.parent.mkdir(parents=True)
        path.write_text("".join(line[4:] + "\n" for line in text.splitlines()))
    return lock_file.HEAD + "".join(f"  s{number}:\n{entry}" for number, entry in enumerate(entries))


def test_forty_healthy_stages_cost_next_to_nothing(repository: Repository) -> None:
    Path("dvc.lock").write_text(forty_stages())
    repair.keep()
    seconds = []
    for _ in range(5):
        began = time.process_time()
        assert repair.repair() == []
        seconds.append(time.process_time() - began)
    assert min(seconds) < 0.05


def test_the_program_tells_what_it_mended(repository: Repository) -> None:
    RWLOCK.write_text("")
    command = [sys.executable, "-m", "ops.repair"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for expected in ("rwlock was empty", "nothing to mend"):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert expected in done.stdout and not done.stderr
    assert "rwlock was empty" in places.LOG.read_text()
