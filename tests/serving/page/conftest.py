"""Debian's Chromium without a window, for all tests of the page."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browsing import Page
from running import Running
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory, downloads: Path) -> Iterator[webdriver.Chrome]:
    """One browser for the session, with a profile of its own."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("the page is tested in Chromium: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    running = webdriver.Chrome(options=options, service=Service(driver))
    running.set_script_timeout(30)
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
