"""What Prometheus scrapes at `/metrics`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from serving.batching import Done
from serving.settings import RESTARTS

if TYPE_CHECKING:
    from serving.models import Models

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "stillhouse_requests", "Requests by route and status.", ["route", "status"], registry=self.registry
        )
        self.latency = Histogram(
            "stillhouse_request_seconds",
            "From a request's headers to its answer.",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.active = Gauge("stillhouse_active_requests", "Requests being answered.", registry=self.registry)
        self.batch = Histogram(
            "stillhouse_batch_size", "Items computed together.", ["model"], buckets=SIZES, registry=self.registry
        )
        self.compute = Histogram(
            "stillhouse_batch_seconds", "Computing a batch.", ["model"], buckets=SECONDS, registry=self.registry
        )
        self.wait = Histogram(
            "stillhouse_queue_seconds", "Waiting for a batch.", ["model"], buckets=SECONDS, registry=self.registry
        )
        self.shared = Counter(
            "stillhouse_shared_answers", "Requests answered by an equal one's computation.", registry=self.registry
        )
        self.loads = Counter(
            "stillhouse_loads", "Packages loaded or refused.", ["model", "result"], registry=self.registry
        )
        restarts = Gauge("stillhouse_worker_restarts", "Workers that died before this one.", registry=self.registry)
        restarts.set(int(os.environ.get(RESTARTS, "0")))
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def watch(self, models: Models) -> None:
        self.registry.register(_Models(models))

    def batched(self, model: str, done: Done) -> None:
        self.batch.labels(model).observe(done.items)
        self.compute.labels(model).observe(done.seconds)
        for seconds in done.waited:
            self.wait.labels(model).observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Models:
    """Read when scraped: what is served, what waits, how far the inputs have drifted."""

    def __init__(self, models: Models):
        self._models = models

    def collect(self) -> Iterator[Metric]:
        version = GaugeMetricFamily(
            "stillhouse_model", "1 for the version that is served.", labels=["model", "task", "version"]
        )
        ready = GaugeMetricFamily("stillhouse_model_ready", "Whether a model answers.", labels=["model"])
        queue = GaugeMetricFamily("stillhouse_queue_items", "Items that wait.", labels=["model"])
        drift = GaugeMetricFamily(
            "stillhouse_input_drift_psi",
            "Population stability index of the last inputs against the training inputs; above 0.25: drifted.",
            labels=["model", "feature"],
        )
        for place in self._models.places.values():
            ready.add_metric([place.name], float(place.current is not None))
            if (model := place.current) is None:
                continue
            version.add_metric([place.name, model.package.task, model.version], 1)
            queue.add_metric([place.name], model.batcher.waiting)
            for feature, value in (model.watch.drift() if model.watch else {}).items():
                drift.add_metric([place.name, feature], value)
        yield from (version, ready, queue, drift)
