"""Which version of its data source a task would read now, and what is new at a source that `params.yaml` pins.

A local source has no pin: what lies there is what a run reads. A git or archive source is pinned on purpose, by
`commit` or `sha256`, so news there change no run until `params.yaml` names them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from core.errors import SourceError
from core.params import SourceParams
from core.walk import files_below
from ops import ingest
from ops.ingest import addresses
from ops.ingest import git as git_source

TIMEOUT_S = 60
REDIRECTS = 5
NO_HEAD = (403, 405, 501)
"""Answers of servers that take GET alone (signed URLs, for one)."""


@dataclass(frozen=True)
class Version:
    """What one look found."""

    reads: dict[str, Any]
    """What a run would read now: the source, and its digest or pin."""
    upstream: str | None = None
    """The newest version at a pinned source: a commit, or what the server says of the file."""
    mark: str | None = None
    """Of a local source: names, sizes and times. While it stays, the contents need not be read again."""
    todo: dict[str, str] = field(default_factory=dict)
    """What to write into `params.yaml` to follow `upstream`."""


class UnsettledError(Exception):
    """A local source is being written."""


def look(source: SourceParams, task: str, seen: dict[str, Any] | None, settle_s: float, branch: str | None) -> Version:
    """One look at a data source; `seen` is the last one's `reads` and `mark`.

    Raises: SourceError when it cannot be seen (missing, empty, server down): never a change. UnsettledError.
    """
    try:
        if source.kind == "sample":
            return Version({"source": "sample"})
        if source.kind == "path":
            return _local(source.local, seen or {}, settle_s)
        if source.kind == "git":
            return _git(source, task, branch)
        return _archive(source, task)
    except SourceError as error:
        raise SourceError(f"{task}.data.source: {error}") from None


def _local(path: Path, seen: dict[str, Any], settle_s: float) -> Version:
    mark = _mark(path)
    reads = seen.get("reads", {})
    if mark == seen.get("mark") and reads.get("source") == str(path):
        return Version(reads, mark=mark)
    if seen:
        time.sleep(settle_s)  # a copy that is still going on would start a run on half of the data
        if _mark(path) != mark:
            raise UnsettledError
    return Version({"source": str(path), **ingest.fingerprint(path)}, mark=mark)


def _mark(path: Path) -> str:
    if not path.exists():
        raise SourceError(f"{str(path)!r} is not there; mend the path in params.yaml, or mount it")
    files = files_below(path) if path.is_dir() else [path]
    if not files:
        raise SourceError(f"{str(path)!r} is empty; is it mounted?")
    total = hashlib.sha256()
    for file in files:
        stat = file.stat()
        total.update(f"{file.relative_to(path)}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return total.hexdigest()


def _git(source: SourceParams, task: str, branch: str | None) -> Version:
    newest = newest_commit(source.source, branch, source.allow_private)
    reads = {"source": source.address, "commit": source.commit}
    return Version(reads, upstream=newest, todo={f"{task}.data.commit": newest})


def newest_commit(url: str, branch: str | None, allow_private: bool) -> str:
    """The commit at the end of a branch, by default of HEAD. Raises: SourceError with git's last words."""
    url = git_source.plain(url)
    if Path(url).is_dir():
        url = str(Path(url).resolve())
    elif not allow_private and (where := git_source.remote_name(url)):
        addresses.refuse_private(where)
    reference = f"refs/heads/{branch}" if branch else "HEAD"
    # The rules of ops.ingest.git: no prompts, no other protocols, no redirects to where nobody looked.
    settings = ("protocol.ext.allow=never", "http.followRedirects=false", "credential.interactive=false")
    environment = {
        **{key: value for key, value in os.environ.items() if key not in git_source.HERE},
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": git_source.PROTOCOLS,
    }
    command = ["git", *[word for setting in settings for word in ("-c", setting)], "ls-remote", "--", url, reference]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except FileNotFoundError:
        raise SourceError("git is not installed") from None
    except subprocess.TimeoutExpired:
        raise SourceError(f"git ls-remote took longer than {TIMEOUT_S} s") from None
    if done.returncode:
        words = done.stderr.strip().splitlines()
        raise SourceError(f"git ls-remote failed: {words[-1] if words else done.returncode}")
    found = re.search(rf"^([0-9a-f]{{40}})\t{re.escape(reference)}$", done.stdout, re.MULTILINE)
    if not found:
        raise SourceError(f"the repository has no {reference}; set the trigger's `branch`")
    return found[1]


def _archive(source: SourceParams, task: str) -> Version:
    reads = {"source": source.address, "sha256": source.sha256}
    news = json.dumps(_headers(source.source, source.allow_private), sort_keys=True)
    todo = {f"{task}.data.sha256": f"that of the new file: curl -sL {source.address} | sha256sum"}
    return Version(reads, upstream=news, todo=todo)


def _headers(url: str, allow_private: bool) -> dict[str, str]:
    """What the server says of a file without sending it. Raises: SourceError; redirects are followed by hand,
    so that each address is checked."""
    session = requests.Session() if allow_private else addresses.public_session()
    method = "HEAD"
    for _ in range(REDIRECTS + 1):
        addresses.split(url)
        proxied = bool(requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url)))
        if not allow_private:
            addresses.refuse_private(url, proxied)
        try:
            with session.request(
                method,
                url,
                headers={"Accept-Encoding": "identity"},
                stream=True,
                timeout=TIMEOUT_S,
                allow_redirects=False,
            ) as answer:
                if answer.is_redirect:
                    url = urljoin(url, answer.headers["Location"])
                    if url.partition(":")[0].lower() not in ("http", "https"):
                        raise SourceError(f"the server redirects to {url!r}, which is not http(s)")
                elif method == "HEAD" and answer.status_code in NO_HEAD:
                    method = "GET"
                elif answer.status_code != requests.codes.ok:
                    raise SourceError(f"the server answers {answer.status_code} {answer.reason}")
                else:
                    return _named(answer)
        except requests.RequestException as error:
            raise SourceError(f"the server cannot be asked: {error}") from None
    raise SourceError(f"more than {REDIRECTS} redirects")


def _named(answer: requests.Response) -> dict[str, str]:
    found = {
        name: answer.headers[name] for name in ("ETag", "Last-Modified", "Content-Length") if name in answer.headers
    }
    if not found:
        raise SourceError("the server names neither ETag, Last-Modified nor Content-Length; a change cannot be noticed")
    return found
