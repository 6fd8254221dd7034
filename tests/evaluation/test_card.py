"""The model card: what it states, and its page, which is one file without foreign addresses, scripts or markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from evaluation import card

ROW = {
    "variant": "base",
    "precision": "int8",
    "quality": 0.58,
    "test": 0.5,
    "test_interval": [0.4, 0.6],
    "latency_ms": 20.0,
    "p99_ms": 21.0,
    "per_second": 50.0,
    "size_mb": 2.0,
    "memory_mb": 100.0,
    "speed": {"value": 1.25, "low": 1.2, "high": 1.31},
}
REFERENCE = ROW | {"precision": "fp32"}
COMPARISON = {
    "task": "toy",
    "title": "mAP@[.5:.95]",
    "better": "higher",
    "rows": [REFERENCE, ROW, ROW],
    "val_inputs": 40,
    "test_inputs": 90,
    "signature": "COCO|<b>",
}
PICTURE = card.Use("detect", "image", True, "picture.jpg")
TEXT = card.Use("translate", "text", False, "It's nine.")


def facts(**changes: Any) -> card.Facts:
    values: dict[str, Any] = {
        "comparison": COMPARISON,
        "row": ROW,
        "scores": {"metrics": {"map": 0.5, "ar": 0.75}, "intervals": {"map": [0.4, 0.6]}},
        "validation": {"rows": 10, "bad": 1, "clean": {"train": {"images": 6, "boxes": 9}, "val": 2, "test": 1}},
        "links": {
            "data": {"prepared": "d" * 32, "source": "/data/<i>wheat", "pin": "b" * 40},
            "weights": {"source": "none"},
            "code": "c" * 40,
        },
        "model": {"limits": {"max_detections": 100}},
        "use": PICTURE,
        "data_license": "CC BY 4.0",
        "code_license": "MIT License",
    }
    return card.Facts(**values | changes)


def test_it_reports_test_figures_and_names_what_chose() -> None:
    text = card.render(facts())
    assert "mAP@[.5:.95] 0.5, 95 % interval 0.4 to 0.6" in text
    assert "20.0 ms at batch 1 (median; 99 % below 21.0 ms)" in text
    assert "1.25 times as fast as base fp32 (95 % interval 1.20 to 1.31)" in text
    assert "as fast as" not in card.render(facts(row=REFERENCE))
    assert "on 90 test inputs" in text
    assert "among 3 candidates on\n40 validation inputs, where it reaches 0.58" in text
    assert "| map | 0.5 | 0.4 to 0.6 |" in text and "| ar | 0.75 |  |" in text
    assert "None" not in text


def test_it_tells_what_it_takes_on_the_device_that_it_was_chosen_for() -> None:
    assert " on board" not in card.render(facts())
    found = {"name": "board", "how": "estimated", "ms": 31.0, "low": 22.1, "high": 43.4}
    text = card.render(facts(row=facts().row | {"device": found}))
    assert ";\n  estimated on board: 31 ms at batch 1 (22.1 to 43.4)\n- **Size**" in text


def test_it_tells_of_data_limits_licences_and_origin() -> None:
    text = card.render(facts())
    assert "10 rows, of which 1 were left out as bad. Used: train 6 images, 9 boxes; val 2 rows; test 1 rows." in text
    assert f"`/data/<i>wheat`, pinned at `{'b' * 40}`" in text
    assert "- max detections: 100" in text
    assert text.count("CC BY 4.0") == 2 and text.count("MIT License") == 2
    assert f"commit `{'c' * 40}`" in text


def test_it_tells_what_training_started_from() -> None:
    weights = {"source": "/data/base.safetensors", "sha256": "f" * 64, "license": "Apache-2.0", "loaded": 12}
    started = {**facts().links, "weights": weights}
    text = card.render(facts(links=started))
    assert "- **Source**: `/data/base.safetensors`" in text and f"- **sha256**: `{'f' * 64}`" in text
    assert "12 were taken from it" in text
    assert "data CC BY 4.0; initial weights Apache-2.0\n" in text and "- **Initial weights**: Apache-2.0\n" in text
    unknown = {**started, "weights": {**weights, "license": None}}
    assert card.render(facts(links=unknown)).count("`data.weights_license` in params.yaml states it here") == 2
    assert "Training started from random weights." in card.render(facts())


@pytest.mark.parametrize("nothing", [None, "  "])
def test_a_licence_that_is_not_stated_is_told(nothing: str | None) -> None:
    text = card.render(facts(data_license=nothing))
    assert text.count("not stated: ask its owner before you ship") == 2


def test_it_says_how_to_call_the_model() -> None:
    assert "curl -F image=@picture.jpg http://127.0.0.1:8080/v1/detect" in card.render(facts())
    text = card.render(facts(use=TEXT))
    # A shell's way to have an apostrophe within apostrophes.
    assert """-d '{"text": "It'"'"'s nine."}' http://127.0.0.1:8080/v1/translate""" in text
    for words in ("python -m ops.passport verify FOLDER", "python -m serving FOLDER", "from tasks.toy.predict import"):
        assert words in text


@pytest.mark.parametrize(
    ("example", "sent"), [({"left": 1, "right": 2}, '{"left": 1, "right": 2}'), ({}, "{}")], ids=["two", "none"]
)
def test_a_request_of_several_inputs_or_of_none(example: Any, sent: str) -> None:
    text = card.render(facts(use=card.Use("match", None, False, example)))
    assert f"-d '{sent}' http://127.0.0.1:8080/v1/match" in text
    assert "takes one" not in text
    assert "None" not in text


class Page(HTMLParser):
    """Elements of a page, and what would make a browser fetch or run something."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_has_nothing_that_a_strict_policy_forbids() -> None:
    page = Page(card.html(card.render(facts()), "toy: model card"))
    assert page.open == []
    assert page.tags.count("style") == page.tags.count("main") == page.tags.count("h1") == 1
    assert not {"script", "link", "img", "iframe", "i", "b"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not {"style", "src", "href"} & names and not any(name.startswith("on") for name in names)
    assert page.attributes.count(("scope", "col")) == page.tags.count("th") == 3
    assert ("lang", "en") in page.attributes


def test_the_page_has_a_dark_side_and_fits_a_phone() -> None:
    page = card.html("# x\n", "toy & more")
    assert "<title>toy &amp; more</title>" in page
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport" content="width=device-width' in page
    assert not re.search(r"url\(|@import|https?://", page)


@pytest.mark.parametrize(
    "bad", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))"]
)
def test_markup_in_data_stays_text(bad: str) -> None:
    page = Page(card.html(card.render(facts(data_license=bad)), "toy"))
    assert not {"script", "img", "a"} & set(page.tags)
