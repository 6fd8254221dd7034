"""Check out one commit of a git repository. The full commit id is its own checksum."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from core import paths
from core.errors import SourceError
from core.files import replacing
from core.ingest.addresses import refuse_private

TIMEOUT_S = 3600
PROTOCOLS = "file:git:http:https:ssh"


def checkout(url: str, commit: str, allow_private: bool = False) -> Path:
    """A folder with the files of `commit`, without history. Raises: SourceError with git's last words."""
    folder = paths.STATE / "downloads" / f"git-{commit}"
    if folder.exists():
        return folder
    url = url.removeprefix("git+")
    if re.match(r"^https?://", url) and not allow_private:
        refuse_private(url)
    with replacing(folder) as aside:
        _git(aside, "init", "--quiet")
        try:
            _git(aside, "fetch", "--quiet", "--depth=1", "--no-tags", "--", url, commit)
        except SourceError:  # a server may refuse to send a single commit
            _git(aside, "fetch", "--quiet", "--no-tags", "--", url, "+refs/heads/*:refs/remotes/source/*")
        _git(aside, "checkout", "--quiet", "--detach", commit)
        shutil.rmtree(aside / ".git")
    return folder


def _git(folder: Path, *arguments: str) -> None:
    """git without prompts, hooks, submodules, or the user's configuration of what to run."""
    settings = (
        "core.hooksPath=/dev/null",
        "submodule.recurse=false",
        "core.symlinks=false",
        "protocol.ext.allow=never",
    )
    options = [word for setting in settings for word in ("-c", setting)]
    environment = {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": PROTOCOLS,
        "GIT_LFS_SKIP_SMUDGE": "1",
    }
    try:
        done = subprocess.run(
            ["git", *options, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise SourceError("git is not installed") from None
    except subprocess.TimeoutExpired:
        raise SourceError(f"git {arguments[0]} took longer than {TIMEOUT_S} s; run the same command again") from None
    if done.returncode:
        words = done.stderr.strip().splitlines()
        raise SourceError(f"git {arguments[0]} failed: {words[-1] if words else done.returncode}; check URL and commit")
