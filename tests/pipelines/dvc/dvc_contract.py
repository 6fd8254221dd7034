"""What this project takes for granted of DVC beyond its documentation, and what of the project each of it carries.

`NAMES` are the private names that `pipelines/dvc/private.py` reaches, and how it calls or replaces them. `FACTS` are
formats of files, words of messages and behaviour, told from a small repository in which the installed DVC has run
(`run`). `broken` says of either what is no more as it was.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import yaml
from warm import Warm

from core import lineage
from ops import repair
from ops.repair import lock_file, run_cache, rwlock
from ops.repair.entries import is_entry, parsed
from ops.repair.locks import held
from pipelines.dvc import lockfile, private, stages
from pipelines.flow import plan
from pipelines.flow.outcome import Cause, Outcome, Result, judge

ROOT = Path(__file__).parents[3]
FLOW, START, LOCK = "pipelines/flow/plan.py: make flow's plan", "pipelines/dvc/stages.py", "pipelines/dvc/lockfile.py"
ONCE = "pipelines/dvc/__main__.py: make repro with little to do"
REPAIR, LINEAGE = "ops/repair: what a killed DVC left", "core/lineage.py, ops/integrity.py: what a stage is made of"
OUTCOME = "pipelines/flow/outcome.py: how a stage ended, and whether it is tried again"


@dataclass(frozen=True)
class Name:
    """A private name: `module:attribute`, or a module."""

    path: str
    needed: str
    called: str | None = None
    """The arguments that it is called with: those by place by their names in DVC, in order; then `name=`."""
    replaced: str | None = None
    """The whole signature of what takes its place."""

    def __str__(self) -> str:
        return self.path

    def broken(self) -> str | None:
        """What is no more as it was; None: nothing."""
        try:
            found = self.find()
        except (ImportError, AttributeError) as error:
            return self._told(f"is gone ({error})")
        if self.called is not None and not _takes(found, self.called.split()):
            return self._told(f"takes {inspect.signature(found)}, and is called with ({self.called})")
        if self.replaced is not None and _plain(found) != self.replaced:
            return self._told(f"takes {_plain(found)}, and is replaced by one that takes {self.replaced}")
        return None

    def find(self) -> Any:
        module, _, attribute = self.path.partition(":")
        found = importlib.import_module(module)
        return attrgetter(attribute)(found) if attribute else found

    def _told(self, fault: str) -> str:
        return f"DVC's {self.path} {fault}. It is needed by {self.needed}; pipelines/dvc/private.py has its use"


def _takes(function: Any, arguments: Sequence[str]) -> bool:
    """Whether a function can be called so, and needs no more."""
    parameters = inspect.signature(function).parameters
    places = [word for word in arguments if not word.endswith("=")]
    named = {word[:-1] for word in arguments if word.endswith("=")}
    by_place = [
        each.name for each in parameters.values() if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    more = [each for each in parameters.values() if each.name not in {*places, *named} and each.kind not in VARIADIC]
    return (
        by_place[: len(places)] == places
        and named <= parameters.keys()
        and all(each.default is not each.empty for each in more)
    )


VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _plain(function: Any) -> str:
    """A signature without types."""
    signature = inspect.signature(function)
    parameters = [each.replace(annotation=each.empty) for each in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


NAMES = (
    Name(
        "dvc.cli:main",
        "pipelines/dvc/__main__.py and pipelines/flow/process.py: each `make repro`, `make flow`",
        "argv",
    ),
    *(Name(module, "pipelines/flow/preload.py: what the fork server imports") for module in private.LOADED),
    Name("dvc.lock:DEFAULT_TIMEOUT", "pipelines/flow/preload.py: stages side by side that wait for DVC's lock"),
    Name("dvc.lock:LockError", f"{FLOW}, which waits for another DVC"),
    Name("dvc.exceptions:DvcException", f"{FLOW}, which tells what DVC refuses"),
    Name(f"{private.GIT_HINTS}:logger", "pipelines/flow/process.py: no hint at git after each stage"),
    Name("dvc.stage.run:subprocess.Popen", f"{START}: stages as forks of one process"),
    Name(
        "dvc.dvcfile:Lockfile.dump_stages", f"{LOCK}: one entry written, not all", replaced="(self, stages, **kwargs)"
    ),
    Name("dvc.dvcfile:logger.info", f"{LOCK}: it says what DVC would say"),
    Name("dvc.stage.serialize:to_lockfile", f"{LOCK}: the entry of a stage", "stage"),
    Name("dvc.utils.serialize:dumps_yaml", f"{LOCK}: the text of an entry", "d"),
    Name("dvc.repo.graph:check_acyclic", f"{FLOW} of a thousand stages", replaced="(graph)"),
    Name("dvc.repo:Repo", FLOW, "_wait_for_lock="),
    Name("dvc.repo:lock_repo", FLOW, "repo"),
    Name("dvc.repo.reproduce:collect_stages", f"{FLOW} of targets", "repo targets"),
    Name("dvc.repo.reproduce:get_active_graph", FLOW, "graph"),
    Name("dvc.repo.reproduce:plan_repro", f"{FLOW} of targets", "graph stages downstream="),
    Name("dvc.rwlock:rwlock", f"{FLOW}: all files locked at once", "tmp_dir fs cmd read write hardlink"),
    Name("dvc.stage:Stage.status", f"{FLOW}: why a stage runs", "self check_updates="),
    Name(
        "dvc.stage:Stage.status.__wrapped__", f"{FLOW}: the status without a lock for each stage", "self check_updates="
    ),
    Name("dvc.dependency.param:load_path", f"{ONCE}: params.yaml read once", "fs_path fs", "(fs_path, fs, **kwargs)"),
    Name("dvc.output:Output._get_hash_meta", f"{ONCE}: a dependency hashed once", "self", "(self)"),
    Name("dvc.stage:Stage.run", f"{ONCE}: hashes forgotten when a stage runs"),
    Name("dvc.dependency.db:AbstractDependency", f"{FLOW}: what has no path to lock"),
    Name("dvc.dependency.repo:RepoDependency", f"{FLOW}: what needs no lock"),
)
ATTRIBUTES = {
    "repo": ("index.graph", "root_dir", "tmp_dir", "fs", "config", "scm_context.track_file"),
    "stage": ("addressing", "meta", "cmd", "deps", "outs"),
    "output": ("fs_path", "fs.protocol", "hash_name", "use_cache", "IS_DEPENDENCY"),
    "lockfile": ("path", "relpath", "repo"),
}
"""Of DVC's objects, as `pipelines/dvc/private.py` uses them."""


