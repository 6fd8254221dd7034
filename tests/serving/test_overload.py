"""More than the server can do: refused at once, with the time to come again (docs/faults.md 92, 93)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import raw_http
import scraped
from load import Load
from refusals import refused
from running import Running
from waiting import until
from waiting_requests import asked, waits

QUEUE = 3
Serve = Callable[..., Running]


@pytest.fixture(scope="module")
def waiting(packages: dict[str, Path]) -> Iterator[Running]:
    """What is asked for waits ten seconds; `QUEUE` may."""
    with Running(str(packages["translation"]), *waits(), "--queue", str(QUEUE)) as server:
        server.wait_until_ready()
        yield server


def translate(client: httpx.Client, **headers: str) -> httpx.Response:
    return client.post("/v1/translate", json={"text": "i eat rice ."}, headers=headers)


def queued(server: Running) -> float:
    return scraped.total(server, "stillhouse_queue_items")


def batches(server: Running) -> float:
    return scraped.total(server, "stillhouse_batch_size_count")


def test_a_full_queue_says_when_to_come_again(waiting: Running) -> None:
    with ExitStack() as stack:
        for _ in range(QUEUE):
            asked(stack, waiting)
        until(lambda: queued(waiting) == QUEUE)
        answer = translate(waiting.http)
        refused(answer, 429, "waiting; retry later")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["i eat rice ."]}
        refused(waiting.http.post("/v2/models/translation/infer", json={"inputs": [tensor]}), 429, "retry later")
        assert waiting.http.get("/ready").status_code == 200  # a busy server is none to be restarted
    until(lambda: queued(waiting) == 0)


def test_items_count_not_only_requests(waiting: Running) -> None:
    with ExitStack() as stack:
        asked(stack, waiting, ["i eat rice .", "i eat fish ."])
        until(lambda: queued(waiting) == 2)
        answer = waiting.http.post("/v1/translate", json={"text": ["i eat rice ."] * 2})
        refused(answer, 429, "the model is busy: 2 items wait already")
    until(lambda: queued(waiting) == 0)


def test_who_leaves_is_not_computed_for(waiting: Running) -> None:
    """docs/faults.md 93: and makes room for others."""
    before = batches(waiting)
    for _ in range(3):
        with ExitStack() as stack:
            for _ in range(QUEUE):
                asked(stack, waiting)
            until(lambda: queued(waiting) == QUEUE)
        until(lambda: queued(waiting) == 0)
    assert batches(waiting) == before
    until(lambda: scraped.total(waiting, "stillhouse_requests_total", status="499") >= 3 * QUEUE)
    assert waiting.wait_for("request", status=499, path="/v1/translate")


def test_a_deadline_of_a_request(waiting: Running) -> None:
    before = batches(waiting)
    answer = translate(waiting.http, **{"X-Deadline-Ms": "50"})
    refused(answer, 429, "the deadline passed before the answer was there; retry later")
    assert int(answer.headers["retry-after"]) >= 1
    assert queued(waiting) == 0
    assert batches(waiting) == before


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "soon", "", "9" * 30, "٣"])
def test_a_deadline_that_is_none(waiting: Running, text: str) -> None:
    answer = translate(waiting.http, **{"X-Deadline-Ms": text.encode()})  # type: ignore[arg-type]
    refused(answer, 400, "X-Deadline-Ms: expected milliseconds, a whole number above 0")


def test_a_request_can_ask_for_less_time_than_the_server_gives_not_for_more(
    serve: Serve, packages: dict[str, Path]
) -> None:
    server = serve(packages["translation"], *waits(), "--deadline-s", "0.2")
    server.wait_until_ready()
    refused(translate(server.http, **{"X-Deadline-Ms": "60000"}), 429, "the deadline passed")
    refused(translate(server.http), 429, "the deadline passed")


def test_more_load_than_a_small_queue_takes(serve: Serve, packages: dict[str, Path]) -> None:
    """Everybody gets an answer: the right one or 429."""
    server = serve(packages["translation"], "--queue", "2", "--max-batch", "1")
    server.wait_until_ready()
    expected = translate(server.http).json()
    with Load(server, translate, threads=12) as load:
        until(lambda: {answer.status_code for answer in list(load.answers)} == {200, 429} and len(load.answers) > 300)
    assert load.errors == []
    statuses = {answer.status_code for answer in load.answers}
    assert statuses == {200, 429}
    assert all(answer.json() == expected for answer in load.answers if answer.status_code == 200)
    assert all("retry-after" in answer.headers for answer in load.answers if answer.status_code == 429)
    assert translate(server.http).status_code == 200


def test_two_models_do_not_wait_for_one_another(serve: Serve, packages: dict[str, Path]) -> None:
    server = serve(packages["translation"], packages["detection"], *waits(), "--queue", "1")
    server.wait_until_ready()
    picture = (packages["detection"] / "golden" / "0.png").read_bytes()
    with ExitStack() as stack:
        asked(stack, server)
        until(lambda: scraped.total(server, "stillhouse_queue_items", model="translation") == 1)
        refused(translate(server.http), 429, "1 requests for translation are waiting")
        connection = stack.enter_context(raw_http.connected(server))
        kind = {"Content_Type": "image/png", "Content_Length": len(picture)}
        raw_http.send(connection, [raw_http.head("/v1/detect", **kind) + picture])
        until(lambda: scraped.total(server, "stillhouse_queue_items", model="detection") == 1)
