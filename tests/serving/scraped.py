"""`/metrics` of a server, read as Prometheus reads it."""

from __future__ import annotations

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from running import Running


def families(server: Running) -> dict[str, Metric]:
    answer = server.http.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def total(server: Running, sample: str, **labels: str) -> float:
    """Sum of all samples of that name with (at least) these labels; 0 when there is none."""
    return sum(
        found.value
        for family in families(server).values()
        for found in family.samples
        if found.name == sample and labels.items() <= found.labels.items()
    )
