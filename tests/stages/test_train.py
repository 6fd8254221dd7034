"""Training by the stage, in processes as DVC starts them: what the params say is learnt, whoever runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import classification_tiny
import pytest
import yaml

from core import matrix, params, paths
from ops.tracking import courier
from pipelines.flow.needs import Room
from pipelines.flow.slots import THREAD_VARIABLES, Slots
from stages import train
from training import compress, hardware

pytestmark = pytest.mark.models

ROOT = Path(__file__).resolve().parents[2]
TASK = "classification"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a repository of one task, whose training data is there."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    values = params.read(ROOT / "params.yaml")
    section: dict[str, Any] = values[TASK] | {"augment": None}
    section["model"] |= {"backbone": {"name": "cnn", "widths": [16, 32], "convolutions": 1}, "image_size": [32, 40]}
    section["train"] |= {"epochs": 2}
    chosen = {name: values[name] for name in params.Head.model_fields} | {"tasks": [TASK], TASK: section}
    Path("params.yaml").write_text(yaml.safe_dump(chosen), encoding="utf-8")
    matrix.write(params.load()[1])
    classification_tiny.edges(paths.clean(TASK))
    return tmp_path


def trained(environment: dict[str, str]) -> bytes:
    """The weights of a stage process with these variables of the environment and none other of threads."""
    bare = {key: value for key, value in os.environ.items() if key not in THREAD_VARIABLES}
    own = {
        "PYTHONPATH": str(ROOT),
        "STILLHOUSE_TRACKING_WAIT": "0",
        courier.ENVIRONMENT: str(os.getpid()),
    }  # none sends
    command = [sys.executable, "-m", "stages.train", TASK]
    done = subprocess.run(command, env=bare | own | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return (paths.checkpoint(TASK, "base") / "weights.safetensors").read_bytes()


def test_weights_do_not_depend_on_who_gives_cores(folder: Path) -> None:
    """docs/faults.md 153: by `make repro` with all cores, and where a flow has one left. The number is recorded."""
    share = Slots(jobs=2, cores=2).take("train", Room(), 2)
    assert share is not None and share.threads == 1
    assert trained({}) == trained(share.environment(has_gpus=False))
    for spooled in Path(".stillhouse/spool").glob("*.jsonl"):
        lines = map(json.loads, spooled.read_text(encoding="utf-8").splitlines())
        (logged,) = (line["values"] for line in lines if line["kind"] == "params")
        assert logged["learning_threads"] == "2"


class BegunError(Exception):
    """Nothing is learnt for these tests."""


@pytest.mark.parametrize("begin", [train.train, lambda ctx: compress.begin(ctx, None)])
def test_whatever_learns_has_the_threads_of_params(
    begin: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`compress` is what prune and distill begin with."""

    def prepare(threads: int, seed: int) -> None:
        assert (threads, seed) == (3, 7)
        raise BegunError

    monkeypatch.setattr(hardware, "prepare", prepare)
    with pytest.raises(BegunError):
        begin(SimpleNamespace(learning_threads=3, threads=1, seed=7))
