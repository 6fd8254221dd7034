"""Equal requests that come together are computed once, where that is asked for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from running import Running
from scraped import total

from serving.coalescing import Coalescing
from serving.errors import RefusalError

SOON = 60.0


class Work:
    """Counts how often it is done; ends when it may, as it is told."""

    def __init__(self) -> None:
        self.begun, self.may, self.fails, self.status = 0, asyncio.Event(), 0, 429

    async def __call__(self) -> str:
        self.begun += 1
        mine = self.begun
        await self.may.wait()
        await asyncio.sleep(0.01)  # so that the next to compute is found by the others
        if mine <= self.fails:
            raise RefusalError(self.status, f"{mine}")
        return f"answer {mine}"


def asked(one: Coalescing[str], work: Work, key: str = "a", seconds: float = SOON) -> asyncio.Task[str]:
    return asyncio.create_task(one.run(key, time.monotonic() + seconds, work))


def run(scenario: Callable[[Coalescing[str], Work, list[None]], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        shared: list[None] = []
        async with asyncio.timeout(60):
            await scenario(Coalescing(lambda: shared.append(None)), Work(), shared)

    asyncio.run(whole())


def test_equal_ones_are_computed_once_at_a_time() -> None:
    async def scenario(one: Coalescing[str], work: Work, shared: list[None]) -> None:
        tasks = [asked(one, work) for _ in range(5)] + [asked(one, work, "b")]
        await asyncio.sleep(0)
        assert work.begun == 2
        work.may.set()
        assert await asyncio.gather(*tasks) == ["answer 1"] * 5 + ["answer 2"]
        assert await asked(one, work) == "answer 3"  # nothing is kept
        assert len(shared) == 4

    run(scenario)


def test_who_waits_is_not_hurt_by_one_that_fails_or_leaves() -> None:
    async def scenario(one: Coalescing[str], work: Work, shared: list[None]) -> None:
        work.fails = 1
        first, *others = [asked(one, work) for _ in range(3)]
        leaving = asked(one, work, "b")
        staying = asked(one, work, "b")
        await asyncio.sleep(0)
        leaving.cancel()
        work.may.set()
        with pytest.raises(RefusalError, match="1"):
            await first
        answers = await asyncio.gather(*others, staying)
        assert answers[0] == answers[1] and set(answers) == {"answer 3", "answer 4"}
        assert work.begun == 4 and len(shared) == 1

    run(scenario)


def test_what_is_wrong_with_all_of_them_is_found_once() -> None:
    async def scenario(one: Coalescing[str], work: Work, shared: list[None]) -> None:
        work.fails, work.status = 5, 400
        tasks = [asked(one, work) for _ in range(5)]
        await asyncio.sleep(0)
        work.may.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(each) for each in found] == ["1"] * 5 and work.begun == 1 and not shared
        work.fails = 0
        assert await asked(one, work) == "answer 2"

    run(scenario)


def test_everyone_has_a_deadline() -> None:
    async def scenario(one: Coalescing[str], work: Work, shared: list[None]) -> None:
        first, second = asked(one, work), asked(one, work, seconds=0.01)
        with pytest.raises(RefusalError) as refused:
            await second
        assert refused.value.status == 429 and not first.done()
        work.may.set()
        assert await first == "answer 1"

    run(scenario)


@pytest.mark.slow
def test_a_server_computes_equal_requests_once(packages: dict[str, Path], serve: Callable[..., Running]) -> None:
    """A batch that is not full waits, so that all of them come in time."""
    server = serve(packages["translation"], "--coalesce", "--max-wait-ms", "1000")
    server.wait_until_ready()

    def ask(text: str) -> Any:
        return server.http.post("/v1/translate", json={"text": text}).json()["translations"]

    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(ask, ["i eat rice ."] * 8 + ["he see fish ."]))
    assert answers[1:8] == answers[:1] * 7 and answers[8] != answers[0]
    assert total(server, "stillhouse_batch_size_sum") == 2
    assert total(server, "stillhouse_shared_answers_total") == 7
