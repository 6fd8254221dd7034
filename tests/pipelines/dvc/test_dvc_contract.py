"""The installed DVC is the one that this project is built on: its private names, its formats, its words (docs/dvc.md).

When one of these fails after DVC was brought up to date, the message says what of the project to look at.
"""

from __future__ import annotations

import ast
import importlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dvc_contract
import pytest
import yaml
from dvc_contract import FACTS, NAMES, Fact, Name, Ran
from warm import DVC, Warm

from pipelines.dvc import private
from pipelines.flow.outcome import Outcome, Result

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    with Warm(*DVC) as warm:
        yield dvc_contract.run(tmp_path_factory.mktemp("contract") / "repository", warm)


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_a_private_name_is_there_and_taken_as_it_is_used(name: Name) -> None:
    if broken := name.broken():
        pytest.fail(broken)


@pytest.mark.parametrize("fact", FACTS, ids=str)
def test_formats_messages_and_behaviour_are_as_relied_on(fact: Fact, ran: Ran) -> None:
    if broken := fact.broken(ran):
        pytest.fail(broken)


# The contract is of what is used, and of nothing else.


def test_the_contract_is_of_the_names_that_are_used() -> None:
    text = (ROOT / "pipelines" / "dvc" / "private.py").read_text(encoding="utf-8")
    used = {*private.LOADED, private.GIT_HINTS}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            used |= {alias.name for alias in node.names if alias.name.startswith("dvc")}
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("dvc"):
            used |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute) and ast.unparse(node).startswith("dvc."):
            used.add(ast.unparse(node))
    known = [name.path.replace(":", ".") + "." for name in NAMES]
    assert not [name for name in used if not any(path.startswith(f"{name}.") for path in known)]
    assert not [name for name in known if name.strip(".").rpartition(".")[2] not in text]


def test_the_pipeline_uses_no_other_keys() -> None:
    """What dvc.yaml asks of DVC, the contract's dvc.yaml asks, too."""
    ours, checked = (ROOT / "dvc.yaml").read_text(encoding="utf-8"), dvc_contract.PIPELINE
    assert keys(yaml.safe_load(ours)) <= keys(yaml.safe_load(checked))


def keys(pipeline: dict[str, Any]) -> set[str]:
    """Of a dvc.yaml: its own, those of stages, those of outputs."""
    named = list(pipeline["stages"].values())
    stages = [*named, *(stage["do"] for stage in named if "do" in stage)]
    outputs = [out for stage in stages for out in stage.get("outs", ()) if isinstance(out, dict)]
    options = [option for out in outputs for option in out.values()]
    places = {"file": [pipeline], "stage": stages, "output": options}
    return {f"{key} of a {place}" for place, found in places.items() for each in found for key in each}


def test_what_needs_no_dvc_does_not_import_it() -> None:
    """All but the flow's plan and DVC's own process: DVC and networkx take a third of a second."""
    modules = ("pipelines.repro", "pipelines.dvc.lockfile", "pipelines.dvc.stages", "pipelines.flow.execution")
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"dvc", "networkx"} & {name.split(".")[0] for name in done.stdout.split()}


