"""Stages that DVC starts as forks of a server: what they see, and how they end (`pipelines.dvc.stages`)."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from pipelines.dvc import stages

ROOT = Path(__file__).parents[3]
MODULE = "fractions"
"""What the server imports here."""
STAGE = """
import json, os, signal, sys, time
from pathlib import Path
if __name__ == "__main__":
    name, wait = sys.argv[1], sys.argv[2:]
    told = {"pid": os.getpid(), "parent": os.getppid(), "argv": sys.argv[1:], "path": sys.path[0], "cwd": os.getcwd()}
    told |= {"module": __spec__.name, "warm": "MODULE" in sys.modules, "stage": os.environ.get("DVC_STAGE")}
    told |= {"title": Path("/proc/self/cmdline").read_text().rstrip(chr(0)).split(chr(0)), "mask": os.umask(0o22)}
    told |= {"default": signal.getsignal(signal.SIGINT) is signal.default_int_handler, "main": sys.argv[0]}
    Path(name + ".json").write_text(json.dumps(told))
    Path(name).write_text("made")
    if wait:
        time.sleep(60)
""".replace("MODULE", MODULE)
DRIVER = f"""
import runpy, sys
from pipelines.dvc import stages
from ops.warm import Warm
stages.MODULES = ("{MODULE}",)
ready = Warm.ready
Warm.ready = lambda self, wait_s=0: ready(self, None)
sys.argv = ["dvc", *sys.argv[1:]]
runpy.run_module("pipelines.dvc", run_name="__main__", alter_sys=True)
"""
"""`python -m pipelines.dvc`, whose server is ready before the first stage."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A DVC repository with a stage that ends and one that does not."""
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\nno_scm = true\nanalytics = false\n")
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "__init__.py").touch()
    (tmp_path / "stages" / "work.py").write_text(STAGE)
    content = {
        "first": {"cmd": "python -m stages.work one", "outs": ["one"]},
        "shell": {"cmd": "python -m stages.work two > said", "deps": ["one"], "outs": ["two"]},
        "endless": {"cmd": "python -m stages.work three wait", "deps": ["two"], "outs": ["three"]},
    }
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": content}, sort_keys=False))
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    here = str(Path(sys.executable).parent)
    quiet = {"DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1", "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    return {**os.environ, **quiet, "PATH": here + os.pathsep + os.environ["PATH"], **more}


Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """`python -m pipelines.dvc ...` as the leader of a process group, as of a shell's job."""
    started: list[subprocess.Popen[bytes]] = []

    def dvc(*words: str, **variables: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", DRIVER, *words]
        started.append(subprocess.Popen(command, cwd=folder, env=environment(**variables), start_new_session=True))
        return started[-1]

    yield dvc
    for process in started:
        process.kill()
        process.wait()


def told(folder: Path, name: str, wait_s: float = 60) -> dict[str, Any]:
    """What a stage told of itself, once it has."""
    until = time.monotonic() + wait_s
    while not (path := folder / name).exists():  # written after what it tells
        assert time.monotonic() < until, f"stage {name} did not begin"
        time.sleep(0.02)
    found: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    return found


def test_a_stage_begins_where_the_imports_are_done(folder: Path, start: Start) -> None:
    process = start("repro", "shell")
    assert process.wait(120) == 0
    first, second = (told(folder, name) for name in ("one", "two"))
    assert first["warm"] and first["parent"] == process.pid
    assert first | {"pid": 0, "parent": 0} == {
        "pid": 0,
        "parent": 0,
        "argv": ["one"],
        "path": str(folder),
        "cwd": str(folder),
        "module": "stages.work",
        "main": str(folder / "stages" / "work.py"),
        "warm": True,
        "stage": "first",
        "title": [sys.executable, "-m", "stages.work", "one"],
        "mask": second["mask"],
        "default": second["default"],
    }
    assert not second["warm"], "what a shell has to do is left to it"


def test_a_failed_stage_fails_as_ever(folder: Path, start: Start) -> None:
    (folder / "stages" / "work.py").write_text("raise SystemExit(3)")
    assert start("repro", "first").wait(120) == 255
    assert not (folder / "dvc.lock").exists()


@pytest.mark.parametrize("variables", [{stages.SWITCH: "0"}, {"CUDA_VISIBLE_DEVICES": "0"}], ids=["off", "gpu"])
def test_without_the_server_where_it_is_not_wanted(folder: Path, start: Start, variables: dict[str, str]) -> None:
    assert start("repro", "first", **variables).wait(120) == 0
    assert not told(folder, "one")["warm"]


@pytest.mark.parametrize(
    ("signum", "warm"), [(signal.SIGINT, "1"), (signal.SIGTERM, "1"), (signal.SIGKILL, "1"), (signal.SIGKILL, "0")]
)
def test_nothing_is_left_of_a_dvc_that_ends(folder: Path, start: Start, signum: signal.Signals, warm: str) -> None:
    """Ctrl-C goes to all that a terminal started, the others to DVC alone. A stage need not have begun to see to it."""
    process = start("repro", **{stages.SWITCH: warm})
    stage = told(folder, "three")
    family = psutil.Process(process.pid).children(recursive=True)
    assert stage["pid"] in {each.pid for each in family} and len(family) >= 1 + int(warm)
    if signum == signal.SIGINT:
        os.killpg(process.pid, signum)
    else:
        process.send_signal(signum)
    assert process.wait(60) != 0
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert yaml.safe_load((folder / "dvc.lock").read_text())["stages"].keys() == {"first", "shell"}


def test_a_server_that_has_ended_is_done_without(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been killed for want of memory."""
    monkeypatch.setattr(stages, "MODULES", (MODULE,))
    starter, how = stages.Stages(), {"cwd": folder, "env": environment()}
    command = ["/bin/sh", "-c", "python -m stages.work one"]
    warm = []
    for _ in range(4):
        (folder / "one").unlink(missing_ok=True)
        process = starter.popen(command, **how)
        process.communicate()
        assert process.returncode == 0
        warm.append(told(folder, "one")["warm"])
        assert starter.warm is not None
        starter.warm.ready(60)
        if len(warm) == 2:
            starter.warm.server.kill()
            starter.warm.server.wait()
    assert warm[1:] == [True, False, False]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python -m stages.train detection", ["-m", "stages.train", "detection"]),
        ("python -m stages.evaluate detection base int8\n", ["-m", "stages.evaluate", "detection", "base", "int8"]),
        ("python -m stages.plan", ["-m", "stages.plan"]),
        ("python -m stages.train detection && rm -r data", None),
        ("python -m stages.train $HOME", None),
        ("python -m stages.train 'a b'", None),
        ("python -m pytest", None),
        ("python stages/train.py", None),
        ("FEW=1 python -m stages.train detection", None),
        ("rm -r data\npython -m stages.plan", None),
    ],
)
def test_stages_are_told_from_other_commands(line: str, words: list[str] | None) -> None:
    wanted = words and [sys.executable, *words]
    assert stages.stage_words(["/bin/sh", "-c", line], environment()) == wanted


def test_another_python_is_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "python").symlink_to("/usr/bin/env")
    assert stages.stage_words(["/bin/sh", "-c", "python -m stages.plan"], environment(PATH=str(tmp_path))) is None


CHAIN = {
    "one": {"cmd": "rm -rf middle; cp -r source middle", "deps": ["source"], "params": ["a"], "outs": ["middle"]},
    "two": {"cmd": "cat middle/x shared/x > end", "deps": ["middle", "shared"], "params": ["b"], "outs": ["end"]},
    "three": {"cmd": "cat middle/x shared/x > last; date +%s%N >> last", "deps": ["end", "shared"], "outs": ["last"]},
}


def ran(folder: Path) -> list[str]:
    """The stages that `python -m pipelines.dvc repro` runs."""
    command = [sys.executable, "-m", "pipelines.dvc", "repro"]
    done = subprocess.run(
        command, cwd=folder, env=environment(STILLHOUSE_WARM="0"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"Running stage '(\w+)'", done.stdout)


def test_what_is_looked_at_once_is_seen_when_it_has_changed(folder: Path) -> None:
    """Outputs that a stage has made anew, files of a folder, params: within a run, and from one to the next."""
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": CHAIN}, sort_keys=False))
    (folder / "params.yaml").write_text("a: 1\nb: 1\n")
    for name in ("source", "shared"):
        (folder / name / "deeper").mkdir(parents=True)
        (folder / name / "x").write_text(name)
    assert ran(folder) == ["one", "two", "three"]
    (folder / "source" / "x").write_text("others")  # as long as before: `middle` is hashed before `one` and after it
    assert ran(folder) == ["one", "two", "three"]
    assert (folder / "last").read_text().startswith("othersshared")
    (folder / "shared" / "deeper" / "y").write_text("")
    assert ran(folder) == ["two", "three"]
    (folder / "params.yaml").write_text("a: 1\nb: 2\n")
    assert ran(folder) == ["two"]  # which makes the same `end`


def test_what_a_stage_changes_unasked_is_seen_by_the_next(folder: Path) -> None:
    """`shared` is looked at for `first`, then written to by `second`, which says nothing of it, and looked at again for
    `third`, which depends on `second` by what is always the same."""
    write = "cat source > two; echo > same; cp source shared/y"
    content = {
        "first": {"cmd": "cat shared/x > one", "deps": ["shared"], "outs": ["one"]},
        "second": {"cmd": write, "deps": ["one", "source"], "outs": ["two", "same"]},
        "third": {"cmd": "cat shared/y > three", "deps": ["same", "shared"], "outs": ["three"]},
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": content}, sort_keys=False))
    (folder / "shared").mkdir()
    for name in ("source", "shared/x", "shared/y"):
        (folder / name).write_text("same")
    assert ran(folder) == ["first", "second", "third"]
    (folder / "source").write_text("next")
    assert ran(folder) == ["second", "third"] and (folder / "three").read_text() == "next"
