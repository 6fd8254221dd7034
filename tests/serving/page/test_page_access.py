"""For everyone: keyboard only, names for screen readers, contrast in both schemes, small windows, large type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from browsing import Page
from running import Running
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.slow

AUDIT = (Path(__file__).parent / "audit.js").read_text()
OUTLINE = """
  const { activeElement } = document; // the file input lies unseen over its label
  const shown = activeElement.id === 'image' ? activeElement.nextElementSibling : activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(shown);
  return `${outlineStyle} ${outlineWidth}`;
"""
VIEWS = ("detection", "translation", "passport", "refusal", "token")


@pytest.fixture
def picture(packages: dict[str, Path]) -> Path:
    return packages["detection"] / "golden" / "1.png"


@pytest.fixture
def view(
    request: pytest.FixtureRequest,
    visit: Callable[..., Page],
    server: Running,
    picture: Path,
    packages: dict[str, Path],
) -> Page:
    """The page as `request.param` says, with everything in it that there is."""
    if request.param == "token":
        guarded = request.getfixturevalue("serve")(
            packages["detection"], environment={"STILLHOUSE_TOKEN": "0123456789abcdef"}
        )
        guarded.wait_until_ready()
        page = visit(guarded)
        page.expected = ("401",)
        page.wait("#token").send_keys("wrong", Keys.ENTER)
        page.wait(".wrong")
        return page
    page = visit(server, "#/translation" if request.param in ("translation", "refusal") else "")
    if request.param in ("translation", "refusal"):
        page.expected = ("400",)
        text = "she buy rice ." if request.param == "translation" else "これは日本語の文章です。"
        page.wait("#text").send_keys(text)
        page.click("button", "Translate")
        if request.param == "refusal":
            page.wait(".trouble")
            return page
        page.wait(".target button").click()
        page.click("button[aria-expanded]")
        return page
    page.wait("#image-ways")
    page.all("#image")[0].send_keys(str(picture))
    page.wait(".boxes tbody button").click()
    page.click(".head summary")
    if request.param == "passport":
        page.click(".head button", "Passport")
        page.click("dialog summary")
    return page


def audit(page: Page, function: str) -> list[str]:
    """What one of `audit.js`'s functions finds wrong, of at least one thing that it looked at."""
    found = page.run(f"{AUDIT}\nreturn {function}()")
    assert found["count"] > 0
    return list(found["wrong"])


every_view = pytest.mark.parametrize("view", VIEWS, indirect=True)


@every_view
def test_every_control_has_a_name(view: Page) -> None:
    within = "dialog " if view.all("dialog") else ""  # the rest is out of reach then, and has no names
    kinds = ("a[href]", "button", "input", "select", "textarea", "summary", "[tabindex='0']")
    controls = [e for e in view.all(", ".join(within + kind for kind in kinds)) if e.is_displayed()]
    assert controls
    assert [str(e.get_attribute("outerHTML"))[:99] for e in controls if not e.accessible_name] == []


@every_view
def test_the_structure_is_sound(view: Page) -> None:
    assert audit(view, "structure") == []


@every_view
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(view: Page, scheme: str) -> None:
    view.media(scheme)
    assert audit(view, "faintText") == []
    assert audit(view, "faintEdges") == []


