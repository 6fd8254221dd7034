"""Check out one commit of a git repository, whole or in part. The full commit id is its own checksum."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from core import paths
from core.errors import SourceError, UnreachableError
from core.files import replacing
from ops.ingest.addresses import refuse_private
from ops.ingest.archive import LIMIT_BYTES, LIMIT_FILES

TIMEOUT_S = 3600
SCHEMES = ("file", "git", "http", "https", "ssh")
PROTOCOLS = ":".join(SCHEMES)
REMOTE = "source"
ALL = (f"+refs/heads/*:refs/remotes/{REMOTE}/*", "+refs/tags/*:refs/tags/*")
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


def folder(commit: str, files: Sequence[str] | None = None) -> Path:
    """Where the files of a commit lie: all of them, or those asked for."""
    part = hashlib.sha256("\0".join(sorted(files)).encode()).hexdigest()[:16] if files else ""
    return paths.STATE / "downloads" / "-".join(filter(None, ("git", commit, part)))


def checkout(url: str, commit: str, files: Sequence[str] | None = None, allow_private: bool = False) -> Path:
    """A new folder with the files of `commit`, without history.

    files: paths within it that are wanted, folders with all below them; contents of others are not fetched, if the
    server can filter. None: all.
    Raises: SourceError with git's last words, or naming what is not in the commit.
    """
    url = plain(url)
    if Path(url).is_dir():
        url = str(Path(url).resolve())  # git runs in another folder
    elif not allow_private and (where := remote_name(url)):
        refuse_private(where)
    with replacing(folder(commit, files)) as aside:
        _git(aside, "init", "--quiet")
        _fetch(aside, url, commit, ["--filter=blob:none"] if files else [])
        _bounded(aside, commit, sizes=not files)  # to ask for sizes would fetch what was left out
        if files:
            _refuse_missing(aside, commit, files)
            _restrict(aside, files)
        _git(aside, "checkout", "--quiet", "--detach", commit)
        shutil.rmtree(aside / ".git")
    return folder(commit, files)


def _fetch(where: Path, url: str, commit: str, options: list[str]) -> None:
    """From a remote with a name: only of such a one git fetches contents that a filter left out when they are wanted.

    Partial clones: https://git-scm.com/docs/partial-clone. A server that cannot filter sends everything.
    """
    _git(where, "config", f"remote.{REMOTE}.url", url)
    options = ["--quiet", "--no-tags", *options]
    try:
        _git(where, "fetch", *options, "--depth=1", REMOTE, commit)
    except SourceError:  # a server may refuse to send a single commit
        _git(where, "fetch", *options, REMOTE, *ALL)


def _refuse_missing(where: Path, commit: str, files: Sequence[str]) -> None:
    problems = []
    for name in files:
        if not _known(where, f"{commit}:{name}"):
            parent = next(str(folder) for folder in PurePosixPath(name).parents if _known(where, _tree(commit, folder)))
            entries = _git(where, "ls-tree", "-z", "--name-only", _tree(commit, parent)).split("\0")
            there = [entry if parent == "." else f"{parent}/{entry}" for entry in entries if entry]
            near = get_close_matches(name, there, n=3) or sorted(there)[:8]
            problems.append(f"{name!r} (there are {', '.join(map(repr, near))})")
    if problems:
        raise SourceError(f"`files` names what commit {commit} does not hold: {'; '.join(problems)}")


def _known(where: Path, name: str) -> bool:
    """Whether git finds an object of this name, which takes no contents of files."""
    return not _run(where, "rev-parse", "--verify", "--quiet", name).returncode


def _tree(commit: str, folder: PurePosixPath | str) -> str:
    """git's name for a folder; the slash at its end lets it find no file."""
    return f"{commit}:" if str(folder) == "." else f"{commit}:{folder}/"


def _restrict(where: Path, files: Sequence[str]) -> None:
    """Have `checkout` write, and so fetch, these alone: https://git-scm.com/docs/git-sparse-checkout, internals."""
    _git(where, "config", "core.sparseCheckout", "true")
    patterns = ["/" + re.sub(r"([\\*?\[ ])", r"\\\1", name) for name in files]
    (where / ".git" / "info").mkdir(exist_ok=True)
    (where / ".git" / "info" / "sparse-checkout").write_text("\n".join(patterns) + "\n", encoding="utf-8")


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
    kinds = [word for word in words if word != "git"] or ["git"]  # git+https is pip's way, ssh+git is git's
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


def _bounded(where: Path, commit: str, sizes: bool) -> None:
    """A tree may hold itself many times over: a few kilobytes of git, and millions of files on the disk.

    sizes: whether the bytes of all files count, too; else only how many there are.
    Raises: SourceError before any is written.
    """
    command = _command("ls-tree", "-r", "-z", *(["-l"] if sizes else []), commit)
    files = size = 0
    rest = b""
    with subprocess.Popen(
        command, cwd=where, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as listing:
        assert listing.stdout is not None
        while piece := listing.stdout.read(1 << 20):
            *entries, rest = (rest + piece).split(b"\0")
            files += len(entries)
            if sizes:
                size += sum(int(entry.split(None, 4)[3]) for entry in entries if b" blob " in entry[:16])
            if files > LIMIT_FILES or size > LIMIT_BYTES:
                listing.kill()
                raise SourceError(
                    f"commit {commit} has more than {LIMIT_FILES:,} files or {LIMIT_BYTES:,} bytes; it is refused"
                )


def _git(where: Path, *arguments: str) -> str:
    """What git prints. Raises: SourceError with its last words."""
    done = _run(where, *arguments)
    if done.returncode:
        words = done.stderr.strip().splitlines()
        kind = UnreachableError if any(sign in done.stderr for sign in LOST) else SourceError
        raise kind(f"git {arguments[0]} failed: {words[-1] if words else done.returncode}; check URL and commit")
    return done.stdout


def _run(where: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            _command(*arguments),
            cwd=where,
            env=_environment(),
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise SourceError("git is not installed") from None
    except subprocess.TimeoutExpired:
        raise UnreachableError(
            f"git {arguments[0]} took longer than {TIMEOUT_S} s; run the same command again"
        ) from None


def _command(*arguments: str) -> list[str]:
    """git without hooks, submodules, or the user's configuration of what to run."""
    settings = (
        "core.hooksPath=/dev/null",
        "submodule.recurse=false",
        "core.symlinks=false",
        "protocol.ext.allow=never",
        "http.followRedirects=false",  # a redirect could lead to a private address unseen
        "http.lowSpeedLimit=1000",
        "http.lowSpeedTime=60",
    )
    return ["git", *(word for setting in settings for word in ("-c", setting)), *arguments]


def _environment() -> dict[str, str]:
    return {
        **{key: value for key, value in os.environ.items() if key not in HERE},
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": PROTOCOLS,
        "GIT_LFS_SKIP_SMUDGE": "1",
    }
