"""The hosts of a pool as a place where stages run (`flow.place.Place`): each attempt is a flow run of Prefect's.

One thread talks to the server: it submits, follows, copies logs and is the only one that writes dvc.lock. A host that
gives no sign of life any more, or was started anew, has lost what it ran; a server that does not answer is asked again.
"""

from __future__ import annotations

import os
import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from core.errors import MISTAKE, StillhouseError
from ops.tracking import ledger
from pipelines.flow.hosts.api import Api, Contact
from pipelines.flow.hosts.choice import Hosts, HostShare
from pipelines.flow.hosts.order import KEY, Handback, Order, Space
from pipelines.flow.hosts.record import Record
from pipelines.flow.place import LOST
from pipelines.flow.plan import Plan
from pipelines.flow.process import GRACE_S

POLL_S, MOST_S = 0.3, 4.0
HOSTS_S = 2.0
LOG_S = 1.0
OVER = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
STOPPED = -15
"""Code of what was ended on request, as by SIGTERM."""


class RemoteStage:
    """A stage on a host, as a `flow.place.Running`."""

    def __init__(self, order: Order, share: HostShare, instance: str, log: Path):
        self.order, self.share, self.instance, self.log = order, share, instance, log
        self.key = uuid.uuid4().hex
        self.run = ""
        """Id of the flow run, once it is there."""
        self.stopping: float | None = None
        """`time.monotonic()` when it was first asked to stop."""
        self.cancelled = False
        """Whether the server knows that."""
        self.pieces = 0
        self.characters = 0
        self._code: int | None = None
        self._began: float | None = None
        self._ended = os.eventfd(0)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()

    @property
    def name(self) -> str:
        return self.order.stage

    @property
    def began(self) -> float:
        """`time.monotonic()`: that it waits for its host does not count."""
        return self._began or time.monotonic()

    @property
    def sentinel(self) -> int:
        return self._ended

    @property
    def code(self) -> int | None:
        return self._code

    def stop(self) -> None:
        self.stopping = self.stopping or time.monotonic()

    def close(self) -> None:
        os.close(self._ended)

    def begin(self) -> None:
        self._began = self._began or time.monotonic()

    def append(self, text: str) -> None:
        """To the log."""
        with self.log.open("a", encoding="utf-8", newline="\n") as file:
            file.write(text)
        self.characters += len(text)

    def end(self, code: int, why: str = "") -> None:
        if why:
            self.append(f"ERROR: {why}\n")
        os.eventfd_write(self._ended, 1)  # before the code, after which the file may be closed
        self._code = code


