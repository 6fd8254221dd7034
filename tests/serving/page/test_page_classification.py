"""Classification on the page: the classes and the heat over the picture are what the API answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import packages_tiny
import pytest
from browsing import Page
from running import Running

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = packages_tiny.kept(packages_tiny.classification)
    return Path(shutil.copytree(kept, tmp_path_factory.mktemp("served") / "classification"))


@pytest.fixture(scope="module")
def server(package: Path) -> Iterator[Running]:
    with Running(str(package)) as running:
        running.wait_until_ready()
        yield running


def test_an_example_shows_its_classes_and_where_they_were_seen(visit: Callable[..., Page], server: Running) -> None:
    page = visit(server, "#/classification")
    page.wait(".samples button:nth-of-type(3)")
    page.all(".samples button")[1].click()
    page.wait("[role=status]", "%")
    (sample,) = [
        s for s in server.http.get("/v1/models/classification/samples").json()["samples"] if s["file"] == "1.png"
    ]
    picture = server.http.get(f"/v1/models/classification/samples/{sample['file']}").content
    answer = server.http.post("/v1/classify", files={"image": picture}, data={"explain": "true", "top": "10"}).json()
    assert answer["classes"][0]["label"] == sample["output"]["classes"][0]["label"]
    shown = [f"{entry['label']}\t{100 * entry['probability']:.1f} %" for entry in answer["classes"]]
    assert [text.replace("\n", "") for text in page.texts(".ranking tbody tr")] == shown
    rects = page.run("return [...document.querySelectorAll('.cells rect')].map((r) => +r.getAttribute('fill-opacity'))")
    assert rects == [pytest.approx(0.7 * value, abs=6e-4) for row in answer["heat"] for value in row]
    assert page.run("return getComputedStyle(document.querySelector('.frame')).overflow") == "hidden"  # blurred cells
    page.click("label[for=heat]")
    assert not page.wait(".frame img").find_elements("css selector", ".cells:not([hidden])")
    assert page.run("return getComputedStyle(document.querySelector('.cells')).display") == "none"


def test_a_bright_edge_is_told_by_its_name(server: Running, package: Path) -> None:
    samples = json.loads((package / "golden" / "samples.json").read_text(encoding="utf-8"))
    for sample in samples:
        picture = (package / "golden" / sample["file"]).read_bytes()
        answer = server.http.post("/v1/classify", files={"image": picture}).json()
        assert [entry["label"] for entry in answer["classes"]] == [e["label"] for e in sample["output"]["classes"]]
        assert sum(entry["probability"] for entry in answer["classes"]) == pytest.approx(1, abs=1e-3)
        assert "heat" not in answer  # nobody asked
