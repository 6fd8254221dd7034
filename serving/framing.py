"""HTTP/1.1 as bytes (RFC 9112), read strictly: what two readers could take for two things is refused, not guessed at.

So no request can hide in another, whatever stands before this server: a head has CRLF lines, one Host, one kind of
length and no folded line; chunks are as the grammar has them. `Upgrade` changes nothing, since no other protocol is
spoken here (RFC 9110, 7.8).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

HEAD_BYTES = 32 * 1024
"""Of a head; and of what is no body within a chunked one: extensions, trailers."""
METHODS = {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"QUERY"}
LINE = re.compile(rb"([A-Z]+) ([!-~]+) HTTP/1\.([01])")
NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
NO_LINE = re.compile(rb"\A[^A-Z]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n)")
"""In a head that has not come whole: what no more bytes can mend. A last CR may still get its LF."""
ABSOLUTE = re.compile(rb"https?://([^/?#@]+)(/.*)", re.IGNORECASE)
LENGTH = re.compile(rb"[0-9]{1,18}")
SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
SMALL_CHUNKS = 1000
SMALL_CHUNK = 64
"""So many chunks of any size are read, and beyond them one for so many bytes: each costs a moment of everybody's."""


class MalformedError(Exception):
    """The bytes are no HTTP/1.1, or too many of them; the connection is of no more use. status: 400 or 431."""

    def __init__(self, reason: str, status: int = 400):
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Head:
    """Of a request."""

    method: str
    target: bytes
    """Path and query, as they came."""
    version: str
    headers: list[tuple[bytes, bytes]]
    """Names in small letters."""
    length: int | None
    """Bytes of the body; None: it is chunked."""
    keeps: bool
    """Whether the client may send another request on this connection."""
    expects: bool
    """Whether it waits for 100 before it sends the body (RFC 9110, 10.1.1)."""


def head(buffer: bytearray) -> Head | None:
    """Take a head from the beginning of `buffer`; None: it has not come whole. Raises: MalformedError."""
    while buffer.startswith(b"\r\n"):  # RFC 9112, 2.2
        del buffer[:2]
    end = buffer.find(b"\r\n\r\n", 0, HEAD_BYTES + 4)
    if end < 0:
        if len(buffer) > HEAD_BYTES:
            raise too_large()
        found = NO_LINE.search(buffer, 0, len(buffer))
        if found and not (found.end() == len(buffer) and buffer.endswith(b"\r")):
            raise MalformedError("this is no HTTP/1.1 request")
        return None
    first, *lines = bytes(buffer[:end]).split(b"\r\n")
    del buffer[: end + 4]
    match = LINE.fullmatch(first)
    if match is None or match[1] not in METHODS:
        raise MalformedError("this is no HTTP/1.1 request")
    headers = [_header(line) for line in lines]
    return _framed(match[1].decode(), match[2], f"1.{match[3].decode()}", headers)


def too_large() -> MalformedError:
    return MalformedError(f"the headers or trailers are larger than {HEAD_BYTES} bytes", 431)


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not NAME.fullmatch(name) or CONTROL.search(value):
        raise MalformedError("this is no HTTP/1.1 request")
    return name.lower(), value.strip(b" \t")


def _framed(method: str, target: bytes, version: str, headers: list[tuple[bytes, bytes]]) -> Head:
    """RFC 9112, 3.2 and 6."""

    def all_of(name: bytes) -> list[bytes]:
        return [value for found, value in headers if found == name]

    hosts, lengths, codings = all_of(b"host"), all_of(b"content-length"), all_of(b"transfer-encoding")
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise MalformedError("this is no HTTP/1.1 request: expected one Host")
    if len(lengths) > 1 or not all(map(LENGTH.fullmatch, lengths)) or (lengths and codings):
        raise MalformedError("this is no HTTP/1.1 request: its length is not clear")
    if codings and (version == "1.0" or [coding.lower() for coding in codings] != [b"chunked"]):
        raise MalformedError("this is no HTTP/1.1 request: Transfer-Encoding can be chunked, and nothing else")
    if match := ABSOLUTE.fullmatch(target):  # what stands in the target is the host, RFC 9112, 3.2.2
        target = match[2]
        headers = [(name, match[1] if name == b"host" else value) for name, value in headers]
    if not target.startswith(b"/") or b"#" in target:
        raise MalformedError("this is no HTTP/1.1 request: expected a path")
    options = {option.strip().lower() for value in all_of(b"connection") for option in value.split(b",")}
    length = None if codings else int(lengths[0]) if lengths else 0
    expects = version == "1.1" and length != 0 and b"100-continue" in [value.lower() for value in all_of(b"expect")]
    return Head(method, target, version, headers, length, version == "1.1" and b"close" not in options, expects)


class Sized:
    """Reads a body of a known length."""

    def __init__(self, length: int):
        self._left = length

    @property
    def complete(self) -> bool:
        return not self._left

    def take(self, buffer: bytearray) -> bytes:
        """What of the body is at the beginning of `buffer`, which loses it."""
        part = bytes(buffer[: self._left])
        del buffer[: self._left]
        self._left -= len(part)
        return part


@dataclass
class Chunked:
    """Reads a chunked body (RFC 9112, 7.1). Extensions and trailers are passed over."""

    complete: bool = False
    _left: int = 0
    """Of the chunk that is being read, with the CRLF behind it."""
    _last: bool = False
    """Whether the trailers are being read."""
    _other: int = 0
    """Bytes of lines since the last of the body."""
    _chunks: int = 0
    _bytes: int = 0
    _parts: list[bytes] = field(default_factory=list)

    def take(self, buffer: bytearray) -> bytes:
        """What of the body is at the beginning of `buffer`, which loses it. Raises: MalformedError."""
        self._parts.clear()
        while not self.complete and (self._data(buffer) if self._left else self._line(buffer)):
            pass
        return b"".join(self._parts)

    def _data(self, buffer: bytearray) -> bool:
        """Whether there may be more to be read now."""
        if self._left > 2:
            part = bytes(buffer[: self._left - 2])
            del buffer[: self._left - 2]
            self._parts.append(part)
            self._left -= len(part)
            self._bytes += len(part)
            self._other = 0
        if self._left == 2 and len(buffer) >= 2:
            if buffer[:2] != b"\r\n":
                raise MalformedError("a chunk is longer than its size")
            del buffer[:2]
            self._left = 0
            return True
        return False

    def _line(self, buffer: bytearray) -> bool:
        end = buffer.find(b"\r\n", 0, HEAD_BYTES + 2)
        if (end if end >= 0 else len(buffer)) + self._other > HEAD_BYTES:
            raise too_large()
        if end < 0:
            return False
        line = bytes(buffer[:end])
        del buffer[: end + 2]
        self._other += end + 2
        if self._last:
            if not line:
                self.complete = True
            elif b"\n" in line or b"\r" in line:
                raise MalformedError("a trailer is no line of a header")
            else:
                _header(line)
            return True
        self._begin(line)
        return True

    def _begin(self, line: bytes) -> None:
        match = SIZE.fullmatch(line)
        if match is None:
            raise MalformedError("the size of a chunk is no number")
        self._chunks += 1
        if self._chunks > SMALL_CHUNKS + self._bytes // SMALL_CHUNK:
            raise MalformedError(f"{self._chunks} chunks, most smaller than {SMALL_CHUNK} bytes; send larger ones")
        size = int(match[1], 16)
        self._last = size == 0
        self._left = size + 2 if size else 0
