"""Bounds on what waits and how long, and what one item or one client may do to the others: nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from batched import Model, busy, deadline, run, submitted, until

from serving.batching import Batcher
from serving.errors import RefusalError


def test_a_full_queue_refuses_and_says_for_how_long() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make(max_batch=1, queue=3)
        first = await busy(model, batcher)
        waiting = [submitted(batcher, item) for item in (1, 2)]
        await until(lambda: batcher.waiting == 2)
        with pytest.raises(RefusalError, match="2 items wait already") as refusal:
            await batcher.submit([3, 4], None, deadline())
        assert refusal.value.status == 429
        assert int(refusal.value.headers["Retry-After"]) >= 1
        waiting.append(submitted(batcher, 5))
        await until(lambda: batcher.waiting == 3)
        model.free.set()
        assert await asyncio.gather(first, *waiting) == [[0], [10], [20], [50]]

    assert 3 not in run(scenario).items


def test_a_request_larger_than_the_queue_is_taken_when_nobody_waits() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        assert len(await make(max_batch=4, queue=2).submit(range(9), None, deadline())) == 9

    assert run(scenario).items == list(range(9))


def test_the_time_to_come_again_is_that_of_what_waits() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make(max_batch=1)
        assert batcher.retry_after() == 0
        first = await busy(model, batcher)
        await asyncio.sleep(0.05)
        model.free.set()
        await first
        model.free.clear()
        tasks = [submitted(batcher, item) for item in range(1, 12)]
        await until(lambda: batcher.waiting == 10)
        assert batcher.retry_after() == pytest.approx(10 * model.done[0].seconds)
        model.free.set()
        await asyncio.gather(*tasks)

    run(scenario)


def test_a_deadline_passes_and_its_items_are_not_computed() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make()
        first = await busy(model, batcher)
        with pytest.raises(RefusalError, match="the deadline passed") as refusal:
            await batcher.submit([1, 2], None, deadline(0.01))
        assert refusal.value.status == 429
        assert batcher.waiting == 0
        model.free.set()
        assert await first == [0]
        assert await batcher.submit([3], None, deadline()) == [30]

    assert run(scenario).lists == [[0], [3]]


def test_a_deadline_that_passes_while_an_item_is_computed() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make()
        model.free.clear()
        with pytest.raises(RefusalError, match="the deadline passed"):
            await submitted(batcher, 1, seconds=0.05)
        model.free.set()
        assert await batcher.submit([2], None, deadline()) == [20]

    assert run(scenario).lists == [[1], [2]]


def test_who_leaves_makes_room_and_is_not_computed_for() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make(max_batch=8, queue=4)
        first = await busy(model, batcher)
        leaving, staying = submitted(batcher, 1, 2, 3), submitted(batcher, 4)
        await until(lambda: batcher.waiting == 4)
        leaving.cancel()
        await until(lambda: batcher.waiting == 1)
        more = submitted(batcher, 5, 6, 7)
        await until(lambda: batcher.waiting == 4)
        model.free.set()
        assert await asyncio.gather(first, staying, more) == [[0], [40], [50, 60, 70]]
        assert leaving.cancelled()

    assert run(scenario).lists == [[0], [4, 5, 6, 7]]


def test_one_bad_item_does_not_spoil_the_others() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make(max_batch=8)
        first = await busy(model, batcher)
        good, bad, also_good = submitted(batcher, 1), submitted(batcher, ValueError("poison")), submitted(batcher, 2)
        await until(lambda: batcher.waiting == 3)
        model.free.set()
        assert await asyncio.gather(first, good, also_good) == [[0], [10], [20]]
        with pytest.raises(ValueError, match="poison"):
            await bad
        assert await batcher.submit([3], None, deadline()) == [30]

    run(scenario)


def test_a_request_with_a_bad_item_fails_as_a_whole() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make()
        with pytest.raises(ValueError, match="poison"):
            await batcher.submit([1, ValueError("poison"), 2], None, deadline())
        assert await batcher.submit([3], None, deadline()) == [30]
        assert batcher.waiting == 0

    run(scenario)


def test_a_model_that_forgets_a_result_fails_its_requests() -> None:
    """A fault of a task's code: it must not leave anybody waiting."""

    async def whole() -> None:
        batcher = Batcher(lambda items, options: [], max_batch=4)
        for task in [submitted(batcher, item) for item in range(2)]:
            with pytest.raises(RuntimeError, match="0 results for 1 items"):
                await task
        await batcher.close()

    asyncio.run(whole())
