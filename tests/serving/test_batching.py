"""Items of many requests are computed together: in order, as full as may be, no later than allowed."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from batched import Model, busy, deadline, run, submitted, until

from serving.batching import Batcher


def test_results_are_those_of_the_items_in_order() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make(max_batch=3)
        tasks = [submitted(batcher, *range(start, start + 5)) for start in range(0, 100, 5)]
        for start, results in zip(range(0, 100, 5), await asyncio.gather(*tasks), strict=True):
            assert results == [10 * item for item in range(start, start + 5)]

    model = run(scenario)
    assert sorted(model.items) == list(range(100))
    assert max(map(len, model.lists)) == 3


def test_no_items_have_no_results() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        assert await make().submit([], None, deadline()) == []

    assert run(scenario).batches == []


def test_an_idle_batcher_does_not_wait() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make(max_batch=100)
        assert await batcher.submit([1], None, deadline()) == [10]
        assert await batcher.submit([2], None, deadline()) == [20]

    assert run(scenario).lists == [[1], [2]]


def test_what_comes_while_it_computes_goes_together() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make(max_batch=4)
        first = await busy(model, batcher)
        others = [submitted(batcher, item) for item in range(1, 7)]
        await until(lambda: batcher.waiting == 6)
        model.free.set()
        assert await first == [0]
        assert await asyncio.gather(*others) == [[10], [20], [30], [40], [50], [60]]

    assert run(scenario).lists == [[0], [1, 2, 3, 4], [5, 6]]


def test_only_equal_options_go_together_and_nobody_is_passed_over() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make(max_batch=3)
        first = await busy(model, batcher)
        options = ["a", "b", "a", "b", "a", "a", "b"]
        tasks = [submitted(batcher, i, options=option) for i, option in enumerate(options, 1)]
        await until(lambda: batcher.waiting == len(options))
        model.free.set()
        assert await asyncio.gather(first, *tasks) == [[10 * i] for i in range(8)]

    assert run(scenario).batches == [([0], None), ([1, 3, 5], "a"), ([2, 4, 7], "b"), ([6], "a")]


def test_a_batch_leaves_when_it_is_full_or_has_waited() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        patient = make(max_batch=3, max_wait_s=30)
        began = time.monotonic()
        assert await asyncio.gather(*(submitted(patient, item) for item in range(3))) == [[0], [10], [20]]
        assert time.monotonic() - began < 30
        hasty = make(max_batch=3, max_wait_s=0.05)
        began = time.monotonic()
        assert await hasty.submit([3], None, deadline()) == [30]
        assert time.monotonic() - began >= 0.05

    assert run(scenario).lists == [[0, 1, 2], [3]]


def test_who_leaves_while_a_batch_fills_does_not_hasten_it() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make(max_batch=3, max_wait_s=30)
        leaving = submitted(batcher, 1)
        await until(lambda: batcher.waiting == 1)
        leaving.cancel()
        await until(lambda: batcher.waiting == 0)
        assert await asyncio.gather(*(submitted(batcher, item) for item in (2, 3, 4))) == [[20], [30], [40]]

    assert run(scenario).lists == [[2, 3, 4]]


def test_instances_compute_side_by_side() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make(max_batch=1, instances=2)
        model.free.clear()
        tasks = [submitted(batcher, item) for item in range(6)]
        await until(lambda: model.most_at_once == 2)
        assert batcher.waiting >= 3
        model.free.set()
        assert await asyncio.gather(*tasks) == [[10 * item] for item in range(6)]

    assert run(scenario).most_at_once == 2


def test_every_batch_is_told() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make(max_batch=4)
        first = await busy(model, batcher)
        others = submitted(batcher, 1, 2)
        await until(lambda: batcher.waiting == 2)
        await asyncio.sleep(0.02)
        model.free.set()
        await asyncio.gather(first, others)

    done = run(scenario).done
    assert [batch.items for batch in done] == [1, 2]
    assert done[0].seconds >= 0.02
    assert len(done[1].waited) == 2
    assert min(done[1].waited) >= 0.02


def test_closing_computes_what_waits() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make(max_batch=1)
        tasks = [await busy(model, batcher), *(submitted(batcher, item) for item in (1, 2, 3))]
        await until(lambda: batcher.waiting == 3)
        closing = asyncio.create_task(batcher.close())
        model.free.set()
        await closing
        assert await asyncio.gather(*tasks) == [[0], [10], [20], [30]]

    run(scenario)


def test_the_next_batch_does_not_wait_for_the_event_loop() -> None:
    """Which may be busy with other requests' bytes when an instance becomes free."""
    began: list[float] = []

    def compute(items: Sequence[int], options: object) -> list[int]:
        began.append(time.monotonic())
        time.sleep(0.05)
        return list(items)

    async def scenario() -> float:
        batcher = Batcher(compute, max_batch=1)
        tasks = [asyncio.create_task(batcher.submit([item], None, deadline())) for item in range(3)]
        await until(lambda: len(began) == 1)
        time.sleep(0.4)
        blocked_until = time.monotonic()
        assert await asyncio.gather(*tasks) == [[0], [1], [2]]
        return blocked_until

    blocked_until = asyncio.run(scenario())
    assert len(began) == 3 and all(moment < blocked_until for moment in began)


