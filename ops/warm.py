"""Processes of Python that begin where the imports are done: a server imports once and is forked for each of them.

    with Warm("torch") as warm:
        pid = warm.fork([sys.executable, "-m", "program", "argument"], cwd=folder, env=environment, fds=[0, 1, 2])

What such a process sees is what a fresh interpreter would show it, but for the modules that are there already: nothing
has been computed in the server, whose only other threads are those that OpenBLAS and Arrow start anew in a fork. It is
a child of the process that asked for it, with a process id of its own and its own arguments in `ps`, so that it is
waited for, killed and orphaned as any other.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
OWN = {str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
INSTALLED = [folder for folder in sys.path if folder not in OWN]
"""Where modules are found in the server that it has not from its caller."""
MESSAGE = 1 << 20
"""Bytes: more than arguments and environment of a process."""
TITLE = 512
"""Bytes for the arguments of a process, as `ps` shows them."""
READY = b"ready"


class Warm:
    """A server, which ends with this object's process or at the end of `with`.

    modules: what the server imports, from the repository and from the folders of `path`.
    environment: of the server, what the imported modules read; None: this process's.
    """

    def __init__(self, *modules: str, path: Sequence[Path] = (), environment: Mapping[str, str] | None = None):
        self.modules, self.path = modules, [ROOT, *path]
        self.environment = os.environ if environment is None else environment
        self._ready = False

    def __enter__(self) -> Warm:
        folders = [*map(str, self.path), *filter(None, self.environment.get("PYTHONPATH", "").split(os.pathsep))]
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.server = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), *self.modules, " " * TITLE],
                env={**self.environment, "PYTHONPATH": os.pathsep.join(folders)},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.channel.close()
        self.server.kill()  # perhaps it imports still; what it has forked is not its own
        self.server.wait()

    def ready(self, wait_s: float | None = 0) -> bool:
        """Whether the server has imported all and forks at once; wait_s: how long to wait for that, None: for ever.

        Raises: OSError when it has ended before.
        """
        if not self._ready and select.select([self.channel], [], [], wait_s)[0]:
            if self.channel.recv(64) != READY:
                raise ConnectionResetError("the server of warm processes has ended while it imported")
            self._ready = True
        return self._ready

    def fork(
        self,
        args: Sequence[str],
        cwd: Any,
        env: Mapping[str, str] | None,
        fds: Sequence[int],
        session: bool = False,
        bound: bool = False,
    ) -> int:
        """The process id of a new child that runs the Python command `args`: `-c PROGRAM`, `-m MODULE` or a file.

        fds: its standard input, output and error. session: whether it leads a session of its own. bound: whether it
        gets SIGTERM when this process dies.
        Raises: OSError when the server has ended.
        """
        self.ready(None)
        environment = dict(os.environ if env is None else env)
        asked = {"args": list(args), "cwd": os.fspath(cwd or Path.cwd()), "env": environment}
        asked |= {"parent": os.getpid(), "session": session, "bound": bound}
        reaper = ctypes.CDLL(None).prctl
        reaper(PR_SET_CHILD_SUBREAPER, 1)  # an orphan below becomes a child of this process
        pid = 0
        try:
            with interrupted_later():  # an interrupt would lose the answer
                try:
                    socket.send_fds(self.channel, [json.dumps(asked).encode()], fds)
                    pid = int(self.channel.recv(64) or b"0")
                finally:
                    reaper(PR_SET_CHILD_SUBREAPER, 0)
        except BaseException:  # what came meanwhile: nobody would hear of the child
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            raise
        if not pid:
            raise ConnectionResetError("the server of warm processes has ended, or cannot fork")
        return pid


@contextmanager
def interrupted_later() -> Iterator[None]:
    """A Ctrl-C that comes within the block is handled at its end.

    A mask of signals would not do it: it is the thread's own, another thread takes the signal, and Python handles it in
    the main thread all the same.
    """
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield  # no code of Python's is to run here
        return
    came: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came:
            handler(*came[-1])


def serve(channel: socket.socket, modules: Sequence[str]) -> None:
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal's processes
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # nothing of it is garbage, and to look at it in each child would copy its pages
    with suppress(ConnectionError):  # who asked is gone
        channel.send(READY)
        while True:
            message, fds, _, _ = socket.recv_fds(channel, MESSAGE, 3)
            if not message:
                return
            sys.stdout.flush()  # what an import printed is said once
            channel.send(forked(channel, json.loads(message), fds, interrupted))


def forked(channel: socket.socket, asked: dict[str, Any], fds: list[int], interrupted: Any) -> bytes:
    """The process id of the new process, which is an orphan, and so its asker's child; empty when there is none."""
    told, tells = os.pipe()
    between = os.fork()
    if between == 0:
        forker = os.getpid()
        try:
            child = os.fork()
            if child == 0:
                channel.close()
                os.close(told)
                os.close(tells)
                signal.signal(signal.SIGINT, interrupted)
                start(asked, fds, forker)
            os.write(tells, str(child).encode())
        finally:
            os._exit(0)
    os.close(tells)
    os.waitpid(between, 0)  # the child has lost its parent, and has its new one
    found = os.read(told, 64)
    for fd in (told, *fds):
        os.close(fd)
    return found


def start(asked: dict[str, Any], fds: list[int], forker: int) -> None:
    """The new process, whose parent is `forker` for a moment; never returns."""
    import atexit
    import traceback

    code = 1
    try:
        while os.getppid() == forker:
            time.sleep(0.001)
        if asked["bound"]:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != asked["parent"]:
            return  # who asked has ended: nobody would wait for this one, or end it
        for standard, fd in enumerate(fds):
            os.dup2(fd, standard)
            if fd > 2:
                os.close(fd)
        if asked["session"]:
            os.setsid()
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        entitle(asked["args"])
        run(asked["args"][1:])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if not isinstance(end.code, int | None):
            print(end.code, file=sys.stderr)
    except KeyboardInterrupt:
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def entitle(args: Sequence[str]) -> None:
    """Show `args` as this process's own in `ps`: they overwrite the server's (man 5 proc_pid_stat: arg_start, arg_end).
    What has no room there is left out."""
    with open("/proc/self/stat", "rb") as file:  # noqa: PTH123 - as everywhere here, nothing is imported for it
        start, end = map(int, file.read().rpartition(b")")[2].split()[45:47])
    room = end - start
    title = b"\0".join(map(os.fsencode, args))[: room - 1]
    ctypes.memmove(start, title.ljust(room, b"\0"), room)


def run(args: list[str]) -> None:
    """What the interpreter does with its arguments: `-c PROGRAM`, `-m MODULE` or a file, and what follows."""
    import runpy

    first = {"-c": "", "-m": os.getcwd()}.get(args[0], str(Path(args[0]).parent))  # noqa: PTH109
    sys.path[:] = [first, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *INSTALLED]
    if args[0] == "-c":
        sys.argv = ["-c", *args[2:]]
        sys.modules["__main__"] = main = ModuleType("__main__")
        exec(compile(args[1], "<string>", "exec"), main.__dict__)  # noqa: S102 - as `python -c` does
    elif args[0] == "-m":
        sys.argv = args[1:]
        runpy.run_module(args[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = args
        runpy.run_path(args[0], run_name="__main__")


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:-1])
