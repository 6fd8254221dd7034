"""Which stage runs when: a stage starts when its parents are done and there is room for it, the longest path first."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from multiprocessing import connection
from pathlib import Path

from ops.repair import repair
from pipelines.flow.history import History
from pipelines.flow.outcome import BLAMELESS, CURABLE, Cause, Outcome, Result, judge
from pipelines.flow.place import Place, Running, Shares
from pipelines.flow.plan import Plan
from pipelines.flow.process import HERE
from pipelines.flow.slots import Share

TICK_S = 0.25
BUSY_WAIT_S = 2.0


class State(Enum):
    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "retrying"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OVER = {State.DONE, State.FAILED, State.CANCELLED}


@dataclass
class Attempt:
    """One execution of a stage's DVC process."""

    log: Path
    started: float
    ended: float = 0.0
    """Both seconds since the epoch."""
    outcome: Outcome | None = None
    wait: float | None = None
    """Seconds to the next attempt; None: this is the last."""


@dataclass
class Record:
    """What is known of a step. Written by the scheduler's thread, read by all."""

    name: str
    state: State = State.WAITING
    attempts: list[Attempt] = field(default_factory=list)
    busy: int = 0
    """How often another DVC process held the stage's files, or its host was lost."""
    held: Cause = Cause.BUSY
    """Which of the two it was last."""
    due: float = 0.0
    """`time.monotonic()` before which it is not tried again."""
    started: float | None = None
    """Seconds since the epoch, of the first attempt."""
    ended: float | None = None
    batch_parts: int = 1
    share: Share | None = None
    blamed: str = ""
    """Of a cancelled step: the failed stage above it."""

    @property
    def outcome(self) -> Outcome | None:
        return self.attempts[-1].outcome if self.attempts else None

    @property
    def log(self) -> Path | None:
        return self.attempts[-1].log if self.attempts else None

    @property
    def seconds(self) -> float:
        return (self.ended or time.time()) - self.started if self.started else 0.0


Listener = Callable[[Record], None]


