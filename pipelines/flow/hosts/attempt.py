"""One attempt of a stage on a host, in a process of its own: fetch its inputs, `dvc repro --single-item`, push.

All that it says goes to the attempt's log, which the planner reads as that of a stage on its own machine. A remote that
cannot be reached is tried again for some minutes, before the stage and, with its outputs safe in the host's cache,
after it.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from core.errors import MISTAKE, TEMPORARY, StillhouseError
from core.files import read_json, write_json, write_text
from ops.repair import repair
from ops.tracking import ledger
from pipelines.dvc import private
from pipelines.dvc.private import StageFiles
from pipelines.flow.hosts import installed
from pipelines.flow.hosts.clones import Clones, UnavailableError
from pipelines.flow.hosts.order import Order

INTERRUPTED = 252
"""DVC's exit code when it was asked to stop."""
WAITS_S = (2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 60.0, 60.0, 60.0)
"""Between the tries to reach the remote: five minutes in all."""


@dataclass(frozen=True)
class Work:
    """What the process is told, in a file."""

    home: str
    source: str
    slot: int
    order: str
    result: str
    """A file for what came of it, as JSON."""


class RefusedError(Exception):
    """This host is not one to make the stage."""


class RemoteError(Exception):
    """The DVC remote cannot be reached, or lacks something."""


def main(arguments: Sequence[str]) -> int:
    """arguments: the file of the `Work`, and the stage's name. Returns: the exit code of the attempt."""
    work = Work(**read_json(Path(arguments[0])))
    order = Order.model_validate_json(work.order)
    try:
        with FileLock(Path(work.home) / f"slot{work.slot}.lock"):  # an attempt of a host that was killed may still end
            return _make(order, *_prepared(work, order), Path(work.result))
    except (UnavailableError, RefusedError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        write_json(Path(work.result), {"refused": str(error)})
        return MISTAKE
    except StillhouseError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return error.exit_code
    except RemoteError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return TEMPORARY


def _prepared(work: Work, order: Order) -> tuple[StageFiles, list[str]]:
    """The clone at the commit, with dvc.lock as the planner's. Returns: the stage, and what it needs to be there."""
    clones = Clones(Path(work.home), work.source)
    clones.check_out(work.slot, order.commit)
    for told in repair():
        print(f"mended: {told}")
    layout = _layout(clones, order.commit)
    if order.stage not in layout:
        raise StillhouseError(f"dvc.yaml of commit {order.commit} has no stage {order.stage!r}")
    stage = layout[order.stage]
    if different := installed.differences(stage.deps, clones.home / "installed"):
        raise RefusedError(f"other packages are installed: {'; '.join(different)}; install those of the commit")
    _lock(order)
    _clear(stage, kept=order.stage in order.entries)
    return stage, list(wanted(stage, layout, order.entries))


def _make(order: Order, stage: StageFiles, inputs: list[str], result: Path) -> int:
    if inputs:
        _reach(["pull", "--force", *inputs], "fetch the inputs")
    private.share_runs(stage.name)
    if not order.force and private.same_but_for_outputs(stage.name):
        print(f"Stage '{stage.name}' didn't change, skipping", flush=True)
        return 0
    options = ["--force"] if order.force else ["--pull"]
    code = private.main(["--wait-for-lock", "repro", "--single-item", *options, stage.name])
    if code == 0:
        _reach(["push", "--run-cache", stage.name], "push the outputs")
        entry = private.yaml_text(private.locked()[stage.name])
        write_json(result, {"entry": entry, "run": ledger.run_of(stage.name)})
    return code


def wanted(stage: StageFiles, layout: dict[str, StageFiles], entries: Iterable[str]) -> Iterable[str]:
    """Paths of what a stage reads and another one has made; its own outputs where they are to be there when it runs."""
    made = [out for other in layout.values() if other.name != stage.name for out in other.outs]
    yield from (dep for dep in stage.deps if any(overlap(dep, out) for out in made))
    if stage.name in entries:
        yield from stage.kept


def overlap(first: str, second: str) -> bool:
    """Whether one path is the other, or lies in it."""
    return first == second or first.startswith(f"{second}/") or second.startswith(f"{first}/")


def _layout(clones: Clones, commit: str) -> dict[str, StageFiles]:
    """Of the commit that is checked out; read once, as it takes DVC a while."""
    path = clones.home / "layouts" / f"{commit}.json"
    if not path.exists():
        write_text(path, json.dumps([asdict(stage) for stage in private.layout().values()]))
    found = {}
    for one in read_json(path):
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in one.items()}
        found[str(values["name"])] = StageFiles(**values)
    return found


def _lock(order: Order) -> None:
    """dvc.lock with what the planner's says of the stage and of what it stands on; and which runs made these."""
    entries = {name: private.yaml_value(text) for name, text in order.entries.items()}
    Path("dvc.lock").unlink(missing_ok=True)
    if entries:
        Path("dvc.lock").write_text(private.yaml_text({"schema": "2.0", "stages": entries}), encoding="utf-8")
    for name, key in order.runs.items():
        ledger.executed(name, key, "")


def _clear(stage: StageFiles, kept: bool) -> None:
    """Remove what an earlier attempt of the stage left here, but for what the planner has, too."""
    for out in stage.outs:
        if not (kept and out in stage.kept):
            path = Path(out)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _reach(arguments: Sequence[str], what: str) -> None:
    """Run a command of DVC that needs the remote, again while it fails. Raises: RemoteError."""
    for wait in (*WAITS_S, None):
        code = private.main(["--wait-for-lock", *arguments])
        if code == 0:
            return
        if wait is None or code == INTERRUPTED:
            raise RemoteError(f"cannot {what}: see above what DVC says of its remote")
        print(f"WARNING: cannot {what}; trying again in {wait:.0f} s", file=sys.stderr, flush=True)
        time.sleep(wait)