# A DVC that changed is found.


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_a_name_that_is_gone_is_told(name: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    module, _, attribute = name.path.partition(":")
    if attribute:
        monkeypatch.delattr(importlib.import_module(module), attribute.partition(".")[0])
    else:
        monkeypatch.setitem(sys.modules, module, None)
    told = name.broken()
    assert told and name.path in told and "is gone" in told and name.needed in told


@pytest.mark.parametrize("name", [name for name in NAMES if name.called or name.replaced], ids=str)
def test_a_name_that_takes_something_else_is_told(name: Name, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, attribute = name.path.rsplit("." if "." in name.path.partition(":")[2] else ":", 1)
    monkeypatch.setattr(replace(name, path=owner).find(), attribute, lambda other, /: None)
    told = name.broken()
    assert told and name.path in told and "takes (other, /)" in told and name.needed in told


def test_what_is_new_and_may_be_left_out_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    (name,) = (name for name in NAMES if name.path == "dvc.rwlock:rwlock")
    monkeypatch.setattr("dvc.rwlock.rwlock", lambda tmp_dir, fs, cmd, read, write, hardlink, new=None: None)
    assert name.broken() is None
    monkeypatch.setattr("dvc.rwlock.rwlock", lambda tmp_dir, fs, cmd, write, read, hardlink: None)
    assert "takes (tmp_dir, fs, cmd, write, read, hardlink)" in str(name.broken())
    monkeypatch.setattr("dvc.rwlock.rwlock", lambda tmp_dir, fs, cmd, read, write, hardlink, new: None)
    assert name.broken()


Change = Callable[[Ran], Ran]


def in_lock(old: str, new: str) -> Change:
    """Another word in dvc.lock."""
    return lambda ran: replace(ran, lock=ran.lock.replace(old, new))


def told(**other: Any) -> Change:
    """Another sight of DVC's process from inside."""
    return lambda ran: replace(ran, told={**ran.told, **other})


def of_stages(**other: Any) -> Change:
    """The same of its stages."""
    return lambda ran: replace(ran, told={**ran.told, "stages": [{**stage, **other} for stage in ran.told["stages"]]})


def seen(name: str, **other: Any) -> Change:
    """Another sight from the command of a stage."""
    return lambda ran: replace(ran, seen={**ran.seen, name: {**ran.seen[name], **other}})


def end(name: str) -> Change:
    """What is read from a log that has other words."""
    return lambda ran: replace(ran, ends={**ran.ends, name: Outcome(Result.FAILED)})


def on_disk(change: Callable[[Ran], None]) -> Change:
    """Other files, in a copy of the repository."""

    def changed(ran: Ran) -> Ran:
        copy = replace(ran, folder=ran.folder.with_name("changed"))
        shutil.rmtree(copy.folder, ignore_errors=True)
        shutil.copytree(ran.folder, copy.folder)
        change(copy)
        return copy

    return changed


def write(path: Path, text: str) -> None:
    path.unlink()  # the cache's objects are write-protected
    path.write_text(text, encoding="utf-8")


def listing_of_another_form(ran: Ran) -> None:
    (out,) = ran.locked["make@one"]["outs"]
    write(ran.object(out["md5"]), json.dumps({"files": ["x.txt"]}))


CHANGES: dict[str, Change] = {
    "gives stages NAME@KEY": in_lock("  make@one:", "  make-one:"),
    "is filled in": in_lock("work.py out/one", "work.py out/${item.task}"),
    "are dotted keys": in_lock("one.train", "one/train"),
    "an output with `persist`": seen("plan", kept=False),
    "`meta` is any value": of_stages(meta=None),
    "depends on those that make": of_stages(parents=[]),
    "begins with schema 2.0": in_lock("schema: '2.0'", "schema: '3.0'"),
    "an entry has cmd": in_lock("    params:", "    parameters:"),
    "a file has path": in_lock("md5", "sha256"),
    "is of its bytes": in_lock("md5: ", "md5: 0"),
    "has an object at files/md5/": on_disk(
        lambda ran: shutil.move(ran.folder / ".dvc/cache/files/md5", ran.folder / "blobs")
    ),
    "object is JSON": on_disk(listing_of_another_form),
    "has an entry at runs/": on_disk(lambda ran: write(ran.runs()[0], "version: 3\n")),
    "ends in .tmp": told(run_cache=["/cache/runs/00/0123"]),
    "rwlock is JSON": seen("make@one", rwlock='{"version": 2, "holders": []}'),
    "are locked by flock": told(locked=False),
    "in DVC_STAGE": lambda ran: replace(ran, seen={"unnamed": ran.seen["plan"]}),
    "DVC_SITE_CACHE_DIR": on_disk(lambda ran: shutil.rmtree(ran.folder / "seen" / "site")),
    "starts a command by a list": told(popen={"command": "python work.py out/two"}),
    "by Lockfile.dump_stages": told(entry={"make@two": {"cmd": "python work.py out/two"}}),
    "one from the run cache": end("restored"),
    "the exit code of a stage": end("failed"),
    "could not begin": end("cut"),
    "the status of a stage": told(reasons={"make@one": ["changed params"]}),
    "dvc cache dir": told(cache="/elsewhere"),
    "DVC's ": told(absent=[f"{kind}.{name}" for kind, names in dvc_contract.ATTRIBUTES.items() for name in names]),
}
"""A part of what a fact says -> a DVC in which it is not so."""


@pytest.mark.parametrize("fact", FACTS, ids=str)
def test_a_change_is_told_with_what_depends_on_it(fact: Fact, ran: Ran) -> None:
    change = next(change for part, change in CHANGES.items() if part in fact.what)
    found = fact.broken(change(ran))
    assert found and fact.what in found and fact.needed in found


def test_where_dvc_breaks_off_what_it_says_is_told(ran: Ran) -> None:
    (fact,) = (fact for fact in FACTS if fact.what.startswith("the status of a stage"))
    found = fact.broken(replace(ran, told={}, said="TypeError: rwlock() takes 5 positional arguments"))
    assert found and "rwlock() takes 5 positional arguments" in found and fact.needed in found
