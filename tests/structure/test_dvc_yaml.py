"""`dvc.yaml` holds exactly the stages that there are, each with everything it depends on."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from imports import ROOT, closure

from core import paths

STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
PARAMS: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
NOT_A_DEPENDENCY = {f"{name}/__init__.py" for name in ("compression", "modalities", "stages", "tasks")}
"""They are empty."""


def instances(name: str) -> list[dict[str, str]]:
    """The items of a stage's matrix."""
    matrix = {key: PARAMS[str(value)[2:-1]] for key, value in STAGES[name]["matrix"].items()}
    return [dict(zip(matrix, values, strict=True)) for values in itertools.product(*matrix.values())]


def fill(text: str, item: dict[str, str]) -> str:
    text = text.replace("${environment}", PARAMS["environment"])
    return re.sub(r"\$\{item\.(\w+)\}", lambda match: item[match[1]], text)


ALL = [pytest.param(name, item, id="-".join([name, *item.values()])) for name in STAGES for item in instances(name)]


def test_stages_are_files() -> None:
    files = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    assert files == set(STAGES)


@pytest.mark.parametrize(("name", "item"), ALL)
def test_every_import_is_a_dependency(name: str, item: dict[str, str]) -> None:
    deps = [fill(dep, item) for dep in STAGES[name]["deps"]]
    for path in closure(Path("stages", f"{name}.py"), item["task"]):
        if str(path) in NOT_A_DEPENDENCY or path == Path("tasks", item["task"], "__init__.py"):
            continue
        assert any(str(path) == dep or dep in map(str, path.parents) for dep in deps), f"{name} imports {path}"


@pytest.mark.parametrize(("name", "item"), ALL)
def test_code_dependencies_exist(name: str, item: dict[str, str]) -> None:
    for dep in (fill(dep, item) for dep in STAGES[name]["deps"]):
        if not dep.startswith(("data/", "models/", "evaluations/", "reports/", "packages/")):
            assert (ROOT / dep).exists(), f"{name} depends on {dep}, which is not there"


@pytest.mark.parametrize("name", STAGES)
def test_another_environment_runs_every_stage_again(name: str) -> None:
    assert "${environment}" in STAGES[name]["deps"]


@pytest.mark.parametrize(("name", "item"), ALL)
def test_commands_hold_nothing_but_matrix_items(name: str, item: dict[str, str]) -> None:
    """A value from params.yaml in a `cmd` would be run by the shell."""
    command = STAGES[name]["cmd"]
    assert re.fullmatch(rf"python -m stages\.{name}( \$\{{item\.\w+\}})+", command)
    assert fill(command, item) == f"python -m stages.{name} " + " ".join(item.values())


@pytest.mark.parametrize(("name", "item"), ALL)
def test_outputs_are_those_of_core_paths(name: str, item: dict[str, str]) -> None:
    (text,) = STAGES[name]["outs"]
    folder = {
        "prepare": paths.prepared,
        "validate": paths.validated,
        "augment": paths.augmented,
        "train": lambda task: paths.checkpoint(task, "base"),
        "prune": paths.checkpoint,
        "distill": paths.checkpoint,
        "export": lambda task, variant: paths.model(task, variant, "fp32"),
        "quantize": paths.model,
        "evaluate": paths.evaluation,
        "compare": paths.report,
        "package": paths.package,
        "publish": paths.deploy,
    }[name]
    assert fill(text, item) == str(folder(*item.values()))
