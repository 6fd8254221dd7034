"""Debian's Chromium without a window, for all tests of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import chromium as chromium_module
import pytest
from browsing import Page
from running import Running
from selenium import webdriver


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory, downloads: Path) -> Iterator[webdriver.Chrome]:
    """One browser for the session, with a profile of its own."""
    running = chromium_module.started(tmp_path_factory.mktemp("profile"), downloads)
    yield running
    running.quit()


@pytest.fixture
def visit(chromium: webdriver.Chrome) -> Iterator[Callable[..., Page]]:
    """`visit(SERVER, "#/translation")` opens the page, in a fresh session and at the size of a laptop.

    Where a test ends, the console must be free of errors but those that `Page.expected` names.
    """
    opened: list[Page] = []

    def open_page(server: Running, path: str = "") -> Page:
        page = Page(chromium, server.url)
        opened.append(page)
        page.reset()
        page.open(path)
        return page

    yield open_page
    for page in opened:
        page.reset()
        assert page.unexpected() == []


@pytest.fixture
def page(visit: Callable[..., Page], server: Running) -> Page:
    return visit(server)
