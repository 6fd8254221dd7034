"""Answers that come in parts: each as soon as it is computed, and together what one answer would be."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from running import Running
from scraped import total

from serving import events
from serving.errors import ClientGoneError, RefusalError

ASKED = {"Accept": "text/event-stream"}
TEXTS = ["i eat rice .", "...", "  he see fish . you buy bread .", "you eat fish ."]


def read(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Name (or number) and data of each event."""
    found = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((fields.get("event") or fields["id"], json.loads(fields["data"])))
    return found


def ask(server: Running, path: str, **options: Any) -> httpx.Response:
    answer = server.http.post(path, headers=ASKED, **options)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream"), answer.text
    assert "content-length" not in answer.headers
    return answer


def test_every_text_is_told_by_itself(server: Running) -> None:
    plain = server.http.post("/v1/translate", json={"text": TEXTS, "alignment": True}).json()
    *parts, last = read(ask(server, "/v1/translate", json={"text": TEXTS, "alignment": True}).text)
    assert [name for name, _ in parts] == ["0", "1", "2", "3"]
    assert [data["translations"] for _, data in parts] == [[one] for one in plain["translations"]]
    assert last == ("done", {"model": plain["model"], "version": plain["version"], "parts": 4})


@pytest.mark.parametrize("text", ["  i eat rice .\n\n he see fish .  ... you buy bread . ", "..."])
def test_the_sentences_of_one_text_are_the_text(server: Running, text: str) -> None:
    (plain,) = server.http.post("/v1/translate", json={"text": text}).json()["translations"]
    *parts, last = read(ask(server, "/v1/translate", json={"text": text}).text)
    told = [data["translations"][0] for _, data in parts]
    assert "".join(one["text"] for one in told) == plain["text"]
    assert [sentence for one in told for sentence in one["sentences"]] == plain["sentences"]
    assert last[1]["parts"] == len(parts)


def test_a_task_that_has_no_parts_tells_one(server: Running, packages: dict[str, Path]) -> None:
    files = {"image": (packages["detection"] / "golden" / "0.png").read_bytes()}
    plain = server.http.post("/v1/detect", files=files).json()
    (first, data), (last, about) = read(ask(server, "/v1/detect", files=files).text)
    assert (first, last, about["parts"]) == ("0", "done", 1)
    assert data | {"model": plain["model"], "version": plain["version"]} == plain


def test_the_first_part_comes_while_others_are_computed(server: Running) -> None:
    """And who leaves is not computed for."""
    count = 400
    before = total(server, "stillhouse_batch_size_sum")
    content = {"text": "\n".join(["i eat rice ."] * count), "beam": 4}
    with server.http.stream("POST", "/v1/translate", headers=ASKED, json=content) as answer:
        first = next(answer.iter_text())
        assert total(server, "stillhouse_batch_size_sum") - before < count
    assert read(first.split("\n\n")[0] + "\n\n")[0][0] == "0"


def test_what_is_refused_has_its_status(server: Running) -> None:
    for content, status in (({"text": ""}, 400), ({"text": ["i eat rice ."] * 65}, 400), ({}, 400)):
        answer = server.http.post("/v1/translate", headers=ASKED, json=content)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    assert server.http.post("/v1/translate?model=other", headers=ASKED, json={"text": "i ."}).status_code == 404


def sent(*steps: bytes | Exception) -> list[dict[str, Any]]:
    """What a stream sends whose work tells these, or raises."""
    messages: list[dict[str, Any]] = []

    async def work(tell: events.Tell) -> None:
        for step in steps:
            if isinstance(step, Exception):
                raise step
            await tell(step)

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> Any:
        raise AssertionError

    asyncio.run(events.Stream(work)({"type": "http"}, receive, send))
    return messages


def test_what_fails_after_the_first_part_is_told_as_an_event() -> None:
    start, first, error, end = sent(b"data: 1\n\n", RefusalError(429, "the deadline passed"))
    assert (start["status"], first["more_body"], end["more_body"]) == (200, True, False)
    assert read(error["body"].decode()) == [("error", {"error": "the deadline passed", "status": 429})]
    with pytest.raises(RefusalError):
        sent(RefusalError(429, "busy"))
    assert [message.get("more_body") for message in sent(b"data: 1\n\n", ClientGoneError())] == [None, True]


def test_an_event_that_was_cut_off_is_not_followed_by_another() -> None:
    """A client that does not read holds an event until the deadline: no more may be told within it, nor may it pass for
    whole."""
    messages: list[dict[str, Any]] = []

    async def work(tell: events.Tell) -> None:
        try:
            async with asyncio.timeout(0.01):
                await tell(b"data: 1\n\n")
        except TimeoutError:
            raise RefusalError(429, "the deadline passed") from None

    async def send(message: Any) -> None:
        messages.append(message)
        if len(messages) == 2:
            await asyncio.sleep(60)

    async def receive() -> Any:
        raise AssertionError

    asyncio.run(events.Stream(work)({"type": "http"}, receive, send))
    assert [message.get("more_body") for message in messages] == [None, True]