class Scheduler:
    """Runs a plan. `run` blocks; `stop` may be called from any thread or signal handler."""

    def __init__(
        self,
        plan: Plan,
        slots: Shares,
        environment: Mapping[str, str],
        logs: Path,
        *,
        pull: bool = False,
        place: Place = HERE,
    ):
        """environment: of every stage, besides its share of the machine; logs: a folder for a file per attempt;
        pull: as of `dvc repro`; place: where the stages run."""
        self.plan, self.slots, self.logs, self._place = plan, slots, logs, place
        self.history, self._pull = History(), pull
        self.reasons = plan.reasons()
        self.seconds = {name: value for name, value in self.history.of(plan.steps).items() if name in self.reasons}
        self.remaining = plan.remaining(self.seconds)
        self.records = {name: Record(name) for name in plan.steps}
        self.listeners: list[Listener] = []
        self.stopped = ""
        self._environment = dict(environment)
        self._running: dict[str, Running] = {}
        self._expired: set[str] = set()
        self._children = plan.children
        self._missing = {name: len(step.parents) for name, step in plan.steps.items()}
        self._ready: set[str] = set()
        self._stopping = threading.Event()
        self._stops = 0

    @property
    def failed(self) -> list[Record]:
        return [record for record in self.records.values() if record.state is State.FAILED]

    def run(self) -> bool:
        """Run all that must run. Returns: whether every step is done."""
        try:
            for name, missing in self._missing.items():
                if missing == 0:
                    self._ready.add(name)
            while True:
                self._settle()
                self._start()
                if not self._running and (self._stopping.is_set() or not self._ready):
                    break
                self._wait()
            for record in self.records.values():
                if record.state not in OVER:
                    record.state, record.blamed = State.CANCELLED, self.stopped
                    self._tell(record)
        finally:
            for process in self._running.values():  # only after a bug of ours: leave nothing behind
                process.stop()
            self.history.save()
        return all(record.state is State.DONE for record in self.records.values())

    def stop(self, why: str) -> None:
        """Start nothing more, ask what runs to save and end; `run` then returns."""
        self._stops += 1
        self.stopped = self.stopped or why
        self._stopping.set()

    def stop_requested(self) -> int:
        """How often `stop` was called."""
        return self._stops

    def critical(self) -> list[str]:
        """The chain of steps, still to be done, that decides when all is over."""
        children = self._children
        left = {name for name, record in self.records.items() if record.state not in OVER and name in self.reasons}
        path: list[str] = []
        candidates = {name for name in left if not any(parent in left for parent in self.plan.steps[name].parents)}
        while candidates:
            path.append(max(candidates, key=lambda name: (self.remaining[name], name)))
            candidates = left & set(children[path[-1]])
        return path

    def _settle(self) -> None:
        """Take in what has ended, let retries come due, mark what need not run."""
        for name, process in list(self._running.items()):
            limit = self.plan.steps[name].needs.timeout
            if process.code is not None:
                self._ended(name, process)
            elif limit is not None and time.monotonic() - process.began > limit:
                self._expired.add(name)
                process.stop()
            elif self._stopping.is_set():
                process.stop()
        quiet = [name for name in self._ready if not self._must(name)]
        while quiet:
            for name in quiet:
                self._ready.discard(name)
                self._done(self.records[name])
            quiet = [name for name in self._ready if not self._must(name)]

    def _must(self, name: str) -> bool:
        """Whether DVC has to look at the step: it changed, or a parent has just made something."""
        step = self.plan.steps[name]
        made = (Result.RAN, Result.RESTORED)
        return bool(step.why) or any(
            outcome is not None and outcome.result in made
            for outcome in (self.records[parent].outcome for parent in step.parents)
        )

    def _start(self) -> None:
        if self._stopping.is_set():
            return
        now = time.monotonic()
        ready = sorted(
            (name for name in self._ready if self.records[name].due <= now),
            key=lambda name: (-self.remaining[name], name),
        )
        for position, name in enumerate(ready):
            if len(self._running) >= self.slots.jobs:
                break
            share = self.slots.take(name, self.plan.steps[name].needs.needs, len(ready) - position)
            if share is None:
                continue  # something smaller may fit
            self._ready.discard(name)
            self._launch(name, share)

    def _launch(self, name: str, share: Share) -> None:
        record = self.records[name]
        environment = self._environment | share.environment(bool(self.slots.gpus))
        if record.batch_parts > 1:
            environment["STILLHOUSE_BATCH_PARTS"] = str(record.batch_parts)
        number = len(record.attempts) + record.busy
        log = self.logs / (name.replace("/", "_") + (".log" if number == 0 else f".{number + 1}.log"))
        record.state, record.share, record.started = State.RUNNING, share, record.started or time.time()
        record.attempts.append(Attempt(log, time.time()))
        self._running[name] = self._place.start(name, log, environment, force=self.plan.force, pull=self._pull)
        self._tell(record)

    def _ended(self, name: str, process: Running) -> None:
        record, code = self.records[name], process.code
        assert code is not None
        process.close()
        del self._running[name]
        self.slots.give_back(name)
        attempt = record.attempts[-1]
        outcome = judge(name, code, attempt.log, stopped=self._stopping.is_set(), expired=name in self._expired)
        if outcome.cause in (Cause.KILLED, Cause.BUSY):
            repair()  # a kill may have hit in the middle of writing what the others read
        attempt.wait = self._wait_before_retry(record, outcome)
        attempt.ended, attempt.outcome = time.time(), outcome  # the outcome last: who follows the attempt waits for it
        self._note(name, attempt)
        if outcome.ok:
            if outcome.result is Result.RAN:
                self.history.add(name, attempt.ended - attempt.started)
            self._done(record)
        elif attempt.wait is not None:
            if outcome.cause in BLAMELESS:
                assert outcome.cause is not None
                record.busy, record.held = record.busy + 1, outcome.cause
                record.attempts.pop()  # it does not count
            elif outcome.cause is Cause.MEMORY:
                record.batch_parts *= 2
            record.state, record.due = State.RETRYING, time.monotonic() + attempt.wait
            self._ready.add(record.name)
            self._tell(record)
        else:
            self._give_up(record, outcome)

    def _wait_before_retry(self, record: Record, outcome: Outcome) -> float | None:
        """Seconds, None when it is not to be tried again."""
        if outcome.ok or self._stopping.is_set():
            return None
        if outcome.cause in BLAMELESS:
            return BUSY_WAIT_S if record.busy < BLAMELESS[outcome.cause] else None
        retry, failures = self.plan.steps[record.name].needs.retry, len(record.attempts)
        curable = outcome.cause in CURABLE and (outcome.cause is not Cause.MEMORY or retry.smaller_batch)
        return retry.wait * 2 ** (failures - 1) if curable and failures <= retry.times else None

    def _give_up(self, record: Record, outcome: Outcome) -> None:
        """For good, or stopped on request; what depends on a failure is cancelled."""
        record.ended = time.time()
        if outcome.cause is Cause.STOPPED:
            record.state, record.blamed = State.CANCELLED, self.stopped
            self._tell(record)
            return
        record.state = State.FAILED
        self._tell(record)
        for below in self.plan.below(record.name):
            other = self.records[below]
            if other.state not in OVER:
                other.state, other.blamed = State.CANCELLED, record.name
                self._ready.discard(below)
                self._tell(other)

    def _note(self, name: str, attempt: Attempt) -> None:
        """A line per attempt in `attempts.jsonl` beside the logs: what ran when, and how it ended."""
        assert attempt.outcome is not None
        cause = attempt.outcome.cause.value if attempt.outcome.cause else None
        times = {"started": attempt.started, "ended": attempt.ended}
        line = {"stage": name, **times, "result": attempt.outcome.result.value, "cause": cause}
        with (self.logs / "attempts.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _done(self, record: Record) -> None:
        record.state, record.ended = State.DONE, time.time()
        self._tell(record)
        for child in self._children[record.name]:
            self._missing[child] -= 1
            if self._missing[child] == 0 and self.records[child].state is State.WAITING:
                self._ready.add(child)

    def _wait(self) -> None:
        """Until a process ends, or for a moment: for retries, time limits and `stop`."""
        sentinels = [process.sentinel for process in self._running.values()]
        if sentinels:
            connection.wait(sentinels, timeout=TICK_S)
        else:
            self._stopping.wait(TICK_S)

    def _tell(self, record: Record) -> None:
        for listener in self.listeners:
            listener(record)
