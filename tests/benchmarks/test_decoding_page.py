"""Decoding beside CTranslate2: the page, and the weights that are handed over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.decoding import ctranslate, page, run
from modalities.text.backbones.transformer import sinusoids

ROW: dict[str, Any] = {
    **{"precision": "int8", "beam": 5, "batch": 32, "equal": 290, "rounds": 40},
    "sentences_s": {"ours": 150.04, "CTranslate2": 140.0},
    "ratio": {"value": 1.071, "low": 1.05, "high": 1.1, "differs": True, "noisy": False},
}
FOUND: dict[str, Any] = {
    **{"commit": "0" * 40, "machine": "2 cores of X", "sentences": 320, "rows": [ROW]},
    "model": {"width": 192, "encoder_layers": 3, "decoder_layers": 2, "vocabulary": 4000},
}


def test_the_page_in_docs_is_what_is_made_of_the_measurements() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.page(), "run `python -m benchmarks.decoding table`"


def test_a_row_tells_speeds_ratio_and_how_many_are_equal(tmp_path: Path) -> None:
    assert "Not measured" in page.page(tmp_path)
    (tmp_path / "mine.json").write_text(json.dumps(FOUND), encoding="utf-8")
    text = page.page(tmp_path)
    assert "## mine\n\nA Transformer of width 192, 3 and 2 layers, 4,000 subwords." in text
    assert "| int8 | 5 | 32 | 150.0 | 140.0 | 1.07 (1.05 – 1.10) | 290 of 320 |" in text


def test_positions_are_those_of_the_network() -> None:
    """A checkpoint leaves them out, so they are made anew for CTranslate2."""
    np.testing.assert_allclose(ctranslate._positions(40, 24), sinusoids(40, 24).numpy(), atol=1e-5)


def test_every_sentence_is_timed_before_one_is_timed_again() -> None:
    seen: list[str] = []
    texts = [str(i) for i in range(8)]
    call = run._timed(lambda batch: seen.extend(batch) or [], texts, 2)  # type: ignore[func-returns-value]
    assert all(call(number) >= 0 for number in range(4)) and seen[:6] == texts[:6]
