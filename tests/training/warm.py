"""A process that has imported what takes seconds (torch, Lightning) and forks one for each program that it is given.

    with Warm() as warm:
        done = warm.run(Path("toy.py"), folder, TOY_KILL_AFTER="3")

What a program sees is what a fresh interpreter would show it, but for the modules that are there already: nothing has
been computed in the process, so no thread of torch's is lost by the fork.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]


class Warm:
    def __enter__(self) -> Warm:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.server = subprocess.Popen(
            [sys.executable, __file__], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self.server.stdin is not None
        self.server.stdin.close()
        self.server.wait(60)

    def run(self, program: Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run` of the program would give it; `returncode` is minus the signal that ended it."""
        assert self.server.stdin is not None and self.server.stdout is not None
        with tempfile.TemporaryDirectory() as scratch:
            files = [str(Path(scratch, name)) for name in ("stdout", "stderr")]
            asked = {"program": str(program), "cwd": str(cwd), "environment": environment, "files": files}
            print(json.dumps(asked), file=self.server.stdin, flush=True)
            code = int(self.server.stdout.readline())
            return subprocess.CompletedProcess([str(program)], code, *(Path(file).read_text() for file in files))


def serve() -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    import toy  # noqa: F401 - with all that it imports

    for line in sys.stdin:
        asked = json.loads(line)
        if (pid := os.fork()) == 0:
            child(asked)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def child(asked: dict) -> None:
    """Never returns."""
    import runpy
    import traceback

    code = 1
    try:
        for number, file in enumerate(asked["files"], 1):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
        os.chdir(asked["cwd"])
        os.environ.update(asked["environment"])
        sys.argv = [asked["program"]]
        runpy.run_path(asked["program"], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
