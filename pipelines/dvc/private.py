"""Every name of DVC that this project uses and DVC's documentation does not promise: they stand in this module alone.

What DVC documents is its command line, `dvc.api` and its files; all else may change in any release. What is used of it,
and how, `tests/pipelines/dvc/dvc_contract.py` holds against the DVC that is installed; `docs/dvc.md` says what would
take its place. Each function imports what it needs when it is called: all of DVC takes a third of a second and more,
which nobody is to pay who does not use it.
"""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

LOADED = (
    *("dvc.api", "dvc.cli", "dvc.commands.repro", "dvc.lock", "dvc.repo.reproduce", "dvc.stage.cache"),
    "dvc.stage.run",
)
"""What `dvc repro` imports by and by."""
GIT_HINTS = "dvc.repo.scm_context"
"""The logger that says `git add dvc.lock`."""


class BusyError(Exception):
    """Another DVC process holds what is asked for."""


class RefusedError(Exception):
    """DVC refuses the repository, or what is asked of it."""

    def __init__(self, message: str, why: str):
        super().__init__(message)
        self.why = why
        """The first line of what led to it; of the message itself where nothing did."""


def main(words: Sequence[str]) -> int:
    """DVC's command line in this process. Returns: its exit code."""
    from dvc.cli import main as dvc_main

    code: int = dvc_main(list(words))
    return code


def load() -> None:
    """Import what `dvc repro` uses, for processes that are forked from this one. Starts no thread."""
    for module in LOADED:
        importlib.import_module(module)


def set_lock_timeout(seconds: float) -> None:
    """For how long this process's DVC tries to get its lock, in six tries. With --wait-for-lock it tries for ever, with
    a sixth of this between two tries."""
    import dvc.lock

    dvc.lock.DEFAULT_TIMEOUT = seconds


def silence_git_hints() -> None:
    """No word of `git add dvc.lock` from this process's DVC."""
    logging.getLogger(GIT_HINTS).setLevel(logging.WARNING)


def start_commands_by(popen: Callable[..., Any]) -> None:
    """Have this process's DVC start the commands of stages by `popen` instead of `subprocess.Popen`."""
    import dvc.stage.run

    dvc.stage.run.subprocess = SimpleNamespace(**vars(subprocess) | {"Popen": popen})


def yaml_text(value: Any) -> str:
    """YAML as DVC writes it."""
    from dvc.utils.serialize import dumps_yaml

    text: str = dumps_yaml(value)
    return text


def write_lock_by(replaced: Callable[[str, dict[str, Any]], str | None]) -> None:
    """Have this process's DVC write dvc.lock by `replaced`: its text and the entry of one stage -> the new text, None
    where DVC is to do it its own way."""
    from dvc.dvcfile import Lockfile, logger
    from dvc.stage.serialize import to_lockfile

    theirs = Lockfile.dump_stages

    def dump_stages(self: Any, stages: list[Any], **kwargs: Any) -> None:
        path = Path(self.path)
        if len(stages) != 1 or path.is_symlink() or not path.is_file():
            theirs(self, stages, **kwargs)
            return
        old = path.read_text(encoding="utf-8")
        new = replaced(old, to_lockfile(stages[0], **kwargs))
        if new is None:
            theirs(self, stages, **kwargs)
        elif new != old:
            logger.info("Updating lock file '%s'", self.relpath)
            path.write_text(new, encoding="utf-8", newline="\n")  # in place, as DVC does: mode, owner and links stay
            self.repo.scm_context.track_file(self.relpath)

    Lockfile.dump_stages = dump_stages


