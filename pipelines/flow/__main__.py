"""`python -m pipelines.flow [TARGET ...] --jobs N --gpus M`, or `make flow`: the pipeline in parallel.

Exit codes: 0 done, 1 a stage failed, 2 something to mend before any work, 130 Ctrl-C, 143 SIGTERM.
"""

from __future__ import annotations

import argparse
import signal
import sys
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from core.errors import StillhouseError
from ops import tracking
from pipelines import summary
from pipelines.flow import view
from pipelines.flow.containers.choice import KINDS, Choice
from pipelines.flow.execution import Execution, Options, alone, opened, planned
from pipelines.flow.mirror import Mirror
from pipelines.flow.plan import Plan

SLURM = "slurm"


def main() -> None:
    arguments = _arguments()
    options = Options(
        targets=tuple(arguments.targets),
        jobs=arguments.jobs,
        gpus=arguments.gpus,
        force=arguments.force,
        downstream=arguments.downstream,
        pool=arguments.pool,
        bare=arguments.bare,
        containers=Choice(arguments.kind, arguments.image, arguments.network) if arguments.kind in KINDS else None,
        slurm=arguments.kind == SLURM,
    )
    try:
        with alone():
            plan, tasks = planned(options)
            if arguments.dry:
                _show(plan)
                return
            code = _run(options, plan, tasks, prefect=not arguments.no_prefect)
    except StillhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:  # before any stage ran
        sys.exit(130)
    sys.exit(code)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipelines.flow", description="The pipeline in parallel.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="a stage, as for `dvc repro`; none: all")
    parser.add_argument("--jobs", "-j", type=_count, default=0, help="stages at once; default: one per core")
    parser.add_argument("--gpus", type=_count, default=None, help="GPUs to use; default: all")
    parser.add_argument("--pool", default="", metavar="NAME", help="on the hosts of this Prefect work pool (make host)")
    parser.add_argument("--dry", action="store_true", help="show what would run and why")
    parser.add_argument("--force", "-f", action="store_true", help="run also what did not change")
    parser.add_argument("--downstream", action="store_true", help="the targets and all that depends on them")
    parser.add_argument("--no-prefect", action="store_true", help="without Prefect: nothing is shown in its UI")
    parser.add_argument("--bare", action="store_true", help="any DVC repository: without params.yaml and tracking")
    parser.add_argument("--in", dest="kind", choices=(*KINDS, SLURM), help="stages in containers, or as SLURM jobs")
    parser.add_argument("--image", help="in place of this repository's, for stages that name none of their own")
    parser.add_argument("--network", default="host", help="of the containers: host (the default), none, or a name")
    given = parser.parse_args()
    if given.kind not in KINDS and (given.image is not None or given.network != "host"):
        parser.error("--image and --network are for containers: --in docker, or --in podman")
    if given.kind is not None and given.pool:
        parser.error("--pool and --in: the hosts of a pool run their stages themselves; give one of the two")
    return given


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > 1024:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1024, found {text!r}")
    return int(text)


def _run(options: Options, plan: Plan, tasks: tuple[str, ...], prefect: bool) -> int:
    """Run the plan, show it, say how it ended. Returns: the exit code."""
    if not plan.reasons():
        print("nothing to do: all stages are up to date")
        if tasks:
            summary.show(tasks)
        return 0
    caught: list[int] = []
    with opened(options, plan, tasks) as execution:
        with _Signals(execution, caught):
            mirror = Mirror(execution, options) if prefect else None
            with view.shown(execution.scheduler):
                execution.run()
            if mirror is not None:
                if mirror.late:
                    print("all stages have ended; Prefect's server is still starting (Ctrl-C: without it)", flush=True)
                mirror.finish()
        restored = tracking.link_restored(execution.key) if not options.bare else {}
    if restored:
        print(f"restored from DVC's cache: {', '.join(sorted(restored))}")
    return _report(execution, mirror, tasks, caught)


def _report(execution: Execution, mirror: Mirror | None, tasks: tuple[str, ...], caught: list[int]) -> int:
    scheduler = execution.scheduler
    if failures := view.failures(scheduler):
        print(failures, file=sys.stderr)
    if execution.complete and tasks:
        summary.show(tasks)
    if mirror is not None and mirror.page and not mirror.problem:
        print("Prefect: make flow-ui" if mirror.temporary else f"Prefect: {mirror.page}")
    elif mirror is not None:
        print(
            f"warning: Prefect has not all of this run ({mirror.problem}); the stages are not affected", file=sys.stderr
        )
    if caught and not execution.complete:
        print("stopped: what had finished is kept, the same command goes on from there", file=sys.stderr)
        return 128 + caught[0]
    return 0 if execution.complete else 1


class _Signals:
    """Within the block Ctrl-C and SIGTERM stop the execution in order."""

    def __init__(self, execution: Execution, caught: list[int]):
        self._execution, self._caught = execution, caught
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for signum in (signal.SIGINT, signal.SIGTERM):
            self._before[signum] = signal.signal(signum, self._handle)

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _handle(self, signum: int, frame: Any) -> None:
        self._caught.append(signum)
        self._execution.scheduler.stop("Ctrl-C" if signum == signal.SIGINT else "SIGTERM")


def _show(plan: Plan) -> None:
    """`--dry`: what would run and why."""
    reasons = plan.reasons()
    if not reasons:
        print("nothing to do: all stages are up to date")
        return
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    grid.add_column("stage", no_wrap=True)
    grid.add_column("runs", no_wrap=True)
    grid.add_column("why")
    for name, why in reasons.items():
        own = bool(plan.steps[name].why)
        grid.add_row(name, "yes" if own else "if changed", "\n".join(why), style="" if own else "dim")
    Console().print(grid)
    print(
        f"{len(reasons)} of {len(plan.steps)} stages, {sum(bool(s.why) for s in plan.steps.values())} of them for sure"
    )


if __name__ == "__main__":
    main()
