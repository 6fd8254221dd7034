"""The site as `make docs` builds it: strictly, searched in a browser, and without a word to another host."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

ROOT = Path(__file__).resolve().parents[2]
FOUND = """
const found = [], look = node => {
  if (node.shadowRoot) look(node.shadowRoot)
  for (const child of node.children) { if (child.matches("a[href*='?h=']")) found.push(child.href); look(child) }
}
look(document.body)
return found
"""
"""Addresses of what the theme's search has found, which it shows in a shadow tree."""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (Path(sys.executable).parent / "zensical").exists(),
        reason="the site's generator is not installed: make docs, or pip install -r requirements/docs.lock",
    ),
]


def copied(folder: Path) -> Path:
    """What docs/build.py reads, to be changed."""
    for name in ("docs", "benchmarks/LOG.md", "devices", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "params.yaml"):
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    return folder


def build(checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "docs/build.py"], cwd=checkout, capture_output=True, text=True, check=False, timeout=200
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkout = copied(tmp_path_factory.mktemp("site"))
    done = build(checkout)
    assert done.returncode == 0, done.stderr
    return checkout / ".stillhouse" / "docs" / "site"


@pytest.fixture
def served(site: Path) -> Iterator[str]:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[x](choice.md#nowhere)", "anchor does not exist"),
        ("[x](nowhere.md)", "nowhere.md leads to no file"),
        ('<img src="https://cdn.example/x.png">', "training.html loads img src=https://cdn.example/x.png"),
    ],
)
def test_what_leads_nowhere_or_to_another_host_stops_the_build(tmp_path: Path, line: str, told: str) -> None:
    checkout = copied(tmp_path)
    with (checkout / "docs" / "training.md").open("a", encoding="utf-8") as page:
        page.write(f"\n{line}\n")
    done = build(checkout)
    assert done.returncode == 1
    assert told in done.stderr and "training" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("way", ["http", "file"])
def test_a_page_finds_what_is_looked_for_and_asks_no_other_host(
    site: Path, served: str, tmp_path: Path, way: str
) -> None:
    start = served if way == "http" else site.as_uri()
    driver = chromium.started(tmp_path / "profile", tmp_path, "--window-size=1280,900")
    try:
        chromium.requested(driver)
        driver.get(f"{start}/index.html")
        driver.find_element(By.CSS_SELECTOR, ".md-search__button").click()
        time.sleep(2)
        ActionChains(driver).send_keys("quarantine").perform()
        for _ in range(40):
            if any("faults.html" in each for each in driver.execute_script(FOUND)):
                break
            time.sleep(0.5)
        else:
            pytest.fail("the search found nothing")
        asked = {each for each in chromium.requested(driver) if not each.startswith(("chrome:", "data:", "blob:"))}
        assert asked and all(each.startswith(f"{start}/") for each in asked), asked
        assert not driver.get_log("browser")
    finally:
        driver.quit()
