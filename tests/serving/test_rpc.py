"""Open Inference Protocol v2 over gRPC, asked as its users ask: by `tritonclient`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from running import Running
from scraped import total
from tritonclient.grpc import service_pb2
from waiting import until

from core import task
from serving.answers import Answer
from serving.budget import Budget, Lease
from serving.errors import RefusalError
from serving.metrics import Metrics
from serving.rpc import wire
from serving.rpc.entrance import CODES, Call, Entrance
from serving.rpc.gate import Gate
from serving.rpc.messages import CLASSES, SERVICE
from serving.settings import Settings
from tasks.detection.predict import Predictor as Detector
from tasks.translation.predict import Predictor as Translator

TEXTS = ["i eat rice .", "he see fish . you buy bread ."]


@pytest.fixture(scope="module")
def address(server: Running) -> str:
    return str(server.wait_for("listening for gRPC")["address"])


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(address) as made:
        yield made


@pytest.fixture(scope="module")
def channel(address: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(address) as made:
        yield made


def tensor(name: str, values: Any) -> triton.InferInput:
    array = values if isinstance(values, np.ndarray) else np.array(values, np.object_)
    made = triton.InferInput(name, array.shape, triton.np_to_triton_dtype(array.dtype))
    return made.set_data_from_numpy(array)


def call(channel: grpc.Channel, message: Any, method: str = "ModelInfer", **options: Any) -> Any:
    """Of bytes, or of a message; the answer unpacked by Triton's message types."""
    asked = channel.unary_unary(f"/{SERVICE}/{method}")
    content = message if isinstance(message, bytes) else message.SerializeToString()
    return getattr(service_pb2, f"{method}Response").FromString(asked(content, **options))


