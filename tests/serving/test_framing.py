"""HTTP/1.1 is read strictly: what is accepted, another reader reads the same; `Upgrade` changes nothing.

docs/faults.md 101.
"""

from __future__ import annotations

import json
import random
import re
import time

import h11
import httptools
import pytest
import raw_http
from hypothesis import example, given, settings
from hypothesis import strategies as st
from running import Running

from serving import framing
from serving.framing import MalformedError

TEXT = json.dumps({"text": "i eat rice ."}).encode()
UPGRADES = {
    "h2c": {"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings", "HTTP2_Settings": "AAMAAABkAAQAAP__"},
    "websocket": {"Upgrade": "websocket", "Connection": "Upgrade"},
    "unknown": {"Connection": "upgrade", "Upgrade": "foo"},
}
HIDDEN = b"GET /v2/models/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"


def parts(content: bytes, many: bool) -> list[bytes]:
    return [content[i : i + 7] for i in range(0, len(content), 7)] if many else [content]


@pytest.mark.parametrize("headers", UPGRADES.values(), ids=UPGRADES)
@pytest.mark.parametrize("apart", [False, True], ids=["one segment", "two"])
def test_a_body_belongs_to_its_request_whatever_is_offered(
    server: Running, headers: dict[str, str], apart: bool
) -> None:
    def head_of(body: bytes) -> bytes:
        return raw_http.head("/v1/translate", Content_Type="application/json", Content_Length=len(body), **headers)

    before = server.logged
    with raw_http.connected(server) as connection:
        for body, status in ((TEXT, 200), (HIDDEN, 400), (TEXT, 200)):
            raw_http.send(connection, [head_of(body)])
            if apart:
                time.sleep(0.05)
            raw_http.send(connection, [body])
            answer = raw_http.answer(connection)
            assert answer.status == status, answer
            assert "upgrade" not in answer.headers
    assert "/v2/models/hidden" not in [event.get("path") for event in server.log(before)]


@pytest.mark.parametrize("headers", UPGRADES.values(), ids=UPGRADES)
def test_the_next_request_is_answered_whatever_was_offered(server: Running, headers: dict[str, str]) -> None:
    length = {"Content_Type": "application/json", "Content_Length": len(TEXT)}
    offers = raw_http.head("/v1/translate", **length, **headers) + TEXT
    last = raw_http.head("/live", "GET", Connection="close")
    with raw_http.connected(server) as connection:
        raw_http.send(connection, [offers + raw_http.head("/none", "GET", **headers) + offers + last])
        statuses = re.findall(rb"HTTP/1\.1 (\d+)", raw_http.received(connection))
    assert statuses == [b"200", b"404", b"200", b"200"]


