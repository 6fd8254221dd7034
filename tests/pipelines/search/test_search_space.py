"""What a trial is asked for, what it writes into params, and what is told of it."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from optuna.trial import TrialState

from core import knobs
from core import params as params_module
from core.errors import ParamsError, StillhouseError
from core.knobs import Knob
from pipelines.search import space, studies, trials, view
from pipelines.search.__main__ import search

ROOT = Path(__file__).resolve().parents[3]
SPACE = {
    "pruned": {"ratio": Knob(low=0.1, high=0.5), "train.epochs": Knob(low=1, high=3)},
    "distilled": {"backbone.widths": Knob(choices=[[16, 32], [16, 48]])},
}


@pytest.fixture
def values() -> dict[str, Any]:
    return params_module.read(ROOT / "params.yaml")


def study() -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(directions=studies.DIRECTIONS, sampler=optuna.samplers.RandomSampler(seed=0))


def test_a_trial_has_a_variant_and_values_of_its_knobs() -> None:
    seen: dict[str, list[dict[str, Any]]] = {}
    made = study()
    for _ in range(40):
        variant, found = space.suggest(made.ask(), SPACE)
        seen.setdefault(variant, []).append(found)
    assert set(seen) == set(SPACE)
    assert all(0.1 <= found["ratio"] <= 0.5 for found in seen["pruned"])
    assert {found["train.epochs"] for found in seen["pruned"]} == {1, 2, 3}
    assert {tuple(found["backbone.widths"]) for found in seen["distilled"]} == {(16, 32), (16, 48)}


def test_params_of_a_trial_are_valid_and_hold_one_variant(values: dict[str, Any]) -> None:
    before = repr(values)
    found = {"ratio": 0.37, "train.epochs": 9}
    made = space.params(values, "classification", "pruned", found)
    assert repr(values) == before
    head, tasks = params_module.check(made)
    section: Any = tasks["classification"]
    assert (
        head.tasks == list(tasks) == ["classification"]
        and not getattr(section, "distill", None)
        and section.search is None
    )
    pruned = section.prune["pruned"]
    assert (pruned.ratio, pruned.train.epochs) == (0.37, 9)


def test_a_chain_keeps_what_it_is_made_of(values: dict[str, Any]) -> None:
    values["detection"]["prune"]["pruned"]["of"] = "distilled"
    made = space.params(values, "detection", "pruned", {"ratio": 0.3})
    assert set(made["detection"]["distill"]) == {"distilled"}
    params_module.check(made)


def test_a_chain_may_be_searched(values: dict[str, Any]) -> None:
    """What a variant is made of is a setting as any other."""
    chained = space.params(values, "detection", "pruned", {"of": "distilled"})
    assert set(chained["detection"]["distill"]) == {"distilled"}
    single = space.params(values, "detection", "pruned", {"of": "base"})
    assert not single["detection"]["distill"]
    params_module.check(single)


def test_a_nested_setting_of_one_variant_is_not_that_of_the_base(values: dict[str, Any]) -> None:
    """In YAML both may be one mapping, by an anchor."""
    made = space.params(values, "detection", "pruned", {"train.optimizer.name": "sgd"})
    assert made["detection"]["prune"]["pruned"]["train"]["optimizer"]["name"] == "sgd"
    assert made["detection"]["train"]["optimizer"]["name"] == "adamw"


@pytest.mark.parametrize("variant", ["pruned", "distilled"])
def test_a_setting_of_quantization_is_that_of_the_task(values: dict[str, Any], variant: str) -> None:
    before = repr(values)
    made = space.params(values, "detection", variant, {"quantize.method": "percentile", "quantize.calibration": 16})
    assert repr(values) == before
    _, tasks = params_module.check(made)
    section: Any = tasks["detection"]
    assert (section.quantize.method, section.quantize.calibration) == ("percentile", 16)
    assert made["detection"]["quantize"]["rescue"] == values["detection"]["quantize"]["rescue"]


def test_the_shipped_file_tries_quantization_of_each_task(values: dict[str, Any]) -> None:
    _, tasks = params_module.check(values)
    for name, section in tasks.items():
        assert section.search is not None
        (variant,) = [each for each, found in section.search.items() if any(map(knobs.of_quantize, found))]
        (path,) = filter(knobs.of_quantize, section.search[variant])
        for choice in section.search[variant][path].choices or []:
            params_module.check(space.params(values, name, variant, {path: choice}))


def test_small_numbers_keep_their_digits_and_stay_in_range() -> None:
    knob = {"pruned": {"lr": Knob(low=0.00001, high=0.0001)}}
    made = study()
    found = [space.suggest(made.ask(), knob)[1]["lr"] for _ in range(50)]
    assert all(0.00001 <= value <= 0.0001 for value in found) and len(set(found)) > 40


def test_other_params_or_data_begin_another_study(values: dict[str, Any]) -> None:
    one = studies.key(values, "detection")
    assert studies.key(values, "detection") == one
    values["translation"]["seed"] = 1
    assert studies.key(values, "detection") == one
    assert studies.key(values | {"learning_threads": 3}, "detection") != one
    for path, value in (("train.epochs", 9), ("compare.budget.max_mb", 1.0), ("search.pruned.ratio.low", 0.01)):
        before = json.loads(json.dumps(values))
        knobs.place(before["detection"], path, value)
        assert studies.key(before, "detection") != one


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"pruned": {"ration": {"low": 0.1, "high": 0.2}}}, "search.pruned.ration: no such setting; did you mean"),
        ({"pruned": {"train.lr.x": {"low": 0.1, "high": 0.2}}}, "search.pruned.train.lr.x: no such setting"),
        ({"pruned": {"ratio": {"low": 0.3, "high": 0.2}}}, "found low 0.3 and high 0.2, expected low < high"),
        ({"pruned": {"ratio": {"low": 0.3}}}, "expected either `low` and `high`, or `choices`"),
        ({"pruned": {"ratio": {"choices": [0.3]}}}, "expected two or more"),
        ({"pruned": {"ratio": {"low": 0.1, "high": 0.2, "choices": [0.3, 0.4]}}}, "expected either"),
        ({"pruned": {"ratio": {"low": 0.5, "high": 1.0}}}, "search.pruned.ratio: found 1.0, should be less than 1"),
        (
            {"pruned": {"train.schedule.name": {"choices": ["cosine", "linear"]}}},
            "search.pruned.train.schedule.name: found 'linear', expected 'cosine', 'step', 'constant' or 'plateau'",
        ),
        (
            {"pruned": {"quantize.methods": {"choices": ["minmax", "entropy"]}}},
            "search.pruned.quantize.methods: no such setting; did you mean 'method'?",
        ),
        (
            {"distilled": {"quantise.method": {"choices": ["minmax", "entropy"]}}},
            "search.distilled.quantise.method: no such setting; did you mean 'quantize'?",
        ),
        (
            {"pruned": {"quantize.method": {"choices": ["minmax", "percentil"]}}},
            "search.pruned.quantize.method: found 'percentil', expected 'minmax', 'entropy' or 'percentile'",
        ),
        (
            {"pruned": {"quantize.calibration": {"low": 0, "high": 64}}},
            "search.pruned.quantize.calibration: found 0, should be greater than or equal to 1",
        ),
        (
            {"pruned": {"quantize.calibration": {"low": 8, "high": 64.5}}},
            "search.pruned.quantize.calibration: found 64.5, should be a valid integer",
        ),
        (
            {"pruned": {"quantize.rescue": {"choices": [None, 0.5]}}},
            "search.pruned.quantize: rescue: found 0.5, expected at most max_loss, 0.1",
        ),
    ],
)
def test_a_section_that_names_nothing_is_refused(values: dict[str, Any], section: Any, told: str) -> None:
    values["detection"]["search"] = section
    with pytest.raises(ParamsError, match=told.replace("?", r"\?")):
        params_module.check(values)


def test_a_task_without_quantization_has_no_setting_of_it(values: dict[str, Any]) -> None:
    section: Any = params_module.check(values)[1]["detection"]
    found = {"pruned": {"quantize.rescue": Knob(choices=[0.0, 0.1])}}
    knobs.check(found, section.prune, section.quantize)
    with pytest.raises(ValueError, match=r"search\.pruned\.quantize\.rescue: no such setting; did you mean"):
        knobs.check(found, section.prune, None)


def test_what_would_change_the_reference_is_not_searched(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values["detection"]["precisions"] = ["int8", "fp32"]
    values["detection"]["search"] = {"pruned": {"quantize.method": {"choices": ["minmax", "percentile"]}}}
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(
        StillhouseError, match=r"search\.pruned\.quantize\.method would change the reference.*base int8"
    ):
        search("detection", 1, 1)


def test_a_variant_that_is_gone_stops_a_search_and_nothing_else(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del values["detection"]["prune"]["pruned"]
    params_module.check(values)
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(StillhouseError, match=r"detection\.search\.pruned is of no variant of detection; valid: dist"):
        search("detection", 1, 1)
    with pytest.raises(StillhouseError, match="task 'x' is not in `tasks`"):
        search("x", 1, 1)


def row(loss: float, speed: float, **other: Any) -> dict[str, Any]:
    found = {"value": speed, "low": speed - 0.01, "high": speed + 0.01}
    made = {
        "variant": "pruned",
        "precision": "int8",
        "loss": {"value": loss, "bound": loss + 0.01},
        "speed": found,
        "size_mb": 2.0,
    }
    return {**made, "quality": 0.5, "latency_ms": 4.0, "misses": [], **other}


def searched() -> optuna.Study:
    made = study()
    for number, result in enumerate(
        [row(0.0, 1.0), row(0.01, 2.0), row(0.02, 1.5), row(0.05, 3.0, misses=["max_loss"])]
    ):
        trial = made.ask()
        trial.set_user_attr("variant", "pruned")
        trial.set_user_attr("values", {"ratio": number / 10})
        trial.set_user_attr("row", result)
        trial.set_user_attr("base", row(0.0, 1.2, variant="base"))
        made.tell(trial, [result["loss"]["value"], result["speed"]["value"], result["size_mb"]])
    early = made.ask()
    early.set_user_attr("variant", "pruned")
    early.set_user_attr("values", {"ratio": 0.9})
    made.tell(early, state=TrialState.PRUNED)
    return made


def test_the_front_is_what_no_trial_beats() -> None:
    found = searched().trials
    assert [trial.number for trial in view.front(found)] == [0, 1, 3]


def test_what_is_told_at_the_end() -> None:
    found, kinds = searched().trials, {"pruned": "prune"}
    told = view.advice(found, "detection", kinds)
    assert (
        "the fastest within compare.budget is trial 1; for params.yaml:\n  detection.prune.pruned.ratio: 0.1\n" in told
    )
    assert told.endswith("the smallest within compare.budget is base int8 yet")
    assert "fastest within compare.budget is base int8 yet" in view.advice(found[:1], "detection", kinds)
    assert "search longer" in view.advice(found[3:], "detection", kinds)
    assert "loses 0.05, 3.00 times as fast, 2.00 MB; misses max_loss" in view.line(found[3])
    assert "stopped early: why" in view.line(found[4], "why")


def test_advice_names_the_section_of_quantization() -> None:
    made = study()
    for name, base_speed in (("pruned", 1.0), ("distilled", 9.0)):
        trial = made.ask()
        trial.set_user_attr("variant", name)
        trial.set_user_attr("values", {"train.epochs": 3, "quantize.method": "percentile"})
        trial.set_user_attr("row", row(0.0, 5.0))
        trial.set_user_attr("base", row(0.0, base_speed, variant="base", size_mb=3.0))
        made.tell(trial, [0.0, 5.0, 2.0])
    kinds = {"pruned": "prune", "distilled": "distill"}
    assert view.advice(made.trials[:1], "detection", kinds).startswith(
        "the fastest within compare.budget is trial 0; for params.yaml:\n"
        "  detection.prune.pruned.train.epochs: 3\n  detection.quantize.method: percentile\n"
    )
    # The base of that trial was quantized likewise.
    assert view.advice(made.trials[1:], "detection", kinds).startswith(
        "the fastest within compare.budget is base int8 yet; for params.yaml:\n"
        "  detection.quantize.method: percentile\n"
    )


def test_what_keeps_the_budget_is_told_beside_a_better_one_that_does_not() -> None:
    made = searched()
    trial = made.ask()
    trial.set_user_attr("variant", "distilled")
    trial.set_user_attr("values", {"layers": None})
    for name, found in (("row", row(0.0, 9.0, misses=["max_mb"])), ("base", row(0.0, 1.2))):
        trial.set_user_attr(name, found)
    made.tell(trial, [0.0, 9.0, 2.0])
    assert [each.number for each in view.front(made.trials)] == [trial.number]
    assert "trial 1;" in view.advice(made.trials, "detection", {"pruned": "prune"})


def test_the_page_fits_into_a_terminal() -> None:
    from rich.console import Console

    console = Console(width=80, record=True, file=io.StringIO())
    console.print(view.page(searched().trials, "trial 5 runs"))
    text = console.export_text()
    assert (
        "trials: 4 done, 1 stopped early" in text and "base int8" in text and "kept" in text and "trial 5 runs" in text
    )


def test_the_row_of_a_trial_keeps_the_budget_where_one_does() -> None:
    fast, slow = row(0.1, 3.0, misses=["max_loss"]), row(0.0, 1.5)
    assert trials.best([fast, slow]) is slow and trials.best([fast]) is fast
    _, tasks = params_module.check(params_module.read(ROOT / "params.yaml"))
    beyond = trials.excess(row(0.05, 2.0, size_mb=30.0, latency_ms=30.0, better="higher"), tasks["detection"])
    assert beyond == {
        **{"max_loss": pytest.approx(1.0), "max_mb": pytest.approx(0.5), "max_ms": pytest.approx(-0.5)},
        "worst_quality": pytest.approx(-9.0),
    }


def test_what_may_still_be_of_use() -> None:
    _, tasks = params_module.check(params_module.read(ROOT / "params.yaml"))

    def scores(quality: float, mb: float) -> dict[str, Any]:
        return {"main": "map", "better": "higher", "size_mb": mb, "val": {"metrics": {"map": quality}}}

    def hope(quality: float, mb: float = 2.0) -> dict[str, float]:
        return trials.hope(scores(quality, mb), scores(0.5, 10.0), tasks["detection"])

    assert max(hope(0.42).values()) <= 0 < hope(0.40)["max_loss"]
    assert hope(0.5, 21.0)["max_mb"] > 0 and hope(math.nan)["max_loss"] == trials.WORST


def on_board(ms: float, high: float, speed: float) -> dict[str, Any]:
    found = {"name": "board", "how": "estimated", "ms": ms, "low": ms, "high": high, "speed": {"value": speed}}
    return row(0.0, 9.0 / speed, better="higher") | {"device": found}


def test_a_search_for_a_device_goes_by_its_milliseconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, fast = on_board(4.0, 60.0, 1.5), on_board(2.0, 30.0, 3.0)
    assert trials.best([slow, fast]) is fast, "which is the slower one here"
    values = params_module.read(ROOT / "params.yaml")
    _, tasks = params_module.check(values)
    budget = tasks["detection"].compare.budget
    assert trials.excess(slow, tasks["detection"])["max_ms"] == pytest.approx(60.0 / budget.max_ms - 1), "its upper end"
    made = study()
    for result in (slow, fast):
        trial = made.ask()
        for name, value in (("variant", "pruned"), ("values", {}), ("row", result), ("base", row(0.0, 1.0))):
            trial.set_user_attr(name, value)
        made.tell(trial, [0.0, 1.0, 2.0])
    assert [trial.number for trial in view.front(made.trials)] == [1]
    assert "3.00 times as fast on board, as estimated, 2.00 MB" in view.line(made.trials[1])
    monkeypatch.chdir(tmp_path)
    values["detection"]["compare"]["budget"]["device"] = "board"
    keys = set()
    for content in ("1", "2"):
        Path("devices").mkdir(exist_ok=True)
        Path("devices/board.json").write_text(content, encoding="utf-8")
        keys.add(studies.key(values, "detection"))
    assert len(keys) == 2, "figures of another profile are others"
