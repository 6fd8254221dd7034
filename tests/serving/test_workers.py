"""Several workers of one server look like one to whoever asks: they share connections, figures and memory."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import raw_http
import scraped
from running import Running
from versions import released
from waiting import until

from serving.board import Board, Seat
from serving.budget import Budget
from serving.errors import RefusalError

TEXT = b"i eat rice ."
ASKED = [raw_http.head("/v1/translate", content_type="text/plain", content_length=len(TEXT)), TEXT]


@pytest.fixture(scope="module")
def two(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of two workers; none of its tests is disturbed by what another left."""
    with Running(str(packages["translation"]), "--grpc-port", "0", workers=2) as server:
        until(lambda: len([e for e in server.log() if e["event"] == "model ready"]) == 2)
        yield server


def connections(server: Running) -> list[int]:
    """Of each worker, that anybody holds open."""
    return sorted(
        sum(c.status == psutil.CONN_ESTABLISHED and c.laddr.port == server.port for c in worker.net_connections("tcp"))
        for worker in server.workers
    )


def test_connections_are_shared(two: Running) -> None:
    before = connections(two)
    with ExitStack() as stack:
        opened = [stack.enter_context(raw_http.connected(two)) for _ in range(10)]
        for connection in opened:
            raw_http.send(connection, [raw_http.head("/live", "GET")])
        assert {raw_http.answer(connection).status for connection in opened} == {200}
        after = until(lambda: sum(found := connections(two)) == sum(before) + 10 and found)
        assert after[1] - after[0] <= 1
    until(lambda: sum(connections(two)) <= sum(before))


def test_figures_are_of_all(two: Running) -> None:
    before = scraped.total(two, "stillhouse_requests_total", route="/v1/translate", status="200")
    for _ in range(8):
        with raw_http.connected(two) as connection:  # which is another worker's every time
            raw_http.send(connection, ASKED)
            assert raw_http.answer(connection).status == 200
    for _ in range(4):  # whoever is asked
        two.http.close()
        two.http = type(two.http)(base_url=two.url, timeout=60)
        assert scraped.total(two, "stillhouse_requests_total", route="/v1/translate", status="200") == before + 8
    memory = sum(worker.memory_info().rss for worker in two.workers)
    assert scraped.total(two, "process_resident_memory_bytes") == pytest.approx(memory, rel=0.2)
    assert scraped.total(two, "stillhouse_loads_total", result="loaded") == 2
    assert scraped.total(two, "stillhouse_model_ready") == 1


def test_each_has_its_own_cores(two: Running) -> None:
    """Where there are as many; else the system moves them as it likes."""
    mine = os.sched_getaffinity(0)
    found = [set(worker.cpu_affinity()) for worker in two.workers]
    assert set.union(*found) == mine
    if len(mine) > 1:
        assert not set.intersection(*found)


def test_one_that_is_killed_is_replaced_while_the_other_serves(two: Running) -> None:
    first, second = two.workers
    ready = len([e for e in two.log() if e["event"] == "model ready"])
    first.send_signal(signal.SIGKILL)
    first.wait(60)
    for _ in range(20):
        with raw_http.connected(two) as connection:
            raw_http.send(connection, ASKED)
            assert raw_http.answer(connection).status == 200
    until(lambda: len([e for e in two.log() if e["event"] == "model ready"]) == ready + 1)
    two.http.close()
    two.http = type(two.http)(base_url=two.url, timeout=60)
    assert second in two.workers
    assert len(two.workers) == 2
    assert scraped.total(two, "stillhouse_worker_restarts") == 1


def test_a_new_version_comes_to_all(
    packages: dict[str, Path], fresh: Callable[[str], Path], serve: Callable[..., Running]
) -> None:
    package = fresh("translation")
    server = serve(package, "--watch-s", "0", workers=2)
    until(lambda: len([e for e in server.log() if e["event"] == "model ready"]) == 2)
    version = released(package)
    server.stop(signal.SIGHUP)
    until(lambda: len([e for e in server.log() if e["event"] == "model ready" and e["version"] == version]) == 2)
    server.stop()
    assert server.process.wait(60) == 0
    assert [e["event"] for e in server.log()].count("stopped") == 2
    assert not [e for e in server.log() if e["event"] == "no connection"]


def test_the_next_connection_is_of_who_has_fewest_and_is_ready() -> None:
    board = Board.create(3)
    one, two, three = (Seat(board, number) for number in range(3))
    one.tell("connections", 2)
    two.tell("connections", 1)
    one.open()
    assert one.turn()  # nobody else is there
    two.open()
    three.open()
    assert (one.turn(), two.turn(), three.turn()) == (False, False, True)
    one.tell("ready", 1)
    assert (one.turn(), two.turn(), three.turn()) == (True, False, False)
    two.tell("ready", 1)
    assert (one.turn(), two.turn()) == (False, True)
    board.clear(1)
    assert one.turn()
    assert board.pids() == [os.getpid()] * 2


def test_memory_of_requests_is_bounded_for_all_together() -> None:
    board = Board.create(2)
    one, two = (Budget(100, Seat(board, number)) for number in range(2))
    one.take("a", 50)
    two.take("b", 40)
    with pytest.raises(RefusalError, match="requests hold 90 bytes of memory already, of 100"):
        two.take("c", 20)
    one.take("a", -30)
    two.take("c", 20)
