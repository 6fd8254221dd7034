"""The site of docs/ has every page, and links between files of the repository lead somewhere (docs/build.py)."""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from imports import ROOT


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def places(nav: list[dict[str, Any]]) -> Iterator[str]:
    for entry in nav:
        for found in entry.values():
            yield from [found] if isinstance(found, str) else places(found)


def test_every_page_stands_in_the_navigation_once(build: ModuleType) -> None:
    nav = tomllib.loads((ROOT / "docs" / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    assert sorted(places(nav)) == sorted(build.sources().values())


def test_every_link_to_a_file_leads_to_one(build: ModuleType, tmp_path: Path) -> None:
    broken = [each for source in build.sources() for each in build.linked(ROOT / source, tmp_path)[1]]
    assert not broken, "\n".join(broken)


def test_links_are_made_anew(build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "sources", lambda: {"docs/a.md": "a.md", "README.md": "index.md"})
    page = tmp_path / "docs" / "a.md"
    page.parent.mkdir()
    (tmp_path / "p.yaml").write_text("seed: 7\n")
    (page.parent / "p.png").write_bytes(b"")
    text = "[r](../README.md#x) [p](../p.yaml) ![i](p.png) [h](https://a.example/b) [s](#s)\n```\n[c](nowhere)\n```\n"
    page.write_text(text + "[n](nowhere.md) [o](../../outside.md)\n")
    made, broken = build.linked(page, tmp_path / "pages")
    assert "[r](index.md#x) [p](files/p.yaml.txt) ![i](p.png) [h](https://a.example/b) [s](#s)" in made
    assert "[c](nowhere)" in made
    assert broken == ["docs/a.md: nowhere.md leads to no file", "docs/a.md: ../../outside.md leads to no file"]
    assert (tmp_path / "pages" / "files" / "p.yaml.txt").read_text() == "seed: 7\n"


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<script src="https://cdn.example/a.js"></script>', ["script src=https://cdn.example/a.js"]),
        ('<link rel="stylesheet" href="//cdn.example/a.css">', ["link href=//cdn.example/a.css"]),
        ('<img src="https://a.example/b.png">', ["img src=https://a.example/b.png"]),
        ('<a href="https://a.example">told, not loaded</a><img src="p.png"><link rel=canonical href=https://a>', []),
    ],
)
def test_what_is_loaded_of_another_host_is_found(build: ModuleType, html: str, found: list[str]) -> None:
    assert build.Loaded(html).found == found
