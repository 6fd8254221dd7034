"""A host at work: it takes the runs of its queue, makes each in a process of its own, and hands back what came of it.

Nothing that Prefect's server holds is run here, but a stage of the repository that the host itself was told of. A
server that does not answer is asked again; what has ended meanwhile is handed back then.
"""

from __future__ import annotations

import codecs
import os
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import connection
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from core.errors import MISTAKE, StillhouseError
from core.files import read_json, write_json
from pipelines.flow import process
from pipelines.flow.hosts import attempt
from pipelines.flow.hosts.api import Api, Contact, LostError
from pipelines.flow.hosts.attempt import Work
from pipelines.flow.hosts.clones import Clones
from pipelines.flow.hosts.order import Handback, Offer, Order
from pipelines.flow.process import StageProcess
from pipelines.flow.slots import Slots
from pipelines.repro import QUIET

POLL_S, MOST_S = 0.5, 4.0
BEAT_S = 5.0
STATES_S = 1.5
LOG_S = 1.0
LOST_S = 5.0
"""Before the server is asked again after it did not answer."""
PIECE = 20_000
HANDED = 200_000
"""Characters of the log's end that are handed back."""
OURS = ("RUNNING", "PENDING")
WITHHELD = ("PREFECT_",)
"""Variables that a stage does not get: it has no business with the server."""
KEPT = 200
"""Attempts whose logs stay on the host."""


@dataclass
class Attempt:
    """An order that this host has taken."""

    run: str
    order: Order
    slot: int
    process: StageProcess
    folder: Path
    """Of its log and its result."""
    cancelled: bool = False
    told: int = 0
    """Characters of the log that the server has."""
    moment: datetime = field(default_factory=lambda: datetime.now(UTC))
    """Of the log's last piece."""
    decoder: Any = field(default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))
    read: int = 0
    """Bytes of the log that were read."""
    pending: str = ""
    handback: Handback | None = None
    """Once it has ended."""

    @property
    def log(self) -> Path:
        return self.folder / "log"


