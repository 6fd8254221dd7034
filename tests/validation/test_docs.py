"""Data Docs, report and model card with names that hold markup: opened from the disk in a real browser.

Nothing of them runs, and no page asks anybody for anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import pandas as pd
import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

from core import paths
from core.files import write_json, write_text
from core.task import Expectation
from evaluation import card, report
from ops import pages
from validation import docs, suites

EVIL = (
    "<img src=x onerror=window.pwned=1>",
    '"><script>window.pwned=2</script>',
    "<svg onload=window.pwned=3>.png",
    "<link rel=stylesheet href=http://evil.example/a.css>",
    "a|b](javascript:window.pwned=4)\n# H",
    "![x](http://evil.example/track.png)",
    "<meta http-equiv=refresh content='0;url=http://evil.example/'>",
    "{{ 7 * 7 }} \u202etxt\x1b[2J",
    "'onmouseover='window.pwned=5",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    folder = tmp_path_factory.mktemp("browser")
    running = chromium.started(folder / "profile", folder)
    yield running
    running.quit()


def opened(browser: webdriver.Chrome, path: Path) -> str:
    """Its text, once it is shown; it ran nothing and asked for nothing but itself."""
    browser.get("about:blank")
    chromium.requested(browser)
    browser.get_log("browser")
    browser.get(path.resolve().as_uri())
    for element in browser.find_elements(By.CSS_SELECTOR, "li, td, p"):
        browser.execute_script("arguments[0].dispatchEvent(new MouseEvent('mouseover', {bubbles: true}))", element)
    assert browser.execute_script("return window.pwned") is None
    assert not browser.find_elements(By.CSS_SELECTOR, "script, svg, link, iframe, [onerror], [onload], [src=x]")
    asked = [url for url in chromium.requested(browser) if not url.startswith("data:")]
    assert asked == [path.resolve().as_uri()]
    assert browser.get_log("browser") == [], "the policy stops something of the page's own"
    return str(browser.find_element(By.TAG_NAME, "body").text)


@pytest.fixture
def data_docs(tmp_path: Path) -> Path:
    """By the real Great Expectations, of a table whose every text is markup."""
    table = pd.DataFrame(
        {"id": range(len(EVIL)), "file": EVIL, "row": range(len(EVIL)), "split": "train", "label": EVIL, "size": 0}
    )
    checks = [
        Expectation("expect_column_values_to_be_in_set", {"column": "label", "value_set": [EVIL[0]]}, EVIL[1]),
        Expectation("expect_column_values_to_be_between", {"column": "size", "min_value": 1}, "size is at least 1"),
        Expectation("expect_column_values_to_be_between", {"column": "absent", "min_value": 1}, "never runs"),
        Expectation("expect_table_row_count_to_be_between", {"min_value": 99}, "at least 99 rows", "table"),
        Expectation("expect_column_values_to_be_unique", {"column": "label"}, "a label stands once"),
    ]
    suites.run("toy", {"boxes": table}, {"boxes": checks}, tmp_path / "docs")
    return tmp_path / "docs"


def test_data_docs_are_one_page_that_runs_and_asks_nothing(browser: webdriver.Chrome, data_docs: Path) -> None:
    assert [path.name for path in data_docs.rglob("*") if path.is_file()] == [docs.ENTRY]
    text = opened(browser, data_docs / docs.ENTRY)
    for word in (EVIL[0], EVIL[1], EVIL[2], EVIL[3]):
        assert word in text
    assert "9 rows; 1 of 5 expectations met" in text
    assert "could not run" in text and "found 9" in text and "expect_column_values_to_be_in_set" in text
    rows = browser.find_elements(By.CSS_SELECTOR, "tbody tr")
    assert sorted(row.find_element(By.CSS_SELECTOR, ".n").text for row in rows) == ["0", "0", "0", "8", "9"]
    assert rows[-1].text.startswith("met "), "what is not met comes first"


def test_data_docs_of_the_same_data_are_the_same_bytes(data_docs: Path) -> None:
    page = (data_docs / docs.ENTRY).read_bytes()
    assert b"\x1b" not in page and "\u202e".encode() not in page
    for _ in range(2):
        tables = [docs.Table("boxes", 9, [])]
        assert docs.write("toy", tables, data_docs).read_bytes() == docs.write("toy", tables, data_docs).read_bytes()


def test_the_report(browser: webdriver.Chrome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = paths.report("toy") / "report.html"
    write_text(page, report.render(comparison(), picture(tmp_path / "pareto.png")))
    text = opened(browser, page)
    for word in (EVIL[0], EVIL[1], EVIL[2], EVIL[3]):
        assert word in text


def test_the_model_card(browser: webdriver.Chrome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number, evil in enumerate(EVIL):
        facts = card.Facts(
            comparison=comparison() | {"signature": evil, "title": evil},
            row=comparison()["rows"][0],
            scores={"metrics": {evil: 0.5}, "intervals": {}},
            validation={"rows": 10, "bad": 1, "clean": {"train": 6, "val": 2, "test": 1}},
            links={
                "data": {"prepared": "d" * 32, "source": evil, "pin": evil},
                "code": "c" * 40,
                "weights": {"source": evil},
            },
            model={"limits": {evil: evil}},
            use=card.Use("detect", "image", True, evil),
            data_license=evil,
            code_license="MIT License",
        )
        page = tmp_path / f"{number}.html"
        write_text(page, card.html(card.render(facts), evil))
        opened(browser, page)


@pytest.mark.parametrize(
    "template", [*sorted(report.TEMPLATES.glob("*.html")), docs.TEMPLATE], ids=lambda path: path.name
)
def test_every_page_states_what_it_may_load(template: Path) -> None:
    """Also in the browser of somebody whose mail program takes the page apart: no style or script of elsewhere."""
    policy = pages.policy(template.read_text())
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy and "http" not in policy
    head = template.read_text().partition("<title>")[0]
    assert '<meta http-equiv="Content-Security-Policy" content="{{ policy }}">' in head
    assert "<script" not in template.read_text() and "style=" not in template.read_text()


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)
    return path


def comparison() -> dict[str, Any]:
    """Of one candidate; leaves in the working directory what the report reads."""
    where = paths.evaluation("toy", "base", "fp32")
    write_text(where / "samples" / "examples.html", "<table><tr><td>&lt;script&gt;</td></tr></table>")
    found = [{"file": evil, "row": 1, "field": evil, "reason": evil, "found": evil} for evil in EVIL]
    clean = {"train": 6, "val": 2, "test": 1}
    validation = {"rows": 10, "bad": 1, "bad_share": 0.1, "quarantine": found, "clean": clean}
    write_json(paths.validated("toy") / "validation.json", validation)
    picture(paths.augmented("toy") / "contact_sheet.png")
    write_text(paths.prepared("toy") / "x", "x")
    row = {
        "variant": "base", "precision": "fp32", "quality": 0.5, "interval": [0.4, 0.6], "test": 0.5,
        "test_interval": [0.4, 0.6], "latency_ms": 2.0, "p99_ms": 3.0, "per_second": 9.0, "size_mb": 1.0,
        "memory_mb": 9.0, "parameters": 1, "macs": 1, "zeros": 0.5, "front": True, "misses": [EVIL[0]],
        "verdict": EVIL[0],
        **{key: {"value": 1.0, "low": 1.0, "high": 1.0} for key in ("speed", "speed_8", "speed_all_cores")},
        "all_cores_ms": 1.0, "operators": {EVIL[0]: {"ms": 1.0, "macs": 0, "bytes": 0}},
        "loss": {"value": 0.0, "bound": 0.0},
    }  # fmt: skip
    return {
        "task": "toy", "title": EVIL[0], "better": "higher", "metric": "map",
        "signature": EVIL[1], "val_inputs": 4, "test_inputs": 9,
        "budget": {"max_mb": 9, "max_ms": 9, "max_loss": 0.1, "worst_quality": 0.1}, "rows": [row],
        "timing": {"threads": 2, "rounds": {"batch_1": 20}, "noisy": True, "peak_gflops": {"fp32": 1.0, "int8": 1.0},
                   "int8_instructions": [EVIL[0]]},
        "chosen": ["base", "fp32"], "verdict": {"passed": True, "why": EVIL[2]},
    }  # fmt: skip
