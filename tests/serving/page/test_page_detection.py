"""Detection on the page: what is drawn, listed and saved is what the API answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browsing import Page, downloaded
from running import Running
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.servers

START = 0.4
"""Where the threshold stands at first."""
DROP = """
  const [base64, kind, done] = arguments;
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], `${kind}.png`, { type: 'image/png' }));
  const Kind = kind === 'paste' ? ClipboardEvent : DragEvent;
  const data = kind === 'paste' ? { clipboardData: carried } : { dataTransfer: carried };
  document.querySelector('.panel').dispatchEvent(new Kind(kind, { ...data, bubbles: true, cancelable: true }));
"""


@pytest.fixture
def picture(packages: dict[str, Path]) -> Path:
    """With one box at least above the first threshold, and some below."""
    return packages["detection"] / "golden" / "1.png"


@pytest.fixture
def answer(server: Running, picture: Path) -> dict[str, Any]:
    values: dict[str, Any] = server.http.post("/v1/detect", files={"image": picture.read_bytes()}).json()
    return values


@pytest.fixture
def shown(page: Page, picture: Path) -> Page:
    """The page with the picture's boxes."""
    page.wait("#image-ways")
    page.all("#image")[0].send_keys(str(picture))
    page.wait(".boxes tbody tr")
    return page


def above(answer: dict[str, Any], score: float, label: str | None = None) -> list[dict[str, Any]]:
    return [box for box in answer["boxes"] if box["score"] >= score and label in (None, box["label"])]


def rows(page: Page) -> list[list[str]]:
    cells: list[list[str]] = page.run("""
      const text = (cell) => cell.innerText.trim();
      return [...document.querySelectorAll('.boxes tbody tr')].map((row) => [...row.cells].map(text));""")
    return cells


def expected_rows(boxes: list[dict[str, Any]]) -> list[list[str]]:
    return [
        [str(i), box["label"], f"{box['score']:.3f}", *(f"{edge:.1f}" for edge in box["box"])]
        for i, box in enumerate(boxes, 1)
    ]


def drawn(page: Page) -> list[list[float]]:
    """Boxes as they lie over the image, in pixels of the file, in any order."""
    found: list[list[float]] = page.run("""
      const image = document.querySelector('.frame img').getBoundingClientRect();
      const { naturalWidth, naturalHeight } = document.querySelector('.frame img');
      const [x, y] = [naturalWidth / image.width, naturalHeight / image.height];
      return [...document.querySelectorAll('.lines .line')].map((line) => {
        const matrix = line.getScreenCTM(), box = line.getBBox();
        const [from, to] = [[box.x, box.y], [box.x + box.width, box.y + box.height]]
          .map(([u, v]) => new DOMPoint(u, v).matrixTransform(matrix));
        return [(from.x - image.x) * x, (from.y - image.y) * y, (to.x - image.x) * x, (to.y - image.y) * y];
      });""")
    return sorted(found)


def set_threshold(page: Page, value: float) -> None:
    page.run(
        "const s = document.getElementById('score'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))", value
    )


def test_table_and_drawing_are_the_answer_of_the_api(shown: Page, answer: dict[str, Any]) -> None:
    boxes = above(answer, START)
    assert 0 < len(boxes) < len(answer["boxes"])
    assert rows(shown) == expected_rows(boxes)
    for found, box in zip(drawn(shown), sorted(box["box"] for box in boxes), strict=True):
        assert found == pytest.approx(box, abs=0.2)
    tags = [" ".join(text.split()) for text in shown.texts(".tag")]
    assert tags == [f"{box['label']} {box['score']:.2f}" for box in boxes]
    assert shown.wait(".panel [role=status]").text == f"{len(boxes)} of {len(answer['boxes'])} boxes shown."


def test_the_drawing_scales_with_the_image(shown: Page, answer: dict[str, Any]) -> None:
    wide = shown.all(".frame img")[0].size["width"]
    shown.size(360, 700, phone=True)
    shown.until(lambda: shown.all(".frame img")[0].size["width"] < wide / 2)
    for found, box in zip(drawn(shown), sorted(box["box"] for box in above(answer, START)), strict=True):
        assert found == pytest.approx(box, abs=0.2)


