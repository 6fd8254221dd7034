"""A package is tried in a process of its own first, with bounds on time and memory: a graph that never ends, or that
takes all memory, ends that process and not the one that serves.

    python -m serving.proof FOLDER THREADS PROVIDER MEGABYTES [KEY ...]
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from core.errors import ModelError, StillhouseError
from core.family import die_with_parent
from core.gpu import CPU
from serving.settings import Settings

LOOK_S = 0.02
"""Between two looks at its memory."""
FIRST = "1000"
"""`oom_score_adj`: where memory is short, this process goes before any other."""


def prove(folder: Path, settings: Settings, ended: Callable[[], bool] = lambda: False) -> None:
    """Load the package and replay its golden samples elsewhere. ended: whether nobody waits for it any more.

    Raises: ModelError with the reason why it must not be served.
    """
    numbers = (str(settings.way.threads), settings.provider, str(settings.proof_mb))
    command = [sys.executable, "-m", "serving.proof", str(folder), *numbers, *map(str, settings.require_signature)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            reason = _watched(process, settings, ended)
        finally:
            process.kill()
        assert process.stdout is not None
        said = process.stdout.read().decode(errors="replace").strip()
    if reason is not None:
        raise ModelError(f"{reason} while it was tried; package the model again, or raise the bound")
    if process.returncode:
        raise ModelError(f"the process that tried it died with {process.returncode}; package the model again")
    if problem := json.loads(said.rpartition("\n")[2])["problem"]:
        raise ModelError(problem)


def _watched(process: subprocess.Popen[bytes], settings: Settings, ended: Callable[[], bool]) -> str | None:
    """Why it was ended; None: it has ended by itself."""
    end = time.monotonic() + settings.proof_s
    while process.poll() is None:
        if ended():
            return "the server ended"
        if time.monotonic() > end:
            return f"the package took more than {settings.proof_s:g} s (--proof-s)"
        if _resident(process.pid) > settings.proof_mb * 1e6:
            return f"the package took more than {settings.proof_mb:g} MB of memory (--proof-mb)"
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_S)
    return None


def _resident(pid: int) -> int:
    """Bytes."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return 0


def main() -> None:
    folder, threads, provider, megabytes, *keys = sys.argv[1:]
    die_with_parent(signal.SIGKILL)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST, encoding="ascii")
    if provider == CPU:  # CUDA maps more than it uses
        most = int(float(megabytes) * 1e6)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))

    from serving.package import load

    try:
        trusted = tuple(map(Path, keys))
        load(Path(folder), Settings({}, threads=int(threads), provider=provider, require_signature=trusted))
    except MemoryError:
        problem: str | None = f"the package took more than {megabytes} MB of memory (--proof-mb) while it was tried"
    except Exception as error:  # a package is input, whatever it does to its loader
        problem = str(error) if isinstance(error, StillhouseError) else f"{type(error).__name__}: {error}"
    else:
        problem = None
    print(json.dumps({"problem": problem}))


if __name__ == "__main__":
    main()
