"""Thousands of spoiled sources of every format: refused in one message that helps, or read into a sound dataset.

A failure names its format and seed; the same again: `pytest tests/stages/test_fuzz_readers.py -k again` with
FUZZ="FORMAT:SEED".
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import classification_tiny
import detection_tiny
import psutil
import pytest
import series_tiny
import translation_tiny
from raw_sources import KINDS, Source, valid, write
from sound_datasets import read, refusal
from spoiled_sources import spoiled

from core.errors import StillhouseError

SLOWEST_S = 20
"""For one source, on a machine that does much else."""
GROWTH_MB = 40
"""Of this process over thousands of sources."""
QUICK, SLOW = 3, 450
"""Sources of each format."""
TINY: dict[str, Any] = {
    "detection": detection_tiny,
    "classification": classification_tiny,
    "translation": translation_tiny,
    "series": series_tiny,
}
LIMITS: dict[str, dict[str, Any]] = {
    "detection": {"min_side": 2, "max_pixels": 10_000},
    "classification": {"min_side": 2, "max_pixels": 10_000},
    "translation": {},
    "series": {},
}


class Hung(BaseException):
    """Nothing that a reader catches."""


def params(name: str, format: str, trusted: bool) -> Any:
    """Of a tiny network of the task; a folder of the user's own, or one that came from elsewhere."""
    kind = KINDS[name]
    origin = {"source": "raw"} if trusted else {"source": "https://localhost/a.zip", "sha256": "0" * 64}
    data = {"format": format, **kind.settings, **origin}
    return TINY[kind.task].settings(data=data, validate=LIMITS[kind.task])


@contextmanager
def in_time() -> Iterator[None]:
    """Raises: Hung, after `SLOWEST_S`. The alarm that was set before (of pytest-timeout) is set again afterwards."""

    def ring(number: int, frame: Any) -> None:
        raise Hung

    began, before = time.monotonic(), signal.signal(signal.SIGALRM, ring)
    left, _ = signal.setitimer(signal.ITIMER_REAL, SLOWEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(0.1, left - (time.monotonic() - began)))


def fault(name: str, seed: int, source: Source, folder: Path) -> tuple[str, str]:
    """What became of a source, `read` or `refused`, and what was wrong about that, if anything."""
    kind = KINDS[name]
    place = folder / "in" / "raw"  # a link to the folder above must not lead to what is written
    write(source, place)
    settings = params(name, kind.format if seed % 2 else "auto", trusted=bool(seed % 3))
    try:
        with in_time():
            read(kind.task, place, folder / "out", settings)
    except StillhouseError as error:
        try:
            refusal(error, place)
        except AssertionError as wrong:
            return "refused", f"the refusal is wrong: {wrong}"
        return "refused", ""
    except Hung:
        return "hung", f"no end after {SLOWEST_S} s"
    except Exception:  # what the readers must never raise
        return "failed", "".join(traceback.format_exc(limit=-4))
    return "read", ""


def spoil_and_read(name: str, seeds: range, folder: Path) -> tuple[Counter[str], list[str]]:
    """How many sources of a format came to which end, and what was wrong."""
    ends: Counter[str] = Counter()
    wrong = []
    for seed in seeds:
        source, done = spoiled(name, seed)
        end, words = fault(name, seed, source, folder / "one")
        ends[end] += 1
        if words:
            wrong.append(f"FUZZ='{name}:{seed}' ({done}): {words}")
        shutil.rmtree(folder / "one")
    return ends, wrong


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk is not waited for, tens of thousands of times."""
    monkeypatch.setattr(os, "fsync", lambda number: None)


@pytest.mark.parametrize("format", ["named", "auto"])
@pytest.mark.parametrize("name", KINDS)
def test_a_valid_source_is_read(name: str, format: str, tmp_path: Path) -> None:
    write(valid(name), tmp_path / "raw")
    settings = params(name, KINDS[name].format if format == "named" else "auto", trusted=False)
    summary = read(KINDS[name].task, tmp_path / "raw", tmp_path / "out", settings)
    assert summary["format"] == KINDS[name].format
    assert summary["removed"] == 0


@pytest.mark.filterwarnings("ignore")  # Pillow's, of spoiled files
@pytest.mark.parametrize("name", KINDS)
def test_a_spoiled_source_is_refused_or_read_into_a_sound_dataset(name: str, tmp_path: Path) -> None:
    _, wrong = spoil_and_read(name, range(QUICK), tmp_path)
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore")
def test_ten_thousand_spoiled_sources(tmp_path: Path) -> None:
    """Also that nothing of them stays in memory."""
    ends: Counter[str] = Counter()
    wrong: list[str] = []
    memory: list[float] = []
    began = time.monotonic()
    for part in range(5):
        for name in KINDS:
            seeds = range(QUICK + part * SLOW // 5, QUICK + (part + 1) * SLOW // 5)
            found, words = spoil_and_read(name, seeds, tmp_path)
            ends += found
            wrong += words
        gc.collect()
        memory.append(psutil.Process().memory_info().rss / 1e6)
        shown = ", ".join(f"{size:.0f}" for size in memory)
        print(f"{dict(ends)}, {len(wrong)} wrong, {time.monotonic() - began:.0f} s, RSS {shown} MB", flush=True)
    assert ends.total() >= 10_000
    assert not wrong, f"{len(wrong)} of {ends.total()}:\n" + "\n".join(wrong[:20])
    assert min(ends["read"], ends["refused"]) > ends.total() // 10, "the faults are too harsh or too mild"
    assert memory[-1] - memory[0] < GROWTH_MB, memory


@pytest.mark.skipif("FUZZ" not in os.environ, reason="FUZZ=FORMAT:SEED names a source that was read wrongly")
def test_again(tmp_path: Path) -> None:
    name, _, seed = os.environ["FUZZ"].rpartition(":")
    _, wrong = spoil_and_read(name, range(int(seed), int(seed) + 1), tmp_path)
    assert not wrong, "\n".join(wrong)