def test_items_of_one_request_go_together_though_an_instance_is_free() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make(max_batch=8)
        for first in range(0, 400, 8):
            await batcher.submit(range(first, first + 8), None, deadline())

    assert all(len(items) == 8 for items in run(scenario).lists)


class Panic(BaseException):
    """As a library written in another language may raise."""


@pytest.mark.parametrize("error", [Panic("of a library"), SystemExit(3), StopIteration(), ValueError("one")], ids=repr)
def test_whatever_an_item_raises_the_others_are_answered_and_the_instance_goes_on(error: BaseException) -> None:
    def compute(items: Sequence[Any], options: object) -> list[Any]:
        for item in items:
            if isinstance(item, BaseException):
                raise item
        return list(items)

    async def scenario() -> None:
        batcher = Batcher(compute, max_batch=4)
        found = await asyncio.gather(
            *(batcher.submit([item], None, deadline()) for item in (1, error, 2)), return_exceptions=True
        )
        assert (found[0], found[2]) == ([1], [2])
        assert isinstance(found[1], Exception) and str(error) in str(found[1])
        assert await batcher.submit([3], None, deadline()) == [3]
        await batcher.close()

    asyncio.run(scenario())


def test_an_idle_instance_keeps_no_inputs() -> None:
    class Picture:
        pass

    async def scenario() -> None:
        batcher = Batcher(lambda items, options: [None for _ in items], max_batch=4)
        picture = Picture()
        gone = weakref.ref(picture)
        await batcher.submit([picture], None, deadline())
        del picture
        await until(lambda: gone() is None)
        await batcher.close()

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_each_result_is_told_when_those_before_it_are_there() -> None:
    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        may = [threading.Event() for _ in range(3)]
        told: list[int] = []

        def compute(items: Sequence[int], options: Any) -> list[int]:
            assert may[items[0]].wait(60)
            return list(items)

        async def each(result: int) -> None:
            told.append(result)

        batcher = Batcher(compute, 1, instances=3)
        task = asyncio.create_task(batcher.submit([0, 1, 2], None, deadline(), each=each))
        may[1].set()
        may[0].set()
        await until(lambda: len(told) == 2)
        assert told == [0, 1] and not task.done()
        may[2].set()
        assert await task == told == [0, 1, 2]
        await batcher.close()

    run(scenario)


def test_what_is_made_of_a_result_is_made_where_it_was_computed() -> None:
    """An answer costs no other thread's time, and one that fails is its own request's fault alone."""

    async def scenario(model: Model, make: Callable[..., Batcher]) -> None:
        batcher = make(max_batch=3)
        first = await busy(model, batcher)

        def told(result: int) -> tuple[int, str]:
            return result, threading.current_thread().name

        def fails(result: int) -> None:
            raise StopIteration(result)

        kinds = (told, fails, None)
        tasks = [asyncio.create_task(batcher.submit([i], None, deadline(), finish=kinds[i])) for i in range(3)]
        await until(lambda: batcher.waiting == 3)
        model.free.set()
        assert await first == [0]
        assert await tasks[0] == [(0, "batch-0")]
        with pytest.raises(RuntimeError, match="StopIteration: 10"):
            await tasks[1]
        assert await tasks[2] == [20]

    assert run(scenario).lists == [[0], [0, 1, 2]]
