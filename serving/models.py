"""The models that are served: loaded, replaced by new versions without a failed request, asked."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import DataError, StillhouseError
from core.task import Job
from serving import logs, tracing
from serving.batching import Batcher, Done
from serving.errors import RefusalError, busy
from serving.metrics import Metrics
from serving.package import Fingerprint, Package, fingerprint, load
from serving.settings import Settings
from serving.watch import Watch

Prepare = Callable[[Package], Job]
"""Makes a request's job for a model; called in a thread."""
NEVER: Fingerprint = frozenset()
TRIES = 5
"""How often a package is read that is replaced meanwhile."""


class Model:
    """One version, ready to answer. Keeps count of its requests, so that it can go when the last one is answered."""

    def __init__(self, name: str, package: Package, settings: Settings, pool: Executor, metrics: Metrics):
        self.name, self.package, self.version = name, package, package.version
        self.watch = Watch(package.statistics) if package.statistics else None
        self._settings, self._pool, self._requests = settings, pool, 0

        def observe(done: Done) -> None:
            metrics.batched(name, done)

        def run(items: Any, options: Any) -> list[Any]:
            results: list[Any] = package.role.run(package.predictor, items, options)
            return results

        self.batcher = Batcher(
            run,
            settings.max_batch or package.role.MAX_BATCH,
            settings.max_wait_ms / 1000,
            settings.queue,
            settings.instances,
            observe,
        )

    async def predict(self, prepare: Prepare, deadline_s: float) -> tuple[Job, list[Any]]:
        """See `Models.predict`."""
        if self._requests >= self._settings.queue:  # before any work is done for it
            raise busy(
                f"{self._requests} requests for {self.name} are waiting; retry later", self.batcher.retry_after()
            )
        deadline = time.monotonic() + deadline_s
        self._requests += 1
        try:
            with tracing.span("prepare"):
                async with asyncio.timeout(deadline_s):
                    job, features = await asyncio.get_running_loop().run_in_executor(self._pool, self._prepare, prepare)
            with tracing.span("predict", items=len(job.items), model=self.name, version=self.version):
                results = await self.batcher.submit(job.items, job.options, deadline)
        except DataError as error:
            raise RefusalError(400, str(error)) from None
        except TimeoutError:
            raise busy(
                "the deadline passed before the input was decoded; retry later", self.batcher.retry_after()
            ) from None
        finally:
            self._requests -= 1
        for row in features:
            assert self.watch is not None
            self.watch.see(row)
        return job, results

    def _prepare(self, prepare: Prepare) -> tuple[Job, list[dict[str, float]]]:
        job = prepare(self.package)
        return job, [self.package.role.features(item) for item in job.items] if self.watch else []

    async def close(self) -> None:
        while self._requests:
            await asyncio.sleep(0.01)
        await self.batcher.close()


@dataclass(eq=False)
class Place:
    """A name that clients use, the folder behind it, and what is served from there."""

    name: str
    folder: Path
    current: Model | None = None
    reason: str | None = "it is being loaded"
    """Why the newest package of the folder is not served."""
    seen: Fingerprint | None = NEVER
    """Fingerprint of the package that was read last."""


class Models:
    def __init__(self, settings: Settings, metrics: Metrics):
        self.settings, self.metrics = settings, metrics
        self.places = {name: Place(name, folder) for name, folder in settings.packages.items()}
        self.draining = False
        self.pool = ThreadPoolExecutor(max(2, settings.threads), thread_name_prefix="prepare")
        self._loading = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    def get(self, name: str, version: str | None = None) -> Model:
        """Raises: RefusalError 404 when there is no such model, or it is not ready."""
        place = self.places.get(name)
        if place is None:
            raise RefusalError(404, f"there is no model {name[:64]!r}; served are: {', '.join(self.places)}")
        if place.current is None:
            raise RefusalError(404, f"the model {name!r} is not ready: {place.reason}")
        if version is not None and version != place.current.version:
            raise RefusalError(404, f"{name!r} has no version {version[:64]!r}; served is {place.current.version}")
        return place.current

    def of_task(self, task: str) -> Model:
        """The first ready model of a task. Raises: RefusalError 404."""
        found = next((p.current for p in self.places.values() if p.current and p.current.package.task == task), None)
        if found is None:
            reasons = "; ".join(f"{place.name}: {place.reason}" for place in self.places.values() if not place.current)
            raise RefusalError(404, f"no model for {task} is ready" + (f" ({reasons})" if reasons else ""))
        return found

    def unready(self) -> dict[str, str]:
        """Why the server is not ready; empty when it is."""
        reasons = {place.name: str(place.reason) for place in self.places.values() if place.current is None}
        return reasons | ({"server": "it is shutting down"} if self.draining else {})

    async def predict(
        self, choose: Callable[[], Model], prepare: Prepare, deadline_s: float
    ) -> tuple[Model, Job, list[Any]]:
        """The model that `choose` names, the job that `prepare` makes, and a result for each of its items.

        deadline_s: from now. Raises: RefusalError.
        """
        model = choose()  # and is in use from here on: a new version waits for it before it goes
        return model, *await model.predict(prepare, deadline_s)

    async def refresh(self, force: bool = False) -> None:
        """Load every package that is new in its folder. force: also one that was refused before."""
        async with self._loading:
            for place in self.places.values():
                for _ in range(TRIES):
                    found = fingerprint(place.folder)
                    if found == place.seen and not (force and place.reason):
                        break
                    if found is None and place.current is not None:
                        break  # between the removal of the old package and the coming of the new one
                    force, place.seen = False, found
                    await self._load(place)

    async def _load(self, place: Place) -> None:
        began = time.monotonic()
        try:
            package = await asyncio.to_thread(load, place.folder, self.settings)
        except Exception as error:  # a package is input: whatever it does to its loader, the server goes on
            place.reason = str(error) if isinstance(error, StillhouseError) else f"{type(error).__name__}: {error}"
            self.metrics.loads.labels(place.name, "refused").inc()
            kept = place.current.version if place.current else None
            logs.event("package refused", logging.ERROR, model=place.name, reason=place.reason, still_served=kept)
            return
        if fingerprint(place.folder) != place.seen:
            return  # replaced while it was read
        gc.freeze()  # a full collection would walk all that was imported: 150 ms in which nobody is answered
        old, place.reason = place.current, None
        place.current = Model(place.name, package, self.settings, self.pool, self.metrics)
        self.metrics.loads.labels(place.name, "loaded").inc()
        logs.event(
            "model ready",
            model=place.name,
            task=package.task,
            version=package.version,
            replaces=old.version if old else None,
            seconds=round(time.monotonic() - began, 3),
        )
        if old is not None:
            task = asyncio.create_task(old.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def watch(self) -> None:
        """Look for new versions for ever."""
        while True:
            await self.refresh()
            if not self.settings.watch_s:
                return
            await asyncio.sleep(self.settings.watch_s)

    async def close(self) -> None:
        closing = [place.current.close() for place in self.places.values() if place.current]
        await asyncio.gather(*closing, *self._closing)
        self.pool.shutdown(wait=False)