# A repository in which DVC runs.

PIPELINE = """\
vars: [matrix.yaml]
stages:
  plan:
    cmd: python work.py plan.txt
    deps: [params.yaml]
    outs:
      - plan.txt: {persist: true}
  make:
    foreach: ${matrix.make}
    do:
      cmd: python work.py out/${item.task}
      meta: {needs: {gpus: 1}, retry: {times: 2, wait: 1s}}
      params: [seed, "${item.task}.train"]
      deps: ["${environment}", plan.txt, "${item.extra}", "${item.extra}"]
      outs: ["out/${item.task}"]
  after: {cmd: python work.py after.txt, deps: [out, out/one/deeper/y.txt], outs: [after.txt]}
  fail: {cmd: exit 75, deps: [after.txt], outs: [never.txt]}
"""
"""Every key of dvc.yaml that this project uses; `test_the_pipeline_uses_no_other_keys` holds it against dvc.yaml."""
FILES = {
    "dvc.yaml": PIPELINE,
    "matrix.yaml": "environment: work.py\nmatrix:\n  make:\n"
    "    one: {task: one, extra: first.txt}\n    two: {task: two, extra: second.txt}\n",
    "params.yaml": "seed: 1\none: {train: {lr: 0.1, name: null}}\ntwo: {train: {lr: 0.2}}\n",
    "first.txt": "first\n",
    "second.txt": "second\n",
    "plan.txt": "of an earlier run\n",
    "after.txt": "of an earlier run\n",
    ".dvcignore": "seen\n__pycache__\n*.partial\n",
    ".dvc/config": "[core]\nno_scm = true\nanalytics = false\ncheck_update = false\n",
    "work.py": """
import json, os, sys
from pathlib import Path
out, seen = Path(sys.argv[1]), Path("seen")
seen.mkdir(exist_ok=True)
told = {"kept": out.exists(), "rwlock": Path(".dvc/tmp/rwlock").read_text()}
(seen / (os.environ.get("DVC_STAGE", "unnamed") + ".json")).write_text(json.dumps(told))
if out.suffix:
    out.write_text("made")
else:
    for name in ("x.txt", "deeper/y.txt", "__pycache__/z.txt", "half.partial"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(name)
""",
}
TORN = {
    "empty": "",
    "no yaml": "schema: '2.0'\nstag",
    "cut": "schema: '2.0'\nstages:\n  plan:\n    cmd: a\n    deps:\n    - pa",
}
"""What a kill may leave of dvc.lock."""
SINGLE = ("--wait-for-lock", "repro", "--single-item")


