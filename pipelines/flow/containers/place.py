"""Containers as a place where stages run.

A stage is what it is elsewhere, `dvc repro --single-item STAGE` in a process here; its command alone is in a container.
So DVC has one machine's process ids, locks and links, what its cache restores starts no container, and a container can
write neither the cache nor dvc.lock.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from ops.image import VARIABLE
from ops.tracking.courier import ENVIRONMENT, OUTSIDE
from pipelines.flow.containers import engine as engines
from pipelines.flow.containers.engine import Engine
from pipelines.flow.containers.images import Image
from pipelines.flow.containers.supervisor import Spec
from pipelines.flow.plan import Plan
from pipelines.flow.process import ROOT, StageProcess, commands_within, single
from pipelines.flow.slots import THREAD_VARIABLES

SUPERVISOR = (sys.executable, "-m", "pipelines.flow.containers.supervisor")


class Containers:
    """An engine of this machine, as a `place.Place`. `sweep` before the first stage."""

    def __init__(
        self,
        engine: Engine,
        plan: Plan,
        images: Mapping[str, Image],
        key: str,
        *,
        network: str = "host",
        read: Sequence[Path] = (),
        variables: Sequence[str] = (),
        home: str = "/tmp",  # noqa: S108 - in the container
    ):
        """images: of each step; key: of the pipeline execution; network: as the engine calls it, `none` for none; read:
        files and folders besides the checkout; variables: of the environment, besides `supervisor.PASSED`; home: HOME,
        which is empty."""
        self._engine, self._plan, self._images, self._key = engine, plan, images, key
        self._network, self._read, self._variables = network, tuple(map(str, read)), tuple(variables)
        self._home = home
        self._root = Path.cwd()

    def sweep(self) -> list[str]:
        """Remove what an earlier flow in this checkout left, killed before it could. Returns: names of stages.

        Raises: as `engine.sweep`. One flow is at work in a checkout at a time, so nobody else's is among them.
        """
        connected = self._engine.client()
        try:
            return engines.sweep(connected, {engines.CHECKOUT: str(self._root)})
        finally:
            connected.close()

    def start(self, name: str, log: Path, environment: Mapping[str, str], *, force: bool, pull: bool) -> StageProcess:
        image, step = self._images[name], self._plan.steps[name]
        spec = Spec(
            address=self._engine.address,
            image=image.digest,
            stage=name,
            name=image.name,
            labels={engines.CHECKOUT: str(self._root), engines.FLOW: self._key, engines.STAGE: name},
            root=str(self._root),
            outs=step.outs,
            read=self._read,
            log=str(log.absolute()),
            user=engines.user(self._engine),
            network=self._network,
            memory=step.needs.needs.memory,
            cores=_cores(environment),
            gpus=_gpus(environment) if step.needs.needs.gpus else (),
            variables=self._variables,
            home=self._home,
        )
        more = {
            "SHELL": "/bin/sh",  # by which DVC runs commands; the caller's own may not be in the image
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), environment.get("PYTHONPATH")))),
            VARIABLE: f"{image.name} {image.digest}",
            **({ENVIRONMENT: OUTSIDE} if environment.get(ENVIRONMENT) else {}),
        }
        around = (*SUPERVISOR, json.dumps(spec.values()))
        arguments = single(name, force=force, pull=pull)
        return _InContainer(arguments, log, {**environment, **more}, around=around, after=self._after)

    def _after(self, name: str) -> None:
        """Nothing of a stage is left, also of one whose supervisor was killed; what cannot be reached now is swept up
        before the next flow."""
        with suppress(*engines.UNREACHABLE):
            connected = self._engine.client()
            try:
                engines.sweep(connected, {engines.STAGE: name, engines.CHECKOUT: str(self._root)})
            finally:
                connected.close()


class _InContainer(StageProcess):
    def __init__(
        self,
        arguments: list[str],
        log: Path,
        environment: Mapping[str, str],
        *,
        around: Sequence[str],
        after: Callable[[str], None],
    ):
        """around: a program that DVC starts with the stage's command as its arguments; after: what is told the stage's
        name when it has failed."""
        super().__init__(arguments, log, environment, main=partial(commands_within, tuple(around)))
        self._after = after

    def close(self) -> None:
        failed = self.code != 0
        super().close()
        if failed:  # after a success the supervisor has removed it
            self._after(self.name)


def _cores(environment: Mapping[str, str]) -> int:
    """Of the share that the stage was given; 0: all that there are."""
    share = int(environment.get(THREAD_VARIABLES[0], 0))
    return share if share < (psutil.cpu_count() or 1) else 0


def _gpus(environment: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(filter(None, environment.get("CUDA_VISIBLE_DEVICES", "").split(",")))
