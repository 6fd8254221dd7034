"""What the page does when the server says no, is slow, is busy or wants a token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from browsing import Page
from running import Running
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.slow

TOKEN = "still-house-token-0123"


@pytest.fixture
def guarded(serve: Callable[..., Running], packages: dict[str, Path]) -> Running:
    """A server with a token; ready."""
    server = serve(*packages.values(), environment={"STILLHOUSE_TOKEN": TOKEN})
    server.wait_until_ready()
    return server


def translate(page: Page, text: str) -> None:
    page.wait("#text")
    page.all("#text")[0].send_keys(text)
    page.click("button", "Translate")


def test_a_refusal_is_shown_in_the_words_of_the_server(page: Page, server: Running, tmp_path: Path) -> None:
    page.expected = ("400",)
    page.wait("#image-ways")
    (tmp_path / "notes.png").write_text("no image at all")
    page.all("#image")[0].send_keys(str(tmp_path / "notes.png"))
    shown = page.wait(".panel [role=alert]").text
    page.until(lambda: page.text(".panel [role=alert]"))
    answer = server.http.post("/v1/detect", files={"image": b"no image at all"})
    assert answer.status_code == 400
    assert shown == answer.json()["error"]
    assert not page.wait(".panel .work").text.count("Try again"), "the same file cannot do better"
    assert not page.all(".boxes tbody tr")
    assert not any(e.is_displayed() for e in page.all(".frame, .note")), "nothing is drawn where nothing was read"


def test_a_refusal_goes_with_the_next_success(visit: Callable[..., Page], server: Running) -> None:
    page = visit(server, "#/translation")
    page.expected = ("400",)
    translate(page, "これは日本語の文章です。")
    page.until(lambda: "en" in page.text(".panel [role=alert]"))
    page.all("#text")[0].clear()
    translate(page, "she buy rice .")
    page.wait(".target button")
    assert page.text(".panel [role=alert]") == ""


def test_a_slow_answer_can_be_cancelled(visit: Callable[..., Page], server: Running) -> None:
    page = visit(server, "#/translation")
    page.wait("#text")
    page.network(latency_ms=20_000)
    page.all("#text")[0].send_keys("she buy rice .", Keys.CONTROL, Keys.ENTER)
    page.wait(".panel [role=status]", "Translating …")
    page.wait(".clock", "1 s")
    page.click(".panel button", "Cancel")
    page.wait(".panel [role=status]", "Cancelled.")
    assert page.text(".panel [role=alert]") == ""
    assert page.focused == page.all("#text")[0], "the focus goes back to where it was"
    assert "Cancel" not in page.texts(".panel button:not([hidden])")
    page.network(latency_ms=0)
    page.click("button", "Translate")
    page.wait(".target button")


def test_a_busy_server_says_when_to_retry(
    visit: Callable[..., Page], serve: Callable[..., Running], packages: dict[str, Path]
) -> None:
    server = serve(packages["translation"], "--deadline-s", "0.001")
    server.wait_until_ready()
    page = visit(server)
    page.expected = ("429",)
    translate(page, "she buy rice .")
    page.until(lambda: "Try again in 1 s." in page.text(".panel [role=alert]"))
    again = page.wait(".panel button", "Try again")
    page.wait(".panel [role=status]", "You can try again now.")
    assert again.is_enabled()
    before = len(server.log())
    again.click()
    page.until(lambda: [e for e in server.log()[before:] if e.get("status") == 429], "second request")


def test_a_server_that_is_gone(
    visit: Callable[..., Page], serve: Callable[..., Running], fresh: Callable[[str], Path]
) -> None:
    server = serve(fresh("translation"))
    server.wait_until_ready()
    page = visit(server)
    page.expected = ("ERR_CONNECTION_REFUSED",)
    page.wait("#text")
    server.stop()
    server.process.wait(20)
    translate(page, "she buy rice .")
    page.until(lambda: "is the server running" in page.text(".panel [role=alert]"))
    page.wait(".panel button", "Try again")


def test_a_token_is_asked_for_and_kept_in_this_session_only(visit: Callable[..., Page], guarded: Running) -> None:
    page = visit(guarded)
    page.expected = ("401",)
    field = page.wait("#token")
    assert page.focused == field and field.get_attribute("type") == "password"
    field.send_keys("not-the-right-token-0", Keys.ENTER)
    page.wait("dialog .wrong", "The server refused the last token.")
    page.wait("#token").send_keys(TOKEN, Keys.ENTER)
    page.wait("#models a", "detection")
    page.wait("#image-ways")
    kept = "return [JSON.stringify(Object.values(sessionStorage)), localStorage.length, document.cookie]"
    assert page.run(kept) == [f'["{TOKEN}"]', 0, ""]
    page.driver.refresh()
    page.wait("#image-ways")
    assert not page.all("dialog")


def test_the_token_goes_with_every_request(
    visit: Callable[..., Page], guarded: Running, packages: dict[str, Path]
) -> None:
    page = visit(guarded)
    page.expected = ("401",)
    page.wait("#token").send_keys(TOKEN, Keys.ENTER)
    page.wait("#image-ways")
    page.all("#image")[0].send_keys(str(packages["detection"] / "golden" / "1.png"))
    page.wait(".boxes tbody tr")
    page.click(".head button", "Passport")
    page.wait("dialog .chain")
    page.keys(Keys.ESCAPE)
    page.until(lambda: not page.all("dialog"))
    page.click(".head a", "Model card")
    page.wait("dialog .card", "A toy.")
    assert page.text("dialog h2") == "Model card of detection"
    assert len(page.all("h1")) == 1


def test_without_a_token_the_page_says_what_is_missing(visit: Callable[..., Page], guarded: Running) -> None:
    page = visit(guarded)
    page.expected = ("401",)
    page.click("dialog button", "Cancel")
    page.until(lambda: "Authorization: Bearer" in page.text("[role=alert]"))
    page.click("button", "Try again")
    page.wait("#token")
