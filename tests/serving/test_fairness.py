"""One client, or one request, never has all of the server: memory, places, threads and batches are shared."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import raw_http
from batched import Model, busy, deadline, run, submitted, until
from PIL import Image
from refusals import refused
from running import Running

from serving import answers
from serving.admission import Admission
from serving.batching import Batcher
from serving.budget import Budget
from serving.errors import RefusalError
from serving.rotation import Rotation, Turns

Serve = Callable[..., Running]
SIDE = 1400
"""Of a square that is 2 million pixels, in a PNG of some hundred bytes."""


def test_clients_take_turns_and_so_do_their_requests() -> None:
    queue: Rotation[str] = Rotation()
    for request in ("a", "b"):
        for i in range(3):
            queue.push("many", request, f"{request}{i}")
    queue.push("one", "c", "c0")
    assert len(queue) == 7
    assert (queue.of("many"), queue.of("one"), queue.of("none")) == (6, 1, 0)
    assert queue.take(4) == ["a0", "c0", "b0", "a1"]
    queue.drop("many", "a")
    assert queue.take(9) == ["b1", "b2"]
    assert len(queue) == 0
    assert queue.take(1) == []


def test_a_client_whose_items_do_not_fit_keeps_its_turn() -> None:
    queue: Rotation[int] = Rotation()
    for client, item in (("a", 1), ("b", 2), ("c", 3), ("a", 5)):
        queue.push(client, object(), item)
    assert queue.take(9, lambda taken, item: not taken or item % 2 == taken[0] % 2) == [1, 3, 5]
    assert queue.take(9) == [2]


def test_a_small_request_waits_for_a_batch_or_two_of_a_large_one() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make(max_batch=4, queue=64)
        first = await busy(model, batcher)
        large = asyncio.create_task(batcher.submit(list(range(100, 400)), None, deadline(), "one"))
        await until(lambda: batcher.waiting == 16)  # a quarter of the queue, whatever it holds
        small = submitted(batcher, 7)
        await until(lambda: batcher.waiting == 17)
        model.free.set()
        assert await small == [70]
        assert not large.done()
        assert any(7 in items for items in model.lists[:3])
        assert len(await large) == 300
        await first

    run(scenario)


def test_more_than_the_deadline_allows_is_refused_at_once() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make(max_batch=2, queue=64)
        first = await busy(model, batcher)
        await asyncio.sleep(0.1)
        model.free.set()
        await first
        with pytest.raises(RefusalError, match="makes 200 parts, which would take about") as refusal:
            await batcher.submit(range(200), None, deadline(1))
        assert refusal.value.status == 413
        with pytest.raises(RefusalError, match="makes 5000 parts, expected at most 4096"):
            await batcher.submit(range(5000), None, deadline())

    assert run(scenario).items == [0]


def test_instances_that_compute_side_by_side_share_a_request() -> None:
    """Eight take an eighth of the time: what one could not do within the deadline is not refused."""

    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make(max_batch=2, queue=64, instances=8)
        first = await busy(model, batcher)
        await asyncio.sleep(0.1)
        model.free.set()
        await first
        assert len(await batcher.submit(range(200), None, deadline(2))) == 200

    run(scenario)


def test_threads_are_given_in_turn_and_what_is_cancelled_is_dropped() -> None:
    async def scenario() -> None:
        pool, free, order = ThreadPoolExecutor(1), threading.Event(), []
        turns = Turns(pool, 1)

        def work(name: str) -> None:
            free.wait(20)
            order.append(name)

        async def asked(client: str, name: str) -> None:
            await turns.run(client, lambda: work(name))

        tasks = [asyncio.create_task(asked(name[0], name)) for name in ("a1", "a2", "a3", "b1", "b2")]
        await asyncio.sleep(0.05)
        tasks[0].cancel()  # its thread works on, and no other begins beside it
        tasks[2].cancel()
        await asyncio.sleep(0.05)
        assert order == []
        free.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert order == ["a1", "a2", "b1", "b2"]
        await turns.run("c", lambda: None)
        pool.shutdown()

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_a_client_has_half_of_the_memory_at_most() -> None:
    budget = Budget(100)
    with budget.lease("a") as one, budget.lease("a") as two, budget.lease("b") as three:
        one.grow(30)
        two.grow(20)
        with pytest.raises(RefusalError, match="retry later") as refusal:
            two.grow(1)
        assert refusal.value.status == 429
        three.grow(50)
        one.resize(10)
        assert budget.used == 80
    assert budget.used == 0


def test_a_client_has_half_of_the_places_at_most() -> None:
    admission = Admission("m", 2, lambda: 3.0)
    with ExitStack() as stack:
        for client in "aab":
            stack.enter_context(admission.enter(client))
        with pytest.raises(RefusalError, match="2 requests for m are waiting") as refusal:
            stack.enter_context(admission.enter("a"))
        assert refusal.value.headers["Retry-After"] == "3"
        stack.enter_context(admission.enter("c"))
        with pytest.raises(RefusalError, match="4 requests for m are waiting"):
            stack.enter_context(admission.enter("d"))
    with admission.enter("a"):
        pass


def test_an_answer_in_pieces_is_the_answer() -> None:
    value = {"a": [], "b": {"c": [[1.5, 2], [3]], "d": "é\u2028"}, "rows": [{"x": [i] * 1000} for i in range(100)]}
    pieces = answers.json(value)
    assert json.loads(b"".join(pieces)) == value
    assert len(pieces) > 1
    assert max(map(len, pieces)) < 2 * answers.PIECE
    assert [json.loads(b"".join(answers.json(one))) for one in ({}, [], 1, "x", None)] == [{}, [], 1, "x", None]


@pytest.fixture
def narrow(serve: Serve, packages: dict[str, Path]) -> Running:
    """A server that gives all requests together 8 MB."""
    server = serve(*packages.values(), "--requests-mb", "8", "--max-pixels", "4000000")
    server.wait_until_ready()
    return server


def test_bodies_that_never_end_hold_what_they_are_given(narrow: Running) -> None:
    with ExitStack() as stack:
        ends = []
        for _ in range(6):
            connection = stack.enter_context(raw_http.connected(narrow))
            kind = {"Content_Type": "image/png", "Content_Length": 2_000_000}
            raw_http.send(connection, [raw_http.head("/v1/detect", **kind), bytes(1_500_000)])
            ends.append(connection)
        answered = [connection for connection in ends if _readable(connection)]
        assert len(answered) == 4  # two fit into half of it
        for connection in answered:
            answer = raw_http.answer(connection)
            assert (answer.status, answer.headers["connection"]) == (429, "close")
            assert "retry-after" in answer.headers
        assert narrow.http.get("/live").status_code == 200
    assert narrow.http.post("/v1/translate", json={"text": "i eat rice ."}).status_code == 200


def _readable(connection: socket.socket) -> bool:
    connection.settimeout(1)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False
    finally:
        connection.settimeout(60)


def test_many_pictures_of_few_bytes(narrow: Running) -> None:
    """docs/faults.md 98: one after another, and no more pixels than a request may have."""
    file = io.BytesIO()
    Image.new("1", (SIDE, SIDE)).save(file, "PNG")

    def ask(count: int) -> tuple[bytes, dict[str, str]]:
        blob = b"".join(struct.pack("<I", len(file.getvalue())) + file.getvalue() for _ in range(count))
        entry = {"name": "image", "datatype": "BYTES", "shape": [count], "parameters": {"binary_data_size": len(blob)}}
        head = json.dumps({"inputs": [entry]}).encode()
        return head + blob, {"Inference-Header-Content-Length": str(len(head))}

    before = narrow.worker.memory_info().rss
    for count, status in ((2, 200), (3, 400), (64, 400)):
        body, headers = ask(count)
        answer = narrow.http.post("/v2/models/detection/infer", content=body, headers=headers)
        assert answer.status_code == status, answer.text
    refused(answer, 400, r"image\[2\]: .*1400 x 1400.*what the images before it left of 4000000")
    assert narrow.worker.memory_info().rss - before < 150e6


def test_one_client_with_many_sentences_does_not_keep_another_waiting(serve: Serve, packages: dict[str, Path]) -> None:
    server = serve(packages["translation"])
    server.wait_until_ready()
    text, over = "go on. " * 1000, time.monotonic() + 3
    waited: list[float] = []

    def hostile() -> None:
        while time.monotonic() < over:
            server.http.post("/v1/translate", json={"text": text, "beam": 16}, headers={"X-Deadline-Ms": "3000"})

    threads = [threading.Thread(target=hostile) for _ in range(3)]
    for thread in threads:
        thread.start()
    while time.monotonic() < over - 1:
        time.sleep(0.2)
        began = time.monotonic()
        assert server.http.post("/v1/translate", json={"text": "i eat rice ."}).status_code == 200
        waited.append(time.monotonic() - began)
    for thread in threads:
        thread.join()
    assert len(waited) > 2
    assert max(waited) < 2