def look_once() -> None:
    """Have this process's DVC read a file of params once and not for every stage, as long as it stays as it is, and
    hash a dependency once until the next stage runs. With 72 stages that is half of what it does to find that nothing
    has changed."""
    import dvc.dependency.param
    from dvc.output import Output
    from dvc.stage import Stage

    params, hashes = dict[tuple[Any, ...], Any](), dict[tuple[Any, ...], Any]()
    load_path, get_hash, run = dvc.dependency.param.load_path, Output._get_hash_meta, Stage.run

    def load_path_once(fs_path: str, fs: Any, **kwargs: Any) -> Any:
        if fs.protocol != "local" or kwargs:
            return load_path(fs_path, fs, **kwargs)
        stat = Path(fs_path).stat()
        key = (fs_path, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        if key not in params:
            params[key] = load_path(fs_path, fs)
        return params[key]

    def get_hash_once(self: Any) -> Any:
        key = (self.fs.protocol, self.fs_path, self.hash_name)
        if not self.IS_DEPENDENCY or self.use_cache:
            return get_hash(self)
        if key not in hashes:
            hashes[key] = get_hash(self)
        return hashes[key]

    def run_and_forget(self: Any, *args: Any, **kwargs: Any) -> Any:
        hashes.clear()
        try:
            return run(self, *args, **kwargs)
        finally:
            hashes.clear()

    dvc.dependency.param.load_path = load_path_once
    Output._get_hash_meta = get_hash_once
    Stage.run = run_and_forget


@dataclass(frozen=True)
class StageFiles:
    """Where a stage instance reads and writes, relative to the repository's root."""

    name: str
    command: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    kept: tuple[str, ...] = ()
    """Of `outs`, those that are there still when the stage runs again (`persist`)."""
    unshared: tuple[str, ...] = ()
    """Of `outs`, those that DVC does not cache, or not push."""


def layout() -> dict[str, StageFiles]:
    """Every stage of the repository in the working directory by its name. Raises: RefusedError."""
    from dvc.dependency import ParamsDependency
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            return {
                stage.addressing: StageFiles(
                    stage.addressing,
                    str(stage.cmd or ""),
                    tuple(_within(repo, each) for each in stage.deps if not isinstance(each, ParamsDependency)),
                    tuple(_within(repo, each) for each in stage.outs),
                    tuple(_within(repo, each) for each in stage.outs if each.persist),
                    tuple(_within(repo, each) for each in stage.outs if not (each.use_cache and each.can_push)),
                )
                for stage in repo.index.stages
            }
    except DvcException as error:
        raise RefusedError(str(error), str(error.__cause__ or error).splitlines()[0]) from error


def _within(repo: Any, entry: Any) -> str:
    local = entry.protocol == "local"
    return Path(os.path.relpath(entry.fs_path, repo.root_dir)).as_posix() if local else str(entry)


def locked() -> dict[str, Any]:
    """Stages of dvc.lock in the working directory, with DVC's own types; empty where there is none."""
    from dvc.utils.serialize import load_yaml

    path = Path("dvc.lock")
    content = load_yaml(str(path)) if path.exists() else None
    return dict((content or {}).get("stages") or {})


def yaml_value(text: str) -> Any:
    """YAML as DVC reads it."""
    from dvc.utils.serialize import parse_yaml

    return parse_yaml(text, "dvc.lock")


def same_but_for_outputs(name: str) -> bool:
    """Whether nothing of a stage has changed since dvc.lock was written; outputs that are not there are no change."""
    from dvc.repo import Repo, lock_repo

    with Repo(_wait_for_lock=True) as repo, lock_repo(repo):
        (stage,) = repo.stage.collect(name)
        return not stage.changed(allow_missing=True)


def record(name: str, entry: Any) -> None:
    """Write into dvc.lock what was made of a stage elsewhere, as DVC does after it has run the stage.

    entry: what DVC locks of it, as `locked` has it.
    """
    from dvc.repo import Repo, lock_repo
    from dvc.stage.loader import StageLoader

    with Repo(_wait_for_lock=True) as repo, lock_repo(repo):
        (stage,) = repo.stage.collect(name)
        StageLoader.fill_from_lock(stage, entry)
        stage.ignore_outs()
        stage.dump(update_pipeline=False)


def share_runs(name: str | None = None) -> None:
    """Have this process's DVC send to a remote, and take from it, what is missing of the run cache: of one stage as its
    files are now, or (None) of all. DVC copies all of it each time."""
    from dvc.stage import cache

    def transfer(self: Any, from_odb: Any, to_odb: Any, force: bool = True) -> list[tuple[str, str]]:
        part: tuple[str, ...] = ()
        if name is not None:
            (stage,) = self.repo.stage.collect(name)
            stage.save_deps()
            if not cache._can_hash(stage):
                return []
            key = cache._get_stage_hash(stage)
            part = (key[:2], key)
        sent = []
        theirs = set(_runs(to_odb, part))
        for run in _runs(from_odb, part):
            if run not in theirs:
                source, target = (odb.fs.join(odb.path, "runs", *run) for odb in (from_odb, to_odb))
                cache.fs.generic.copy(from_odb.fs, source, to_odb.fs, target)
                sent.append((run[-2], run[-1]))
        return sent

    cache.StageCache.transfer = transfer


def _runs(odb: Any, part: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Entries of a run cache below `part`, each as the parts of its path."""
    folder = odb.fs.join(odb.path, "runs", *part)
    if odb.fs.exists(folder):
        for path in odb.fs.find(folder):
            found = tuple(odb.fs.relparts(path, odb.fs.join(odb.path, "runs")))
            if len(found) == 3 and not found[-1].endswith(".tmp"):
                yield found


@dataclass(frozen=True)
class StageSeen:
    """A stage instance as DVC sees it."""

    name: str
    command: str
    meta: Any
    """What dvc.yaml says under `meta`."""
    parents: tuple[str, ...]
    """Those of the same look that must be done before."""
    deps: tuple[str, ...] = ()
    outs: tuple[str, ...] = ()
    """Local files and folders, relative to the repository; `deps` are what it reads, but for params."""


class Look:
    """What DVC knows of a repository that is locked."""

    def __init__(self, repo: Any, targets: Sequence[str], downstream: bool):
        import networkx
        from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

        graph = get_active_graph(repo.index.graph)
        if targets:
            order = plan_repro(graph, collect_stages(repo, targets), downstream=downstream)
        else:  # the same for all stages, without a search from each of them
            order = list(networkx.dfs_postorder_nodes(graph))
        chosen = {stage.addressing for stage in order}
        self._repo, self._order = repo, order
        self.stages = tuple(
            StageSeen(
                stage.addressing,
                str(stage.cmd or ""),
                stage.meta,
                tuple(sorted({parent.addressing for parent in graph.successors(stage)} & chosen)),
                _local(repo, stage.deps),
                _local(repo, stage.outs),
            )
            for stage in order
        )
        """In an order that DVC could run them in."""

    def changes(self) -> dict[str, list[Any]]:
        """DVC's status of each changed stage. Files are locked for reading once: by the stage, a thousand take seconds.

        Raises within `looking`: BusyError where another DVC is writing one of them.
        """
        from dvc.dependency.db import AbstractDependency
        from dvc.dependency.repo import RepoDependency
        from dvc.rwlock import rwlock
        from dvc.stage import Stage

        status = getattr(Stage.status, "__wrapped__", Stage.status)
        entries = [entry for stage in self._order for entry in (*stage.deps, *stage.outs)]
        paths = [entry.fs_path for entry in entries if not isinstance(entry, RepoDependency | AbstractDependency)]
        hardlink = self._repo.config["core"].get("hardlink_lock", False)
        with rwlock(self._repo.tmp_dir, self._repo.fs, " ".join(sys.argv), list(dict.fromkeys(paths)), [], hardlink):
            return {name: found for stage in self._order for name, found in status(stage, check_updates=False).items()}


def _local(repo: Any, entries: Sequence[Any]) -> tuple[str, ...]:
    """Paths of dependencies or outputs that lie on this machine."""
    from dvc.dependency.db import AbstractDependency
    from dvc.dependency.repo import RepoDependency

    here = [each for each in entries if not isinstance(each, RepoDependency | AbstractDependency)]
    return tuple(dict.fromkeys(_within(repo, each) for each in here if each.protocol == "local"))


@contextmanager
def looking(targets: Sequence[str] = (), *, downstream: bool = False) -> Iterator[Look]:
    """A look at the repository in the working directory, with DVC's lock held: no other DVC changes it meanwhile.

    targets: stages, as for `dvc repro`; none: all. downstream: the targets and what depends on them, as in DVC.
    Raises: BusyError, RefusedError; also for what DVC raises within the block.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo, lock_repo

    _check_cycles_fast()
    try:
        with Repo(_wait_for_lock=True) as repo, lock_repo(repo):
            yield Look(repo, targets, downstream)
    except LockError as error:
        raise BusyError(str(error)) from error
    except DvcException as error:
        raise RefusedError(str(error), str(error.__cause__ or error).splitlines()[0]) from error


def _check_cycles_fast() -> None:
    """DVC's own search for a cycle takes the square of the number of stages: half a minute for a thousand. Here it is
    asked only to name one that there is."""
    import dvc.repo.graph
    import networkx

    theirs = dvc.repo.graph.check_acyclic
    if getattr(theirs, "fast", False):
        return

    def check_acyclic(graph: networkx.DiGraph) -> None:
        if not networkx.is_directed_acyclic_graph(graph):
            theirs(graph)

    check_acyclic.fast = True  # type: ignore[attr-defined]
    dvc.repo.graph.check_acyclic = check_acyclic
