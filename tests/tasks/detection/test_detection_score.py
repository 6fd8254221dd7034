"""COCO's numbers: by hand, against pycocotools' own accumulation, and where nothing was found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evaluation import bootstrap, quality
from tasks.detection import score
from tasks.detection.score import coco, resample

CATEGORIES = [{"id": 1, "name": "cell"}, {"id": 2, "name": "dot"}, {"id": 5, "name": "rare"}]

GOLDEN = {  # pycocotools 2.0.11 on `noisy(60, 3)`
    "map": 0.19743624703979826,
    "map50": 0.388082765093668,
    "map75": 0.18142863147377888,
    "map_small": 0.05346117578790847,
    "map_medium": 0.23361392632788955,
    "map_large": 0.5613397768348264,
    "ar1": 0.1758943184475099,
    "ar10": 0.35196399345335516,
    "ar100": 0.35196399345335516,
    "ar_small": 0.11506410256410256,
    "ar_medium": 0.36114864864864865,
    "ar_large": 0.60625,
}


def reference(boxes: list[list[float]], labels: list[int], crowd: list[bool] | None = None) -> dict[str, Any]:
    return {"boxes": boxes, "labels": labels, "crowd": crowd or [False] * len(boxes), "categories": CATEGORIES}


def found(box: list[float], value: float, category: int = 1) -> dict[str, Any]:
    return {"box": box, "score": value, "category_id": category, "label": ""}


def noisy(images: int, seed: int) -> tuple[list[Any], list[Any]]:
    """References and predictions that miss, duplicate, jitter and confuse, some images without a box."""
    rng = np.random.default_rng(seed)
    predictions, references = [], []
    for _ in range(images):
        count = int(rng.integers(0, 7))
        corner = rng.uniform(0, 200, (count, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(8, 120, (count, 2))], 1)
        labels = rng.choice([1, 2], count)
        references.append(reference(boxes.tolist(), labels.tolist(), (rng.random(count) < 0.05).tolist()))
        own = []
        for box, label in zip(boxes, labels, strict=True):
            for _ in range(int(rng.integers(0, 3))):
                kind = int(label) if rng.random() < 0.85 else 3 - int(label)
                own.append(found((box + rng.normal(0, 5, 4)).tolist(), round(float(rng.random()), 2), kind))
        own += [found([5.0, 5.0, 40.0, 40.0], 0.3, 2)] if rng.random() < 0.4 else []
        predictions.append(own)
    return predictions, references


def test_one_of_two_found_scores_half_the_recall_range() -> None:
    references = [reference([[0, 0, 50, 50], [100, 100, 150, 150]], [1, 1])]
    result = score.score([[found([0, 0, 50, 50], 0.9)]], references, None)
    assert result["metrics"]["map"] == pytest.approx(51 / 101)  # recalls 0, 0.01 .. 0.50 of 101 are reached
    assert result["metrics"]["ar100"] == pytest.approx(0.5)
    assert "map_small" not in result["metrics"]  # nothing is small: undefined, so left out
    assert result["tables"]["classes"][0]["boxes"] == 2


def test_overlap_of_0_8_counts_at_seven_thresholds_of_ten() -> None:
    references = [reference([[0, 0, 100, 100]], [1])]
    result = score.score([[found([0, 0, 100, 80], 0.9)]], references, None)
    assert result["metrics"]["map"] == pytest.approx(0.7)
    assert [result["metrics"][name] for name in ("map50", "map75")] == pytest.approx([1.0, 1.0])


def test_golden_numbers_of_pycocotools() -> None:
    assert score.score(*noisy(60, 3), None)["metrics"] == pytest.approx(GOLDEN, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_unresampled_accumulation_equals_pycocotools(seed: int) -> None:
    predictions, references = noisy(40, seed)
    evaluation = coco.evaluate(predictions, references, [1, 2, 5])
    ours = resample.average_precision(resample.matches(evaluation), np.ones((1, 40)), evaluation.params.recThrs)[0]
    theirs = coco.accumulate(evaluation)[:, :, :, 0, -1].mean(1)
    assert np.isnan(ours[:, 2]).all() and (theirs[:, 2] == -1).all()
    np.testing.assert_allclose(ours[:, :2], theirs[:, :2], rtol=0, atol=1e-12)


def test_weights_equal_repeated_images(monkeypatch: pytest.MonkeyPatch) -> None:
    predictions, references = noisy(12, 9)
    weights = np.array([2, 0, 1, 3, 1, 0, 1, 1, 2, 0, 1, 0])
    rows = np.repeat(np.arange(12), weights)
    repeated = coco.evaluate([predictions[i] for i in rows], [references[i] for i in rows], [1, 2])
    theirs = coco.accumulate(repeated)[:, :, :, 0, -1].mean(1)
    evaluation = coco.evaluate(predictions, references, [1, 2])
    found, recalls = resample.matches(evaluation), evaluation.params.recThrs
    several = np.stack([weights, np.ones(12), np.zeros(12), weights]).astype(float)
    together = resample.average_precision(found, several, recalls)
    monkeypatch.setattr(resample, "TOGETHER", 1)  # one after the other
    np.testing.assert_array_equal(resample.average_precision(found, several, recalls), together)
    assert np.isnan(together[2]).all()
    ours = together[0]
    # Equal scores of different images may stand in another order: a difference in a rank or two, no more.
    np.testing.assert_allclose(ours, theirs, atol=0.02)


def test_intervals_hold_the_value_and_repeat() -> None:
    predictions, references = noisy(60, 3)
    value = score.score(predictions, references, None)["metrics"]["map"]
    weighted = score.weighted(predictions, references, None)
    assert weighted(np.ones(60))["map"] == pytest.approx(value, abs=1e-4)
    first = bootstrap.intervals(bootstrap.draw(weighted, 60, 100, 7))
    assert first == bootstrap.intervals(bootstrap.draw(weighted, 60, 100, 7))
    assert first["map"][0] < value < first["map"][1]
    assert first["map"][1] - first["map"][0] < 0.3


def test_boxes_are_matched_once_for_a_score_and_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    predictions, references = noisy(8, 3)
    apart = score.score(predictions, references, None), score.weighted(predictions, references, None)
    evaluate, calls = coco.evaluate, []
    monkeypatch.setattr(coco, "evaluate", lambda *given: calls.append(given) or evaluate(*given))
    scores, weighted = quality.judged(score, predictions, references, None)
    assert len(calls) == 1 and scores == apart[0] and weighted(np.ones(8)) == apart[1](np.ones(8))


def test_no_predictions_are_defined() -> None:
    """docs/faults.md 81: a model that finds nothing scores 0, and so do its intervals."""
    _, references = noisy(10, 1)
    nothing: list[Any] = [[] for _ in references]
    result = score.score(nothing, references, None)
    assert result["metrics"]["map"] == 0.0
    assert bootstrap.intervals(bootstrap.draw(score.weighted(nothing, references, None), len(references), 20, 7))[
        "map"
    ] == (0.0, 0.0)


def test_no_references_are_defined() -> None:
    """docs/faults.md 81: nothing to find."""
    references = [reference([], [])]
    assert score.score([[found([0, 0, 9, 9], 0.5)]], references, None)["metrics"]["map"] == 0.0
    assert bootstrap.intervals(bootstrap.draw(score.weighted([[]], references, None), len(references), 5, 7))[
        "map50"
    ] == (0.0, 0.0)


def test_confusion_counts_hits_confusions_misses_and_ghosts() -> None:
    references = [reference([[0, 0, 50, 50], [100, 100, 150, 150], [200, 0, 250, 50]], [1, 2, 1])]
    confused, ghost = found([100, 100, 150, 150], 0.8, 1), found([0, 200, 9, 209], 0.5, 2)
    predictions = [[found([0, 0, 50, 50], 0.9, 1), confused, ghost]]
    table = score.score(predictions, references, None)["tables"]["confusion"]
    assert table["names"] == ["cell", "dot", "rare", "background"]
    assert table["counts"] == [[1, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]]


def test_signature_names_what_the_number_depends_on() -> None:
    text = score.score([[]], [reference([], [])], None)["signature"]
    assert text.startswith("COCO|iou:bbox|thr:0.50:0.95:0.05|recalls:101|dets:100|pycocotools:2.")
