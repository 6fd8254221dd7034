"""Word error rates against counts by hand, and the same when recordings count several times."""

from __future__ import annotations

import numpy as np
import pytest
import speech_tiny as tiny

from core import better
from tasks.speech import score

TEXTS = [("one two three", "one too three"), ("four", "four five"), ("six seven", "six"), ("eight", "eight")]


def given(pairs: list[tuple[str, str]]) -> tuple[list[dict[str, str]], list[dict[str, object]]]:
    references = [{"text": true, "speaker": f"s{i % 2}", "seconds": 1.0} for i, (true, _) in enumerate(pairs)]
    return [{"text": said} for _, said in pairs], references  # type: ignore[return-value]


def test_of_transcripts_words_are_counted() -> None:
    found = score.score(*given(TEXTS), tiny.settings())
    metrics = found["metrics"]
    assert metrics["wer"] == pytest.approx(3 / 7) and metrics["accuracy"] == 1 / 4
    assert [metrics[name] * 7 for name in ("insertions", "deletions", "substitutions")] == pytest.approx([1, 1, 1])
    assert metrics["cer"] == pytest.approx((1 + 5 + 6) / (13 + 4 + 9 + 5))
    assert found["tables"]["parts"] == [
        {"kind": "speaker", "name": "s0", "count": 2, "value": pytest.approx(2 / 5)},
        {"kind": "speaker", "name": "s1", "count": 2, "value": pytest.approx(1 / 2)},
    ]
    assert {"reference": "two", "said": "too", "count": 1} in found["tables"]["confusions"]
    assert {"reference": "seven", "said": "", "count": 1} in found["tables"]["confusions"]


def test_of_classes_recordings_are_counted_however_many_words_a_name_has() -> None:
    made = tiny.settings(data={"target": "class"})
    found = score.score(*given([("turn left", "turn right"), ("stop", "stop")]), made)
    assert found["metrics"] == {"wer": 0.5, "accuracy": 0.5}
    assert found["tables"]["confusion"] == {
        "names": ["stop", "turn left", "turn right"],
        "counts": [[1, 0, 0], [0, 0, 1], [0, 0, 0]],
    }


def test_weights_are_repetitions() -> None:
    weights = np.array([0, 2, 1, 1])
    repeated = [TEXTS[i] for i in (1, 1, 2, 3)]
    found = score.weighted(*given(TEXTS), tiny.settings())(weights)
    assert found == pytest.approx(score.score(*given(repeated), tiny.settings())["metrics"])


def test_less_is_better_and_nothing_said_is_all_wrong() -> None:
    silent = score.score(*given([("one two", "")]), tiny.settings())["metrics"]
    assert silent["wer"] == silent["deletions"] == 1 and better.loss(1.0, 0.0, score.BETTER) == 1.0
    assert score.score([], [], tiny.settings())["metrics"]["wer"] == 0
