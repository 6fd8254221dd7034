"""README, what contributors read and the repository say the same: what is named exists, every command is named."""

from __future__ import annotations

import re

import pytest
import yaml
from imports import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
FOR_CONTRIBUTORS = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in ("CONTRIBUTING.md", "AGENTS.md"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z-]+)", README + FOR_CONTRIBUTORS))))
def test_every_named_make_target_exists(target: str) -> None:
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("target", re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
def test_every_make_target_is_documented(target: str) -> None:
    assert f"make {target}" in README


def test_every_file_that_contributors_are_sent_to_exists() -> None:
    places = set(re.findall(r"`([\w./-]+/[\w.*-]*|[\w-]+\.(?:yaml|md))`", FOR_CONTRIBUTORS))
    assert len(places) > 20
    assert not [place for place in places if not list(ROOT.glob(place))]


def test_what_looks_at_a_change_is_what_is_run_by_hand() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    assert {hook["entry"].split(" --")[0] for hook in hooks} == {
        ".venv/bin/ruff format", ".venv/bin/ruff check", ".venv/bin/python -m mypy",
    }  # fmt: skip
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    assert [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step] == [".ci/run"]


@pytest.mark.parametrize("preset", sorted(p.stem for p in (ROOT / "presets").glob("*.yaml")))
def test_every_preset_is_documented(preset: str) -> None:
    assert preset in README
