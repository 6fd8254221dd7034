"""README and repository say the same: every file has its line, every command that is named exists."""

from __future__ import annotations

import re

import pytest
from imports import ROOT, sources

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [p for p in sources() if p.name != "__init__.py"], ids=str)
def test_every_file_has_its_line_in_the_tree(path: object) -> None:
    tree = README.split("## The house")[1].split("```")[1]
    folder, name = str(path).rsplit("/", 1)
    block = tree.split(f"{folder}/\n")[1] if f"{folder}/\n" in tree else tree.split(f"{folder}/ ")[1]
    assert re.search(rf"^\s+{re.escape(name)}\s+\S", block, re.MULTILINE), f"{path} has no line in README's tree"


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z-]+)", README))))
def test_every_named_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("target", re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
def test_every_make_target_is_documented(target: str) -> None:
    assert f"make {target}" in README


@pytest.mark.parametrize("preset", sorted(p.stem for p in (ROOT / "presets").glob("*.yaml")))
def test_every_preset_is_documented(preset: str) -> None:
    assert preset in README
