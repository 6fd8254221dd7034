"""HTTP/1.1 (RFC 9112) as h11 reads it, and what h11 takes and another reader could take for something else: refused.

So no request can hide in another, whatever stands before this server: lines end in CRLF, none is folded, one header
says the length. A reader is made for each request: what it leaves over is the beginning of the next.
"""

from __future__ import annotations

import re

import h11

HEAD_BYTES = 32 * 1024
"""Of a head; and of what is no body within a chunked one: extensions, trailers."""
PIECE = 64 * 1024
"""Bytes that h11 is given at once: a bound of what it holds."""
METHODS = {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"QUERY"}
LOOSE = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)|\n[ \t]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Another end of a line than CRLF, a folded line (5.2), a control character. A last CR may still get its LF."""
LENGTHS = re.compile(rb"\n(?:content-length|transfer-encoding):[ \t]*([^\r]*?)[ \t]*\r", re.IGNORECASE)
LENGTH = re.compile(rb"[0-9]{1,18}|chunked", re.IGNORECASE)
HUGE_CHUNK = re.compile(rb"\s*[0-9a-f]{17}", re.IGNORECASE)
ABSOLUTE = re.compile(rb"https?://([^/?#@]+)(/.*)", re.IGNORECASE)
SMALL_CHUNKS = 1000
SMALL_CHUNK = 64
"""So many chunks of any size are read, and beyond them one for so many bytes: each costs a moment of everybody's."""
NO_HTTP = "this is no HTTP/1.1 request"


class MalformedError(Exception):
    """The bytes are no HTTP/1.1, or too many of them; the connection is of no more use. status: 400 or 431."""

    def __init__(self, reason: str, status: int = 400):
        super().__init__(reason)
        self.status = status


def too_large() -> MalformedError:
    return MalformedError(f"the headers or trailers are larger than {HEAD_BYTES} bytes", 431)


def head(buffer: bytearray) -> bytes | None:
    """Take a head from the beginning of `buffer`; None: it has not come whole. Raises: MalformedError."""
    while buffer.startswith(b"\r\n"):  # RFC 9112, 2.2
        del buffer[:2]
    end = buffer.find(b"\r\n\r\n", 0, HEAD_BYTES + 4) + 4
    if end < 4 and len(buffer) > HEAD_BYTES:
        raise too_large()
    whole = bytes(buffer[:end]) if end >= 4 else bytes(buffer)
    if whole.strip(b"\r") and (LOOSE.search(whole) or not whole[:1].isupper()):
        raise MalformedError(NO_HTTP)
    if end < 4:
        return None
    del buffer[:end]
    return whole


def request(reader: h11.Connection, whole: bytes) -> tuple[h11.Request, bytes, list[tuple[bytes, bytes]]]:
    """What a head asks for, the path with its query, and the headers, their names in small letters.

    Raises: MalformedError.
    """
    lengths = LENGTHS.findall(whole)
    if len(lengths) > 1 or not all(map(LENGTH.fullmatch, lengths)):
        raise MalformedError(f"{NO_HTTP}: its length is not clear")
    reader.receive_data(whole)
    found = _event(reader, NO_HTTP)
    assert isinstance(found, h11.Request)  # the head is whole
    target, headers = found.target, list(found.headers)
    if found.method not in METHODS or found.http_version not in (b"1.0", b"1.1"):
        raise MalformedError(NO_HTTP)
    if found.http_version == b"1.0" and any(name == b"transfer-encoding" for name, _ in headers):
        raise MalformedError(f"{NO_HTTP}: HTTP/1.0 has no Transfer-Encoding")
    if match := ABSOLUTE.fullmatch(target):  # what stands in the target is the host, 3.2.2
        target = match[2]
        headers = [(name, match[1] if name == b"host" else value) for name, value in headers]
    if not target.startswith(b"/") or b"#" in target:
        raise MalformedError(f"{NO_HTTP}: expected a path")
    return found, target, headers


class Body:
    """Reads what follows a head. Extensions of chunks and trailers are passed over."""

    def __init__(self, reader: h11.Connection):
        self._reader, self._other, self._chunks, self._bytes = reader, b"", 0, 0

    @property
    def complete(self) -> bool:
        return self._reader.their_state is not h11.SEND_BODY

    def take(self, buffer: bytearray) -> bytes:
        """What of the body, which is not complete, is at the beginning of `buffer`, which loses it.

        Raises: MalformedError.
        """
        parts: list[bytes] = []
        while not self.complete:
            held = self._reader.trailing_data[0]
            found = _event(self._reader, "the body is not in chunks as RFC 9112, 7.1, has them")
            part = found.data if isinstance(found, h11.Data) else b""
            self._check(held[: len(held) - len(self._reader.trailing_data[0]) - len(part)])
            if isinstance(found, h11.Data):
                parts.append(part)
                self._count(found)
            elif found is h11.NEED_DATA and not buffer:
                return b"".join(parts)
            elif found is h11.NEED_DATA:
                self._reader.receive_data(bytes(buffer[:PIECE]))
                del buffer[:PIECE]
        buffer[:0] = self._reader.trailing_data[0]
        return b"".join(parts)

    def _check(self, other: bytes) -> None:
        """other: what h11 has taken that is no body."""
        self._other += other
        if LOOSE.search(self._other) or HUGE_CHUNK.match(self._other):
            raise MalformedError("the lines between the chunks are not as RFC 9112, 7.1, has them")
        if len(self._other) > HEAD_BYTES:
            raise too_large()

    def _count(self, found: h11.Data) -> None:
        self._other = b""
        self._bytes += len(found.data)
        self._chunks += found.chunk_start
        if self._chunks > SMALL_CHUNKS + self._bytes // SMALL_CHUNK:
            raise MalformedError(f"{self._chunks} chunks, most smaller than {SMALL_CHUNK} bytes; send larger ones")


def _event(reader: h11.Connection, reason: str) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
    try:
        return reader.next_event()
    except h11.RemoteProtocolError as error:
        raise too_large() if error.error_status_hint == 431 else MalformedError(reason) from None
