"""A package's golden samples are examples to press, whatever its task is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from browsing import Page
from running import Running

pytestmark = pytest.mark.servers


def test_an_example_picture_is_one_press_away(visit: Callable[..., Page], server: Running) -> None:
    page = visit(server, "#/detection")
    page.wait(".samples button:nth-of-type(3)")
    found = server.http.get("/v1/models/detection/samples").json()["samples"]
    assert len(page.all(".samples button")) == len(found)
    page.all(".samples button")[1].click()
    page.wait("[role=status]", f"of {len(found[1]['output'])} boxes")


def test_an_example_text_is_one_press_away(visit: Callable[..., Page], server: Running) -> None:
    page = visit(server, "#/translation")
    page.wait(".samples button")
    found = server.http.get("/v1/models/translation/samples").json()["samples"]
    page.all(".samples button")[0].click()
    page.wait(".target button")
    assert page.run("return document.getElementById('text').value") == found[0]["input"]
