"""Where a stage runs: what the scheduler asks of a place, and of a stage that runs there.

`process.HERE` is this machine. A place starts a stage and says how it ended in a log as DVC writes it, for
`outcome.judge`; what runs when, retries and time limits stay the scheduler's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pipelines.flow.needs import Room
from pipelines.flow.slots import Share

LOST = 1000
"""In place of an exit code: where the stage ran is gone, or will not run it. No fault of the stage."""


class Running(Protocol):
    """A stage that runs."""

    @property
    def began(self) -> float:
        """`time.monotonic()`."""
        ...

    @property
    def sentinel(self) -> int:
        """Becomes ready when the stage has ended, see `multiprocessing.connection.wait`."""
        ...

    @property
    def code(self) -> int | None:
        """Exit code, negative for a signal, or `LOST`; None while it runs."""
        ...

    def stop(self) -> None:
        """Ask it to save and end; to be called again until it has ended. What does not end in time is killed."""
        ...

    def close(self) -> None:
        """After its end: leave nothing of it behind."""
        ...


class Shares(Protocol):
    """Room for stages, as `slots.Slots` of this machine has it."""

    @property
    def jobs(self) -> int:
        """Stages at once."""
        ...

    @property
    def gpus(self) -> tuple[str, ...]: ...

    def take(self, name: str, room: Room, rivals: int) -> Share | None:
        """A share for stage `name`, None while there is no room; rivals: stages that could start now."""
        ...

    def give_back(self, name: str) -> None: ...


class Place(Protocol):
    """Starts stages, at once and without waiting for them."""

    def start(self, name: str, log: Path, environment: Mapping[str, str], *, force: bool, pull: bool) -> Running:
        """Start stage `name`.

        log: a file that all it says is appended to, while it runs; environment: all of its variables; force: also when
        nothing has changed; pull: fetch from the DVC remote what was made elsewhere.
        """
        ...
