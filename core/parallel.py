"""Work on several cores, in processes: Python computes on one in each.

Results come in the order of what was asked, and of both no more is in memory than is being worked on.
"""

from __future__ import annotations

import gc
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from core.errors import WorkerDiedError
from core.family import die_with_parent

A = TypeVar("A")
B = TypeVar("B")
AHEAD = 2
"""Items for each process that are given out before the first result is taken."""

_most = 0
_function: Callable[[Any], Any] | None = None
"""Of a process that works for another."""


def use(cores: int) -> None:
    """At most so many processes from now on; 0: as many as there are cores for this one."""
    global _most  # noqa: PLW0603 - of the process, as the cores are
    _most = cores


def cores() -> int:
    """Processes that work side by side."""
    return _most or len(os.sched_getaffinity(0))


def cut(items: Sequence[A], size: int) -> list[Sequence[A]]:
    """`items` in pieces of `size`, the last one of what is left."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def mapped(function: Callable[[A], B], items: Sequence[A]) -> Iterator[B]:
    """`function` of each item, in their order. With one core, or one item, in this process.

    The processes are forks: they have what `function` stands on, and are told items alone. What it raises is raised
    here. Raises: WorkerDiedError for a process that was killed.
    """
    count = min(cores(), len(items))
    if count < 2:
        yield from map(function, items)
        return
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import active_children, get_context

    others = active_children()
    pool = ProcessPoolExecutor(count, get_context("fork"), _begin, (function,))
    left = iter(items)
    try:
        waiting = deque(pool.submit(_work, item) for item in islice(left, count * AHEAD))
        while waiting:
            found = waiting.popleft().result()
            waiting.extend(pool.submit(_work, item) for item in islice(left, 1))
            yield found
    except BrokenProcessPool:
        raise WorkerDiedError(
            "a process that worked beside this one was killed, usually for want of memory; `threads` in params.yaml "
            "makes them fewer. Run the same again"
        ) from None
    except BaseException:  # SIGTERM and Ctrl-C among them: what the others do is of no use any more
        for process in active_children():
            if process not in others:
                process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(function: Callable[[Any], Any]) -> None:
    """A process that works for another ends with it, and leaves Ctrl-C to it."""
    global _function  # noqa: PLW0603
    die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # to look at what was there would copy the memory that both processes share
    _function = function


def _work(item: Any) -> Any:
    assert _function is not None
    return _function(item)
