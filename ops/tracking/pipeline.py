"""Which pipeline execution a stage belongs to, and what is known of that execution's own run."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Mapping
from pathlib import Path

import psutil

from core import paths
from core.files import read_json, write_json

FOLDER = paths.STATE / "pipelines"
KEPT = 50


def current() -> dict[str, str]:
    """`key` and `name` of the pipeline execution.

    The environment names it when a wrapper started it; else it is the `dvc repro` process above this one, known by its
    number and start time; a stage called by hand is an execution of its own.
    """
    if key := os.environ.get("STILLHOUSE_PIPELINE_RUN"):
        # They become part of a path and a filter.
        name = os.environ.get("STILLHOUSE_PIPELINE_NAME", "pipeline")
        return {"key": re.sub(r"[^\w.-]", "_", key), "name": re.sub(r"[^\w.-]", "_", name)}
    for parent in psutil.Process().parents():
        try:
            words = parent.cmdline()
        except psutil.Error:
            continue
        if any(word.endswith("dvc") for word in words[:3]) and {"repro", "exp"} & set(words):
            return {"key": f"dvc-{parent.pid}-{int(parent.create_time() * 1000)}", "name": "dvc repro"}
    return {"key": f"single-{uuid.uuid4().hex}", "name": "by hand"}


def describe(key: str, **values: Mapping[str, str]) -> None:
    """Add to what is known of pipeline execution `key`: `tags` for its run, `mlflow` (ids) of the run that it got."""
    path = FOLDER / f"{key}.json"
    write_json(path, {**described(key), **values})
    for old in sorted(FOLDER.glob("*.json"), key=_age)[:-KEPT]:
        old.unlink(missing_ok=True)


def described(key: str) -> dict[str, dict[str, str]]:
    try:
        return dict(read_json(FOLDER / f"{key}.json"))
    except (FileNotFoundError, ValueError):
        return {}


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process has just removed it
        return 0.0
