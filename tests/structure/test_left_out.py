"""Modules of a tier that is left out are not imported, and no other module is left out."""

from __future__ import annotations

from pathlib import Path

import left_out
import pytest

TESTS = Path(left_out.__file__).parent


@pytest.mark.parametrize(
    ("expression", "unwanted"),
    [
        ("not slow and not servers", {"slow", "servers"}),
        ("servers and not slow", {"slow"}),
        ("slow", set()),
        ("", set()),
        ("not slow or servers", set()),
        ("not (slow and servers)", set()),
    ],
)
def test_what_every_chosen_case_lacks(expression: str, unwanted: set[str]) -> None:
    assert left_out.unwanted(expression) == unwanted


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("servers and not slow", {"servers"}),
        ("not slow and servers", {"servers"}),
        ("not slow and not servers", set()),
        ("slow", {"slow"}),
        ("", set()),
        ("slow or servers", set()),
    ],
)
def test_what_every_chosen_case_has(expression: str, wanted: set[str]) -> None:
    assert left_out.wanted(expression) == wanted


def test_marks_that_a_case_may_have() -> None:
    assert left_out.named(TESTS / "docker" / "test_images_lint.py", "containers")
    assert left_out.named(TESTS / "test_contract.py", "slow")
    assert left_out.named(TESTS / "serving" / "fuzz" / "test_fuzz_heads.py", "slow")
    assert not left_out.named(TESTS / "test_contract.py", "servers")


def test_marks_of_whole_modules() -> None:
    assert left_out.marks(TESTS / "pipelines" / "deploy" / "test_deploy_sensor.py") == {"servers"}
    assert "containers" in left_out.marks(TESTS / "docker" / "test_images_lint.py")
    assert left_out.marks(TESTS / "test_offline.py") == set()  # marks of single cases leave the others
