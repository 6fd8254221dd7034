"""Translation on the page: text, alignment and matrix are what the API answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from browsing import Page
from running import Running
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.servers

ONE = "she buy rice ."
TWO = "she buy rice .\nhe see fish ."
BEGIN = "\u2581"


@pytest.fixture
def page(visit: Callable[..., Page], server: Running) -> Page:
    page = visit(server, "#/translation")
    page.wait("#text")
    return page


@pytest.fixture
def translated(page: Page) -> Page:
    page.all("#text")[0].send_keys(ONE)
    page.click("button", "Translate")
    page.wait(".target button")
    return page


def ask(server: Running, text: str) -> dict[str, Any]:
    found: dict[str, Any] = server.http.post("/v1/translate", json={"text": text, "alignment": True}).json()
    return dict(found["translations"][0])


@pytest.fixture
def aligned(server: Running) -> dict[str, Any]:
    return dict(ask(server, ONE)["sentences"][0]["alignment"])


def named(piece: str) -> str:
    """As the page writes a subword."""
    return "end" if piece == "</s>" else piece.removeprefix(BEGIN) or "space"


def test_the_translation_is_that_of_the_api(translated: Page, server: Running) -> None:
    assert translated.text(".translated") == ask(server, ONE)["text"] != ""
    assert translated.all(".translated")[0].get_attribute("lang") == "ja"
    assert translated.all("#text")[0].get_attribute("lang") == "en"
    assert translated.text("label[for=text]") == "English"
    assert "Translated." in translated.text(".panel [role=status]")


def test_control_enter_translates(page: Page, server: Running) -> None:
    page.all("#text")[0].send_keys(TWO, Keys.CONTROL, Keys.ENTER)
    page.wait(".target button")
    answer = ask(server, TWO)
    assert page.run("return document.querySelector('.translated').textContent") == answer["text"]
    assert page.texts(".sentences h3") == ["Sentence 1 of 2", "Sentence 2 of 2"]
    assert len(page.all(".target")) == len(answer["sentences"]) == 2


def test_an_example_is_one_press_away(visit: Callable[..., Page], server: Running) -> None:
    page = visit(server, "#/translation")
    page.click("button", "Try an example")
    page.wait(".target button")
    assert page.run("return document.getElementById('text').value") == "The meeting starts at nine."


def test_subwords_are_those_of_the_api(translated: Page, aligned: dict[str, Any]) -> None:
    assert translated.texts(".target .piece") == [named(piece) for piece in aligned["target"]]
    assert translated.texts("span.token .piece") == [named(piece) for piece in aligned["source"]]


@pytest.mark.parametrize("way", ["focus", "hover", "press"])
def test_a_subword_shows_where_the_model_looked(translated: Page, aligned: dict[str, Any], way: str) -> None:
    buttons = translated.all(".target button")
    if way == "focus":
        buttons[0].send_keys(Keys.ARROW_RIGHT)
    elif way == "hover":
        translated.hover(buttons[1])
    else:
        buttons[1].click()
    translated.wait(".token.shown", named(aligned["target"][1]))
    weights = aligned["attention"][1]
    lit = [f"{round(weight * 100)} %" if weight >= 0.05 else "" for weight in weights]
    assert translated.texts(".weight") == lit
    assert [bool(text) for text in lit] == translated.run(
        "return [...document.querySelectorAll('span.token')].map((token) => token.classList.contains('lit'))"
    )
    best = max(range(len(weights)), key=weights.__getitem__)
    readout = translated.text(".readout")
    spoken = "end of the sentence" if aligned["source"][best] == "</s>" else named(aligned["source"][best])
    assert readout.startswith(f"“{named(aligned['target'][1])}” looked at: {spoken} {lit[best]}")


def test_a_pressed_subword_stays(translated: Page, aligned: dict[str, Any]) -> None:
    first, second = translated.all(".target button")[:2]
    second.click()
    translated.hover(first)
    translated.wait(".token.shown", named(aligned["target"][0]))
    translated.hover(translated.all("h1")[0])
    translated.wait(".token.shown", named(aligned["target"][1]))
    assert second.get_attribute("aria-pressed") == "true"
    second.click()
    translated.hover(translated.all("h1")[0])
    translated.all("#text")[0].click()
    translated.until(lambda: not translated.all(".token.shown"))


def test_attention_as_a_table(translated: Page, aligned: dict[str, Any]) -> None:
    toggle = translated.wait("button[aria-expanded]")
    assert toggle.get_attribute("aria-expanded") == "false" and not translated.all(".matrix")
    toggle.click()
    assert toggle.get_attribute("aria-expanded") == "true"
    assert translated.texts(".matrix thead th") == [named(piece) for piece in aligned["source"]]
    assert translated.texts(".matrix tbody th") == [named(piece) for piece in aligned["target"]]
    scopes = translated.run("return [...document.querySelectorAll('.matrix th')].map((th) => th.scope)")
    assert scopes == ["col"] * len(aligned["source"]) + ["row"] * len(aligned["target"])
    figures = [int(text) for text in translated.texts(".matrix tbody td")]
    assert figures == [round(weight * 100 + 1e-9) for row in aligned["attention"] for weight in row]
    toggle.click()
    assert not translated.all(".matrix")[0].is_displayed()


def test_the_translation_can_be_copied(translated: Page, server: Running) -> None:
    translated.click("button", "Copy the translation")
    translated.until(lambda: "Copied." in translated.text(".panel [role=status]"))
    field = translated.all("#text")[0]
    field.clear()
    field.send_keys(Keys.CONTROL, "v")
    assert field.get_attribute("value") == ask(server, ONE)["text"]


def test_no_text_is_no_request(page: Page) -> None:
    page.click("button", "Translate")
    assert page.wait("[role=alert]").text == "There is no text yet; type a sentence."
    assert page.focused == page.all("#text")[0]
