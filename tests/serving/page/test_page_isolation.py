"""Text of servers, models and people never becomes markup, and the page talks to its own server only."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browsing import Page
from packages_tiny import reseal
from running import Running
from selenium.webdriver.common.keys import Keys

from core import onnx_session

pytestmark = pytest.mark.servers

EVIL = "<img src=x onerror=window.pwned=1>"


@pytest.fixture
def evil(fresh: Callable[[str], Path]) -> Path:
    """A package of a detector whose classes, card and passport hold markup."""
    folder = fresh("detection")
    for name in ("model/model.json", "golden/samples.json"):
        path = folder / name
        path.write_text(path.read_text().replace('"square"', json.dumps(EVIL)))
    (folder / "MODEL_CARD.html").write_text(
        f"<!doctype html><title>x</title><h1>Card</h1><p onclick=alert(1)>Text</p>{EVIL}<script>window.pwned=1</script>"
        "<a href='javascript:window.pwned=1'>link</a><iframe srcdoc='x'></iframe>"
    )
    onnx_session.seal(folder / "model")
    reseal(folder, code=EVIL)
    return folder


def harmless(page: Page) -> bool:
    return bool(page.run("return window.pwned === undefined && !document.querySelector('img[src=x], [onerror]')"))


def test_names_of_classes_stay_text(
    visit: Callable[..., Page], serve: Callable[..., Running], evil: Path, packages: dict[str, Path]
) -> None:
    server = serve(evil)
    server.wait_until_ready()
    page = visit(server)
    page.wait("#image-ways")
    page.all("#image")[0].send_keys(str(packages["detection"] / "golden" / "1.png"))
    page.wait(".boxes tbody tr")
    assert page.texts(".boxes tbody tr th")[0] == EVIL
    assert EVIL in page.text(".classes") and EVIL in page.text(".tag")
    assert EVIL in str(page.all(".boxes tbody button")[0].get_attribute("aria-label"))
    page.click(".head summary")
    assert EVIL in page.text(".head .facts")
    page.click(".head button", "Passport")
    page.wait("dialog .chain", EVIL)
    assert harmless(page)


def test_a_card_keeps_its_words_only(visit: Callable[..., Page], serve: Callable[..., Running], evil: Path) -> None:
    token = "still-house-token-0123"
    server = serve(evil, environment={"STILLHOUSE_TOKEN": token})
    server.wait_until_ready()
    page = visit(server)
    page.expected = ("401", "Content Security Policy")  # it blocks the card's handlers before they are left out
    page.wait("#token").send_keys(token, Keys.ENTER)
    page.click(".head a", "Model card")
    page.wait("dialog .card", "Text")
    assert page.run("return document.querySelector('dialog .card').innerHTML") == "<h3>Card</h3><p>Text</p>link"
    assert harmless(page)


def test_texts_and_refusals_stay_text(visit: Callable[..., Page], server: Running) -> None:
    page = visit(server, "#/translation")
    page.expected = ("404",)
    page.wait("#text").send_keys(f"she buy {EVIL} .")
    page.click("button", "Translate")
    page.wait(".target button")
    page.click("button[aria-expanded]")
    assert harmless(page)
    page.run("location.hash = '#/' + encodeURIComponent(arguments[0])", EVIL)
    page.wait("h2", "detection")  # a name that no model has leads to the first one
    assert harmless(page)


def test_no_request_leaves_for_another_host(page: Page, server: Running, packages: dict[str, Path]) -> None:
    page.driver.get_log("performance")
    page.open()
    page.wait("#image-ways")
    page.all("#image")[0].send_keys(str(packages["detection"] / "golden" / "1.png"))
    page.wait(".boxes tbody tr")
    page.click(".head button", "Passport")
    page.wait("dialog .chain")
    page.click("dialog button", "Close")
    page.click("#models a", "translation")
    page.wait("#text").send_keys("she buy rice .")
    page.click("button", "Translate")
    page.wait(".target button")
    events = [json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    paths = {urlsplit(url).path for url in asked if not url.startswith("blob:")}
    assert {"/", "/page/app.js", "/page/tasks/translation/panel.js", "/v1/detect", "/v1/translate"} <= paths
    own = urlsplit(server.url).netloc
    assert {urlsplit(url.removeprefix("blob:")).netloc for url in asked} == {own}


def test_the_policy_forbids_scripts_in_markup(page: Page, server: Running) -> None:
    page.expected = ("Content Security Policy",)
    policy = server.http.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe-inline" not in policy
    page.run(
        "const made = document.createElement('div'); made.innerHTML = arguments[0]; document.body.append(made)",
        "<img src=x: onerror=window.pwned=1>",
    )
    page.until(lambda: any("Content Security Policy" in e["message"] for e in page.driver.get_log("browser")))
    assert page.run("return window.pwned === undefined")
