"""Errors of forecasts, by hand and by scikit-learn; blocks; errors of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import series_tiny as tiny
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, root_mean_squared_error

from evaluation import bootstrap
from modalities.series.inputs.windows import table
from tasks.series import score


def test_by_hand() -> None:
    """One window, two steps: the newest season again is 4, 6, the newest value 6; the truth 5, 9 against 6, 6."""
    made = tiny.settings(data={"window": 4, "horizon": 2, "season": 2})
    told = [{"quantiles": [[[5.0, 6.0, 8.0]], [[5.0, 6.0, 8.0]]]}]
    window = {
        "name": "a",
        "block": 0,
        "past": np.array([[1.0], [2.0], [4.0], [6.0]]),
        "future": np.array([[5.0], [9.0]]),
        "unit": np.array([0.5]),
        "spread": np.array([2.0]),
    }
    found = score.score(told, [window], made)["metrics"]
    assert found["mae"] == 2.0 and found["rmse"] == pytest.approx(5**0.5)
    assert found["mae_naive"] == 2.0 and found["mae_seasonal"] == 2.0 and found["skill_seasonal"] == 0.0
    assert found["mase"] == 4.0
    assert found["smape"] == pytest.approx((200 * 1 / 11 + 200 * 3 / 15) / 2)
    assert found["pinball"] == pytest.approx((0 + 0.5 + 0.3 + 0.4 + 1.5 + 0.9) / 6)
    assert found["coverage"] == 0.5
    assert found["mse_scaled"] == pytest.approx((0.25 + 2.25) / 2)
    assert (found["mae_step_1"], found["mae_step_2"]) == (1.0, 3.0)


def test_against_scikit_learn() -> None:
    made, rng = tiny.settings(), np.random.default_rng(3)
    true, said = rng.normal(5, 2, (9, 4, 1)), np.sort(rng.normal(5, 2, (9, 4, 1, 3)), -1)
    common = {"name": "", "past": np.ones((12, 1)), "unit": np.ones(1), "spread": np.ones(1)}
    references = [{**common, "block": i, "future": each} for i, each in enumerate(true)]
    predictions = [{"quantiles": each.tolist()} for each in said]
    found = score.score(predictions, references, made)["metrics"]
    flat = true.ravel()
    assert found["mae"] == pytest.approx(mean_absolute_error(flat, said[..., 1].ravel()))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(flat, said[..., 1].ravel()))
    losses = [mean_pinball_loss(flat, said[..., i].ravel(), alpha=level) for i, level in enumerate((0.1, 0.5, 0.9))]
    assert found["pinball"] == pytest.approx(np.mean(losses))
    weights = rng.integers(0, 3, 9).astype(float)
    again = score.weighted(predictions, references, made)(weights)
    repeated = [i for i, count in enumerate(weights) for _ in range(int(count))]
    assert again["mae"] == pytest.approx(np.abs(true - said[..., 1])[repeated].mean())
    assert "mae_step_1" not in again  # training watches no single steps


def test_references_are_in_units_of_train(seasons: Path) -> None:
    references, train = score.references(seasons, "val"), table(seasons, "train").query("series_id == 's'")
    values = train["v_load"].to_numpy()
    mine = next(reference for reference in references if reference["name"] == "s")
    assert mine["unit"] == pytest.approx([np.abs(values[6:] - values[:-6]).mean()])
    assert mine["spread"] == pytest.approx([table(seasons, "train")["v_load"].std(ddof=0)])
    assert [len(reference["future"]) for reference in references] == [4] * 12


def test_windows_that_overlap_are_drawn_together(seasons: Path) -> None:
    references = score.references(seasons, "val")
    blocks = bootstrap.blocks(score, references)
    assert blocks is not None and blocks.tolist() == [0, 1, 1, 2, 2, 3] * 2
    for weights in bootstrap.resamples(len(references), 20, 1, blocks):
        assert all(len(set(weights[blocks == block])) == 1 for block in range(4))
        assert sum(weights[[0, 1, 3, 5]]) == 4


def test_a_wrong_label_is_an_error_of_one() -> None:
    made = tiny.settings(**tiny.ADDITION)
    labels = np.array([[0, 1, 1], [1, 0, 0]])
    references = [{"name": "", "block": i, "labels": each} for i, each in enumerate(labels)]
    said: list[Any] = [{"probabilities": [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]}, {"probabilities": np.eye(2)[labels[1]]}]
    found = score.score(said, references, made)
    assert found["metrics"] == {"mae": pytest.approx(1 / 6), "whole": 0.5, "accuracy": pytest.approx(5 / 6)}
    assert [part["value"] for part in found["tables"]["parts"][:3]] == [0.0, 0.0, 0.5]


@pytest.mark.parametrize("changes", [{}, tiny.ADDITION])
def test_without_windows_everything_is_defined(changes: dict[str, Any]) -> None:
    metrics = score.score([], [], tiny.settings(**changes))["metrics"]
    assert metrics["mae"] == 0.0 and all(np.isfinite(list(metrics.values())))
