"""Series on the page: what a history leads to is drawn, and its numbers are what the API answers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import packages_tiny
import pytest
from browsing import Page
from running import Running

pytestmark = pytest.mark.servers
LINES = ("past", "next", "band")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    kept = packages_tiny.kept(packages_tiny.series)
    package = Path(shutil.copytree(kept, tmp_path_factory.mktemp("served") / "series"))
    with Running(str(package)) as running:
        running.wait_until_ready()
        yield running


def test_an_example_is_drawn(visit: Callable[..., Page], server: Running) -> None:
    page = visit(server, "#/series")
    page.wait(".samples button:nth-of-type(2)")
    page.all(".samples button")[1].click()
    page.wait("[role=status]", "4 steps are forecast")
    sample = server.http.get("/v1/models/series/samples").json()["samples"][1]
    answer = server.http.post("/v1/forecast", content=sample["input"], headers={"Content-Type": "text/csv"}).json()
    told = answer["forecast"]["load"]
    rows = "[...document.querySelectorAll('.steps tbody tr')]"
    shown = page.run(f"return {rows}.map((row) => [...row.cells].map((cell) => cell.textContent))")
    assert [float(row[2]) for row in shown] == pytest.approx(told["0.5"], rel=1e-3)
    assert [row[0] for row in shown] == ["+1", "+2", "+3", "+4"]
    drawn = [page.run(f"return document.querySelector('path.{name}').getAttribute('d')") for name in LINES]
    points = [len(path.replace("M", "L").split("L")) - 1 for path in drawn]
    assert points == [12, 5, 8]  # all that is seen; the newest of it and what follows; there and back


def test_what_is_no_history_is_told_in_the_servers_words(visit: Callable[..., Page], server: Running) -> None:
    page = visit(server, "#/series")
    page.expected = ("400",)
    page.wait("#history")
    page.run("document.getElementById('history').value = 'load,temperature\\n1,2'")
    page.click("button.primary")
    page.wait("[role=alert]", "has 1 steps, expected at least 12")
