"""Download a file and check its sha256 before anything reads it; a dropped download goes on where it stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import requests
from filelock import FileLock

from core import paths
from core.errors import SourceError, UnreachableError
from core.files import sha256 as digest_of
from ops.ingest.addresses import public_session, refuse_private, split

FOLDER = paths.STATE / "downloads"
LIMIT_BYTES = 50 * 10**9
TIMEOUT_S = 60
TRIES = 5
REDIRECTS = 5
LATER = (408, 425, 429)
"""Answers that ask to come back."""
PIECE = 1 << 16
"""Bytes written at once: what a dropped connection loses of what arrived is less than this."""


@contextmanager
def alone(key: str) -> Iterator[None]:
    """Two tasks may have the same source: the second waits, and finds it in the cache."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with FileLock(FOLDER / f"{key}.lock"):
        yield


def download(url: str, sha256: str, allow_private: bool = False) -> Path:
    """The file at `url`, from the cache when it is there and whole.

    Raises: SourceError for a wrong checksum (naming both), a private address;
    UnreachableError for a server that fails `TRIES` times.
    """
    suffix = "".join(Path(split(url).path).suffixes[-2:])[-12:]
    target = FOLDER / f"{sha256}{suffix}"
    if target.exists() and digest_of(target) == sha256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".download")
    for attempt in range(TRIES):
        try:
            _go_on(url, partial, allow_private)
            break
        except requests.RequestException as error:
            if attempt == TRIES - 1:
                raise UnreachableError(
                    f"the download failed {TRIES} times ({error}); what arrived is kept in {partial}, "
                    "run the same command again to go on from there"
                ) from None
            time.sleep(min(2**attempt, 10))
    found = digest_of(partial)
    if found != sha256:
        partial.unlink()
        raise SourceError(
            f"sha256 is {found}, params.yaml expects {sha256}; the file was changed, or the entry is wrong"
        )
    partial.replace(target)
    return target


def _go_on(url: str, partial: Path, allow_private: bool) -> None:
    """Append to `partial` from its present end. Redirects are followed by hand, so that each address is checked."""
    session = requests.Session() if allow_private else public_session()
    for _ in range(REDIRECTS):
        split(url)
        proxied = bool(requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url)))
        if not allow_private:
            refuse_private(url, proxied)
        have = partial.stat().st_size if partial.exists() else 0
        headers = (
            {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {"Accept-Encoding": "identity"}
        )
        with session.get(url, headers=headers, stream=True, timeout=TIMEOUT_S, allow_redirects=False) as answer:
            if answer.is_redirect:
                url = urljoin(url, answer.headers["Location"])
                if url.partition(":")[0].lower() not in ("http", "https"):
                    raise SourceError(f"the server redirects to {url!r}, which is not http(s)")
                continue
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                return  # all was there already; the checksum decides
            if 400 <= answer.status_code < 500 and answer.status_code not in LATER:
                raise SourceError(f"the server answers {answer.status_code} {answer.reason}; check the URL")
            answer.raise_for_status()
            resumed = answer.status_code == requests.codes.partial_content
            _receive(answer, partial, have if resumed else 0)
            return
    raise SourceError(f"more than {REDIRECTS} redirects")


def _receive(answer: requests.Response, partial: Path, have: int) -> None:
    expected = int(answer.headers["Content-Length"]) + have if "Content-Length" in answer.headers else None
    if (expected or 0) > LIMIT_BYTES:
        raise SourceError(f"the file has {expected} bytes, more than {LIMIT_BYTES}")
    with partial.open("ab" if have else "wb") as file:
        for piece in answer.iter_content(PIECE):
            have += file.write(piece)
            if have > LIMIT_BYTES:
                raise SourceError(f"the file is larger than {LIMIT_BYTES} bytes")
    if expected is not None and have < expected:
        raise requests.ConnectionError(f"the connection ended after {have} of {expected} bytes")
