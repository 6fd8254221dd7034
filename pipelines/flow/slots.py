"""Room for stages that run side by side: at most N at once, cores, GPUs, memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipelines.flow.needs import Room

THREAD_VARIABLES = ("STILLHOUSE_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Share:
    """What one running stage was given."""

    threads: int
    gpus: tuple[str, ...]
    memory: int
    exclusive: bool
    shares_gpu: bool
    asked: bool = False
    """Whether its cores were asked for, so that they are nobody else's."""

    def environment(self, has_gpus: bool) -> dict[str, str]:
        """has_gpus: hide them all from a stage that asked for none."""
        chosen = {name: str(self.threads) for name in THREAD_VARIABLES}
        if has_gpus:
            chosen["CUDA_VISIBLE_DEVICES"] = ",".join(self.gpus)
        return chosen


class Slots:
    """Gives shares to stages and takes them back. Not thread-safe: the scheduler's thread owns it."""

    def __init__(self, jobs: int, gpus: tuple[str, ...] = (), cores: int | None = None, memory: int | None = None):
        """memory: bytes; None: what this machine, or this container, has. cores: None: those of this process."""
        self.jobs, self.gpus = jobs, gpus
        self.cores = cores or len(os.sched_getaffinity(0))
        self.memory = memory or total_memory()
        self.taken: dict[str, Share] = {}

    def take(self, name: str, room: Room, rivals: int) -> Share | None:
        """A share for stage `name`, None while there is no room.

        rivals: stages that could start now, this one included: free cores are divided among them. With none free such a
        stage still gets a thread, unless it would run on cores that another one has asked for. What asks for cores does
        not wait for stages that only had what was free, which would hold up the longest path: for as long as these run
        they share. What needs more than the machine has runs alone.
        """
        if len(self.taken) >= self.jobs or any(share.exclusive for share in self.taken.values()):
            return None
        free = self.cores - sum(share.threads for share in self.taken.values())
        unasked = self.cores - sum(share.threads for share in self.taken.values() if share.asked)
        exclusive = room.cores == "all" or (isinstance(room.cores, int) and room.cores > self.cores)
        if self.taken and (
            exclusive
            or (isinstance(room.cores, int) and room.cores > unasked)
            or (free < 1 and any(share.asked for share in self.taken.values()))
            or room.memory + sum(share.memory for share in self.taken.values()) > self.memory
        ):
            return None
        devices = self._devices(room)
        if devices is None:
            return None
        if exclusive:
            threads = self.cores
        elif isinstance(room.cores, int):
            threads = room.cores
        else:
            threads = max(1, free // max(1, min(rivals, self.jobs - len(self.taken))))
        asked = room.cores is not None
        self.taken[name] = Share(threads, devices, room.memory, exclusive, room.share_gpu, asked)
        return self.taken[name]

    def give_back(self, name: str) -> None:
        self.taken.pop(name, None)

    def _devices(self, room: Room) -> tuple[str, ...] | None:
        wanted = min(room.gpus, len(self.gpus))
        if wanted == 0:
            return ()
        users = {gpu: [share for share in self.taken.values() if gpu in share.gpus] for gpu in self.gpus}
        free = [gpu for gpu in self.gpus if not users[gpu]]
        if room.share_gpu:  # the emptiest first
            shared = [gpu for gpu in self.gpus if users[gpu] and all(share.shares_gpu for share in users[gpu])]
            free += sorted(shared, key=lambda gpu: len(users[gpu]))
        return tuple(free[:wanted]) if len(free) >= wanted else None


def total_memory() -> int:
    """Bytes of main memory, of the container where that is less."""
    total = int(psutil.virtual_memory().total)
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(limit).read_text(encoding="ascii")))
        except (OSError, ValueError):  # no cgroup, or `max`
            continue
    return total


def visible_gpus(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Ids of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES takes them; empty without a driver."""
    if "CUDA_VISIBLE_DEVICES" in environment:
        return tuple(word.strip() for word in environment["CUDA_VISIBLE_DEVICES"].split(",") if word.strip())
    try:
        query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(done.stdout.split())
