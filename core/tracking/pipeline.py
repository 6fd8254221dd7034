"""Which pipeline execution a stage belongs to."""

from __future__ import annotations

import os
import re
import uuid

import psutil


def current() -> dict[str, str]:
    """`key` and `name` of the pipeline execution.

    The environment names it when a wrapper started it; else it is the `dvc repro` process above this one, known by its
    number and start time; a stage called by hand is an execution of its own.
    """
    if key := os.environ.get("STILLHOUSE_PIPELINE_RUN"):
        return {"key": re.sub(r"[^\w.-]", "_", key), "name": "pipeline"}  # it becomes part of a path and a filter
    for parent in psutil.Process().parents():
        try:
            words = parent.cmdline()
        except psutil.Error:
            continue
        if any(word.endswith("dvc") for word in words[:3]) and {"repro", "exp"} & set(words):
            return {"key": f"dvc-{parent.pid}-{int(parent.create_time() * 1000)}", "name": "dvc repro"}
    return {"key": f"single-{uuid.uuid4().hex}", "name": "by hand"}
