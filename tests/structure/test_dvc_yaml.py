"""`dvc.yaml` and `matrix.yaml` hold the stages that there are, each with what it depends on and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from imports import ROOT, closure, sources

from core import lineage, matrix, params, paths, stage

STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
MATRIX: dict[str, Any] = yaml.safe_load((ROOT / "matrix.yaml").read_text(encoding="utf-8"))["matrix"]
PARAMS: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
CODE = ("core", "ops", "modalities", "compression", "training", "evaluation", "validation", "tasks", "stages")
WITHOUT_EFFECT = ("ops/tracking", "ops/integrity.py", "ops/repair", "ops/ingest/weights.py")
"""What stages stand on and what can change no result: `core/stage.py` brings in the first ones; a file of weights is
told by its sha256, whoever fetched it."""


def instances() -> Iterator[tuple[str, str, dict[str, str], dict[str, Any]]]:
    """Stage, key, item of `matrix.yaml`, definition."""
    for name, definition in STAGES.items():
        for key, item in MATRIX.get(name, {}).items():
            yield name, key, item, definition["do"]


def dependencies(item: dict[str, str], definition: dict[str, Any]) -> list[str]:
    return [lineage.fill(dep, item).replace("${environment}", PARAMS["environment"]) for dep in definition["deps"]]


def test_the_matrix_is_that_of_the_params() -> None:
    _, tasks = params.check(params.read(ROOT / "params.yaml"))
    assert (ROOT / "matrix.yaml").read_text(encoding="utf-8") == matrix.text(tasks), "run `python -m pipelines.matrix`"


def test_stages_are_files() -> None:
    files = {path.stem for path in (ROOT / "stages").glob("*.py")} - {"__init__"}
    assert files == set(STAGES) == {"plan", *matrix.STAGES}
    assert set(MATRIX) == {"tasks", *matrix.STAGES}


def test_every_import_is_a_dependency() -> None:
    missing = set()
    for name, key, item, definition in instances():
        deps = dependencies(item, definition)
        for path in closure(Path("stages", f"{name}.py"), item["task"], stop=WITHOUT_EFFECT):
            inside = any(str(path) == dep or dep in map(str, path.parents) for dep in deps)
            if not inside and path.name != "__init__.py":
                missing.add(f"{name}@{key} imports {path}")
    assert not missing, "\n".join(sorted(missing))


def test_every_code_dependency_is_imported() -> None:
    """What no import leads to would run a stage again for nothing."""
    idle = set()
    for name, key, item, definition in instances():
        reached = [str(path) for path in closure(Path("stages", f"{name}.py"), item["task"])]
        for dep in dependencies(item, definition):
            code = dep.startswith(tuple(f"{folder}/" for folder in CODE)) or dep in CODE
            if code and not any(path == dep or path.startswith(f"{dep}/") for path in reached):
                files = [path for path in sources() if str(path).startswith(dep) and path.name != "__init__.py"]
                if files:  # an empty folder of a modality holds a place for another one's helpers
                    idle.add(f"{name}@{key} depends on {dep}, which it does not use")
    assert not idle, "\n".join(sorted(idle))


def test_code_dependencies_exist() -> None:
    made = ("data/", "models/", "evaluations/", "explanations/", "timings/", "reports/", "packages/")
    gone = {
        f"{name}@{key}: {dep}"
        for name, key, item, definition in instances()
        for dep in dependencies(item, definition)
        if not dep.startswith(made) and not (ROOT / dep).exists()
    }
    assert not gone, "\n".join(sorted(gone))


def test_another_environment_runs_every_stage_again() -> None:
    assert all("${environment}" in definition["deps"] for _, _, _, definition in instances())


def test_what_learns_has_the_threads_of_params_and_as_many_cores() -> None:
    """And nothing else runs again when they change."""
    for name, _, item, definition in instances():
        learns = Path("training", "hardware.py") in closure(Path("stages", f"{name}.py"), item["task"])
        needs = definition.get("meta", {}).get("needs", {})
        assert learns == ("learning_threads" in definition["params"]) == (needs.get("cores") == "${learning_threads}")
        assert learns == (name in ("train", "prune", "distill"))


def test_commands_hold_nothing_but_checked_names() -> None:
    """A value from params.yaml in a `cmd` would be run by the shell."""
    for name, key, item, definition in instances():
        assert re.fullmatch(rf"python -m stages\.{name}( \$\{{item\.(task|variant|precision)\}})+", definition["cmd"])
        words = [item[axis] for axis in ("task", *matrix.AXES) if axis in item]
        assert lineage.fill(definition["cmd"], item) == f"python -m stages.{name} " + " ".join(words)
        assert f"{name}@{key}" == stage.instance(name, *words)


def test_outputs_are_those_of_core_paths() -> None:
    folders = {
        "prepare": paths.prepared,
        "validate": paths.validated,
        "augment": paths.augmented,
        "train": lambda task: paths.checkpoint(task, "base"),
        "prune": paths.checkpoint,
        "distill": paths.checkpoint,
        "export": lambda task, variant: paths.model(task, variant, "fp32"),
        "quantize": paths.model,
        "evaluate": paths.evaluation,
        "explain": paths.explanation,
        "latency": paths.timing,
        "compare": paths.report,
        "package": paths.package,
        "publish": paths.deploy,
    }
    for name, _, item, definition in instances():
        (text,) = definition["outs"]
        words = [item[axis] for axis in ("task", *matrix.AXES) if axis in item]
        assert lineage.fill(text, item) == str(folders[name](*words))
