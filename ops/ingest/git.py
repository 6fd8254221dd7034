"""Check out one commit of a git repository. The full commit id is its own checksum."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from core import paths
from core.errors import SourceError, UnreachableError
from core.files import replacing
from ops.ingest.addresses import refuse_private

TIMEOUT_S = 3600
PROTOCOLS = "file:git:http:https:ssh"
ALL = ("+refs/heads/*:refs/remotes/source/*", "+refs/tags/*:refs/tags/*")
LOST = (
    "Could not resolve host",
    "Connection refused",
    "Connection timed out",
    "Connection reset",
    "unable to access",
    "early EOF",
    "hung up unexpectedly",
)
"""How git says that the server, not the URL, was the trouble."""
HERE = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_PREFIX",
)
"""Set inside a git hook: with them git would work on the user's own repository."""


def folder(commit: str) -> Path:
    """Where the files of a commit lie."""
    return paths.STATE / "downloads" / f"git-{commit}"


def checkout(url: str, commit: str, allow_private: bool = False) -> Path:
    """A new folder with the files of `commit`, without history. Raises: SourceError with git's last words."""
    url = url.removeprefix("git+")
    if Path(url).is_dir():
        url = str(Path(url).resolve())  # git runs in another folder
    elif not allow_private and (where := remote_name(url)):
        refuse_private(where)
    with replacing(folder(commit)) as aside:
        _git(aside, "init", "--quiet")
        try:
            _git(aside, "fetch", "--quiet", "--depth=1", "--no-tags", "--", url, commit)
        except SourceError:  # a server may refuse to send a single commit
            _git(aside, "fetch", "--quiet", "--no-tags", "--", url, *ALL)
        _git(aside, "checkout", "--quiet", "--detach", commit)
        shutil.rmtree(aside / ".git")
    return folder(commit)


def remote_name(url: str) -> str | None:
    """The URL of a host, also for scp's form `user@host:path`; None for what lies here."""
    if re.match(r"^(https?|git|ssh)://", url):
        return url
    found = re.match(r"^(?:[^/@:]+@)?([^/@:]+):(?!//)", url)
    return f"ssh://{found[1]}" if found else None


def _git(where: Path, *arguments: str) -> None:
    """git without prompts, hooks, submodules, or the user's configuration of what to run."""
    settings = (
        "core.hooksPath=/dev/null",
        "submodule.recurse=false",
        "core.symlinks=false",
        "protocol.ext.allow=never",
        "http.followRedirects=false",  # a redirect could lead to a private address unseen
        "http.lowSpeedLimit=1000",
        "http.lowSpeedTime=60",
    )
    options = [word for setting in settings for word in ("-c", setting)]
    environment = {
        **{key: value for key, value in os.environ.items() if key not in HERE},
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": PROTOCOLS,
        "GIT_LFS_SKIP_SMUDGE": "1",
    }
    try:
        done = subprocess.run(
            ["git", *options, *arguments],
            cwd=where,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise SourceError("git is not installed") from None
    except subprocess.TimeoutExpired:
        raise UnreachableError(
            f"git {arguments[0]} took longer than {TIMEOUT_S} s; run the same command again"
        ) from None
    if done.returncode:
        words = done.stderr.strip().splitlines()
        kind = UnreachableError if any(sign in done.stderr for sign in LOST) else SourceError
        raise kind(f"git {arguments[0]} failed: {words[-1] if words else done.returncode}; check URL and commit")
