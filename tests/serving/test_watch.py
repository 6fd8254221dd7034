"""The distribution of what was asked last against that of the training."""

from __future__ import annotations

import pytest

from ops.drift import psi
from serving.watch import LEAST, WINDOW, Watch

STATISTICS = {
    "count": 100,
    "features": {
        "size": {"edges": [10.0, 20.0], "shares": [0.2, 0.3, 0.5]},
        "light": {"edges": [0.5], "shares": [0.5, 0.5]},
    },
}


def seen(*groups: tuple[int, dict[str, float]]) -> Watch:
    watch = Watch(STATISTICS)
    for count, features in groups:
        for _ in range(count):
            watch.see(features)
    return watch


def test_too_few_inputs_tell_nothing() -> None:
    watch = seen((LEAST - 1, {"size": 100.0, "light": 0.9}))
    assert watch.drift() == {}
    watch.see({"size": 100.0, "light": 0.9})
    assert set(watch.drift()) == {"size", "light"}


def test_the_index_of_each_feature() -> None:
    watch = seen((60, {"size": 5.0, "light": 0.4}), (40, {"size": 20.0, "light": 0.5}))
    assert watch.drift() == pytest.approx(
        {"size": psi([0.2, 0.3, 0.5], [60, 0, 40]), "light": psi([0.5, 0.5], [60, 40])}
    )


def test_inputs_like_those_of_the_training_have_not_drifted() -> None:
    watch = seen(
        (40, {"size": 1.0, "light": 0.1}), (60, {"size": 15.0, "light": 0.1}), (100, {"size": 30.0, "light": 1.0})
    )
    assert watch.drift() == {"size": 0, "light": 0}


def test_only_the_last_inputs_count() -> None:
    watch = seen((WINDOW, {"size": 100.0, "light": 1.0}), (WINDOW // 2, {"size": 1.0, "light": 0.1}))
    assert watch.drift()["light"] == pytest.approx(0)
    for _ in range(WINDOW // 2):
        watch.see({"size": 1.0, "light": 0.1})
    assert watch.drift()["light"] == pytest.approx(psi([0.5, 0.5], [WINDOW, 0]))


def test_features_that_one_side_lacks() -> None:
    """A package of another version of the task: what both know is compared."""
    watch = seen((LEAST, {"size": 5.0, "weight": 3.0}))
    assert set(watch.drift()) == {"size"}
