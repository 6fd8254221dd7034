"""Small DVC repositories in which the real DVC runs and is killed where it hurts.

DVC takes a second to import, so a `Server` does it once and forks a process for each command. As a program this file is
that server; `run` is what a script calls that stands for `dvc`.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[3]
KILL = "TEST_DVC_KILL"
NOTHING = {"Running", "restored", "is cached"}
"""Words of a `dvc repro` that did something."""
RWLOCK = Path(".dvc/tmp/rwlock")
WORK = """
import os, pathlib, sys, time
if os.environ.get("TEST_GUARD"):
    from ops.repair.guard import guard
    guard()
out, *sources = map(pathlib.Path, sys.argv[1:])
with open("ran", "a") as ran:
    print(out, file=ran)
files = [file for source in sources for file in ([source] if source.is_file() else sorted(source.iterdir()))]
text = "".join(file.read_text() for file in files)
time.sleep(float(os.environ.get("TEST_SLEEP", 0)))
if out.suffix:
    out.write_text(text + out.name)
else:
    out.mkdir()
    for name in ("x", "y"):
        (out / name).write_text(text + name)
"""
STAGES = """\
stages:
  a: {cmd: python work.py a.txt source.txt, deps: [source.txt], outs: [a.txt]}
  b: {cmd: python work.py b a.txt, deps: [a.txt], outs: [b]}
  c: {cmd: python work.py c.txt b, deps: [b], params: [lr], outs: [c.txt]}
"""
"""The cut between two stages is one that YAML does not show; `c` runs again when the param changes."""


IMPORTED = (
    "dvc.analytics",
    "dvc.cachemgr",
    "dvc.commands.repro",
    "dvc.data_cloud",
    "dvc.dvcfile",
    "dvc.parsing",
    "dvc.repo.index",
    "dvc.repo.reproduce",
    "dvc.rwlock",
    "dvc.scm",
    "dvc.stage.cache",
    "dvc_data.hashfile.build",
    "dvc_data.hashfile.checkout",
    "dvc_data.hashfile.state",
    "dvc_data.hashfile.transfer",
    "dvc_data.index",
    "dvc_render",
    "flufl.lock",
    "networkx",
    "ruamel.yaml",
    "scmrepo.git",
)
"""What `dvc repro` imports bit by bit, before a process is forked for it."""


@dataclass(frozen=True)
class Kill:
    """Where DVC kills itself: writing `file` (a part of its path), when all before the last `until` is written.

    until: empty is nothing, None is all. after: only once this file is there. Two names of `file` are none: `folder` is
    when the run cache has made a folder with nothing in it, `change` is the change of a file of number `until`.
    """

    file: str
    until: str | None
    after: str | None = None


@dataclass(frozen=True)
class Done:
    """How a command ended: exit code (negative: of a signal) and what it printed."""

    code: int
    output: str


@dataclass
class Repository:
    """A DVC repository without git; `dvc` runs a command in it."""

    folder: Path
    server: Server

    def dvc(self, *words: str, kill: Kill | None = None, register: bool = False) -> Done:
        return self.server.call(self.folder, words, kill, register)

    def copy(self, folder: Path) -> Repository:
        shutil.copytree(self.folder, folder, symlinks=True)
        return Repository(folder, self.server)

    def outputs(self) -> dict[str, str]:
        """md5 of every output file."""
        files = [self.folder / "a.txt", *sorted((self.folder / "b").iterdir()), self.folder / "c.txt"]
        return {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in files}

    def ran(self) -> list[str]:
        """Outputs of the stages that were executed since the last call."""
        path = self.folder / "ran"
        names = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return names

    def state(self) -> dict[str, tuple[int, bytes]]:
        """Time and content of every file."""
        files = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def killed(repository: Repository, kill: Kill) -> Repository:
    """Have DVC killed there; a copy of what it left, for plain DVC to try."""
    assert repository.dvc("repro", kill=kill).code == -9
    repository.ran()
    return repository.copy(repository.folder.parent / "plain")


def assert_done(repository: Repository, control: Repository, *words: str, register: bool = False) -> None:
    """The next plain `dvc repro` ends as an undisturbed one, and one more has nothing to do."""
    done = repository.dvc("repro", *words, register=register)
    assert done.code == 0, done.output
    assert repository.outputs() == control.outputs()
    again = repository.dvc("repro", register=register)
    assert again.code == 0 and not any(word in again.output for word in NOTHING), again.output
    assert (repository.folder / "dvc.lock").read_bytes() == (control.folder / "dvc.lock").read_bytes()


def start(command: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def make(folder: Path, server: Server) -> Repository:
    """All stages done with one value of the param, then another value written: the next `dvc repro` runs `c`."""
    folder.mkdir(parents=True)
    texts = {"work.py": WORK, "dvc.yaml": STAGES, "source.txt": "one\n", "params.yaml": "lr: 0.1\n"}
    for name, text in texts.items():
        (folder / name).write_text(text)
    repository = Repository(folder, server)
    for words in (["init", "--no-scm", "--quiet"], ["repro", "--quiet"]):
        done = repository.dvc(*words)
        assert done.code == 0, done.output
    (folder / "params.yaml").write_text("lr: 0.2\n")
    assert repository.ran() == ["a.txt", "b", "c.txt"]
    return repository


class Server:
    """The process that has imported DVC. Its children have no `dvc` in their command line."""

    def __init__(self, process: subprocess.Popen[str]):
        self._process = process

    def call(self, folder: Path, words: tuple[str, ...], kill: Kill | None, register: bool) -> Done:
        assert self._process.stdin is not None and self._process.stdout is not None
        order = {"folder": str(folder), "words": words, "kill": kill and kill.__dict__, "register": register}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return Done(**json.loads(self._process.stdout.readline()))


@contextmanager
def serving(scratch: Path) -> Iterator[Server]:
    """A server for as long as the block runs. `scratch`: where DVC keeps its databases and the server its output."""
    process = subprocess.Popen(
        [sys.executable, __file__, str(scratch / "output")],
        env=environment(scratch),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield Server(process)


def environment(scratch: Path) -> dict[str, str]:
    """In which DVC and the stages run: quiet, with nothing of this machine's."""
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "STILLHOUSE_", "TEST_"))},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)]),
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(scratch / "site"),
        "SHELL": "/bin/sh",
    }


