"""`kill -9` of the flow and of DVC at every stage boundary: the next run completes, and all is as undisturbed."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
from repository import ROOT, Make, Repository, wait_for

CHAIN = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "e": ["d"]}
WHEN = ("begun", "ended")


def moment(repository: Repository, name: str, when: str) -> None:
    """Wait until stage `name` has begun, or ended: then DVC is about to hash, to cache and to write dvc.lock."""
    wait_for(lambda: repository.executions(name) if when == "begun" else repository.ends(name), every=0.005)


def processes(repository: Repository) -> list[psutil.Process]:
    """All that works in the repository: DVC's processes and stages, not the fork server."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        if process.info["cwd"] == str(repository.path) and process.pid != os.getpid():
            found.append(process)
    return found


def undisturbed(repository: Repository, control: Repository) -> None:
    wait_for(lambda: not processes(repository))
    done = repository.flow("--jobs", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert repository.outputs() == control.outputs()
    outs = [{name: entry["outs"] for name, entry in which.lock.items()} for which in (repository, control)]
    assert outs[0] == outs[1]
    assert repository.settled()


@pytest.fixture
def control(make: Make) -> Repository:
    repository = make(CHAIN)
    assert repository.dvc("repro").returncode == 0
    return repository


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n == "b" else pytest.mark.slow) for n in CHAIN])
def test_kill_9_of_the_flow(make: Make, control: Repository, name: str, when: str) -> None:
    repository = make({stage: {"deps": deps, "options": "--sleep 0.3"} for stage, deps in CHAIN.items()})
    flow = repository.start("--jobs", "2")
    moment(repository, name, when)
    flow.kill()
    flow.communicate(timeout=60)
    repository.write({stage: {"deps": deps, "options": "--sleep 0.3"} for stage, deps in CHAIN.items()})
    undisturbed(repository, control)


KILLING = """\
import os, signal, sys

if any("forkserver" in word for word in sys.orig_argv):
    import dvc.utils.serialize._common as module
    import dvc.utils.serialize._yaml as other

    def dump(path, data, dumper, fs=None, **options):
        if not str(path).endswith({file!r}) or os.path.exists("killed"):
            return real(path, data, dumper, fs=fs, **options)
        open("killed", "w").close()
        real(path, data, dumper, fs=fs, **options)
        size = os.path.getsize(path)
        os.truncate(path, int(size * {share}))
        os.kill(os.getpid(), signal.SIGKILL)

    real = module._dump_data
    module._dump_data = other._dump_data = dump
"""
"""As `sitecustomize` of the fork server: the first DVC that writes the file dies when a part of it is written."""


@pytest.mark.parametrize(
    ("file", "share"),
    [
        ("dvc.lock", 0.55),
        pytest.param("dvc.lock", 0.0, marks=pytest.mark.slow),
        pytest.param("dvc.lock", 0.99, marks=pytest.mark.slow),
        pytest.param(".tmp", 0.5, marks=pytest.mark.slow),
    ],
)
def test_killed_inside_a_write_the_flow_mends_and_goes_on(
    make: Make, control: Repository, file: str, share: float
) -> None:
    meta = {"retry": {"times": 2, "wait": "0.2s"}}
    repository = make({s: {"deps": d, "options": "--sleep 0.3", "meta": meta} for s, d in CHAIN.items()})
    hook = repository.path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(KILLING.format(file=file, share=share), encoding="utf-8")
    done = repository.flow("--jobs", "2", PYTHONPATH=f"{hook}{os.pathsep}{ROOT}")
    assert (repository.path / "killed").exists()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "retry in" in done.stdout
    undisturbed(repository, control)


@pytest.mark.slow
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("name", CHAIN)
def test_kill_9_of_everything_at_once(make: Make, control: Repository, name: str, when: str) -> None:
    """As a machine that loses its power, or a container that is removed."""
    repository = make({stage: {"deps": deps, "options": "--sleep 0.3"} for stage, deps in CHAIN.items()})
    flow = repository.start("--jobs", "2")
    moment(repository, name, when)
    for process in [psutil.Process(flow.pid), *psutil.Process(flow.pid).children(recursive=True)]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    flow.communicate(timeout=60)
    undisturbed(repository, control)


@pytest.mark.slow
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("name", CHAIN)
def test_kill_9_of_a_stages_dvc_is_cured_by_a_retry(make: Make, control: Repository, name: str, when: str) -> None:
    meta = {"retry": {"times": 2, "wait": "0.2s"}}
    repository = make({s: {"deps": d, "options": "--sleep 0.3", "meta": meta} for s, d in CHAIN.items()})
    flow = repository.start("--jobs", "2")
    moment(repository, name, when)
    for process in psutil.Process(flow.pid).children(recursive=True):
        stages = [child for child in process.children() if "work.py" in child.cmdline()] if when == "begun" else []
        if stages and name in stages[0].cmdline():
            os.kill(process.pid, signal.SIGKILL)
    out, _ = flow.communicate(timeout=120)
    assert flow.returncode == 0, out
    undisturbed(repository, control)
