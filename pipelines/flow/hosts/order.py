"""What a planner and a host say to each other over Prefect's server: an order, what came of it, what a host offers.

An order holds no command, path or URL: which code runs is the commit's, where it comes from is the host's own setting.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ops.repair.entries import is_entry, parsed
from pipelines.flow.needs import Label, Room

STAGE = r"^[A-Za-z0-9_][\w.@-]{0,199}$"
"""A stage instance of the dvc.yaml in the repository's root; no option and no path."""
KEY = r"^[0-9a-f]{32}$"
MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
TEXT_BYTES = 300_000
"""Of dvc.lock in one order: Prefect's server takes 512 KiB of parameters."""

StageName = Annotated[str, Field(pattern=STAGE)]
Key = Annotated[str, Field(pattern=KEY)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Space(_Message):
    """What a stage takes, as `needs.Room` in plain numbers."""

    cores: Annotated[int, Field(ge=1)] | Literal["all"] | None = None
    gpus: Annotated[int, Field(ge=0)] = 0
    share_gpu: bool = False
    memory: Annotated[int, Field(ge=0)] = 0
    """Bytes."""

    @property
    def room(self) -> Room:
        return Room.model_construct(**self.model_dump())


class Order(_Message):
    """One attempt of a stage: the parameters of a flow run. Whatever else a run says is not looked at."""

    protocol: Literal[1] = 1
    stage: StageName
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    entries: dict[StageName, str] = Field(default_factory=dict)
    """What dvc.lock says of the stage and of what it stands on: name -> the entry as YAML."""
    runs: dict[StageName, Key] = Field(default_factory=dict)
    """Keys of the MLflow runs that made what it stands on."""
    space: Space = Space()
    rivals: Annotated[int, Field(ge=1, le=1024)] = 1
    """Stages that could start on this host now: free cores are divided among them."""
    force: bool = False
    batch_parts: Annotated[int, Field(ge=1, le=4096)] = 1
    pipeline: Key | None = None
    """Of the pipeline execution, as MLflow's parent run has it."""
    pipeline_name: Annotated[str, Field(pattern=r"^[\w. -]{1,80}$")] = "flow"

    @field_validator("entries")
    @classmethod
    def _are_entries(cls, entries: dict[str, str]) -> dict[str, str]:
        for name, text in entries.items():
            check(name, text)
        return entries

    def environment(self) -> dict[str, str]:
        """The variables that an order sets; all others are the host's."""
        chosen = {"STILLHOUSE_PIPELINE_NAME": self.pipeline_name}
        if self.pipeline:
            chosen["STILLHOUSE_PIPELINE_RUN"] = self.pipeline
        if self.batch_parts > 1:
            chosen["STILLHOUSE_BATCH_PARTS"] = str(self.batch_parts)
        return chosen


class Handback(_Message):
    """What came of an order: an artifact of its flow run."""

    code: int
    """Exit code of the attempt, as of a stage's DVC process."""
    entry: str = ""
    """The stage's entry of dvc.lock as YAML; empty where nothing was made."""
    run: Key | None = None
    """Key of the MLflow run that made it."""
    refused: str = ""
    """Why this host does not run it: a commit that it cannot get, packages that are not those of the lock."""
    log: str = ""
    """The end of the attempt's log."""
    log_from: int = 0
    """Characters of the log that come before `log`."""


class Offer(_Message):
    """What a host has to give: the description of its work queue, as JSON."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    protocol: int = 1
    instance: Key
    """Another one each time that the host starts."""
    slots: Annotated[int, Field(ge=1)]
    cores: Annotated[int, Field(ge=1)]
    memory: Annotated[int, Field(ge=0)]
    """Bytes."""
    gpus: tuple[str, ...] = ()
    labels: tuple[Label, ...] = ()


class Seen(NamedTuple):
    """A host as the server has it."""

    name: str
    offer: Offer
    beat: str
    """When it last gave a sign of life, by the server's clock."""
    online: bool
    """Whether the server believes it at work."""


def check(name: str, text: str) -> dict[str, Any]:
    """The entry of a stage as `ops.repair.entries` reads it. Raises: ValueError where it is none, or a digest is none,
    of which DVC would make the path of a file."""
    value: Any = parsed(text) if len(text) <= TEXT_BYTES else None
    if not is_entry(value):
        raise ValueError(f"what dvc.lock is said to hold of {name} is no entry of a stage")
    for item in (*value.get("deps", []), *value.get("outs", [])):
        if "md5" in item and not MD5.fullmatch(str(item["md5"])):
            raise ValueError(f"what dvc.lock is said to hold of {name} has a digest that is none: {item['md5']!r}")
        if item.get("hash", "md5") != "md5" or "files" in item:
            raise ValueError(f"what dvc.lock is said to hold of {name} has other digests than md5")
    return dict(value)
