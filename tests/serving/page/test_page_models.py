"""The list of models, and the papers of each: card and passport."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from browsing import Page, downloaded
from packages_tiny import reseal
from running import Running

pytestmark = pytest.mark.servers


def test_every_model_can_be_picked(page: Page, server: Running) -> None:
    models = server.http.get("/v1/models").json()["models"]
    page.wait("#models a")
    names = [text.split()[0] for text in page.texts("#models a")]
    assert names == [model["name"] for model in models] == ["detection", "translation"]
    assert all("ready" in text for text in page.texts("#models a"))
    page.click("#models a", "translation")
    page.wait("#text")
    assert page.text("h2") == "translation"
    assert page.text("[aria-current=page] .name") == "translation"
    assert page.driver.title == "translation – Stillhouse"
    assert models[1]["version"] in page.text(".head") and "POST /v1/translate" in page.text(".head")
    page.driver.refresh()
    page.wait("#text")
    page.driver.back()
    page.wait("#image-ways")


def test_what_the_server_says_of_a_model(page: Page) -> None:
    page.click(".head summary")
    assert "id 1, name square" in page.text(".head .facts")
    assert "score_threshold" in page.text(".head .facts")


def test_the_passport(page: Page, packages: dict[str, Path], downloads: Path) -> None:
    passport = json.loads((packages["detection"] / "passport.json").read_text())
    page.click(".head button", "Passport")
    page.wait("dialog .chain")
    assert page.texts(".chain h3") == [link["name"] for link in passport["links"]]
    shown = page.run("return document.querySelector('dialog').textContent")
    for digest in (*(link["chain"] for link in passport["links"]), *passport["files"].values(), passport["seal"]):
        assert digest in shown
    assert all(name in shown for name in passport["files"])
    page.click("dialog button", "Download JSON")
    path = downloaded(downloads, page)
    saved = json.loads(path.read_text())
    path.unlink()
    assert saved == passport
    page.click("dialog button", "Close")
    page.until(lambda: not page.all("dialog"), "end of the dialog")
    assert page.focused.text == "Passport"


def test_the_card_is_a_plain_link(page: Page, server: Running) -> None:
    link = page.wait(".head a", "Model card")
    card = server.http.get(str(link.get_attribute("href")))
    assert card.status_code == 200 and card.headers["content-type"].startswith("text/html")
    assert link.get_attribute("target") == "_blank"


def test_a_model_that_is_not_ready_says_why_and_comes_when_it_is(
    visit: Callable[..., Page], serve: Callable[..., Running], fresh: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "late"
    server = serve(f"late={folder}", "--watch-s", "0.2")
    server.wait_for("package refused")
    page = visit(server)
    page.wait(".notice", f"{folder} does not exist")
    assert "not ready" in page.text("#models a")
    assert page.text("h2") == "late" and not page.all(".head button")
    shutil.copytree(fresh("detection"), tmp_path / "aside")
    (tmp_path / "aside").rename(folder)
    page.wait("#image-ways")
    assert "not ready" not in page.text("#models a")


def test_a_refused_successor_is_told(
    visit: Callable[..., Page], serve: Callable[..., Running], fresh: Callable[[str], Path]
) -> None:
    folder = fresh("detection")
    server = serve(folder, "--watch-s", "0.2")
    server.wait_until_ready()
    (folder / "golden" / "samples.json").write_text("[]")
    reseal_only(folder)
    server.wait_for("package refused")
    page = visit(server)
    page.wait(".head .notice", "this version still answers")
    assert page.wait("#image-ways")


def reseal_only(folder: Path) -> None:
    """A passport that holds, over golden samples that do not."""
    aside = folder.with_name("aside")
    shutil.copytree(folder, aside)
    reseal(aside)
    shutil.rmtree(folder)
    aside.rename(folder)
