"""Both packages' Predictors, which know what is right; every test must leave the server unharmed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from running import Running
from unharmed import Known, unharmed

from tasks.detection.predict import Predictor as Detector
from tasks.translation.predict import Predictor as Translator


@pytest.fixture(scope="session")
def detector(packages: dict[str, Path]) -> Detector:
    return Detector(packages["detection"] / "model", threads=1)


@pytest.fixture(scope="session")
def translator(packages: dict[str, Path]) -> Translator:
    return Translator(packages["translation"] / "model", threads=1)


@pytest.fixture(scope="session")
def known(packages: dict[str, Path], detector: Detector, translator: Translator) -> Known:
    picture = (packages["detection"] / "golden" / "1.png").read_bytes()
    text = json.loads((packages["translation"] / "golden" / "samples.json").read_text())[0]["input"]
    (boxes,), (translation,) = detector([picture]), translator([text])
    assert boxes
    assert translation
    return Known(picture, boxes, text, translation)


@pytest.fixture(scope="session")
def impatient(packages: dict[str, Path]) -> Iterator[Running]:
    """A server that waits half a second for what a client is slow to send."""
    with Running(*map(str, packages.values()), "--read-s", "0.5") as running:
        running.wait_until_ready()
        yield running


@pytest.fixture(autouse=True)
def healthy(request: pytest.FixtureRequest, known: Known) -> Iterator[None]:
    used = [name for name in ("server", "impatient") if name in request.fixturenames]
    with ExitStack() as stack:
        for name in used:
            stack.enter_context(unharmed(request.getfixturevalue(name), known))
        yield
