"""The models that are served: loaded, replaced by new versions without a failed request, asked."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from core.errors import DataError, ModelError, StillhouseError
from core.task import Job
from serving import kept, logs, tracing
from serving.admission import Admission
from serving.answers import Answer
from serving.batching import Batcher, Done, Each
from serving.board import Seat
from serving.budget import Budget
from serving.coalescing import Coalescing
from serving.errors import RefusalError, busy
from serving.metrics import Metrics
from serving.package import (
    Fingerprint,
    Package,
    fingerprint,
    is_package,
    load,
    own_copy,
    packages_in,
    roles,
    task_of,
    tuned,
)
from serving.proof import prove
from serving.rotation import Turns
from serving.settings import Settings
from serving.watch import Watch

Built = TypeVar("Built")
Prepare = Callable[[Package], tuple[Job, Any]]
"""Makes a request's job for a model, and what its answer needs; called in a thread."""
NEVER: Fingerprint = frozenset()
THREADS = 2
"""That read requests and write answers: each may hold an image at its full size. One in each of several workers."""
TRIES = 5
"""How often a package is read that is replaced meanwhile."""


class Model:
    """One version, ready to answer. Keeps count of its requests, so that it can go when the last one is answered."""

    def __init__(self, name: str, package: Package, settings: Settings, turns: Turns, metrics: Metrics):
        self.name, self.package, self.version, self.turns = name, package, package.version, turns
        self.watch = Watch(package.statistics) if package.statistics else None
        self._requests = 0

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
            package.way.instances,
            observe,
            getattr(package.role, "cost", one),
        )

    @contextmanager
    def used(self) -> Iterator[None]:
        """A request counts as under way; a new version waits for it before this one goes."""
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1

    async def prepare(self, client: str, prepare: Prepare, end: float) -> tuple[Job, Any]:
        """What `prepare` makes of this package, in a thread. end: of `time.monotonic()`. Raises: RefusalError."""
        try:
            with tracing.span("prepare"):
                async with asyncio.timeout(end - time.monotonic()):
                    job, known, features = await self.turns.run(client, lambda: self._prepared(prepare))
        except DataError as error:
            raise RefusalError(400, str(error)) from None
        except TimeoutError:
            raise busy(
                "the deadline passed before the input was decoded; retry later", self.batcher.retry_after()
            ) from None
        for row in features:
            assert self.watch is not None
            self.watch.see(row)
        return job, known

    def _prepared(self, prepare: Prepare) -> tuple[Job, Any, list[dict[str, float]]]:
        job, known = prepare(self.package)
        return job, known, [self.package.role.features(item) for item in job.items] if self.watch else []

    async def compute(self, client: str, job: Job, end: float, build: Callable[[list[Any]], Built]) -> Built:
        """What `build` makes of a result for each item, in a thread: of one item alone in the one that computed it.
        end: of `time.monotonic()`. Raises: RefusalError."""

        def finish(result: Any) -> Built:
            return build([result])

        try:
            with tracing.span("predict", items=len(job.items), model=self.name, version=self.version):
                if len(job.items) == 1:
                    built: list[Built] = await self.batcher.submit(job.items, job.options, end, client, finish)
                    return built[0]
                results = await self.batcher.submit(job.items, job.options, end, client)
            return await self.turns.run(client, lambda: build(results))
        except DataError as error:
            raise RefusalError(400, str(error)) from None

    async def tell(self, client: str, job: Job, end: float, each: Each) -> None:
        """Give `each` the result of each item, in order, as they come. end: as in `compute`. Raises: RefusalError."""
        try:
            with tracing.span("predict", items=len(job.items), model=self.name, version=self.version):
                await self.batcher.submit(job.items, job.options, end, client, each=each)
        except DataError as error:
            raise RefusalError(400, str(error)) from None

    def divided(self, job: Job) -> list[Job]:
        """The parts of a job that the role can tell by themselves; of one that knows none, the whole."""
        divided = getattr(self.package.role, "divided", None)
        return list(divided(job)) if divided else [job]

    def held(self, job: Job) -> int:
        """Bytes of a job's items, where the role counts them."""
        size = getattr(self.package.role, "size", None)
        return sum(map(size, job.items)) if size else 0

    async def close(self) -> None:
        while self._requests:
            await asyncio.sleep(0.01)
        await self.batcher.close()


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, StillhouseError) else f"{type(error).__name__}: {error}"


def one(item: Any, options: Any) -> float:
    """The cost of an item of a role that has no opinion."""
    return 1.0


class Place:
    """A name that clients use, the folder behind it, and what is served from there."""

    def __init__(self, name: str, folder: Path, queue: int):
        self.name, self.folder = name, folder
        self.current: Model | None = None
        self.reason: str | None = "it is being loaded"
        """Why the newest package of the folder is not served."""
        self.seen: Fingerprint | None = NEVER
        """Fingerprint of the package that was read last."""
        self.admission = Admission(name, queue, lambda: self.current.batcher.retry_after() if self.current else 1.0)


