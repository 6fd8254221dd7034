"""HTTP/1.1 is read strictly: what is accepted, another reader reads the same; `Upgrade` changes nothing.

docs/faults.md 101.
"""

from __future__ import annotations

import json
import random
import time

import h11
import pytest
import raw_http
from hypothesis import example, given, settings
from hypothesis import strategies as st
from running import Running

from serving.framing import Chunked, MalformedError, Sized, head

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


def ours(content: bytes, step: int) -> tuple[str, bytes, list[tuple[bytes, bytes]], bytes, bytes] | None:
    """Method, target, headers, body and what is left of it; None: refused, or not whole."""
    buffer, body = bytearray(), b""
    found = reader = None
    try:
        for start in range(0, len(content), step):
            buffer += content[start : start + step]
            if found is None and (found := head(buffer)) is not None:
                reader = Chunked() if found.length is None else Sized(found.length)
            if reader is not None and not reader.complete:
                body += reader.take(buffer)
    except MalformedError:
        return None
    if found is None or reader is None or not reader.complete:
        return None
    return found.method, found.target, found.headers, body, bytes(buffer)


def theirs(content: bytes) -> tuple[str, bytes, list[tuple[bytes, bytes]], bytes, bytes]:
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(content)
    request = reader.next_event()
    assert isinstance(request, h11.Request)
    body = b""
    while isinstance(event := reader.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    return request.method.decode(), request.target, list(request.headers), body, reader.trailing_data[0]


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
    for framing, sent in ((b"Content-Length: 5000", body), (b"Transfer-Encoding: chunked", chunks + b"0\r\n\r\n")):
        content = b"POST /a HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n" + sent + b"rest"
        for step in (1, 3, 1000, 10_000):
            found = ours(content, step)
            assert found is not None
            assert found[3:] == (body, b"rest")
            assert found == theirs(content)


def test_a_body_of_tiny_chunks_is_refused_before_it_costs_much() -> None:
    buffer, reader = bytearray(b"1\r\nx\r\n" * 100_000), Chunked()
    began = time.process_time()
    with pytest.raises(MalformedError, match=r"10.. chunks, most smaller than 64 bytes"):
        reader.take(buffer)
    assert time.process_time() - began < 1
