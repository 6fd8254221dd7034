"""The guard of a plain `dvc repro`: outlives it, mends what it left, and is in nobody's way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from dvc_repository import KILL, Kill, Repository, environment

from ops import repair
from ops.repair import guard as module
from ops.repair import places
from ops.repair.guard import guard

DVC = "import sys; from dvc_repository import run; run(sys.argv[1:])\n"
STAGE = "import os, sys; from ops.repair.guard import guard; {before}; guard(); print('stage', flush=True); {after}"


@pytest.fixture
def repository(fresh: Repository) -> Repository:
    """Nothing was kept: the stage itself has to."""
    return fresh


def start(tmp_path: Path, scratch: Path, program: str = DVC, **variables: str) -> subprocess.Popen[str]:
    """`dvc repro`, in a process group of its own."""
    (tmp_path / "dvc").write_text(program)
    return subprocess.Popen(
        [sys.executable, str(tmp_path / "dvc"), "repro"],
        env={**environment(scratch), "TEST_GUARD": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )


def guards(pid: int) -> list[psutil.Process]:
    """The processes that watch this one."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(word.endswith("ops/repair/guard.py") for word in words) and str(pid) in words:
            found.append(process)
    return found


def await_guard(pid: int, seconds: float = 20) -> None:
    """Until the guard of an ended process has ended."""
    deadline = time.monotonic() + seconds
    while list(places.PROCESSES.glob(f"{pid}-*")):
        assert time.monotonic() < deadline, "the guard goes on"
        time.sleep(0.02)


def told() -> str:
    return places.LOG.read_text() if places.LOG.exists() else ""


@pytest.mark.parametrize(
    ("kill", "wrong"),
    [
        (Kill("dvc.lock", "ath: b\n"), "dvc.lock was cut off"),
        (Kill("dvc.lock", "  b:"), "dvc.lock had lost its end"),
        (Kill("/runs/", "outs:"), "the run cache held 1 entries"),
        (Kill("rwlock", "", after="ran"), "rwlock was empty"),
    ],
    ids=["dvc.lock", "dvc.lock between stages", "run cache", "rwlock"],
)
def test_the_next_dvc_repro_finds_a_mended_repository(
    repository: Repository, control: Repository, tmp_path: Path, scratch: Path, kill: Kill, wrong: str
) -> None:
    dvc = start(tmp_path, scratch, **{KILL: json.dumps(kill.__dict__)})
    assert dvc.communicate()[0] and dvc.returncode == -signal.SIGKILL
    await_guard(dvc.pid)
    assert wrong in told()
    done = repository.dvc("repro")
    assert done.code == 0, done.output
    assert repository.outputs() == control.outputs()
    again = repository.dvc("repro").output
    assert again.count("didn't change, skipping") == 3, again


@pytest.mark.parametrize("cut", ["    outs:", None], ids=["dvc.lock is cut", "dvc.lock is whole"])
def test_one_that_is_killed_while_it_restores_is_mended_too(
    repository: Repository, tmp_path: Path, scratch: Path, cut: str | None
) -> None:
    """docs/faults.md 107: no stage with results runs, but the first one does, whose output persists, as `plan`'s."""
    text = Path("dvc.yaml").read_text().replace("source.txt], outs: [a.txt]}", "source.txt, plan.txt], outs: [a.txt]}")
    plan = (
        "  plan: {cmd: python work.py plan.txt params.yaml, deps: [params.yaml], outs: [plan.txt: {persist: true}]}\n"
    )
    Path("dvc.yaml").write_text(text.replace("stages:\n", f"stages:\n{plan}"))
    assert repository.dvc("repro").code == 0
    Path("dvc.lock").unlink()  # or one of another commit: all results are in the run cache
    repository.ran()
    kill = Kill("dvc.lock", cut, after="ran")
    dvc = start(tmp_path, scratch, **{KILL: json.dumps(kill.__dict__)})
    output = dvc.communicate()[0]
    assert dvc.returncode == -signal.SIGKILL, output
    await_guard(dvc.pid)
    done = repository.dvc("repro")
    assert done.code == 0, done.output
    assert set(repository.ran()) <= {"plan.txt"}
    assert repository.dvc("repro").output.count("didn't change, skipping") == 4


def test_it_outlives_the_process_group(
    repository: Repository, control: Repository, tmp_path: Path, scratch: Path
) -> None:
    dvc = start(tmp_path, scratch, TEST_SLEEP="60")
    while not Path("ran").exists():
        time.sleep(0.05)
    assert len(guards(dvc.pid)) == 1
    os.killpg(dvc.pid, signal.SIGKILL)
    dvc.communicate()
    await_guard(dvc.pid)
    assert f"process {dvc.pid} (" in told(), "what it held in the rwlock is released"
    assert repository.dvc("repro").code == 0
    assert repository.outputs() == control.outputs()


def test_after_a_dvc_that_ended_well_there_is_a_copy_and_no_word(
    repository: Repository, tmp_path: Path, scratch: Path
) -> None:
    dvc = start(tmp_path, scratch)
    dvc.communicate()
    assert dvc.returncode == 0
    await_guard(dvc.pid)
    assert told() == ""
    deadline = time.monotonic() + 10  # the copy is the last that it makes
    while places.KEPT.read_bytes() != Path("dvc.lock").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not list(places.PROCESSES.iterdir())


