"""Imports point down only, and heavy libraries stay in their rooms (README, architecture)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from imports import ROOT, closure, file_of, imported, sources, strings

LEVEL = {
    "core": 0,
    "modalities": 1,
    "compression": 1,
    "tasks": 2,
    "training": 3,
    "evaluation": 3,
    "validation": 3,
    "stages": 4,
    "serving": 4,
    "pipelines": 5,
}
ONLY_IN = {
    "mlflow": ("core/tracking",),
    "prefect": ("pipelines",),
    "great_expectations": ("validation",),
    "lightning": ("training",),
    "dvc": ("pipelines/flow",),  # elsewhere a subprocess, never a library
}
WITHOUT_TORCH = ("params", "prepare", "checks", "quantize", "predict", "score", "serve")


@pytest.mark.parametrize("path", sources(), ids=str)
def test_imports_point_down(path: Path) -> None:
    mine = path.parts[0]
    for name in imported(path):
        other = name.split(".")[0]
        if other in LEVEL and other != mine:
            assert LEVEL[other] < LEVEL[mine], f"{path} imports {name}"


@pytest.mark.parametrize("path", sources(), ids=str)
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    for name in imported(path):
        rooms = ONLY_IN.get(name.split(".")[0])
        if rooms is not None:
            assert str(path).startswith(tuple(rooms) or "nowhere"), f"{path} imports {name}"


@pytest.mark.parametrize("path", [p for p in sources() if p.parts[0] == "tasks"], ids=str)
def test_a_task_knows_no_other_task(path: Path) -> None:
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "tasks" and len(parts) > 1:
            assert parts[1] == path.parts[1], f"{path} imports {name}"


@pytest.mark.parametrize("task", ["detection", "translation"])
@pytest.mark.parametrize("role", WITHOUT_TORCH)
def test_what_ships_needs_no_torch(task: str, role: str) -> None:
    start = file_of(f"tasks.{task}.{role}")
    assert start is not None
    for path in closure(start, task):
        if path.name in ("task.py", "checkpoint.py") and path.parts[0] == "core":
            continue  # for type checking, or inside functions that these roles do not call
        assert not any(name.split(".")[0] == "torch" for name in imported(path)), (
            f"{start} reaches torch through {path}"
        )


def test_the_server_loads_nothing_that_its_image_lacks() -> None:
    """Really imported, with what a package of each task loads; what is imported later, by nothing a server calls."""
    code = (
        "import sys, serving.worker, serving.supervisor\n"
        "from core import task\n"
        "for name in task.names(): task.load(name, 'serve'), task.load(name, 'predict')\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert {"serving", "onnxruntime", "tasks"} <= loaded
    assert not loaded & {"torch", "torchvision", "pandas", "pyarrow", "mlflow", "lightning", "dvc", "prefect", "onnx"}


def test_the_supervisor_stays_small() -> None:
    code = "import sys, serving.settings, serving.supervisor; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"numpy", "onnxruntime", "fastapi", "uvicorn"} & set(done.stdout.split())


@pytest.mark.parametrize("task", ["detection", "translation"])
def test_training_does_not_depend_on_the_evaluation_metric(task: str) -> None:
    """Editing a metric re-runs evaluate and what follows, not training."""
    for stage in ("train", "prune", "distill"):
        reached = {str(path) for path in closure(Path("stages", f"{stage}.py"), task)}
        assert not {p for p in reached if p.startswith((f"tasks/{task}/score", "evaluation/"))}


@pytest.mark.parametrize(
    "path", sorted(p for p in sources() if p.parts[0] in ("stages", "training", "validation", "evaluation")), ids=str
)
def test_only_tasks_know_which_task_they_are(path: Path) -> None:
    assert not strings(path) & {"detection", "translation"}
