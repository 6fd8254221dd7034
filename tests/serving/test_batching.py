"""Items of many requests computed together: order, bounds, deadlines, and what one item may do to the others."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from serving.batching import Batcher, Done
from serving.errors import RefusalError

SOON = 60.0
"""A deadline that no test reaches."""


class Model:
    """Computes `10 * item` when it may; remembers its batches. Items that are exceptions are raised."""

    def __init__(self) -> None:
        self.batches: list[tuple[list[Any], Any]] = []
        self.done: list[Done] = []
        self.free = threading.Event()
        self.free.set()
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()

    def run(self, items: Sequence[Any], options: Any) -> list[Any]:
        with self._lock:
            self.batches.append((list(items), options))
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        assert self.free.wait(60)
        with self._lock:
            self._at_once -= 1
        for item in items:
            if isinstance(item, Exception):
                raise item
        return [10 * item for item in items]

    @property
    def lists(self) -> list[list[Any]]:
        return [items for items, _ in self.batches]

    @property
    def items(self) -> list[Any]:
        return [item for items in self.lists for item in items]


def run(scenario: Callable[[Model, Callable[..., Batcher]], Awaitable[None]]) -> Model:
    """A scenario in an event loop of its own; its batchers are closed, its model is returned."""
    model = Model()

    async def whole() -> None:
        made: list[Batcher] = []

        def batcher(max_batch: int = 4, **settings: Any) -> Batcher:
            made.append(Batcher(model.run, max_batch, observe=model.done.append, **settings))
            return made[-1]

        async with asyncio.timeout(60):
            await scenario(model, batcher)
            model.free.set()
            for one in made:
                await one.close()

    asyncio.run(whole())
    return model


def deadline(seconds: float = SOON) -> float:
    return time.monotonic() + seconds


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def submitted(batcher: Batcher, *items: Any, options: Any = None, seconds: float = SOON) -> asyncio.Task[list[Any]]:
    return asyncio.create_task(batcher.submit(items, options, deadline(seconds)))


async def busy(model: Model, batcher: Batcher) -> asyncio.Task[list[Any]]:
    """A batch of one item, 0, that is being computed until `model.free` is set."""
    model.free.clear()
    task = submitted(batcher, 0)
    await until(lambda: model.batches)
    return task


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