class Pool:
    """A pool's hosts, as a `flow.place.Place`. `begin` before, `end` after all else."""

    def __init__(
        self, api: Api, deployment: str, commit: str, plan: Plan, record: Record, jobs: int, warn: Callable[[str], None]
    ):
        """commit: that the hosts check out; warn: takes a sentence for the user."""
        self.hosts = Hosts(jobs, record.inputs)
        self.done: set[str] = set()
        """Stages that ended well: made, or found unchanged."""
        self._api, self._deployment, self._commit, self._record = api, deployment, commit, record
        self._plan, self._warn = plan, warn
        self._new: deque[RemoteStage] = deque()
        self._running: list[RemoteStage] = []
        self._due: dict[str, float] = {}
        self._contact = Contact(warn, "the hosts go on, asking again")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="pool", daemon=True)

    def begin(self, tag: str) -> None:
        """Take over: runs of an earlier planner here are cancelled. Raises: LostError, StillhouseError."""
        self._tag = tag
        for run in self._api.open_runs(tag):
            self._cancel(run)
        self.hosts.see(list(self._api.hosts()))
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def start(self, name: str, log: Path, environment: Mapping[str, str], *, force: bool, pull: bool) -> RemoteStage:
        """As a `Place` does. Of the environment a host is told the pipeline execution, and the batch's parts."""
        share = self.hosts.share(name)
        room = self._plan.steps[name].needs.needs
        entries = self._record.entries(name)
        key = environment.get("STILLHOUSE_PIPELINE_RUN", "")
        order = Order(
            stage=name,
            commit=self._commit,
            entries=entries,
            runs={above: run for above in entries if (run := ledger.run_of(above)) and re.fullmatch(KEY, run)},
            space=Space(cores=room.cores, gpus=room.gpus, share_gpu=room.share_gpu, memory=room.memory),
            rivals=share.rivals,
            force=force,
            batch_parts=int(environment.get("STILLHOUSE_BATCH_PARTS", "1")),
            pipeline=key if re.fullmatch(KEY, key) else None,
            pipeline_name=re.sub(r"[^\w. -]", "-", environment.get("STILLHOUSE_PIPELINE_NAME", "flow"))[:80] or "flow",
        )
        stage = RemoteStage(order, share, self.hosts.instance(share.host) if share.host else "", log)
        if share.host:
            stage.append(f"on {share.host}\n")
            stage.characters = 0
            self._new.append(stage)
        else:
            stage.end(MISTAKE, f"{self.hosts.why_none(room)}; start one: make host POOL={self._api.pool}")
        return stage

    def _follow(self) -> None:
        """In a thread: until the end, whatever happens; a stage is never left without one."""
        with self._api.once():
            self._follow_all()

    def _follow_all(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            try:
                with self._contact.kept():
                    self._turn()
                if self._contact.lost:
                    self._over.wait(2.0)
            except Exception as error:  # a bug, or an answer that nobody knows: whoever waits must hear of it
                self._give_up(f"{type(error).__name__}: {error}")
            self._over.wait(min(MOST_S, max(POLL_S, time.monotonic() - began)))  # a slow server is asked less often

    def _turn(self) -> None:
        while self._new:
            if self._submit(self._new[0]):
                self._running.append(self._new[0])
            self._new.popleft()
        if self._is_due("hosts", HOSTS_S):
            self.hosts.see(list(self._api.hosts()))
        if not self._running:
            return
        states = self._api.states([stage.run for stage in self._running])
        logs = self._is_due("logs", LOG_S)
        for stage in list(self._running):
            state = states.get(stage.run, "CRASHED")
            if state == "RUNNING":
                stage.begin()
            if state in OVER:
                self._ended(stage)
            elif stage.stopping is not None:
                self._stop(stage)
            elif not self.hosts.alive(stage.share.host, stage.instance):
                self._api.set_state(stage.run, "CRASHED", "its host is lost", force=True)
                why = f"host {stage.share.host} is lost: it gives no sign of life, or was started anew"
                self._warn(f"{stage.name}: {why}")
                self._finish(stage, LOST, why)
            elif logs and state == "RUNNING":
                self._copy_log(stage)

    def _give_up(self, why: str) -> None:
        for stage in [*self._running, *self._new]:
            stage.end(MISTAKE, why)
        self._running.clear()
        self._new.clear()

    def _submit(self, stage: RemoteStage) -> bool:
        """Returns: whether there is a run now."""
        try:
            stage.run = self._api.submit(self._deployment, stage.share.host, stage.order, stage.key, [self._tag])
        except StillhouseError as error:
            stage.end(MISTAKE, str(error))
        return bool(stage.run)

    def _stop(self, stage: RemoteStage) -> None:
        if not stage.cancelled:
            self._cancel(stage.run)
            stage.cancelled = True
        assert stage.stopping is not None
        alive = self.hosts.alive(stage.share.host, stage.instance)
        if not alive or time.monotonic() - stage.stopping > 2 * GRACE_S:
            self._api.set_state(stage.run, "CANCELLED", "its host did not answer", force=True)
            self._finish(stage, STOPPED, f"host {stage.share.host} did not say how it ended")

    def _cancel(self, run: str) -> None:
        if self._api.states([run]).get(run) == "SCHEDULED":
            self._api.set_state(run, "CANCELLED", "no longer wanted", force=True)
        else:
            self._api.set_state(run, "CANCELLING", "no longer wanted")

    def _ended(self, stage: RemoteStage) -> None:
        back = self._api.handback(stage.run)
        if back is None:
            code = STOPPED if stage.stopping is not None else LOST
            self._finish(stage, code, f"host {stage.share.host} was started anew, or did not say how it ended")
            return
        self._copy_rest(stage, back)
        if back.refused:
            if self.hosts.refuse(stage.share.host, back.refused):
                self._warn(f"host {stage.share.host} is given nothing more: {back.refused}")
            self._finish(stage, LOST, f"host {stage.share.host} refused: {back.refused}")
        elif back.code or not back.entry:
            self._finish(stage, back.code)
        else:
            self._write(stage, back)

    def _write(self, stage: RemoteStage, back: Handback) -> None:
        try:
            self._record.write(stage.name, back.entry, back.run, stage.order.pipeline or "")
        except StillhouseError as error:
            if self.hosts.refuse(stage.share.host, str(error)):
                self._warn(f"host {stage.share.host} is given nothing more: of {stage.name}, {error}")
            self._finish(stage, LOST, f"what host {stage.share.host} handed back is not recorded: {error}")
            return
        self.hosts.holds(stage.share.host, self._record.outputs(stage.name) | self._record.inputs(stage.name))
        self._finish(stage, 0)

    def _finish(self, stage: RemoteStage, code: int, why: str = "") -> None:
        self._running.remove(stage)
        if code == 0:
            self.done.add(stage.name)
        stage.end(code, why)

    def _copy_log(self, stage: RemoteStage) -> None:
        for piece in self._api.log(stage.run, stage.pieces):
            stage.append(piece)
            stage.pieces += 1

    def _copy_rest(self, stage: RemoteStage, back: Handback) -> None:
        """The handed back log goes on where what was copied ends; where pieces were lost or doubled, it stands there
        as a whole: how the stage ended is read from it."""
        with stage.log.open(encoding="utf-8", newline="") as file:
            known, here = stage.characters, file.read()
        copied = here[len(here) - known :]
        if back.log_from == 0 and back.log.startswith(copied):
            stage.append(back.log[known:])
        elif known >= back.log_from and copied[back.log_from :] == back.log[: known - back.log_from]:
            stage.append(back.log[known - back.log_from :])
        else:
            stage.append(f"\n... of host {stage.share.host}'s log, from character {back.log_from} on:\n{back.log}")

    def _is_due(self, what: str, every_s: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every_s
        return True