class Models:
    """mount: is called with a task's name and its role `serve` when a package of it is there; seat: of this process
    among several workers."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        mount: Callable[[str, Any], None] = lambda task, role: None,
        seat: Seat | None = None,
    ):
        self.settings, self.metrics = settings, metrics
        self.places: dict[str, Place] = {}
        self.draining = False
        self.budget = Budget(int(settings.requests_mb * 1e6), seat)
        self.coalescing: Coalescing[Answer] | None = Coalescing(metrics.shared.inc) if settings.coalesce else None
        threads = THREADS if seat is None else 1
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="prepare")
        self._turns = Turns(self.pool, threads)
        self._mount, self._seat = mount, seat
        self._loading = asyncio.Lock()
        self._tuned: dict[str, Settings] = {}
        """With what was measured, by the model's name."""
        self._ending = threading.Event()
        self._closing: set[asyncio.Task[None]] = set()
        self._look()

    def announce(self) -> None:
        """Mount the tasks of the packages that are there, before they are loaded."""
        for place in self.places.values():
            if (found := task_of(place.folder)) is not None:
                with suppress(ModelError):  # told again, to whom it may concern, when the package is loaded
                    self._mount(found, roles(found)[0])

    def place(self, name: str) -> Place:
        return self.places[name]

    def _look(self) -> None:
        """Find a place for every package that is there now; one that has a place keeps it."""
        for name, folder in self.settings.packages.items():
            inside = packages_in(folder)
            if inside and name in self.places and self.places[name].current is None and name not in inside:
                del self.places[name]  # it stood for the folder while that was empty
            known = any(place.folder.parent == folder for place in self.places.values())
            for each, path in inside.items() if inside or known else [(name, folder)]:
                if each not in self.places:
                    self.places[each] = Place(each, path, self.settings.queue)

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

    def of_verb(self, verb: str) -> Model:
        """The first ready model that answers at `/v1/VERB`. Raises: RefusalError 404."""
        found = next((model for _, model in self.served() if verb == model.package.role.VERB), None)
        if found is None:
            reasons = "; ".join(f"{place.name}: {place.reason}" for place in self.places.values() if not place.current)
            raise RefusalError(404, f"no model to {verb} is ready" + (f" ({reasons})" if reasons else ""))
        return found

    def served(self) -> Iterator[tuple[str, Model]]:
        """By name."""
        for place in self.places.values():
            if place.current is not None:
                yield place.name, place.current

    def unready(self) -> dict[str, str]:
        """Why the server is not ready; empty when it is."""
        reasons = {place.name: str(place.reason) for place in self.places.values() if place.current is None}
        return reasons | ({"server": "it is shutting down"} if self.draining else {})

    async def refresh(self, force: bool = False) -> None:
        """Load every package that is new in its folder. force: also one that was refused before."""
        async with self._loading:
            self._look()
            for place in list(self.places.values()):
                for _ in range(TRIES):
                    found = fingerprint(place.folder)
                    if found == place.seen and not (force and place.reason):
                        break
                    if found is None and place.current is not None:
                        break  # between the removal of the old package and the coming of the new one
                    force, place.seen = False, found
                    await self._load(place)
                    if self._seat is not None:
                        self._seat.tell("ready", not self.unready())

    async def _load(self, place: Place) -> None:
        began = time.monotonic()
        try:
            package = await asyncio.to_thread(self._proven, place.name, place.folder)
        except Exception as error:  # a package is input: whatever it does to its loader, the server goes on
            place.reason = _reason(error)
            self.metrics.loads.labels(place.name, "refused").inc()
            if place.current is None and place.seen is not None:
                await self._restore(place)
            served = place.current.version if place.current else None
            logs.event("package refused", logging.ERROR, model=place.name, reason=place.reason, still_served=served)
            return
        if fingerprint(place.folder) != place.seen:
            return  # replaced while it was read
        self._serve(place, package, began)
        place.reason = None
        if self._seat is None or not self._seat.worker:  # the others would copy the same to the same place
            await asyncio.to_thread(kept.keep, self.settings.keep, place.name, place.folder)

    def _proven(self, name: str, folder: Path) -> Package:
        with own_copy(folder, self.settings) as place:
            settings = self._tuned.get(name, self.settings)
            if is_package(place):  # else `load` says what is wrong
                prove(place, settings, self._ending.is_set)
                if self.settings.measure and name not in self._tuned:  # a later version comes while others are served
                    settings = self._tuned[name] = tuned(place, settings)
            return load(place, settings, proven=True)

    async def _restore(self, place: Place) -> None:
        """Serve what was served before this worker started, since what is there now is no good."""
        copy = kept.find(self.settings.keep, place.name, place.folder)
        if copy is None:
            return
        began = time.monotonic()
        try:
            package = await asyncio.to_thread(self._proven, place.name, copy)
        except Exception as error:
            logs.event("package not restored", logging.ERROR, model=place.name, reason=_reason(error))
        else:
            self._serve(place, package, began)

    def _serve(self, place: Place, package: Package, began: float) -> None:
        """From now on."""
        gc.freeze()  # a full collection would walk all that was imported: 150 ms in which nobody is answered
        old = place.current
        self._mount(package.task, package.role)
        place.current = Model(place.name, package, self.settings, self._turns, self.metrics)
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
        self._ending.set()
        closing = [model.close() for _, model in self.served()]
        await asyncio.gather(*closing, *self._closing)
        self.pool.shutdown(wait=False)
