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
from ops.ingest.archive import LIMIT_BYTES, LIMIT_FILES

TIMEOUT_S = 3600
SCHEMES = ("file", "git", "http", "https", "ssh")
PROTOCOLS = ":".join(SCHEMES)
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
    url = plain(url)
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
        _bounded(aside, commit)
        _git(aside, "checkout", "--quiet", "--detach", commit)
        shutil.rmtree(aside / ".git")
    return folder(commit)


def plain(url: str) -> str:
    """A URL as git takes it: one known scheme, in lower case.

    Raises: SourceError for another scheme: what git makes of it is a helper program's affair, and so is the host.
    """
    if re.match(r"^[A-Za-z0-9+.-]+::", url):
        raise SourceError(f"{url!r} names a helper of git; expected one of {', '.join(SCHEMES)}://, or user@host:path")
    scheme, separator, rest = url.partition("://")
    if not separator:
        return re.sub(r"^(git\+)+", "", url, flags=re.IGNORECASE)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return url  # a path, or scp's form, with :// in it
    words = scheme.lower().split("+")
    kinds = [word for word in words if word != "git"] or [
        "git"
    ]  # git+https is pip's way, git+ssh and ssh+git are git's
    if len(kinds) != 1 or kinds[0] not in SCHEMES:
        raise SourceError(f"{scheme}:// is no way to a git repository; expected one of {', '.join(SCHEMES)}://")
    return f"{kinds[0]}://{rest}"


def remote_name(url: str) -> str | None:
    """The URL of a host of a `plain` one, also for scp's form `user@host:path`; None for what lies here."""
    if re.match(r"^(https?|git|ssh)://", url):
        return url
    head, colon, _ = url.partition(":")
    if not colon or "/" in head or url.startswith("file://"):
        return None
    if found := re.match(r"^[^\[]*\[([^\]/]*)\]", url):  # [::1]:path, [host:port]:path
        inner = found[1].rpartition("@")[2]
        return f"ssh://[{inner}]" if inner.count(":") > 1 else f"ssh://{inner.partition(':')[0]}"
    return f"ssh://{head.rpartition('@')[2]}"


def _bounded(where: Path, commit: str) -> None:
    """A tree may hold itself many times over: a few kilobytes of git, and millions of files on the disk.

    Raises: SourceError before any is written.
    """
    command = ["git", "ls-tree", "-r", "-l", "-z", commit]
    environment = {key: value for key, value in os.environ.items() if key not in HERE}
    files = size = 0
    rest = b""
    with subprocess.Popen(command, cwd=where, env=environment, stdout=subprocess.PIPE) as listing:
        assert listing.stdout is not None
        while piece := listing.stdout.read(1 << 20):
            *entries, rest = (rest + piece).split(b"\0")
            files += len(entries)
            size += sum(int(entry.split(None, 4)[3]) for entry in entries if b" blob " in entry[:16])
            if files > LIMIT_FILES or size > LIMIT_BYTES:
                listing.kill()
                raise SourceError(
                    f"the commit has more than {LIMIT_FILES:,} files or {LIMIT_BYTES:,} bytes; it is refused"
                )


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
