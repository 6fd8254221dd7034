"""One stage execution: what it writes, how it fails, and that two of the same wait for each other."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from core import stage
from core.errors import ParamsError, StillhouseError

ROOT = Path(__file__).resolve().parents[2]


def output(task: str) -> Path:
    return Path("out", task)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STILLHOUSE_TRACKING_WAIT", "0")  # what is sent is another test's matter
    return tmp_path


def program(body: str) -> str:
    return (
        "from pathlib import Path; import os, sys, time, errno; from core import stage\n"
        "from core.errors import DataError\n"
        f"def work(ctx):\n    {body}\n"
        "stage.main('prepare', work, lambda task: Path('out', task))\n"
    )


def start(body: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program(body), "detection"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, **pipes)  # type: ignore[call-overload,no-any-return]


def call(body: str) -> tuple[int, str]:
    process = start(body)
    return process.wait(), process.communicate()[1]


def test_what_is_written_takes_the_outputs_place() -> None:
    def work(ctx: stage.Context) -> None:
        assert ctx.name == "prepare@detection"
        assert ctx.params.train.lr > 0
        (ctx.out / "a").write_text("new")

    stage.execute("prepare", work, output, ["detection"])
    assert [path.name for path in Path("out/detection").iterdir()] == ["a"]


@pytest.mark.parametrize("arguments", [[], ["a", "b", "c", "d"], ["../x"], ["a b"], ["$(id)"]])
def test_arguments_that_are_no_names_are_refused(arguments: list[str]) -> None:
    with pytest.raises(StillhouseError, match="TASK"):
        stage.execute("prepare", lambda ctx: None, output, arguments)


def test_a_task_that_is_not_listed_is_refused() -> None:
    with pytest.raises(StillhouseError, match="'smells' is not in `tasks`"):
        stage.execute("prepare", lambda ctx: None, output, ["smells"])


def test_bad_params_stop_before_any_work() -> None:
    Path("params.yaml").write_text("seed: one\n")
    with pytest.raises(ParamsError):
        stage.execute("prepare", lambda ctx: pytest.fail("worked"), output, ["detection"])


def test_a_stage_that_works_says_nothing_on_its_own() -> None:
    code, errors = call("pass")
    assert code == 0
    assert errors.count("\n") == 1 and "did not take all of run" in errors  # the fixture's limit of 0 s


@pytest.mark.parametrize("paused", [False, True])
def test_the_process_that_sends_ends_with_a_killed_stage(paused: bool) -> None:
    """docs/faults.md 56: no orphan; what it had not sent stays for the next run."""
    process = start("print('ready', flush=True); time.sleep(60)")
    assert process.stdout is not None
    process.stdout.readline()
    (courier,) = psutil.Process(process.pid).children()
    time.sleep(2)  # Python has started in it
    if paused:
        courier.suspend()
    process.kill()
    process.communicate()
    courier.wait(20)
    assert not courier.is_running()
    assert len(list(Path(".stillhouse/spool").glob("*.jsonl"))) == 1


def test_a_users_error_is_one_message_and_code_two() -> None:
    code, errors = call("raise DataError('rows.tsv, row 3: empty')")
    assert code == 2
    assert "error: rows.tsv, row 3: empty" in errors
    assert "Traceback" not in errors
    assert not Path("out/detection").exists()


def test_a_bug_shows_its_traceback() -> None:
    code, errors = call("1 / 0")
    assert code == 1
    assert "ZeroDivisionError" in errors


def test_a_full_disk_is_told_in_one_line() -> None:
    code, errors = call("raise OSError(errno.ENOSPC, 'No space left', 'x.png')")
    assert code == 2
    assert "error: the disk is full (x.png)" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("number", ["EACCES", "EPERM", "EROFS"])
def test_a_file_that_may_not_be_written_is_told_in_one_line(number: str) -> None:
    """docs/faults.md 58."""
    code, errors = call(f"raise OSError(errno.{number}, 'not allowed', 'x.png')")
    assert code == 2
    assert "error: no permission for x.png (not allowed)" in errors
    assert "Traceback" not in errors


def test_a_twin_that_never_ends_is_named() -> None:
    first = start("print('ready', flush=True); time.sleep(60)")
    assert first.stdout is not None
    first.stdout.readline()
    impatient = program("pass").replace("stage.main(", "stage.WAIT_FOR_TWIN_S = 0.2; stage.main(")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", impatient, "detection"]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    finally:
        first.kill()
        first.communicate()
    assert done.returncode == 2
    assert "error: prepare@detection has been running for" in done.stderr
    assert "Traceback" not in done.stderr


def test_sigterm_leaves_nothing_half_written() -> None:
    process = start("(ctx.out / 'a').write_text('half'); print('ready', flush=True); time.sleep(60)")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    assert not any(Path("out").iterdir())


def test_a_second_execution_waits_for_the_first() -> None:
    wait = "[time.sleep(0.02) for _ in iter(Path('go').exists, True)]"
    first = start(f"print('ready', flush=True); {wait}; (ctx.out / 'a').write_text('first')")
    assert first.stdout is not None
    first.stdout.readline()
    second = start("(ctx.out / 'a').write_text('second')")
    assert second.stderr is not None
    while "is running already" not in (line := second.stderr.readline()):
        assert line, "it did not wait"
    assert second.poll() is None
    Path("go").touch()
    assert (first.wait(), second.wait()) == (0, 0)
    assert Path("out/detection/a").read_text() == "second"


def test_a_stage_dies_with_the_process_that_started_it() -> None:
    """An orphan would go on writing beside its successor."""
    body = "print(os.getpid(), flush=True); time.sleep(60)"
    parent_program = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {program(body)!r}, 'detection'], stdout=subprocess.PIPE)\n"
        "print(child.stdout.readline().decode(), flush=True); time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen(
        [sys.executable, "-c", parent_program], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and Path(f"/proc/{child}").exists():
        if Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            break  # dead, but nobody here collects it
        time.sleep(0.1)
    else:
        assert not Path(f"/proc/{child}").exists()
