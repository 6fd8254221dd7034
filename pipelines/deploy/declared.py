"""`pipelines/deployments.yaml` as typed, checked values; every problem is reported at once, with its place.

The file explains its own keys. The rules of `params.yaml` hold here, too: unknown keys, keys that stand twice, and text
for numbers are errors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from core import params, task
from core.address import has_user
from core.errors import ParamsError, StillhouseError, suggest
from core.params import Positive, Section

FILE = Path("pipelines", "deployments.yaml")
SECRET = re.compile(r"(^|_)(KEY|TOKEN|SECRET|PASSWORD)(_|$)")
BLOCK = re.compile(r"\{\{ *prefect\.(blocks|variables)\.[^{}]+\}\}")
EACH = "each"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,47}$")]
Size = Annotated[str, Field(pattern=r"^[1-9][0-9]*[mg]$")]
"""Binary megabytes or gigabytes, as docker writes them: `512m`, `32g`."""
Duration = Annotated[str, Field(pattern=r"^[0-9]{1,5}[smhd]$")]


class DeclaredError(StillhouseError):
    """The file cannot be used; carries every problem found, not only the first."""

    def __init__(self, path: Path, problems: Sequence[str]):
        self.problems = list(problems)
        count = f"{len(self.problems)} problem{'s' * (len(self.problems) > 1)}"
        super().__init__(f"{path} has {count}:\n" + "\n".join(f"  - {p}" for p in self.problems))


def duration(text: str) -> timedelta:
    """`15m` as a time."""
    return timedelta(seconds=int(text[:-1]) * SECONDS[text[-1]])


class Pool(Section):
    type: str
    limit: Positive | None = None
    env: dict[str, str] = Field(default_factory=dict)

    @field_validator("env")
    @classmethod
    def _no_secrets(cls, env: dict[str, str]) -> dict[str, str]:
        # The values are not quoted: the message may end in a log.
        if found := [name for name, value in env.items() if SECRET.search(name) and not BLOCK.fullmatch(value)]:
            raise ValueError(
                f"{', '.join(found)}: a secret does not belong into this file; "
                'put it into a Prefect Secret block and write "{{ prefect.blocks.secret.NAME }}"'
            )
        return env


class ProcessPool(Pool):
    type: Literal["process"]


class ContainerPool(Pool):
    image: str = Field(min_length=1)
    memory: Size | None = None
    shared_memory: Size | None = None


class DockerPool(ContainerPool):
    type: Literal["docker"]
    pull: Literal["IfNotPresent", "Always", "IfPossible", "Never"] = "IfNotPresent"
    gpus: Annotated[int, Field(ge=0)] | Literal["all"] = 0
    volumes: list[Annotated[str, Field(pattern=r"^[^:]+:/[^:]*(:[a-z,]+)?$")]] = Field(default_factory=list)
    network: str | None = None


class KubernetesPool(ContainerPool):
    type: Literal["kubernetes"]
    pull: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    gpus: int = Field(ge=0, default=0)
    namespace: str = "default"
    cpus: str | None = Field(pattern=r"^([1-9][0-9]*|0\.[0-9]+|[1-9][0-9]*\.[0-9]+|[1-9][0-9]*m)$", default=None)
    service_account: str | None = None
    keep: Duration = "1h"


POOLS: dict[str, type[Pool]] = {"process": ProcessPool, "docker": DockerPool, "kubernetes": KubernetesPool}


class Cron(Section):
    cron: str
    timezone: str = "UTC"

    @model_validator(mode="after")
    def _known_to_prefect(self) -> Cron:
        from prefect.client.schemas.schedules import CronSchedule  # noqa: PLC0415 - two seconds, where there is a cron

        try:
            CronSchedule(cron=self.cron, timezone=self.timezone)
        except ValidationError as error:
            raise ValueError("; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors())) from None
        return self


class Change(Section):
    """A sensor looks `every` so often at the data source of a task."""

    source: str
    """A task; `each` stands for those of params.yaml."""
    every: Duration
    pool: str
    """A process pool: where the sensor looks."""
    branch: str | None = Field(pattern=r"^[\w.][\w./-]*$", default=None)
    settle: Duration = "30s"
    at_first_look: bool = False

    @field_validator("source")
    @classmethod
    def _task(cls, source: str) -> str:
        if source not in task.names():
            raise ValueError(f"unknown task {source!r}; {suggest(source, task.names())}")
        return source

    @field_validator("every")
    @classmethod
    def _not_always(cls, every: str) -> str:
        if duration(every) < timedelta(seconds=10):
            raise ValueError(f"found {every!r}, expected 10s or more")
        return every


class Repository(Section):
    url: str = Field(min_length=1)
    branch: str | None = Field(pattern=r"^[\w.][\w./-]*$", default=None)
    commit: str | None = Field(pattern=r"^(head|[0-9a-f]{40})$", default=None)
    token: Name | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Repository:
        if has_user(self.url):
            raise ValueError("the URL holds a user or password; put a token into a Prefect Secret block, see `token`")
        if (self.branch is None) == (self.commit is None):
            raise ValueError("give either `branch` or `commit`")
        return self


class Concurrency(Section):
    limit: Positive = 1
    strategy: Literal["enqueue", "cancel_new"] = "enqueue"


class Crash(Section):
    """A run whose container, process or machine is lost starts again."""

    pool: str
    """A process pool: where that is decided."""
    times: Positive = 2
    wait: Duration = "1m"


class Deployment(Section):
    pool: str
    description: str = ""
    trigger: Cron | Change | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    repository: Repository | Literal["here"] = "here"
    remote: Annotated[str, Field(pattern=r"^[\w-]+$")] | None = None
    concurrency: Concurrency = Concurrency()
    crashed: Crash | None = None


@dataclass(frozen=True)
class Declared:
    path: Path
    pools: dict[str, Pool]
    deployments: dict[str, Deployment]


def load(path: Path, parameters: Sequence[str]) -> Declared:
    """Read and check the whole file; `parameters`: the names that the flow takes.

    Raises: DeclaredError with every problem.
    """
    try:
        values = params.read(path)
    except ParamsError as error:
        raise DeclaredError(path, error.problems) from None
    problems: list[str] = []
    for key in values:
        if key not in ("pools", "deployments"):
            problems.append(f"{key}: unknown key; {suggest(str(key), ['pools', 'deployments'])}")
    entries = {key: _entries(values, key, problems) for key in ("pools", "deployments")}
    entries["deployments"] = _each(entries["deployments"], problems)
    pools = {name: _pool(name, value, problems) for name, value in entries["pools"].items()}
    deployments = {name: _deployment(name, value, problems) for name, value in entries["deployments"].items()}
    for name, deployment in deployments.items():
        if deployment is not None:
            problems += [f"deployments.{name}.{problem}" for problem in _wrong(deployment, pools, parameters)]
    if problems:
        raise DeclaredError(path, problems)
    return Declared(
        path,
        {name: pool for name, pool in pools.items() if pool is not None},
        {name: deployment for name, deployment in deployments.items() if deployment is not None},
    )


def _entries(values: dict[str, Any], key: str, problems: list[str]) -> dict[str, Any]:
    """The named sections below `key`; a wrong name is a problem, and its section is checked all the same."""
    entries = values.get(key)
    if not isinstance(entries, dict) or not entries:
        problems.append(f"{key}: expected a mapping with at least one name, found {entries!r}")
        return {}
    for name in entries:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,47}", str(name)):
            problems.append(f"{key}.{name}: a name is lower-case letters, digits and dashes, and begins with a letter")
    return entries


def _each(deployments: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """A deployment that looks at `each` source, as one for each task of params.yaml: `data` -> `data-my-task`."""
    found: dict[str, Any] = {}
    for name, value in deployments.items():
        trigger = value.get("trigger") if isinstance(value, dict) else None
        if not isinstance(trigger, dict) or trigger.get("source") != EACH:
            found[name] = value
            continue
        try:
            tasks = params.load()[0].tasks
        except ParamsError as error:
            problems += [f"deployments.{name}.trigger.source: {problem}" for problem in error.problems]
            continue
        for one in tasks:
            found[f"{name}-{one.replace('_', '-')}"] = value | {"trigger": trigger | {"source": one}}
    return found


def _pool(name: str, value: Any, problems: list[str]) -> Pool | None:
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(value, dict) and kind not in POOLS:
        hint = suggest(str(kind), list(POOLS)) if kind is not None else f"valid: {', '.join(POOLS)}"
        problems.append(f"pools.{name}.type: {'missing' if kind is None else f'found {kind!r}'}; {hint}")
        return None
    pool: Pool | None = _section(POOLS[str(kind)] if kind else Pool, value, f"pools.{name}", problems)
    return pool


def _deployment(name: str, value: Any, problems: list[str]) -> Deployment | None:
    """Trigger and repository may have several forms: each is parsed as what it is meant to be, then the whole."""
    place = f"deployments.{name}"
    if isinstance(value, dict):
        value = dict(value)
        if (trigger := value.get("trigger")) is not None:
            form = Change if isinstance(trigger, dict) and "source" in trigger else Cron
            value["trigger"] = _section(form, trigger, f"{place}.trigger", problems)
        if (repository := value.get("repository", "here")) != "here":
            parsed = None
            if isinstance(repository, dict):
                parsed = _section(Repository, repository, f"{place}.repository", problems)
            else:
                problems.append(f"{place}.repository: found {repository!r}, expected here, or a mapping with `url`")
            value["repository"] = parsed or Repository.model_construct(url="", branch="")  # no second complaint
    deployment: Deployment | None = _section(Deployment, value, place, problems)
    return deployment


def _section(model: type[Section], value: Any, place: str, problems: list[str]) -> Any:
    return params.typed(model, value, place, problems)  # the same words for the same mistakes as in params.yaml


def _wrong(deployment: Deployment, pools: dict[str, Pool | None], parameters: Sequence[str]) -> list[str]:
    """What does not fit together between a deployment, the pools, the tasks and the flow."""
    found = []
    if deployment.pool not in pools:
        found.append(f"pool: {deployment.pool!r} is not declared under `pools`; {suggest(deployment.pool, [*pools])}")
    if isinstance(pools.get(deployment.pool), ContainerPool):
        if deployment.repository == "here":
            found.append("repository: a container does not see this folder; give `url` and `branch` or `commit`")
        if deployment.remote is None:
            found.append("remote: missing; without a DVC remote nothing that a container made would stay")
    looks = [name for name, pool in pools.items() if pool is None or isinstance(pool, ProcessPool)]
    for key, looker in (("trigger", deployment.trigger), ("crashed", deployment.crashed)):
        if isinstance(looker, Change | Crash) and looker.pool not in looks:
            found.append(f"{key}.pool: {looker.pool!r} is no process pool; {suggest(looker.pool, looks)}")
    found += [
        f"parameters.{key}: the flow takes no such parameter; {suggest(key, list(parameters))}"
        for key in deployment.parameters
        if key not in parameters
    ]
    return found
