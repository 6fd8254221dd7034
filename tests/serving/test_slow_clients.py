"""Clients that are slow, leave, or hold the connection half open (docs/faults.md 91)."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import raw_http
import scraped
from running import Running
from waiting import until

READ_S = 1
TOO_LARGE = "the headers or trailers are larger than 32768 bytes"
JSON: dict[str, Any] = {"Content_Type": "application/json"}
BODY = json.dumps({"text": "i eat rice ."}).encode()


@pytest.fixture(scope="module")
def impatient(packages: dict[str, Path]) -> Iterator[Running]:
    with Running(str(packages["translation"]), "--read-s", str(READ_S)) as server:
        server.wait_until_ready()
        yield server


def test_headers_that_do_not_come(impatient: Running) -> None:
    with raw_http.connected(impatient) as connection:
        raw_http.send(connection, [b"POST /v1/translate HTTP/1.1\r\nHost: server\r\nX-Slow: "])
        answer = raw_http.answer(connection)
        assert raw_http.received(connection) == b""
    assert (answer.status, answer.error) == (408, "the headers did not come within 1 s")


def test_headers_that_drip(impatient: Running) -> None:
    """Each byte in time, all of them not."""
    with raw_http.connected(impatient) as connection:
        raw_http.send(connection, dripping(b"POST /v1/translate HTTP/1.1\r\n" + b"X-Slow: 1\r\n" * 50))
        assert b"408 Request Timeout" in raw_http.received(connection)


def dripping(content: bytes, size: int = 1, pause_s: float = 0.1) -> Iterator[bytes]:
    for i in range(0, len(content), size):
        time.sleep(pause_s)
        yield content[i : i + size]


@pytest.mark.parametrize("framing", [{"Content_Length": 1000}, {"Transfer_Encoding": "chunked"}])
def test_a_body_that_does_not_come(impatient: Running, framing: dict[str, Any]) -> None:
    with raw_http.connected(impatient) as connection:
        raw_http.send(connection, [raw_http.head("/v1/translate", **JSON, **framing)])
        answer = raw_http.answer(connection)
        assert raw_http.received(connection) == b""
    assert (answer.status, answer.error) == (408, "the body did not come within 1 s")
    assert answer.headers["connection"] == "close"


def test_a_body_that_drips(impatient: Running) -> None:
    with raw_http.connected(impatient) as connection:
        raw_http.send(connection, [raw_http.head("/v1/translate", Content_Length=1000, **JSON)])
        raw_http.send(connection, dripping(b" " * 50))
        assert raw_http.answer(connection).status == 408


def test_a_request_in_pieces_that_come_in_time(impatient: Running) -> None:
    request = raw_http.head("/v1/translate", Content_Length=len(BODY), Connection="close", **JSON) + BODY
    with raw_http.connected(impatient) as connection:
        raw_http.send(connection, dripping(request, 10, 0.001))
        assert b"200 OK" in raw_http.received(connection)


def test_a_connection_without_a_request_is_closed(impatient: Running) -> None:
    with raw_http.connected(impatient) as connection:
        assert raw_http.received(connection) == b""


def test_a_kept_connection_may_pause_between_requests(impatient: Running) -> None:
    """The time for headers begins with them."""
    with raw_http.connected(impatient) as connection:
        for _ in range(2):
            raw_http.send(connection, [raw_http.head("/live", "GET")])
            assert raw_http.answer(connection).status == 200
            time.sleep(READ_S * 1.5)
        raw_http.send(connection, [b"GET /live HTTP/1.1\r\n"])
        assert raw_http.answer(connection).status == 408


def test_requests_without_a_pause_on_one_connection(impatient: Running) -> None:
    """Pipelined; answered in order."""
    paths = ["/live", "/v2", "/nothing", "/v1/models"] * 5
    with raw_http.connected(impatient) as connection:
        heads = [raw_http.head(path, "GET") for path in paths]
        raw_http.send(connection, [b"".join(heads) + raw_http.head("/live", "GET", Connection="close")])
        statuses = re.findall(rb"HTTP/1\.1 (\d+)", raw_http.received(connection))
    assert statuses == [b"200", b"200", b"404", b"200"] * 5 + [b"200"]


@pytest.mark.parametrize("framing", [{"Content_Length": 1000}, {"Transfer_Encoding": "chunked"}])
def test_a_body_that_ends_too_early(impatient: Running, framing: dict[str, Any]) -> None:
    with raw_http.connected(impatient) as connection:
        raw_http.send(connection, [raw_http.head("/v1/translate", **JSON, **framing), b"5\r\n{"])
        connection.shutdown(socket.SHUT_WR)
        answer = raw_http.answer(connection)
    assert (answer.status, answer.error) == (400, "the connection was closed before the end of the body")


def test_clients_that_vanish_leave_nothing_behind(impatient: Running) -> None:
    """At every moment of a request."""
    request = raw_http.head("/v1/translate", Content_Length=len(BODY), **JSON) + BODY
    impatient.http.get("/live")  # has its connection now
    before = impatient.worker.num_fds()
    for end in (0, 10, len(request) - len(BODY), len(request) - 3, len(request)) * 10:
        with raw_http.connected(impatient) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close with a reset
            raw_http.send(connection, [request[:end]])
    until(lambda: scraped.total(impatient, "stillhouse_active_requests") == 1)  # the one that asks
    until(lambda: impatient.worker.num_fds() <= before)
    assert impatient.http.post("/v1/translate", content=BODY, headers={"Content-Type": "application/json"}).is_success
    assert scraped.total(impatient, "stillhouse_worker_restarts") == 0
    assert scraped.total(impatient, "stillhouse_requests_total", status="500") == 0
    assert all(event["event"] for event in impatient.log())
    assert [event for event in impatient.log() if event["level"] == "error"] == []


def test_headers_that_are_too_large(impatient: Running) -> None:
    for size in (40_000, 400_000):
        for parts in (1, 20):
            with raw_http.connected(impatient) as connection:
                head = raw_http.head("/live", "GET", X_Large="x" * size)
                step = len(head) // parts + 1
                raw_http.send(connection, (head[i : i + step] for i in range(0, len(head), step)))
                answer = raw_http.answer(connection)
            assert (answer.status, answer.error) == (431, TOO_LARGE), (size, parts)


@pytest.mark.parametrize(
    "start",
    [
        b"GET /" + b"x" * 100_000,
        b"GET /live HTTP/1.1\r\nX-Large: " + b"x" * 100_000,
        b"GET /live HTTP/1.1\r\n" + b"X-Small: x\r\n" * 10_000,
        raw_http.head("/v1/translate", Transfer_Encoding="chunked", **JSON) + b"0\r\nX-Trailer: " + b"x" * 100_000,
        raw_http.head("/v1/translate", Transfer_Encoding="chunked", **JSON) + b"1;extension=" + b"x" * 100_000,
    ],
    ids=["path", "header", "headers", "trailer", "extension"],
)
def test_headers_without_end(impatient: Running, start: bytes) -> None:
    """Refused when they are too large, not kept until they are too slow."""
    with raw_http.connected(impatient) as connection:
        raw_http.send(connection, [start[i : i + 10_000] for i in range(0, len(start), 10_000)])
        answer = raw_http.answer(connection)
    assert (answer.status, answer.error) == (431, TOO_LARGE)


def test_a_refusal_is_not_taken_for_the_answer_to_the_request_before(impatient: Running) -> None:
    first = raw_http.head("/v1/translate", Content_Length=len(BODY), **JSON) + BODY
    for wrong, status in (
        (raw_http.head("/live", "GET", X_Large="x" * 40_000), b"431"),
        (b"no request\r\n\r\n", b"400"),
    ):
        with raw_http.connected(impatient) as connection:
            raw_http.send(connection, [first + wrong])
            assert re.findall(rb"HTTP/1\.1 (\d+)", raw_http.received(connection)) == [b"200", status]


def test_headers_that_are_large_but_not_too_large(impatient: Running) -> None:
    assert impatient.http.get("/live", headers={"X-Large": "x" * 30_000}).status_code == 200


def test_many_small_headers(impatient: Running) -> None:
    fields = {f"X-{i}": "x" * 50 for i in range(2000)}
    with raw_http.connected(impatient) as connection:
        raw_http.send(connection, [raw_http.head("/live", "GET", **fields)])
        assert raw_http.answer(connection).status == 431


def test_what_is_no_http(impatient: Running) -> None:
    for content in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
        b"hello\r\n\r\n",
        b"\0" * 99,
    ):
        with raw_http.connected(impatient) as connection:
            raw_http.send(connection, [content])
            answer = raw_http.answer(connection)
        assert (answer.status, answer.error) == (400, "this is no HTTP/1.1 request"), content
