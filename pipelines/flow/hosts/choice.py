"""Which host makes a stage: one that has what it `needs`, has room now, and holds most of its inputs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pipelines.flow.hosts.order import Offer, Seen
from pipelines.flow.needs import Room
from pipelines.flow.slots import Share, Slots

LOST_S = 20.0
"""Without a sign of life for so long, a host is lost."""
LOOK_S = 5.0
"""The most that counts of the time between two looks at the hosts: while the server is away, none is lost."""
PATIENCE_S = 120.0
"""For so long a stage waits for a host that could make it, when there is none."""


@dataclass(frozen=True)
class HostShare(Share):
    """What one running stage was given of a host."""

    host: str = ""
    """Empty: no host can make the stage."""
    rivals: int = 1

    def environment(self, has_gpus: bool) -> dict[str, str]:
        """Nothing: the host itself gives the stage its threads and GPUs."""
        return {}


@dataclass
class Host:
    """A host as the planner sees it."""

    name: str
    offer: Offer
    slots: Slots
    beat: str
    seen: float
    """When it last gave a sign of life, by the clock of `Hosts`."""
    refused: str = ""
    """Why it is given nothing more."""
    holds: set[str] = field(default_factory=set)
    """Digests of what it has made or fetched in this execution."""


class Hosts:
    """Takes the place of `slots.Slots` for a pool: `take` chooses a host, too. Threads may call it side by side."""

    def __init__(self, jobs: int, inputs: Callable[[str], Mapping[str, int]]):
        """jobs: stages at once in the whole pool, 0: as many as the hosts take; inputs: of a stage, md5 -> bytes."""
        self._jobs, self._inputs = jobs, inputs
        self._hosts: dict[str, Host] = {}
        self._placed: dict[str, HostShare] = {}
        self._waits: dict[str, float] = {}
        self._clock, self._looked = 0.0, time.monotonic()
        """Seconds that were looked, and when last."""
        self._lock = threading.RLock()

    @property
    def jobs(self) -> int:
        with self._lock:
            room = sum(host.offer.slots for host in self._usable())
            return min(self._jobs or room, room) or 1

    @property
    def gpus(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(f"{host.name}:{gpu}" for host in self._usable() for gpu in host.offer.gpus)

    def see(self, found: Iterable[Seen]) -> None:
        """What the server says of the hosts now. Clocks differ, so that only a change counts as a sign of life."""
        with self._lock:
            moment = time.monotonic()
            self._clock += min(moment - self._looked, LOOK_S)
            self._looked, now = moment, self._clock
            for name, offer, beat, online in found:
                known = self._hosts.get(name)
                if known is None or known.offer.instance != offer.instance:
                    slots = Slots(offer.slots, offer.gpus, offer.cores, offer.memory)
                    self._hosts[name] = Host(name, offer, slots, beat, now if online else now - LOST_S)
                    if known is not None:  # started anew: what ran there is lost, what it holds is not
                        self._hosts[name].holds = known.holds
                elif known.beat != beat:
                    known.beat, known.seen = beat, now

    def alive(self, name: str, instance: str) -> bool:
        """Whether a host is there, and the same that it was."""
        with self._lock:
            host = self._hosts.get(name)
            return host is not None and self._alive(host) and host.offer.instance == instance

    def instance(self, name: str) -> str:
        with self._lock:
            return self._hosts[name].offer.instance

    def refuse(self, name: str, why: str) -> bool:
        """Give a host nothing more. Returns: whether that is new."""
        with self._lock:
            host = self._hosts.get(name)
            if host is None or host.refused:
                return False
            host.refused = why
            return True

    def holds(self, name: str, digests: Mapping[str, int]) -> None:
        with self._lock:
            if name in self._hosts:
                self._hosts[name].holds |= set(digests)

    def unfit(self, rooms: Mapping[str, Room]) -> dict[str, str]:
        """Stages that no host can make as they are now, and why."""
        with self._lock:
            return {name: self._why_none(room) for name, room in rooms.items() if not self._fit(room)}

    def names(self) -> list[str]:
        """Hosts that are at work."""
        with self._lock:
            return sorted(host.name for host in self._usable())

    # As `slots.Slots` has them

    def take(self, name: str, room: Room, rivals: int) -> HostShare | None:
        """A share of the best host for stage `name`, None while there is no room; without a host after `PATIENCE_S`."""
        with self._lock:
            if len(self._placed) >= self.jobs and self._usable():
                return None
            fit = self._fit(room)
            if not fit:
                begun = self._waits.setdefault(name, self._clock)
                if self._clock - begun < PATIENCE_S:
                    return None
                self._placed[name] = HostShare(1, (), 0, False, False)
                return self._placed[name]
            self._waits.pop(name, None)
            inputs = self._inputs(name)
            for host in sorted(fit, key=lambda host: self._rank(host, inputs, room)):
                each = max(1, -(-rivals // len(fit)))
                if share := host.slots.take(name, room, each):
                    self._placed[name] = HostShare(
                        share.threads,
                        share.gpus,
                        share.memory,
                        share.exclusive,
                        share.shares_gpu,
                        share.asked,
                        host.name,
                        each,
                    )
                    return self._placed[name]
            return None

    def give_back(self, name: str) -> None:
        with self._lock:
            share = self._placed.pop(name, None)
            if share is not None and share.host in self._hosts:
                self._hosts[share.host].slots.give_back(name)

    def share(self, name: str) -> HostShare:
        """What stage `name` was given last."""
        with self._lock:
            return self._placed[name]

    def why_none(self, room: Room) -> str:
        """Why there is no host for a stage that takes `room`."""
        with self._lock:
            return self._why_none(room)

    def _alive(self, host: Host) -> bool:
        return self._clock - host.seen < LOST_S

    def _usable(self) -> list[Host]:
        return [host for host in self._hosts.values() if self._alive(host) and not host.refused]

    def _fit(self, room: Room) -> list[Host]:
        """Hosts for a stage: of its label; of these the ones that have all it needs, as on one machine else any."""
        labelled = [host for host in self._usable() if room.label is None or room.label in host.offer.labels]
        cores = room.cores if isinstance(room.cores, int) else 0
        for enough in (
            lambda host: len(host.offer.gpus) >= room.gpus,
            lambda host: host.offer.memory >= room.memory,
            lambda host: host.offer.cores >= cores,
        ):
            labelled = [host for host in labelled if enough(host)] or labelled
        return labelled

    @staticmethod
    def _rank(host: Host, inputs: Mapping[str, int], room: Room) -> tuple[float, ...]:
        """The smallest is the best: most bytes of the inputs are there; no GPU in vain; most room."""
        held = sum(size for md5, size in inputs.items() if md5 in host.holds)
        idle_gpus = len(host.offer.gpus) if not room.gpus else 0
        return (-held, idle_gpus, -(host.offer.slots - len(host.slots.taken)) / host.offer.slots)

    def _why_none(self, room: Room) -> str:
        usable = self._usable()
        if room.label is not None and usable:
            offered = sorted({label for host in usable for label in host.offer.labels})
            return f"no host has the label {room.label!r}" + (f" (there are: {', '.join(offered)})" if offered else "")
        refused = [f"{host.name}: {host.refused}" for host in self._hosts.values() if host.refused]
        return "no host of the pool is at work" + (f" ({'; '.join(refused)})" if refused else "")