# --- beside a process that is called `dvc` and does nothing but start stages


def stand_in(stages: int = 1, before: str = "pass", after: str = "pass") -> str:
    """Starts stages at once, reads their output to its end, prints it, and stays."""
    stage = STAGE.format(before=before, after=after)
    return (
        "import subprocess, sys, time\n"
        f"stages = [subprocess.Popen([sys.executable, '-c', {stage!r}], stdin=subprocess.PIPE,\n"
        f"  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range({stages})]\n"
        "print(sum((stage.communicate()[0].split() for stage in stages), []), flush=True)\n"
        "time.sleep(60)\n"
    )


def end(dvc: subprocess.Popen[str]) -> float:
    """Kill it; seconds until its guard has ended."""
    dvc.kill()
    dvc.communicate()
    began = time.monotonic()
    await_guard(dvc.pid)
    return time.monotonic() - began


def first_line(dvc: subprocess.Popen[str]) -> str:
    assert dvc.stdout is not None
    return dvc.stdout.readline().strip()


def test_it_holds_no_pipe_of_the_stage(repository: Repository, tmp_path: Path, scratch: Path) -> None:
    dvc = start(tmp_path, scratch, stand_in())
    assert first_line(dvc) == "['stage']", "read to its end while the guard is there"
    (process,) = guards(dvc.pid)
    targets = {path.name: str(path.readlink()) for path in Path(f"/proc/{process.pid}/fd").iterdir()}
    assert {targets[number] for number in "012"} == {"/dev/null"}
    assert not any(target.startswith(("pipe:", "/dev/pts", "/dev/tty")) for target in targets.values())
    assert os.getsid(process.pid) not in (os.getsid(0), os.getsid(dvc.pid))
    end(dvc)


def test_one_dvc_has_one_guard(repository: Repository, tmp_path: Path, scratch: Path) -> None:
    dvc = start(tmp_path, scratch, stand_in(stages=4, before="guard()"))
    assert first_line(dvc).count("stage") == 4
    assert len(guards(dvc.pid)) == 1
    end(dvc)


def test_it_is_small_and_ends_soon(repository: Repository, tmp_path: Path, scratch: Path) -> None:
    dvc = start(tmp_path, scratch, stand_in())
    first_line(dvc)
    (process,) = guards(dvc.pid)
    time.sleep(0.5)  # Python has started in it
    assert process.memory_full_info().uss < 8e6
    before = sum(process.cpu_times()[:2])
    time.sleep(0.5)
    assert sum(process.cpu_times()[:2]) == before, "it waits without work"
    assert end(dvc) < 5  # a fraction of a second where nothing else runs


def test_it_is_no_child_of_the_stage(repository: Repository, tmp_path: Path, scratch: Path) -> None:
    after = "import psutil; print(len(psutil.Process().children()))"
    dvc = start(tmp_path, scratch, stand_in(after=after))
    assert first_line(dvc) == "['stage', '0']"
    end(dvc)


def test_without_pidfd_it_looks_now_and_then(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(pid: int) -> int:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("os.pidfd_open", refused)
    process = subprocess.Popen(["sleep", "0.5"])
    begun = repair.started(process.pid)
    module._wait(process.pid, "1")  # the id of another process by now
    assert process.poll() is None
    module._wait(process.pid, str(begun))
    assert process.wait() == 0


def test_a_process_that_has_ended_is_not_waited_for() -> None:
    process = subprocess.Popen(["true"])
    begun = str(repair.started(process.pid))
    process.wait()
    module._wait(process.pid, begun)
    module._wait(os.getpid(), "1")


def test_a_stage_called_by_hand_has_none(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.repair.dvc_above", lambda: None)  # pytest itself may run in a stage
    guard()
    assert places.KEPT.exists()
    assert not places.PROCESSES.exists()


def test_a_stage_does_not_fail_for_it(repository: Repository, tmp_path: Path, scratch: Path) -> None:
    Path(".stillhouse").write_text("no folder")
    dvc = start(tmp_path, scratch, stand_in())
    assert first_line(dvc) == "['stage']"
    assert not guards(dvc.pid)
    dvc.kill()
    dvc.communicate()


def test_it_costs_a_stage_next_to_nothing(repository: Repository, tmp_path: Path, scratch: Path) -> None:
    before = "import ops.repair, time, yaml; began = time.process_time()"
    dvc = start(tmp_path, scratch, stand_in(before=before, after="print(time.process_time() - began)"))
    assert float(first_line(dvc).strip("[]'").split("', '")[1]) < 0.03
    end(dvc)


def test_a_forked_dvc_is_watched_too(repository: Repository, scratch: Path) -> None:
    """Its command line is its server's."""
    program = "from ops.repair import register_dvc; register_dvc()\n" + stand_in()
    command = [sys.executable, "-c", program]
    dvc = subprocess.Popen(command, env=environment(scratch), stdout=subprocess.PIPE, text=True)
    assert first_line(dvc) == "['stage']"
    assert len(guards(dvc.pid)) == 1
    end(dvc)
    assert not list(places.PROCESSES.iterdir())
