"""What a stage declares under `meta` in dvc.yaml: room that it needs, retries, a time limit.

    train:
      meta:
        needs: {cores: "${learning_threads}", gpus: 1, memory: 4GB}
        retry: {times: 2, wait: 10s, smaller_batch: true}
        timeout: 6h
        image: registry.example.org/team/trainer:2.1    # where stages run in containers (docs/containers.md)

DVC fills in params, as everywhere in dvc.yaml: what learns has a core for each of its threads.
Other keys of `meta` belong to others and are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from core.errors import StillhouseError, suggest

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {"MB": 10**6, "GB": 10**9}


def _duration(value: Any) -> Any:
    if isinstance(value, str) and (found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", value.strip())):
        return float(found[1]) * SECONDS[found[2]]
    raise ValueError(f"expected a number with a unit (30s, 15m, 6h, 1d), found {value!r}")


def _size(value: Any) -> Any:
    if isinstance(value, str) and (found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(MB|GB)", value.strip())):
        return int(float(found[1]) * BYTES[found[2]])
    raise ValueError(f"expected a size with a unit (500MB, 4GB), found {value!r}")


def _image(value: Any) -> Any:
    if isinstance(value, str) and IMAGE.fullmatch(value):
        return value
    raise ValueError(f"expected an image's name (stillhouse-train, registry.example.org/team/x:1.2), found {value!r}")


IMAGE = re.compile(
    r"(?:[a-zA-Z0-9][a-zA-Z0-9.-]*(?::[0-9]+)?/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
"""Name of an image: [HOST[:PORT]/]PATH[:TAG][@DIGEST],
https://github.com/distribution/reference/blob/v0.6.0/reference.go#L4-L25"""
Duration = Annotated[float, BeforeValidator(_duration)]
"""Seconds."""
Size = Annotated[int, BeforeValidator(_size)]
"""Bytes."""
Label = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,47}$")]
Image = Annotated[str, BeforeValidator(_image)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Room(_Section):
    """What a stage takes while it runs."""

    cores: Annotated[int, Field(ge=1)] | Literal["all"] | None = None
    """CPU cores that are its own, fewer only where the machine has no more; `all`: it runs alone, as what measures
    latency must; None: a fair share of what is free."""
    gpus: int = Field(default=0, ge=0)
    """Each its own, never shared unless `share_gpu`; on a machine without GPUs the stage runs on the CPU."""
    share_gpu: bool = False
    """Whether stages that also say so may use the same GPU."""
    memory: Size = 0
    """Bytes of main memory."""
    label: Label | None = None
    """A host's that this stage is for (`make host ... --label`); on one machine it says nothing."""


class Retry(_Section):
    """Only for failures that a retry can cure (`outcome.Cause`); never for bad data or bad params."""

    times: int = Field(default=0, ge=0, le=100)
    wait: Duration = 5.0
    """Seconds before the second attempt; they double with each further one."""
    smaller_batch: bool = False
    """After memory ran out, the next attempt computes each batch in twice as many parts."""


class Needs(_Section):
    """The `meta` of one stage instance, as far as it is ours."""

    needs: Room = Room()
    retry: Retry = Retry()
    timeout: Duration | None = None
    """Seconds; the stage is stopped after them and has failed."""
    image: Image | None = None
    """What it runs in where stages run in containers; None: the same as the others."""


def read(metas: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Needs]:
    """The needs of each stage instance.

    Raises: StillhouseError naming every wrong field of every stage.
    """
    known, problems = {}, []
    for name, meta in metas.items():
        ours = {key: value for key, value in (meta or {}).items() if key in Needs.model_fields}
        try:
            known[name] = Needs.model_validate(ours)
        except ValidationError as error:
            problems += [f"{name}: {_problem(found)}" for found in error.errors()]
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in dict.fromkeys(problems))
        raise StillhouseError(f"`meta` in dvc.yaml cannot be used:\n{lines}")
    return known


def _problem(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        sections: dict[str, type[_Section]] = {"needs": Room, "retry": Retry}
        section = sections.get(str(error["loc"][0]), Needs)
        return f"meta.{where} is unknown; {suggest(str(error['loc'][-1]), list(section.model_fields))}"
    return f"meta.{where}: {error['msg'].removeprefix('Value error, ')}"
