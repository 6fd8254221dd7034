"""Metrics against scikit-learn, weights against repetition, and pictures of all of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics as reference

from tasks.classification import score, show

CATEGORIES = [{"id": 10 * k + 1, "name": f"class {k}"} for k in range(7)]


def params(several: bool = False) -> Any:
    return SimpleNamespace(data=SimpleNamespace(multilabel=several))


def case(count: int = 200, several: bool = False, seed: int = 0) -> tuple[list[Any], list[Any], Any, Any]:
    """Predictions and references; truth (S, K) and probabilities (S, K)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 7)) * 2
    if several:
        probability, truth = 1 / (1 + np.exp(-logits)), rng.random((count, 7)) < 1 / (1 + np.exp(-logits))
    else:
        probability = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        truth = np.eye(7, dtype=bool)[[rng.choice(6, p=p[:6] / p[:6].sum()) for p in probability]]
    predictions = []
    for row in probability:
        order = np.argsort(-row)[: 7 if several else 5]
        entries = [
            {"label": CATEGORIES[k]["name"], "category_id": CATEGORIES[k]["id"], "probability": float(row[k])}
            for k in order
        ]
        predictions.append({**entries[0], "classes": entries})
    references = [{"whole": [CATEGORIES[k]["id"] for k in np.flatnonzero(t)], "categories": CATEGORIES} for t in truth]
    return predictions, references, truth, probability


def test_one_label_as_scikit_learn_scores_it() -> None:
    predictions, references, truth, probability = case()
    scored = score.score(predictions, references, params())
    true, best = truth.argmax(1), probability.argmax(1)
    found = scored["metrics"]
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(true, best))
    assert found["top5"] == pytest.approx(reference.top_k_accuracy_score(true, probability, k=5, labels=range(7)))
    assert found["macro_f1"] == pytest.approx(reference.f1_score(true, best, average="macro", zero_division=0))
    assert scored["tables"]["confusion"]["counts"] == reference.confusion_matrix(true, best, labels=range(7)).tolist()
    columns = reference.precision_recall_fscore_support(true, best, labels=range(7), zero_division=0)
    for name, values in zip(("precision", "recall", "f1", "support"), columns, strict=True):
        assert [row[name] for row in scored["tables"]["classes"]] == pytest.approx(values.tolist())


def test_several_labels_as_scikit_learn_scores_them() -> None:
    predictions, references, truth, probability = case(several=True)
    scored = score.score(predictions, references, params(True))
    found = scored["metrics"]
    assert set(found) == {"accuracy", "macro_f1", "ece"} and scored["tables"]["confusion"] is None
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(truth, probability >= 0.5))
    assert found["macro_f1"] == pytest.approx(reference.f1_score(truth, probability >= 0.5, average="macro"))


def test_the_calibration_error_is_the_sum_over_bins() -> None:
    predictions, references, truth, probability = case()
    sure, right = probability.max(1), probability.argmax(1) == truth.argmax(1)
    expected = 0.0
    for low in range(15):
        own = (sure >= low / 15) & (sure < (low + 1) / 15)
        if own.any():
            expected += own.mean() * abs(right[own].mean() - sure[own].mean())
    assert score.score(predictions, references, params())["metrics"]["ece"] == pytest.approx(expected)


@pytest.mark.parametrize("several", [False, True])
def test_weights_are_repetitions(several: bool) -> None:
    predictions, references, _, _ = case(60, several)
    counts = np.random.default_rng(1).integers(0, 4, 60)
    again = np.repeat(np.arange(60), counts)
    weighted = score.weighted(predictions, references, params(several))(counts.astype(float))
    repeated = score.score([predictions[i] for i in again], [references[i] for i in again], params(several))["metrics"]
    assert weighted == pytest.approx(repeated)


def test_nothing_at_all_scores_nothing() -> None:
    found = score.score([], [], params())["metrics"]
    assert found["accuracy"] == 0.0 and found["macro_f1"] == 0.0 and found["ece"] == 0.0
    assert "numpy" in score.signature(False)


def test_pictures_and_plots_are_drawn(tmp_path: Path) -> None:
    predictions, references, _, _ = case(4)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    predictions[0]["cam"] = [[0.0, 1.0], [-1.0, 2.0]]
    show.show([pixels] * 4, predictions, references, tmp_path)
    first, second = (np.asarray(Image.open(tmp_path / f"sample_0{i}.png")) for i in range(2))
    assert first.shape == second.shape == (270 + 6 * 30, 720, 3)
    assert not np.array_equal(first[:270], second[:270])
    for several in (False, True):
        made = case(80, several)
        show.plots(score.score(made[0], made[1], params(several)), tmp_path / str(several))
    assert {path.name for path in (tmp_path / "False").iterdir()} == {"confusion.png", "reliability.png", "classes.png"}
    assert {path.name for path in (tmp_path / "True").iterdir()} == {"reliability.png", "classes.png"}
