"""The stage instances that a package names as its makers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from stages.package import makers

HEAD = SimpleNamespace(pruned=["slim"], distilled=["student"])


@pytest.mark.parametrize(
    ("variant", "precision", "between"),
    [
        ("base", "fp32", ["export@toy-base"]),
        ("base", "int8", ["export@toy-base", "quantize@toy-base-int8"]),
        ("slim", "fp32", ["prune@toy-slim", "export@toy-slim"]),
        ("student", "int8", ["distill@toy-student", "export@toy-student", "quantize@toy-student-int8"]),
    ],
)
def test_makers_lead_from_training_to_evaluation(variant: str, precision: str, between: list[str]) -> None:
    context: Any = SimpleNamespace(task="toy", head=HEAD)
    row = {"variant": variant, "precision": precision}
    assert makers(context, row) == ["train@toy", *between, f"evaluate@toy-{variant}-{precision}"]