def test_the_threshold_hides_boxes(shown: Page, answer: dict[str, Any]) -> None:
    slider = shown.all("#score")[0]
    slider.send_keys(Keys.HOME)
    assert rows(shown) == expected_rows(answer["boxes"])
    slider.send_keys(Keys.END)
    assert rows(shown) == [] and drawn(shown) == []
    assert shown.text(".panel [role=status]") == f"0 of {len(answer['boxes'])} boxes shown."
    best = answer["boxes"][0]["score"]
    set_threshold(shown, int(best * 100) / 100)
    assert rows(shown)[0] == expected_rows(answer["boxes"])[0]
    set_threshold(shown, int(best * 100 + 1) / 100)
    assert rows(shown) == []


def test_classes_can_be_left_out(shown: Page, answer: dict[str, Any]) -> None:
    set_threshold(shown, 0)
    labels = sorted({box["label"] for box in answer["boxes"]})
    assert len(labels) == 2
    for label in labels:
        assert f"{len(above(answer, 0, label))} of {len(above(answer, 0, label))}" in shown.text(".classes")
    shown.click(".check", labels[0])
    assert {row[1] for row in rows(shown)} == {labels[1]}
    assert len(drawn(shown)) == len(above(answer, 0, labels[1]))
    shown.click(".side button", "None")
    assert rows(shown) == []
    assert not any(box.is_selected() for box in shown.all(".classes input"))
    shown.click(".side button", "All")
    assert len(rows(shown)) == len(answer["boxes"])


def test_a_marked_row_marks_its_box(shown: Page) -> None:
    set_threshold(shown, 0)
    button = shown.all(".boxes tbody button")[1]
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert shown.run("return document.querySelectorAll('.lines .marked').length") == 1
    assert shown.text(".tag.marked") in " ".join(shown.texts(".tag"))
    assert shown.text("tr.marked th") in shown.text(".tag.marked")
    button.send_keys(Keys.ARROW_DOWN)
    assert shown.focused == shown.all(".boxes tbody button")[2]
    assert shown.text("tr.marked td:first-child") == "3"  # the focused one, while it has the focus
    shown.focused.send_keys(Keys.ARROW_UP, Keys.SPACE)
    assert button.get_attribute("aria-pressed") == "false"


def test_what_is_shown_can_be_saved(shown: Page, answer: dict[str, Any], downloads: Path) -> None:
    shown.click(".side > button", f"{len(above(answer, START))} box")
    path = downloaded(downloads, shown)
    saved = json.loads(path.read_text())
    path.unlink()
    assert path.name == "1-boxes.json"
    assert saved == {**answer, "boxes": above(answer, START)}


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_an_image_can_be_dropped_and_pasted(page: Page, picture: Path, answer: dict[str, Any], kind: str) -> None:
    page.wait("#image-ways")
    page.run(DROP, base64.b64encode(picture.read_bytes()).decode(), kind)
    page.wait(".boxes tbody tr")
    assert rows(page) == expected_rows(above(answer, START))
    assert f"{kind}.png" in page.text(".chosen")


def test_the_next_image_takes_the_place_of_the_first(shown: Page, server: Running, packages: dict[str, Path]) -> None:
    other = packages["detection"] / "golden" / "0.png"
    boxes = server.http.post("/v1/detect", files={"image": other.read_bytes()}).json()["boxes"]
    shown.all("#image")[0].send_keys(str(other))
    shown.wait(".chosen", "0.png")
    shown.until(lambda: rows(shown) == expected_rows([box for box in boxes if box["score"] >= START]))


def test_a_file_that_no_browser_shows_still_has_boxes(
    visit: Callable[..., Page], server: Running, picture: Path, tmp_path: Path, answer: dict[str, Any]
) -> None:
    from PIL import Image

    Image.open(picture).save(tmp_path / "scan.tiff")
    page = visit(server)
    page.wait("#image-ways")
    page.all("#image")[0].send_keys(str(tmp_path / "scan.tiff"))
    page.wait(".note", "cannot show")
    page.wait(".boxes tbody tr")
    assert rows(page) == expected_rows(above(answer, START))
    box = page.run("return document.querySelector('.lines').getBoundingClientRect()")
    assert box["width"] / box["height"] == pytest.approx(answer["width"] / answer["height"], rel=0.02)
