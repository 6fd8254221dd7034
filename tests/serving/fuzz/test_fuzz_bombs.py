"""Images that claim 60,000 x 60,000 pixels, or hide as much: refused at once, in little memory."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from bombs import ACCEPTED, REFUSED, png
from correct import boxes
from running import Running
from unharmed import is_refused

from tasks.detection.predict import Predictor as Detector

MB = 1_000_000
MOST_MB = 60
"""That the server's peak may rise: Pillow itself unpacks up to 64 MiB of a PNG's texts before it gives up."""
AT_ONCE = 10.0
"""Seconds, on a machine that does much else."""


@contextmanager
def little_memory(server: Running, least: int) -> Iterator[None]:
    """The worker's peak rises by little more than `least` bytes."""
    process = Path(f"/proc/{server.worker.pid}")
    (process / "clear_refs").write_text("5")  # the peak is now what is in use
    before = server.worker.memory_info().rss
    yield
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", (process / "status").read_text())
    assert int(kilobytes) * 1024 - before < MOST_MB * MB + least


def detect(server: Running, image: bytes, **headers: str) -> httpx.Response:
    return server.http.post("/v1/detect", content=image, headers={"Content-Type": "image/png", **headers})


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_a_bomb_is_refused_before_it_takes_memory_or_time(server: Running, make: Callable[[], bytes]) -> None:
    image = make()
    assert len(image) < 16 * MB, "the limit of the body would refuse it"
    began = time.monotonic()
    with little_memory(server, 3 * len(image)):
        assert is_refused(detect(server, image))
    assert time.monotonic() - began < AT_ONCE


@pytest.mark.parametrize("make", ACCEPTED.values(), ids=ACCEPTED)
def test_what_looks_like_a_bomb_may_be_none(server: Running, detector: Detector, make: Callable[[], bytes]) -> None:
    image = make()
    with little_memory(server, 3 * len(image)):
        answer = detect(server, image)
    assert answer.status_code == 200, answer.text
    assert {**boxes(detector, image), "model": "detection"} == {
        k: v for k, v in answer.json().items() if k != "version"
    }


def test_the_deadline_holds_for_an_image_that_takes_long_to_decode(server: Running) -> None:
    """Forty million rows of one pixel: within the limit of pixels, and seconds of work."""
    image = png(1, 40_000_000, bytes(80_000_000), bits=1, colour=0)
    began = time.monotonic()
    answer = detect(server, image, **{"X-Deadline-Ms": "300"})
    assert answer.status_code == 429
    assert "Retry-After" in answer.headers
    assert time.monotonic() - began < 2
