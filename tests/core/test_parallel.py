"""Work on several cores is the work of one, in its order; what goes wrong in a process is told in this one."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing import active_children

import pytest

from core import parallel
from core.errors import DataError, WorkerDiedError


@pytest.fixture(params=[1, 3], autouse=True)
def cores(request: pytest.FixtureRequest) -> Iterator[int]:
    parallel.use(request.param)
    yield request.param
    parallel.use(0)


def test_results_come_in_order_from_several_processes(cores: int) -> None:
    def work(item: int) -> tuple[int, int]:  # of a function: a fork has what it stands on
        time.sleep(0.01 * (item == 0))
        return item, os.getpid()

    found = list(parallel.mapped(work, range(20)))
    assert [item for item, _ in found] == list(range(20))
    assert (os.getpid() in {pid for _, pid in found}) == (cores == 1)


def test_an_error_is_raised_here() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise DataError("the third is bad")
        return item

    with pytest.raises(DataError, match="the third is bad"):
        list(parallel.mapped(work, range(9)))


def test_a_killed_process_is_told_and_may_be_tried_again(cores: int) -> None:
    if cores == 1:
        return
    with pytest.raises(WorkerDiedError, match="Run the same again"):
        list(parallel.mapped(lambda item: os.kill(os.getpid(), signal.SIGKILL), range(4)))


def test_no_more_is_given_out_than_is_worked_on(cores: int) -> None:
    given: list[int] = []

    class Items(list[int]):
        def __iter__(self) -> Iterator[int]:
            for item in range(100):
                given.append(item)
                yield item

    found = parallel.mapped(lambda item: item, Items(range(100)))
    assert next(found) == 0 and len(given) <= cores * parallel.AHEAD + 1
    found.close()


def test_what_ends_this_process_ends_the_others_at_once(cores: int) -> None:
    if cores == 1:
        return

    def work(item: int) -> int:
        time.sleep(60 * (item > 0))
        return os.getpid()

    found = parallel.mapped(work, range(9))
    next(found)
    began = time.monotonic()
    with pytest.raises(SystemExit):
        found.throw(SystemExit(143))  # as the handler of SIGTERM raises it
    assert time.monotonic() - began < 30 and not active_children()


def test_what_was_there_is_not_looked_at_by_the_garbage_collector_of_each(cores: int) -> None:
    """It would write into every page of it, and so copy all."""
    before = gc.get_freeze_count()  # of this process it can only fall: what is frozen may go
    counts = set(parallel.mapped(lambda item: gc.get_freeze_count(), range(4)))
    assert all((count > before) == (cores > 1) for count in counts)
