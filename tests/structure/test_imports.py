"""Imports point down only, and heavy libraries stay in their rooms (docs/architecture.md)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from imports import ROOT, closure, imported, role_file, sources, strings

from core import task

LEVEL = {
    "core": 0,
    "ops": 1,
    "compression": 1,
    "modalities": 2,
    "tasks": 3,
    "training": 4,
    "evaluation": 4,
    "validation": 4,
    "stages": 5,
    "serving": 5,
    "pipelines": 6,
}
BINDS = Path("core/stage.py")
"""One stage execution: the one file of core that brings in what a run is tracked and kept whole by."""
PRIVATE = Path("pipelines/dvc/private.py")
"""The one file that reaches what DVC does not document (docs/dvc.md)."""
ONLY_IN = {
    "mlflow": ("ops/tracking",),
    "prefect": ("pipelines",),
    "docker": ("pipelines",),
    "great_expectations": ("validation",),
    "lightning": ("training",),
    **dict.fromkeys(("dvc", "dvc_data", "dvc_objects", "scmrepo"), (str(PRIVATE),)),  # elsewhere a subprocess
}
WITHOUT_TORCH = ("params", "prepare", "checks", "quantize", "predict", "score", "serve")


def test_imports_point_down() -> None:
    upward = set()
    for path in sources():
        mine = path.parts[0]
        for name in imported(path):
            other = name.split(".")[0]
            if other in LEVEL and other != mine and LEVEL[other] >= LEVEL[mine] and (path, other) != (BINDS, "ops"):
                upward.add(f"{path} imports {name}")
    assert not upward, "\n".join(sorted(upward))


def test_core_stands_without_the_file_that_binds_it_to_ops() -> None:
    above = {str(path) for path in sources() if path.parts[0] in ("core", "ops") and "core.stage" in imported(path)}
    assert not above - {str(BINDS)}


def test_libraries_stay_in_their_rooms() -> None:
    elsewhere = {
        f"{path} imports {name}"
        for path in sources()
        for name in imported(path)
        if (rooms := ONLY_IN.get(name.split(".")[0])) and not str(path).startswith(rooms)
    }
    assert not elsewhere, "\n".join(sorted(elsewhere))


def test_private_names_of_dvc_stand_in_one_module() -> None:
    """Also those that are named by a string: a module to import, a logger."""
    word = re.compile(r"(?:dvc|dvc_data|dvc_objects|scmrepo)(?:\.[a-z_]+)+")
    named = {
        f"{path} names {text}"
        for path in sources()
        if path != PRIVATE
        for text in strings(path)
        if word.fullmatch(text) and not text.endswith((".lock", ".yaml"))
    }
    assert not named, "\n".join(sorted(named))


def test_a_task_knows_no_other_task() -> None:
    other = set()
    for path in sources():
        for parts in (name.split(".") for name in imported(path)):
            if parts[0] == "tasks" and len(parts) > 1 and (path.parts[0] != "tasks" or parts[1] != path.parts[1]):
                other.add(f"{path} imports {'.'.join(parts)}")
    assert not other, "\n".join(sorted(other))


def test_a_modality_knows_no_other_modality() -> None:
    kinds = {folder.name for folder in (ROOT / "modalities").iterdir() if folder.is_dir()}
    other = {
        f"{path} imports {name}"
        for path in sources()
        if path.parts[0] == "modalities"
        for name in imported(path)
        if name.startswith("modalities.") and (kind := name.split(".")[1]) in kinds and kind != path.parts[1]
    }
    assert not other, "\n".join(sorted(other))


def test_what_ships_needs_no_torch() -> None:
    reached = set()
    for name in task.names():
        for role in WITHOUT_TORCH:
            start = role_file(name, role)
            if start is None:
                continue
            for path in closure(start, name):
                if any(word.split(".")[0] == "torch" for word in imported(path, within=False)):
                    reached.add(f"{start} reaches torch through {path}")
    assert not reached, "\n".join(sorted(reached))


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
    absent = {"torch", "torchvision", "pandas", "pyarrow", "mlflow", "lightning", "dvc", "prefect", "onnx", "yaml"}
    assert not loaded & absent


def test_what_measures_a_device_needs_what_a_server_needs() -> None:
    """With the predictors that it loads by the names of packages."""
    reached = {
        f"{path} imports {word}"
        for name in task.names()
        for start in (Path("evaluation/device/__main__.py"), role_file(name, "predict"))
        if start is not None
        for path in closure(start, name)
        for word in imported(path, within=False)
        if word.split(".")[0] in ("torch", "onnx", "pandas", "mlflow", "dvc", "matplotlib", "markupsafe")
    }
    assert not reached, "\n".join(sorted(reached))


def test_the_supervisor_stays_small() -> None:
    code = "import sys, serving.settings, serving.supervisor; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"numpy", "onnxruntime", "fastapi", "uvicorn"} & set(done.stdout.split())


def test_only_tasks_know_which_task_they_are() -> None:
    names, data = (
        set(task.names()),
        Path("modalities/text/prepare/jsonl.py"),
    )  # `translation` is a key of public data sets
    knowing = {
        f"{path} says {', '.join(sorted(strings(path) & names))}"
        for path in sources()
        if path.parts[0] != "tasks" and path != data and strings(path) & names
    }
    assert not knowing, "\n".join(sorted(knowing))


def test_modules_of_the_tests_have_names_of_their_own() -> None:
    """pytest imports each by its bare name: of two of one name, the second is an error, or the first one's helpers."""
    paths: dict[str, list[str]] = {}
    for path in (ROOT / "tests").rglob("*.py"):
        if path.name not in ("conftest.py", "__init__.py") and "toy_line" not in path.parts:
            paths.setdefault(path.name, []).append(str(path.relative_to(ROOT)))
    twice = [where for where in paths.values() if len(where) > 1]
    assert not twice, twice