def test_both_schemes_differ(page: Page) -> None:
    colours = []
    for scheme in ("light", "dark"):
        page.media(scheme)
        colours.append(page.run("return getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]


@every_view
@pytest.mark.parametrize(("width", "height"), [(320, 640), (640, 450)], ids=["phone", "200 %"])
def test_small_windows(view: Page, width: int, height: int) -> None:
    """1280 x 900 at 200 % has 640 x 450 CSS pixels; no scrolling sideways (WCAG 2.2, 1.4.10)."""
    view.size(width, height)
    assert view.run("return document.documentElement.scrollWidth") <= width
    assert view.run(
        "return [...document.querySelectorAll('dialog .content')].every((e) => e.scrollWidth <= e.clientWidth)"
    )
    assert audit(view, "smallTargets") == []


def test_the_skip_link_comes_first(page: Page) -> None:
    page.wait("#image-ways")
    page.keys(Keys.TAB)
    assert page.focused.text == "Skip to the model"
    page.until(lambda: page.focused.rect["y"] >= 0, "the link on the page: it slides in")
    page.keys(Keys.ENTER)
    assert page.focused.tag_name == "main"
    assert page.text("h2") == "detection"


def test_the_focus_can_be_seen(page: Page) -> None:
    page.wait("#image-ways")
    for _ in range(8):  # skip, docs, two models, card, passport, details, image
        page.keys(Keys.TAB)
        assert page.run(OUTLINE) == "solid 3px", page.focused.get_attribute("outerHTML")


def test_detection_with_the_keyboard_alone(page: Page, picture: Path) -> None:
    page.wait("#image-ways")
    entry = page.tab_to(lambda e: e.get_attribute("id") == "image")
    assert entry.accessible_name.startswith("Choose an image")
    entry.send_keys(str(picture))  # what the dialog of the system does after Enter
    page.wait(".boxes tbody tr")
    page.tab_to(lambda e: e.get_attribute("id") == "score")
    page.keys(Keys.HOME)
    everything = len(page.all(".boxes tbody tr"))
    page.keys(Keys.ARROW_RIGHT * 40)
    assert page.run("return document.getElementById('score').value") == "0.4"
    page.tab_to(lambda e: e.get_attribute("type") == "checkbox")
    shown = len(page.all(".boxes tbody tr"))
    page.keys(Keys.SPACE)
    assert len(page.all(".boxes tbody tr")) < shown < everything
    page.keys(Keys.SPACE)
    page.tab_to(lambda e: (e.get_attribute("aria-label") or "").startswith("Mark box 1:"))
    page.keys(Keys.ENTER)
    assert page.focused.get_attribute("aria-pressed") == "true"
    assert len(page.all("g.marked")) == 1


def test_translation_with_the_keyboard_alone(page: Page) -> None:
    page.wait("#image-ways")
    page.tab_to(lambda e: e.text.startswith("translation"))
    page.keys(Keys.ENTER)
    page.wait("#text")
    assert page.focused.text.startswith("translation"), "the focus stays on the link that was followed"
    page.tab_to(lambda e: e.get_attribute("id") == "text")
    page.keys("she buy rice .")
    page.tab_to(lambda e: e.text == "Translate")
    page.keys(Keys.SPACE)
    page.wait(".target button")
    page.tab_to(lambda e: "token" in str(e.get_attribute("class")).split())
    page.keys(Keys.ARROW_RIGHT, Keys.ENTER)
    assert page.focused == page.all(".target button")[1]
    assert "looked at" in page.text(".readout")
    page.tab_to(lambda e: e.get_attribute("aria-expanded") is not None)
    page.keys(Keys.ENTER)
    page.wait(".matrix")


def test_a_dialog_keeps_the_focus_and_gives_it_back(page: Page) -> None:
    page.wait("#image-ways")
    page.tab_to(lambda e: e.text == "Passport")
    page.keys(Keys.ENTER)
    page.wait("dialog .chain")
    for _ in range(8):
        page.keys(Keys.TAB)
        assert page.run("return document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keys(Keys.ESCAPE)
    page.until(lambda: not page.all("dialog"))
    assert page.focused.text == "Passport"


def test_work_is_announced(visit: Callable[..., Page], server: Running) -> None:
    """Regions that screen readers watch are there before anything is said in them."""
    page = visit(server, "#/translation")
    page.wait("#text")
    regions = page.run("return ['status', 'alert'].map((role) => !!document.querySelector(`.panel [role=${role}]`))")
    assert regions == [True, True]


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_less_motion_where_it_is_wanted(visit: Callable[..., Page], server: Running, motion: str) -> None:
    page = visit(server, "#/translation")
    page.wait("#text").send_keys("she buy rice .")
    page.media(motion=motion)
    page.network(latency_ms=20_000)
    page.click("button", "Translate")
    page.wait(".busy button", "Cancel")
    assert bool(page.run("return document.getAnimations().length")) == (motion == "no-preference")
    page.click("button", "Cancel")
