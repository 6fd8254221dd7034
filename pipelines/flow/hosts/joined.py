"""A flow that runs on the hosts of a pool: what is asked before any work, and how the outputs come home.

Before: a clean tree, a DVC remote that takes what is sent, hosts that can make every stage. What the hosts may need and
the remote lacks is sent. After, however it ended: the outputs of what is done are fetched, what lies in the cache is
not; a `dvc repro` then does nothing.
"""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from core import paths
from core.errors import StillhouseError
from core.files import write_text
from pipelines.deploy import remote
from pipelines.dvc import private
from pipelines.dvc.private import StageFiles
from pipelines.flow.hosts import api, attempt
from pipelines.flow.hosts.api import Api, LostError
from pipelines.flow.hosts.order import STAGE
from pipelines.flow.hosts.place import Pool
from pipelines.flow.hosts.record import Record
from pipelines.flow.plan import Plan

OWN = paths.STATE / "planner"
"""A name of this checkout, for the server."""
NAMED = 5
GENERATED = ("dvc.lock", ".gitignore")
"""What DVC writes, and no stage reads."""


@contextmanager
def joined(name: str, plan: Plan, jobs: int) -> Iterator[Pool]:
    """Within the block the hosts of pool `name` can be given the stages of `plan`.

    jobs: stages at once, 0: as many as the hosts take. Raises: StillhouseError for what can be mended before any work.
    """
    try:
        layout = private.layout()
    except private.RefusedError as error:
        raise StillhouseError(f"DVC cannot plan: {error}") from None
    _shareable(plan, layout)
    commit = _commit(plan, layout)
    store = _remote()
    api.connect()
    server = Api(name)
    try:
        deployment = server.deployment()
        if deployment is None:
            raise StillhouseError(f"no host has ever been in pool {name!r}; start one: make host POOL={name}")
        record = Record(layout)
        pool = Pool(server, deployment, commit, plan, record, jobs, _warn)
        pool.begin(f"planner:{_own()}")
        try:
            if unfit := pool.hosts.unfit({step: plan.steps[step].needs.needs for step in plan.reasons()}):
                told = "\n".join(f"  - {stage}: {why}" for stage, why in list(unfit.items())[:NAMED])
                raise StillhouseError(f"pool {name!r} cannot make:\n{told}\nstart a host: make host POOL={name}")
            _send(store, _standing(plan, record))
            yield pool
        finally:
            pool.end()
            _bring(store, sorted(pool.done))
    except LostError as error:
        raise StillhouseError(f"the Prefect server was lost as the flow began ({error}); try again") from None
    finally:
        server.close()


def _shareable(plan: Plan, layout: Mapping[str, StageFiles]) -> None:
    """Raises: StillhouseError for stages whose outputs cannot come over the DVC remote."""
    problems = [
        f"{step}: only stages of the dvc.yaml in the root" for step in plan.steps if not re.fullmatch(STAGE, step)
    ]
    problems += [
        f"{step}: DVC neither caches nor pushes {', '.join(layout[step].unshared)}"
        for step in plan.steps
        if step in layout and layout[step].unshared
    ]
    problems += [
        f"{step}: {out} lies outside of the repository"
        for step in plan.steps
        if step in layout
        for out in layout[step].outs
        if out.startswith(("../", "/")) or "://" in out
    ]
    if problems:
        told = "\n".join(f"  - {problem}" for problem in problems[:NAMED])
        raise StillhouseError(f"hosts share what they make over the DVC remote, and these cannot be:\n{told}")


def _commit(plan: Plan, layout: Mapping[str, StageFiles]) -> str:
    """The commit that the hosts check out. Raises: StillhouseError for a tree that differs from it.

    What differs could be sent along, but who may start a run could then send code; a commit comes over git, where who
    may push is settled. And it is the commit that the passport names.
    """
    head = _git("rev-parse", "HEAD")
    changed = []
    for line in _git("status", "--porcelain", "--untracked-files=all", "-z").split("\0"):
        state, path = line[:2], line[3:]
        if not path or Path(path).name in GENERATED:
            continue
        if state != "??" or _is_read(path, plan, layout):
            changed.append(path)
    if changed:
        more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
        raise StillhouseError(
            f"hosts check out a commit, and these files differ from HEAD: {', '.join(changed[:NAMED])}{more}; commit "
            "and push them, so that the hosts can fetch them"
        )
    return head


def _is_read(path: str, plan: Plan, layout: Mapping[str, StageFiles]) -> bool:
    """Whether a file that git does not know is read by a stage and no output."""
    if any(attempt.overlap(path, out) for stage in layout.values() for out in stage.outs):
        return False
    return path.endswith(".dvc") or any(
        attempt.overlap(path, dep) for step in plan.steps if step in layout for dep in layout[step].deps
    )


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        why = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise StillhouseError(f"hosts fetch the code by git, which says here: {why}") from None
    return done.stdout.strip("\n")


def _remote() -> str:
    """Name of the DVC remote: STILLHOUSE_DVC_REMOTE, else DVC's default. Raises: StillhouseError without one."""
    found = remote.named() or remote.default()
    if not found:
        raise StillhouseError(
            "hosts share data over a DVC remote, and this repository has no default one: dvc remote add --default "
            "store URL, and commit .dvc/config"
        )
    remote.check(found)
    return found


def _own() -> str:
    """Of this checkout, for good: a planner that was killed is succeeded by the next one here."""
    path = OWN
    try:
        found = path.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        found = []
    if len(found) != 2 or found[1] != str(Path.cwd()):  # a copied checkout is another one
        found = [uuid.uuid4().hex, str(Path.cwd())]
        write_text(path, f"{found[0]} {found[1]}\n")
    return found[0]


def _standing(plan: Plan, record: Record) -> Iterator[str]:
    """Stages that have outputs here which hosts may ask for."""
    for name, stage in record.layout.items():
        step = plan.steps.get(name)
        gone = step is not None and any(why.startswith("output") for why in step.why)
        tracked = record.known(name) or name.endswith(".dvc")
        if tracked and not gone and all(Path(out).exists() for out in stage.outs):
            yield name


def _send(store: str, stages: Iterable[str]) -> None:
    if chosen := list(stages):
        remote.send(store, chosen)


def _bring(store: str, stages: list[str]) -> None:
    """Fetch the outputs of stages and what the run cache knows of them; what is here already is not fetched."""
    if stages:
        print(f"fetching the outputs of {len(stages)} stages", flush=True)
        remote.bring(store, stages)


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr, flush=True)
