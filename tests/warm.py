"""Processes of the tests that begin where the imports are done (ops/warm.py), behind the interface of `subprocess`.

with Warm("mlflow") as warm:
    done = warm.run([sys.executable, "-c", "print(1)"], cwd=folder, env=environment)
    process = warm.Popen([sys.executable, "program.py"], stdin=subprocess.PIPE)
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ops import warm

DVC = ("dvc.cli.parser", "dvc.lock", "dvc.repo.reproduce", "dvc.stage.cache", "dvc.stage.run", "scmrepo.git", "psutil")
"""Of DVC, what its commands import by and by."""
MLFLOW = ("mlflow", "mlflow.pyfunc")
PREFECT = (
    "rfc3987_syntax", "sqlalchemy.ext.asyncio", "sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql",
    "fastapi", "httpx", "jinja2.ext", "jsonschema", "pydantic_settings", "docket", "cyclopts", "coolname", "griffe",
    "asyncpg", "apprise", "websockets",
)  # fmt: skip
"""What Prefect's commands and its server import of other packages: most of their start. Not Prefect itself, which reads
settings from the environment and from files as it is imported.
"""


class Warm(warm.Warm):
    """As `ops.warm.Warm`; what is imported starts no second thread."""

    def __init__(self, *modules: str, path: Sequence[Path] = ()):
        super().__init__(*modules, path=path, environment={**os.environ, "OMP_NUM_THREADS": "1"})

    def __enter__(self) -> Warm:
        super().__enter__()
        server = self

        class Popen(subprocess.Popen):  # type: ignore[type-arg]
            """`subprocess.Popen` of a command that begins with `sys.executable`."""

            def _execute_child(self, args: Any, *how: Any) -> None:
                # Of Python 3.11: executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags,
                # shell, six ends of pipes (ours and the child's in turn), restore_signals, gid, gids, uid, umask,
                # start_new_session, process_group.
                cwd, env, pipes, session = how[4], how[5], how[9:15], how[20]
                ends = (pipes[0], pipes[3], pipes[5])  # the child's
                fds = [standard if end == -1 else end for standard, end in enumerate(ends)]
                self.pid = server.fork([os.fspath(arg) for arg in args], cwd, env, fds, session)
                self._child_created = True
                self._close_pipe_fds(*pipes)

        self.Popen = Popen
        return self

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
