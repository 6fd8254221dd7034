"""Clients that are slow, that leave, or that send without end: each costs little, and for a bounded time."""

from __future__ import annotations

import json
import socket
import struct
import time

import pytest
from running import Running
from unharmed import Known
from wire import Talk, read, request, talk

READ_S = 0.5
"""Of the server `impatient`."""
SOON = READ_S + 3
"""By then it has closed a connection, on a busy machine too."""
HEAD = request("/v1/translate", Content_Type="text/plain", Content_Length="20")
CHUNKED = request("/v1/translate", Content_Type="text/plain", Transfer_Encoding="chunked")
ANSWERED = request("/v1/translate?model=none", Content_Length="100")
LEAVING = {
    "before a request": b"",
    "within the first line": b"GET /li",
    "within the headers": b"GET /live HTTP/1.1\r\nHost: te",
    "before the body": HEAD,
    "within the body": HEAD + b"Hi the",
    "within a chunk": CHUNKED + b"5\r\nHi",
    "before the last chunk": CHUNKED + b"2\r\nHi\r\n",
    "within the trailers": CHUNKED + b"2\r\nHi\r\n0\r\nA: b\r\n",
    "before the answer": request("/v1/translate", b"Hi", Content_Type="text/plain"),
    "before several answers": request("/v1/translate", b"Hi", Content_Type="text/plain") * 5,
}


@pytest.mark.parametrize("sent", ["GET /live HTTP/1.1\r\n", "GET /live HTTP/1.1\r\nHost: test\r\nX-A: "])
def test_headers_that_do_not_come_are_waited_for_no_longer_than_said(impatient: Running, sent: str) -> None:
    found = talk(impatient.port, sent.encode(), count=2, seconds=SOON)
    assert found.statuses == [408]
    assert found.closed


def test_a_byte_now_and_then_gains_no_time(impatient: Running) -> None:
    for head, rest in ((b"", request("/live", method="GET")), (HEAD, b"Hello there, and so on")):
        slow = [rest[i : i + 1] for i in range(len(rest))]
        found = talk(impatient.port, head, *slow, pause=0.1, count=2, seconds=SOON)
        assert found.statuses == [408]
        assert found.closed


def test_a_slow_request_that_is_in_time_is_answered(server: Running, known: Known) -> None:
    body = json.dumps({"text": known.text}).encode()
    sent = request("/v1/translate", body, Content_Type="application/json")
    found = talk(server.port, *(sent[i : i + 5] for i in range(0, len(sent), 5)), pause=0.01)
    assert found.replies[0].json["translations"][0]["text"] == known.translation


def test_a_body_shorter_than_its_length_is_waited_for_no_longer_than_said(impatient: Running) -> None:
    found = talk(impatient.port, HEAD + b"Hi there", count=2, seconds=SOON)
    assert found.statuses == [408]
    assert found.closed


def test_a_body_longer_than_its_length_is_no_part_of_it(server: Running, known: Known) -> None:
    body = json.dumps({"text": known.text}).encode()
    sent = request("/v1/translate", body, Content_Type="application/json")
    found = talk(server.port, sent, b" and more", pause=0.5, count=9)
    assert found.statuses == [200, 400]
    assert found.replies[0].json["translations"][0]["text"] == known.translation
    assert found.closed


@pytest.mark.parametrize("sent", LEAVING.values(), ids=LEAVING)
@pytest.mark.parametrize("reset", [False, True], ids=["half-closed", "reset"])
def test_a_client_may_leave_at_any_time(server: Running, sent: bytes, reset: bool) -> None:
    if reset:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(sent)
        return
    found = talk(server.port, sent, end=True, count=9, seconds=5)
    assert found.closed
    answered = [200] * len(found.statuses)  # they were there before the end was
    assert found.statuses in ([400], answered[: sent.count(b"HTTP/1.1")])


AFTERWARDS = {
    "empty lines": (request("/live", method="GET"), b"\r\n"),
    "the body of an answered request": (ANSWERED, b"x"),
    "what another protocol would say": (
        request("/live", method="GET", Connection="Upgrade", Upgrade="websocket"),
        b"\x81\x05hello",
    ),
}


@pytest.mark.parametrize("parts", AFTERWARDS.values(), ids=AFTERWARDS)
def test_what_comes_after_an_answer_keeps_no_connection_open(impatient: Running, parts: tuple[bytes, bytes]) -> None:
    found = talk(impatient.port, *parts, pause=0.2, count=9, seconds=SOON)
    assert len(found.replies) <= 2
    assert found.replies[0].status in (200, 404)
    assert found.closed


ENDLESS = {
    "headers": (b"GET /live HTTP/1.1\r\n", b"A: b\r\n" * 5000),
    "one header": (b"GET /live HTTP/1.1\r\nA: ", b"b" * 30_000),
    "target": (b"GET /live?", b"b" * 30_000),
    "trailers": (CHUNKED + b"0\r\n", b"A: b\r\n" * 5000),
    "one trailer": (CHUNKED + b"0\r\nA: ", b"b" * 30_000),
    "chunk extension": (CHUNKED + b"5;", b"b" * 30_000),
    "body": (request("/v1/translate", Content_Type="text/plain", Content_Length="99999999999"), b"b" * 30_000),
    "chunks": (CHUNKED, (b"100\r\n" + b"b" * 256 + b"\r\n") * 100),
    "trailers of an answered request": (
        request("/v1/translate?model=none", Transfer_Encoding="chunked") + b"0\r\n",
        b"A: b\r\n" * 5000,
    ),
}
MOST_MB = 100
"""What is sent without end, and what the server may grow meanwhile, at most: 16 MB of body, a few times over."""


@pytest.mark.parametrize("parts", ENDLESS.values(), ids=ENDLESS)
def test_what_has_no_end_is_not_kept_in_memory(server: Running, parts: tuple[bytes, bytes]) -> None:
    before, (first, again), found = server.worker.memory_info().rss, parts, Talk()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        try:
            connection.sendall(first)
            for _ in range(MOST_MB * 1_000_000 // len(again)):
                connection.sendall(again)
        except OSError:
            found.closed = True
        read(connection, found, 9, 2)
    assert found.closed
    assert found.statuses in ([], [404], [413], [431])
    assert server.worker.memory_info().rss - before < MOST_MB * 1_000_000


def test_a_client_that_does_not_read_holds_no_request(impatient: Running) -> None:
    """A megabyte each: more than the sockets' buffers take."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", impatient.port))
        connection.sendall(request("/page/docs/swagger-ui-bundle.js", method="GET") * 20)
        limit = time.monotonic() + 10
        while "\nstillhouse_active_requests 1.0" not in (page := impatient.http.get("/metrics").text):
            assert time.monotonic() < limit, page
            time.sleep(0.1)
