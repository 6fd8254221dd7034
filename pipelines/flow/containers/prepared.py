"""Before the first stage: the engine answers, images are there and noted, nothing of an earlier flow is left."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from core.errors import StillhouseError
from core.params import TaskParams
from ops import repair
from pipelines import sources
from pipelines.flow.containers import engine, images, mounts
from pipelines.flow.containers.choice import Choice
from pipelines.flow.containers.place import Containers
from pipelines.flow.plan import Plan


def noted(choice: Choice, plan: Plan, gpus: tuple[str, ...]) -> bool:
    """As `Choice.noted`."""
    with engine.serving(choice.kind) as found:
        its = images.found(found, {name: choice.of(step, gpus) for name, step in plan.steps.items()})
    wanting = [name for name, step in plan.steps.items() if step.needs.needs.gpus]
    if gpus and wanting and choice.kind == "podman":
        raise StillhouseError(
            f"--in podman: {wanting[0]} needs a GPU, and podman passes over GPUs that are asked for by Docker's API "
            "(https://github.com/containers/podman/issues/22645): --in docker, or --gpus 0"
        )
    changed = images.note(plan, its)
    for said in (*changed, *images.unnoted(plan, its)):
        print(said, file=sys.stderr)
    return bool(changed)


@contextmanager
def place(
    choice: Choice, plan: Plan, key: str, gpus: tuple[str, ...], tasks: Mapping[str, TaskParams]
) -> Iterator[Containers]:
    """As `Choice.place`."""
    named = sources.named(tasks)
    variables = [word for text in named for word in re.findall(r"\$\{?(\w+)", text) if word != "HOME"]
    at_home = any(text.startswith("~") or re.search(r"\$\{?HOME\b", text) for text in named)
    outside = [Path(os.path.expandvars(text)).expanduser().absolute() for text in named]
    with engine.serving(choice.kind) as found:
        made = Containers(
            found,
            plan,
            images.found(found, {name: choice.of(step, gpus) for name, step in plan.steps.items()}),
            key,
            network=choice.network,
            read=[*outside, *mounts.besides(Path.cwd(), repair.cache())],
            variables=variables,
            **({"home": str(Path.home())} if at_home else {}),  # so that they mean the same in both
        )
        if left := made.sweep():
            print(f"removed: containers that an earlier flow left ({', '.join(left)})")
        yield made
