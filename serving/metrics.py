"""What Prometheus scrapes at `/metrics`."""

from __future__ import annotations

import asyncio
import operator
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.values import MultiProcessValue

from serving.batching import Done
from serving.board import Board, Seat
from serving.settings import METRICS, RESTARTS

if TYPE_CHECKING:
    from serving.models import Models

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64)
QUEUE = ("stillhouse_queue_items", "Items that wait.")
DRIFT = (
    "stillhouse_input_drift_psi",
    "Population stability index of the last inputs against the training inputs; above 0.25: drifted.",
)
PUBLISH_S = 1.0
"""How often one of several workers tells what changes by itself."""


class Metrics:
    """seat: of this process among several workers, whose figures are shared through files of prometheus_client, so that
    whoever is asked tells those of all: https://prometheus.github.io/client_python/multiprocess/"""

    def __init__(self, seat: Seat | None = None) -> None:
        self.registry, self._seat = CollectorRegistry(), seat
        self._answered: dict[tuple[str, int | str], tuple[Counter, Histogram]] = {}
        own = self.registry
        if seat is not None:
            number = seat.worker
            values.ValueClass = MultiProcessValue(lambda: number)  # the next worker of this number counts on
            own = CollectorRegistry()
        self.requests = Counter(
            "stillhouse_requests", "Requests by route and status.", ["route", "status"], registry=own
        )
        self.latency = Histogram(
            "stillhouse_request_seconds",
            "From a request's headers to its answer.",
            ["route"],
            buckets=SECONDS,
            registry=own,
        )
        self.active = Gauge(
            "stillhouse_active_requests", "Requests being answered.", multiprocess_mode="livesum", registry=own
        )
        self.batch = Histogram(
            "stillhouse_batch_size", "Items computed together.", ["model"], buckets=SIZES, registry=own
        )
        self.compute = Histogram(
            "stillhouse_batch_seconds", "Computing a batch.", ["model"], buckets=SECONDS, registry=own
        )
        self.wait = Histogram(
            "stillhouse_queue_seconds", "Waiting for a batch.", ["model"], buckets=SECONDS, registry=own
        )
        self.shared = Counter(
            "stillhouse_shared_answers", "Requests answered by an equal one's computation.", registry=own
        )
        self.loads = Counter("stillhouse_loads", "Packages loaded or refused.", ["model", "result"], registry=own)
        restarts = Gauge(
            "stillhouse_worker_restarts",
            "Workers that died before those that are there.",
            multiprocess_mode="livesum",
            registry=own,
        )
        restarts.set(int(os.environ.get(RESTARTS, "0")))
        if seat is None:
            ProcessCollector(registry=self.registry)
            GCCollector(registry=self.registry)
        else:
            self.queue = Gauge(*QUEUE, ["model"], multiprocess_mode="livesum", registry=own)
            self.drift = Gauge(*DRIFT, ["model", "feature"], multiprocess_mode="liveall", registry=own)
            self.registry.register(_Shared(os.environ[METRICS]))
            self.registry.register(_Processes(seat.board))

    def watch(self, models: Models) -> None:
        self.registry.register(_Models(models, alone=self._seat is None))

    async def publish(self, models: Models) -> None:
        """For ever: what the other workers cannot look up here."""
        while self._seat is not None:
            for name, model in models.served():
                self.queue.labels(name).set(model.batcher.waiting)
                for feature, value in (model.watch.drift() if model.watch else {}).items():
                    self.drift.labels(name, feature).set(value)
            await asyncio.sleep(PUBLISH_S)

    def answered(self, route: str, status: int | str, seconds: float) -> None:
        """A request. There are few routes and statuses: the pattern of a route, none that clients make up."""
        if (known := self._answered.get((route, status))) is None:
            known = self._answered[route, status] = (self.requests.labels(route, status), self.latency.labels(route))
        known[0].inc()
        known[1].observe(seconds)

    def batched(self, model: str, done: Done) -> None:
        self.batch.labels(model).observe(done.items)
        self.compute.labels(model).observe(done.seconds)
        for seconds in done.waited:
            self.wait.labels(model).observe(seconds)

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Shared(Collector):
    """What all workers have written to one folder."""

    def __init__(self, folder: str):
        self._files = MultiProcessCollector(None, folder)

    def collect(self) -> Iterator[Metric]:
        for metric in self._files.collect():
            metric.samples = [sample._replace(labels=_named(sample.labels)) for sample in metric.samples]
            yield metric


def _named(labels: dict[str, str]) -> dict[str, str]:
    """The library calls `pid` what is the number of a worker here."""
    return {"worker" if name == "pid" else name: value for name, value in labels.items()}


class _Processes(Collector):
    """Memory, time and files of all workers together; of the time when they started, the first."""

    def __init__(self, board: Board):
        self._board = board

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        for pid in self._board.pids():
            for metric in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():  # type: ignore[misc]
                (sample,) = metric.samples
                if (known := found.setdefault(metric.name, metric)) is not metric:
                    join = min if metric.name == "process_start_time_seconds" else operator.add
                    (other,) = known.samples
                    known.samples = [other._replace(value=join(other.value, sample.value))]
        yield from found.values()


class _Models(Collector):
    """Read when scraped: what is served, and of a worker that is alone what waits, how far the inputs have drifted."""

    def __init__(self, models: Models, alone: bool):
        self._models, self._alone = models, alone

    def collect(self) -> Iterator[Metric]:
        version = GaugeMetricFamily(
            "stillhouse_model", "1 for the version that is served.", labels=["model", "task", "version"]
        )
        ready = GaugeMetricFamily("stillhouse_model_ready", "Whether a model answers.", labels=["model"])
        queue = GaugeMetricFamily(*QUEUE, labels=["model"])
        drift = GaugeMetricFamily(*DRIFT, labels=["model", "feature"])
        for place in self._models.places.values():
            ready.add_metric([place.name], float(place.current is not None))
        for name, model in self._models.served():
            version.add_metric([name, model.package.task, model.version], 1)
            queue.add_metric([name], model.batcher.waiting)
            for feature, value in (model.watch.drift() if model.watch else {}).items():
                drift.add_metric([name, feature], value)
        yield from (version, ready, *((queue, drift) if self._alone else ()))