@dataclass(frozen=True)
class Ran:
    """What DVC has left, said and shown."""

    folder: Path
    lock: str
    """dvc.lock after the first run."""
    seen: Mapping[str, Any]
    """What the commands of stages saw: stage -> `kept`, `rwlock`."""
    ends: Mapping[str, Outcome]
    """As `pipelines.flow.outcome` reads DVC's logs."""
    told: Mapping[str, Any]
    """Of `tell`, from inside of a process of DVC."""
    said: str = ""
    """Of that process, where it broke off."""

    @property
    def locked(self) -> dict[str, Any]:
        return dict(yaml.safe_load(self.lock)["stages"])

    def object(self, md5: str) -> Path:
        """The cache's file of a digest, as `ops.integrity` finds it."""
        return self.folder / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]

    def runs(self) -> list[Path]:
        return [path for path in (self.folder / ".dvc" / "cache" / "runs").rglob("*") if path.is_file()]


def run(folder: Path, warm: Warm) -> Ran:
    """Have the installed DVC run a small pipeline in an empty folder, and do all that `FACTS` ask for."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    ends = {"ran": _dvc(folder, warm, "make@one", "repro", "after")}
    assert ends["ran"].ok, f"the installed DVC does not run a dvc.yaml as this project writes it: {ends['ran'].tail}"
    lock = (folder / "dvc.lock").read_text(encoding="utf-8")
    seen = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (folder / "seen").glob("*.json")}
    ends["unchanged"] = _dvc(folder, warm, "make@one", *SINGLE, "make@one")
    ends["failed"] = _dvc(folder, warm, "fail", *SINGLE, "fail")
    (folder / "dvc.lock").unlink()
    shutil.rmtree(folder / "out" / "one")
    ends["restored"] = _dvc(folder, warm, "make@one", *SINGLE, "make@one")
    for name, text in TORN.items():
        (folder / "dvc.lock").write_text(text, encoding="utf-8")
        ends[name] = _dvc(folder, warm, "make@one", *SINGLE, "make@one")
    (folder / "dvc.lock").write_text(lock, encoding="utf-8")
    busy = {"write": {str(folder / "out" / "one"): {"pid": os.getpid(), "cmd": "dvc repro"}}}
    (folder / ".dvc" / "tmp" / "rwlock").write_text(json.dumps(busy), encoding="utf-8")
    ends["busy"] = _dvc(folder, warm, "make@one", *SINGLE, "make@one")
    (folder / ".dvc" / "tmp" / "rwlock").unlink()
    params = (folder / "params.yaml").read_text(encoding="utf-8")
    (folder / "params.yaml").write_text(params.replace("seed: 1", "seed: 2"), encoding="utf-8")
    (folder / "out" / "two" / "x.txt").unlink()
    log = _fork(folder, warm, "-c", "import dvc_contract; dvc_contract.tell()")
    ends["locked"] = judge("make@one", 255, log)
    if not (folder / "told.json").exists():
        return Ran(folder, lock, seen, ends, {}, log.read_text(encoding="utf-8").strip().rpartition("\n")[2])
    return Ran(folder, lock, seen, ends, json.loads((folder / "told.json").read_text(encoding="utf-8")))


def _dvc(folder: Path, warm: Warm, stage: str, *words: str) -> Outcome:
    """How `dvc WORDS` ended, as of one stage."""
    log = _fork(folder, warm, "-m", "dvc", *words)
    return judge(stage, int(log.with_suffix(".code").read_text()), log)


def _fork(folder: Path, warm: Warm, *arguments: str) -> Path:
    """Run Python where DVC is imported. Returns: what it said; beside it lies its exit code."""
    here = [str(Path(sys.executable).parent), os.environ["PATH"]]
    paths = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "STILLHOUSE_"))},
        **{"PATH": os.pathsep.join(here), "PYTHONPATH": os.pathsep.join(paths), "SHELL": "/bin/sh"},
        **{"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(folder / "seen" / "site")},
    }
    done = warm.run([sys.executable, *arguments], cwd=folder, env=environment, timeout=60)
    log = folder / "seen" / "said.log"
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    log.with_suffix(".code").write_text(str(done.returncode))
    return log


def tell() -> None:
    """In a process of its own, in the repository: write into told.json what is seen from inside of DVC."""
    told: dict[str, Any] = {"reasons": plan.make(["after"]).reasons()}
    with private.looking() as look, held("lock", wait=0) as mine:
        told |= {"locked": not mine, "stages": [asdict(stage) for stage in look.stages], "absent": _absent(look)}
    private.set_lock_timeout(0.06)
    try:
        with held("rwlock.lock"), private.looking() as look:
            look.changes()
    except private.BusyError:
        told["rwlock_locked"] = True
    opened: set[str] = set()
    sys.addaudithook(lambda event, given: opened.add(str(given[0])) if _writes(event, given) else None)
    private.start_commands_by(lambda command, **how: _recorded(told, command, how))
    private.write_lock_by(lambda text, entry: told.update(entry=entry) or lockfile.replaced(text, entry))
    told["code"] = private.main(["repro", "--single-item", "make@two"])
    told["run_cache"] = [name for name in opened if "/cache/runs/" in name]
    told["written"] = lineage.locked()["make@two"]
    private.main(["cache", "dir", "--local", "../elsewhere"])
    told["cache"] = str(repair.cache().resolve())
    Path("told.json").write_text(json.dumps(told), encoding="utf-8")
    with held("lock"):  # without --wait-for-lock
        private.main(["repro"])


def _writes(event: str, given: tuple[Any, ...]) -> bool:
    return event == "open" and bool(given[2] & (os.O_WRONLY | os.O_RDWR))


def _recorded(told: dict[str, Any], command: Any, how: dict[str, Any]) -> stages.Forked:
    """Start what DVC starts, and give it as little as `pipelines.dvc.stages` does."""
    told["popen"] = {
        "command": command,
        "cwd": str(how["cwd"]),
        "stage": how["env"].get("DVC_STAGE"),
        "how": sorted(how),
    }
    return stages.Forked(subprocess.Popen(command, **how).pid)


def _absent(look: private.Look) -> list[str]:
    from dvc.dvcfile import Lockfile

    (stage,) = (stage for stage in look._order if stage.addressing == "make@one")
    objects = {
        "repo": look._repo,
        "stage": stage,
        "output": stage.outs[0],
        "lockfile": Lockfile(look._repo, "dvc.lock"),
    }
    return [f"{kind}.{name}" for kind, names in ATTRIBUTES.items() for name in names if not _has(objects[kind], name)]


def _has(found: Any, dotted: str) -> bool:
    try:
        attrgetter(dotted)(found)
    except AttributeError:
        return False
    return True


# What is to be so.


@dataclass(frozen=True)
class Fact:
    """What is taken for granted of formats, messages and behaviour."""

    what: str
    needed: str
    holds: Callable[[Ran], bool]

    def __str__(self) -> str:
        return self.what

    def broken(self, ran: Ran) -> str | None:
        """What is no more as it was; None: nothing."""
        try:
            if self.holds(ran):
                return None
            why = ""
        except (LookupError, TypeError, ValueError, AttributeError, OSError, yaml.YAMLError) as error:
            why = f" ({type(error).__name__}: {error}{'; ' * bool(ran.said)}{ran.said})"
        return f"no more so in the installed DVC: {self.what}{why}. It is needed by {self.needed}"


def _files(ran: Ran) -> list[dict[str, Any]]:
    """All entries of files and folders of dvc.lock."""
    return [file for entry in ran.locked.values() for file in (*entry.get("deps", []), *entry.get("outs", []))]


def _file_shape(file: dict[str, Any]) -> bool:
    folder = str(file["md5"]).endswith(".dir")
    return file["hash"] == "md5" and file.keys() - {"hash"} == {"path", "md5", "size"} | (
        {"nfiles"} if folder else set()
    )


def _listing(ran: Ran) -> Any:
    (out,) = ran.locked["make@one"]["outs"]
    return json.loads(ran.object(out["md5"]).read_text(encoding="utf-8"))


def _lock_is_replaced(ran: Ran) -> bool:
    """Each entry by itself is the text that is there."""
    return all(lockfile.replaced(ran.lock, {name: entry}) == ran.lock for name, entry in ran.locked.items())


def _run_is_whole(ran: Ran, path: Path) -> bool:
    runs, (first, key, value) = ran.folder / ".dvc" / "cache" / "runs", path.parts[-3:]
    entry = parsed(path.read_text(encoding="utf-8"))
    whole = is_entry(entry) and bool(entry["outs"]) and not run_cache._is_unfinished(path)
    return path.parent.parent.parent == runs and first == key[:2] and len(key) == len(value) == 64 and whole


def _rwlock_shape(ran: Ran) -> bool:
    found = json.loads(ran.seen["make@one"]["rwlock"])
    written, read = found["write"][str(ran.folder / "out" / "one")], found["read"][str(ran.folder / "first.txt")]
    return rwlock._is_rwlock(found) and read == [written] and written["cmd"].endswith(" repro after")


def _ended(ran: Ran, name: str, result: Result, cause: Cause | None = None) -> bool:
    return (ran.ends[name].result, ran.ends[name].cause) == (result, cause)


FACTS = (
    Fact(
        "dvc.yaml: `foreach` over a file of `vars` gives stages NAME@KEY",
        "core/stage.py and core/matrix.py: the names of stage instances",
        lambda ran: ran.locked.keys() == {"plan", "make@one", "make@two", "after"},
    ),
    Fact(
        "dvc.yaml: `${...}` is filled in; a dependency may be named twice",
        "dvc.yaml: ${item...} names what a task has of its own",
        lambda ran: (
            ran.locked["make@one"]["cmd"] == "python work.py out/one"
            and {dep["path"] for dep in ran.locked["make@one"]["deps"]} == {"first.txt", "plan.txt", "work.py"}
        ),
    ),
    Fact(
        "dvc.yaml: `params` are dotted keys of params.yaml, and stand in dvc.lock by them",
        "dvc.yaml: a stage runs again for its own params alone",
        lambda ran: (
            ran.locked["make@one"]["params"] == {"params.yaml": {"seed": 1, "one.train": {"lr": 0.1, "name": None}}}
        ),
    ),
    Fact(
        "dvc.yaml: an output with `persist` is there when its stage runs, another is not",
        "dvc.yaml: the stage plan",
        lambda ran: ran.seen["plan"]["kept"] and not ran.seen["after"]["kept"],
    ),
    Fact(
        "dvc.yaml: `meta` is any value, and handed on",
        "pipelines/flow/needs.py: room and retries of a stage",
        lambda ran: (
            {stage["name"]: stage["meta"] for stage in ran.told["stages"]}["make@one"]
            == {"needs": {"gpus": 1}, "retry": {"times": 2, "wait": "1s"}}
        ),
    ),
    Fact(
        "a stage depends on those that make a part of its dependency, or a folder around it",
        FLOW,
        lambda ran: (
            {stage["name"]: stage["parents"] for stage in ran.told["stages"]}
            == {
                "plan": [],
                "make@one": ["plan"],
                "make@two": ["plan"],
                "after": ["make@one", "make@two"],
                "fail": ["after"],
            }
        ),
    ),
    Fact(
        "dvc.lock begins with schema 2.0 and has an entry below each stage's name",
        f"ops/repair/lock_file.py, {LOCK}, core/lineage.py: all that read or write it",
        lambda ran: ran.lock.startswith(lock_file.HEAD) and lockfile.HEAD == lock_file.HEAD and _lock_is_replaced(ran),
    ),
    Fact(
        "dvc.lock: an entry has cmd, deps, params, outs",
        f"{REPAIR}; ops/tracking/ledger.py: which run made an entry",
        lambda ran: all(map(is_entry, ran.locked.values())) and ran.locked["make@one"].keys() == ENTRY,
    ),
    Fact(
        "dvc.lock: a file has path, hash: md5, md5 and size, a folder nfiles besides, and an md5 that ends in .dir",
        LINEAGE,
        lambda ran: all(map(_file_shape, _files(ran))),
    ),
    Fact(
        "the md5 of a file is of its bytes, of a folder of its sorted list without what .dvcignore names",
        LINEAGE,
        lambda ran: all(
            lineage.digest(ran.folder / out["path"]) == out["md5"]
            for name in ("plan", "make@one", "after")
            for out in ran.locked[name]["outs"]
        ),
    ),
    Fact(
        "the cache has an object at files/md5/, by two digits of its md5 and the rest",
        "ops/integrity.py: the damaged object; pipelines/deploy/remote.py: the probe of a remote",
        lambda ran: ran.object(ran.locked["after"]["outs"][0]["md5"]).read_text(encoding="utf-8") == "made",
    ),
    Fact(
        "a folder's object is JSON: a list of md5 and relpath",
        "ops/integrity.py: the damaged file of a folder",
        lambda ran: (
            [entry["relpath"] for entry in _listing(ran)] == ["deeper/y.txt", "x.txt"]
            and all(
                entry.keys() == {"md5", "relpath"} and ran.object(entry["md5"]).read_text() == entry["relpath"]
                for entry in _listing(ran)
            )
        ),
    ),
    Fact(
        "the run cache has an entry at runs/, by two digits of a sha256, that sha256 and another one",
        f"{REPAIR}: entries that are not whole",
        lambda ran: len(ran.runs()) >= 3 and all(_run_is_whole(ran, path) for path in ran.runs()),
    ),
    Fact(
        "the run cache writes an entry under a name that ends in .tmp",
        f"{REPAIR}: entries that were not finished",
        lambda ran: bool(ran.told["run_cache"]) and all(name.endswith(".tmp") for name in ran.told["run_cache"]),
    ),
    Fact(
        ".dvc/tmp/rwlock is JSON: path -> pid and cmd under write, a list of them under read",
        f"{REPAIR}: which process holds a file",
        _rwlock_shape,
    ),
    Fact(
        ".dvc/tmp/lock and rwlock.lock are locked by flock",
        f"{REPAIR} is mended under DVC's own locks",
        lambda ran: (
            ran.told["locked"]
            and ran.told["rwlock_locked"]
            and all((ran.folder / ".dvc" / "tmp" / name).is_file() for name in ("lock", "rwlock.lock"))
        ),
    ),
    Fact(
        "a stage's command has its name in DVC_STAGE",
        "core/stage.py, training/weights.py: checks of what DVC has recorded",
        lambda ran: ran.seen.keys() >= {"plan", "make@one", "make@two", "after"},
    ),
    Fact(
        "DVC_SITE_CACHE_DIR is where DVC keeps its databases",
        "docker/train.Dockerfile, docker/compose.yaml: a container may not write elsewhere",
        lambda ran: any((ran.folder / "seen" / "site").rglob("*.db")),
    ),
    Fact(
        "DVC starts a command by a list, the line last, in cwd with env, and waits for it by communicate",
        f"{START}: stages as forks of one process",
        lambda ran: (
            ran.told["code"] == 0
            and ran.told["popen"]
            == {
                "command": ["/bin/sh", "-c", "python work.py out/two"],
                "cwd": str(ran.folder),
                "stage": "make@two",
                "how": ["close_fds", "cwd", "env", "shell"],
            }
        ),
    ),
    Fact(
        "DVC writes an entry by Lockfile.dump_stages, and what it writes is what to_lockfile gives",
        LOCK,
        lambda ran: ran.told["entry"] == {"make@two": ran.told["written"]},
    ),
    Fact(
        "the log tells a stage that ran, one from the run cache, and one that did not change",
        OUTCOME,
        lambda ran: all(
            _ended(ran, result.value, result) for result in (Result.RAN, Result.RESTORED, Result.UNCHANGED)
        ),
    ),
    Fact(
        "the log tells the exit code of a stage that failed",
        OUTCOME,
        lambda ran: _ended(ran, "failed", Result.FAILED, Cause.TEMPORARY) and ran.ends["failed"].code == 75,
    ),
    Fact(
        "the log tells that a stage could not begin: files that another holds, a torn dvc.lock, DVC's own lock",
        OUTCOME,
        lambda ran: all(_ended(ran, name, Result.FAILED, Cause.BUSY) for name in ("busy", *TORN, "locked")),
    ),
    Fact(
        "the status of a stage names params by file and key, outputs and dependencies by path",
        f"{FLOW}: why a stage runs",
        lambda ran: (
            ran.told["reasons"]
            == {
                "plan": ["dependency params.yaml modified"],
                "make@one": ["param seed modified"],
                "make@two": ["param seed modified", "output out/two modified"],
                "after": ["dependency out modified"],
            }
        ),
    ),
    Fact(
        "`dvc cache dir --local` writes dir below [cache] into .dvc/config.local, relative to it",
        "ops/repair/run_cache.py: where the cache is",
        lambda ran: ran.told["cache"] == str((ran.folder / "../elsewhere").resolve()),
    ),
    *(
        Fact(
            f"DVC's {kind} has {name}",
            "pipelines/dvc/private.py",
            lambda ran, name=f"{kind}.{name}": _is_there(ran, name),
        )
        for kind, names in ATTRIBUTES.items()
        for name in names
    ),
)
ENTRY = {"cmd", "deps", "params", "outs"}


def _is_there(ran: Ran, name: str) -> bool:
    return name not in ran.told["absent"]