class Worker:
    """Host `name` of a pool. `run` blocks until `stop` was called, from any thread or signal handler."""

    def __init__(
        self, api: Api, name: str, clones: Clones, slots: Slots, labels: tuple[str, ...], say: Callable[[str], None]
    ):
        self.api, self.name, self.clones, self.slots, self._say = api, name, clones, slots, say
        self.offer = Offer(
            instance=uuid.uuid4().hex,
            slots=slots.jobs,
            cores=slots.cores,
            memory=slots.memory,
            gpus=slots.gpus,
            labels=labels,
        )
        self._attempts: dict[str, Attempt] = {}
        self._last_in_slot: dict[int, str] = {}
        self._due: dict[str, float] = {}
        self._unsure: set[str] = set()
        """Runs that were claimed when the server was lost."""
        self._stops = 0
        self._contact = Contact(say, "asking again")

    def stop(self) -> None:
        """Take nothing more, let what runs save and end; the second time too."""
        self._stops += 1

    def run(self) -> None:
        """Raises: StillhouseError where another host of this name is at work."""
        process.PRELOAD[:] = [*process.PRELOAD, "pipelines.flow.hosts.preload"]
        process.warm()
        with self.api.once():
            self._work()

    def _work(self) -> None:
        self._patiently(self._begin)
        self._say(f"host {self.name} of pool {self.api.pool}: {self.offer.slots} stages at once")
        while self._attempts or not self._stops:
            with self._contact.kept():
                self._turn()
            if self._contact.lost:
                self._sleep(LOST_S)

    def _begin(self) -> None:
        self.api.prepare()
        if self.api.online(self.name):
            self._say(f"a host {self.name!r} has been here a moment ago; waiting until it is surely gone")
            deadline = time.monotonic() + 8 * BEAT_S
            while self.api.online(self.name):
                if time.monotonic() > deadline:
                    raise StillhouseError(
                        f"pool {self.api.pool} has another host {self.name!r} at work; choose another name (--name)"
                    )
                self._sleep(1.0)
                if self._stops:
                    return
        for run in self.api.open_runs(host=self.name):
            if self.api.states([run]).get(run) != "SCHEDULED":
                self.api.set_state(run, "CRASHED", f"host {self.name} has been started anew", force=True)
        self.api.offer(self.name, self.offer)
        self.api.beat(self.name, BEAT_S)

    def _turn(self) -> None:
        """All that there is to do now, then a wait for what comes next: the longer, the slower the server is."""
        began = time.monotonic()
        if self._is_due("beat", BEAT_S):
            self.api.beat(self.name, BEAT_S)
        if self._unsure:
            self._disclaim()
        for one in list(self._attempts.values()):
            if one.handback is None and one.process.code is not None:
                self._ended(one)
            if one.handback is not None:
                self._hand_back(one)
        if self._attempts and self._is_due("states", STATES_S):
            self._look_for_cancelled()
        if self._attempts and self._is_due("logs", LOG_S):
            for one in self._attempts.values():
                self._tell(one)
        for one in self._attempts.values():
            if self._stops or one.cancelled:
                one.process.stop()
        if not self._stops and len(self._attempts) < self.slots.jobs:
            self._take()
        self._sleep(min(MOST_S, max(POLL_S, 2 * (time.monotonic() - began))))

    def _take(self) -> None:
        """Start what is due, in its order; what there is no room for holds up what comes after it."""
        for run, parameters in self.api.due(self.name):
            try:
                order = Order.model_validate(parameters)
            except ValidationError as error:
                self._reject(run, error)
                continue
            share = self.slots.take(run, order.space.room, order.rivals)
            if share is None:
                return
            try:
                claimed = self._claim(run)
            except LostError:
                self.slots.give_back(run)
                raise
            if claimed:
                self._start(run, order, share.environment(bool(self.slots.gpus)) | order.environment())
            else:
                self.slots.give_back(run)  # somebody cancelled it meanwhile
            if len(self._attempts) >= self.slots.jobs:
                return

    def _claim(self, run: str) -> bool:
        """Returns: whether the run is this host's to make."""
        self._unsure.add(run)
        claimed = self.api.set_state(run, "RUNNING", f"on {self.name}")
        claimed = claimed or self.api.states([run]).get(run) == "RUNNING"  # by this host: it was answered too late
        self._unsure.discard(run)
        return claimed

    def _disclaim(self) -> None:
        """Whether the server took a claim that it did not answer is not known: such a run is given up."""
        for run, state in self.api.states(sorted(self._unsure)).items():
            if state == "RUNNING":
                self.api.set_state(run, "CRASHED", f"host {self.name} lost the server as it began", force=True)
            self._unsure.discard(run)

    def _reject(self, run: str, error: ValidationError) -> None:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        self._say(f"run {run} is no order of a stage and is not run: {problems}")
        self.api.hand_back(run, Handback(code=MISTAKE, refused=f"it is no order that this host knows: {problems}"))
        self.api.set_state(run, "CRASHED", "no order of a stage", force=True)

    def _start(self, run: str, order: Order, environment: dict[str, str]) -> None:
        folder = self.clones.home / "attempts" / run
        folder.mkdir(parents=True, exist_ok=True)
        self._forget_old()
        slot = self._slot(order.stage)
        work = Work(
            str(self.clones.home), self.clones.source, slot, order.model_dump_json(), str(folder / "result.json")
        )
        write_json(folder / "work.json", asdict(work))
        here = str(Path(sys.executable).parent)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(WITHHELD)}
        started = StageProcess(
            [str(folder / "work.json"), order.stage],
            folder / "log",
            {**QUIET, **kept, **environment, "PATH": here + os.pathsep + os.environ.get("PATH", "")},
            main=attempt.main,
            folder=self.clones.folder(slot),
        )
        self._attempts[run] = Attempt(run, order, slot, started, folder)
        self._last_in_slot[slot] = order.stage
        self._say(f"{order.stage}: started (commit {order.commit[:8]})")

    def _forget_old(self) -> None:
        folders = sorted((self.clones.home / "attempts").iterdir(), key=lambda folder: folder.stat().st_mtime)
        for folder in folders[:-KEPT]:
            if folder.name not in self._attempts:
                shutil.rmtree(folder, ignore_errors=True)

    def _slot(self, stage: str) -> int:
        """A free one; the one that had this stage last, where a training may go on."""
        free = set(range(self.slots.jobs)) - {one.slot for one in self._attempts.values()}
        return next((slot for slot in sorted(free) if self._last_in_slot.get(slot) == stage), min(free))

    def _look_for_cancelled(self) -> None:
        states = self.api.states(list(self._attempts))
        for run, one in self._attempts.items():
            if states.get(run) not in OURS and one.handback is None and not one.cancelled:
                self._say(f"{one.order.stage}: is no longer wanted here; it is stopped")
                one.cancelled = True

    def _tell(self, one: Attempt) -> None:
        """Send what is new of the log."""
        try:
            with one.log.open("rb") as file:
                file.seek(one.read)
                data = file.read(1_000_000)
        except FileNotFoundError:
            return
        one.read += len(data)
        one.pending += one.decoder.decode(data, final=one.handback is not None).replace("\0", "\ufffd")
        while one.pending:
            piece = one.pending[:PIECE]
            one.moment = max(datetime.now(UTC), one.moment + timedelta(milliseconds=1))
            self.api.tell(one.run, piece, one.moment)
            one.pending, one.told = one.pending[PIECE:], one.told + len(piece)

    def _ended(self, one: Attempt) -> None:
        code = one.process.code
        assert code is not None
        result: dict[str, Any] = {}
        if (one.folder / "result.json").exists():
            result = read_json(one.folder / "result.json")
        if code and self._stops and not one.cancelled:
            result.setdefault("refused", "it was stopped")
        text = (
            one.log.read_bytes().decode("utf-8", errors="replace").replace("\0", "\ufffd") if one.log.exists() else ""
        )
        one.handback = Handback(code=code, log=text[-HANDED:], log_from=max(0, len(text) - HANDED), **result)
        one.process.close()
        self.slots.give_back(one.run)

    def _hand_back(self, one: Attempt) -> None:
        """To be called again while the server does not answer."""
        assert one.handback is not None
        state = self.api.states([one.run]).get(one.run)
        if state in (*OURS, "CANCELLING"):
            self._tell(one)
            self.api.hand_back(one.run, one.handback)
            kind = "CANCELLED" if state == "CANCELLING" else "FAILED" if one.handback.code else "COMPLETED"
            self.api.set_state(one.run, kind, f"exit code {one.handback.code} on {self.name}")
        del self._attempts[one.run]
        self._say(
            f"{one.order.stage}: ended with {one.handback.code}" + ("" if state in OURS else ", nobody waits for it")
        )

    def _is_due(self, what: str, every_s: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every_s
        return True

    def _sleep(self, seconds: float) -> None:
        """Until an attempt ends, or for a moment."""
        running = [one.process.sentinel for one in self._attempts.values() if one.handback is None]
        if running:
            connection.wait(running, timeout=seconds)
        else:
            time.sleep(seconds)

    def _patiently(self, act: Callable[[], None]) -> None:
        while not self._stops:
            try:
                act()
                return
            except LostError as error:
                self._say(f"the Prefect server does not answer ({error}); asking again")
                self._sleep(LOST_S)


def handled(worker: Worker) -> None:
    """SIGTERM and Ctrl-C end the worker in order."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: worker.stop())
