"""What the user has chosen: `make flow ARGS="--in docker --image NAME"`. An engine is looked for only then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from core.params import TaskParams
from ops import image
from pipelines.flow.place import Place
from pipelines.flow.plan import Plan, Step

KINDS = ("docker", "podman")
CPU, GPU = "stillhouse-train-cpu:latest", "stillhouse-train:latest"
"""As `make image NAME=train-cpu` and `NAME=train` call them."""


@dataclass(frozen=True)
class Choice:
    kind: str
    """One of KINDS."""
    image: str | None = None
    """What a stage runs in that names none of its own; None: this repository's, with CUDA where a GPU is given out."""
    network: str = "host"
    """As the engine calls it; `none`: none."""

    def of(self, step: Step, gpus: tuple[str, ...]) -> str:
        """The image of a step. gpus: those to be given out."""
        return step.needs.image or self.image or (GPU if gpus else CPU)

    def noted(self, plan: Plan, gpus: tuple[str, ...]) -> bool:
        """Note the digests of images that stages depend on, and say what is new.

        Returns: whether something was, so that the plan is to be made anew. Raises: StillhouseError for an engine or an
        image that is not there.
        """
        from pipelines.flow.containers import prepared  # noqa: PLC0415

        return prepared.noted(self, plan, gpus)

    @contextmanager
    def place(self, plan: Plan, key: str, gpus: tuple[str, ...], tasks: Mapping[str, TaskParams]) -> Iterator[Place]:
        """For the steps of a plan; what an earlier flow left of containers is removed first.

        key: of the pipeline execution; tasks: what they read of this machine can be read in the containers.
        Raises: as `noted`.
        """
        from pipelines.flow.containers import prepared  # noqa: PLC0415

        with prepared.place(self, plan, key, gpus, tasks) as found:
            yield found


def notes(step: Step) -> list[str]:
    """The notes of images that a step depends on."""
    return [path for path in step.deps if image.NOTE.fullmatch(path)]


def refuse_here(plan: Plan) -> None:
    """Stages that depend on the note of an image do not run outside of it. Raises: StillhouseError."""
    for path in dict.fromkeys(path for step in plan.steps.values() for path in notes(step)):
        image.check(path)
