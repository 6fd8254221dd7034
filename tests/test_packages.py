"""The small package of each task that tests serve holds what it promises. They are kept for all runs (`once`), so who
serves one has it from here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import packages_tiny
import pytest

from core import task
from ops import passport

pytestmark = pytest.mark.models
MADE: tuple[Callable[[Path], Path], ...] = (
    packages_tiny.detection,
    packages_tiny.translation,
    packages_tiny.classification,
    packages_tiny.speech,
    packages_tiny.series,
)


def test_every_task_has_one() -> None:
    assert {make.__name__ for make in MADE} == set(task.names())


@pytest.mark.parametrize("make", MADE, ids=lambda make: str(make.__name__))
def test_it_is_sound(make: Callable[[Path], Path]) -> None:
    package = packages_tiny.kept(make)
    assert passport.verify(package) == []
    samples = json.loads((package / "golden" / "samples.json").read_text(encoding="utf-8"))
    inputs = [package / "golden" / each["file"] if "file" in each else each["input"] for each in samples]
    predictor = task.load(make.__name__, "predict").Predictor(package / "model", threads=1)
    assert json.loads(json.dumps(predictor(inputs))) == [each["output"] for each in samples]
