"""Register deployments with a Prefect server: `python -m pipelines.deploy [--file F] [--dry] [--prune]`.

`pipelines/deployments.yaml` says what is registered, and explains itself. The server is the one of PREFECT_API_URL, or
of Prefect's active profile, or that of `make flow-ui`. Registering twice changes nothing. `--dry` changes nothing ever,
and checks the file alone when no server is named.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.exceptions import PrefectHTTPStatusError
from prefect.server.schemas import schedules as server_schedules
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from rich import box
from rich.console import Console
from rich.table import Table

from core.errors import StillhouseError
from pipelines.deploy import declared as file
from pipelines.deploy import flowfile, pools, register, repository
from pipelines.deploy.declared import Declared
from pipelines.deploy.outcome import Outcome
from pipelines.deploy.register import Flows, Wanted
from pipelines.flow import access


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Register work pools and deployments with a Prefect server.")
    parser.add_argument("--file", type=Path, default=file.FILE)
    parser.add_argument("--dry", action="store_true", help="check the file, tell what would change on the server")
    parser.add_argument("--prune", action="store_true", help="delete deployments that are no longer declared")
    options = parser.parse_args(arguments)
    console = Console()
    try:
        _commands(*deploy(options.file, options.dry, options.prune, console), console)
    except StillhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def deploy(path: Path, dry: bool, prune: bool, console: Console) -> tuple[Declared, list[Wanted]]:
    """Register what `path` declares, and return it.

    Raises: StillhouseError; what was registered before it stays.
    """
    root = Path.cwd()
    flows = Flows(*(flowfile.read(each) for each in (flowfile.PIPELINE, flowfile.SENSOR, flowfile.RECOVERY)))
    declared = file.load(path, flows.pipeline.parameters)
    wanted = register.plan(declared, flows, root)
    outcomes = _apply(declared, wanted, dry, prune)
    console.print(_table(wanted, {outcome.name: outcome for outcome in outcomes}))
    for outcome in outcomes:
        if outcome.what == "updated":
            console.print(f"{outcome.name}: updated: {', '.join(outcome.changed)}", highlight=False, soft_wrap=True)
        elif outcome.what == "undeclared":
            end = "--prune deletes it" if "/" in outcome.name else f"prefect work-pool delete {outcome.name}"
            console.print(
                f"{outcome.name}: on the server, but no longer declared; {end}", highlight=False, soft_wrap=True
            )
        elif outcome.what == "deleted":
            console.print(f"{outcome.name}: {'would be ' if dry else ''}deleted", highlight=False, soft_wrap=True)
    for warning, names in _warnings(declared, root).items():
        console.print(f"warning: {', '.join(names)}: {warning}", highlight=False, soft_wrap=True)
    if dry:
        console.print("nothing was changed (--dry)")
    return declared, wanted


def _apply(declared: Declared, wanted: list[Wanted], dry: bool, prune: bool) -> list[Outcome]:
    address = _address()
    if not address and dry:
        return [Outcome(entry.full_name, "declared") for entry in wanted]
    if not address:
        # Without an address Prefect would start a server of its own that is gone with this process.
        raise StillhouseError(
            "no Prefect server is named: start that of this repository in another terminal (make flow-ui), or name one "
            "by PREFECT_API_URL (and PREFECT_API_AUTH_STRING, if it asks for a password)"
        )
    try:
        with temporary_settings(_settings(address)), get_client(sync_client=True) as client:
            outcomes = [pools.register(client, name, pool, dry) for name, pool in declared.pools.items()]
            outcomes += [register.register(client, entry, dry) for entry in wanted]
            outcomes += register.undeclared(client, wanted, prune, dry)
            outcomes += register.watch(client, wanted, dry)
            return [*outcomes, *pools.undeclared(client, list(declared.pools))]
    except PrefectHTTPStatusError as error:
        words = error.response.text[:500]
        raise StillhouseError(
            f"the Prefect server at {address} refused ({error.response.status_code}): {words}"
        ) from None
    except httpx.HTTPError as error:
        raise StillhouseError(f"the Prefect server at {address} does not answer ({error}); is it running?") from None


def _address() -> str | None:
    """Of the server: the configured one, else that of `make flow-ui`, if it runs."""
    return PREFECT_API_URL.value() or access.running()


def _settings(address: str) -> dict[Any, str]:
    """What a client of the server at `address` needs to know beside the user's settings."""
    password = access.client(address).get("PREFECT_API_AUTH_STRING")
    return {PREFECT_API_URL: address, **({PREFECT_API_AUTH_STRING: password} if password else {})}


def _table(wanted: list[Wanted], outcomes: dict[str, Outcome]) -> Table:
    grid = Table(header_style="bold", pad_edge=False, collapse_padding=True, box=box.SIMPLE_HEAD)
    for column in ("deployment", "pool", "trigger", "next run", ""):
        grid.add_column(column, no_wrap=True)
    for entry in wanted:
        pool = entry.fields["work_pool_name"]
        grid.add_row(entry.full_name, pool, entry.trigger, _next(entry), outcomes[entry.full_name].what)
    return grid


def _next(wanted: Wanted) -> str:
    """The first time after now, as the server reckons it; for a deployment that is not paused."""
    schedule = wanted.schedule
    if isinstance(schedule, CronSchedule):
        ahead = asyncio.run(server_schedules.CronSchedule(**schedule.model_dump()).get_dates(1))
    elif isinstance(schedule, IntervalSchedule):
        ahead = asyncio.run(server_schedules.IntervalSchedule(**schedule.model_dump()).get_dates(1))
    else:
        return ""
    return f"{ahead[0]:%d %b %H:%M}"


def _warnings(declared: Declared, root: Path) -> dict[str, list[str]]:
    """Each warning once, with the deployments that it is about."""
    found: dict[str, list[str]] = {}
    for name, deployment in declared.deployments.items():
        for warning in repository.warnings(deployment, declared.pools[deployment.pool], root):
            found.setdefault(warning, []).append(name)
    return found


def _commands(declared: Declared, wanted: list[Wanted], console: Console) -> None:
    address = _address()
    ours = f"PREFECT_HOME={shlex.quote(str(access.home()))} " if address and access.client(address) else ""
    console.print("start a worker for each pool that is to run:")
    used = {entry.fields["work_pool_name"] for entry in wanted}
    for name, pool in declared.pools.items():
        if name in used:
            missing = {"docker": "prefect_docker", "kubernetes": "prefect_kubernetes"}.get(pool.type)
            needs = missing is not None and find_spec(missing) is None
            note = f"    # needs: pip install {missing.replace('_', '-')}" if missing and needs else ""
            console.print(f"  {ours}prefect worker start --pool {name}{note}", highlight=False, soft_wrap=True)
    by_hand = next((entry for entry in wanted if entry.trigger == "by hand"), wanted[0])
    console.print("run one by hand:")
    console.print(f"  {ours}prefect deployment run {by_hand.full_name} -p jobs=2", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
