"""The lecture notes' vocabularies, on their data and split: `STILLHOUSE_DATA` names the folder that holds `tanaka/`."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from modalities.text.inputs.words import Words, train

FOLDER = Path(os.environ.get("STILLHOUSE_DATA", "")) / "tanaka"


@pytest.mark.real
@pytest.mark.skipif(not FOLDER.is_dir(), reason="STILLHOUSE_DATA names no folder with tanaka/")
def test_words_are_counted_as_the_notes_count_them() -> None:
    """40,000 of the 50,000 pairs, those behind the first fifth of numpy's permutation of seed 42, which is what
    `train_test_split(test_size=0.2, random_state=42)` takes; words that occur twice, and four special ids."""
    pairs = [(FOLDER / f"train.{language}").read_text("utf-8").splitlines() for language in ("en", "ja")]
    chosen = np.random.RandomState(42).permutation(50_000)[10_000:]
    source, target = ([texts[i] for i in chosen] for texts in pairs)
    coder = Words(train(source, target, 2, {"source": None, "target": None}))
    assert (coder.size("source"), coder.size("target")) == (3725, 4405)
