"""The log of champions: it tells what was, and whoever changes it is found out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy_package

from core.errors import ModelError
from evaluation import succession
from ops import promotions

ROOT = Path(__file__).parents[2]
FIGURES = toy_package.FIGURES
Change = Callable[[list[str]], list[str]]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of three models, the second of which was refused."""
    monkeypatch.chdir(tmp_path)
    for number, promoted in enumerate((True, False, True)):
        promotions.append("detection", promoted, f"reason {number}", str(number) * 64, FIGURES)
    return promotions.log("detection")


def tell(*tasks: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ops.promotions", *tasks]
    return subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)


def test_it_tells_who_became_champion_when_and_why(log: Path) -> None:
    found = promotions.champion(promotions.read("detection"))
    assert found is not None and found["package"] == "2" * 64
    done = tell()
    assert done.returncode == 0 and done.stdout.count("champion") == 2 and done.stdout.count("refused") == 1
    assert "reason 1; by " in done.stdout and "mAP@[.5:.95] 0.52 on val, 0.5 on test" in done.stdout


def changed(lines: list[str], number: int, key: str, value: Any, sealed: bool = False) -> list[str]:
    record = json.loads(lines[number]) | {key: value}
    if sealed:
        record["seal"] = promotions._seal({name: kept for name, kept in record.items() if name != "seal"})
    return [*lines[:number], json.dumps(record), *lines[number + 1 :]]


CHANGES: dict[str, tuple[Change, int]] = {
    "another outcome": (lambda lines: changed(lines, 1, "promoted", True), 2),
    "another reason": (lambda lines: changed(lines, 0, "why", "better"), 1),
    "another package, sealed anew": (lambda lines: changed(lines, 1, "package", "f" * 64, sealed=True), 3),
    "one taken out": (lambda lines: [lines[0], lines[2]], 2),
    "the first taken out": (lambda lines: lines[1:], 1),
    "one twice": (lambda lines: [lines[0], lines[0], *lines[1:]], 2),
    "another order": (lambda lines: [lines[1], lines[0], lines[2]], 1),
    "half a line": (lambda lines: [*lines[:2], lines[2][:50]], 3),
    "no record": (lambda lines: [*lines, "[1]"], 4),
    "of another task": (lambda lines: changed(lines, 2, "task", "translation", sealed=True), 3),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_found_and_nothing_is_built_on_it(log: Path, name: str) -> None:
    change, number = CHANGES[name]
    log.write_text("".join(f"{line}\n" for line in change(log.read_text().splitlines())))
    (problem,) = promotions.problems("detection")
    assert f"line {number} " in problem
    with pytest.raises(ModelError, match=rf"line {number} .* Move .* aside"):
        promotions.append("detection", True, "next", "3" * 64, FIGURES)


def test_a_log_that_does_not_hold_ends_the_command_with_two(log: Path) -> None:
    log.write_text(log.read_text().replace("reason 0", "reason 9"))
    done = tell("detection")
    assert done.returncode == 2 and "line 1 was changed" in done.stderr and "Traceback" not in done.stderr


def figures(val: float, spread: float, **others: Any) -> dict[str, Any]:
    """Of a model whose resamples are around `val`; `spread` is how far they follow a drummer of their own."""
    own = [val + spread * step for step in (-1.0, 1.0, 0.5, -0.5)]
    return FIGURES | {"val": val, "resamples": {"bootstrap": own, "jackknife": own}} | others


CHAMPION = figures(0.5, 0.0)


@pytest.mark.parametrize(
    ("challenger", "passes", "why"),
    [
        (figures(0.5, 0.0), True, "no more than 0 worse"),
        (figures(0.49, 0.0), True, "no more than 0.01 worse"),
        (figures(0.47, 0.0), False, "up to 0.03 worse is possible, compare.budget.max_loss is 0.02"),
        (figures(0.51, 0.05), False, "worse is possible"),  # it seems better, but so few inputs do not tell
        (figures(0.1, 0.0, data=["another"]), True, "it cannot be compared with the champion: data changed"),
        (figures(0.1, 0.0, seed=8, inputs=5), True, "seed and inputs changed"),
        (figures(0.52, 0.0, better="lower"), True, "better changed"),
        (
            figures(0.1, 0.0, resamples={"bootstrap": [0.1] * 9, "jackknife": [0.1] * 4}),
            True,
            "the number of resamples changed",
        ),
    ],
)
def test_the_champion_goes_for_none_that_may_be_worse(challenger: dict[str, Any], passes: bool, why: str) -> None:
    found, told = succession.verdict(challenger, CHAMPION, 0.02)
    assert found is passes and why in told


def test_of_an_error_less_is_better() -> None:
    champion = CHAMPION | {"better": "lower"}
    assert succession.verdict(figures(0.47, 0.0, better="lower"), champion, 0.02)[0]
    assert not succession.verdict(figures(0.53, 0.0, better="lower"), champion, 0.02)[0]


def test_the_first_one_needs_no_comparison() -> None:
    assert succession.verdict(CHAMPION, None, 0.02) == (True, "the first")


def test_a_package_of_an_older_version_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"evaluation\.json: an older version made it; run the stage `package` again"):
        succession.figures(tmp_path)