LINES = st.sampled_from(
    [
        *(b"Host: a", b"Content-Length: 3", b"Content-Length: 03", b"content-length:3", b"Transfer-Encoding: chunked"),
        *(b"Content-Length: 3, 3", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding : chunked", b"X: \tb c "),
        *(b"Upgrade: h2c", b"Connection: Upgrade", b"Connection: close", b" folded", b"X:", b":x", b"X", b"X: a\x0bb"),
    ]
)
BODIES = st.sampled_from(
    [b"abc", b"1\r\na\r\n0\r\n\r\n", b"1;x\r\na\r\n0\r\nT: t\r\n\r\n", b"0\n\n", b"0\r\n\n", b"", b"zz\r\n"]
)
FIRST = st.sampled_from(
    [b"POST /a HTTP/1.1", b"GET /a?b HTTP/1.1", b"POST /a HTTP/1.0", b"GET  / HTTP/1.1", b"G / HTTP/1.1"]
)
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n"])


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Often right, often nearly."""
    lines = [draw(FIRST), b"Host: a", *draw(st.lists(LINES, max_size=4))]
    return b"".join(line + draw(ENDS) for line in [*lines, b""]) + draw(BODIES) + b"GET /next HTTP/1.1\r\n"


Read = tuple[str, bytes, list[tuple[bytes, bytes]], bytes, bytes]
"""Method, target, headers, body, and what is left."""


def ours(content: bytes, step: int) -> Read | None:
    """None: refused, or not whole."""
    try:
        return read(content, step)
    except MalformedError:
        return None


def read(content: bytes, step: int) -> Read | None:
    """None: not whole. Raises: MalformedError."""
    buffer, taken, body, found = bytearray(), b"", None, None
    for start in range(0, len(content), step):
        buffer += content[start : start + step]
        if body is None and (head := framing.head(buffer)) is not None:
            reader = h11.Connection(h11.SERVER, framing.HEAD_BYTES)
            found, body = framing.request(reader, head), framing.Body(reader)
        if body is not None and not body.complete:
            taken += body.take(buffer)
    if found is None or body is None or not body.complete:
        return None
    request, target, headers = found
    return request.method.decode(), target, headers, taken, bytes(buffer)


class Other:
    """Reads as Node.js does (llhttp), up to the end of the first message."""

    def __init__(self) -> None:
        self.target = self.body = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.begun = self.complete = False
        self.parser = httptools.HttpRequestParser(self)

    def on_url(self, part: bytes) -> None:
        self.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.begun:  # else it is a trailer
            self.headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.begun = True

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.complete = True


def theirs(content: bytes) -> Read:
    """`Upgrade` has another name here: llhttp would take the body for another protocol."""
    other, end = Other(), 0
    content = content.replace(b"Upgrade: h2c", b"X-Grade: h2c")
    while not other.complete:
        other.parser.feed_data(content[end : end + 1])
        end += 1
    headers = [(name.replace(b"x-grade", b"upgrade"), value) for name, value in other.headers]
    return other.parser.get_method().decode(), other.target, headers, other.body, content[end:]


@given(messages(), st.integers(1, 400))
@example(b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /next HTTP/1.1\r\n", 1)
@settings(max_examples=400, deadline=None)
def test_what_is_accepted_another_reader_reads_the_same(content: bytes, step: int) -> None:
    found = ours(content, step)
    if found is not None:
        assert found == theirs(content)


def test_right_messages_are_accepted() -> None:
    body = random.Random(0).randbytes(5000)
    chunks = b"".join(b"%X\r\n%b\r\n" % (len(body[i : i + 512]), body[i : i + 512]) for i in range(0, 5000, 512))
    for length, sent in ((b"Content-Length: 5000", body), (b"Transfer-Encoding: chunked", chunks + b"0\r\n\r\n")):
        content = b"POST /a HTTP/1.1\r\nHost: a\r\n" + length + b"\r\n\r\n" + sent + b"rest"
        for step in (1, 3, 1000, 10_000):
            found = ours(content, step)
            assert found is not None
            assert found[3:] == (body, b"rest")
            assert found == theirs(content)


def test_a_body_of_tiny_chunks_is_refused_before_it_costs_much() -> None:
    reader = h11.Connection(h11.SERVER)
    framing.request(reader, b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    began = time.process_time()
    with pytest.raises(MalformedError, match=r"10.. chunks, most smaller than 64 bytes"):
        framing.Body(reader).take(bytearray(b"1\r\nx\r\n" * 100_000))
    assert time.process_time() - began < 1


POST = b"POST /a HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LENIENT = {
    "line feeds": b"POST /a HTTP/1.1\nHost: a\n\n",
    "a line feed within the head": b"POST /a HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "a line feed at the end of the head": b"POST /a HTTP/1.1\r\nHost: a\r\n\n",
    "a folded line": POST + b"X: a\r\n b\r\n\r\n",
    "a folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a control character": POST + b"X: a\x01b\r\n\r\n",
    "equal lengths": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "a list of equal lengths": POST + b"Content-Length: 1, 1\r\n\r\na",
    "a length beyond 64 bits": POST + b"Content-Length: 18446744073709551617\r\n\r\na",
    "length and coding": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding and length": POST + b"transfer-encoding: chunked\r\ncontent-length:5\r\n\r\n0\r\n\r\n",
    "a coding in HTTP/1.0": CHUNKED.replace(b"1.1", b"1.0") + b"0\r\n\r\n",
    "HTTP/1.2": POST.replace(b"1.1", b"1.2") + b"\r\n",
    "HTTP/3.0": POST.replace(b"1.1", b"3.0") + b"\r\n",
    "CONNECT": b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method that nobody knows": b"PREDICT /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "a small letter in a method": b"GeT /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "a chunk's size beyond 64 bits": CHUNKED + b"10000000000000001\r\na\r\n0\r\n\r\n",
    "a carriage return in an extension": CHUNKED + b"1;x\ry\r\na\r\n0\r\n\r\n",
    "a control character in an extension": CHUNKED + b"1;\x00\r\na\r\n0\r\n\r\n",
    "a line feed behind the last chunk": CHUNKED + b"0\r\n\n",
    "a line feed behind a trailer": CHUNKED + b"0\r\nX: a\n\r\n",
    "a folded trailer": CHUNKED + b"0\r\nX: a\r\n b\r\n\r\n",
}
"""What h11 takes, but for a size beyond its own bound."""


@pytest.mark.parametrize("content", LENIENT.values(), ids=LENIENT)
@pytest.mark.parametrize("step", [1, 1000])
def test_what_h11_takes_and_others_read_otherwise_is_refused(content: bytes, step: int) -> None:
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(content)
    while reader.next_event() not in (h11.NEED_DATA, h11.PAUSED):
        pass  # no error: else the check is not needed any more
    with pytest.raises(MalformedError):
        read(content, step)


REFUSED = {
    "two hosts": b"POST /a HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "no host": b"POST /a HTTP/1.1\r\n\r\n",
    "different lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na",
    "a sign": POST + b"Content-Length: +1\r\n\r\na",
    "a length of nothing": POST + b"Content-Length:\r\n\r\na",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked, identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding that is a number": POST + b"Transfer-Encoding: 1\r\n\r\na",
    "a length that is a coding": POST + b"Content-Length: chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "carriage returns": b"POST /a HTTP/1.1\rHost: a\r\r",
    "a carriage return too many": POST + b"X: a\r\r\n\r\n",
    "a fragment": b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a star": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "a chunk's size with 0x": CHUNKED + b"0x1\r\na\r\n0\r\n\r\n",
    "a negative size": CHUNKED + b"-1\r\na\r\n0\r\n\r\n",
    "a line feed behind a size": CHUNKED + b"1\na\r\n0\r\n\r\n",
    "a line feed in an extension": CHUNKED + b"1;x\ny\r\na\r\n0\r\n\r\n",
    "no line behind a chunk": CHUNKED + b"1\r\na0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"1\r\nabc\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("step", [1, 1000])
def test_what_is_not_clear_is_refused(content: bytes, step: int) -> None:
    with pytest.raises(MalformedError):
        read(content, step)


@pytest.mark.parametrize("step", [1, 1000])
def test_empty_lines_before_a_request_are_passed_over(step: int) -> None:
    found = ours(b"\r\n\r\n" + POST + b"Content-Length: 1\r\n\r\na\r\nGET", step)
    assert found is not None
    assert found[3:] == (b"a", b"\r\nGET")
