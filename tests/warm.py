"""Processes of Python that begin where the imports are done: a server imports once and is forked for each of them.

    with Warm("mlflow") as warm:
        done = warm.run([sys.executable, "-c", "print(1)"], cwd=folder, env=environment)
        process = warm.Popen([sys.executable, "program.py"], stdin=subprocess.PIPE)

What such a process sees is what a fresh interpreter would show it, but for the modules that are there already: nothing
has been computed in the server, so no thread is lost by a fork. It is a child of the process that asked for it, with a
process id of its own, so that it is waited for, killed and orphaned as any other.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace, TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parent.parent
PR_SET_CHILD_SUBREAPER = 36
OWN = {str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
INSTALLED = [folder for folder in sys.path if folder not in OWN]
"""Where modules are found in the server that it has not from its caller."""
MESSAGE = 1 << 20
"""Bytes: more than arguments and environment of a process."""
DVC = ("dvc.cli.parser", "dvc.lock", "dvc.repo.reproduce", "dvc.stage.cache", "dvc.stage.run", "scmrepo.git", "psutil")
"""Of DVC, what its commands import by and by."""
MLFLOW = ("mlflow", "mlflow.pyfunc")
PREFECT = ("rfc3987_syntax", "sqlalchemy.ext.asyncio", "sqlalchemy.dialects.sqlite", "fastapi", "httpx", "jinja2.ext")
"""What Prefect's commands and its server import of other packages: most of their start. Not Prefect itself, which reads
settings from the environment and from files as it is imported.
"""


class Warm:
    """modules: what the server imports, from the repository and from the folders of `path`."""

    def __init__(self, *modules: str, path: Sequence[Path] = ()):
        self.modules, self.path = modules, [ROOT, *path]

    def __enter__(self) -> Warm:
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        folders = os.pathsep.join(map(str, self.path))
        with theirs:
            self.server = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), *self.modules],
                env={**os.environ, "PYTHONPATH": folders, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        warm = self

        class Popen(subprocess.Popen):  # type: ignore[type-arg]
            """`subprocess.Popen` of a command that begins with `sys.executable`."""

            def _execute_child(self, args: Any, *how: Any) -> None:
                # Of Python 3.11: executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags,
                # shell, six ends of pipes (ours and the child's in turn), restore_signals, gid, gids, uid, umask,
                # start_new_session, process_group.
                cwd, env, pipes, session = how[4], how[5], how[9:15], how[20]
                ends = (pipes[0], pipes[3], pipes[5])  # the child's
                fds = [standard if end == -1 else end for standard, end in enumerate(ends)]
                self.pid = warm.fork([os.fspath(arg) for arg in args], cwd, env, session, fds)
                self._child_created = True
                self._close_pipe_fds(*pipes)

        self.Popen = Popen
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.channel.close()
        self.server.wait(60)

    def fork(self, args: list[str], cwd: Any, env: Any, session: bool, fds: list[int]) -> int:
        """The process id of a new child. fds: its standard input, output and error."""
        asked = {"args": args, "cwd": os.fspath(cwd or Path.cwd()), "env": dict(env or os.environ), "session": session}
        reaper = ctypes.CDLL(None).prctl
        reaper(PR_SET_CHILD_SUBREAPER, 1)  # an orphan below becomes a child of this process
        try:
            socket.send_fds(self.channel, [json.dumps(asked).encode()], fds)
            return int(self.channel.recv(64))
        finally:
            reaper(PR_SET_CHILD_SUBREAPER, 0)

    def starts(self, module: ModuleType, patch: pytest.MonkeyPatch) -> None:
        """Have `module` fork its processes here. The name in that module alone: elsewhere a process starts as ever."""
        patch.setattr(module, "subprocess", SimpleNamespace(**vars(subprocess) | {"Popen": self.Popen}))

    def run(self, args: Sequence[Any], timeout: float | None = None, **how: Any) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run`, with its output as text."""
        with self.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how) as process:
            try:
                output, errors = process.communicate(timeout=timeout)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(args, process.returncode, output, errors)


def serve(channel: socket.socket, modules: Sequence[str]) -> None:
    for module in modules:
        importlib.import_module(module)
    while True:
        message, fds, _, _ = socket.recv_fds(channel, MESSAGE, 3)
        if not message:
            return
        told, tells = os.pipe()
        if (between := os.fork()) == 0:
            forker = os.getpid()
            if (child := os.fork()) == 0:
                channel.close()
                start(json.loads(message), fds, forker)
            os.write(tells, str(child).encode())
            os._exit(0)
        os.waitpid(between, 0)  # the child has lost its parent, and has its new one
        channel.send(os.read(told, 64))
        for fd in (told, tells, *fds):
            os.close(fd)


def start(asked: dict[str, Any], fds: list[int], forker: int) -> None:
    """The new process, whose parent is `forker` for a moment; never returns."""
    import atexit
    import threading
    import traceback

    code = 1
    try:
        while os.getppid() == forker:
            time.sleep(0.001)
        for standard, fd in enumerate(fds):
            os.dup2(fd, standard)
        if asked["session"]:
            os.setsid()
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        run(asked["args"][1:])
        threading._shutdown()  # type: ignore[attr-defined]
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(args: list[str]) -> None:
    """What the interpreter does with its arguments: `-c PROGRAM`, `-m MODULE` or a file, and what follows."""
    import runpy

    first = {"-c": "", "-m": os.getcwd()}.get(args[0], str(Path(args[0]).parent))  # noqa: PTH109
    sys.path[:] = [first, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *INSTALLED]
    if args[0] == "-c":
        sys.argv = ["-c", *args[2:]]
        sys.modules["__main__"] = main = ModuleType("__main__")
        exec(compile(args[1], "<string>", "exec"), main.__dict__)
    elif args[0] == "-m":
        sys.argv = args[1:]
        runpy.run_module(args[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = args
        runpy.run_path(args[0], run_name="__main__")


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
