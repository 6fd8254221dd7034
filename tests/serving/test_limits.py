"""What is too large is refused before it costs anything (docs/faults.md 86, 89, 90)."""

from __future__ import annotations

import base64
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import raw_http
from PIL import Image
from refusals import refused
from running import Running

MB = 1_000_000
TOO_LARGE = "the body is larger than 1 MB, the limit"


@pytest.fixture(scope="module")
def small(packages: dict[str, Path]) -> Iterator[Running]:
    limits = ("--body-mb", "1", "--max-pixels", "20000", "--max-characters", "100", "--max-items", "3")
    with Running(*map(str, packages.values()), *limits) as server:
        server.wait_until_ready()
        yield server


def translate(server: Running, body: bytes, **headers: str) -> httpx.Response:
    return server.http.post("/v1/translate", content=body, headers={"Content-Type": "application/json", **headers})


def sized(size: int) -> bytes:
    """A right request for a translation of exactly so many bytes."""
    body = json.dumps({"text": "i eat rice ."}).encode()
    return body[:-1] + b" " * (size - len(body)) + b"}"


def test_a_body_of_the_allowed_size(small: Running) -> None:
    assert translate(small, sized(MB)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/translate", "/v1/detect", "/v2/models/translation/infer"])
def test_one_byte_more(small: Running, path: str) -> None:
    answer = small.http.post(path, content=sized(MB + 1), headers={"Content-Type": "application/json"})
    refused(answer, 413, TOO_LARGE)


def test_a_declared_size_is_refused_before_a_byte_of_it_comes(small: Running) -> None:
    with raw_http.connected(small) as connection:
        length = {"Content_Length": 10**15, "Content_Type": "application/json"}
        raw_http.send(connection, [raw_http.head("/v1/translate", **length)])
        answer = raw_http.answer(connection)
    assert (answer.status, answer.error) == (413, TOO_LARGE)
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("size", ["1" * 5000, "18446744073709551617", "-1", "1e3", "+5", "0x10", "٣"])
def test_a_size_that_is_no_size(small: Running, size: str) -> None:
    with raw_http.connected(small) as connection:
        head = raw_http.head("/v1/translate", Content_Length=size, Content_Type="application/json")
        raw_http.send(connection, [head, b"{}"])
        assert raw_http.answer(connection).status in (400, 413)


@pytest.mark.parametrize("declared", [True, False])
def test_a_client_that_sends_all_of_it_before_it_reads(small: Running, declared: bool) -> None:
    """As most do: it must find the answer, and not a connection that was reset."""
    part, count = b" " * 65536, 300
    length = {"Content_Length": len(part) * count} if declared else {"Transfer_Encoding": "chunked"}
    body = iter([part] * count) if declared else raw_http.chunked([part] * count)
    with raw_http.connected(small) as connection:
        raw_http.send(connection, [raw_http.head("/v1/translate", Content_Type="application/json", **length)])
        raw_http.send(connection, body)
        answer = raw_http.answer(connection)
    assert (answer.status, answer.error) == (413, TOO_LARGE)


def test_a_body_without_end(small: Running) -> None:
    """Nobody must be able to keep the server reading for ever."""
    part = b"%x\r\n%b\r\n" % (65536, b" " * 65536)
    kind = {"Transfer_Encoding": "chunked", "Content_Type": "application/json"}
    with raw_http.connected(small) as connection:
        raw_http.send(connection, [raw_http.head("/v1/translate", **kind)])
        for _ in range(20_000):  # 1.3 GB
            try:
                connection.sendall(part)
            except OSError:
                return
    raise AssertionError("the server reads on")


@pytest.mark.parametrize(("coding", "window"), [("gzip", 31), ("deflate", 15)])
def test_a_compression_bomb(small: Running, coding: str, window: int) -> None:
    """docs/faults.md 90: 200 MB in 200 kB."""
    machine = zlib.compressobj(9, zlib.DEFLATED, window)
    bomb = b"".join([*(machine.compress(b" " * MB) for _ in range(200)), machine.flush()])
    assert len(bomb) < MB / 4
    memory = psutil.Process(small.worker.pid).memory_info().rss
    for _ in range(5):
        refused(translate(small, bomb, **{"Content-Encoding": coding}), 413, TOO_LARGE)
    assert psutil.Process(small.worker.pid).memory_info().rss - memory < 50 * MB


def test_what_follows_a_compressed_body(small: Running) -> None:
    """It is not unpacked, and must not be kept either."""
    kind = {"Content_Type": "application/json", "Content_Encoding": "gzip", "Transfer_Encoding": "chunked"}
    with raw_http.connected(small) as connection:
        parts = [gzip.compress(sized(100)), *[b"x" * 65536] * 1000]
        raw_http.send(connection, [raw_http.head("/v1/translate", **kind), *raw_http.chunked(parts)])
        answer = raw_http.answer(connection)
    assert (answer.status, answer.error) == (400, "the compressed body ends before the body does")


def test_a_compressed_body_without_content(small: Running) -> None:
    """Empty blocks: it would never become larger."""
    machine = zlib.compressobj(9, zlib.DEFLATED, 31)
    blocks = machine.compress(b"") + machine.flush(zlib.Z_FULL_FLUSH) + machine.flush(zlib.Z_FULL_FLUSH)
    packed = blocks + b"\0\0\0\xff\xff" * (MB // 5)
    refused(translate(small, packed, **{"Content-Encoding": "gzip"}), 413, TOO_LARGE)


@pytest.mark.parametrize(
    ("content", "coding", "status", "reason"),
    [
        (b"{}", "gzip", 400, "the body is not what Content-Encoding says"),
        (gzip.compress(sized(100))[:-9], "gzip", 400, "the compressed body ends too early"),
        (gzip.compress(sized(100)) * 2, "gzip", 400, "the compressed body ends before the body does"),
        (b"", "gzip", 400, "the compressed body ends too early"),
        (b"{}", "br", 415, "Content-Encoding 'br' is not known; send gzip, deflate or plain"),
        (b"{}", "gzip, gzip", 415, "Content-Encoding 'gzip, gzip' is not known"),
    ],
    ids=["plain", "cut", "twice", "empty", "unknown", "two"],  # a gzip stream holds the time
)
def test_packed_wrongly(small: Running, content: bytes, coding: str, status: int, reason: str) -> None:
    refused(translate(small, content, **{"Content-Encoding": coding}), status, reason)


@pytest.mark.parametrize("path", ["/v1/translate", "/v1/detect", "/v2/models/translation/infer"])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"inputs":', b"}")])
def test_deep_json(small: Running, path: str, opening: bytes, closing: bytes) -> None:
    """docs/faults.md 89."""
    body = opening * 50_000 + b"1" + closing * 50_000
    answer = small.http.post(path, content=body, headers={"Content-Type": "application/json"})
    refused(answer, 400, "the body is no JSON: recursion limit exceeded")


def picture(width: int, height: int, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("1" if kind == "PNG" else "L", (width, height)).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_image_with_too_many_pixels(small: Running, kind: str) -> None:
    assert small.http.post("/v1/detect", files={"image": picture(200, 100, kind)}).status_code == 200
    large = picture(201, 100, kind)
    reason = "201 x 100 .*at most 20000"
    refused(small.http.post("/v1/detect", files={"image": large}), 400, reason)
    refused(small.http.post("/v1/detect", content=large, headers={"Content-Type": "image/png"}), 400, reason)
    refused(small.http.post("/v1/detect", json={"image": base64.b64encode(large).decode()}), 400, reason)


def test_a_decompression_bomb(small: Running) -> None:
    """Some kilobytes that would be 400 MB of pixels."""
    bomb = picture(20_000, 20_000)
    assert len(bomb) < MB / 10
    memory = small.worker.memory_info().rss
    refused(small.http.post("/v1/detect", files={"image": bomb}), 400, "400000000 pixels.*at most 20000 pixels")
    assert small.worker.memory_info().rss - memory < 50 * MB


def test_too_much_text(small: Running) -> None:
    def ask(text: Any) -> httpx.Response:
        return small.http.post("/v1/translate", json={"text": text})

    assert ask("i eat rice . " * 7).status_code == 200
    refused(ask("i eat rice . " * 8), 400, "text has 104 characters, expected at most 100")
    assert ask(["i eat rice ."] * 3).status_code == 200
    refused(ask(["i eat rice ."] * 4), 400, "more than 3, expected 1 to 3 texts")


def test_too_many_items_of_a_tensor(small: Running) -> None:
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": [4, 1, 1, 3], "data": [0] * 12}
    answer = small.http.post("/v2/models/detection/infer", json={"inputs": [tensor]})
    refused(answer, 400, "pixels: has 4 images, expected 1 to 3")
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": [1, 201, 100, 3], "data": [0] * 60300}
    answer = small.http.post("/v2/models/detection/infer", json={"inputs": [tensor]})
    refused(answer, 400, "an image has 100 x 201 = 20100 pixels, expected at most 20000")


def test_a_form_with_many_fields(small: Running) -> None:
    answer = small.http.post("/v1/detect", files=[("image", b"x"), *((f"field{i}", (None, "x")) for i in range(40))])
    refused(answer, 400, "the form cannot be read: Too many fields")
