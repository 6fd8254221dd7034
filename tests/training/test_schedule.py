"""The learning rate at known steps, by every schedule; on a plateau, as torch's own does it, in both directions."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
import toy

from core.better import Better
from training.schedule import Schedule

PLATEAU = {"name": "plateau", "factor": 0.5, "patience": 2, "floor": 0.01}


def schedule(better: Better = "higher", steps: int = 10, **changes: Any) -> Schedule:
    return Schedule(toy.train(**{"warmup_steps": 10, "epochs": 11} | changes), steps, better)


@pytest.mark.parametrize(
    ("settings", "values"),
    [
        ({"name": "cosine", "floor": 0.01}, {0: 0.1, 4: 0.5, 9: 1.0, 10: 1.0, 35: 0.8550178, 60: 0.505, 110: 0.01}),
        ({"name": "cosine", "floor": 0.0}, {9: 1.0, 60: 0.5, 85: 0.1464466, 110: 0.0, 200: 0.0}),
        (
            {"name": "step", "epochs": 3, "factor": 0.1},
            {0: 0.1, 9: 1.0, 29: 1.0, 30: 0.1, 59: 0.1, 60: 0.01, 90: 0.001},
        ),
        ({"name": "constant"}, {0: 0.1, 8: 0.9, 9: 1.0, 10: 1.0, 110: 1.0}),
        ({"name": "plateau"}, {0: 0.1, 8: 0.9, 9: 1.0, 10: 1.0, 110: 1.0}),
    ],
    ids=["cosine", "cosine to nothing", "step", "constant", "plateau before any validation"],
)
def test_values_at_known_steps(settings: dict[str, Any], values: dict[int, float]) -> None:
    made = schedule(schedule=settings)
    assert {step: made(step) for step in values} == pytest.approx(values)


def test_cosine_falls_at_every_step_after_the_warm_up() -> None:
    values = [schedule(schedule={"name": "cosine"})(step) for step in range(9, 111)]
    assert all(a >= b for a, b in itertools.pairwise(values))


@pytest.mark.parametrize("name", ["cosine", "step", "constant", "plateau"])
def test_without_a_warm_up_it_begins_at_the_full_rate(name: str) -> None:
    assert schedule(schedule={"name": name}, warmup_steps=0)(0) == 1.0


@pytest.mark.parametrize("name", ["cosine", "step", "constant"])
def test_only_a_plateau_looks_at_the_metric(name: str) -> None:
    made = schedule(schedule={"name": name, "patience": 1})
    before = [made(step) for step in range(110)]
    assert not any(made.lowered(0.5) for _ in range(5))
    assert [made(step) for step in range(110)] == before


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_on_a_plateau_it_does_what_torch_does(better: Better) -> None:
    """torch lowers when there were more than `patience` bad ones, this one when there are as many: one less there."""
    direction = 1 if better == "higher" else -1
    watched = [0.1, 0.2, 0.2, 0.15, 0.3, 0.3, 0.3, 0.29, 0.1, 0.31, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, "max" if better == "higher" else "min", factor=0.5, patience=1, threshold=0.0, min_lr=0.01, eps=0.0
    )
    made = schedule(better, schedule=PLATEAU, warmup_steps=0)
    ours, expected = [], []
    for value in watched:
        theirs.step(direction * value)
        made.lowered(direction * value)
        ours.append(made(50))
        expected.append(optimizer.param_groups[0]["lr"])
    assert ours == expected
    assert ours[-1] == 0.015625


def test_a_plateau_lowers_the_rate_to_its_floor_and_not_below() -> None:
    made = schedule(schedule=PLATEAU | {"patience": 1, "floor": 0.3}, warmup_steps=0)
    assert [(made.lowered(0.5), made(0)) for _ in range(4)] == [(False, 1.0), (True, 0.5), (True, 0.3), (False, 0.3)]


def test_the_state_is_plain_values_which_a_checkpoint_may_hold() -> None:
    made = schedule(schedule=PLATEAU)
    for value in (0.5, 0.4, 0.4):
        made.lowered(value)
    other = schedule(schedule=PLATEAU)
    other.__dict__.update(made.__dict__)
    assert other(50) == made(50) == 0.5
    assert all(isinstance(value, str | int | float) for value in vars(made).values())


@pytest.mark.parametrize(
    ("better", "scores", "rates"),
    [
        ("higher", [0.1, 0.5, 0.4, 0.3, 0.2, 0.6], [1, 1, 1, 0.1, 0.01, 0.001]),
        ("lower", [0.9, 0.5, 0.6, 0.4, 0.7, 0.8], [1, 1, 1, 0.1, 0.1, 0.01]),
    ],
)
def test_training_lowers_its_rate_right_after_the_validation(
    better: Better, scores: list[float], rates: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first step of the next epoch has the new rate."""
    monkeypatch.chdir(tmp_path)
    left, seen = iter(scores), []
    monkeypatch.setattr(toy.Metric, "compute", lambda self: {"score": next(left)})
    monkeypatch.setattr("training.callbacks.Curves.on_train_batch_start", rate_of(seen), raising=False)
    toy.fit(
        watched=toy.Watched("score", better, toy.Metric),
        epochs=6,
        warmup_steps=0,
        schedule={"name": "plateau", "factor": 0.1, "patience": 1, "floor": 0.0},
    )
    assert seen[::8] == pytest.approx([0.01 * rate for rate in rates])
    assert all(len(set(seen[i : i + 8])) == 1 for i in range(0, 48, 8))


def rate_of(seen: list[float]) -> Any:
    return lambda self, trainer, *rest: seen.append(trainer.optimizers[0].param_groups[0]["lr"])