def run(words: list[str]) -> None:
    """What `dvc` does, but for the `Kill` that the environment asks for."""
    import dvc.cli

    if os.environ.get(KILL):
        arm(Kill(**json.loads(os.environ[KILL])))
    sys.exit(dvc.cli.main(words))


def arm(kill: Kill) -> None:
    """Have this process kill itself at `kill`."""
    import dvc.fs
    import dvc.utils.serialize._yaml as yaml

    def torn(write: Callable[[Any, IO[str]], None]) -> Callable[[Any, IO[str]], None]:
        def dump(data: Any, file: IO[str]) -> None:
            if kill.file not in str(file.name) or (kill.after and not Path(kill.after).exists()):
                return write(data, file)
            text = io.StringIO()
            write(data, text)
            whole = text.getvalue()
            file.write(whole if kill.until is None else whole[: whole.rindex(kill.until)] if kill.until else "")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
            return None

        return dump

    if kill.file == "change":
        sys.addaudithook(_Changes(int(kill.until or 0)))
    elif kill.file == "folder":
        named = dvc.fs.utils.tmp_fname  # the run cache calls it without a name, right after it has made the folder
        dvc.fs.utils.tmp_fname = lambda *name: named(*name) if name else os.kill(os.getpid(), signal.SIGKILL)
    elif kill.file == "rwlock":
        json.dump = torn(json.dump)  # type: ignore[assignment]
    else:
        yaml._dump = torn(yaml._dump)


class _Changes:
    """An audit hook that kills this process before it changes a file in the working directory for the n-th time."""

    def __init__(self, number: int):
        self._left = number
        self._folder = str(Path.cwd())

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        writing = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if not writing and event not in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.chmod"):
            return
        if not isinstance(arguments[0], int) and str(Path(os.fsdecode(arguments[0])).absolute()).startswith(
            self._folder
        ):
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


def _serve(output: Path) -> None:
    import dvc.cli

    for name in IMPORTED:
        importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        if pid := os.fork():
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            print(json.dumps({"code": code, "output": output.read_text()}), flush=True)
            continue
        os.chdir(order["folder"])
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.argv = ["dvc", *order["words"]]
        if order["register"]:
            from ops.repair import register_dvc

            register_dvc()
        if order["kill"]:
            arm(Kill(**order["kill"]))
        code = dvc.cli.main(order["words"])
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
