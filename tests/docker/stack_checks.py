"""What each service of the stack is asked, to see whether it works."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from typing import Any

from stack import Stack

FOREVER_S = 180.0


def eventually(check: Callable[[], Any], seconds: float = FOREVER_S) -> Any:
    """The first answer without an error."""
    end = time.monotonic() + seconds
    while True:
        try:
            return check()
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(1)


def runs(stack: Stack) -> list[dict[str, Any]]:
    """All that MLflow has."""
    found = stack.get("MLFLOW_PORT", "/api/2.0/mlflow/experiments/search?max_results=100").raise_for_status().json()
    ids = [experiment["experiment_id"] for experiment in found["experiments"]]
    asked = {"experiment_ids": ids, "max_results": 500}
    answer = stack.post("MLFLOW_PORT", "/api/2.0/mlflow/runs/search", json=asked).raise_for_status().json()
    return list(answer.get("runs", []))


def artifact(stack: Stack) -> bytes:
    """An artifact through MLflow's proxy, from the object store."""
    s3 = stack.s3("mlflow")
    key = min(entry["Key"] for entry in s3.list_objects_v2(Bucket="mlflow")["Contents"] if entry["Size"])
    answer = stack.get("MLFLOW_PORT", f"/api/2.0/mlflow-artifacts/artifacts/{key}").raise_for_status()
    assert answer.content == s3.get_object(Bucket="mlflow", Key=key)["Body"].read()
    return answer.content


def written(stack: Stack) -> None:
    """An object there and back again."""
    s3, text = stack.s3("dvc"), secrets.token_bytes(16)
    s3.put_object(Bucket="dvc", Key="test", Body=text)
    assert s3.get_object(Bucket="dvc", Key="test")["Body"].read() == text


def flow_runs(stack: Stack) -> dict[str, str]:
    answer = stack.post("PREFECT_PORT", "/api/flow_runs/filter", json={}).raise_for_status().json()
    return {run["id"]: run["state_type"] for run in answer}


def prediction(stack: Stack) -> dict[str, Any]:
    """The served model's answer for a golden sample of its package."""
    sample = json.loads(stack.execute("worker", "cat", "/packages/detection/golden/samples.json"))[0]["file"]
    path = f"/packages/detection/golden/{sample}"
    picture = stack.engine.read(stack.container("server"), path)
    answer = stack.post("SERVER_PORT", "/v1/detect", files={"image": picture}).raise_for_status()
    found: dict[str, Any] = answer.json()
    assert found["model"] == "detection" and isinstance(found["boxes"], list)
    return found


def database(stack: Stack) -> None:
    assert stack.execute("postgres", "psql", "-U", "postgres", "-Atc", "SELECT 1").strip() == "1"


def working(stack: Stack) -> None:
    assert stack.engine.healthy(stack.container("worker"))


def alive(stack: Stack) -> None:
    stack.get("MLFLOW_PORT", "/health").raise_for_status()


CHECKS: dict[str, tuple[Callable[[Stack], Any], set[str]]] = {
    "database": (database, {"postgres"}),
    "objects": (written, {"objects"}),
    "mlflow": (alive, {"mlflow"}),
    "runs": (runs, {"mlflow", "postgres"}),
    "artifact": (artifact, {"mlflow", "objects"}),
    "prefect": (flow_runs, {"prefect", "postgres"}),
    "worker": (working, {"worker", "prefect", "postgres"}),
    "prediction": (prediction, {"server", "worker"}),  # the worker hands out the picture
}
"""What each asks, and the services without which it cannot be had."""
