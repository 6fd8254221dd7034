"""A server starts, and answers what its packages' own Predictors answer."""

from __future__ import annotations

import json
from pathlib import Path

from running import Running

from tasks.detection.predict import Predictor as Detector
from tasks.translation.predict import Predictor as Translator


def test_detect_answers_as_the_predictor(server: Running, packages: dict[str, Path]) -> None:
    picture = packages["detection"] / "golden" / "1.png"
    (expected,) = Detector(packages["detection"] / "model", threads=1)([picture])
    assert expected
    answer = server.http.post("/v1/detect", files={"image": picture.read_bytes()})
    assert answer.status_code == 200
    assert answer.json()["boxes"] == expected
    assert (answer.json()["width"], answer.json()["height"]) == (96, 64)


def test_translate_answers_as_the_predictor(server: Running, packages: dict[str, Path]) -> None:
    samples = json.loads((packages["translation"] / "golden" / "samples.json").read_text())
    texts = [sample["input"] for sample in samples]
    expected = Translator(packages["translation"] / "model", threads=1)(texts)
    answer = server.http.post("/v1/translate", json={"text": texts})
    assert [found["text"] for found in answer.json()["translations"]] == expected
    assert all(expected)
