"""Thousands of spoiled image files: refused with a reason, or decoded as Pillow decodes them and predicted right."""

from __future__ import annotations

import base64
import gc
import io
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from correct import boxes
from pictures import common, mutants, rare
from PIL import Image, ImageOps
from running import Running
from unharmed import Known, is_refused

from core.errors import DataError
from modalities.images.inputs.values import deep, rgb
from tasks.detection import serve
from tasks.detection.predict import Predictor as Detector

LIMITS = {"items": 64, "pixels": 2_000_000, "characters": 1}
"""Few pixels, so that images whose header has become large take no time here; test_fuzz_bombs.py has the real limit."""
KINDS = {"common": common, "rare": rare}
SLOWEST_S = 5.0
"""For one file, on a machine that does much else."""
GROWTH_MB = 40
"""Of this process over thousands of files."""


def files(known: Known, kind: str) -> dict[str, bytes]:
    return KINDS[kind](Image.open(io.BytesIO(known.picture)).convert("RGB"))


def decoded(file: bytes) -> np.ndarray:
    """As a user of Pillow would; of more than 8 bits and of transparency, which Pillow cuts off, as `prepare` does."""
    with Image.open(io.BytesIO(file)) as image:
        upright = ImageOps.exif_transpose(image)
        ruled = deep(upright.mode) or upright.has_transparency_data
        return np.asarray(rgb(upright) if ruled else upright.convert("RGB"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_is_predicted_as_it_is(server: Running, known: Known, detector: Detector, kind: str) -> None:
    for name, file in files(known, kind).items():
        answer = server.http.post("/v1/detect", content=file, headers={"Content-Type": "image/*"})
        assert answer.status_code == 200, (name, answer.text)
        assert boxes(detector, file).items() <= answer.json().items(), name


@pytest.mark.parametrize(
    ("kind", "count", "seed"),
    [
        ("common", 500, 1),
        ("rare", 500, 2),
        pytest.param("common", 10_000, 3, marks=pytest.mark.slow),
        pytest.param("rare", 10_000, 4, marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore")  # Pillow's, of spoiled files
def test_a_spoiled_file_is_refused_or_decoded(
    known: Known, detector: Detector, kind: str, count: int, seed: int
) -> None:
    accepted = refused = 0
    memory = Memory(after=count // 5)
    for name, file in mutants(files(known, kind), count, seed):
        began = time.monotonic()
        try:
            (item,) = serve.plain(serve.Request(image=file), detector, LIMITS).items
        except DataError as error:
            assert str(error).startswith("image: "), name
            refused += 1
        else:
            expected = detector.picture(decoded(file))
            assert (item.picture.width, item.picture.height) == (expected.width, expected.height), name
            assert (item.picture.pixels == expected.pixels).all(), name
            accepted += 1
        assert time.monotonic() - began < SLOWEST_S, name
        memory.look()
    assert min(accepted, refused) > count // 10, "the ways to spoil a file are too harsh or too mild to tell anything"
    assert memory.growth_mb() < GROWTH_MB


class Memory:
    """Of this process, from the `after`-th look on: what is loaded once has been loaded by then."""

    def __init__(self, after: int):
        self._left, self._process, self._first = after, psutil.Process(), 0

    def look(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._first = self._now()

    def growth_mb(self) -> float:
        return (self._now() - self._first) / 1e6

    def _now(self) -> int:
        gc.collect()
        return int(self._process.memory_info().rss)


@pytest.mark.parametrize(
    ("kind", "count", "seed"),
    [("common", 300, 5), ("rare", 100, 6), pytest.param("common", 2000, 7, marks=pytest.mark.slow)],
)
@pytest.mark.filterwarnings("ignore")
def test_a_spoiled_file_is_refused_or_predicted_over_http(
    server: Running, known: Known, detector: Detector, kind: str, count: int, seed: int
) -> None:
    sent = ways(server.http)
    accepted = refused = 0
    for name, file in mutants(files(known, kind), count, seed):
        answer = next(sent)(file)
        if is_refused(answer):
            refused += 1
        else:
            assert boxes(detector, file).items() <= answer.json().items(), name
            accepted += 1
    assert min(accepted, refused) > count // 10


def ways(http: httpx.Client) -> Iterator[Any]:
    """To send an image, one after the other."""
    path, raw = "/v1/detect", {"Content-Type": "image/jpeg"}
    while True:
        yield lambda file: http.post(path, content=file, headers=raw)
        yield lambda file: http.post(path, files={"image": file})
        yield lambda file: http.post(path, json={"image": base64.b64encode(file).decode()})