def code(channel: grpc.Channel, message: Any, **options: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as refused:
        call(channel, message, **options)
    return refused.value.code(), refused.value.details()  # type: ignore[attr-defined]


def test_messages_are_those_of_tritons_client() -> None:
    """Which has some of them inside others; on the wire that makes no difference."""
    known: dict[str, Any] = dict(service_pb2.DESCRIPTOR.message_types_by_name)
    inner = {name: found for each in known.values() for name, found in each.nested_types_by_name.items()}
    for name, made in CLASSES.items():
        theirs = known.get(name) or inner[name]
        assert set(made.DESCRIPTOR.fields_by_name) <= set(theirs.fields_by_name)
        for ours in made.DESCRIPTOR.fields:
            other = theirs.fields_by_name[ours.name]
            assert [_told(ours)] == [_told(other)], f"{name}.{ours.name}"


def _told(field: Any) -> tuple[Any, ...]:
    one = field.containing_oneof.name if field.containing_oneof else None
    return field.number, field.type, field.is_repeated, one, field.message_type.name if field.message_type else None


def test_what_server_and_models_are(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata().name == "stillhouse"
    for name in ("detection", "translation"):
        role, metadata = task.load(name, "serve"), client.get_model_metadata(name)
        for told, tensors in ((metadata.inputs, role.INPUTS), (metadata.outputs, role.OUTPUTS)):
            found = [(entry.name, entry.datatype, tuple(entry.shape)) for entry in told]
            assert found == [(entry.name, entry.datatype, entry.shape) for entry in tensors]
        (version,) = metadata.versions
        assert client.is_model_ready(name) and client.is_model_ready(name, version)
        assert not client.is_model_ready(name, "0" * 12)
    assert not client.is_model_ready("other")


def test_pictures_and_texts(client: triton.InferenceServerClient, packages: dict[str, Path]) -> None:
    file = (packages["detection"] / "golden" / "0.png").read_bytes()
    (expected,) = Detector(packages["detection"] / "model", threads=1)([file])
    result = client.infer("detection", [tensor("image", [file])], request_id="question 7")
    assert result.get_response().id == "question 7"
    assert [label.decode() for label in result.as_numpy("labels")] == [box["label"] for box in expected]
    np.testing.assert_allclose(result.as_numpy("scores"), [box["score"] for box in expected], atol=1e-4)
    np.testing.assert_allclose(result.as_numpy("boxes"), [box["box"] for box in expected], atol=0.01)
    scores = client.infer("detection", [tensor("image", [file])], parameters={"min_score": 0.9}).as_numpy("scores")
    assert (scores >= 0.9).all()
    wanted = [triton.InferRequestedOutput("scores")]
    only = client.infer("detection", [tensor("image", [file])], outputs=wanted).get_response()
    assert [output.name for output in only.outputs] == ["scores"]
    first, second, third = Translator(packages["translation"] / "model", threads=1)(
        ["i eat rice .", "he see fish .", "you buy bread ."]
    )
    found = client.infer("translation", [tensor("text", TEXTS)]).as_numpy("translation")
    assert [text.decode() for text in found] == [first, second + third]


def test_values_that_stand_in_contents(channel: grpc.Channel) -> None:
    request = service_pb2.ModelInferRequest(model_name="translation")
    text = request.inputs.add(name="text", datatype="BYTES", shape=[2])
    text.contents.bytes_contents.extend(text.encode() for text in TEXTS)
    assert len(call(channel, request).raw_output_contents) == 1
    request = service_pb2.ModelInferRequest(model_name="detection")
    pixels = request.inputs.add(name="pixels", datatype="UINT8", shape=[1, 4, 4, 3])
    pixels.contents.uint_contents.extend([255] * 48)
    assert call(channel, request).model_name == "detection"
    pixels.contents.uint_contents[0] = 256
    assert code(channel, request) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "input 'pixels': a value is out of the range of UINT8",
    )


def infer(model: str = "translation", **values: Any) -> Any:
    request = service_pb2.ModelInferRequest(model_name=model, **values)
    request.inputs.add(name="text", datatype="BYTES", shape=[1])
    return request


def test_what_is_wrong_is_told(channel: grpc.Channel) -> None:
    wrong = [
        (infer("other"), grpc.StatusCode.NOT_FOUND, "there is no model 'other'"),
        (infer(model_version="0" * 12), grpc.StatusCode.NOT_FOUND, "has no version"),
        (infer(), grpc.StatusCode.INVALID_ARGUMENT, "does not hold the 1 elements"),
        (infer(raw_input_contents=[b"", b""]), grpc.StatusCode.INVALID_ARGUMENT, "2 tensors, but there are 1"),
        (b"\xff" * 9, grpc.StatusCode.INVALID_ARGUMENT, "the message is not of its type"),
        (b"\x0a\x01\xff", grpc.StatusCode.INVALID_ARGUMENT, "the message is not of its type"),
    ]
    for message, status, words in wrong:
        found, told = code(channel, message)
        assert (found, words in told) == (status, True), told


def test_what_would_grow_is_refused_before_it_is_unpacked() -> None:
    """Each of a size that may be sent, and ten to a hundred times as large when it is unpacked."""
    packed = b"\x2a" + _sized(b"\x2a" + _sized(b"\x12" + _sized(bytes(1_000_001))))
    for bomb in (b"\x2a\x00" * 300_000, packed, b"\x2a" + _sized(b"\x1a" + _sized(bytes(5000)))):
        with pytest.raises(wire.RefusalError) as refused:
            wire.check(bomb)
        assert refused.value.status == 413


@pytest.mark.parametrize("empty", [b"\x32\x00", b"\x42\x00"])
def test_fields_are_counted_while_they_are_read(empty: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those without a value, too: 16 MB of them took 14 s before they were refused, or were not."""
    monkeypatch.setattr(wire, "VALUES", 100)
    behind = b"\xff"  # is malformed, which nobody finds out
    with pytest.raises(wire.RefusalError) as refused:
        wire.check(b"\x2a" + _sized(b"\x2a" + _sized(empty * 101 + behind)))
    assert refused.value.status == 413


def _sized(content: bytes) -> bytes:
    length, told = len(content), b""
    while length > 0x7F:
        told, length = told + bytes([length & 0x7F | 0x80]), length >> 7
    return told + bytes([length]) + content


def test_sizes_are_bounded_packed_or_not(channel: grpc.Channel, server: Running) -> None:
    before = server.worker.memory_info().rss
    large = infer(raw_input_contents=[bytes(16_000_001)])
    assert code(channel, large)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    bomb = infer(raw_input_contents=[bytes(40_000_000)])
    found, told = code(channel, bomb, compression=grpc.Compression.Gzip)
    assert found is grpc.StatusCode.UNIMPLEMENTED, told
    assert server.worker.memory_info().rss - before < 30_000_000


def test_a_deadline_holds_and_calls_are_counted(channel: grpc.Channel, server: Running) -> None:
    assert call(channel, service_pb2.ServerLiveRequest(), "ServerLive").live
    request = service_pb2.ModelInferRequest(model_name="translation")
    request.parameters["beam"].int64_param = 16
    text = request.inputs.add(name="text", datatype="BYTES", shape=[16])
    text.contents.bytes_contents.extend([b"i eat rice ."] * 16)

    def counted(method: str, *statuses: str) -> float:
        route = f"/{SERVICE}/{method}"
        return sum(total(server, "stillhouse_requests_total", route=route, status=status) for status in statuses)

    def refused() -> bool:
        assert code(channel, request, timeout=0.01)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
        return counted("ModelInfer", "CANCELLED", "DEADLINE_EXCEEDED") >= 1

    until(refused)
    assert counted("ServerLive", "OK") >= 1
    assert len(call(channel, request).raw_output_contents) == 1


def test_a_page_of_another_site(channel: grpc.Channel) -> None:
    found, told = code(channel, infer(), metadata=(("origin", "https://example.org"),))
    assert (found, "may not ask this server" in told) == (grpc.StatusCode.PERMISSION_DENIED, True)


def test_a_client_that_sends_slowly_keeps_no_other_out() -> None:
    """Of four messages that may come at once, one client has two."""

    async def scenario() -> None:
        gate, inside, leave = Gate(4), [], asyncio.Event()

        async def come(client: str) -> None:
            async with gate.enter(client):
                inside.append(client)
                await leave.wait()

        tasks = [asyncio.create_task(come(client)) for client in "aaaaabc"]
        await asyncio.sleep(0.01)
        assert sorted(inside) == ["a", "a", "b", "c"]
        tasks[0].cancel()  # its place is the next one's
        await asyncio.sleep(0.01)
        assert sorted(inside) == ["a", "a", "a", "b", "c"]
        leave.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(inside) == 7 and not gate._clients

    asyncio.run(scenario())


def entrance(**changed: Any) -> Entrance:
    """Of a server that takes few calls, and waits for a message for a moment."""
    settings = Settings({}, read_s=0.05, requests_mb=64.0, **changed)
    return Entrance(SimpleNamespace(settings=settings, budget=Budget(10**8)), Metrics(), most=4)  # type: ignore[arg-type]


def test_who_had_no_turn_is_told_to_come_again_and_who_sends_nothing_is_not() -> None:
    """As REST's 429 and 408."""

    async def scenario() -> None:
        made, lease = entrance(), Lease(Budget(10**8), "a")

        async def silent() -> Any:
            await asyncio.sleep(60)
            yield b""

        async def refused() -> int:
            with pytest.raises(RefusalError) as found:
                await made._read("a", lease, silent())
            return found.value.status

        async with made._gate.enter("a"):
            assert await refused() == 429 and CODES[429] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await refused() == 408

    asyncio.run(scenario())


def test_one_client_has_half_of_the_calls_at_once() -> None:
    async def scenario() -> None:
        made, leave = entrance(), asyncio.Event()
        context = SimpleNamespace(time_remaining=lambda: None)

        async def method(call: Call) -> Answer:
            await leave.wait()
            return Answer([b"done"], "")

        async def ask(client: str, public: bool = False) -> bytes:
            return await made._answered(method, public, [], Lease(Budget(1), client), client, None, context)  # type: ignore[arg-type]

        tasks = [asyncio.create_task(ask(client)) for client in "aab"]
        await asyncio.sleep(0)
        health = asyncio.create_task(ask("a", public=True))
        with pytest.raises(RefusalError) as refused:
            await ask("a")
        assert refused.value.status == 429 and "2 requests for gRPC are waiting" in refused.value.reason
        leave.set()
        assert await asyncio.gather(*tasks, health) == [b"done"] * 4
        assert await ask("a") == b"done"

    asyncio.run(scenario())


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, HEADERS, DATA = 4, 1, 0
UNREAD = b"\x00\x04" + bytes(4)
"""The setting that the client takes no byte of an answer (SETTINGS_INITIAL_WINDOW_SIZE, RFC 9113, 6.5.2)."""


def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content


def header(name: str, value: str) -> bytes:
    """Literal, not indexed (RFC 7541, 6.2.2)."""
    return b"\x00" + b"".join(bytes([len(text)]) + text.encode() for text in (name, value))


def unread(method: str) -> bytes:
    """A connection's first bytes, and one call of it whose answer may not be sent."""
    told = {":method": "POST", ":scheme": "http", ":path": f"/{SERVICE}/{method}", ":authority": "localhost"}
    told |= {"content-type": "application/grpc", "te": "trailers"}
    head = b"".join(header(name, value) for name, value in told.items())
    return PREFACE + frame(SETTINGS, 0, 0, UNREAD) + frame(HEADERS, 4, 1, head) + frame(DATA, 1, 1, bytes(5))


@pytest.mark.slow
def test_who_says_or_reads_nothing_keeps_no_place(packages: dict[str, Path], serve: Callable[..., Running]) -> None:
    """A connection on which nothing comes, and one whose answer is never read: the library would keep both."""
    running = serve(packages["translation"], "--grpc-port", "0", "--read-s", "1", "--deadline-s", "1")
    running.wait_until_ready()
    host, port = running.wait_for("listening for gRPC")["address"].split(":")
    with socket.create_connection((host, port)) as silent, socket.create_connection((host, port)) as reading:
        reading.sendall(unread("ServerMetadata"))
        for connection, seconds in ((silent, 5.0), (reading, 20.0)):
            connection.settimeout(seconds)
            while connection.recv(4096):  # raises where nothing ends it; pings are not answered either
                pass
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        assert call(channel, service_pb2.ServerLiveRequest(), "ServerLive").live
