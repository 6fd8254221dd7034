"""Data and outputs over the DVC remote, for runs whose folder does not last (containers, fresh clones).

The flow calls `pull` before the first stage and `push` after the last one, also after a failure, when the variable
STILLHOUSE_DVC_REMOTE names a remote: what finished is then restored by the next run instead of being made again.
A fresh clone has no `dvc.lock` of the run before; `pull` makes the remote DVC's default, and `dvc repro --pull` fetches
what the run cache knows.

STILLHOUSE_DVC_CACHE may name a folder that outlives the run (a mounted volume) as DVC's cache.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from configparser import ConfigParser
from pathlib import Path

from core.errors import StillhouseError, suggest
from pipelines.repro import QUIET

VARIABLE = "STILLHOUSE_DVC_REMOTE"
CACHE = "STILLHOUSE_DVC_CACHE"
TRIES = 3
WAIT_S = 20.0


class RemoteError(StillhouseError):
    """The DVC remote cannot be used."""


def named() -> str | None:
    """The remote that this run uses, None: what is made stays in this folder."""
    return os.environ.get(VARIABLE) or None


def pull(name: str) -> None:
    """Fetch what `dvc.lock` and the run cache name into DVC's cache.

    Raises: RemoteError when there is no such remote, or it cannot be written: found here, before hours of training,
    rather than at the end.
    """
    check(name)
    if cache := os.environ.get(CACHE):
        _dvc("config", "--local", "cache.dir", str(Path(cache).resolve()))
    if _dvc("config", "core.remote", check=False).strip() != name:
        _dvc("config", "--local", "core.remote", name)
    _dvc("fetch", "--run-cache", "--remote", name)


def default() -> str | None:
    """DVC's default remote of this repository, None without one."""
    return _dvc("config", "core.remote", check=False).strip() or None


def check(name: str) -> None:
    """Raises: RemoteError when there is no such remote, or it cannot be written."""
    known = [line.split()[0] for line in _dvc("remote", "list").splitlines() if line.strip()]
    if name not in known:
        hint = suggest(name, known) if known else "it has none"
        raise RemoteError(
            f"{VARIABLE}: the repository has no DVC remote {name!r}; {hint}. `dvc remote add {name} URL` and commit "
            ".dvc/config"
        )
    try:
        _probe(name)
    except RemoteError as error:
        raise RemoteError(f"the DVC remote {name!r} takes nothing: {error}") from None


def send(name: str, stages: Sequence[str]) -> None:
    """Send the outputs of some stages, and what is missing there of the run cache. Raises: RemoteError."""
    _dvc("push", "--run-cache", "--remote", name, *stages, module="pipelines.deploy.shared")


def bring(name: str, stages: Sequence[str]) -> None:
    """Fetch the outputs of some stages into the working directory, and what is missing here of the run cache.

    Raises: RemoteError after `TRIES` tries.
    """
    for attempt in range(1, TRIES + 1):
        try:
            _dvc("pull", "--force", "--run-cache", "--remote", name, *stages, module="pipelines.deploy.shared")
            return
        except RemoteError as error:
            if attempt == TRIES:
                raise RemoteError(f"{error}. dvc.lock knows the outputs; `dvc pull` fetches them later") from None
            time.sleep(WAIT_S * attempt)


def push(name: str) -> None:
    """Send the outputs and the run cache. Raises: RemoteError after `TRIES` tries; nothing is lost here by that."""
    for attempt in range(1, TRIES + 1):
        try:
            _dvc("push", "--run-cache", "--remote", name)
            return
        except RemoteError as error:
            if attempt == TRIES:
                raise RemoteError(
                    f"{error}. The outputs are only in {Path.cwd()}: `dvc push --run-cache --remote {name}` there "
                    "sends them"
                ) from None
            time.sleep(WAIT_S * attempt)


def _probe(name: str) -> None:
    """Send a few bytes, from a DVC project made for it. `dvc fetch` is content with a server that is not there: it says
    that everything is up to date."""
    with tempfile.TemporaryDirectory(prefix="stillhouse-remote-") as place:
        folder = Path(place)
        content = uuid.uuid4().hex
        md5 = hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()
        cached = folder / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
        cached.parent.mkdir(parents=True)
        cached.write_text(content)
        (folder / "probe.dvc").write_text(f"outs:\n- md5: {md5}\n  size: {len(content)}\n  hash: md5\n  path: probe\n")
        for file in ("config", "config.local"):
            config = _settings(Path(".dvc", file))
            if file == "config.local":
                config.read_dict({"core": {"no_scm": "true"}, "cache": {"dir": str(folder / ".dvc" / "cache")}})
            with (folder / ".dvc" / file).open("w", encoding="utf-8") as target:
                config.write(target)
        _dvc("push", "--remote", name, "probe.dvc", where=folder)


def _settings(path: Path) -> ConfigParser:
    """DVC's settings for another folder: what is relative to `.dvc/` (a remote's folder, a key file) is absolute."""
    config = ConfigParser(interpolation=None)
    config.read(path, encoding="utf-8")
    for section in config.sections():
        for key, value in config[section].items():
            here = path.parent / value
            if (key == "url" and "://" not in value) or (key != "url" and here.is_file()):
                config[section][key] = str(here.resolve())
    return config


def _dvc(*arguments: str, where: Path | None = None, check: bool = True, module: str = "dvc") -> str:
    """DVC's answer. module: what runs it. Raises: RemoteError with its last error."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=where,
        env={**QUIET, **os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and check:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")] or [
            done.stderr.strip()[-300:]
        ]
        raise RemoteError(f"dvc {arguments[0]} failed: {lines[-1].removeprefix('ERROR: ')}")
    return done.stdout
