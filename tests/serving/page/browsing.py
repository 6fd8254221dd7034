"""What the tests of the page do with a browser: open, look, wait, type."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

T = TypeVar("T")
LAPTOP = (1280, 900)
SECONDS = 30


class Page:
    """The page of one server. Elements are named by CSS selectors."""

    def __init__(self, driver: webdriver.Chrome, url: str):
        self.driver, self.url = driver, url
        self.expected: tuple[str, ...] = ()
        """Parts of console errors that the test provokes: the browser itself logs each refused request."""
        self._console: list[str] = []

    def reset(self) -> None:
        """Leave the page; forget its session, its size and scheme."""
        if self.driver.current_url.startswith("http"):
            self.run("sessionStorage.clear()")
            self._console += _errors(self.driver)
        self.driver.get("about:blank")
        self.network(latency_ms=0)
        self.size(*LAPTOP)
        self.media()

    def open(self, path: str = "") -> None:
        self.driver.get(f"{self.url}/{path}")

    def size(self, width: int, height: int, phone: bool = False) -> None:
        values = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", values)

    def media(self, scheme: str = "light", motion: str = "no-preference") -> None:
        features = [("prefers-color-scheme", scheme), ("prefers-reduced-motion", motion)]
        named = [{"name": name, "value": value} for name, value in features]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": named})

    def network(self, latency_ms: int) -> None:
        values = {"offline": False, "latency": latency_ms, "downloadThroughput": -1, "uploadThroughput": -1}
        self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", values)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def all(self, css: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def texts(self, css: str) -> list[str]:
        """At one moment: an element may be replaced between two looks."""
        texts: list[str] = self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)", css)
        return texts

    def text(self, css: str) -> str:
        return "\n".join(self.texts(css))

    def wait(self, css: str, text: str = "") -> WebElement:
        """The first such element that can be seen and has `text` in it."""

        def look() -> WebElement | None:
            return next((e for e in self.all(css) if e.is_displayed() and text in e.text), None)

        return self.until(look, f"{css} with {text!r}")

    def until(self, found: Callable[[], T | None], what: str = "") -> T:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                if value := found():
                    return value
            except StaleElementReferenceException:
                pass
            time.sleep(0.03)
        raise TimeoutError(f"no {what} within {SECONDS} s; the page says: {self.text('body')[:2000]}")

    def click(self, css: str, text: str = "") -> None:
        self.wait(css, text).click()

    def keys(self, *keys: str) -> None:
        """To whatever has the focus."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def hover(self, element: WebElement) -> None:
        ActionChains(self.driver).move_to_element(element).perform()

    @property
    def focused(self) -> WebElement:
        return self.driver.switch_to.active_element

    def tab_to(self, matches: Callable[[WebElement], bool], most: int = 40) -> WebElement:
        """Press Tab until the focus is where it should be. Raises: AssertionError when it does not come there."""
        for _ in range(most):
            self.keys(Keys.TAB)
            if matches(self.focused):
                return self.focused
        raise AssertionError(f"{most} presses of Tab lead nowhere near")

    def unexpected(self) -> list[str]:
        """Errors of the console so far that the test does not provoke."""
        return [line for line in self._console if not any(part in line for part in self.expected)]


def downloaded(folder: Path, page: Page) -> Path:
    """The one file that was saved, complete."""

    def look() -> Path | None:
        files = list(folder.iterdir())  # while Chromium writes, the name is there, empty, beside a `.crdownload`
        return files[0] if len(files) == 1 and files[0].suffix == ".json" and files[0].stat().st_size else None

    return page.until(look, "downloaded file")


def _errors(driver: webdriver.Chrome) -> list[str]:
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
