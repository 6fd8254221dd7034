"""Presets run in clones of this commit: the way there, and what each benchmark of them asks on its command line."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from core import cpu

ROOT = Path(__file__).parents[1]
LIBRARIES = ("torch", "onnxruntime")


def parser(name: str, told: str | None, presets: Sequence[str]) -> tuple[argparse.ArgumentParser, Any]:
    """Of `python -m benchmarks.<name>`, with `run PRESET`; and its commands, for others."""
    made = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}", description=told, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = made.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="run one preset in a clone and take its figures")
    one.add_argument("preset", choices=list(presets))
    one.add_argument("--data", help="a local copy of its data")
    one.add_argument("--folder", type=Path, help="where the clone is made; else a temporary folder, which stays")
    return made, commands


def start(run: Callable[[str, str | None, Path], Path], arguments: argparse.Namespace) -> Path:
    """`run` with the preset, the data and the folder that a command line names."""
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="stillhouse-")) / arguments.preset
    return run(arguments.preset, str(Path(arguments.data).resolve()) if arguments.data else None, folder)


def clone(folder: Path) -> str:
    """Clone this commit, and return its id. Raises: FileExistsError when there is something at `folder`."""
    if folder.exists():
        raise FileExistsError(f"{folder} exists, and a run starts in a clone of its own; give another --folder")
    do("git", "clone", "--quiet", str(ROOT), str(folder), cwd=ROOT)
    return told("git", "rev-parse", "HEAD", cwd=ROOT)


def machine() -> str:
    """Processor, cores and the libraries that compute."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"{len(os.sched_getaffinity(0))} cores of {cpu.name()}; {libraries}"


def do(*command: str, cwd: Path) -> None:
    """Run a command with this environment's programs, in sight of the user. Raises: CalledProcessError."""
    programs = str(Path(sys.executable).parent)
    subprocess.run(
        command,
        cwd=cwd,
        check=True,
        env=os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "DVC_NO_ANALYTICS": "1"},
    )


def told(*command: str, cwd: Path) -> str:
    """What a command says."""
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()
